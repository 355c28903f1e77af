//! `shadernet tune`: the fastest kernel for each layer, by measurement.

use super::bench::{ms, seconds};
use super::given::ValueArgs;
use super::{DeviceArgs, MOST_BATCH, ModelArgs, Progress, Result, adapter_line, parse_size, table, within};
use comfy_table::Table;
use shadernet::measure::{Candidate, Problem};
use shadernet::measure::{Tuning, digits};
use std::io::Write;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct TuneArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    inputs: ValueArgs,
    /// Images a frame: each batch is tuned by itself
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Height and width of the input [default: the network's usual]
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<[usize; 2]>,
    /// The seconds after which to stop
    #[arg(long, value_name = "S", default_value_t = Tuning::BUDGET.as_secs_f64())]
    budget: f64,
}

pub(super) fn tune(args: &TuneArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let batch = within("--batch", args.batch, MOST_BATCH)?;
    let budget = seconds("--budget", args.budget)?;
    let network = args.model.open(args.size, &args.inputs)?;
    let context = device.context()?;
    let precision = args.model.precision(network.precision(), context.caps());
    let model = network.model(&context, precision)?;

    let progress = Progress::new();
    let tuning = Tuning::measure(&model, batch, budget, |stage| progress.stage(stage))?;
    drop(progress);

    writeln!(out, "{}", adapter_line(&context, 0))?;
    network.note(&args.model, precision, out)?;
    if !tuning.problems.is_empty() {
        writeln!(out, "{}", rows(&tuning.problems))?;
    }
    for problem in &tuning.problems {
        for Candidate { kernel, refused, .. } in &problem.candidates {
            if let Some(refused) = refused {
                // A compiler's message has several lines.
                let refused = refused.split_whitespace().collect::<Vec<_>>().join(" ");
                writeln!(out, "refused for {}: {kernel}: {refused}", problem.name)?;
            }
        }
    }
    if let Some(method) = tuning.method {
        writeln!(out, "timed by {method}; rounds: {}", tuning.rounds)?;
    }
    if let Some([before, after]) = &tuning.frames {
        let (times, pairs) = ([before, after].map(|times| digits(ms(times.p50))), before.count);
        writeln!(out, "frame: {} ms before, {} ms after; medians of {pairs}, measured in turn", times[0], times[1])?;
    }
    writeln!(out, "{}", tuning.verdict)?;
    match device.cache().map(|folder| tuning.keep(&context, &folder)).transpose()? {
        Some(Some(file)) => writeln!(out, "kept in {}", file.display())?,
        Some(None) => {}
        None => writeln!(out, "kept nowhere")?,
    }
    Ok(())
}

fn rows(problems: &[Problem]) -> Table {
    let mut table = table(&["problem", "default", "chosen", "steps", "kernels", "ms before", "after", "gain %"], 3);
    let time = |time: Option<Duration>| time.map_or_else(String::new, |time| digits(ms(time)));
    table.add_rows(problems.iter().map(|problem| {
        let (default, best) = (&problem.candidates[0], &problem.candidates[problem.best]);
        let gain = default.time.zip(best.time).filter(|_| problem.best > 0);
        let gain = gain.map(|(before, after)| 100.0 * (1.0 - after.as_secs_f64() / before.as_secs_f64().max(1e-12)));
        [
            problem.name.clone(),
            default.kernel.clone(),
            if problem.best > 0 { best.kernel.clone() } else { "default".to_owned() },
            problem.steps.to_string(),
            problem.candidates.len().to_string(),
            time(default.time),
            time(best.time),
            gain.map_or_else(String::new, |gain| format!("{gain:.1}")),
        ]
    }));
    table
}
