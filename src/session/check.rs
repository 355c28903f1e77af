//! Contexts with the kernels that their device is seen to run.

use super::Model;
use crate::error::Result;
use crate::gpu::{Context, ContextOptions};
use crate::ops::Conv2d;
use crate::{BATCH, Constant, Graph};

impl Context {
    /// A context of its own, on the adapter that wgpu prefers.
    pub async fn new() -> Result<Context> {
        Context::with(&ContextOptions::new()).await
    }

    /// A context of its own, on the adapter that the options name.
    ///
    /// On llvmpipe this compiles and runs one small convolution, to see that the driver does what the kernels that suit it
    /// rely on; if it doesn't, the portable ones serve.
    pub async fn with(options: &ContextOptions) -> Result<Context> {
        let context = Context::open(options).await?;
        if options.portable { Ok(context) } else { context.with_lanes().await }
    }

    /// The same device with the kernels that suit llvmpipe, if it is one and computes what it should with them; otherwise
    /// this context. Submits to the queue and waits: that is why [`Context::from_wgpu`] doesn't. So do the sessions made with
    /// them, while they upload weights.
    pub async fn with_lanes(self) -> Result<Context> {
        let Some(lanes) = self.unchecked_lanes() else { return Ok(self) };
        let name = &self.info().name;
        match convolution(&lanes).await {
            Ok(true) => return Ok(lanes),
            Ok(false) => log::warn!("{name}: the kernels for llvmpipe compute wrong results, the portable ones serve"),
            Err(error) => log::warn!("{name}: the kernels for llvmpipe don't run ({error}), the portable ones serve"),
        }
        Ok(self)
    }
}

/// Runs a small padded convolution whose result is known, and says whether it comes out right. It needs what those kernels
/// need: texels outside a texture read as zero, stores outside are dropped, shuffles between lanes.
async fn convolution(context: &Context) -> Result<bool> {
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
    Ok(outputs[0].f32()?.iter().enumerate().all(|(i, &value)| (value - expected(i)).abs() < 1e-3))
}
