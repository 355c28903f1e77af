//! Speech in a recording: `cargo run --release --features audio,onnx --example voice_activity [FILE.wav]`
//!
//! A recurrent network from an ONNX file hears 32 ms at a time, as from a microphone. Its state stays on the device: a frame
//! begins with what the frame before left. Without a file it hears the held-out recording beside the network.

use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::import::wav;
use shadernet::{Context, Model};
use std::path::Path;
use std::time::Instant;

/// The samples that the network takes at a time, and their rate.
const CHUNK: usize = 512;
const RATE: u32 = 16000;
/// The probabilities from which speech begins, and below which it ends.
const BEGIN: f32 = 0.5;
const END: f32 = 0.3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or("assets/voice/held_out.wav".into());
    let sound = wav::open(Path::new(&path))?;
    if (sound.rate, sound.channels) != (RATE, 1) {
        let (rate, channels) = (sound.rate, sound.channels);
        return Err(format!("{path}: wanted {RATE} samples a second of 1 channel, got {rate} of {channels}").into());
    }

    let context = pollster::block_on(Context::new())?;
    // The output `hn` becomes the input `h` of the next frame: the graph has a state instead of both.
    let graph = Onnx::open("assets/voice/voice.onnx")?.graph(&Bindings::new().state("h", "hn"))?;
    let session = Model::new(&context, &graph)?.session(1)?;

    let seconds = |chunk: usize| (chunk * CHUNK) as f32 / RATE as f32;
    let (mut begun, mut chunks) = (None, 0);
    let start = Instant::now();
    for samples in sound.samples.chunks(CHUNK) {
        // Zeros fill the last chunk.
        let mut chunk = samples.to_vec();
        chunk.resize(CHUNK, 0.0);
        let speech = session.run_blocking(&[chunk])?.take("speech")?.into_f32()?[0];
        match begun {
            None if speech >= BEGIN => begun = Some(chunks),
            Some(first) if speech < END => {
                println!("speech {:.2} s to {:.2} s", seconds(first), seconds(chunks));
                begun = None;
            }
            _ => {}
        }
        chunks += 1;
    }
    if let Some(first) = begun {
        println!("speech {:.2} s to {:.2} s", seconds(first), seconds(chunks));
    }
    let took = start.elapsed().as_secs_f32() / chunks.max(1) as f32;
    println!("{chunks} chunks of {:.0} ms, {:.2} ms each on {}", 1e3 * seconds(1), 1e3 * took, context.info().name);
    Ok(())
}
