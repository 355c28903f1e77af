//! A progressive path tracer, denoised: `cargo run --release --features image --example path_tracer`
//!
//! A shader traces a scene that is made up from a seed, and a network removes the noise, from the tracer's textures into one
//! that the drawing reads: nothing leaves the device. The picture is left of a border as traced, right of it denoised. Each
//! denoised frame is blended with the last one, which the tracer's motion vectors warp; `t` switches that off and on.
//! The border follows the mouse, a drag turns the camera and arrow keys move it, `n` takes the next scene, `+` and `-` change
//! the samples of a frame. A panel shows samples and milliseconds, and has a slider for the denoiser's time in a frame; `p`
//! hides it.
//!
//! `--output FILE.png` draws without a window. `--scene SEED`, `--samples N`, `--size WIDTHxHEIGHT`, `--line 0..1` (where
//! the border is) and `--budget MS` (where the slider is) set what to draw.
//!
//! `--dataset FOLDER` renders scenes for the training of a denoiser, and writes one file each. `--scene SEED` (the first),
//! `--scenes N`, `--size` and `--samples` (of the clean image) set what to render.

mod dataset;
#[path = "../window_filter/gpu.rs"]
mod gpu;
mod headless;
mod panel;
#[path = "../window_filter/screen.rs"]
mod screen;
mod show;
#[allow(dead_code, reason = "the programs that include the tracer use a part of it each")]
mod tracer;
mod window;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

/// The text of `--help`.
const HELP: &str = "\
A progressive path tracer, denoised in each frame. Without options it opens a window.

  --output FILE.png     draw without a window
  --scene SEED          the scene, or the first one of a dataset (0)
  --samples N           samples of each pixel: of a picture (4), of a window's frame (1), of a dataset's clean images (1024)
  --size WIDTHxHEIGHT   in pixels
  --budget MS           the denoiser's time in a window's frame, in milliseconds; 0 for no limit (0)
  --line 0..1           the share of the picture that is as traced (0.5)
  --dataset FOLDER      trace scenes for the training of a denoiser, a file each
  --scenes N            the scenes of a dataset (200)";

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let outcome = Options::parse(std::env::args().skip(1)).map_err(Into::into).and_then(run);
    if let Err(error) = &outcome {
        eprintln!("{error}");
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    match (&options.dataset, &options.output) {
        (Some(folder), _) => dataset::render(&options, folder),
        (None, Some(file)) => {
            writable(file)?;
            headless::draw(&options, file)
        }
        (None, None) => window::open(options),
    }
}

/// Checks that a picture can be written, before it takes time.
fn writable(file: &Path) -> Result<(), String> {
    if !file.extension().is_some_and(|end| end.eq_ignore_ascii_case("png")) {
        return Err(format!("--output {}: a name that ends in .png is wanted", file.display()));
    }
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    opened.map(drop).map_err(|error| format!("--output {}: {error}", file.display()))
}

struct Options {
    dataset: Option<PathBuf>,
    output: Option<PathBuf>,
    /// The first scene's seed.
    scene: u64,
    /// The scenes of a dataset.
    scenes: u64,
    /// Width and height in pixels.
    size: Option<[u32; 2]>,
    /// The samples of each pixel: of a picture, of a dataset's clean images, or of a frame.
    samples: Option<u32>,
    /// The denoiser's time in a window's frame, in milliseconds; 0 for no limit.
    budget: f32,
    line: f32,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            dataset: None,
            output: None,
            scene: 0,
            scenes: 200,
            size: None,
            samples: None,
            budget: 0.0,
            line: 0.5,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} lacks its value"));
            match argument.as_str() {
                "--dataset" => options.dataset = Some(value()?.into()),
                "--output" => options.output = Some(value()?.into()),
                "--scene" => options.scene = number(&argument, &value()?, 0, u64::MAX)?,
                "--scenes" => options.scenes = number(&argument, &value()?, 1, 100_000)?,
                "--size" => {
                    let value = value()?;
                    let (width, height) =
                        value.split_once('x').ok_or(format!("--size {value}: WIDTHxHEIGHT is wanted"))?;
                    options.size =
                        Some([number("the width", width, 16, 8192)?, number("the height", height, 16, 8192)?]);
                }
                "--samples" => options.samples = Some(number(&argument, &value()?, 1, 1 << 20)?),
                "--budget" => options.budget = number(&argument, &value()?, 0.0, 1e3)?,
                "--line" => options.line = number(&argument, &value()?, 0.0, 1.0)?,
                _ => {
                    return Err(format!(
                        "{argument}? There are --output, --scene, --samples, --size, --budget, --line, --dataset, --scenes and --help"
                    ));
                }
            }
        }
        Ok(options)
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(what: &str, text: &str, least: T, most: T) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or(format!("{what} is {text}, a number from {least} to {most} is wanted"))
}
