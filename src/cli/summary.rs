//! `shadernet summary`: the cost of a network, layer by layer.

use super::report::{OutputArgs, of_network};
use super::{MOST_BATCH, ModelArgs, Result, parse_size, table, thousands, within};
use shadernet::kernel::Caps;
use shadernet::measure::{Energy, Summary};
use shadernet::plan::Choices;
use shadernet::plan::Plan;
use shadernet::{Graph, Shape};
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct SummaryArgs {
    #[command(flatten)]
    model: ModelArgs,
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

pub(super) fn summary(args: &SummaryArgs, out: &mut dyn Write) -> Result {
    let batch = within("--batch", args.batch, MOST_BATCH)?;
    let network = args.model.open(args.size)?;
    let graph = network.graph(batch)?;
    let report = of_network(&network, batch, (&Caps::portable(), &Choices::new()))?;
    if let (Some(summary), false) = (&report.summary, args.output.replaces_tables()) {
        write_table(summary, &graph, batch, out)?;
    }
    if args.rewrites {
        let (fused, rewrites) = graph.rewritten();
        let [before, after] = [&graph, &fused].map(|graph| graph.nodes().len());
        writeln!(out, "{} rewrites, from {before} operations to {after}:", rewrites.len())?;
        rewrites.iter().try_for_each(|rewrite| writeln!(out, "{rewrite}"))?;
    }
    args.output.write(&report, out)
}

/// The greatest widths of names and operations: a longer name loses its beginning, a longer operation its end.
const NAME: usize = 28;
const OP: usize = 19;

fn write_table(summary: &Summary, graph: &Graph, batch: usize, out: &mut dyn Write) -> Result {
    let header = ["layer", "op", "output", "parameters", "MACs", "FLOPs", "activations", "FLOPs/B", "receptive field"];
    let mut layers = table(&header, 3);
    let unless_zero = |number: u64, text: fn(u64) -> String| if number == 0 { String::new() } else { text(number) };
    for layer in &summary.layers {
        let held = if layer.cost.activations { layer.output_shape.elements() as u64 } else { 0 };
        layers.add_row([
            tail(&layer.name, NAME),
            head(layer.op, OP),
            Shape::to_string(&layer.output_shape),
            unless_zero(layer.cost.parameters, thousands),
            unless_zero(layer.cost.macs, short),
            unless_zero(layer.flops(), short),
            unless_zero(held, short),
            layer.intensity().filter(|&of| of > 0.0).map_or_else(String::new, |of| format!("{of:.2}")),
            layer.receptive_field.as_ref().map_or_else(String::new, ToString::to_string),
        ]);
    }
    writeln!(out, "{layers}\n")?;
    let mut lines = Vec::new();
    let mut line = |what: &str, number: u64, more: &str| {
        let line = format!("{what:<20} {:>18} {more}", thousands(number));
        lines.push(line.trim_end().to_owned());
    };
    line("parameters", summary.parameters, "");
    line("weights, no biases", summary.weights, "");
    for (storage, bits) in Summary::STORAGE {
        line(&format!("model size, {storage}"), summary.model_bytes(bits), "bytes");
    }
    line("MACs", summary.macs, "");
    line("FLOPs", summary.flops, &format!("of them {} beside the MACs", thousands(summary.other)));
    let bytes = |elements: u64| format!("{} bytes as f32", thousands(elements.saturating_mul(4)));
    line("activations, total", summary.activations_total, &bytes(summary.activations_total));
    line("activations, peak", summary.activations_peak, &bytes(summary.activations_peak));
    match Plan::new(&graph.fused(), batch, &Caps::portable()) {
        Ok(plan) => line("  what is allocated", plan.peak_bytes(), "bytes, on a GPU with WebGPU's default limits"),
        Err(error) => line("  what is allocated", 0, &format!("bytes, since {error}")),
    }
    let intensity = summary.intensity().unwrap_or_default();
    line("bytes moved", summary.bytes, &format!("each layer on its own: {intensity:.2} FLOPs a byte"));
    let Energy { arithmetic, memory } = summary.energy_estimate();
    lines.push(format!(
        "{:<20} {:>15.3} mJ of arithmetic and {:.3} mJ of DRAM: an estimate for 45 nm (Horowitz 2014), not a measurement",
        "energy",
        arithmetic * 1e3,
        memory * 1e3,
    ));
    Ok(writeln!(out, "{}", lines.join("\n"))?)
}

/// Shortens a text to its first characters.
fn head(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Shortens a text to its last characters, which tell layers apart.
fn tail(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.into();
    }
    ['…'].into_iter().chain(text.chars().skip(count - most + 1)).collect()
}

/// Formats a number with three digits: 1.23 M.
fn short(number: u64) -> String {
    let (mut scaled, mut units) = (number as f64, ["", " k", " M", " G", " T", " P"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    while scaled >= 999.5 {
        let Some(next) = units.next() else { break };
        (scaled, unit) = (scaled / 1e3, next);
    }
    let decimals = if unit.is_empty() || scaled >= 99.95 { 0 } else { 1 + usize::from(scaled < 9.995) };
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::{head, short, tail};

    #[test]
    fn columns_stay_narrow() {
        let numbers = [0, 7, 999, 1000, 9_994, 9_995, 99_950, 999_499, 999_500, 105_415_200, u64::MAX];
        let texts = ["0", "7", "999", "1.00 k", "9.99 k", "10.0 k", "100 k", "999 k", "1.00 M", "105 M", "18447 P"];
        assert_eq!(numbers.map(short), texts);
        assert_eq!((head("softmax", 7), head("softmaxes", 7)), ("softmax".into(), "softma…".into()));
        assert_eq!((tail("conv1.0", 7), tail("layer1.0.conv2", 7)), ("conv1.0".into(), "….conv2".into()));
    }
}
