//! The words that give an ONNX file's inputs to `shadernet run`, guessed from names and sizes. What isn't clear is an array.

use shadernet::import::onnx::{Bindings, ElementType, Onnx, Size, ValueInfo};
use shadernet::import::pixels::{PixelOrder, Pixels};
use shadernet::{DType, Result};
use std::collections::BTreeSet;

/// The least side of what is taken for a picture, in pixels, and the fewest samples of what is taken for sound.
const LEAST_SIDE: usize = 8;
const LEAST_SAMPLES: usize = 160;

/// Parts of the names of inputs, or of their sizes, that tell sound, a picture, a state, and something else.
const SOUND: [&str; 5] = ["audio", "pcm", "sound", "speech", "wav"];
const SAMPLES: [&str; 2] = ["sample", "time"];
const PICTURE: [&str; 7] = ["height", "image", "img", "photo", "picture", "pixel", "width"];
const STATE: [&str; 6] = ["cache", "hidden", "mems", "memory", "past", "state"];
const OTHER: [&str; 11] =
    ["embed", "fbank", "feat", "ids", "length", "mask", "mel", "spec", "text", "timestep", "token"];
const STEPS: [&str; 5] = ["frame", "len", "seq", "step", "time"];

/// The inputs that the command line gives already.
#[derive(Default)]
pub(super) struct Told<'a> {
    /// The names of the inputs that are given, or carried from chunk to chunk.
    pub(super) inputs: Vec<&'a str>,
    /// The name of the input that a `.wav` file is given for.
    pub(super) sound: Option<&'a str>,
    /// True if the sound is cut into chunks.
    pub(super) chunks: bool,
}

/// The words that are missing on the command line.
pub(super) struct Suggestion {
    pub(super) words: Vec<String>,
    /// The words that would carry the states of a network that hears no sound.
    pub(super) states: Vec<String>,
}

/// Returns what to type for the inputs that nothing is given for.
pub(super) fn suggested(file: &Onnx, bindings: &Bindings, told: &Told) -> Result<Suggestion> {
    let (all, outputs) = (file.bound(bindings)?, file.outputs());
    let inputs: Vec<&ValueInfo> = all.iter().filter(|input| !told.inputs.contains(&&input.name[..])).collect();
    let mut states = states(&inputs, outputs);
    if states.len() == all.len() {
        states.clear();
    }
    let is_state = |input: &ValueInfo| states.iter().any(|(_, state)| state.name == input.name);
    let others: Vec<&ValueInfo> = inputs.iter().copied().filter(|input| !is_state(input)).collect();
    // Of several tensors of numbers, none is known to be the sound, unless its name says it.
    let alone = others.iter().filter(|input| input.element.is_float()).count() == 1;
    let heard = match told.sound {
        Some(name) => all.iter().find(|input| input.name == name),
        None => others.iter().copied().find(|input| is_sound(input, alone && !states.is_empty())),
    };
    let carry = |(output, input): &(&ValueInfo, &ValueInfo)| format!("--state {}={}", output.name, input.name);
    let carries: Vec<String> = states.iter().map(carry).collect();

    let mut words = Vec::new();
    let mut bindings = bindings.clone().batch(1);
    // The shapes of arrays, pictures and sound tell open sizes.
    let given = all.iter().filter(|input| told.inputs.contains(&&input.name[..]));
    let mut tell: BTreeSet<&str> = given.flat_map(|input| &input.sizes).flatten().filter_map(Size::open).collect();
    for input in inputs {
        let what = match heard {
            Some(heard) if heard.name == input.name => "speech.wav",
            Some(_) if is_state(input) => continue,
            None if is_state(input) => "zeros",
            _ => kind(input),
        };
        words.push(format!("--input {}={what}", input.name));
        if !["NUMBER", "zeros"].contains(&what) {
            tell.extend(input.sizes.iter().flatten().filter_map(Size::open));
        }
    }
    if let Some(heard) = heard.filter(|_| !states.is_empty()) {
        // The size of a sound that was read is not that of a chunk.
        let stated = file.inputs().iter().find(|input| input.name == heard.name);
        let sizes =
            if told.sound.is_some() { stated.and_then(|input| input.sizes.as_ref()) } else { heard.sizes.as_ref() };
        let samples = sizes.and_then(|sizes| sizes.last()).and_then(Size::fixed);
        if !told.chunks {
            words.push(format!("--chunk {}", samples.map_or("SAMPLES".into(), |samples| samples.to_string())));
        }
        words.extend(carries.iter().cloned());
        bindings = states.iter().fold(bindings, |bindings, (output, input)| bindings.state(&input.name, &output.name));
    }
    let bound = file.bound(&bindings)?;
    let open: BTreeSet<&str> = bound.iter().flat_map(|input| &input.sizes).flatten().filter_map(Size::open).collect();
    words.extend(open.difference(&tell).map(|name| format!("--dim {name}=SIZE")));
    Ok(Suggestion { words, states: if heard.is_none() { carries } else { Vec::new() } })
}

/// Returns true if the name of an input has one of these parts.
fn named(input: &ValueInfo, parts: &[&str]) -> bool {
    let name = input.name.to_lowercase();
    parts.iter().any(|part| name.contains(part))
}

/// Returns true if the name of an open size of an input has one of these parts.
fn sized(input: &ValueInfo, parts: &[&str]) -> bool {
    let own = format!("{}:", input.name);
    let names = input.sizes.iter().flatten().filter_map(Size::open).filter(|name| !name.starts_with(&own));
    names.map(str::to_lowercase).any(|name| parts.iter().any(|part| name.contains(part)))
}

/// Returns what to give for an input that takes no sound.
fn kind(input: &ValueInfo) -> &'static str {
    let Some(sizes) = &input.sizes else { return "FILE.npy" };
    let one = |(axis, size): (usize, &Size)| match size.fixed() {
        Some(size) => size == 1,
        // A first size is the batch, or a number of numbers.
        None => axis == 0 && (sizes.len() > 1 || named(input, &["length"])),
    };
    if is_picture(input) {
        "photo.png"
    } else if !named(input, &STATE) && sizes.iter().enumerate().all(one) {
        "NUMBER"
    } else {
        "FILE.npy"
    }
}

/// Returns true if an input seems to take a picture. Features, caches and latents have four sizes too, but seldom three
/// channels.
fn is_picture(input: &ValueInfo) -> bool {
    let known: Vec<Option<usize>> = input.sizes.iter().flatten().map(Size::fixed).collect();
    let Some(pixels) = Pixels::guess(&known).filter(|_| known.len() == 4) else { return false };
    let told = named(input, &PICTURE) || sized(input, &PICTURE);
    let square = pixels.order == PixelOrder::Nchw && pixels.size[0].is_some() && pixels.size[0] == pixels.size[1];
    let channels = pixels.channels == 3 || told || (pixels.channels == 1 && square);
    let large = pixels.size.iter().flatten().all(|&side| side >= LEAST_SIDE);
    let bytes = input.element.is_float() || input.element == ElementType::U8;
    let other = named(input, &OTHER) || named(input, &STATE) || sized(input, &STEPS);
    channels && large && bytes && !other
}

/// Returns true if an input may take the samples of one channel. `alone` is true if it is the one input of numbers beside the
/// states of a network.
fn is_sound(input: &ValueInfo, alone: bool) -> bool {
    let numbers = input.element.dtype() == Some(DType::F32) || input.element == ElementType::I16;
    let Some([outer @ .., last]) = input.sizes.as_deref() else { return false };
    let one = |(axis, size): (usize, &Size)| size.fixed().map_or(axis == 0, |size| size == 1);
    let said = alone || named(input, &SOUND);
    let samples = match last.fixed() {
        None => said || sized(input, &SAMPLES),
        Some(samples) => said && samples >= LEAST_SAMPLES,
    };
    let other = named(input, &OTHER) || named(input, &STATE);
    numbers && samples && !other && outer.len() <= 2 && outer.iter().enumerate().all(one)
}

/// Returns the outputs that seem to become inputs of the next frame, with these inputs: by their names and sizes, or by their
/// sizes alone where an input's name tells a state.
fn states<'a>(inputs: &[&'a ValueInfo], outputs: &'a [ValueInfo]) -> Vec<(&'a ValueInfo, &'a ValueInfo)> {
    let float = |port: &ValueInfo| port.element.dtype() == Some(DType::F32);
    let fits = |input: &ValueInfo, output: &ValueInfo| {
        let (Some(to), Some(from)) = (&input.sizes, &output.sizes) else { return true };
        // Some files say 0 for a size that they don't know.
        let known = |size: &Size| size.fixed().filter(|&size| size > 0);
        let same = |(to, from): (&Size, &Size)| known(to).zip(known(from)).is_none_or(|(to, from)| to == from);
        to.len() == from.len() && to.iter().zip(from).all(same)
    };
    let inputs = inputs.iter().copied().filter(|input| float(input) && !is_picture(input));
    let (mut pairs, mut rest) = (Vec::new(), Vec::new());
    for input in inputs {
        let stem = stem(&input.name);
        let same = |output: &&ValueInfo| float(output) && self::stem(&output.name) == stem && fits(input, output);
        match outputs.iter().find(same).filter(|_| stem.is_some()) {
            Some(output) => pairs.push((output, input)),
            None if named(input, &STATE) && input.sizes.as_ref().is_some_and(|sizes| sizes.len() > 1) => {
                rest.push(input)
            }
            None => {}
        }
    }
    // As many inputs as outputs of one shape, in order.
    let free: Vec<&ValueInfo> = outputs
        .iter()
        .filter(|output| float(output) && pairs.iter().all(|(other, _)| other.name != output.name))
        .collect();
    for (i, input) in rest.iter().enumerate() {
        let alike = |other: &&&ValueInfo| other.sizes == input.sizes;
        let (to, from): (Vec<_>, Vec<_>) = (rest.iter().filter(alike).collect(), free.iter().filter(alike).collect());
        if to.len() == from.len() {
            pairs.push((*from[rest[..i].iter().filter(alike).count()], *input));
        }
    }
    pairs
}

/// Returns a name without what tells a state before a frame from the one after it: `h0`, `hn` and `h_out` are `h`.
fn stem(name: &str) -> Option<String> {
    const TIMES: [&str; 9] = ["in", "out", "past", "present", "prev", "new", "next", "n", "initial"];
    // Decoders call `past_key_values.0.key` what becomes `present.0.key`.
    let name = name.to_lowercase().replace("key_values", "");
    let words = name.split(['_', '.', '-']).filter(|word| !word.is_empty() && !TIMES.contains(word));
    let stem = words.collect::<Vec<_>>().join("_");
    let stem = stem.strip_suffix(['0', 'n']).unwrap_or(&stem);
    (!stem.is_empty()).then(|| stem.to_owned())
}
