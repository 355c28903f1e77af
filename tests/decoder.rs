//! Decoders: against Hugging Face's Llama with seeded weights, against PyTorch with the crate's own weights; token by
//! token against a full pass; and their refusals.

use pollster::block_on;
use safetensors::{Dtype, SafeTensors};
use shadernet::models::{CharacterModel, Decoder, Generator, sample, shakespeare};
use shadernet::{Context, ContextOptions, Data, ErrorKind, Model, Precision, Weights};
use std::sync::OnceLock;

const TINY: &[u8] = include_bytes!("goldens/decoder.safetensors");
const TEXT: &[u8] = include_bytes!("../assets/text/golden.safetensors");

/// The decoder that `tests/goldens/generate_decoder.py` builds.
const DECODER: Decoder = Decoder {
    vocab_size: 17,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 1e4,
    tie_word_embeddings: false,
};

/// Returns the portable kernels' context, and the context that the environment names.
fn contexts() -> &'static [Context; 2] {
    static CONTEXTS: OnceLock<[Context; 2]> = OnceLock::new();
    CONTEXTS.get_or_init(|| {
        let options = ContextOptions::from_env();
        [options.clone().plain(), options].map(|options| {
            block_on(Context::with(&options)).unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
        })
    })
}

fn words<T>(file: &[u8], name: &str, dtype: Dtype, word: impl Fn([u8; 4]) -> T) -> Vec<T> {
    let file = SafeTensors::deserialize(file).expect("the file is whole");
    let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(tensor.dtype(), dtype, "{name}");
    tensor.data().chunks_exact(4).map(|b| word([b[0], b[1], b[2], b[3]])).collect()
}

fn tokens(file: &[u8], name: &str) -> Vec<i32> {
    words(file, name, Dtype::I32, i32::from_le_bytes)
}

fn logits(file: &[u8], name: &str) -> Vec<f32> {
    words(file, name, Dtype::F32, f32::from_le_bytes)
}

/// Checks that no number is off by more than 2e-5 of the largest.
fn assert_close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    let off = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    let worst = off.fold(0.0, |most: f32, off| if off > most || off.is_nan() { off } else { most });
    assert!(worst <= 2e-5 * largest, "{what}: off by {worst}, the largest is {largest}");
}

/// Returns `[batch, first..last]` of `[batch, length]` rows of `width`.
fn part<T: Copy>(all: &[T], length: usize, width: usize, first: usize, last: usize) -> Vec<T> {
    all.chunks_exact(length * width).flat_map(|text| &text[first * width..last * width]).copied().collect()
}

#[test]
fn a_whole_text_gives_what_hugging_face_gives() {
    let graph = DECODER.full(&Weights::seeded(0), 12).unwrap_or_else(|error| panic!("{error}"));
    for context in contexts() {
        let session = Model::new(context, &graph).and_then(|model| model.session(2)).unwrap_or_else(|e| panic!("{e}"));
        let outputs = session.run_blocking(&[tokens(TINY, "tokens")]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(session.outputs()[0].shape[..], [2, 12, 17]);
        assert_close("logits", outputs[0].f32().expect("they are"), &logits(TINY, "logits"));
    }
}

/// A prompt and then single tokens, single tokens only, and parts of several sizes all give the same logits.
#[test]
fn prefill_and_decode_give_what_a_full_pass_gives() {
    let (tokens, want) = (tokens(TINY, "tokens"), logits(TINY, "logits"));
    let weights = Weights::seeded(0);
    for context in contexts() {
        for lengths in [&[7, 1, 1, 1, 1, 1][..], &[1; 12], &[2, 3, 1, 6], &[12]] {
            let mut before = None;
            let mut position = 0;
            for &length in lengths {
                let graph = DECODER.next(&weights, length).unwrap_or_else(|error| panic!("{error}"));
                let model = Model::new(context, &graph).expect("it has an output");
                let session = match &before {
                    None => model.session(2),
                    Some(before) => model.session_sharing(2, before),
                };
                let session = session.unwrap_or_else(|error| panic!("{error}"));
                let inputs = [part(&tokens, 12, 1, position, position + length), vec![position as i32; 2]];
                let outputs = session.run_blocking(&inputs).unwrap_or_else(|error| panic!("{error}"));
                let want = part(&want, 12, 17, position, position + length);
                assert_close(&format!("{lengths:?} at {position}"), outputs[0].f32().expect("they are"), &want);
                position += length;
                before = Some(session);
            }
        }
    }
}

/// Texts of one batch need not be equally long.
#[test]
fn each_text_has_its_own_position() {
    let (tokens, want) = (tokens(TINY, "tokens"), logits(TINY, "logits"));
    let graph = DECODER.next(&Weights::seeded(0), 1).unwrap_or_else(|error| panic!("{error}"));
    let session = Model::new(&contexts()[1], &graph).and_then(|model| model.session(2)).expect("it is small");
    // The second text begins three steps later and overwrites the rows of the first frames.
    for step in 0..12usize {
        let at = [step, step.saturating_sub(3)];
        let inputs = [vec![tokens[at[0]], tokens[12 + at[1]]], at.map(|at| at as i32).to_vec()];
        let outputs = session.run_blocking(&inputs).unwrap_or_else(|error| panic!("{error}"));
        let want = [&want[at[0] * 17..][..17], &want[(12 + at[1]) * 17..][..17]].concat();
        assert_close(&format!("step {step}"), outputs[0].f32().expect("they are"), &want);
    }
}

#[test]
fn a_generator_feeds_in_chunks() {
    let (tokens, want) = (tokens(TINY, "tokens"), logits(TINY, "logits"));
    let mut generator = Generator::new(&contexts()[1], DECODER, &Weights::seeded(0), 2).expect("it is small");
    for _ in 0..2 {
        let mut position = 0;
        for length in [5, 1, 3, 1, 2] {
            let next = part(&tokens, 12, 1, position, position + length);
            let got = if length == 3 { block_on(generator.feed(&next)) } else { generator.feed_blocking(&next) };
            position += length;
            assert_eq!(generator.position(), position);
            let want = part(&want, 12, 17, position - 1, position);
            assert_close(&format!("up to {position}"), &got.unwrap_or_else(|error| panic!("{error}")), &want);
        }
        // The second pass starts again, in the same memory.
        generator.clear();
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut generator = Generator::new(&contexts()[1], DECODER, &Weights::seeded(0), 1).expect("it is small");
    let refused = |generator: &mut Generator, tokens: &[i32]| {
        let error = generator.feed_blocking(tokens).expect_err("it should be refused");
        assert!(matches!(error.kind, ErrorKind::Argument { .. }), "{error}");
        error.to_string()
    };
    assert!(refused(&mut generator, &[0; 65]).contains("tokens: wanted at most 64: room for 64, got 65"));
    generator.feed_blocking(&[0; 60]).expect("there is room");
    assert!(refused(&mut generator, &[0; 5]).contains("tokens: wanted at most 4: room for 64, got 5"));
    for token in [17, -1, i32::MAX] {
        assert!(refused(&mut generator, &[token]).contains(&format!("token: wanted 0 to 16, got {token}")));
    }
    assert!(generator.prepare(usize::MAX).expect_err("no room").to_string().contains("at most 4: room for 64, got"));
    assert!(refused(&mut generator, &[]).contains("tokens: wanted as many for each of 1 texts"));
    assert_eq!(generator.position(), 60);
    generator.feed_blocking(&[0; 4]).expect("there is room");

    // Sessions check their inputs: a position beyond the cache, a token beyond the vocabulary.
    let graph = DECODER.next(&Weights::seeded(0), 2).expect("it fits");
    let session = Model::new(&contexts()[1], &graph).and_then(|model| model.session(1)).expect("it is small");
    let error = |tokens: [i32; 2], position: i32| {
        session.run_blocking(&[tokens.to_vec(), vec![position]]).expect_err("it should be refused").to_string()
    };
    let overflow = error([0, 0], 63);
    assert!(overflow.starts_with("input \"position\": wanted 0 to 62 for "), "{overflow}");
    let unknown = error([0, 17], 0);
    assert!(
        unknown.contains("input \"tokens\": wanted 0 to 16 for embedding \"model.embed_tokens\", got 17"),
        "{unknown}"
    );
    let floats = session.run_blocking(&[Data::F32(vec![0.0; 2]), Data::I32(vec![0])]).expect_err("tokens are integers");
    assert!(floats.to_string().contains("input \"tokens\": wanted i32, got f32"), "{floats}");

    // Graphs check their parameters.
    let refused = |decoder: Decoder, length: usize| {
        decoder.next(&Weights::seeded(0), length).expect_err("it should be refused").to_string()
    };
    assert!(refused(DECODER, 65).contains("length: wanted 1 to 64 tokens, got 65"));
    assert!(refused(DECODER, 0).contains("length"));
    for heads in [0, 3, 8] {
        assert!(refused(Decoder { num_key_value_heads: heads, ..DECODER }, 1).contains("heads"));
    }
}

/// Two graphs that share weights keep them once on the device.
#[test]
fn prompt_and_next_token_share_weights() {
    let context = &contexts()[1];
    let weights = Weights::seeded(0);
    let one = Model::new(context, &DECODER.next(&weights, 1).expect("it fits")).expect("it has an output");
    let session = one.session(1).expect("it is small");
    let many = one.with_graph(&DECODER.next(&weights, 4).expect("it fits")).expect("it has an output");
    let sharing = many.session_sharing(1, &session).expect("the states are the same");
    // A shared session creates slots, parameters, bind groups and pipelines only: fewer objects than weights would add.
    let before = context.created();
    let again = many.session_sharing(1, &session).expect("the states are the same");
    let (slots, dispatches) = (again.plan().slots.len(), again.plan().dispatches());
    assert!(context.created() - before <= slots + dispatches + 1);
    drop(sharing);
    // A cache of another capacity is another state.
    let longer = Decoder { max_position_embeddings: 65, ..DECODER }.next(&weights, 1).expect("it fits");
    let model = one.with_graph(&longer).expect("it has an output");
    let error = model.session_sharing(1, &session).expect_err("the states differ").to_string();
    assert!(error.contains("the states of the other session: wanted") && error.contains("[1, 65, 16]"), "{error}");
}

#[test]
fn shakespeare_writes_what_pytorch_writes() {
    let text = shakespeare().unwrap_or_else(|error| panic!("{error}"));
    let passage = tokens(TEXT, "passage");
    let (prompt, continued) = (tokens(TEXT, "prompt"), tokens(TEXT, "continued"));
    for context in contexts() {
        let graph = text.decoder.full(&text.weights, passage.len()).unwrap_or_else(|error| panic!("{error}"));
        let session = Model::new(context, &graph).and_then(|model| model.session(1)).unwrap_or_else(|e| panic!("{e}"));
        let outputs = session.run_blocking(&[&passage]).unwrap_or_else(|error| panic!("{error}"));
        assert_close("logits", outputs[0].f32().expect("they are"), &logits(TEXT, "logits"));

        let written = greedy(context, &text, &prompt, continued.len(), Precision::F32);
        assert_eq!(text.decode(&written), text.decode(&continued));
    }
}

/// Returns a text of so many tokens that begins with the prompt: each further token is the likeliest.
fn greedy(context: &Context, text: &CharacterModel, prompt: &[i32], length: usize, precision: Precision) -> Vec<i32> {
    let generator = Generator::with_precision(context, text.decoder, &text.weights, 1, precision);
    let mut generator = generator.expect("it is small");
    let mut written = prompt.to_vec();
    let mut logits = generator.feed_blocking(prompt).unwrap_or_else(|error| panic!("{error}"));
    while written.len() < length {
        let token = sample(&logits, 0.0, 0.0);
        written.push(token);
        logits = generator.feed_blocking(&[token]).unwrap_or_else(|error| panic!("{error}"));
    }
    written
}

#[test]
fn half_precision_writes_the_same_text() {
    let text = shakespeare().unwrap_or_else(|error| panic!("{error}"));
    let prompt = tokens(TEXT, "prompt");
    let length = prompt.len() + 200;
    for context in contexts() {
        let whole = greedy(context, &text, &prompt, length, Precision::F32);
        for precision in [Precision::Mixed, Precision::F16] {
            let written = greedy(context, &text, &prompt, length, precision);
            let same = whole.iter().zip(&written).take_while(|(a, b)| a == b).count();
            assert_eq!(same, length, "{precision}: {:?} instead of {:?}", text.decode(&written), text.decode(&whole));
        }
    }
}

#[test]
fn text_becomes_tokens_and_back() {
    let text = shakespeare().unwrap_or_else(|error| panic!("{error}"));
    let line = "Now is the winter of our discontent\n";
    assert_eq!(text.decode(&text.encode(line).expect("all of these are known")), line);
    let error = text.encode("naïve").expect_err("there is no such character").to_string();
    assert!(error.starts_with("text: wanted of ") && error.ends_with("got ï"), "{error}");
}
