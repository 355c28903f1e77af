//! Sequences and optional values. A list is known when the graph is built, its tensors needn't be.

use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Bodies, Builder, Structure};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Named, Node, Operand, Sequence};
use crate::import::onnx::ports::ValueInfo;
use crate::import::onnx::stored::counts;
use crate::import::onnx::tensor::Tensor;

pub(super) fn find(op: &str) -> Option<Structure> {
    Some(match op {
        "SequenceEmpty" => |b, _, node| empty(b, node),
        "SequenceConstruct" => |b, _, node| construct(b, node),
        "SequenceInsert" => |b, _, node| insert(b, node),
        "SequenceErase" => |b, _, node| erase(b, node),
        "SequenceAt" => |b, _, node| at(b, node),
        "SequenceLength" => |_, _, node| length(node),
        "SplitToSequence" => |b, _, node| split(b, node),
        "ConcatFromSequence" => |b, _, node| concat(b, node),
        "SequenceMap" => map,
        "Identity" | "OptionalGetElement" => |_, _, node| Ok(vec![there(node)?]),
        "Optional" => |_, _, node| optional(node),
        "OptionalHasElement" => |_, _, node| has_element(node),
        _ => return None,
    })
}

/// Returns the first input, of any kind. Fails if it is absent.
fn there(node: &Node) -> Result<Named> {
    match node.named(0) {
        Named::Nothing => Err(node.refused("input 0", "what is there", "nothing")),
        there => Ok(there.clone()),
    }
}

/// Imports `Optional`: an optional value is represented by its content, or by `Named::Nothing`.
fn optional(node: &Node) -> Result<Vec<Named>> {
    node.ignore(&["type"]);
    Ok(vec![node.named(0).clone()])
}

fn has_element(node: &Node) -> Result<Vec<Named>> {
    let there = !matches!(node.named(0), Named::Nothing);
    Ok(vec![Tensor::scalar(ElementType::Bool, f64::from(u8::from(there))).into()])
}

/// Creates a list, and counts its elements.
fn list(b: &mut Builder, element: ElementType, items: Vec<Operand>) -> Result<Vec<Named>> {
    b.unrolled(items.len())?;
    if let Some(other) = items.iter().find(|item| item.element() != element) {
        return Err(ErrorKind::argument("elements of a sequence", element, other.element()).into());
    }
    Ok(vec![Named::Sequence(Sequence::new(element, items))])
}

fn empty(b: &mut Builder, node: &Node) -> Result<Vec<Named>> {
    list(b, node.element("dtype")?.unwrap_or(ElementType::F32), Vec::new())
}

fn construct(b: &mut Builder, node: &Node) -> Result<Vec<Named>> {
    let element = node.input(0)?.element();
    list(b, element, node.all()?)
}

/// Returns a position in a list of `count` elements. The position may count from the end.
fn place(b: &Builder, position: &Operand, count: usize) -> Result<usize> {
    let place = b.known_int("position", position)?;
    let wrong = |_| ErrorKind::argument("position", format_args!("one of {count} places"), place);
    Ok(axis(place, count).map_err(wrong)?)
}

fn insert(b: &mut Builder, node: &Node) -> Result<Vec<Named>> {
    let (sequence, item) = (node.sequence(0)?, node.input(1)?.clone());
    let place = match node.optional(2) {
        // -1 inserts before the last element, the number of elements after it.
        Some(position) if b.known_ints("position", position)? == [sequence.len() as i64] => sequence.len(),
        Some(position) => place(b, position, sequence.len())?,
        None => sequence.len(),
    };
    b.unrolled(sequence.len())?;
    let mut items = sequence.items();
    items.insert(place, item);
    list(b, sequence.element, items)
}

fn erase(b: &mut Builder, node: &Node) -> Result<Vec<Named>> {
    let sequence = node.sequence(0)?;
    let place = match node.optional(1) {
        Some(position) => place(b, position, sequence.len())?,
        None => axis(-1, sequence.len()).map_err(|_| node.refused("input 0", "an element to erase", "none"))?,
    };
    b.unrolled(sequence.len())?;
    let mut items = sequence.items();
    items.remove(place);
    list(b, sequence.element, items)
}

fn at(b: &mut Builder, node: &Node) -> Result<Vec<Named>> {
    let sequence = node.sequence(0)?;
    let place = place(b, node.input(1)?, sequence.len())?;
    Ok(vec![sequence.at(place).into()])
}

fn length(node: &Node) -> Result<Vec<Named>> {
    let length = node.sequence(0)?.len() as i64;
    Ok(vec![Tensor::ints(ElementType::I64, [], vec![length]).with_fixed(false).into()])
}

fn split(b: &mut Builder, node: &Node) -> Result<Vec<Named>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let axis = axis(node.int("axis", 0)?, shape.len())?;
    let keepdims = node.flag("keepdims", true)?;
    let size = shape[axis];
    let wrong = |got: &[i64]| node.refused("split", &format!("sizes that add up to {size}"), format_args!("{got:?}"));
    let parts: Vec<usize> = match node.optional(1) {
        None => vec![1; b.unrolled(size).map(|()| size)?],
        Some(split) => {
            let given = b.known_ints("split", split)?;
            match (given[..].as_ref(), b.shape(split).len()) {
                (&[each], 0) => {
                    let each = usize::try_from(each).ok().filter(|&each| each > 0).ok_or_else(|| wrong(&given))?;
                    if !keepdims && each > 1 {
                        return Err(node.refused("attribute keepdims", "1, where parts are larger than 1", 0));
                    }
                    b.unrolled(size.div_ceil(each))?;
                    (0..size).step_by(each).map(|start| each.min(size - start)).collect()
                }
                (_, 1) => {
                    b.unrolled(given.len())?;
                    let parts = counts(&given).ok_or_else(|| wrong(&given))?;
                    let sum = parts.iter().fold(0, |sum: usize, &part| sum.saturating_add(part));
                    if sum == size { parts } else { return Err(wrong(&given)) }
                }
                _ => return Err(node.refused("split", "a number or a list", b.shape(split))),
            }
        }
    };
    // The specification ignores `keepdims` if there is a `split`. PyTorch's exporter writes `unbind` with a `split` of
    // 1, and ONNX Runtime honours `keepdims` then.
    let ones = node.optional(1).is_none_or(|split| b.shape(split).is_empty());
    let drop = ones && !keepdims;
    let (mut start, mut items) = (0, Vec::with_capacity(parts.len()));
    for part in parts {
        items.push(if drop { b.entry(x, axis, start)? } else { b.slice(x, axis, start, part, 1)? });
        start += part;
    }
    // The number of parts depends on the sizes.
    Ok(vec![Named::Sequence(Sequence::new(x.element(), items)).with_fixed(x.host().is_some())])
}

fn concat(b: &mut Builder, node: &Node) -> Result<Vec<Named>> {
    let sequence = node.sequence(0)?;
    let (along, new) = (node.int("axis", 0)?, node.flag("new_axis", false)?);
    if !node.has("axis") {
        return Err(node.refused("attribute axis", "a number", "none"));
    }
    let items = sequence.items();
    let first = items.first().ok_or_else(|| node.refused("input 0", "an element or more", "none"))?;
    b.unrolled(items.len())?;
    let axis = axis(along, b.shape(first).len() + usize::from(new))?;
    Ok(vec![if new { b.stack(&items, axis)? } else { b.concat(&items, axis)? }.into()])
}

fn map<'a>(b: &mut Builder, bodies: &mut dyn Bodies<'a>, node: &Node<'a>) -> Result<Vec<Named>> {
    let (sequence, body) = (node.sequence(0)?, node.graph("body")?);
    let inputs: Vec<Named> = (0..node.inputs().len()).map(|i| node.named(i).clone()).collect();
    for input in &inputs {
        if matches!(input, Named::Sequence(other) if other.len() != sequence.len()) {
            return Err(node.refused("inputs", &format!("sequences of {} tensors", sequence.len()), input));
        }
    }
    node.finish()?;
    let mut lists = vec![Vec::new(); body.output.len()];
    for turn in 0..sequence.len() {
        let of = |input: &Named| match input {
            Named::Sequence(sequence) => sequence.at(turn).into(),
            other => other.clone(),
        };
        let inputs = inputs.iter().map(of).collect();
        let outputs = bodies.inline(b, node, &turn, body, inputs, &|output| node.wants(output))?;
        for (i, output) in outputs.into_iter().enumerate().filter(|(i, _)| node.wants(*i)) {
            let item = output.tensor().ok_or_else(|| node.refused("outputs of the body", "tensors", &output))?;
            lists[i].push(item.clone());
        }
    }
    let mut outputs = Vec::new();
    for (output, (items, port)) in lists.into_iter().zip(&body.output).enumerate() {
        if !node.wants(output) {
            outputs.push(Named::Nothing);
            continue;
        }
        let element = match items.first() {
            Some(item) => item.element(),
            None => ValueInfo::new(port)?.element,
        };
        outputs.extend(list(b, element, items)?);
    }
    Ok(outputs)
}
