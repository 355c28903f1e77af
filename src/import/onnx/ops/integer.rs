//! Integer convolutions in "QDQ" networks, which have a `DequantizeLinear` before and a `QuantizeLinear` after each
//! operation. A convolution between the two is one of integers, and its weights stay packed.
//!
//! The graph has the convolution of floating-point numbers too, which is dropped unless its output has other readers.

use super::window::Window;
use crate::error::Result;
use crate::graph::Source;
use crate::import::onnx::builder::Builder;
use crate::import::onnx::integers::{Numbers, Sums};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Quantised, Tensor};
use crate::ops::{Activation, IntegerConv2d, Requantize};
use crate::{Constant, IntType, Value};

/// Returns the only number of a known operand.
fn number(operand: &Operand) -> Option<f64> {
    operand.host().and_then(Tensor::number)
}

/// Records that `y` is the dequantised form of `q`, which has 8 bits.
pub(super) fn dequantised(b: &mut Builder, y: Value, q: Value, zero_point: Option<Value>, scale: &Operand) {
    if let Some(number) = number(scale).filter(|&scale| scale > 0.0) {
        let fixed = scale.host().is_some_and(|scale| scale.fixed);
        b.integers.numbers.insert(y, Numbers { q, zero_point, scale: number as f32, fixed });
    }
}

/// Records `y` as the convolution of a dequantised `x` with quantised weights, `[out, in / groups, height, width]`.
pub(super) fn convolved(
    b: &mut Builder,
    node: &Node,
    [x, y]: [Value; 2],
    weight: &Quantised,
    bias: Option<&Constant>,
    window: &Window,
    groups: usize,
) {
    let Some(&x) = b.integers.numbers.get(&x) else { return };
    let Quantised { weight, scale, zero_point, of, .. } = weight;
    let ([stride, dilation], &[vertical, horizontal]) =
        ([&window.stride, &window.dilation].map(|of| <[usize; 2]>::try_from(&of[..])), &window.pads[..])
    else {
        return;
    };
    let (Ok(stride), Ok(dilation), None | Some((0, None))) = (stride, dilation, of) else { return };
    let scales = scale.values();
    let whole = |(i, value): (usize, f32)| whole(value / (x.scale * scales[i % scales.len()]));
    let bias = bias.map(|bias| bias.values().into_iter().enumerate().map(whole).collect::<Option<Vec<i32>>>());
    let Some(bias) = bias.unwrap_or(Some(Vec::new())) else { return };
    // The largest sum of a filter must not wrap around.
    let products = weight.shape()[1..].iter().fold(1, |products: u64, &size| products.saturating_mul(size as u64));
    let most = bias.iter().map(|bias| u64::from(bias.unsigned_abs())).max().unwrap_or(0);
    if products.saturating_mul(255 * 255).saturating_add(most) > i32::MAX as u64 {
        return;
    }
    let bias = (!bias.is_empty()).then(|| {
        let bias = Constant::known("", [bias.len()], bias);
        b.shared(&format!("{}\nbias", node.key()), x.fixed && node.hosts().all(|input| input.fixed), bias)
    });
    let conv = IntegerConv2d::new(weight.clone(), bias).stride(stride).dilation(dilation).groups(groups);
    let conv = conv.padding_per_side([vertical, horizontal]);
    let (w_zero_point, w_scale) = (zero_point.clone(), scale.clone());
    b.integers.sums.insert(y, Sums { x, conv, w_zero_point, w_scale });
}

/// Returns `y` quantised, if `y` is a convolution of integers.
pub(super) fn quantised(
    b: &mut Builder,
    y: Value,
    scale: &Operand,
    zero_point: Option<&Operand>,
    to: IntType,
) -> Result<Option<Value>> {
    let (scale, zero_point) = (number(scale), zero_point.map_or(Some(0.0), number));
    let (Some(scale), Some(zero_point)) = (scale.filter(|&scale| scale > 0.0), zero_point) else { return Ok(None) };
    let (mut y, mut lo, mut hi) = (y, f32::NEG_INFINITY, f32::INFINITY);
    if let &Source::Node(node) = b.graph.source(y) {
        let node = &b.graph.nodes()[node];
        // Quantising and clamping commute.
        if let Some(clamp) = node.op.downcast_ref::<Activation>().and_then(|activation| activation.range()) {
            (y, [lo, hi]) = (node.inputs[0], clamp);
        }
    }
    let Some(Sums { x, conv, w_zero_point, w_scale }) = b.integers.sums.get(&y).cloned() else {
        return Ok(None);
    };
    if !w_scale.values().iter().all(|w_scale| (x.scale * w_scale / scale as f32).is_normal()) {
        return Ok(None);
    }
    let end = Requantize::new(x.scale, w_scale, scale as f32, zero_point as i32, to).clamp(lo, hi);
    let w_zero_point = w_zero_point.map(|zero_point| b.graph.constant(zero_point));
    b.graph.integer_conv2d(x.q, conv.requantize(end), [x.zero_point, w_zero_point]).map(Some)
}

/// Returns a bias in units of the sums, if it was an integer before it was dequantised.
fn whole(quotient: f32) -> Option<i32> {
    let nearest = quotient.round();
    // The tolerance covers an f32's rounding in a product and a quotient.
    let close = (quotient - nearest).abs() <= 1e-3 + 4.0 * f32::EPSILON * nearest.abs();
    (close && nearest.abs() < 2f32.powi(31)).then_some(nearest as i32)
}
