//! A decoder of 135 M parameters: `cargo bench --bench decoder -- [--batch N,...] [--json=FILE]` prints the time of a
//! prompt, and for each number of texts the time of a token after it, tokens per second, and where that time goes.
//! `--json=FILE` writes the same to a file.
//!
//! A frame goes from the tokens in host memory to the logits in host memory. Weights are made up; the sizes are those of
//! SmolLM-135M, with room for shorter texts.

use serde_json::json;
use shadernet::measure::{Distribution, Effort, Environment, Peaks, Profile, digits};
use shadernet::models::{Decoder, Generator};
use shadernet::{Context, ContextOptions, ErrorKind, Model, Result, Weights};
use std::path::Path;
use std::time::{Duration, Instant};

const DECODER: Decoder = Decoder {
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 1e4,
    tie_word_embeddings: true,
};

/// The number of tokens in the prompt.
const PROMPT: usize = 128;
/// The time of each measurement, which ends with the frame that exceeds it, and after five frames at least.
const TIME: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let (mut batches, mut json) = (vec![1, 8, 64], None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--batch" => batches = parse_batches(&arguments.next().unwrap_or_default())?,
            // cargo adds this.
            "--bench" => {}
            other => match other.strip_prefix("--json=") {
                Some(file) => json = Some(file.to_owned()),
                None => return Err(ErrorKind::argument("argument", "--batch N,... or --json=FILE", other).into()),
            },
        }
    }
    let context = pollster::block_on(Context::with(&ContextOptions::from_env()))?;
    let (environment, info) = (Environment::new(&context), context.info());
    println!("{} ({:?}, {})", info.name, info.backend, info.driver_info);
    let (weights, peaks) = (Weights::seeded(0), Peaks::measure(&context)?);
    // One text only: a frame gives the logits of every token, which are gigabytes for many texts.
    let mut generator = Generator::new(&context, DECODER, &weights, 1)?;
    let times = feed(&mut generator, PROMPT)?;
    drop(generator);
    let rate = PROMPT as f64 / times.p50.as_secs_f64();
    println!("a prompt of {PROMPT} tokens: {} ms, {} tokens/s", ms(&times), digits(rate));
    let prompt = json!({ "tokens": PROMPT, "ms": times, "tokens_s": rate });
    let mut texts = Vec::new();
    for batch in batches {
        let mut generator = Generator::new(&context, DECODER, &weights, batch)?;
        // All texts of a frame together have at most PROMPT tokens.
        let length = (PROMPT / batch.next_power_of_two()).max(1);
        while generator.position() < PROMPT {
            generator.feed_blocking(&vec![0; batch * length])?;
        }
        let times = feed(&mut generator, 1)?;
        drop(generator);
        let rate = batch as f64 / times.p50.as_secs_f64();
        println!("\ntexts at once: {batch}; {} ms a frame of one token each, {} tokens/s", ms(&times), digits(rate));
        let session = Model::new(&context, &DECODER.next(&weights, 1)?)?.session(batch)?;
        let profile = Profile::measure(&session, &peaks, Effort::within(TIME))?;
        println!("{profile}");
        texts.push(json!({ "texts": batch, "ms": times, "tokens_s": rate, "profile": profile }));
    }
    if let Some(path) = json {
        let all = json!({ "environment": environment, "peaks": peaks, "prompt": prompt, "texts": texts });
        std::fs::write(&path, format!("{all:#}\n")).map_err(|error| ErrorKind::file(Path::new(&path), error))?;
    }
    Ok(())
}

fn parse_batches(text: &str) -> Result<Vec<usize>> {
    let batch = |text: &str| text.parse().ok().filter(|batch| (1..=1 << 10).contains(batch));
    let batches: Option<Vec<usize>> = text.split(',').map(batch).collect();
    batches.ok_or_else(|| ErrorKind::argument("--batch", "N,..., each 1 to 1024", text).into())
}

/// Feeds `length` tokens again and again, after the same text each time. The first frame isn't timed.
fn feed(generator: &mut Generator, length: usize) -> Result<Distribution> {
    generator.prepare(length)?;
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || start.elapsed() < TIME {
        let frame = Instant::now();
        generator.prepare(length)?;
        times.push(frame.elapsed());
    }
    Ok(Distribution::new(times).expect("five times at least"))
}

/// Returns the median in milliseconds.
fn ms(times: &Distribution) -> String {
    digits(1e3 * times.p50.as_secs_f64())
}
