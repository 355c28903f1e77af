//! The inputs of an ONNX file: arrays, pictures, sound, numbers.

use super::chunks::Chunks;
use super::given::{Given, bound, check_range, named};
use super::suggest::{Told, suggested};
use clap::ValueEnum;
use shadernet::import::onnx::{Bindings, ElementType, Onnx, Size, ValueInfo};
use shadernet::import::pixels::{Fitting, PixelOrder, Pixels};
use shadernet::import::wav;
use shadernet::{DType, Data, ErrorKind, Result, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// The conversion of pictures and sound to the numbers of an input.
#[derive(clap::Args)]
#[command(next_help_heading = "Pictures and sound for an ONNX file")]
pub(super) struct InputArgs {
    /// The numbers of a picture's bytes 0 and 255 [default: 0,1; 0,255 for an input of integers]
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', num_args = 1, allow_hyphen_values = true)]
    range: Vec<f32>,
    /// Then subtract this from each channel: one number, or one for each
    #[arg(long, value_name = "M[,M,M]", value_delimiter = ',', num_args = 1, allow_hyphen_values = true)]
    mean: Vec<f32>,
    /// Then divide each channel by this: one number, or one for each
    #[arg(long, value_name = "S[,S,S]", value_delimiter = ',', num_args = 1)]
    std: Vec<f32>,
    /// Give blue first
    #[arg(long)]
    bgr: bool,
    /// The order of a picture's sizes [default: told by the input's sizes]
    #[arg(long, value_name = "ORDER")]
    layout: Option<Layout>,
    /// The way in which a picture gets the input's size [default: stretch]
    #[arg(long, value_name = "HOW")]
    resize: Option<Resize>,
    /// Refuse .wav files of another sample rate
    #[arg(long, value_name = "HZ")]
    rate: Option<u32>,
    /// Cut the .wav file into chunks of this many samples, and run them one after the other; zeros fill the last one
    #[arg(long, value_name = "SAMPLES")]
    chunk: Option<usize>,
    /// The number of samples from the start of a chunk to the start of the next [default: the chunk's]
    #[arg(long, value_name = "SAMPLES", requires = "chunk")]
    hop: Option<usize>,
    /// Carry an output to an input of the next chunk; the first chunk has zeros. May be given several times
    #[arg(long, value_name = "OUTPUT=INPUT", value_parser = parse_state, requires = "chunk")]
    state: Vec<[String; 2]>,
}

fn parse_state(text: &str) -> std::result::Result<[String; 2], String> {
    let names = text.split_once('=').filter(|(output, input)| !output.is_empty() && !input.is_empty());
    names.map(|(output, input)| [output, input].map(str::to_owned)).ok_or_else(|| "wanted OUTPUT=INPUT".into())
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Layout {
    /// [N, C, H, W], as PyTorch
    Nchw,
    /// [N, H, W, C], as TensorFlow
    Nhwc,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Resize {
    /// Scale each side by itself
    Stretch,
    /// Scale the whole picture to fit, with black borders
    Fit,
    /// Cover all, and cut off what stands out
    Crop,
}

/// The inputs that were read.
pub(super) struct Inputs {
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// The given bindings, and the inputs' shapes.
    pub(super) bindings: Bindings,
    /// The conversions of pictures and sound, in words.
    pub(super) notes: Vec<String>,
    /// True if there is a picture among them.
    pub(super) pictures: bool,
    /// The name of the input that gets one chunk after the other, and the chunks; the first one is in `tensors` too.
    pub(super) chunks: Option<(String, Chunks)>,
}

impl InputArgs {
    /// Fails if one of these options is given, for a network whose pictures are known.
    pub(super) fn unused(&self, network: &str) -> Result<()> {
        let given = [
            ("--range", !self.range.is_empty()),
            ("--mean", !self.mean.is_empty()),
            ("--std", !self.std.is_empty()),
            ("--bgr", self.bgr),
            ("--layout", self.layout.is_some()),
            ("--resize", self.resize.is_some()),
            ("--rate", self.rate.is_some()),
            ("--chunk", self.chunk.is_some()),
            ("--state", !self.state.is_empty()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(ErrorKind::argument(option, "an ONNX file", network).into()),
            None => Ok(()),
        }
    }

    /// Reads what is given for inputs of a file. A single input needs no name.
    pub(super) fn read(&self, file: &Onnx, bindings: &Bindings, given: &[String]) -> Result<Inputs> {
        let bindings = self.states(file, bindings.clone())?;
        let mut inputs =
            Inputs { tensors: BTreeMap::new(), bindings, notes: Vec::new(), pictures: false, chunks: None };
        let carried = |port: &ValueInfo| self.state.iter().any(|[_, input]| *input == port.name);
        let all = named(file, given)?;
        if let Some((_, both)) = all.iter().find(|(_, input)| carried(input)) {
            return Err(ErrorKind::argument("--input", "none for what --state carries", &both.name).into());
        }
        for (given, input) in all {
            let input = bound(file, &inputs.bindings, input)?;
            let (tensor, note) = match given {
                Given::Picture(path) => {
                    inputs.pictures = true;
                    self.picture(path, &input)?
                }
                Given::Sound(path) => {
                    let (sound, note) = self.sound(path, &input)?;
                    match self.chunk {
                        None => (sound, note),
                        Some(_) if inputs.chunks.is_some() => {
                            return Err(ErrorKind::argument("--chunk", "one .wav file", "two").into());
                        }
                        Some(chunk) => {
                            let chunks = Chunks::new(sound, chunk, self.hop.unwrap_or(chunk))?;
                            let first = chunks.at(0)?;
                            let note = note.map(|note| format!("{note}, {} chunks of {chunk}", chunks.count()));
                            inputs.chunks = Some((input.name.clone(), chunks));
                            (first, note)
                        }
                    }
                }
                given => (given.tensor(&input)?, None),
            };
            check_range(&input, &tensor)?;
            inputs.bindings = inputs.bindings.shape(&input.name, tensor.shape().clone());
            inputs.notes.extend(note.map(|note| format!("{}: {note}", input.name)));
            inputs.tensors.insert(input.name.clone(), tensor);
        }
        Ok(inputs)
    }

    /// Returns what is given, for guesses about the rest.
    pub(super) fn told<'a>(&'a self, file: &'a Onnx, given: &'a [String]) -> Result<Told<'a>> {
        let all = named(file, given)?;
        let carried = self.state.iter().map(|[_, input]| &input[..]);
        let sound = all.iter().find(|(given, _)| matches!(given, Given::Sound(_)));
        Ok(Told {
            inputs: all.iter().map(|(_, input)| &input.name[..]).chain(carried).collect(),
            sound: sound.map(|(_, input)| &input.name[..]),
            chunks: self.chunk.is_some(),
        })
    }

    /// Fails unless all inputs of a file are given. The error says what to type for the others.
    pub(super) fn complete(&self, file: &Onnx, bindings: &Bindings, given: &[String]) -> Result<()> {
        self.states(file, bindings.clone())?;
        let told = self.told(file, given)?;
        let names = file.inputs().iter().map(|input| &input.name[..]);
        let missing: Vec<&str> = names.filter(|name| !told.inputs.contains(name)).collect();
        if !missing.is_empty() {
            let words = suggested(file, bindings, &told)?.words.join(" ");
            let got = format!("nothing for {}", missing.join(", "));
            return Err(ErrorKind::argument("inputs", format!("each one, such as {words}"), got).into());
        }
        if told.chunks && told.sound.is_none() {
            return Err(ErrorKind::argument("--chunk", "a .wav file as an input", "none").into());
        }
        Ok(())
    }

    /// Binds the inputs that outputs of the chunk before become.
    fn states(&self, file: &Onnx, mut bindings: Bindings) -> Result<Bindings> {
        let is = |ports: &[ValueInfo], name: &str| ports.iter().any(|port| port.name == name);
        for (i, [output, input]) in self.state.iter().enumerate() {
            if self.state[..i].iter().any(|[_, other]| other == input) {
                return Err(ErrorKind::argument("--state", "each input once", input).into());
            }
            if !is(file.inputs(), input) && is(file.inputs(), output) && is(file.outputs(), input) {
                let (wanted, got) = (format!("{input}={output}, the output first"), format!("{output}={input}"));
                return Err(ErrorKind::argument("--state", wanted, got).into());
            }
            bindings = bindings.state(input, output);
        }
        Ok(bindings)
    }

    /// Returns true if that output becomes an input of the next chunk.
    pub(super) fn carries(&self, output: &str) -> bool {
        self.state.iter().any(|[carried, _]| carried == output)
    }

    fn picture(&self, path: &Path, input: &ValueInfo) -> Result<(Tensor, Option<String>)> {
        let mut known: Vec<Option<usize>> = input.sizes.iter().flatten().map(Size::fixed).collect();
        let rank = known.len();
        let dtype = input.element.dtype().filter(|dtype| *dtype != DType::Bool);
        // The rules of the other order see its channels where they look for them.
        let turn = self.layout == Some(Layout::Nhwc) && rank >= 3;
        if turn {
            known[rank - 3..].rotate_right(1);
        }
        let pixels = Pixels::guess(&known).filter(|pixels| match self.layout {
            None => true,
            Some(_) => pixels.order == PixelOrder::Nchw,
        });
        let (Some(mut pixels), Some(dtype)) = (pixels, dtype) else {
            let (wanted, got) = match known[..] {
                [Some(pictures), ..] if rank == 4 && pictures != 1 => {
                    let array = format!("--input {}=FILE.npy, an array of {pictures} pictures", input.name);
                    (array, format!("one picture for {input}"))
                }
                _ => {
                    let wanted = "numbers [N, C, H, W] or [N, H, W, C] of 1, 3 or 4 channels";
                    (wanted.to_owned(), format!("{} {input}", input.element))
                }
            };
            return Err(ErrorKind::argument(format!("input of {}", path.display()), wanted, got).into());
        };
        if turn {
            pixels.order = PixelOrder::Nhwc;
        }
        let whole = dtype == DType::I32;
        pixels.bgr = self.bgr;
        pixels.range = match self.range[..] {
            [] => [0.0, if whole { 255.0 } else { 1.0 }],
            [low, high] if low.is_finite() && high.is_finite() => [low, high],
            _ => {
                return Err(ErrorKind::argument(
                    "--range",
                    "two finite numbers, LOW,HIGH",
                    format!("{:?}", self.range),
                )
                .into());
            }
        };
        pixels.mean = channels("--mean", &self.mean, pixels.channels, 0.0)?;
        pixels.std = channels("--std", &self.std, pixels.channels, 1.0)?;
        if pixels.std.contains(&0.0) {
            return Err(ErrorKind::argument("--std", "numbers other than 0", "0").into());
        }
        pixels.fitting = match self.resize.unwrap_or(Resize::Stretch) {
            Resize::Stretch => Fitting::Stretch,
            Resize::Fit => Fitting::Fit,
            Resize::Crop => Fitting::Crop,
        };
        let (tensor, own) = pixels.open(path)?;
        let note = format!("{}, {}{}: {pixels}", path.display(), size(own), self.scaled(own, &pixels));
        let shape = tensor.shape()[4 - rank..].to_vec();
        let data = match tensor.into_data() {
            Data::F32(values) if whole => Data::I32(values.iter().map(|value| value.round() as i32).collect()),
            data => data,
        };
        Ok((Tensor::new(shape, data)?, Some(note)))
    }

    fn scaled(&self, own: [usize; 2], pixels: &Pixels) -> String {
        let how = match self.resize.unwrap_or(Resize::Stretch) {
            _ if pixels.size.contains(&None) => "scaled by the input's one known side to",
            Resize::Stretch => "stretched to",
            Resize::Fit => "fitted into",
            Resize::Crop => "cropped and scaled to",
        };
        Some(pixels.size_for(own)).filter(|to| *to != own).map(|to| format!(", {how} {}", size(to))).unwrap_or_default()
    }

    fn sound(&self, path: &Path, input: &ValueInfo) -> Result<(Tensor, Option<String>)> {
        let sound = wav::open(path)?;
        if let Some(rate) = self.rate.filter(|&rate| rate != sound.rate) {
            let wanted = format!("{rate} samples a second, as --rate says");
            return Err(ErrorKind::argument(path.display().to_string(), wanted, sound.rate).into());
        }
        let (channels, samples) = (sound.channels, sound.len());
        let shape = match input.sizes.as_ref().map_or(2, Vec::len) {
            1 if channels == 1 => vec![samples],
            // Two channels would be a batch of two.
            2 if channels == 1 || input.sizes.as_ref().is_some_and(|sizes| sizes[0] == Size::Fixed(channels)) => {
                vec![channels, samples]
            }
            3 => vec![1, channels, samples],
            _ => {
                let wanted = "[T] of one channel, [C, T] or [N, C, T]";
                let got = format!("{input} for {channels} channels");
                return Err(ErrorKind::argument(format!("input of {}", path.display()), wanted, got).into());
            }
        };
        let data = match input.element.dtype() {
            Some(DType::F32) => Data::F32(sound.planes()),
            Some(DType::I32) if input.element == ElementType::I16 => {
                let number = |&value: &f32| (value * 32768.0).round().clamp(-32768.0, 32767.0) as i32;
                Data::I32(sound.planes().iter().map(number).collect())
            }
            _ => {
                let wanted = "floating-point numbers, or int16";
                return Err(ErrorKind::argument(format!("input of {}", path.display()), wanted, input.element).into());
            }
        };
        let note = format!("{}, {channels} x {samples} samples, {} a second", path.display(), sound.rate);
        Ok((Tensor::new(shape, data)?, Some(note)))
    }
}

/// Returns a number for each channel.
fn channels(argument: &str, given: &[f32], channels: usize, default: f32) -> Result<[f32; 4]> {
    let mut numbers = [default; 4];
    if let Some(wrong) = given.iter().find(|number| !number.is_finite()) {
        return Err(ErrorKind::argument(argument, "finite numbers", wrong).into());
    }
    match given {
        [] => {}
        [all] => numbers = [*all; 4],
        each if each.len() == channels => numbers[..channels].copy_from_slice(each),
        each => {
            let wanted = format!("one number, or one for each of {channels} channels");
            return Err(ErrorKind::argument(argument, wanted, each.len()).into());
        }
    }
    Ok(numbers)
}

/// Formats height and width as a picture's size.
fn size([height, width]: [usize; 2]) -> String {
    format!("{width} x {height} pixels")
}
