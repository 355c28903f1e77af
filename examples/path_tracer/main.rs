//! A progressive path tracer in WGSL: `cargo run --release --example path_tracer -- --dataset FOLDER`
//!
//! `--dataset FOLDER` renders scenes, each made up from a seed, for the training of a denoiser, and writes one file each.
//! `--first SEED`, `--scenes N`, `--size PIXELS`, `--samples N` (of the clean image) set what to render.

mod dataset;
#[allow(dead_code, reason = "the programs that include the tracer use a part of it each")]
mod tracer;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).map_err(Into::into).and_then(run);
    if let Err(error) = &outcome {
        eprintln!("{error}");
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    match &options.dataset {
        Some(folder) => dataset::render(&options, folder),
        None => Err("--dataset FOLDER is wanted".into()),
    }
}

struct Options {
    dataset: Option<PathBuf>,
    /// The first scene's seed.
    first: u64,
    scenes: u64,
    /// The image's sides in pixels.
    size: u32,
    /// The samples of each pixel of the clean image.
    samples: u32,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options { dataset: None, first: 0, scenes: 200, size: 128, samples: 1024 };
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or(format!("{argument} lacks its value"))?;
            match argument.as_str() {
                "--dataset" => options.dataset = Some(value.into()),
                "--first" => options.first = number(&argument, &value, 0, u64::MAX)?,
                "--scenes" => options.scenes = number(&argument, &value, 1, 100_000)?,
                "--size" => options.size = number(&argument, &value, 16, 1024)?,
                "--samples" => options.samples = number(&argument, &value, 1, 1 << 20)?,
                _ => {
                    return Err(format!("{argument}? There are --dataset, --first, --scenes, --size and --samples"));
                }
            }
        }
        Ok(options)
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(name: &str, value: &str, low: T, high: T) -> Result<T, String> {
    let number = value.parse().ok().filter(|number| (&low..=&high).contains(&number));
    number.ok_or_else(|| format!("{name} {value}: a number from {low} to {high} is wanted"))
}
