//! Quantised numbers that are better computed as `f32`s.

use crate::graph::rewrite::{Replacement, Rewriting};
use crate::graph::{Node, Source};
use crate::ops::unary::elementwise::{Elementwise, Function, Operand};
use crate::ops::{Activation, BinaryKind, Cast, Dequantize, IntegerMatMul, PackedLinear, Quantize, Unary};
use crate::{Constant, Value};

/// The rows from which on a matrix of packed weights is converted once, rather than in each workgroup: twice as many as a
/// workgroup has.
const MANY_ROWS: usize = 16;

/// Finds a quantisation right before its inverse, such as those around an operation on `f32`s of a "QDQ" network: a
/// rounding to multiples of the scale, within bounds.
pub(super) fn rounding(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    node.op.downcast_ref::<Dequantize>()?;
    let &[quantized, back, back_zero] = &node.inputs[..] else { return None };
    let (quantize, &[x, scale, zero]) = seen.op::<Quantize>(quantized)? else { return None };
    let one = |value| seen.number(value).filter(|scale| scale.is_normal() && *scale > 0.0);
    let (scale, back) = (one(scale)?, one(back)?);
    let zero = seen.integer(zero).filter(|&zero| seen.integer(back_zero) == Some(zero))?;
    let [lo, hi] = quantize.to().range().map(|bound| bound.checked_sub(zero).map(|bound| bound as f32));
    let arithmetic = |kind, number| Function::Arithmetic(kind, Operand::Number(number), false);
    let op = Elementwise::new(vec![
        arithmetic(BinaryKind::Div, scale),
        Function::Unary(Unary::Round),
        Function::Activation(Activation::Clamp(lo?, hi?)),
        arithmetic(BinaryKind::Mul, back),
    ])?;
    seen.gives(&op, &[x], node.outputs[0]).then(|| Replacement::op(op, &[x])).flatten()
}

/// Finds a layer of packed weights over many rows: the device converts the weights, then multiplies matrices.
pub(super) fn many_rows(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let linear = node.op.downcast_ref::<PackedLinear>()?;
    let &[x] = &node.inputs[..] else { return None };
    let features = seen.shape(x).last().copied().filter(|_| rows(seen, x) >= MANY_ROWS)?;
    let (dequantize, scale, zero, product) = linear.unpacked(features)?;
    Replacement::new(move |graph| {
        let (scale, zero) = (graph.constant(scale), zero.map(|zero| graph.constant(zero)));
        let zero = graph.zero_point(zero);
        let weight = graph.push(dequantize, &[scale, zero])?;
        graph.push(product, &[x, weight])
    })
}

/// Finds a product of integers of many rows whose sums are scaled as `f32`s: what ONNX Runtime's `quantize_dynamic` makes
/// of a layer. Scaling the rows first gives the same but for rounding, as for [convolutions](super::integer::scaled).
pub(super) fn scaled(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let [a, b] = seen.binary(node.outputs[0], BinaryKind::Mul)?;
    let (y, scale) = if seen.op::<Cast>(a).is_some() { (a, b) } else { (b, a) };
    let (_, sums) = seen.op::<Cast>(y).filter(|_| seen.read_once(y))?;
    let (product, inputs) = seen.op::<IntegerMatMul>(sums[0]).filter(|_| seen.read_once(sums[0]))?;
    let (weight, &[x, x_zero, w_zero]) = (product.weight()?.clone(), inputs) else { return None };
    let Source::Constant(w_zero) = seen.graph().source(w_zero) else { return None };
    let &[inputs, outputs] = &weight.shape()[..] else { return None };
    // The sums of integers don't wrap around.
    let whole = inputs < (i32::MAX / (255 * 255)) as usize && seen.shape(x_zero).elements() == 1;
    if !whole || rows(seen, x) < MANY_ROWS || seen.shape(node.outputs[0]) != seen.shape(y) {
        return None;
    }
    let (scale, scales) = by_column(seen, scale, outputs)?;
    let w_zero = w_zero.with_shape([w_zero.shape().elements()]);
    let linear = PackedLinear::new(weight, scales).zero_point(w_zero).transposed();
    Replacement::new(move |graph| {
        let x = graph.dequantize(x, scale, Some(x_zero), Dequantize::new())?;
        graph.packed_linear(x, linear)
    })
}

/// Returns a scale as one number that the device computes, and known ones by column.
fn by_column(seen: &Rewriting, scale: Value, columns: usize) -> Option<(Value, Constant)> {
    let one = |value: &Value| seen.shape(*value).elements() == 1;
    if one(&scale) {
        return Some((scale, Constant::known("one", [1], vec![1.0])));
    }
    let [a, b] = seen.binary(scale, BinaryKind::Mul)?;
    let (x, known) = if one(&a) { (a, b) } else { (b, a) };
    let known = seen.constant(known).filter(|known| known.shape().last() == Some(&known.shape().elements()))?;
    (one(&x) && known.shape().elements() == columns).then(|| (x, known.with_shape([columns])))
}

fn rows(seen: &Rewriting, x: Value) -> usize {
    seen.shape(x).iter().rev().skip(1).product()
}
