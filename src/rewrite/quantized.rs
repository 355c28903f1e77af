//! Quantised numbers that are better computed as `f32`s.

use crate::Value;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::graph::{Kept, Node};
use crate::ops::unary::elementwise::{Elementwise, Function, Operand};
use crate::ops::{Activation, BinaryKind, Dequantize, PackedLinear, Quantize, Unary};

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
        // A scale may be beyond f16, and the product in its range.
        graph.keep_f32(weight, Kept::Value);
        graph.push(product, &[x, weight])
    })
}

fn rows(seen: &Rewriting, x: Value) -> usize {
    seen.shape(x).iter().rev().skip(1).product()
}
