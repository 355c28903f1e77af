//! The patterns of convolutions of integers: in "QDQ" networks, which dequantise before each operation and quantise after
//! it; and in networks that quantise each image by its own range.

use crate::graph::constant::Quantised;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::graph::{Kept, Node, Source};
use crate::kernel::WeightKey;
use crate::ops::{BinaryKind, Cast, Conv2d, Dequantize, IntegerConv2d, Quantize, Requantize};
use crate::{Constant, IntType, Shape, Value};

/// Finds a quantised convolution of a dequantised image with dequantised weights, with a clamp between or without one.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let to = node.op.downcast_ref::<Quantize>()?.to();
    let (y, y_scale, y_zero) = parameters(seen, &node.inputs, to)?;
    // Quantising and clamping commute.
    let (y, [lo, hi]) = match seen.activation(y) {
        Some((activation, inner)) => (inner, activation.range()?),
        None => (y, [f32::NEG_INFINITY, f32::INFINITY]),
    };
    let (conv, inputs) = seen.op::<Conv2d>(y)?;
    let (filters, window) = conv.parts()?;
    let Quantised { weight, scale, zero_point, of: None | Some((0, None)), transposed: false } =
        filters.weight.quantised()?
    else {
        return None;
    };
    let (dequantize, inputs) = seen.op::<Dequantize>(inputs[0])?;
    let of = dequantize.stated_type().filter(|of| of.bits() == 8)?;
    let (x, x_scale, _) = parameters(seen, inputs, of)?;
    let x_zero = inputs[2];

    let scales = scale.values();
    let unit = |i: usize| x_scale * scales[i % scales.len()];
    let whole = |(i, value): (usize, f32)| whole(value / unit(i));
    let bias = filters.bias.as_ref().map(|bias| bias.values().into_iter().enumerate().map(whole).collect());
    let bias: Vec<i32> = bias.unwrap_or(Some(Vec::new()))?;
    // The largest sum of a filter must not wrap around.
    let in_range = zero_point.iter().flat_map(Constant::values).all(|zero| fits(weight.int_type(), zero as i32));
    let products = weight.shape()[1..].iter().fold(1, |products: u64, &size| products.saturating_mul(size as u64));
    let most = bias.iter().map(|bias| u64::from(bias.unsigned_abs())).max().unwrap_or(0);
    let wraps = !in_range || products.saturating_mul(255 * 255).saturating_add(most) > i32::MAX as u64;
    if wraps || !(0..scales.len()).all(|i| (unit(i) / y_scale).is_normal()) {
        return None;
    }
    let ids = [filters.bias.as_ref(), Some(scale)].map(|constant| constant.map(Constant::id));
    let key = WeightKey::new("whole bias").constants(ids).number(x_scale.into());
    let bias = (!bias.is_empty()).then(|| Constant::known("bias", [bias.len()], bias).computed_as(key));
    let end = Requantize::new(x_scale, scale.clone(), y_scale, y_zero, to).clamp(lo, hi);
    let conv = IntegerConv2d::new(weight.clone(), bias).stride(window.stride).dilation(window.dilation);
    let conv = conv.padding_per_side(window.padding()).groups(filters.groups).requantize(end);
    let zero_point = zero_point.clone();
    Replacement::new(move |graph| {
        let w_zero = zero_point.map(|zero_point| graph.constant(zero_point));
        graph.integer_conv2d(x, conv, [Some(x_zero), w_zero])
    })
}

/// Finds a convolution of integers whose sums are scaled as `f32`s, by a number that the device computes: what ONNX
/// Runtime's `quantize_dynamic` makes of a convolution. Scaling the image first gives the same but for rounding, and a
/// convolution of `f32`s is faster and takes in what follows.
pub(super) fn scaled(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let [a, b] = seen.binary(node.outputs[0], BinaryKind::Mul)?;
    let (y, scale) = if seen.op::<Cast>(a).is_some() { (a, b) } else { (b, a) };
    let (_, sums) = seen.op::<Cast>(y).filter(|_| seen.shape(scale).elements() == 1 && seen.read_once(y))?;
    let (conv, inputs) = seen.op::<IntegerConv2d>(sums[0]).filter(|_| seen.read_once(sums[0]))?;
    let ((weight, window, groups), &[x, x_zero, w_zero]) = (conv.parts()?, inputs) else { return None };
    let Source::Constant(w_zero) = seen.graph().source(w_zero) else { return None };
    let (count, zero_point) = (w_zero.shape().elements(), w_zero.clone());
    let ones = Constant::known("one", if count == 1 { Shape::from([]) } else { [count].into() }, vec![1.0; count]);
    let zero_point = zero_point.with_shape(ones.shape().clone());
    let weight = Dequantize::for_weight(weight.clone()).axis(0).constant(ones, Some(zero_point)).ok()?;
    let conv = Conv2d::new(weight, None).stride(window.stride).dilation(window.dilation).groups(groups);
    let conv = conv.padding_per_side(window.padding());
    Replacement::new(move |graph| {
        let x = graph.dequantize(x, scale, Some(x_zero), Dequantize::new())?;
        // A scale may be beyond f16, and the sums in its range.
        graph.keep_f32(x, Kept::Value);
        graph.conv2d(x, conv)
    })
}

/// Returns the tensor that is quantised or dequantised, its only scale and its zero point, if these are known.
fn parameters(seen: &Rewriting, inputs: &[Value], of: IntType) -> Option<(Value, f32, i32)> {
    let &[x, scale, zero_point] = inputs else { return None };
    let scale = seen.number(scale).filter(|&scale| scale > 0.0)?;
    let zero_point = seen.integer(zero_point).filter(|&zero_point| fits(Some(of), zero_point))?;
    Some((x, scale, zero_point))
}

fn fits(of: Option<IntType>, number: i32) -> bool {
    of.map(IntType::range).is_some_and(|[least, greatest]| (least..=greatest).contains(&number))
}

/// Returns a bias in units of the sums, if it was an integer before it was dequantised.
fn whole(quotient: f32) -> Option<i32> {
    let nearest = quotient.round();
    // The tolerance covers an f32's rounding in a product and a quotient.
    let close = (quotient - nearest).abs() <= 1e-3 + 4.0 * f32::EPSILON * nearest.abs();
    (close && nearest.abs() < 2f32.powi(31)).then_some(nearest as i32)
}
