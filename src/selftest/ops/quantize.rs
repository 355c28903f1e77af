//! Cases of quantisation, and its references: one scale or several, packed weights, ties and limits.

use crate::ops::{Dequantize, Quantize};
use crate::selftest::cases::{as_image, constant, graph, packed, random, whole};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};
use crate::{DType, IntType};

/// Returns the scale or the zero point of an element.
fn scale_at(scales: &Tensor, index: &[usize], axis: usize, block: Option<usize>) -> f64 {
    match block {
        _ if scales.data.len() == 1 => f64::from(scales.data[0]),
        None => scales.at(&index[axis..=axis]),
        Some(block) => {
            let mut index = index.to_vec();
            index[axis] /= block;
            scales.at(&index)
        }
    }
}

pub fn quantize(x: &Tensor, scale: &Tensor, zero: &Tensor, axis: usize, block: Option<usize>, to: IntType) -> Tensor {
    let [least, greatest] = to.range().map(f64::from);
    let y = Tensor::build(x.shape.clone(), |i| {
        // The quotient is rounded to f32.
        let quotient = x.at(i) as f32 / scale_at(scale, i, axis, block) as f32;
        let quotient = if quotient.is_nan() { 0.0 } else { f64::from(quotient).round_ties_even() };
        (quotient + scale_at(zero, i, axis, block)).clamp(least, greatest)
    });
    y.with_dtype(DType::I32)
}

pub fn dequantize(x: &Tensor, scale: &Tensor, zero: &Tensor, axis: usize, block: Option<usize>) -> Tensor {
    Tensor::build(x.shape.clone(), |i| (x.at(i) - scale_at(zero, i, axis, block)) * scale_at(scale, i, axis, block))
}

/// Returns x as `u8`s, the scale and the zero point, in f32 as in the definition.
pub fn dynamic_quantize(x: &Tensor) -> [Tensor; 3] {
    let extreme = |pick: fn(f32, f32) -> f32| x.data.iter().copied().fold(0.0, pick);
    let (least, greatest) = (extreme(f32::min), extreme(f32::max));
    let scale = if least == greatest { 1.0 } else { (greatest - least) / 255.0 };
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    let [scale, zero] = [scale, zero].map(|value| Tensor::new([], vec![value]));
    let zero = zero.with_dtype(DType::I32);
    [quantize(x, &scale, &zero, 0, None, IntType::U8), scale, zero]
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    one_scale(t);
    along_axes(t);
    by_blocks(t);
    ties_and_limits(t);
    rounding(t);
    packed_weights(t);
    between_images(t);
    by_their_own_range(t);
    not_finite(t);
}

const TYPES: [IntType; 6] = [IntType::U4, IntType::I4, IntType::U8, IntType::I8, IntType::U16, IntType::I16];

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::new(shape, vec![0.0; shape.iter().product()]).with_dtype(DType::I32)
}

/// Returns scales of about a 32nd, which suit a narrow type and numbers of ±1.
fn scales(shape: &[usize]) -> Tensor {
    random(3, shape).map(|x| (x + 1.5) / 32.0)
}

fn check(
    t: &Suite,
    case: &str,
    x: &Tensor,
    [scale, zero]: [&Tensor; 2],
    axis: usize,
    block: Option<usize>,
    to: IntType,
) {
    let case = format!("{case} to {to}");
    let op = Quantize::new(to).axis(axis);
    let there = block.map_or(op, |block| op.block_size(block));
    let op = Dequantize::new().axis(axis);
    let back = block.map_or(op.clone(), |block| op.block_size(block));
    let inputs = [x, scale, zero];
    let graph_of = graph(&inputs, |graph, x| graph.quantize(x[0], x[1], Some(x[2]), there));
    let y = quantize(x, scale, zero, axis, block, to);
    t.check(&case, &graph_of, &inputs, &y, Tolerance::Exact);
    let inputs = [&y, scale, zero];
    let graph_of = graph(&inputs, |graph, x| graph.dequantize(x[0], x[1], Some(x[2]), back));
    let x = dequantize(&y, scale, zero, axis, block);
    t.check(&format!("{case} and back"), &graph_of, &inputs, &x, Tolerance::Elementwise);
}

fn one_scale(t: &Suite) {
    for (i, to) in TYPES.into_iter().enumerate() {
        let shape = [&[1][..], &[7], &[5, 13], &[257], &[2, 3, 5, 1], &[64, 4]][i];
        let x = random(1, shape);
        for zero in [0.0, 3.0] {
            let zero = Tensor::new([], vec![zero]).with_dtype(DType::I32);
            check(t, &format!("{shape:?}"), &x, [&scales(&[1]), &zero], 9, None, to);
        }
    }
}

fn along_axes(t: &Suite) {
    let x = random(1, [3, 5, 2, 7]);
    for axis in 0..4 {
        let of = [x.shape[axis]];
        check(t, &format!("axis {axis}"), &x, [&scales(&of), &whole(2, of, IntType::U4)], axis, None, IntType::U8);
        check(t, &format!("axis {axis}, no zero"), &x, [&scales(&of), &zeros(&[1])], axis, None, IntType::I8);
    }
}

fn by_blocks(t: &Suite) {
    for (shape, axis, block) in [([6, 8], 1, 4), ([6, 8], 0, 3), ([3, 70], 1, 32), ([9, 5], 0, 4), ([4, 5], 1, 1)] {
        let x = random(1, shape);
        let mut of = shape;
        of[axis] = shape[axis].div_ceil(block);
        let case = format!("blocks of {block} along {axis} of {shape:?}");
        check(t, &case, &x, [&scales(&of), &whole(2, of, IntType::I4)], axis, Some(block), IntType::I8);
        check(t, &case, &x, [&scales(&of), &zeros(&of)], axis, Some(block), IntType::I4);
    }
}

fn ties_and_limits(t: &Suite) {
    let halves: Vec<f32> = (-20..20).map(|i| i as f32 / 4.0).collect();
    let far = [300.0, -300.0, 1e5, -1e5, 3e9, -3e9, 1e30, -1e30, f32::MAX, f32::MIN];
    let x = Tensor::new([50], halves.into_iter().chain(far).collect());
    for to in TYPES {
        for zero in [0.0, 7.0] {
            let case = format!("ties and limits, zero {zero}");
            let zero = Tensor::new([1], vec![zero]).with_dtype(DType::I32);
            check(t, &case, &x, [&Tensor::new([1], vec![0.5]), &zero], 0, None, to);
        }
    }
}

/// Checks both with known scales, which become a rounding of `f32`s. NaN stays NaN there.
fn rounding(t: &Suite) {
    let halves = (-20..20).map(|i| i as f32 / 4.0).chain([300.0, -300.0, 1e5, -3e9, f32::MAX, f32::INFINITY]);
    let x = Tensor::new([2, 23], halves.collect());
    for (to, zero) in [(IntType::U8, 0.0), (IntType::U8, 128.0), (IntType::I8, -3.0), (IntType::U16, 40000.0)] {
        let (scale, zero) = (Tensor::new([], vec![0.5]), Tensor::new([], vec![zero]).with_dtype(DType::I32));
        let graph = graph(&[&x], |graph, x| {
            let [scale, zero] = [&scale, &zero].map(|tensor| graph.constant(constant(tensor)));
            let y = graph.quantize(x[0], scale, Some(zero), Quantize::new(to))?;
            graph.dequantize(y, scale, Some(zero), Dequantize::new())
        });
        let back = |x: &Tensor| {
            let y = dequantize(&quantize(x, &scale, &zero, 0, None, to), &scale, &zero, 0, None);
            Tensor::build(y.shape.clone(), |i| if x.at(i).is_nan() { f64::NAN } else { y.at(i) })
        };
        t.check(&format!("there and back by {to}"), &graph, &[&x], &back(&x), Tolerance::Elementwise);
        let mut planted = x.clone();
        planted.data[5] = f32::NAN;
        t.check(&format!("there and back by {to}, NaN"), &graph, &[&planted], &back(&planted), Tolerance::Elementwise);
    }
}

fn packed_weights(t: &Suite) {
    for of in &TYPES[..4] {
        for (shape, axis, block) in
            [([5, 13], 1, None), ([7, 3], 0, None), ([3, 40], 1, Some(16)), ([9, 4], 0, Some(4))]
        {
            let weight = whole(1, shape, *of);
            let mut wanted = vec![shape[axis]];
            if let Some(block) = block {
                wanted = shape.to_vec();
                wanted[axis] = shape[axis].div_ceil(block);
            }
            let (scale, zero) = (scales(&wanted), whole(2, wanted, *of));
            let op = Dequantize::for_weight(packed(&weight, *of)).axis(axis);
            let op = block.map_or(op.clone(), |block| op.block_size(block));
            let graph = graph(&[&scale, &zero], |graph, x| graph.push(op, x));
            let x = dequantize(&weight, &scale, &zero, axis, block);
            let case = format!("packed {of} {shape:?} along {axis} in {block:?}");
            t.check(&case, &graph, &[&scale, &zero], &x, Tolerance::Elementwise);
        }
    }
}

fn between_images(t: &Suite) {
    let x = random(1, [2, 5, 3, 4]);
    let (scale, zero) = (scales(&[5]), zeros(&[1]));
    let graph = graph(&[&x, &scale], |graph, x| {
        let image = as_image(graph, x[0])?;
        let y = graph.quantize(image, x[1], None, Quantize::new(IntType::U8))?;
        let x = graph.dequantize(y, x[1], None, Dequantize::new())?;
        as_image(graph, x)
    });
    let y = quantize(&x, &scale, &zero, 1, None, IntType::U8);
    let y = dequantize(&y, &scale, &zero, 1, None);
    t.check("images there and back", &graph, &[&x, &scale], &y, Tolerance::Elementwise);
}

fn by_their_own_range(t: &Suite) {
    let x = random(1, [3, 5, 7]);
    let cases = [("both signs", x.clone()), ("positive", x.map(f64::abs)), ("negative", x.map(|x| -1.0 - x.abs()))];
    for (name, x) in cases.into_iter().chain([("zeros", x.map(|_| 0.0)), ("one", random(1, [1]))]) {
        for (part, expected) in dynamic_quantize(&x).into_iter().enumerate() {
            let graph = graph(&[&x], |graph, x| Ok(graph.dynamic_quantize(x[0])?[part]));
            let tolerance = if part == 1 { Tolerance::Elementwise } else { Tolerance::Exact };
            t.check(&format!("{name}, output {part}"), &graph, &[&x], &expected, tolerance);
        }
    }
}

/// Checks NaN, which becomes the zero point, and infinities, which become the range's ends. A scale may be NaN.
fn not_finite(t: &Suite) {
    let (x, scale, zero) = (random(1, [5, 7]), scales(&[1]), Tensor::new([1], vec![3.0]).with_dtype(DType::I32));
    let there = graph(&[&x], |graph, x| {
        let [scale, zero] = [&scale, &zero].map(|tensor| graph.constant(constant(tensor)));
        graph.quantize(x[0], scale, Some(zero), Quantize::new(IntType::U8))
    });
    let reference = |x: &[&Tensor]| quantize(x[0], &scale, &zero, 0, None, IntType::U8);
    t.check_not_finite("there", &there, &[&x], reference, Tolerance::Exact);
    let y = reference(&[&x]);
    let back = graph(&[&y, &scale, &zero], |graph, x| graph.dequantize(x[0], x[1], Some(x[2]), Dequantize::new()));
    let reference = |x: &[&Tensor]| dequantize(x[0], x[1], x[2], 0, None);
    t.check_not_finite("and back", &back, &[&y, &scale, &zero], reference, Tolerance::Elementwise);
    let mut x = x;
    x.data[17] = f32::NAN;
    let range = graph(&[&x], |graph, x| Ok(graph.dynamic_quantize(x[0])?[1]));
    t.check("their own range", &range, &[&x], &Tensor::new([], vec![f32::NAN]), Tolerance::Exact);
}
