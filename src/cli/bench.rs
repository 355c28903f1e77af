//! `shadernet bench`: latency and throughput.

use super::{DeviceArgs, MOST_BATCH, ModelArgs, Progress, Result, adapter_line, driver, parse_size, table, within};
use comfy_table::Table;
use serde_json::{Value, json};
use shadernet::Model;
use shadernet::import::write_whole;
use shadernet::measure::{Bench, Effort, Measured};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Each frame in flight has buffers of its own.
const MOST_IN_FLIGHT: usize = 64;
const MOST_FRAMES: usize = 1_000_000;

#[derive(clap::Args)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Images a frame: one size or several
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1")]
    batch: Vec<usize>,
    /// How many frames are submitted at once: one number or several
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,2")]
    in_flight: Vec<usize>,
    /// How many frames to measure for each row [default: what fits into 3 s, at least 5]
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    /// Height and width of the input [default: the network's usual]
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<[usize; 2]>,
    /// Write the results here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A row of the table.
struct Row {
    batch: usize,
    in_flight: usize,
    first: Duration,
    measured: Measured,
}

pub(super) fn bench(args: &BenchArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    args.batch.iter().try_for_each(|&batch| within("--batch", batch, MOST_BATCH).map(drop))?;
    args.in_flight.iter().try_for_each(|&frames| within("--in-flight", frames, MOST_IN_FLIGHT).map(drop))?;
    let effort = match args.frames {
        Some(frames) => Effort::Frames(within("--frames", frames, MOST_FRAMES)?),
        None => Effort::default(),
    };
    let (network, weights) = args.model.open()?;
    let graph = network.graph(&weights, args.size)?;
    let context = device.context()?;
    let model = Model::new(&context, &graph)?;

    let progress = Progress::new();
    let mut rows = Vec::new();
    for &batch in &args.batch {
        progress.stage(&format!("batch {batch}: first frame"));
        let bench = Bench::new(&model, batch)?;
        for &in_flight in &args.in_flight {
            progress.stage(&format!("batch {batch}, {in_flight} in flight"));
            rows.push(Row { batch, in_flight, first: bench.first(), measured: bench.measure(in_flight, effort)? });
        }
    }
    drop(progress);

    writeln!(out, "{}", adapter_line(&context))?;
    args.model.note_seeded(&weights, out)?;
    let mut table: Table = table(&["batch", "in flight", "p50 ms", "p90", "p99", "min", "images/s", "first ms"], 0);
    table.add_rows(rows.iter().map(Row::cells));
    writeln!(out, "{table}")?;

    if let Some(path) = &args.json {
        let info = context.info();
        let json = json!({
            "adapter": info.name,
            "driver": driver(info),
            "backend": info.backend.to_str(),
            "model": network.name,
            "results": rows.iter().map(Row::json).collect::<Vec<_>>(),
        });
        write_whole(path, format!("{json:#}\n").as_bytes())?;
    }
    Ok(())
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let Measured { latency, throughput, .. } = &self.measured;
        let [p50, p90, p99, min] = [latency.p50, latency.p90, latency.p99, latency.min].map(|time| figure(ms(time)));
        let (batch, in_flight) = (self.batch.to_string(), self.in_flight.to_string());
        [batch, in_flight, p50, p90, p99, min, figure(*throughput), figure(ms(self.first))]
    }

    fn json(&self) -> Value {
        let Measured { latency, throughput, .. } = &self.measured;
        let frames = latency.count;
        let [p50, p90, p99, min] = [latency.p50, latency.p90, latency.p99, latency.min].map(ms);
        json!({
            "batch": self.batch,
            "in_flight": self.in_flight,
            "frames": frames,
            "latency_ms": { "p50": p50, "p90": p90, "p99": p99, "min": min },
            "throughput_fps": throughput,
            "first_ms": ms(self.first),
        })
    }
}

pub(super) fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// Three significant digits or more.
pub(super) fn figure(number: f64) -> String {
    let decimals = match number {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}
