//! Text, character by character: `cargo run --release --example generate [PROMPT [CHARACTERS [TEMPERATURE [SEED]]]]`
//!
//! A decoder also gives the clearest picture of latency against throughput: the prompt's tokens go through together,
//! each new one alone, since it follows from the one before; and several texts at once take little longer than one.

use shadernet::models::{Generator, sample, shakespeare};
use shadernet::{Context, ContextOptions, Result, Shape, seeded_input};
use std::io::Write;
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let prompt = arguments.next().unwrap_or("ROMEO:\n".into());
    let mut number = |otherwise: f32| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (characters, temperature, seed) = (number(240.0) as usize, number(0.8), number(0.0) as u64);

    let text = shakespeare()?;
    let context = pollster::block_on(Context::with(&ContextOptions::from_env()))?;
    let mut generator = Generator::new(&context, text.decoder, &text.weights, 1)?;
    let tokens = text.encode(&prompt)?;
    generator.prepare(tokens.len())?;

    let start = Instant::now();
    let mut logits = generator.feed_blocking(&tokens)?;
    let prefill = start.elapsed().as_secs_f64();

    print!("{prompt}");
    let characters = characters.min(generator.capacity() - generator.position());
    // These numbers are in ±1; `sample` takes numbers in 0..1.
    let random = seeded_input(seed, &Shape::from([characters]));
    let start = Instant::now();
    for random in random {
        let token = sample(&logits, temperature, (random + 1.0) / 2.0);
        print!("{}", text.decode(&[token]));
        // A reader sees the text grow. If nobody reads, that is no reason to stop.
        let _unseen = std::io::stdout().flush();
        logits = generator.feed_blocking(&[token])?;
    }
    let decode = start.elapsed().as_secs_f64();

    println!("\n\non {}:", context.info().name);
    println!("the prompt, {} tokens at once: {:.1} ms", tokens.len(), 1e3 * prefill);
    println!("then one after the other: {:.2} ms a token", 1e3 * decode / characters.max(1) as f64);
    for batch in [1, 4, 16] {
        let mut generator = Generator::new(&context, text.decoder, &text.weights, batch)?;
        let tokens = vec![0; batch];
        generator.feed_blocking(&tokens)?;
        let steps = 20;
        let start = Instant::now();
        for _ in 0..steps {
            generator.feed_blocking(&tokens)?;
        }
        let step = start.elapsed().as_secs_f64() / f64::from(steps);
        println!("{batch:>3} texts at once: {:6.2} ms a step, {:6.0} tokens/s", 1e3 * step, batch as f64 / step);
    }
    Ok(())
}
