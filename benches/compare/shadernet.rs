//! shadernet, one of the programs that compare.py measures: see peer.rs. With `--profile` it prints a profile of a
//! frame instead, for the decoder too, which `shadernet profile` doesn't know.

mod peer;

use peer::{Array, PROMPT, Result, Task};
use pollster::block_on;
use shadernet::measure::{Effort, Environment, Peaks, Profile};
use shadernet::models::{Decoder, find};
use shadernet::{Context, ContextOptions, Data, Model, Session, Weights};

/// The decoder that networks.py builds.
const DECODER: Decoder = Decoder {
    vocab_size: 512,
    hidden_size: 256,
    intermediate_size: 704,
    num_hidden_layers: 4,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 1e4,
    tie_word_embeddings: false,
};

fn main() -> Result<()> {
    // `cargo bench` adds options, which are ignored.
    let (options, task): (Vec<String>, _) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let task = Task::of(task.into_iter())?;
    if options.iter().any(|option| option == "--profile") {
        let (context, session, inputs) = open(&task)?;
        session.run_blocking(&inputs)?;
        println!("{}", Profile::measure(&session, &Peaks::measure(&context)?, Effort::default())?);
        return Ok(());
    }
    let mut environment = None;
    let mut measured = task.measure(|| {
        let (context, session, inputs) = open(&task)?;
        environment = Some(Environment::new(&context));
        Ok(move || Ok(session.run_blocking(&inputs)?[0].f32()?.to_vec()))
    })?;
    measured["environment"] = serde_json::to_value(environment)?;
    println!("{measured}");
    Ok(())
}

/// Returns the context, a session for the task's batch, and its inputs.
fn open(task: &Task) -> Result<(Context, Session, Vec<Data>)> {
    let context = block_on(Context::with(&ContextOptions::from_env()))?;
    let weights = Weights::open(&task.weights)?;
    let batch = task.input.shape[0];
    let graph = match task.network.as_str() {
        "decoder_prefill" | "decoder_decode" => DECODER.next(&weights, PROMPT)?,
        name => find(name)?.graph(&weights, None)?,
    };
    let model = Model::new(&context, &graph)?;
    let mut session = model.session(batch)?;
    let mut inputs = match task.network.starts_with("decoder") {
        true => tokens(&task.input, 0, PROMPT),
        false => vec![Data::F32(task.input.values.clone())],
    };
    if task.network == "decoder_decode" {
        session.run_blocking(&inputs)?;
        session = model.with_graph(&DECODER.next(&weights, 1)?)?.session_sharing(batch, &session)?;
        inputs = tokens(&task.input, PROMPT, 1);
    }
    Ok((context, session, inputs))
}

/// Returns some tokens of each text, and the number of tokens before them.
fn tokens(input: &Array, before: usize, count: usize) -> Vec<Data> {
    vec![Data::I32(input.tokens(before..before + count)), Data::I32(vec![before as i32; input.shape[0]])]
}
