//! The command that runs an ONNX file, guessed from the names and sizes of its inputs and outputs.

use shadernet::DType;
use shadernet::import::onnx::{ElementType, Size, ValueInfo};
use shadernet::import::pixels::Pixels;
use std::collections::BTreeSet;

/// The least side of what is taken for a picture, in pixels, and the fewest samples of what is taken for sound.
const LEAST_SIDE: usize = 8;
const LEAST_SAMPLES: usize = 160;

/// Words in the names of inputs that take sound.
const SOUND: [&str; 6] = ["audio", "pcm", "signal", "sound", "speech", "wav"];

/// Returns the command to type next, with the words that were given already. The inputs have the sizes that are known.
pub(super) fn suggested(model: &str, (inputs, outputs): (&[ValueInfo], &[ValueInfo]), given: &[String]) -> String {
    let is_given = |input: &ValueInfo| {
        let alone = inputs.len() == 1 && given.iter().any(|word| word.starts_with("--input "));
        alone || given.iter().any(|word| word.starts_with(&format!("--input {}=", input.name)))
    };
    let mut states = states(inputs, outputs);
    states.retain(|(_, input)| !is_given(input));
    let carried = |input: &ValueInfo| states.iter().any(|(_, state)| state.name == input.name);
    let heard = inputs.iter().find(|input| !is_given(input) && !carried(input) && is_sound(input, !states.is_empty()));
    // States are for chunks of sound.
    let states = if heard.is_some() { &states[..] } else { &[] };
    let carried = |input: &ValueInfo| states.iter().any(|(_, state)| state.name == input.name);

    let mut words = vec!["shadernet run".to_owned(), model.to_owned()];
    words.extend(given.iter().cloned());
    // The shapes of arrays, pictures and sound tell open sizes.
    let mut told = BTreeSet::new();
    for input in inputs.iter().filter(|input| !is_given(input) && !carried(input)) {
        let what = match heard {
            Some(heard) if heard.name == input.name => "speech.wav",
            _ => kind(input),
        };
        if what != "NUMBER" {
            told.extend(input.sizes.iter().flatten().filter_map(Size::open));
        }
        words.push(format!("--input {}={what}", input.name));
    }
    if let Some(heard) = heard.filter(|_| !states.is_empty()) {
        let samples = heard.sizes.iter().flatten().next_back().and_then(Size::fixed);
        words.push(format!("--chunk {}", samples.map_or("SAMPLES".into(), |samples| samples.to_string())));
    }
    words.extend(states.iter().map(|(output, input)| format!("--state {}={}", output.name, input.name)));
    let open: BTreeSet<&str> = inputs.iter().flat_map(|input| &input.sizes).flatten().filter_map(Size::open).collect();
    words.extend(open.difference(&told).map(|name| format!("--dim {name}=SIZE")));
    words.push("--output out".into());
    words.join(" ")
}

/// Returns what to give for an input that takes no sound.
fn kind(input: &ValueInfo) -> &'static str {
    let known: Vec<Option<usize>> = input.sizes.iter().flatten().map(Size::fixed).collect();
    // Small sides and few sizes are those of features and states.
    let large = |pixels: &Pixels| pixels.size.is_none_or(|sides| sides.iter().all(|&side| side >= LEAST_SIDE));
    let picture = Pixels::guess(&known).filter(|pixels| known.len() == 4 && large(pixels));
    match picture {
        Some(_) if input.element.dtype() != Some(DType::Bool) => "photo.png",
        _ if known.iter().all(|&size| size == Some(1)) && input.sizes.is_some() => "NUMBER",
        _ => "array.npy",
    }
}

/// Returns true if an input may take the samples of one channel.
fn is_sound(input: &ValueInfo, streams: bool) -> bool {
    let numbers = input.element.dtype() == Some(DType::F32) || input.element == ElementType::I16;
    let Some([outer @ .., last]) = input.sizes.as_deref() else { return false };
    let name = input.name.to_lowercase();
    let samples = match last.fixed() {
        None => true,
        Some(samples) => samples >= LEAST_SAMPLES && (streams || SOUND.iter().any(|word| name.contains(word))),
    };
    numbers && samples && outer.len() <= 2 && outer.iter().all(|size| size.fixed() == Some(1))
}

/// Returns the outputs that seem to become inputs of the next frame, with these inputs, by their names and sizes.
fn states<'a>(inputs: &'a [ValueInfo], outputs: &'a [ValueInfo]) -> Vec<(&'a ValueInfo, &'a ValueInfo)> {
    let float = |port: &ValueInfo| port.element.dtype() == Some(DType::F32);
    let fits = |input: &ValueInfo, output: &ValueInfo| {
        let (Some(to), Some(from)) = (&input.sizes, &output.sizes) else { return true };
        // Some files say 0 for a size that they don't know.
        let known = |size: &Size| size.fixed().filter(|&size| size > 0);
        let same = |(to, from): (&Size, &Size)| known(to).zip(known(from)).is_none_or(|(to, from)| to == from);
        to.len() == from.len() && to.iter().zip(from).all(same)
    };
    let state = |input: &'a ValueInfo| {
        let stem = stem(&input.name).filter(|_| float(input))?;
        let output = outputs.iter().find(|output| {
            float(output) && self::stem(&output.name).is_some_and(|other| other == stem) && fits(input, output)
        })?;
        Some((output, input))
    };
    inputs.iter().filter_map(state).collect()
}

/// Returns a name without what tells a state before a frame from the one after it: `h0`, `hn` and `h_out` are `h`.
fn stem(name: &str) -> Option<String> {
    const TIMES: [&str; 9] = ["in", "out", "past", "present", "prev", "new", "next", "n", "initial"];
    let name = name.to_lowercase();
    let words = name.split(['_', '.', '-']).filter(|word| !word.is_empty() && !TIMES.contains(word));
    let stem = words.collect::<Vec<_>>().join("_");
    let stem = stem.strip_suffix(['0', 'n']).unwrap_or(&stem);
    (!stem.is_empty()).then(|| stem.to_owned())
}
