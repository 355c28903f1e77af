//! The U-Nets of Open Image Denoise.

use super::Archive;
use crate::error::Result;
use crate::ops::{Concat, Conv2d, Pool2d, PoolKind, Resize, ResizeMode};
use crate::{Graph, Value};
use std::collections::BTreeSet;

/// The factor by which the deepest layers are smaller: sides of the input are multiples of it.
pub(super) const ALIGNMENT: usize = 16;

/// Returns the images that the network of an archive takes, in planes of three channels: 1, 2 or 3.
pub(super) fn image_count(archive: &Archive) -> Result<usize> {
    let first = if is_large(archive) { "enc_conv1a.weight" } else { "enc_conv0.weight" };
    let shape = archive.get(first)?.shape();
    match shape[..] {
        [_, channels @ (3 | 6 | 9), _, _] => Ok(channels / 3),
        _ => Err(archive.problem(format_args!("tensor \"{first}\": wanted [O, 3, 6 or 9, 3, 3], got {shape}")).into()),
    }
}

/// Returns true for the large network, which has one more convolution in each stage of its encoder.
fn is_large(archive: &Archive) -> bool {
    archive.contains("enc_conv1b.weight")
}

/// Returns the pixels on either side of an aligned position that the output there depends on, rounded up to a multiple of
/// [`ALIGNMENT`]: 80 for the base and the small network, 96 for the large one.
pub(super) fn overlap(archive: &Archive) -> usize {
    let large = is_large(archive);
    // From the output to the deepest stage: convolutions of 3x3, and pixels that were doubled.
    let deepest = (1..=4).fold(3, |reach: usize, _| reach.div_ceil(2) + 2);
    // Back to the input: poolings, and one or two convolutions after each.
    let first = (0..4).fold(deepest, |reach, _| 2 * reach + if large { 2 } else { 1 });
    (first + usize::from(!large)).next_multiple_of(ALIGNMENT)
}

/// Adds the network of an archive: `[1, 3 n, H, W]` to `[1, 3, H, W]`, sides being multiples of [`ALIGNMENT`].
///
/// The base and the small network differ in their numbers of channels only, which are those of the tensors. Each
/// convolution is 3x3 with a bias and ReLU. Source: `addUNet` and `addUNetLarge` in `core/unet_filter.cpp`, and
/// `training/model.py` of Open Image Denoise.
pub(super) fn unet(graph: &mut Graph, input: Value, archive: &Archive) -> Result<Value> {
    let large = is_large(archive);
    let mut net = Net { graph, archive, used: BTreeSet::new() };
    let mut x = input;
    // What the decoder concatenates, stage by stage from its end.
    let mut skipped = vec![input];
    if !large {
        x = net.conv("enc_conv0", x)?;
    }
    for stage in 1..=4 {
        for part in if large { &["a", "b"][..] } else { &[""] } {
            x = net.conv(&format!("enc_conv{stage}{part}"), x)?;
        }
        x = net.graph.add_node(format!("pool{stage}"), Pool2d::new(PoolKind::Max, 2), &[x])?[0];
        skipped.push(x);
    }
    // The last one is the next layer's input.
    skipped.pop();
    x = net.conv("enc_conv5a", x)?;
    x = net.conv("enc_conv5b", x)?;
    for (i, skip) in skipped.into_iter().enumerate().rev() {
        let stage = i + 1;
        let doubled = Resize::by(ResizeMode::Nearest, [2.0; 2]);
        x = net.graph.add_node(format!("upsample{stage}"), doubled, &[x])?[0];
        x = net.graph.add_node(format!("concat{stage}"), Concat::new(1), &[x, skip])?[0];
        x = net.conv(&format!("dec_conv{stage}a"), x)?;
        x = net.conv(&format!("dec_conv{stage}b"), x)?;
    }
    x = net.conv(if large { "dec_conv1c" } else { "dec_conv0" }, x)?;
    match archive.names().find(|&name| !net.used.contains(name)) {
        Some(name) => Err(archive.problem(format_args!("tensor {name:?}: no layer of the network has it")).into()),
        None => Ok(x),
    }
}

struct Net<'a> {
    graph: &'a mut Graph,
    archive: &'a Archive,
    /// The names of the tensors that are part of the graph.
    used: BTreeSet<String>,
}

impl Net<'_> {
    /// Adds a convolution and its ReLU.
    fn conv(&mut self, layer: &str, x: Value) -> Result<Value> {
        let names = [format!("{layer}.weight"), format!("{layer}.bias")];
        let [weight, bias] = [self.archive.get(&names[0])?, self.archive.get(&names[1])?];
        if weight.shape().get(2..) != Some(&[3, 3]) {
            let problem = format!("tensor \"{}\": wanted a convolution of 3x3, got {}", names[0], weight.shape());
            return Err(self.archive.problem(problem).into());
        }
        let conv = Conv2d::new(weight.clone(), Some(bias.clone())).padding(1);
        self.used.extend(names);
        let y = self.graph.add_node(layer, conv, &[x])?[0];
        self.graph.relu(y)
    }
}
