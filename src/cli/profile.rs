//! `shadernet profile`: the time of a frame's steps, beside the device's peaks.

use super::bench::MeasureArgs;
use super::report;
use super::{DeviceArgs, MOST_BATCH, Progress, Result, adapter_line, within};
use shadernet::measure::{Environment, Profile};
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct ProfileArgs {
    /// Images a frame
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    #[command(flatten)]
    measure: MeasureArgs,
}

pub(super) fn profile(args: &ProfileArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let batch = within("--batch", args.batch, MOST_BATCH)?;
    let effort = args.measure.effort()?;
    let network = args.measure.open()?;
    let context = device.context()?;
    let precision = args.measure.model.precision(network.precision(), context.caps());
    let environment = Environment::new(&context).precision(precision);

    let progress = Progress::new();
    progress.stage("what the device can do");
    let peaks = report::peaks(&context, device)?;
    progress.stage("first frame");
    let session = network.model(&context, precision)?.session(batch)?;
    progress.stage("step by step");
    let profile = Profile::measure(&session, &peaks, effort)?;
    drop(progress);

    if !args.measure.output.replaces_text() {
        writeln!(out, "{}", adapter_line(&context, profile.tuned))?;
        network.note(&args.measure.model, precision, out)?;
        writeln!(out, "{profile}\n{:<14} {peaks}", "the device")?;
    }
    let mut report = report::of_network(&network, batch, (context.caps(), context.choices()), precision)?;
    report.environment = Some(environment);
    (report.peaks, report.profile) = (Some(peaks), Some(profile));
    args.measure.output.write(&report, out)?;
    args.measure.trace.write(&report)
}
