//! A small super-resolution network that doubles a picture's width and height. Trained by `assets/upscale/train.py`.

use super::{Conv, Layers};
use crate::error::Result;
use crate::ops::PaddingMode;
use crate::{Graph, Value, Weights};

/// Adds the network: RGB `[N, 3, H, W]` in 0..1 to `[N, 3, 2H, 2W]`. Four convolutions correct the result of one linear
/// filter (bicubic interpolation, before training); a pixel shuffle turns channels into pixels.
pub fn upscale(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    let mut net = Layers { graph, weights };
    let conv = |out, kernel| Conv { padding_mode: PaddingMode::Replicate, bias: true, ..Conv::same(out, kernel) };
    let filtered = net.conv(x, "skip", Conv { bias: false, ..conv(12, 5) })?;
    let mut y = x;
    for (name, kernel) in [("conv1", 5), ("conv2", 3), ("conv3", 3)] {
        y = net.conv(y, name, conv(32, kernel))?;
        y = net.graph.relu(y)?;
    }
    let y = net.conv(y, "conv4", conv(12, 3))?;
    let y = net.graph.add(y, filtered)?;
    net.graph.pixel_shuffle(y, 2)
}

/// Returns the weights of [`upscale`], which this crate ships.
pub fn upscale_weights() -> Result<Weights> {
    Weights::from_static("upscale.safetensors", include_bytes!("../../assets/upscale/upscale.safetensors"))
}
