//! MobileNetV2: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.

use super::{Conv, Layers};
use crate::error::Result;
use crate::ops::Activation;
use crate::{Graph, Value, Weights};

/// Table 2 of the paper: expansion, output channels, repeats, stride of the first.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// Adds MobileNetV2: depthwise inverted residuals, 3.5 M parameters, 0.3 G multiply-accumulates at 224x224.
pub fn mobilenet_v2(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    let mut net = Layers { graph, weights };
    let mut x = net.conv_norm_relu6(x, "features.0", Conv { stride: 2, ..Conv::same(32, 3) })?;
    let mut index = 1;
    for (expansion, channels, repeats, stride) in STAGES {
        for i in 0..repeats {
            let stride = if i == 0 { stride } else { 1 };
            x = net.inverted_residual(x, &format!("features.{index}"), expansion, channels, stride)?;
            index += 1;
        }
    }
    let x = net.conv_norm_relu6(x, &format!("features.{index}"), Conv::new(1280, 1))?;
    let x = net.global_mean(x)?;
    let x = net.graph.flatten(x)?;
    net.linear(x, "classifier.1", 1000)
}

impl Layers<'_> {
    /// Adds a block: 1x1 to more channels, 3x3 depthwise, 1x1 to few without activation; plus x if the shapes agree.
    fn inverted_residual(
        &mut self,
        x: Value,
        name: &str,
        expansion: usize,
        out: usize,
        stride: usize,
    ) -> Result<Value> {
        let channels = self.channels(x)?;
        let hidden = channels * expansion;
        let mut y = x;
        let mut part = 0;
        if expansion != 1 {
            y = self.conv_norm_relu6(y, &format!("{name}.conv.0"), Conv::new(hidden, 1))?;
            part = 1;
        }
        y = self.conv_norm_relu6(
            y,
            &format!("{name}.conv.{part}"),
            Conv { stride, groups: hidden, ..Conv::same(hidden, 3) },
        )?;
        y = self.conv(y, &format!("{name}.conv.{}", part + 1), Conv::new(out, 1))?;
        y = self.batch_norm(y, &format!("{name}.conv.{}", part + 2))?;
        if stride == 1 && channels == out { self.graph.add(x, y) } else { Ok(y) }
    }

    fn conv_norm_relu6(&mut self, x: Value, name: &str, conv: Conv) -> Result<Value> {
        self.conv_norm_activation(x, name, conv, 1e-5, Some(Activation::Relu6))
    }
}
