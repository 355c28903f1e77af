//! torchvision's VGG: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014.

use super::{Conv, Layers};
use crate::error::Result;
use crate::ops::{Pool2d, PoolKind};
use crate::{Graph, Value, Weights};

/// The channels of the 3x3 convolutions in each of the five stages.
const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];

macro_rules! vgg {
    ($($name:ident $name_bn:ident $layers:literal $depths:expr;)*) => {$(
        #[doc = concat!("VGG-", $layers, " without batch norm.")]
        pub fn $name(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
            vgg(graph, x, weights, $depths, false)
        }

        #[doc = concat!("VGG-", $layers, " with batch norm.")]
        pub fn $name_bn(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
            vgg(graph, x, weights, $depths, true)
        }
    )*};
}

vgg! {
    vgg11 vgg11_bn "11" [1, 1, 2, 2, 2];
    vgg13 vgg13_bn "13" [2, 2, 2, 2, 2];
    vgg16 vgg16_bn "16" [2, 2, 3, 3, 3];
    vgg19 vgg19_bn "19" [2, 2, 4, 4, 4];
}

fn vgg(graph: &mut Graph, mut x: Value, weights: &Weights, depths: [usize; 5], norm: bool) -> Result<Value> {
    let mut net = Layers { graph, weights };
    // torchvision numbers all layers of the sequence, including those without weights.
    let mut index = 0;
    for (channels, depth) in CHANNELS.into_iter().zip(depths) {
        for _ in 0..depth {
            x = net.conv(x, &format!("features.{index}"), Conv { bias: true, ..Conv::same(channels, 3) })?;
            if norm {
                index += 1;
                x = net.batch_norm(x, &format!("features.{index}"))?;
            }
            x = net.graph.relu(x)?;
            index += 2;
        }
        x = net.graph.pool2d(x, Pool2d::new(PoolKind::Max, 2))?;
        index += 1;
    }
    x = net.graph.pool2d(x, Pool2d::adaptive(PoolKind::Average, [7, 7]))?;
    x = net.graph.flatten(x)?;
    for name in ["classifier.0", "classifier.3"] {
        x = net.linear(x, name, 4096)?;
        x = net.graph.relu(x)?;
    }
    net.linear(x, "classifier.6", 1000)
}
