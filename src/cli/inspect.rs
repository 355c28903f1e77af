//! `shadernet inspect`: what an ONNX file holds, everything in it that isn't supported, and the command to run it.

use super::{ModelArgs, Result};
use shadernet::import::onnx::{Bindings, Onnx, Size, ValueInfo};
use shadernet::import::pixels::Pixels;
use shadernet::measure::thousands;
use shadernet::{DType, Error, ErrorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    model: ModelArgs,
}

pub(super) fn inspect(args: &InspectArgs, out: &mut dyn Write) -> Result {
    let Some((file, bindings)) = args.model.open_file()? else {
        return Err(ErrorKind::argument("model", "an ONNX file (NAME.onnx)", &args.model.model).into());
    };
    let opsets = file.opsets();
    let opset = |(domain, version): (&&str, &i64)| match *domain {
        "" => format!("operator set {version}"),
        domain => format!("{domain} {version}"),
    };
    let mut header: Vec<String> = opsets.iter().map(opset).collect();
    header.extend(Some(file.producer()).filter(|producer| !producer.is_empty()).map(|name| format!("from {name}")));
    header.push(format!("runs at {} unless told otherwise", file.precision()));
    writeln!(out, "{}: {}", args.model.model, header.join(", "))?;

    let inputs = file.bound(&bindings.clone().batch(1))?;
    writeln!(out, "inputs:")?;
    inputs.iter().try_for_each(|port| writeln!(out, "  {} {port}", port.element))?;
    writeln!(out, "outputs:")?;
    file.outputs().iter().try_for_each(|port| writeln!(out, "  {} {port}", port.element))?;
    let open: BTreeSet<&str> = inputs.iter().flat_map(|port| &port.sizes).flatten().filter_map(Size::open).collect();
    let mut missing: Vec<String> = open.iter().map(|name| format!("--dim {name}=SIZE")).collect();
    let unshaped = inputs.iter().filter(|port| port.sizes.is_none());
    missing.extend(unshaped.map(|port| format!("--shape {}=SIZES", port.name)));
    if !missing.is_empty() {
        writeln!(out, "open sizes: {}", missing.join(" "))?;
    }
    let operators = file.operators();
    let counted: Vec<String> = operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let all = operators.values().sum::<usize>();
    writeln!(out, "{} nodes: {}", thousands(all as u64), counted.join(", "))?;

    let (problems, needed) = match missing.is_empty() {
        true => found(&file, &bindings)?,
        false => (file.unsupported(), Vec::new()),
    };
    for needed in &needed {
        writeln!(out, "{needed}")?;
    }
    write_problems(&problems, out)?;
    if !missing.is_empty() {
        writeln!(out, "only operators were checked: with the open sizes, inspect checks the rest")?;
    }
    if !problems.is_empty() {
        let count = problems.len();
        return Err(ErrorKind::Unsupported(format!("{count} of its nodes")).into());
    }
    writeln!(out, "next: {}", next(args, &inputs, &missing))?;
    Ok(())
}

/// Returns what keeps the graph from being built, and the values that decide sizes.
fn found(file: &Onnx, bindings: &Bindings) -> Result<(Vec<Error>, Vec<String>)> {
    let (mut problems, mut needed) = (Vec::new(), Vec::new());
    for problem in file.problems(bindings)? {
        let line = match (problem.kind, problem.at) {
            (ErrorKind::Unknown { value, input: Some(input), .. }, _)
                if *value == *format!("the input \"{input}\"") =>
            {
                format!("the values of {input} decide sizes: run takes them from --input")
            }
            (ErrorKind::Unknown { argument, value, .. }, at) => {
                let (op, node) = at.unwrap_or_default();
                format!(
                    "{value} decides sizes of {op} \"{node}\" ({argument}): run cuts the network there if the inputs don't tell"
                )
            }
            (kind, at) => {
                problems.push(Error { at, kind });
                continue;
            }
        };
        if !needed.contains(&line) {
            needed.push(line);
        }
    }
    Ok((problems, needed))
}

/// Writes each problem once, with the names of all nodes that have it.
fn write_problems(problems: &[Error], out: &mut dyn Write) -> Result {
    let mut nodes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for problem in problems {
        let (op, node) = problem.at.as_ref().map_or(("", ""), |(op, node)| (op, &node[..]));
        nodes.entry(format!("{op}: {}", problem.kind)).or_default().push(node);
    }
    for (problem, nodes) in nodes {
        let more = nodes.len().saturating_sub(MOST_NAMES);
        let names: Vec<String> = nodes.iter().take(MOST_NAMES).map(|node| format!("\"{node}\"")).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(out, "{problem}: {}{more}", names.join(", "))?;
    }
    Ok(())
}

/// The number of nodes named for one problem.
const MOST_NAMES: usize = 8;

/// The least side of what is taken for a picture, in pixels.
const LEAST_SIDE: usize = 8;

/// Returns the command to type next.
fn next(args: &InspectArgs, inputs: &[ValueInfo], missing: &[String]) -> String {
    let input = |input: &ValueInfo| {
        let known: Vec<Option<usize>> = input.sizes.iter().flatten().map(Size::fixed).collect();
        // Small sides and few sizes are those of features and states.
        let large = |pixels: &Pixels| pixels.size.is_none_or(|sides| sides.iter().all(|&side| side >= LEAST_SIDE));
        let picture = Pixels::guess(&known).filter(|pixels| known.len() == 4 && large(pixels));
        let given = match picture {
            Some(_) if input.element.dtype() != Some(DType::Bool) => "photo.png",
            _ if known.iter().all(|&size| size == Some(1)) && input.sizes.is_some() => "NUMBER",
            _ => "array.npy",
        };
        format!("--input {}={given}", input.name)
    };
    let inputs: Vec<String> = inputs.iter().map(input).collect();
    // The shapes of arrays tell open sizes.
    let dims = if inputs.iter().any(|input| input.ends_with(".npy")) { "" } else { &missing.join(" ") };
    let words = ["shadernet run", &args.model.model, &inputs.join(" "), dims, "--output out"];
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
}
