//! The `shadernet` command: one file for each subcommand. Shared arguments and output are here.

mod bench;
mod chunks;
mod classes;
mod compare;
mod demo;
mod denoise;
mod devices;
mod exr_file;
mod given;
mod inputs;
mod inspect;
mod model;
mod numbers;
mod pixel_file;
mod profile;
mod report;
mod run;
mod run_file;
mod selftest;
mod suggest;
mod summary;
mod tune;

use clap::{Args, Parser, Subcommand, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;
use model::ModelArgs;
use shadernet::{Context, ContextOptions, ErrorKind, wgpu};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// The result of a subcommand: its errors are the library's or those of standard output.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Neural-network inference as WGSL compute shaders, on any Vulkan, Metal or DX12 GPU.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Subcommand)]
enum Command {
    /// List the adapters and what matters of them; the one that is taken is marked with *
    Devices(devices::DevicesArgs),
    /// Run a network on pictures, sound, arrays (.npy) or numbers
    Run(run::RunArgs),
    /// Print what an ONNX file holds, everything in it that isn't supported, and the command to run it. Needs no GPU
    Inspect(inspect::InspectArgs),
    /// Print what a network costs, layer by layer: parameters, multiply-accumulates, activations. Needs no GPU
    Summary(summary::SummaryArgs),
    /// Measure latency and throughput
    Bench(bench::BenchArgs),
    /// Measure where a frame's time goes, step by step, and how near that is to what the device can do
    Profile(profile::ProfileArgs),
    /// Try the kernels that could serve a network's layers, and keep the fastest
    Tune(tune::TuneArgs),
    /// Compare two reports: what became faster, what slower, what is noise. Needs no GPU
    Compare(compare::CompareArgs),
    /// Test whether the adapter and its driver compute what they should, operation by operation
    Selftest(selftest::SelftestArgs),
    /// Remove the noise of a path tracer from an image, with the weights of Open Image Denoise
    Denoise(denoise::DenoiseArgs),
    /// Read handwritten digits, double a photograph, measure three networks
    Demo,
}

/// The choice of an adapter.
#[derive(Args)]
struct DeviceArgs {
    /// Take the adapter whose name contains this [default: $WGPU_ADAPTER_NAME, or the fastest]
    #[arg(long, global = true, help_heading = "Device", value_name = "NAME")]
    adapter: Option<String>,
    /// Take an adapter of this backend [default: $WGPU_BACKEND, or any]
    #[arg(long, global = true, help_heading = "Device", value_name = "NAME")]
    backend: Option<Backend>,
    /// Use the kernels that every GPU runs, even where others suit the adapter better
    #[arg(long, global = true, help_heading = "Device")]
    portable: bool,
    /// Let measurements, and networks of another precision than f32, use the adapter's matrix units, an experimental feature of wgpu
    #[arg(long, global = true, help_heading = "Device")]
    matrix_units: bool,
    /// Neither use nor keep the files of earlier runs: kernels chosen by `tune`, compiled pipelines, the device's peaks
    #[arg(long, global = true, help_heading = "Device")]
    no_cache: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Vulkan,
    Metal,
    Dx12,
}

impl DeviceArgs {
    fn options(&self) -> ContextOptions {
        let mut options = ContextOptions::from_env();
        if let Some(name) = &self.adapter {
            options = options.adapter(name);
        }
        if self.portable {
            options = options.portable();
        }
        if self.matrix_units {
            options = options.matrix_units();
        }
        if let Some(folder) = self.cache() {
            options = options.cache(folder);
        }
        match self.backend {
            Some(Backend::Vulkan) => options.backends(wgpu::Backends::VULKAN),
            Some(Backend::Metal) => options.backends(wgpu::Backends::METAL),
            Some(Backend::Dx12) => options.backends(wgpu::Backends::DX12),
            None => options,
        }
    }

    /// Returns the folder of the on-disk cache, among the user's caches; `None` without one or with `--no-cache`.
    fn cache(&self) -> Option<PathBuf> {
        let folder = dirs::cache_dir().filter(|_| !self.no_cache);
        folder.map(|folder| folder.join("shadernet"))
    }

    /// Checks that a subcommand without an adapter gets no device options.
    fn unused(&self, subcommand: &str) -> Result {
        let given = [
            ("--adapter", self.adapter.is_some()),
            ("--backend", self.backend.is_some()),
            ("--portable", self.portable),
            ("--matrix-units", self.matrix_units),
            ("--no-cache", self.no_cache),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                Err(ErrorKind::argument(option, "a subcommand that uses an adapter", subcommand).into())
            }
        }
    }

    fn context(&self) -> Result<Context> {
        Ok(pollster::block_on(Context::with(&self.options()))?)
    }
}

/// Parses the arguments, runs the subcommand and reports its error.
pub(crate) fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    let mut out = std::io::stdout().lock();
    let Err(error) = run(&Cli::parse(), &mut out).and_then(|()| Ok(out.flush()?)) else { return ExitCode::SUCCESS };
    let of = match error.downcast_ref::<std::io::Error>() {
        // The reader has seen enough: `shadernet summary resnet50 | head`.
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        // The library's errors name their files.
        Some(_) => "standard output: ",
        None => "",
    };
    // A driver's message may have several lines.
    let lines = error.to_string();
    say(&format!("error: {of}{}", lines.split_whitespace().collect::<Vec<_>>().join(" ")));
    ExitCode::FAILURE
}

fn run(cli: &Cli, out: &mut dyn Write) -> Result {
    match &cli.command {
        Command::Devices(args) => devices::devices(args, &cli.device, out),
        Command::Run(args) => run::run(args, &cli.device, out),
        Command::Inspect(args) => cli.device.unused("inspect").and_then(|()| inspect::inspect(args, out)),
        Command::Summary(args) => cli.device.unused("summary").and_then(|()| summary::summary(args, out)),
        Command::Bench(args) => bench::bench(args, &cli.device, out),
        Command::Profile(args) => profile::profile(args, &cli.device, out),
        Command::Tune(args) => tune::tune(args, &cli.device, out),
        Command::Compare(args) => cli.device.unused("compare").and_then(|()| compare::compare(args, out)),
        Command::Selftest(args) => selftest::selftest(args, &cli.device, out),
        Command::Denoise(args) => denoise::denoise(args, &cli.device, out),
        Command::Demo => demo::demo(&cli.device, out),
    }
}

/// Writes a line to standard error.
fn say(line: &str) {
    // Nobody can be told when standard error is closed.
    let _unheard = writeln!(std::io::stderr(), "{line}");
}

/// The current stage, shown on standard error until this is dropped; nothing if standard error isn't a terminal.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Progress {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress(bar)
    }

    fn stage(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Shows a stage, and writes it as a line if standard error isn't a terminal.
    fn announce(&self, what: &str) {
        self.stage(what);
        if !std::io::stderr().is_terminal() {
            say(what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Does work that compiles pipelines. After a second it shows how many are ready.
fn while_compiling<T>(context: &Context, work: impl FnOnce() -> T) -> T {
    let compilation = context.compilation();
    let (ends, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut shown, mut wait) = (None, Duration::from_secs(1));
            while ended.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Timeout) {
                let stage = format!("compiled {} of {} pipelines", compilation.ready(), compilation.wanted());
                shown.get_or_insert_with(Progress::new).stage(&stage);
                wait = Duration::from_millis(100);
            }
        });
        let done = work();
        drop(ends);
        done
    })
}

/// The largest batch, and the longest side of an image in pixels, that the command accepts: more than any device holds,
/// and small enough that no product of sizes overflows.
const MOST_BATCH: usize = 1 << 16;
const MOST_SIDE: usize = 1 << 14;

/// Checks that an argument's number is between 1 and `most`.
fn within(argument: &str, value: usize, most: usize) -> Result<usize> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(ErrorKind::argument(argument, format_args!("1 to {most}"), value).into())
}

/// Parses `224x320`: height and width.
fn parse_size(text: &str) -> std::result::Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MOST_SIDE).contains(side));
    let sides = text.split_once('x').and_then(|(height, width)| Some([side(height)?, side(width)?]));
    sides.ok_or_else(|| format!("wanted HEIGHTxWIDTH, each 1 to {MOST_SIDE}"))
}

/// Describes an adapter in a line, with the number of problems that `tune` has chosen a kernel for.
fn adapter_line(context: &Context, tuned: usize) -> String {
    let info = context.info();
    let (driver, profile) = (driver(info), context.caps().profile());
    let line = format!("adapter: {}, {}, {driver}; kernel profile: {profile}", info.name, info.backend);
    match tuned {
        0 => line,
        1 => line + "; tuned: 1 problem",
        _ => format!("{line}; tuned: {tuned} problems"),
    }
}

/// Returns the driver and its version.
fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

/// Creates a table whose columns after the first `left` ones are numbers.
fn table(header: &[&str], left: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
