//! Shapes, constants, and operators that change only a shape or a type.

use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::{axes, axis};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::stored::sizes;
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::Bitcast;
use crate::{DType, Shape};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Dropout" => dropout,
        "Constant" => constant,
        "ConstantOfShape" => constant_of_shape,
        "EyeLike" => eye_like,
        "Range" => range,
        "Cast" => cast,
        "CastLike" => |b, node| cast_to(b, node, node.input(1)?.element()),
        "BitCast" => bit_cast,
        "Shape" => shape,
        "Size" => size,
        "Reshape" => reshape,
        "Flatten" => flatten,
        "Squeeze" => squeeze,
        "Unsqueeze" => unsqueeze,
        "Expand" => expand,
        _ => return None,
    })
}

/// Imports `Dropout`. Inference drops nothing, so the mask of kept elements is true everywhere.
fn dropout(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    node.ignore(&["ratio", "seed", "consumed_inputs"]);
    let training = match node.optional(2) {
        Some(mode) => b.known("training_mode", mode)?.number() != Some(0.0),
        // Before opset 7, a flag excluded training.
        None => node.opset < 7 && !node.flag("is_test", false)?,
    };
    let drops = |ratio: &Operand| b.known("ratio", ratio).map(|ratio| ratio.number() != Some(0.0));
    if training && node.opset >= 7 && node.optional(1).map_or(Ok(true), drops)? {
        return Err(node.refused("training_mode", "false, or a ratio of 0", "true"));
    }
    let shape = b.shape(x);
    let mask = match node.wants(1) {
        true => Tensor::filled(if node.opset < 10 { x.element() } else { ElementType::Bool }, shape, 1.0)?,
        false => Tensor::scalar(ElementType::Bool, 1.0),
    };
    Ok(vec![x.clone(), mask.into()])
}

fn constant(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let mut given: Vec<Operand> = Vec::new();
    if let Some(proto) = node.tensor("value")? {
        given.push(b.stored(node.name(), proto)?.into());
    }
    if node.has("value_float") {
        given.push(Tensor::scalar(ElementType::F32, node.float("value_float", 0.0)?.into()).into());
    }
    if node.has("value_int") {
        given.push(Tensor::ints(ElementType::I64, [], vec![node.int("value_int", 0)?]).into());
    }
    if let Some(values) = node.floats("value_floats")? {
        given.push(Tensor::floats(ElementType::F32, [values.len()], values).into());
    }
    if let Some(values) = node.ints("value_ints")? {
        given.push(Tensor::ints(ElementType::I64, [values.len()], values).into());
    }
    match given.len() {
        1 => Ok(given),
        // The node may have an unsupported attribute instead.
        0 => Err(node.finish().err().unwrap_or_else(|| node.refused("attributes", "a value", "none"))),
        other => Err(node.refused("attributes", "one value that is a tensor or numbers", other)),
    }
}

fn constant_of_shape(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let shape = node.input(0)?;
    let fixed = shape.host().is_some_and(|shape| shape.fixed);
    let shape = sizes(&b.known_ints("shape", shape)?)?;
    let value = match node.tensor("value")? {
        Some(proto) => b.stored(node.name(), proto)?,
        None => Tensor::scalar(ElementType::F32, 0.0),
    };
    let number = value.number().ok_or_else(|| node.refused("attribute value", "one number", &value.shape))?;
    Ok(vec![Tensor::filled(value.element, shape, number)?.with_fixed(fixed).into()])
}

fn eye_like(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let (shape, element) = (b.shape(x), node.element("dtype")?.unwrap_or(x.element()));
    let k = node.int("k", 0)?;
    let [rows, columns] = shape[..] else { return Err(node.refused("input", "2 dimensions", &shape)) };
    foldable(&shape)?;
    let places = (0..rows as i64).flat_map(|row| (0..columns as i64).map(move |column| column - row));
    let numbers = places.map(|diagonal| f64::from(u8::from(diagonal == k))).collect();
    Ok(vec![Tensor::computed(element, shape, numbers, &[]).with_fixed(false).into()])
}

fn range(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    // All three are asked for at once.
    let parts = [0, 1, 2].map(|i| node.input(i).and_then(|input| b.known(["start", "limit", "delta"][i], input)));
    let [start, limit, delta] = parts;
    let (start, limit, delta) = (start?, limit?, delta?);
    let one = |tensor: &Tensor| tensor.number().ok_or_else(|| node.refused("input", "a scalar", &tensor.shape));
    let (first, end, step) = (one(&start)?, one(&limit)?, one(&delta)?);
    let of = [&start, &limit, &delta];
    if step == 0.0 {
        return Err(node.refused("delta", "a step that reaches the limit", step));
    }
    if of.iter().all(|tensor| !tensor.element.is_float()) {
        // Integers beyond 2^53 are no `f64`s.
        let [first, end, step] = of.map(|tensor| tensor.whole().first().copied().unwrap_or_default());
        let count = ((end - first + step - step.signum()) / step).max(0);
        let shape = Shape::from([usize::try_from(count).unwrap_or(usize::MAX)]);
        foldable(&shape)?;
        let numbers = (0..count).map(|i| first + i * step).collect();
        return Ok(vec![Tensor::computed_ints(start.element, shape, numbers, &of).into()]);
    }
    let count = ((end - first) / step).ceil().max(0.0);
    if !count.is_finite() {
        return Err(node.refused("delta", "a step that reaches the limit", step));
    }
    let shape = Shape::from([count as usize]);
    foldable(&shape)?;
    let numbers = (0..shape[0]).map(|i| first + i as f64 * step).collect();
    Ok(vec![Tensor::computed(start.element, shape, numbers, &of).into()])
}

fn cast(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    // Before opset 6, the type was a string.
    let to = match node.opset {
        ..6 => return Err(node.refused("opset", "6 or more", node.opset)),
        _ => node.element("to")?.ok_or_else(|| node.refused("attribute to", "an element type", "none"))?,
    };
    cast_to(b, node, to)
}

fn cast_to(b: &mut Builder, node: &Node, to: ElementType) -> Result<Vec<Operand>> {
    let saturate = node.flag("saturate", true)?;
    // The mode applies only to a type whose numbers are powers of two.
    let up = node.one_of("round_mode", &["up", "down", "nearest"])?;
    if to == ElementType::F8E8M0 && up != "up" {
        return Err(node.refused("attribute round_mode", "up", up));
    }
    Ok(vec![b.cast_saturating(node.input(0)?, to, saturate)?])
}

/// Imports `BitCast`: the same bits as another type. The device has floats of 32 bits only.
fn bit_cast(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let to = node.element("to")?.ok_or_else(|| node.refused("attribute to", "an element type", "none"))?;
    let from = x.element();
    if from.bits() != to.bits() {
        return Err(node.refused("attribute to", &format!("a type of {} bits, as {from} has", from.bits()), to));
    }
    match (from, to) {
        // Integers of the same width wrap around into one another.
        _ if from == to || !(from.is_float() || to.is_float()) => Ok(vec![b.cast(x, to)?]),
        (ElementType::F32, ElementType::I32) => Ok(vec![b.typed(to, Bitcast::new(DType::I32), &[x])?]),
        (ElementType::I32, ElementType::F32) => Ok(vec![b.typed(to, Bitcast::new(DType::F32), &[x])?]),
        _ => Err(node.refused("attribute to", "float of int32, int32 of float, or an integer of one", to)),
    }
}

fn shape(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let shape = b.shape(node.input(0)?);
    let rank = shape.len() as i64;
    let place = |place: i64| (if place < 0 { place.saturating_add(rank) } else { place }).clamp(0, rank) as usize;
    let (start, end) = (place(node.int("start", 0)?), place(node.int("end", rank)?));
    Ok(vec![Tensor::sizes(&shape[start..end.max(start)]).with_fixed(false).into()])
}

fn size(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let elements = b.shape(node.input(0)?).elements() as i64;
    Ok(vec![Tensor::ints(ElementType::I64, [], vec![elements]).with_fixed(false).into()])
}

fn reshape(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let from = b.shape(x);
    node.ignore(&["consumed_inputs"]);
    // Before opset 5, the shape was an attribute.
    let target = match node.ints("shape")? {
        Some(shape) => shape,
        None => b.known_ints("shape", node.input(1)?)?,
    };
    let keep_zeros = node.flag("allowzero", false)?;
    let wrong = || ErrorKind::argument("shape", format_args!("as many elements as {from}"), format!("{target:?}"));
    let mut sizes = Vec::new();
    for (i, &size) in target.iter().enumerate() {
        sizes.push(match size {
            0 if !keep_zeros => *from.get(i).ok_or_else(wrong)?,
            // The remaining size is computed below.
            -1 => 1,
            size => usize::try_from(size).map_err(|_| wrong())?,
        });
    }
    let open: Vec<usize> = (0..target.len()).filter(|&i| target[i] == -1).collect();
    if let [open] = open[..] {
        let known = Shape::from(sizes.clone()).elements();
        sizes[open] = from.elements().checked_div(known).ok_or_else(wrong)?;
    }
    let shape = Shape::from(sizes);
    if open.len() > 1 || shape.elements() != from.elements() {
        return Err(wrong().into());
    }
    Ok(vec![b.reshape(x, shape)?])
}

fn flatten(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let at = node.int("axis", 1)?;
    let at = if at == shape.len() as i64 { shape.len() } else { axis(at, shape.len())? };
    let product = |sizes: &[usize]| sizes.iter().product::<usize>();
    Ok(vec![b.reshape(x, [product(&shape[..at]), product(&shape[at..])])?])
}

fn squeeze(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let dropped = match b.ints(node, "axes", 1)? {
        Some(list) => axes(&list, shape.len())?,
        None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
    };
    if let Some(&axis) = dropped.iter().find(|&&axis| shape[axis] != 1) {
        return Err(node.refused("axes", "dimensions of size 1", format_args!("{axis} of {shape}")));
    }
    let kept = shape.iter().enumerate().filter(|(axis, _)| !dropped.contains(axis));
    Ok(vec![b.reshape(x, kept.map(|(_, &size)| size).collect::<Vec<_>>())?])
}

fn unsqueeze(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let missing = || node.refused("axes", "some", "none");
    let list = b.ints(node, "axes", 1)?.ok_or_else(missing)?;
    let mut sizes = b.shape(x).to_vec().into_iter();
    let rank = sizes.len() + list.len();
    Shape::from(vec![1; rank]).countable()?;
    let added = axes(&list, rank)?;
    let shape = (0..rank).map(|axis| if added.contains(&axis) { 1 } else { sizes.next().unwrap_or(1) });
    Ok(vec![b.reshape(x, shape.collect::<Vec<_>>())?])
}

fn expand(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let (from, wanted) = (b.shape(x), b.known_ints("shape", node.input(1)?)?);
    let shape = sizes(&wanted)?;
    // Either shape may be broadcast to the other.
    let shape =
        from.broadcast(&shape).ok_or_else(|| node.refused("shape", &format!("one that {from} fits"), &shape))?;
    Ok(vec![b.expand(x, &shape)?])
}
