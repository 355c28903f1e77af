//! M5: Dai, Dai, Qu, Li, Das, "Very Deep Convolutional Neural Networks for Raw Waveforms", 2016,
//! <https://arxiv.org/abs/1610.00087>; with the names of PyTorch's speech commands tutorial: `conv1`, `bn1`, .. `fc1`.

use super::Layers;
use crate::error::Result;
use crate::ops::{Conv1d, Pool1d, PoolKind};
use crate::{Graph, Value, Weights};

/// The classes of Speech Commands, version 2.
const CLASSES: usize = 35;

/// Adds M5: a second of sound, `[N, 1, 8000]` in ±1, to the logits `[N, 35]` of the words of Speech Commands. Four
/// convolutions, 0.6 M parameters, 67 M multiply-accumulates.
pub fn m5(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    m5_of(graph, x, weights, [128, 128, 256, 512], 4)
}

/// Adds the tutorial's M5, with fewer channels and a quarter of the samples after the first layer: 27 k parameters.
/// (The tutorial returns the log-softmax of these logits, `[N, 1, 35]`.)
pub fn m5_small(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    m5_of(graph, x, weights, [32, 32, 64, 64], 16)
}

fn m5_of(graph: &mut Graph, x: Value, weights: &Weights, channels: [usize; 4], stride: usize) -> Result<Value> {
    let mut net = Layers { graph, weights };
    let mut x = x;
    for (i, out) in (1..).zip(channels) {
        // The first kernel spans a hundredth of a second, as band-pass filters are long.
        let (kernel, stride) = if i == 1 { (80, stride) } else { (3, 1) };
        x = net.conv1d(x, &format!("conv{i}"), out, kernel, stride)?;
        x = net.batch_norm(x, &format!("bn{i}"))?;
        x = net.graph.relu(x)?;
        x = net.graph.pool1d(x, Pool1d::new(PoolKind::Max, 4))?;
    }
    let x = net.graph.pool1d(x, Pool1d::adaptive(PoolKind::Average, [1]))?;
    let x = net.graph.flatten(x)?;
    net.linear(x, "fc1", CLASSES)
}

impl Layers<'_> {
    /// Adds a convolution without padding, with a bias.
    fn conv1d(&mut self, x: Value, name: &str, out: usize, kernel: usize, stride: usize) -> Result<Value> {
        let channels = self.channels(x)?;
        let weight = self.weights.get(&format!("{name}.weight"), [out, channels, kernel])?;
        let bias = self.weights.get(&format!("{name}.bias"), [out])?;
        self.named(name, |graph| graph.conv1d(x, Conv1d::new(weight, Some(bias)).stride(stride)))
    }
}
