//! A network in an application that draws: `cargo run --release --features image --example window_filter`
//!
//! The application has a window, a device and an animated scene, which it draws at half the window's size. In every
//! frame the network doubles it, from the application's texture straight into the image of the swap chain; left of a
//! line, a sampler stretches the same texture. A panel shows the cost, layer by layer, and has a slider for the
//! network's time in a frame: with little time, a new picture comes every few frames, and everything else goes on.
//! The window may be resized, minimized and closed at any time; a network for another size is created in the
//! background. If the device is lost, the application ends with a message.
//!
//! `--headless FILE.png` draws the same frames without a window and saves the last.
//! `--frames N`, `--size WIDTHxHEIGHT`, `--budget MS`, `--line 0..1` and `--no-panel` set what to draw.

mod filter;
mod gpu;
mod headless;
mod panel;
mod scene;
mod screen;
mod show;
mod window;

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
    match &options.headless {
        Some(file) => headless::draw(&options, file),
        None => window::open(options),
    }
}

struct Options {
    headless: Option<PathBuf>,
    frames: u32,
    /// Width and height in pixels.
    size: [u32; 2],
    /// The network's time in a frame, in milliseconds; 0 for no limit.
    budget: f32,
    line: f32,
    panel: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options { headless: None, frames: 10, size: [960, 540], budget: 0.0, line: 0.5, panel: true };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} lacks its value"));
            match argument.as_str() {
                "--headless" => options.headless = Some(value()?.into()),
                "--frames" => options.frames = number(&argument, &value()?, 1, 100_000)?,
                "--size" => {
                    let value = value()?;
                    let (width, height) =
                        value.split_once('x').ok_or(format!("--size {value}: WIDTHxHEIGHT is wanted"))?;
                    options.size = [number("the width", width, 16, 8192)?, number("the height", height, 16, 8192)?];
                }
                "--budget" => options.budget = number(&argument, &value()?, 0.0, 50.0)?,
                "--line" => options.line = number(&argument, &value()?, 0.0, 1.0)?,
                "--no-panel" => options.panel = false,
                _ => {
                    return Err(format!(
                        "{argument}? There are --headless, --frames, --size, --budget, --line and --no-panel"
                    ));
                }
            }
        }
        Ok(options)
    }

    fn apply(&self, show: &mut show::Show) {
        show.panel.shown = self.panel;
        show.panel.budget = self.budget;
        show.line = self.line;
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(what: &str, text: &str, least: T, most: T) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or(format!("{what} is {text}, a number from {least} to {most} is wanted"))
}
