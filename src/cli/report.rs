//! The output that several subcommands share: a report of measurements as JSON, as a page, as a trace.

use super::model::Opened;
use super::{DeviceArgs, Result};
use shadernet::import::write_whole;
use shadernet::kernel::Caps;
use shadernet::measure::{Activations, NetworkInfo, Peaks, Report, Summary};
use shadernet::plan::Choices;
use shadernet::plan::Plan;
use shadernet::{Context, Precision};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file for JSON.
#[derive(clap::Args)]
pub(super) struct JsonArgs {
    /// Write everything as JSON (docs/report.md), without a FILE to standard output in place of the text
    // With `=`, or else `--json MODEL` would be a report in a file of that name.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "-",
        help_heading = "Output"
    )]
    json: Option<PathBuf>,
}

impl JsonArgs {
    /// Returns true if JSON takes the text's place.
    pub(super) fn replaces_text(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }

    /// Writes what `json` returns, if it is wanted.
    pub(super) fn write(&self, json: impl FnOnce() -> String, out: &mut dyn Write) -> Result {
        match &self.json {
            Some(_) if self.replaces_text() => Ok(writeln!(out, "{}", json())?),
            Some(path) => write_file(path, &json()),
            None => Ok(()),
        }
    }
}

/// The files for a report of measurements.
#[derive(clap::Args)]
pub(super) struct OutputArgs {
    #[command(flatten)]
    json: JsonArgs,
    /// Write a page with tables and plots
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    html: Option<PathBuf>,
}

/// The file for a trace.
#[derive(clap::Args)]
pub(super) struct TraceArgs {
    /// Write the steps of a frame as a trace, which ui.perfetto.dev and chrome://tracing show
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    trace: Option<PathBuf>,
}

impl TraceArgs {
    pub(super) fn is_wanted(&self) -> bool {
        self.trace.is_some()
    }

    pub(super) fn write(&self, report: &Report) -> Result {
        self.trace.as_ref().map_or(Ok(()), |path| write_file(path, &report.to_trace()))
    }
}

impl OutputArgs {
    /// Returns true if anything but tables is wanted.
    pub(super) fn wants_report(&self) -> bool {
        self.json.json.is_some() || self.html.is_some()
    }

    /// Returns true if JSON takes the text's place.
    pub(super) fn replaces_text(&self) -> bool {
        self.json.replaces_text()
    }

    pub(super) fn write(&self, report: &Report, out: &mut dyn Write) -> Result {
        self.json.write(|| report.to_json(), out)?;
        match &self.html {
            Some(path) => write_file(path, &report.to_html()),
            None => Ok(()),
        }
    }
}

fn write_file(path: &Path, text: &str) -> Result {
    Ok(write_whole(path, text.as_bytes())?)
}

/// Returns a report of what is known of a network without running it: its cost and its memory, for a batch, a device's
/// facts and its chosen kernels.
pub(super) fn of_network(
    network: &Opened,
    batch: usize,
    (caps, choices): (&Caps, &Choices),
    precision: Precision,
) -> Result<Report> {
    let graph = network.graph(batch)?;
    let input_shapes = graph.inputs().iter().map(|input| input.shape.with_batch(batch).to_vec()).collect();
    let (name, weights) = (network.name().to_owned(), network.origin().to_owned());
    let mut report = Report::new(NetworkInfo { name, input_shapes, weights });
    report.summary = Some(Summary::with_precision(&graph, batch, precision)?);
    let plan = Plan::with_precision(&graph.fused(), batch, caps, choices, precision);
    match plan {
        Ok(plan) => report.activations = Some(Activations::new(&plan)),
        // Costs are known where a device is too small to run the network.
        Err(error) => log::warn!("the report lacks the memory of activations: {error}"),
    }
    Ok(report)
}

/// Returns the device's peaks: cached ones, unless the user wants no cache.
pub(super) fn peaks(context: &Context, device: &DeviceArgs) -> Result<Peaks> {
    Ok(match device.cache() {
        Some(folder) => Peaks::cached(context, &folder)?,
        None => Peaks::measure(context)?,
    })
}

/// Measures the device's peaks again, and caches them unless the user wants no cache.
pub(super) fn fresh_peaks(context: &Context, device: &DeviceArgs) -> Result<Peaks> {
    Ok(match device.cache() {
        Some(folder) => Peaks::refresh(context, &folder)?,
        None => Peaks::measure(context)?,
    })
}
