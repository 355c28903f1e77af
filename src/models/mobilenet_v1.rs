//! MobileNet: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
//! 2017, <https://arxiv.org/abs/1704.04861>. torchvision doesn't have it; the weights are named as in its MobileNetV2:
//! `features.0` is the stem, `features.{i}.0` a depthwise and `features.{i}.1` a pointwise convolution, each with `.0`
//! the convolution and `.1` the batch norm; `classifier.1` is the linear layer.

use super::{Conv, Layers};
use crate::error::{ErrorKind, Result};
use crate::ops::Activation;
use crate::{Graph, Value, Weights};

/// Table 1 of the paper: output channels and stride of each depthwise separable convolution.
const BLOCKS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    // The table says 2, but its next line has an input of 7x7.
    (1024, 1),
];

/// Adds MobileNet: depthwise separable convolutions, 4.2 M parameters, 0.57 G multiply-accumulates at 224x224.
pub fn mobilenet_v1(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    mobilenet_v1_width(graph, x, weights, 1.0)
}

/// Adds MobileNet with the channels of every layer times a width multiplier, 1/32 to 32: the paper has 0.75, 0.5, 0.25.
pub fn mobilenet_v1_width(graph: &mut Graph, x: Value, weights: &Weights, multiplier: f64) -> Result<Value> {
    if !(1.0 / 32.0..=32.0).contains(&multiplier) {
        return Err(ErrorKind::argument("multiplier", "1/32 to 32", multiplier).into());
    }
    let width = |channels: usize| (channels as f64 * multiplier) as usize;
    let mut net = Layers { graph, weights };
    let mut x = net.conv_norm_relu(x, "features.0", Conv { stride: 2, ..Conv::same(width(32), 3) })?;
    for (i, (out, stride)) in BLOCKS.into_iter().enumerate() {
        let channels = net.channels(x)?;
        let depthwise = Conv { stride, groups: channels, ..Conv::same(channels, 3) };
        x = net.conv_norm_relu(x, &format!("features.{}.0", i + 1), depthwise)?;
        x = net.conv_norm_relu(x, &format!("features.{}.1", i + 1), Conv::new(width(out), 1))?;
    }
    let x = net.global_mean(x)?;
    let x = net.graph.flatten(x)?;
    net.linear(x, "classifier.1", 1000)
}

impl Layers<'_> {
    fn conv_norm_relu(&mut self, x: Value, name: &str, conv: Conv) -> Result<Value> {
        self.conv_norm_activation(x, name, conv, 1e-5, Some(Activation::Relu))
    }
}
