//! `shadernet summary`: what a network costs, layer by layer.

use super::{MOST_BATCH, Result, model_help, parse_size, table, thousands, within};
use serde_json::json;
use shadernet::measure::Summary;
use shadernet::{Shape, Weights, models};
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct SummaryArgs {
    #[arg(help = model_help())]
    model: String,
    /// The batch that multiply-accumulates and activations are for
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Height and width of the input [default: the network's usual]
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<[usize; 2]>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn summary(args: &SummaryArgs, out: &mut dyn Write) -> Result {
    let batch = within("--batch", args.batch, MOST_BATCH)?;
    // The cost doesn't depend on what the weights are.
    let graph = models::find(&args.model)?.graph(&Weights::seeded(0), args.size)?;
    let summary = Summary::of(&graph, batch)?;
    if args.json { write_json(&summary, out) } else { write_table(&summary, out) }
}

fn write_json(summary: &Summary, out: &mut dyn Write) -> Result {
    let layers = summary.layers.iter().map(|layer| {
        json!({
            "name": layer.name,
            "op": layer.op,
            "output_shape": layer.output_shape.to_vec(),
            "parameters": layer.cost.parameters,
            "macs": layer.cost.macs,
        })
    });
    let json = json!({
        "weights": summary.weights,
        "parameters": summary.parameters,
        "macs": summary.macs,
        "activations_total": summary.activations_total,
        "activations_peak": summary.activations_peak,
        "layers": layers.collect::<Vec<_>>(),
    });
    Ok(writeln!(out, "{json:#}")?)
}

fn write_table(summary: &Summary, out: &mut dyn Write) -> Result {
    let mut layers = table(&["layer", "op", "output", "parameters", "MACs"], 3);
    let count = |number: u64| if number == 0 { String::new() } else { thousands(number) };
    for layer in &summary.layers {
        let (name, shape) = (layer.name.clone(), Shape::to_string(&layer.output_shape));
        layers.add_row([name, layer.op.into(), shape, count(layer.cost.parameters), count(layer.cost.macs)]);
    }
    writeln!(out, "{layers}\n")?;
    for (what, value) in [
        ("parameters", thousands(summary.parameters)),
        ("weights, no biases", thousands(summary.weights)),
        ("model size, bytes", thousands(summary.parameter_bytes())),
        ("MACs", thousands(summary.macs)),
        ("activations, total", thousands(summary.activations_total)),
        ("activations, peak", thousands(summary.activations_peak)),
    ] {
        writeln!(out, "{what:<20} {value:>16}")?;
    }
    Ok(())
}
