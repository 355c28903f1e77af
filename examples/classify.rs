//! The class of a picture: `cargo run --release --features image --example classify IMAGE [MODEL [WEIGHTS.safetensors]]`
//!
//! With one argument the picture is a handwritten digit, for the network whose weights the crate ships:
//! `cargo run --release --features image --example classify assets/digits/seven.png`. Other networks take torchvision's weights.

use shadernet::{Context, Model, Weights, import, models};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().ok_or("which image?")?;
    let network = models::find(&arguments.next().unwrap_or("digits".into()))?;
    let weights = match (arguments.next(), network.weights) {
        (Some(file), _) => Weights::open(file)?,
        (None, Some(shipped)) => shipped()?,
        (None, None) => return Err("which weights?".into()),
    };
    let (_, pixels) = import::image::load(Path::new(&image), &network)?;

    let context = pollster::block_on(Context::new())?;
    let session = Model::new(&context, &network.graph(&weights, None)?)?.session(1)?;
    let logits = session.run_blocking(&[pixels])?.take("logits")?.into_f32()?;

    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).ok_or("no classes")?;
    let sum: f32 = logits.iter().map(|logit| (logit - logits[best]).exp()).sum();
    println!("{image}: class {best}, with a probability of {:.1} %", 100.0 / sum);
    Ok(())
}
