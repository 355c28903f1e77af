//! torchvision's ResNet: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015 (version 1.5: the
//! stride of a bottleneck is in its 3x3 convolution). ResNeXt: Xie, Girshick, Dollár, Tu, He, "Aggregated Residual
//! Transformations for Deep Neural Networks", 2016.

use super::{Conv, Layers};
use crate::error::Result;
use crate::ops::{Activation, Pool2d, PoolKind};
use crate::{Graph, Value, Weights};

/// The block that a stage repeats.
#[derive(Clone, Copy)]
enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1 to fewer channels, 3x3 (in groups), 1x1 to four times the stage's width.
    Bottleneck { groups: usize, width_per_group: usize },
}

const BOTTLENECK: Block = Block::Bottleneck { groups: 1, width_per_group: 64 };

/// Adds ResNet-18: 18 layers, 11.7 M parameters, 1.8 G multiply-accumulates at 224x224.
pub fn resnet18(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    resnet(graph, x, weights, Block::Basic, [2, 2, 2, 2])
}

/// Adds ResNet-34: 34 layers, 21.8 M parameters, 3.7 G multiply-accumulates at 224x224.
pub fn resnet34(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    resnet(graph, x, weights, Block::Basic, [3, 4, 6, 3])
}

/// Adds ResNet-50: 50 layers, 25.6 M parameters, 4.1 G multiply-accumulates at 224x224.
pub fn resnet50(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    resnet(graph, x, weights, BOTTLENECK, [3, 4, 6, 3])
}

/// Adds ResNet-101: 101 layers, 44.5 M parameters, 7.8 G multiply-accumulates at 224x224.
pub fn resnet101(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    resnet(graph, x, weights, BOTTLENECK, [3, 4, 23, 3])
}

/// Adds ResNet-152: 152 layers, 60.2 M parameters, 11.5 G multiply-accumulates at 224x224.
pub fn resnet152(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    resnet(graph, x, weights, BOTTLENECK, [3, 8, 36, 3])
}

/// Adds ResNeXt-50 with 32 groups of 4 channels: 25.0 M parameters, 4.2 G multiply-accumulates at 224x224.
pub fn resnext50_32x4d(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    resnet(graph, x, weights, Block::Bottleneck { groups: 32, width_per_group: 4 }, [3, 4, 6, 3])
}

fn resnet(graph: &mut Graph, x: Value, weights: &Weights, block: Block, depths: [usize; 4]) -> Result<Value> {
    let mut net = Layers { graph, weights };
    let x = net.conv(x, "conv1", Conv { stride: 2, ..Conv::same(64, 7) })?;
    let x = net.batch_norm(x, "bn1")?;
    let x = net.graph.relu(x)?;
    let mut x = net.graph.pool2d(x, Pool2d::new(PoolKind::Max, 3).stride(2).padding(1))?;
    for (i, depth) in depths.into_iter().enumerate() {
        for j in 0..depth {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            x = net.block(x, &format!("layer{}.{j}", i + 1), block, 64 << i, stride)?;
        }
    }
    net.classify(x, 1000)
}

impl Layers<'_> {
    /// Adds `relu(x + f(x))`; x goes through a 1x1 convolution if f changes its shape.
    fn block(&mut self, x: Value, name: &str, block: Block, planes: usize, stride: usize) -> Result<Value> {
        let (y, out) = match block {
            Block::Basic => {
                let y = self.conv_norm(x, name, 1, Conv { stride, ..Conv::same(planes, 3) })?;
                let y = self.graph.relu(y)?;
                (self.conv_norm(y, name, 2, Conv::same(planes, 3))?, planes)
            }
            Block::Bottleneck { groups, width_per_group } => {
                let width = planes * width_per_group / 64 * groups;
                let y = self.conv_norm(x, name, 1, Conv::new(width, 1))?;
                let y = self.graph.relu(y)?;
                let y = self.conv_norm(y, name, 2, Conv { stride, groups, ..Conv::same(width, 3) })?;
                let y = self.graph.relu(y)?;
                (self.conv_norm(y, name, 3, Conv::new(4 * planes, 1))?, 4 * planes)
            }
        };
        let mut identity = x;
        if stride != 1 || self.channels(x)? != out {
            identity = self.conv(x, &format!("{name}.downsample.0"), Conv { stride, ..Conv::new(out, 1) })?;
            identity = self.batch_norm(identity, &format!("{name}.downsample.1"))?;
        }
        let sum = self.graph.add(y, identity)?;
        self.graph.activation(sum, Activation::Relu)
    }

    /// Adds the block's n-th convolution and its batch norm.
    fn conv_norm(&mut self, x: Value, block: &str, n: usize, conv: Conv) -> Result<Value> {
        let y = self.conv(x, &format!("{block}.conv{n}"), conv)?;
        self.batch_norm(y, &format!("{block}.bn{n}"))
    }

    /// Adds the mean over the image, then a linear layer.
    fn classify(&mut self, x: Value, classes: usize) -> Result<Value> {
        let x = self.global_mean(x)?;
        let x = self.graph.flatten(x)?;
        self.linear(x, "fc", classes)
    }

    /// Adds the small residual network that reads digits: a stem without pooling, two basic blocks.
    pub(super) fn small_resnet(&mut self, x: Value) -> Result<Value> {
        let x = self.conv(x, "conv1", Conv::same(32, 3))?;
        let x = self.batch_norm(x, "bn1")?;
        let x = self.graph.relu(x)?;
        let x = self.block(x, "layer1.0", Block::Basic, 32, 1)?;
        let x = self.block(x, "layer2.0", Block::Basic, 64, 2)?;
        self.classify(x, 10)
    }
}
