//! A photograph at twice its size: `cargo run --release --features image --example upscale FROM.png TO.png`

use shadernet::{Context, Model, import, models};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (from, to) = arguments.next().zip(arguments.next()).ok_or("from which image to which?")?;
    let network = models::find("upscale")?;
    let (shape, pixels) = import::image::load(Path::new(&from), &network)?;

    // The graph is built for the picture's size.
    let graph = network.graph(&models::upscale_weights()?, Some([shape[2], shape[3]]))?;
    let context = pollster::block_on(Context::new())?;
    let session = Model::new(&context, &graph)?.session(1)?;
    let larger = session.run_blocking(&[pixels])?.take("image")?.into_f32()?;

    import::image::save(Path::new(&to), &session.outputs()[0].shape, &larger)?;
    println!("{from} {shape} is {to} {} now", session.outputs()[0].shape);
    Ok(())
}
