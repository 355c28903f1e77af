//! Quantised numbers that are better computed as `f32`s.

use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::unary::elementwise::{Elementwise, Function, Operand};
use crate::ops::{Activation, BinaryKind, Dequantize, Quantize, Unary};

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
