//! `shadernet summary`: the cost of a network, layer by layer.

use super::given::ValueArgs;
use super::report::{OutputArgs, of_network};
use super::{MOST_BATCH, ModelArgs, Result, parse_size, within};
use shadernet::kernel::Caps;
use shadernet::measure::thousands;
use shadernet::plan::Choices;
use shadernet::plan::Plan;
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct SummaryArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    inputs: ValueArgs,
    /// The batch that multiply-accumulates and activations are for
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Height and width of the input [default: the network's usual]
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<[usize; 2]>,
    /// Also print which rules rewrite the network before it is planned
    #[arg(long)]
    rewrites: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// The label of the line that only a plan knows.
const ALLOCATED: &str = "what is allocated";

pub(super) fn summary(args: &SummaryArgs, out: &mut dyn Write) -> Result {
    let batch = within("--batch", args.batch, MOST_BATCH)?;
    let network = args.model.open(args.size, &args.inputs)?;
    let graph = network.graph(batch)?;
    let caps = Caps::portable();
    let precision = args.model.precision(network.precision(), &caps);
    let report = of_network(&network, batch, (&caps, &Choices::new()), precision)?;
    if let (Some(summary), false) = (&report.summary, args.output.replaces_text()) {
        writeln!(out, "{summary}")?;
        match Plan::with_precision(&graph.fused(), batch, &caps, &Choices::new(), precision) {
            Ok(plan) => {
                let (values, weights) = (thousands(plan.peak_bytes()), thousands(plan.weight_bytes()));
                let on = "on a GPU with WebGPU's default limits";
                writeln!(out, "{ALLOCATED:<20} {values:>18} bytes for values, {weights} for weights, {on}")?;
            }
            Err(error) => writeln!(out, "{ALLOCATED:<20} nothing: {error}")?,
        }
        args.model.note_precision(precision, out)?;
    }
    if args.rewrites {
        let (fused, rewrites) = graph.rewritten();
        let [before, after] = [&graph, &fused].map(|graph| graph.nodes().len());
        writeln!(out, "{} rewrites, from {before} operations to {after}:", rewrites.len())?;
        rewrites.iter().try_for_each(|rewrite| writeln!(out, "{rewrite}"))?;
    }
    args.output.write(&report, out)
}
