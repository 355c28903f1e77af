//! Whether a device computes what the kernels for llvmpipe rely on.

use super::Model;
use crate::error::Result;
use crate::gpu::Context;
use crate::ops::Conv2d;
use crate::{BATCH, Constant, Graph};

/// Runs a small padded convolution whose result is known, and says whether it comes out right. It needs what those kernels
/// need: texels outside a texture read as zero, stores outside are dropped, shuffles between lanes.
pub(crate) async fn convolution(context: &Context) -> Result<bool> {
    // Each output counts the pixels under its window, times what its channel is worth.
    let (channels, height, width) = (36, 5, 7);
    let worth = |o: usize| (o % 7) as f32 - 3.0;
    let weights = (0..channels * 9).map(|i| worth(i / 9)).collect();
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 1, height, width]);
    let y = graph.conv2d(x, Conv2d::new(Constant::new("check", [channels, 1, 3, 3], weights), None).padding(1))?;
    // A second layer reads what the first one wrote, beyond its edges too.
    let weights = (0..channels * channels).map(|i| if i % (channels + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let y = graph.conv2d(y, Conv2d::new(Constant::new("check", [channels, channels, 1, 1], weights), None))?;
    graph.output("y", y);
    let outputs = Model::new(context, &graph)?.session(2)?.run(&[vec![1.0; 2 * height * width]]).await?;
    let under = |i: usize, size: usize| if i == 0 || i + 1 == size { 2.0 } else { 3.0 };
    let expected =
        |i: usize| worth(i / (height * width) % channels) * under(i / width % height, height) * under(i % width, width);
    Ok(outputs[0].iter().enumerate().all(|(i, &value)| (value - expected(i)).abs() < 1e-3))
}
