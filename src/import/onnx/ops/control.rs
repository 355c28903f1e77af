//! Control flow: a branch is selected when the graph is built, or by the device if it computes the condition; iterations
//! are unrolled.

use crate::DType;
use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Bodies, Builder, Structure};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Named, Node, Operand};
use crate::import::onnx::ports::{Size, ValueInfo};
use crate::import::onnx::proto::{GraphProto, ValueInfoProto};
use crate::import::onnx::tensor::Tensor;

pub(super) fn find(op: &str) -> Option<Structure> {
    Some(match op {
        "If" => branch,
        "Loop" => repeat,
        "Scan" => scan,
        _ => return None,
    })
}

/// Returns a boolean that must be known when the graph is built.
fn truth(b: &Builder, argument: &str, operand: &Operand) -> Result<bool> {
    let known = b.known(argument, operand)?;
    let wrong = || ErrorKind::argument(argument, "one truth value", format_args!("{} {}", known.element, known.shape));
    let number = known.number().filter(|_| known.element == ElementType::Bool);
    Ok(number.ok_or_else(wrong)? != 0.0)
}

fn branch<'a>(b: &mut Builder, bodies: &mut dyn Bodies<'a>, node: &Node<'a>) -> Result<Vec<Named>> {
    let branches = [("else_branch", node.graph("else_branch")?), ("then_branch", node.graph("then_branch")?)];
    let condition = node.input(0)?;
    node.finish()?;
    let at = b.graph.nodes().len();
    if b.is_answered(condition, at) || condition.host().is_some() || is_flag(b, condition) {
        let (name, body) = branches[usize::from(truth(b, "cond", condition)?)];
        return bodies.inline(b, node, &name, body, Vec::new(), &|output| node.wants(output));
    }
    // The device computes the condition, so it computes both branches too, and selects. If one of them can't be computed, the
    // caller may give the input that decides, or the network is cut here.
    let paused = b.questions.pause(true);
    let both = both(b, bodies, node, branches, condition);
    b.questions.pause(paused);
    both.map_err(|wrong| match b.known_at(at, "cond", condition) {
        Err(asked) if b.questions.may_cut() || !b.inputs_of(condition).is_empty() => asked,
        _ => wrong,
    })
}

/// Returns true for a condition that follows from inputs of one integer or truth value each: the caller gives it.
fn is_flag(b: &Builder, condition: &Operand) -> bool {
    let inputs = b.inputs_of(condition);
    let flag = |value| b.graph.known_shape(value).elements() == 1 && b.graph.known_dtype(value) != DType::F32;
    !inputs.is_empty() && inputs.iter().all(|input| flag(input.value))
}

/// Adds both branches, and selects their outputs.
fn both<'a>(
    b: &mut Builder,
    bodies: &mut dyn Bodies<'a>,
    node: &Node<'a>,
    branches: [(&str, &'a GraphProto); 2],
    condition: &Operand,
) -> Result<Vec<Named>> {
    if b.shape(condition).elements() != 1 || condition.element() != ElementType::Bool {
        let got = format!("{} {}", condition.element(), b.shape(condition));
        return Err(node.refused("cond", "one truth value", got));
    }
    let condition = b.reshape(condition, [])?;
    let mut outputs = Vec::new();
    for (name, body) in branches {
        outputs.push(bodies.inline(b, node, &name, body, Vec::new(), &|output| node.wants(output))?);
    }
    let text = |b: &Builder, named: Option<&Named>| match named {
        Some(Named::Tensor(x)) => format!("{} {}", x.element(), b.shape(x)),
        other => other.map_or("none".to_owned(), Named::to_string),
    };
    let count = outputs.iter().map(Vec::len).fold(0, usize::max);
    let mut selected = vec![Named::Nothing; count];
    for i in node.wanted().filter(|&i| i < count) {
        let [otherwise, then] = [0, 1].map(|branch| outputs[branch].get(i));
        let pair = (then.and_then(Named::tensor), otherwise.and_then(Named::tensor));
        selected[i] = match pair {
            (Some(a), Some(c)) if (a.element(), b.shape(a)) == (c.element(), b.shape(c)) => {
                b.where_(&condition, a, c)?.into()
            }
            _ => {
                let wanted = "tensors of one type and shape in both branches, because the condition is computed";
                let got = format!("{} and {}", text(b, then), text(b, otherwise));
                return Err(node.refused(&format!("output {i}"), wanted, got));
            }
        };
    }
    Ok(selected)
}

fn repeat<'a>(b: &mut Builder, bodies: &mut dyn Bodies<'a>, node: &Node<'a>) -> Result<Vec<Named>> {
    let body = node.graph("body")?;
    let most = node.optional(0).map(|count| b.known_int("trip count", count)).transpose()?;
    let condition = node.optional(1);
    let mut more = condition.map_or(Ok(true), |condition| truth(b, "condition", condition))?;
    if most.is_none() && condition.is_none() {
        return Err(node.refused("inputs", "a trip count or a condition", "neither"));
    }
    // The next iteration may read all carried values. Scan outputs are computed only if they are read.
    let count = node.inputs().len().saturating_sub(2);
    let wanted = |output: usize| output <= count || node.wants(output - 1);
    let mut carried: Vec<Named> = (2..node.inputs().len()).map(|i| node.named(i).clone()).collect();
    let mut gathered = gathered(node, body, 1 + carried.len())?;
    node.finish()?;
    let (mut turn, mut fixed) = (0, true);
    let depth = b.carried.len();
    while more && most.is_none_or(|most| turn < most) {
        let number = |element, number| Named::from(Tensor::ints(element, [], vec![number]));
        let inputs = [number(ElementType::I64, turn), number(ElementType::Bool, 1)].into_iter().chain(carried.clone());
        let mut outputs = bodies.inline(b, node, &turn, body, inputs.collect(), &wanted)?.into_iter();
        let next = outputs.next().unwrap_or(Named::Nothing);
        carried = outputs.by_ref().take(carried.len()).collect();
        gather(node, &mut gathered, outputs, count)?;
        turn += 1;
        if most != Some(turn) {
            let wrong = || node.refused("condition", "a truth value", &next);
            let next = next.tensor().ok_or_else(wrong)?;
            let items = gathered.iter().flatten().cloned().map(Named::from);
            b.carried.push(carried.iter().cloned().chain(items).collect());
            more = truth(b, "condition", next)?;
            b.carried.truncate(depth);
            fixed &= next.host().is_some_and(|condition| condition.fixed);
            if !more && condition.is_none() {
                // The specification ignores the body's condition in this case, other runtimes don't.
                return Err(node.refused("condition", "one that stays true, where none is given", "false"));
            }
        }
    }
    for items in gathered {
        let output = carried.len();
        carried.push(scan_output(b, node, output, &items, 0, &body.output[1 + output])?);
    }
    Ok(carried.into_iter().map(|named| named.with_fixed(fixed)).collect())
}

/// Returns an empty list for each scan output of a body: the outputs from `first` on.
fn gathered(node: &Node, body: &GraphProto, first: usize) -> Result<Vec<Vec<Operand>>> {
    let count = body.output.len().checked_sub(first);
    let count =
        count.ok_or_else(|| node.refused("outputs of the body", &format!("{first} or more"), body.output.len()))?;
    Ok(vec![Vec::new(); count])
}

/// Appends the scan outputs of an iteration that are read: the node's outputs from `first` on.
fn gather(
    node: &Node,
    gathered: &mut [Vec<Operand>],
    outputs: impl Iterator<Item = Named>,
    first: usize,
) -> Result<()> {
    let each = gathered.iter_mut().zip(outputs).enumerate();
    for (_, (items, output)) in each.filter(|(i, _)| node.wants(first + i)) {
        let tensor = output.tensor().ok_or_else(|| node.refused("outputs of the body", "tensors", &output))?;
        items.push(tensor.clone());
    }
    Ok(())
}

/// A tensor that a scan iterates over.
struct Along {
    x: Operand,
    axis: usize,
    backwards: bool,
}

fn scan<'a>(b: &mut Builder, bodies: &mut dyn Bodies<'a>, node: &Node<'a>) -> Result<Vec<Named>> {
    let (body, count) = (node.graph("body")?, node.int("num_scan_inputs", 0)?);
    let batched = node.opset < 9;
    let all = node.inputs().len().saturating_sub(usize::from(batched));
    let wrong = || node.refused("attribute num_scan_inputs", &format!("1 to {all}"), count);
    let count = usize::try_from(count).ok().filter(|count| (1..=all).contains(count)).ok_or_else(wrong)?;
    let first = usize::from(batched);
    let states = (first..first + all - count).map(|i| node.named(i).clone()).collect::<Vec<_>>();
    let inputs = (first + all - count..first + all).map(|i| node.input(i)).collect::<Result<Vec<_>>>()?;
    let results = gathered(node, body, states.len())?.len();
    let list = |name, count: usize| match node.ints(name)? {
        None => Ok(vec![0; count]),
        Some(list) if list.len() == count => Ok(list),
        Some(list) => Err(node.refused(&format!("attribute {name}"), &format!("{count} numbers"), list.len())),
    };
    let backwards = |name, count| match list(name, count)? {
        list if list.iter().all(|way| matches!(way, 0 | 1)) => Ok(list.into_iter().map(|way| way == 1).collect()),
        list => Err(node.refused(&format!("attribute {name}"), "0 or 1 for each", format_args!("{list:?}"))),
    };
    if batched {
        let ways: Vec<bool> = backwards("directions", count)?;
        return scan_batch(b, bodies, node, body, &states, &inputs, &ways);
    }
    let axes = list("scan_input_axes", count)?;
    let ways: Vec<bool> = backwards("scan_input_directions", count)?;
    let (to, back): (_, Vec<bool>) =
        (list("scan_output_axes", results)?, backwards("scan_output_directions", results)?);
    node.finish()?;
    let mut along = Vec::new();
    for ((x, at), backwards) in inputs.into_iter().zip(axes).zip(ways) {
        along.push(Along { x: x.clone(), axis: axis(at, b.shape(x).len())?, backwards });
    }
    let (mut outputs, gathered) = scanned(b, bodies, node, "", body, states, &along)?;
    for ((mut items, to), back) in gathered.into_iter().zip(to).zip(back) {
        if back {
            items.reverse();
        }
        let output = outputs.len();
        outputs.push(scan_output(b, node, output, &items, to, &body.output[output])?);
    }
    Ok(outputs)
}

/// Imports `Scan` of opset 8: along the second dimension, separately for each element of the first one.
fn scan_batch<'a>(
    b: &mut Builder,
    bodies: &mut dyn Bodies<'a>,
    node: &Node<'a>,
    body: &'a GraphProto,
    states: &[Named],
    inputs: &[&Operand],
    ways: &[bool],
) -> Result<Vec<Named>> {
    let shape = b.shape(inputs[0]);
    let &[batch, length, ..] = &shape[..] else {
        return Err(node.refused("scan inputs", "2 dimensions or more", shape));
    };
    if let Some(lengths) = node.optional(0) {
        let lengths = b.known_ints("sequence_lens", lengths)?;
        if lengths.iter().any(|&each| each != length as i64) {
            return Err(node.refused("sequence_lens", &format!("{length} for all"), format_args!("{lengths:?}")));
        }
    }
    node.finish()?;
    let entry = |b: &mut Builder, x: &Operand, i: usize| match b.shape(x).first() {
        Some(&size) if size == batch => b.entry(x, 0, i),
        _ => Err(node.refused("inputs", &format!("a batch of {batch}"), b.shape(x))),
    };
    let results = body.output.len();
    let mut all: Vec<Vec<Operand>> = vec![Vec::new(); results];
    for i in 0..batch {
        let mut of = Vec::new();
        for state in states {
            let state = state.tensor().ok_or_else(|| node.refused("states", "tensors", state))?;
            of.push(entry(b, state, i)?.into());
        }
        let mut along = Vec::new();
        for (x, &backwards) in inputs.iter().zip(ways) {
            along.push(Along { x: entry(b, x, i)?, axis: 0, backwards });
        }
        let (mut outputs, gathered) = scanned(b, bodies, node, &format!("{i}/"), body, of, &along)?;
        for items in gathered {
            let output = outputs.len();
            outputs.push(scan_output(b, node, output, &items, 0, &body.output[output])?);
        }
        gather(node, &mut all, outputs.into_iter(), 0)?;
    }
    let ports = all.iter().zip(&body.output).enumerate();
    ports.map(|(output, (items, port))| scan_output(b, node, output, items, 0, port)).collect()
}

/// Returns the states and the scan outputs of all iterations, whose number is a size of the inputs.
fn scanned<'a>(
    b: &mut Builder,
    bodies: &mut dyn Bodies<'a>,
    node: &Node<'a>,
    part: &str,
    body: &'a GraphProto,
    mut states: Vec<Named>,
    along: &[Along],
) -> Result<(Vec<Named>, Vec<Vec<Operand>>)> {
    let lengths: Vec<usize> = along.iter().map(|along| b.shape(&along.x)[along.axis]).collect();
    if lengths.iter().any(|&length| length != lengths[0]) {
        return Err(node.refused("scan inputs", "one length", format_args!("{lengths:?}")));
    }
    let mut gathered = gathered(node, body, states.len())?;
    for turn in 0..lengths[0] {
        let mut inputs = states.clone();
        for Along { x, axis, backwards } in along {
            let place = if *backwards { lengths[0] - 1 - turn } else { turn };
            inputs.push(b.entry(x, *axis, place)?.into());
        }
        let count = states.len();
        let wanted = |output: usize| output < count || node.wants(output);
        let mut outputs = bodies.inline(b, node, &format_args!("{part}{turn}"), body, inputs, &wanted)?.into_iter();
        states = outputs.by_ref().take(count).collect();
        gather(node, &mut gathered, outputs, count)?;
    }
    let states = states.into_iter().map(|state| state.with_fixed(false)).collect();
    Ok((states, gathered))
}

/// Returns a scan output of the node, if it is read: the stacked tensors of all iterations. Without iterations, the file
/// must state the sizes.
fn scan_output(
    b: &mut Builder,
    node: &Node,
    output: usize,
    items: &[Operand],
    along: i64,
    port: &ValueInfoProto,
) -> Result<Named> {
    if !node.wants(output) {
        return Ok(Named::Nothing);
    }
    if let Some(first) = items.first() {
        let at = axis(along, b.shape(first).len() + 1)?;
        return Ok(b.stack(items, at)?.with_fixed(false).into());
    }
    let port = ValueInfo::new(port)?;
    let size = |size: &Size| if let Size::Fixed(size) = size { Some(*size) } else { None };
    let sizes: Option<Vec<usize>> = port.sizes.iter().flatten().map(size).collect();
    let Some(mut sizes) = sizes.filter(|_| port.sizes.is_some()) else {
        return Err(node.refused("turns", "1 or more, where the body doesn't say the sizes of its outputs", 0));
    };
    sizes.insert(axis(along, sizes.len() + 1)?, 0);
    Ok(Tensor::filled(port.element, sizes.into(), 0.0)?.into())
}
