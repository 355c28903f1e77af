//! The texts after `--input`: arrays, pictures, sound and numbers, each for one input of an ONNX file.

use super::numbers::numbers;
use shadernet::import::npy;
use shadernet::import::onnx::{self, Bindings, Onnx, ValueInfo};
use shadernet::{Data, ErrorKind, Result, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// The text after an input's name. The kinds are read in this order, because shapes of the first tell open sizes of the others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Given<'a> {
    Array(&'a Path),
    Picture(&'a Path),
    Sound(&'a Path),
    Numbers(&'a str),
    /// One number everywhere.
    Everywhere(&'a str, &'static str),
}

impl<'a> Given<'a> {
    fn new(text: &'a str) -> Result<Given<'a>> {
        let path = Path::new(text);
        let everywhere = [("zeros", "0"), ("ones", "1")].into_iter().find(|(name, _)| *name == text);
        if let Some((_, number)) = everywhere.filter(|_| !path.exists()) {
            return Ok(Given::Everywhere(text, number));
        }
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        Ok(match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("png" | "jpg" | "jpeg") => Given::Picture(path),
            Some("wav") => Given::Sound(path),
            Some("npy" | "pb") => Given::Array(path),
            Some("avif" | "bmp" | "gif" | "heic" | "tif" | "tiff" | "webp") => {
                return Err(ErrorKind::file(path, "pictures are read from .png, .jpg and .jpeg files").into());
            }
            Some("aac" | "aiff" | "flac" | "m4a" | "mp3" | "ogg" | "opus") => {
                return Err(ErrorKind::file(path, "sound is read from .wav files").into());
            }
            _ if path.exists() => Given::Array(path),
            _ => Given::Numbers(text),
        })
    }

    /// Reads an array or numbers.
    pub(super) fn tensor(&self, input: &ValueInfo) -> Result<Tensor> {
        match self {
            Given::Array(path) if path.extension().is_some_and(|extension| extension == "pb") => {
                Ok(onnx::tensor(path)?.1)
            }
            Given::Array(path) => npy::read_tensor(path),
            Given::Numbers(text) => numbers(text, text, input),
            Given::Everywhere(text, number) => numbers(text, number, input),
            Given::Picture(path) | Given::Sound(path) => {
                let wanted = "arrays or numbers: only run reads pictures and sound";
                Err(ErrorKind::argument("--input", wanted, path.display()).into())
            }
        }
    }
}

/// The arrays and numbers of a subcommand that measures or describes a network, and has no pictures or sound.
#[derive(clap::Args)]
pub(super) struct ValueArgs {
    /// Take open sizes of an ONNX file from the shape of this input, and its values where sizes or constants depend on them:
    /// a .npy file, a .pb file of ONNX's, zeros, ones, or numbers with commas between them. May be given several times
    #[arg(long = "input", value_name = "[NAME=]FILE")]
    given: Vec<String>,
}

impl ValueArgs {
    /// Fails if an input is given, for a network whose inputs are known.
    pub(super) fn unused(&self, network: &str) -> Result<()> {
        match self.given.first() {
            Some(_) => Err(ErrorKind::argument("--input", "an ONNX file", network).into()),
            None => Ok(()),
        }
    }

    /// Returns the bindings with the shapes of the given inputs, and the inputs.
    pub(super) fn read(&self, file: &Onnx, mut bindings: Bindings) -> Result<(Bindings, BTreeMap<String, Tensor>)> {
        let mut values = BTreeMap::new();
        for (given, input) in named(file, &self.given)? {
            let tensor = given.tensor(&bound(file, &bindings, input)?)?;
            check_range(input, &tensor)?;
            bindings = bindings.shape(&input.name, tensor.shape().clone());
            values.insert(input.name.clone(), tensor);
        }
        Ok((bindings, values))
    }
}

/// Returns what is given for each input, those first whose shapes tell open sizes of others.
pub(super) fn named<'a>(file: &'a Onnx, given: &'a [String]) -> Result<Vec<(Given<'a>, &'a ValueInfo)>> {
    let mut all = given.iter().map(|text| split(file, text)).collect::<Result<Vec<_>>>()?;
    for (i, (_, input)) in all.iter().enumerate() {
        if all[..i].iter().any(|(_, other)| other.name == input.name) {
            return Err(ErrorKind::argument("--input", "each input once", &input.name).into());
        }
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(all)
}

/// Returns an input with the sizes that are known by now.
pub(super) fn bound(file: &Onnx, bindings: &Bindings, input: &ValueInfo) -> Result<ValueInfo> {
    Ok(file.bound(bindings)?.into_iter().find(|port| port.name == input.name).unwrap_or_else(|| input.clone()))
}

/// Returns the input that a text is for, and what is given for it.
fn split<'a>(file: &'a Onnx, text: &'a str) -> Result<(Given<'a>, &'a ValueInfo)> {
    let ports = file.inputs();
    match (text.split_once('='), ports) {
        // A file's name may contain `=` too.
        (Some((name, value)), _) if !Path::new(text).exists() => match ports.iter().find(|port| port.name == name) {
            Some(port) => Ok((Given::new(value)?, port)),
            None => {
                let names: Vec<&str> = ports.iter().map(|port| &port.name[..]).collect();
                Err(ErrorKind::argument("--input", format!("one of {}", names.join(", ")), name).into())
            }
        },
        (_, [only]) => Ok((Given::new(text)?, only)),
        _ => Err(ErrorKind::argument("--input", "NAME=FILE for each input", text).into()),
    }
}

/// Checks that integers are among those of the input's type: the device would compute with what the type can't hold.
pub(super) fn check_range(input: &ValueInfo, tensor: &Tensor) -> Result<()> {
    let ([low, high], Data::I32(values)) = (input.element.range(), tensor.data()) else { return Ok(()) };
    match values.iter().find(|&&value| !(low..=high).contains(&i64::from(value))) {
        None => Ok(()),
        Some(wrong) => {
            let wanted = format!("{low} to {high}, the range of {}", input.element);
            Err(ErrorKind::argument(format!("input \"{}\"", input.name), wanted, wrong).into())
        }
    }
}
