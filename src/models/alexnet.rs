//! AlexNet: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012; and
//! torchvision's, after Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.

use super::{Conv, Layers};
use crate::error::Result;
use crate::ops::{LocalResponseNorm, Pool2d, PoolKind};
use crate::{Graph, Value, Weights};

/// Returns a convolution with a bias, padded so that stride 1 keeps the size.
fn biased(out: usize, kernel: usize) -> Conv {
    Conv { bias: true, ..Conv::same(out, kernel) }
}

fn max_pool() -> Pool2d {
    Pool2d::new(PoolKind::Max, 3).stride(2)
}

/// Adds the network of 2012: half of the channels on each of two GPUs, which is two groups in three of the
/// convolutions, and local response normalisation. 60,954,656 weights, 724,406,816 multiply-accumulates at 224x224.
pub fn alexnet_original(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    let mut net = Layers { graph, weights };
    // PyTorch divides alpha by the five channels; the paper doesn't divide its alpha of 1e-4.
    let norm = || LocalResponseNorm::new(5).factors(5e-4, 0.75, 2.0);
    let x = net.conv(x, "features.0", Conv { stride: 4, padding: 2, ..biased(96, 11) })?;
    let x = net.graph.relu(x)?;
    let x = net.graph.local_response_norm(x, norm())?;
    let x = net.graph.pool2d(x, max_pool())?;
    let x = net.conv(x, "features.4", Conv { groups: 2, ..biased(256, 5) })?;
    let x = net.graph.relu(x)?;
    let x = net.graph.local_response_norm(x, norm())?;
    let mut x = net.graph.pool2d(x, max_pool())?;
    for (name, channels, groups) in [("features.8", 384, 1), ("features.10", 384, 2), ("features.12", 256, 2)] {
        x = net.conv(x, name, Conv { groups, ..biased(channels, 3) })?;
        x = net.graph.relu(x)?;
    }
    let x = net.graph.pool2d(x, max_pool())?;
    net.classifier(x, ["classifier.1", "classifier.4", "classifier.6"])
}

/// Adds torchvision's AlexNet: fewer channels, no groups, no normalisation. 61.1 M parameters.
pub fn alexnet(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    let mut net = Layers { graph, weights };
    let x = net.conv(x, "features.0", Conv { stride: 4, padding: 2, ..biased(64, 11) })?;
    let x = net.graph.relu(x)?;
    let x = net.graph.pool2d(x, max_pool())?;
    let x = net.conv(x, "features.3", biased(192, 5))?;
    let x = net.graph.relu(x)?;
    let mut x = net.graph.pool2d(x, max_pool())?;
    for (name, channels) in [("features.6", 384), ("features.8", 256), ("features.10", 256)] {
        x = net.conv(x, name, biased(channels, 3))?;
        x = net.graph.relu(x)?;
    }
    let x = net.graph.pool2d(x, max_pool())?;
    let x = net.graph.pool2d(x, Pool2d::adaptive(PoolKind::Average, [6, 6]))?;
    net.classifier(x, ["classifier.1", "classifier.4", "classifier.6"])
}

impl Layers<'_> {
    /// Adds three linear layers; dropout is for training.
    fn classifier(&mut self, x: Value, names: [&str; 3]) -> Result<Value> {
        let mut x = self.graph.flatten(x)?;
        for name in &names[..2] {
            x = self.linear(x, name, 4096)?;
            x = self.graph.relu(x)?;
        }
        self.linear(x, names[2], 1000)
    }
}
