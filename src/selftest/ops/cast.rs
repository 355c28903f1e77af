//! Cases of `cast` and `bitcast`: each type to each, and numbers that are hard to convert.

use crate::DType;
use crate::ops::{BinaryKind, Compare};
use crate::selftest::cases::{graph, graph_between_images, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Converts the elements to another type.
pub fn cast(x: &Tensor, dtype: DType) -> Tensor {
    let convert = |x: f64| match dtype {
        DType::F32 => x,
        DType::I32 if x.is_nan() => 0.0,
        DType::I32 => x.trunc().clamp(f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::Bool => f64::from(x != 0.0),
    };
    x.map(convert).with_dtype(dtype)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    from_each_type_to_each(t);
    numbers_that_are_hard_to_convert(t);
    of_images(t);
    bits(t);
    not_finite(t);
}

const TYPES: [DType; 3] = [DType::F32, DType::I32, DType::Bool];

fn check(t: &Suite, case: &str, x: &Tensor, dtype: DType) {
    let graph = graph(&[x], |graph, inputs| graph.cast(inputs[0], dtype));
    let case = format!("{case}, {} to {dtype}", x.dtype);
    t.check(&case, &graph, &[x], &cast(x, dtype), Tolerance::Exact);
}

fn from_each_type_to_each(t: &Suite) {
    for from in TYPES {
        for to in TYPES {
            for shape in [&[1][..], &[7], &[5, 13], &[257], &[2, 3, 5, 1]] {
                let x = cast(&random(1, shape).map(|x| 3.0 * x), from);
                check(t, &format!("{shape:?}"), &x, to);
            }
        }
    }
}

fn numbers_that_are_hard_to_convert(t: &Suite) {
    let limit = 2_147_483_648.0;
    let below = 2_147_483_520.0;
    let numbers = [
        0.0,
        -0.0,
        0.999,
        -0.999,
        1.5,
        -1.5,
        2.5,
        -2.5,
        16_777_217.0,
        below,
        -below,
        limit,
        -limit,
        3e9,
        -3e9,
        1e30,
        -1e30,
    ];
    let odd = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::from_bits(1), f32::MIN_POSITIVE, 0.5];
    let x = Tensor::new([24], numbers.into_iter().chain(odd).collect());
    check(t, "numbers", &x, DType::I32);
    check(t, "numbers", &x, DType::Bool);
    let whole = Tensor::new([6], vec![0.0, 1.0, -1.0, 65_536.0, -limit, limit]).with_dtype(DType::I32);
    check(t, "whole numbers", &whole, DType::F32);
    check(t, "whole numbers", &whole, DType::Bool);
}

fn of_images(t: &Suite) {
    // A cast from f32 to f32 does nothing, in any layout.
    let x = random(1, [2, 5, 3, 4]);
    let same = graph_between_images(&[&x], |graph, x| graph.cast(x[0], DType::F32));
    t.check("an image", &same, &[&x], &x, Tolerance::Exact);
    // The truth values of a comparison, as numbers.
    let zero = Tensor::new([1], vec![0.0]);
    let positive = graph_between_images(&[&x, &zero], |graph, x| {
        let positive = graph.compare(x[0], Compare::Gt, x[1])?;
        let counted = graph.cast(positive, DType::I32)?;
        graph.cast(counted, DType::F32)
    });
    t.check("a mask", &positive, &[&x, &zero], &x.map(|x| f64::from(x > 0.0)), Tolerance::Exact);
}

/// Checks the bits of `f32`s read as `i32`s.
fn bits(t: &Suite) {
    let x = random(1, [2, 5, 3, 4]).map(|x| 1e3 * x);
    let mut bits = x.clone().with_dtype(DType::I32);
    bits.data.iter_mut().for_each(|value| *value = (value.to_bits() as i32) as f32);
    let read = graph(&[&x], |graph, x| graph.bitcast(x[0], DType::I32));
    t.check("bits", &read, &[&x], &bits, Tolerance::Exact);
    // An image's bits become integers, lose the sign bit, and become `f32`s again.
    let one = Tensor::new([1], vec![1.0]).with_dtype(DType::I32);
    let size = graph_between_images(&[&x, &one], |graph, x| {
        let bits = graph.bitcast(x[0], DType::I32)?;
        let bits = graph.binary(bits, BinaryKind::ShiftLeft, x[1])?;
        let bits = graph.binary(bits, BinaryKind::ShiftRight, x[1])?;
        graph.bitcast(bits, DType::F32)
    });
    t.check("without the sign", &size, &[&x, &one], &x.map(f64::abs), Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let x = random(1, [5, 7]);
    for to in [DType::I32, DType::Bool] {
        let graph = graph(&[&x], |graph, x| graph.cast(x[0], to));
        t.check_not_finite(&format!("to {to}"), &graph, &[&x], |x| cast(x[0], to), Tolerance::Exact);
    }
}
