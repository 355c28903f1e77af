//! Latency against throughput: MobileNetV2 frame by frame, with frames in flight, and in batches.
//!
//! `cargo run --release --example batching [SIZE]`: images of SIZE x SIZE pixels, 224 if not given.

use futures::{TryStreamExt, stream};
use shadernet::{Context, Model, Result, Weights, models, seeded_input};
use std::time::Instant;

fn main() -> Result<()> {
    let size = std::env::args().nth(1).and_then(|size| size.parse().ok()).unwrap_or(224);
    let context = pollster::block_on(Context::new())?;
    let graph = models::find("mobilenet_v2")?.graph(&Weights::seeded(0), Some([size, size]))?;
    let model = Model::new(&context, &graph)?;
    println!("MobileNetV2, seeded weights, {size}x{size}, on {}", context.info().name);

    // The sessions share the model's weights.
    for (batch, in_flight) in [(1, 1), (1, 2), (8, 1), (8, 2)] {
        let session = model.session(batch)?;
        let image = [seeded_input(0, &session.inputs()[0].shape)];
        session.run_blocking(&image)?;

        let frames = 16 / batch;
        let start = Instant::now();
        let done = stream::iter((0..frames).map(|_| image.clone()));
        let outputs: Vec<_> = pollster::block_on(session.stream(done, in_flight).try_collect())?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "batch {batch}, {in_flight} in flight: a result every {:6.1} ms, {:6.1} images/s",
            1e3 * seconds / outputs.len() as f64,
            (frames * batch) as f64 / seconds
        );
    }
    Ok(())
}
