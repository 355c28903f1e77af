//! `shadernet bench`: latency and throughput.

use super::given::ValueArgs;
use super::model::Opened;
use super::report::{self, OutputArgs, TraceArgs};
use super::{DeviceArgs, MOST_BATCH, ModelArgs, Progress, Result, adapter_line, parse_size, table, within};
use comfy_table::Table;
use shadernet::ErrorKind;
use shadernet::measure::{AtBatch, Effort, Environment, Measured, Profile, Sweep, SweepOptions, digits};
use std::io::Write;
use std::time::Duration;

/// The most frames in flight: each has buffers of its own.
const MOST_IN_FLIGHT: usize = 64;
pub(super) const MOST_FRAMES: usize = 1_000_000;

#[derive(clap::Args)]
pub(super) struct BenchArgs {
    /// Images a frame: one size or several [default: 1; with --latency-bound 1,2,4,.. until it is passed]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    batch: Vec<usize>,
    /// The number of frames submitted at once: one number or several
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,2")]
    in_flight: Vec<usize>,
    /// Find the batch of the highest throughput with which 99 of 100 frames take no longer
    #[arg(long, value_name = "MS", value_parser = parse_ms)]
    latency_bound: Option<Duration>,
    #[command(flatten)]
    measure: MeasureArgs,
}

/// The arguments that `bench` and `profile` share: the network, the effort and the output.
#[derive(clap::Args)]
pub(super) struct MeasureArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) inputs: ValueArgs,
    /// Height and width of the input [default: the network's usual]
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    pub(super) size: Option<[usize; 2]>,
    /// The number of frames to measure each time [default: until the median is known to 2 %]
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    /// The most seconds for each measurement, the warm-up included; it may take a frame or two longer
    #[arg(long, value_name = "S", default_value_t = 3.0, conflicts_with = "frames")]
    time: f64,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

impl MeasureArgs {
    pub(super) fn open(&self) -> Result<Opened> {
        self.model.open(self.size, &self.inputs)
    }

    pub(super) fn effort(&self) -> Result<Effort> {
        if let Some(frames) = self.frames {
            return Ok(Effort::Frames(within("--frames", frames, MOST_FRAMES)?));
        }
        Ok(Effort::within(seconds("--time", self.time)?))
    }
}

pub(super) fn bench(args: &BenchArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    args.batch.iter().try_for_each(|&batch| within("--batch", batch, MOST_BATCH).map(drop))?;
    args.in_flight.iter().try_for_each(|&frames| within("--in-flight", frames, MOST_IN_FLIGHT).map(drop))?;
    let effort = args.measure.effort()?;
    let mut batches = args.batch.clone();
    if batches.is_empty() && args.latency_bound.is_none() {
        batches.push(1);
    }
    let options =
        SweepOptions { batches, in_flight: args.in_flight.clone(), effort, latency_bound: args.latency_bound };
    let network = args.measure.open()?;
    let context = device.context()?;
    let precision = args.measure.model.precision(network.precision(), context.caps());
    let environment = Environment::new(&context).precision(precision);
    let model = network.model(&context, precision)?;

    let progress = Progress::new();
    let sweep = Sweep::measure(&model, &options, |stage| progress.stage(stage))?;
    let answers = sweep.answers();
    if !args.measure.output.replaces_text() {
        let tuned = sweep.batches.iter().map(|at| at.tuned).max().unwrap_or(0);
        writeln!(out, "{}", adapter_line(&context, tuned))?;
        network.note(&args.measure.model, precision, out)?;
        writeln!(out, "{}", rows(&sweep))?;
        for at in &sweep.batches {
            let what = if sweep.batches.len() > 1 { format!(", batch {}", at.batch) } else { String::new() };
            writeln!(out, "first inference{what}: {}", first("session", at.session, at.first))?;
        }
        for answer in &answers {
            writeln!(out, "{} {}", answer.question, answer.answer)?;
        }
    }
    if args.measure.output.wants_report() || args.measure.trace.is_wanted() {
        let batch = sweep.batches.first().map_or(1, |at| at.batch);
        progress.stage("what the device can do");
        let peaks = report::peaks(&context, device)?;
        progress.stage(&format!("batch {batch}, step by step"));
        let profile = Profile::measure(&model.session(batch)?, &peaks, effort)?;
        let mut report = report::of_network(&network, batch, (context.caps(), context.choices()), precision)?;
        report.environment = Some(environment);
        (report.peaks, report.profile) = (Some(peaks), Some(profile));
        (report.bench, report.answers) = (Some(sweep), answers);
        drop(progress);
        args.measure.output.write(&report, out)?;
        args.measure.trace.write(&report)?;
    }
    Ok(())
}

/// Formats the time of the first inference, and its parts: the creation of what runs it and the frame.
pub(super) fn first(what: &str, created: Duration, all: Duration) -> String {
    let time = |time: Duration| digits(ms(time));
    let (frame, all) = (time(all.saturating_sub(created)), time(all));
    format!("{all} ms ({what} {}, frame {frame})", time(created))
}

fn rows(sweep: &Sweep) -> Table {
    let header =
        ["batch", "in flight", "p50 ms", "±%", "p90", "p99", "min", "std dev", "device ms", "images/s", "first ms"];
    let mut table = table(&header, 0);
    table.add_rows(sweep.rows().map(|(at, measured)| cells(at, measured)));
    table
}

fn cells(at: &AtBatch, Measured { in_flight, latency, throughput }: &Measured) -> [String; 11] {
    let time = |time: Duration| digits(ms(time));
    [
        at.batch.to_string(),
        in_flight.to_string(),
        time(latency.p50),
        // Half of the interval lies on each side, more or less.
        if latency.count > 1 { format!("{:.1}", 50.0 * latency.uncertainty()) } else { "–".into() },
        time(latency.p90),
        time(latency.p99),
        time(latency.min),
        time(latency.std_dev),
        time(at.device.p50),
        digits(*throughput),
        time(at.first),
    ]
}

fn parse_ms(text: &str) -> std::result::Result<Duration, String> {
    let time = text.parse().ok().and_then(|ms: f64| Duration::try_from_secs_f64(ms / 1e3).ok());
    time.filter(|time| !time.is_zero()).ok_or_else(|| "wanted milliseconds, more than 0".into())
}

/// Converts an argument's seconds to a time; an error unless it is 0.001 s to 86,400 s.
pub(super) fn seconds(argument: &str, seconds: f64) -> Result<Duration> {
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| (1..=86_400_000).contains(&time.as_millis()));
    Ok(time.ok_or_else(|| ErrorKind::argument(argument, "0.001 to 86400 seconds", seconds))?)
}

pub(super) fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}
