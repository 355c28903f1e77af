//! torchvision's MobileNetV3: Howard et al., "Searching for MobileNetV3", 2019, <https://arxiv.org/abs/1905.02244>.

use super::{Conv, Layers};
use crate::error::Result;
use crate::ops::Activation::{self, Hardsigmoid, Hardswish, Relu};
use crate::{Graph, Value, Weights};

/// A line of the paper's tables 1 and 2: kernel, expanded and output channels, squeeze-excitation, activation, stride.
type Block = (usize, usize, usize, bool, Activation, usize);

const LARGE: [Block; 15] = [
    (3, 16, 16, false, Relu, 1),
    (3, 64, 24, false, Relu, 2),
    (3, 72, 24, false, Relu, 1),
    (5, 72, 40, true, Relu, 2),
    (5, 120, 40, true, Relu, 1),
    (5, 120, 40, true, Relu, 1),
    (3, 240, 80, false, Hardswish, 2),
    (3, 200, 80, false, Hardswish, 1),
    (3, 184, 80, false, Hardswish, 1),
    (3, 184, 80, false, Hardswish, 1),
    (3, 480, 112, true, Hardswish, 1),
    (3, 672, 112, true, Hardswish, 1),
    (5, 672, 160, true, Hardswish, 2),
    (5, 960, 160, true, Hardswish, 1),
    (5, 960, 160, true, Hardswish, 1),
];

const SMALL: [Block; 11] = [
    (3, 16, 16, true, Relu, 2),
    (3, 72, 24, false, Relu, 2),
    (3, 88, 24, false, Relu, 1),
    (5, 96, 40, true, Hardswish, 2),
    (5, 240, 40, true, Hardswish, 1),
    (5, 240, 40, true, Hardswish, 1),
    (5, 120, 48, true, Hardswish, 1),
    (5, 144, 48, true, Hardswish, 1),
    (5, 288, 96, true, Hardswish, 2),
    (5, 576, 96, true, Hardswish, 1),
    (5, 576, 96, true, Hardswish, 1),
];

/// Adds the larger network: 5.5 M parameters, 0.22 G multiply-accumulates at 224x224.
pub fn mobilenet_v3_large(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    mobilenet_v3(graph, x, weights, &LARGE, 1280)
}

/// Adds the smaller network: 2.5 M parameters, 0.06 G multiply-accumulates at 224x224.
pub fn mobilenet_v3_small(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    mobilenet_v3(graph, x, weights, &SMALL, 1024)
}

fn mobilenet_v3(graph: &mut Graph, x: Value, weights: &Weights, blocks: &[Block], hidden: usize) -> Result<Value> {
    let mut net = Layers { graph, weights };
    let mut x = net.normed_conv(x, "features.0", Conv { stride: 2, ..Conv::same(16, 3) }, Some(Hardswish))?;
    for (i, &block) in blocks.iter().enumerate() {
        x = net.gated_residual(x, &format!("features.{}.block", i + 1), block)?;
    }
    let channels = net.channels(x)?;
    let last = format!("features.{}", blocks.len() + 1);
    let x = net.normed_conv(x, &last, Conv::new(6 * channels, 1), Some(Hardswish))?;
    let x = net.global_mean(x)?;
    let x = net.graph.flatten(x)?;
    let x = net.linear(x, "classifier.0", hidden)?;
    let x = net.graph.activation(x, Hardswish)?;
    net.linear(x, "classifier.3", 1000)
}

impl Layers<'_> {
    /// Adds MobileNetV2's inverted residual, with a gate on the channels after the depthwise convolution.
    fn gated_residual(&mut self, x: Value, name: &str, block: Block) -> Result<Value> {
        let (kernel, expanded, out, gated, activation, stride) = block;
        let channels = self.channels(x)?;
        let mut parts = 0..;
        let mut part = || format!("{name}.{}", parts.next().unwrap_or_default());
        let mut y = x;
        if expanded != channels {
            y = self.normed_conv(y, &part(), Conv::new(expanded, 1), Some(activation))?;
        }
        let depthwise = Conv { stride, groups: expanded, ..Conv::same(expanded, kernel) };
        y = self.normed_conv(y, &part(), depthwise, Some(activation))?;
        if gated {
            y = self.squeeze_excitation(y, &part())?;
        }
        y = self.normed_conv(y, &part(), Conv::new(out, 1), None)?;
        if stride == 1 && channels == out { self.graph.add(x, y) } else { Ok(y) }
    }

    fn normed_conv(&mut self, x: Value, name: &str, conv: Conv, activation: Option<Activation>) -> Result<Value> {
        self.conv_norm_activation(x, name, conv, 1e-3, activation)
    }

    /// Scales each channel by a gate from all channels' means: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", 2017.
    fn squeeze_excitation(&mut self, x: Value, name: &str) -> Result<Value> {
        let channels = self.channels(x)?;
        // A quarter of the channels, rounded to the nearest multiple of 8, but down by no more than a tenth.
        let quarter = channels / 4;
        let rounded = ((quarter + 4) / 8 * 8).max(8);
        let squeezed = if 10 * rounded < 9 * quarter { rounded + 8 } else { rounded };
        let gate = self.global_mean(x)?;
        let gate = self.conv(gate, &format!("{name}.fc1"), Conv { bias: true, ..Conv::new(squeezed, 1) })?;
        let gate = self.graph.relu(gate)?;
        let gate = self.conv(gate, &format!("{name}.fc2"), Conv { bias: true, ..Conv::new(channels, 1) })?;
        let gate = self.graph.activation(gate, Hardsigmoid)?;
        self.graph.mul(x, gate)
    }
}
