//! Operators along axes: reductions, positions of extrema, running sums, softmax.

use super::arithmetic::many;
use crate::Shape;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::{axes, axis};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{ArgReduce, BinaryKind, Compare, CumSum, LogSoftmax, ReduceKind, Softmax, TopK, Unary};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "ReduceSum" => |b, node| reduce(b, node, ReduceKind::Sum),
        "ReduceMean" => |b, node| reduce(b, node, ReduceKind::Mean),
        "ReduceMax" => |b, node| reduce(b, node, ReduceKind::Max),
        "ReduceMin" => |b, node| reduce(b, node, ReduceKind::Min),
        "ReduceProd" => |b, node| reduce(b, node, ReduceKind::Prod),
        "ReduceL1" => |b, node| reduce(b, node, ReduceKind::L1),
        "ReduceL2" => |b, node| reduce(b, node, ReduceKind::L2),
        "ReduceLogSumExp" => |b, node| reduce(b, node, ReduceKind::LogSumExp),
        "ReduceLogSum" => |b, node| {
            let sum = reduce(b, node, ReduceKind::Sum)?.remove(0);
            Ok(vec![b.unary(&sum, Unary::Log)?])
        },
        "ReduceSumSquare" => reduce_sum_square,
        "Mean" => mean,
        "ArgMax" => |b, node| arg_reduce(b, node, ArgReduce::argmax),
        "ArgMin" => |b, node| arg_reduce(b, node, ArgReduce::argmin),
        "TopK" => top_k,
        "CumSum" => cumsum,
        "Softmax" => |b, node| softmax(b, node, |b, x, axis| b.moved(Softmax::new(axis), &[x])),
        "LogSoftmax" => |b, node| softmax(b, node, |b, x, axis| b.moved(LogSoftmax::new(axis), &[x])),
        "Hardmax" => |b, node| softmax(b, node, hardmax),
        "LpNormalization" => lp_normalization,
        "MeanVarianceNormalization" => mean_variance_normalization,
        _ => return None,
    })
}

/// Returns the axes that a node reduces: all if it names none, unless it then reduces nothing.
fn reduced_axes(b: &Builder, node: &Node, rank: usize) -> Result<Vec<usize>> {
    let list = b.ints(node, "axes", 1)?.unwrap_or_default();
    let nothing = node.flag("noop_with_empty_axes", false)?;
    if list.is_empty() && !nothing { Ok((0..rank).collect()) } else { Ok(axes(&list, rank)?) }
}

fn reduce(b: &mut Builder, node: &Node, kind: ReduceKind) -> Result<Vec<Operand>> {
    let x = node.input(0)?.clone();
    reduce_operand(b, node, &x, kind)
}

fn reduce_operand(b: &mut Builder, node: &Node, x: &Operand, kind: ReduceKind) -> Result<Vec<Operand>> {
    let shape = b.shape(x);
    let keepdim = node.flag("keepdims", true)?;
    let axes = reduced_axes(b, node, shape.len())?;
    if axes.is_empty() {
        // Each element is reduced alone, which changes it for some kinds.
        let unit = b.reshape(x, [&shape[..], &[1]].concat())?;
        return Ok(vec![b.reduce(&unit, kind, &[shape.len()], false)?]);
    }
    Ok(vec![b.reduce(x, kind, &axes, keepdim)?])
}

fn reduce_sum_square(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?.clone();
    let squares = b.binary(BinaryKind::Mul, &x, &x)?;
    reduce_operand(b, node, &squares, ReduceKind::Sum)
}

fn mean(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let sum = many(b, node, BinaryKind::Add)?;
    let count = sum.number(node.inputs().len() as f64);
    Ok(vec![b.binary(BinaryKind::Div, &sum, &count)?])
}

fn arg_reduce(b: &mut Builder, node: &Node, op: fn(usize) -> ArgReduce) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let axis = axis(node.int("axis", 0)?, shape.len())?;
    let (keepdim, last) = (node.flag("keepdims", true)?, node.flag("select_last_index", false)?);
    let size = shape[axis];
    if size == 0 && (0..shape.len()).all(|other| other == axis || shape[other] > 0) {
        return Err(node.refused("input", "an axis of 1 element or more", &shape));
    }
    let x = if last { b.slice(x, axis, size.saturating_sub(1), size, -1)? } else { x.clone() };
    let place = b.typed(ElementType::I64, op(axis).keepdim(keepdim), &[&x])?;
    if !last {
        return Ok(vec![place]);
    }
    let end = Tensor::scalar(ElementType::I64, size as f64 - 1.0);
    Ok(vec![b.binary(BinaryKind::Sub, &end.into(), &place)?])
}

fn top_k(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let axis = axis(node.int("axis", -1)?, b.shape(x).len())?;
    let k = match node.opset {
        ..10 => node.int("k", 0)?,
        _ => b.known_int("k", node.input(1)?)?,
    };
    let k = usize::try_from(k).map_err(|_| node.refused("k", "1 or more", k))?;
    let largest = node.flag("largest", true)?;
    // A sorted output is valid too if the order doesn't matter.
    node.flag("sorted", true)?;
    let mut shape = b.shape(x).to_vec();
    if k <= shape[axis] {
        shape[axis] = k;
        let shape = Shape::from(shape);
        if shape.elements() == 0 {
            let empty = [x.element(), ElementType::I64].map(|element| Tensor::empty(element, shape.clone()).into());
            return Ok(empty.into());
        }
    }
    let value = b.value(x)?;
    let [values, places] = b.graph.topk(value, TopK::new(k, axis).largest(largest))?;
    Ok(vec![Operand::Device(values, x.element()), Operand::Device(places, ElementType::I64)])
}

fn cumsum(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let axis = axis(b.known_int("axis", node.input(1)?)?, b.shape(x).len())?;
    let op = CumSum::new(axis).exclusive(node.flag("exclusive", false)?).reverse(node.flag("reverse", false)?);
    let sums = b.moved(op, &[x])?;
    Ok(vec![b.wrapped(sums)?])
}

/// Applies a function along an axis; before opset 13, along all axes from there on, taken as one.
fn softmax(
    b: &mut Builder,
    node: &Node,
    along: impl Fn(&mut Builder, &Operand, usize) -> Result<Operand>,
) -> Result<Vec<Operand>> {
    let default = if node.opset >= 13 { -1 } else { 1 };
    Ok(vec![along_axis(b, node.input(0)?, node.int("axis", default)?, node.opset, along)?])
}

pub(super) fn along_axis(
    b: &mut Builder,
    x: &Operand,
    at: i64,
    opset: i64,
    along: impl Fn(&mut Builder, &Operand, usize) -> Result<Operand>,
) -> Result<Operand> {
    let shape = b.shape(x);
    let axis = axis(at, shape.len())?;
    if opset >= 13 || axis + 1 == shape.len() {
        return along(b, x, axis);
    }
    let sizes = [shape[..axis].iter().product::<usize>(), shape[axis..].iter().product()];
    let flat = b.reshape(x, sizes)?;
    let flat = along(b, &flat, 1)?;
    b.reshape(&flat, shape)
}

/// Returns 1 at the first of the largest elements along an axis, 0 elsewhere.
fn hardmax(b: &mut Builder, x: &Operand, axis: usize) -> Result<Operand> {
    let shape = b.shape(x);
    let place = b.typed(ElementType::I64, ArgReduce::argmax(axis).keepdim(true), &[x])?;
    let mut sizes = vec![1; shape.len()];
    sizes[axis] = shape[axis];
    let places = Tensor::ints(ElementType::I64, sizes, (0..shape[axis] as i64).collect());
    let hot = b.compare(&place, Compare::Eq, &places.into())?;
    b.cast(&hot, x.element())
}

fn lp_normalization(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let axis = axis(node.int("axis", -1)?, b.shape(x).len())?;
    let kind = match node.int("p", 2)? {
        1 => ReduceKind::L1,
        2 => ReduceKind::L2,
        p => return Err(node.refused("attribute p", "1 or 2", p)),
    };
    let norm = b.reduce(x, kind, &[axis], true)?;
    // A norm of 0 leaves zeros.
    let nothing = b.compare(&norm, Compare::Eq, &x.number(0))?;
    let norm = b.where_(&nothing, &x.number(1), &norm)?;
    Ok(vec![b.binary(BinaryKind::Div, x, &norm)?])
}

/// Computes `(x - mean) / (sqrt(variance) + 1e-9)`, the specification's function.
fn mean_variance_normalization(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let axes = axes(&node.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]), b.shape(x).len())?;
    let [_, centred, variance] = b.moments(x, &axes)?;
    let deviation = b.unary(&variance, Unary::Sqrt)?;
    let deviation = b.binary(BinaryKind::Add, &deviation, &x.number(1e-9))?;
    Ok(vec![b.binary(BinaryKind::Div, &centred, &deviation)?])
}
