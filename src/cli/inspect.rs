//! `shadernet inspect`: what an ONNX file holds, everything in it that isn't supported, and the command to run it.

use super::inputs::{InputArgs, Inputs};
use super::suggest::suggested;
use super::{ModelArgs, Result};
use shadernet::import::onnx::{Bindings, Onnx, Size, ValueInfo};
use shadernet::measure::thousands;
use shadernet::{Error, ErrorKind, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Take open sizes from the shape of this input, and its values where sizes or constants depend on them: what `run` takes.
    /// May be given several times
    #[arg(long, value_name = "[NAME=]FILE")]
    input: Vec<String>,
    #[command(flatten)]
    inputs: InputArgs,
}

pub(super) fn inspect(args: &InspectArgs, out: &mut dyn Write) -> Result {
    let Some((file, bindings)) = args.model.open_file()? else {
        return Err(ErrorKind::argument("model", "an ONNX file (NAME.onnx)", &args.model.model).into());
    };
    let Inputs { tensors: mut values, bindings, chunks, .. } = args.inputs.read(&file, &bindings, &args.input)?;
    // The values of a sound's first chunk aren't those of the others.
    if let Some((input, _)) = &chunks {
        values.remove(input);
    }
    let opsets = file.opsets();
    let opset = |(domain, version): (&&str, &i64)| match *domain {
        "" => format!("operator set {version}"),
        domain => format!("{domain} {version}"),
    };
    let mut header: Vec<String> = opsets.iter().map(opset).collect();
    header.extend(Some(file.producer()).filter(|producer| !producer.is_empty()).map(|name| format!("from {name}")));
    header.push(format!("runs at {} unless told otherwise", file.precision()));
    writeln!(out, "{}: {}", args.model.model, header.join(", "))?;

    let inputs = file.bound(&bindings)?;
    writeln!(out, "inputs:")?;
    inputs.iter().try_for_each(|port| writeln!(out, "  {} {port}", port.element))?;
    writeln!(out, "outputs:")?;
    file.outputs().iter().try_for_each(|port| writeln!(out, "  {} {port}", port.element))?;
    // First sizes are the batch.
    let batched = file.bound(&bindings.clone().batch(1))?;
    let unshaped = || inputs.iter().filter(|port| port.sizes.is_none());
    let (missing, all) = (open(&batched), open(&inputs));
    let mut words: Vec<String> = missing.iter().map(|name| format!("--dim {name}=SIZE")).collect();
    words.extend(unshaped().map(|port| format!("--shape {}=SIZES", port.name)));
    let whole = words.is_empty();
    if !whole {
        writeln!(out, "open sizes: {}", words.join(" "))?;
    }
    let batches: Vec<String> = all.difference(&missing).map(|name| format!("--dim {name}=SIZE")).collect();
    if !batches.is_empty() {
        writeln!(out, "open sizes that are 1 unless given: {}", batches.join(" "))?;
    }
    let operators = file.operators();
    let counted: Vec<String> = operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let count = operators.values().sum::<usize>();
    writeln!(out, "{} nodes: {}", thousands(count as u64), counted.join(", "))?;

    let (problems, needed) = match whole {
        true => found(&file, bindings.clone(), &values)?,
        false => (file.unsupported(), Vec::new()),
    };
    for needed in &needed {
        writeln!(out, "{needed}")?;
    }
    write_problems(&problems, out)?;
    if !whole {
        writeln!(out, "only operators were checked: with the open sizes, inspect checks the rest")?;
    }
    if !problems.is_empty() {
        let count = problems.len();
        return Err(ErrorKind::Unsupported(format!("{count} of its nodes")).into());
    }
    let suggestion = suggested(&file, &bindings, &args.inputs.told(&file, &args.input)?)?;
    if !suggestion.states.is_empty() {
        let states = suggestion.states.join(" ");
        writeln!(out, "states, which begin with zeros; from chunk to chunk of a sound they are carried by {states}")?;
    }
    let words = [typed(), suggestion.words].concat();
    writeln!(out, "next: shadernet run {} --output out", words.join(" "))?;
    Ok(())
}

/// Returns the names of the open sizes.
fn open(ports: &[ValueInfo]) -> BTreeSet<&str> {
    ports.iter().flat_map(|port| &port.sizes).flatten().filter_map(Size::open).collect()
}

/// Returns what was typed after the subcommand, as a shell reads it.
fn typed() -> Vec<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let plain = |character: char| character.is_alphanumeric() || "_-./=:,+@%".contains(character);
    let quoted = |word: String| match word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.skip_while(|word| word != "inspect").skip(1).map(quoted).collect()
}

/// Returns what keeps the graph from being built, and the values that decide sizes.
fn found(file: &Onnx, mut bindings: Bindings, values: &BTreeMap<String, Tensor>) -> Result<(Vec<Error>, Vec<String>)> {
    loop {
        let (mut problems, mut lines, mut needed) = (Vec::new(), Vec::new(), BTreeSet::new());
        for problem in file.problems(&bindings)? {
            let line = match (problem.kind, problem.at) {
                (ErrorKind::Unknown { value, input: Some(input), .. }, _)
                    if *value == *format!("the input \"{input}\"") =>
                {
                    let line = format!("the values of {input} decide sizes: --input {input}=VALUES gives them");
                    needed.insert(input);
                    line
                }
                (ErrorKind::Unknown { argument, value, input }, at) => {
                    let (op, node) = at.unwrap_or_default();
                    needed.extend(input);
                    format!(
                        "{value} decides sizes of {op} \"{node}\" ({argument}): run cuts the network there if the inputs don't tell"
                    )
                }
                (kind, at) => {
                    problems.push(Error { at, kind });
                    continue;
                }
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let given = |name: &String| needed.contains(name) && !bindings.has_values(name);
        let Some((name, tensor)) = values.iter().find(|(name, _)| given(name)) else {
            return Ok((problems, lines));
        };
        bindings = bindings.values(name, tensor.clone());
    }
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
