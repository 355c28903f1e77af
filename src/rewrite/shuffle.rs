//! The pattern of pixel shuffle: a transposition moves channels between the pixels.

use super::views::{Dim, View, merged};
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{PixelShuffle, Reshape, ShuffleMode};

pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = node.outputs[0];
    let (_, inputs) = seen.op::<Reshape>(value)?;
    seen.transposed(inputs[0])?;
    let view = View::new(seen.graph(), inputs[0]);
    let (from, to) = (seen.shape(view.base), seen.shape(value));
    let (&[n, channels, h, w], &[_, out, height, width]) = (&from[..], &to[..]) else { return None };
    let factor = height.checked_div(h)?;
    let fits = factor > 1 && channels == out * factor * factor && [height, width] == [h * factor, w * factor];
    let plane = h * w;
    // The strides, in input channels, of output channel c and of a block's row i and column j.
    let (crd, dcr) = ([factor * factor, factor, 1], [1, factor * out, out]);
    let mode = [(ShuffleMode::Crd, crd), (ShuffleMode::Dcr, dcr)].into_iter().find(|(_, [c, i, j])| {
        let dims = [(n, channels * plane), (out, c * plane), (h, w), (factor, i * plane), (w, 1), (factor, j * plane)];
        view.merged() == merged(&dims.map(|(size, stride)| Dim { size, stride }))
    });
    Replacement::op(PixelShuffle::new(factor).mode(mode.filter(|_| fits)?.0), &[view.base])
}
