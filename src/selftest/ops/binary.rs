//! Cases of binary arithmetic, and its references: every kind, broadcasting, integers that overflow.

use crate::DType;
use crate::ops::{Activation, Binary, BinaryKind};
use crate::selftest::cases::{graph, graph_between_images, halves, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

pub fn maximum(a: &Tensor, b: &Tensor) -> Tensor {
    reference::binary(a, b, reference::maximum)
}

pub fn minimum(a: &Tensor, b: &Tensor) -> Tensor {
    reference::binary(a, b, reference::minimum)
}

pub fn pow(a: &Tensor, b: &Tensor) -> Tensor {
    reference::binary(a, b, f64::powf)
}

/// Divides integers, rounding toward zero.
pub fn div_trunc(a: &Tensor, b: &Tensor) -> Tensor {
    reference::binary(a, b, |a, b| (a / b).trunc())
}

/// Returns the remainder of `a / b`, with the sign of `b`.
pub fn remainder(a: &Tensor, b: &Tensor) -> Tensor {
    reference::binary(a, b, |a, b| {
        let rest = a % b;
        if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
    })
}

/// Returns the remainder of `a / b`, with the sign of `a`.
pub fn fmod(a: &Tensor, b: &Tensor) -> Tensor {
    reference::binary(a, b, |a, b| a % b)
}

/// Applies `f` to pairs of integers.
pub fn bitwise(a: &Tensor, b: &Tensor, f: impl Fn(i32, i32) -> i32) -> Tensor {
    reference::binary(a, b, |a, b| f64::from(f(a as i32, b as i32)))
}

/// Computes `a << b`.
pub fn shift_left(a: &Tensor, b: &Tensor) -> Tensor {
    bitwise(a, b, |a, b| u32::try_from(b).ok().and_then(|b| a.checked_shl(b)).unwrap_or(0))
}

/// Computes `a >> b`, a logical shift.
pub fn shift_right(a: &Tensor, b: &Tensor) -> Tensor {
    bitwise(a, b, |a, b| u32::try_from(b).ok().and_then(|b| (a as u32).checked_shr(b)).unwrap_or(0) as i32)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    every_kind_in_every_layout(t);
    broadcasting(t);
    broadcasting_images(t);
    takes_in_an_activation(t);
    with_itself_and_after_other_operations(t);
    powers(t);
    remainders(t);
    integers(t);
    integers_that_overflow(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

type Reference = fn(&Tensor, &Tensor) -> Tensor;

const KINDS: [(BinaryKind, Reference); 6] = [
    (BinaryKind::Add, reference::add),
    (BinaryKind::Sub, reference::sub),
    (BinaryKind::Mul, reference::mul),
    (BinaryKind::Div, reference::div),
    (BinaryKind::Max, maximum),
    (BinaryKind::Min, minimum),
];

/// Returns divisors away from zero: a quotient by a tiny number would dwarf all other results.
fn divisor(shape: &[usize]) -> Tensor {
    random(2, shape).map(|b| b + 1.5f64.copysign(b))
}

fn every_kind_in_every_layout(t: &Suite) {
    for (kind, reference) in KINDS {
        let (a, b) = (outliers(1, [2, 5, 3, 7]), divisor(&[2, 5, 3, 7]));
        let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
        t.check("one shape", &graph, &[&a, &b], &reference(&a, &b), Tolerance::Elementwise);
    }
}

fn stored_as_halves(t: &Suite) {
    let shapes = [[2, 5, 3, 7], [2, 1, 3, 1]];
    for ((kind, reference), shape) in KINDS.into_iter().flat_map(|kind| shapes.map(|shape| (kind, shape))) {
        let (a, b) = (halves(&random(1, [2, 5, 3, 7])), halves(&divisor(&shape)));
        let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
        t.check("halves", &graph, &[&a, &b], &reference(&a, &b), Tolerance::Elementwise);
    }
}

fn broadcasting(t: &Suite) {
    let cases: [(&[usize], &[usize]); 10] = [
        (&[2, 5], &[5]),
        (&[5], &[2, 5]),
        (&[2, 3, 4, 5], &[1, 3, 1, 1]),
        (&[2, 3, 4, 5], &[2, 3, 1, 1]),
        (&[3, 1, 5], &[4, 1]),
        (&[4, 7], &[1]),
        (&[1], &[1, 1, 1]),
        (&[65, 3], &[65, 1]),
        (&[2, 1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2, 1, 3]),
        (&[1, 1], &[3, 1, 1]),
    ];
    for (kind, reference) in KINDS {
        for (a, b) in cases {
            let case = format!("{a:?} and {b:?}");
            let (a, b) = (random(1, a), divisor(b));
            let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
            t.check(&case, &graph, &[&a, &b], &reference(&a, &b), Tolerance::Elementwise);
        }
    }
}

/// Checks broadcasts that keep the image layout: a squeeze-excitation's gate, a bias per channel, a row, a column.
fn broadcasting_images(t: &Suite) {
    let cases: [([usize; 4], [usize; 4]); 10] = [
        ([1, 1, 1, 2], [1, 1, 1, 1]),
        ([2, 5, 3, 7], [2, 5, 1, 1]),
        ([2, 8, 1, 1], [2, 8, 5, 3]),
        ([3, 4, 3, 2], [1, 4, 1, 1]),
        ([1, 7, 2, 3], [3, 7, 1, 1]),
        ([2, 9, 3, 5], [1, 9, 3, 5]),
        ([2, 5, 3, 1], [2, 5, 1, 4]),
        ([2, 6, 1, 9], [1, 6, 11, 1]),
        ([3, 4, 1, 1], [1, 4, 1, 1]),
        // A gate per pixel: channels don't repeat within a texel.
        ([2, 5, 3, 2], [2, 1, 3, 2]),
    ];
    for (kind, reference) in KINDS {
        for (a, b) in cases {
            let case = format!("{a:?} and {b:?}");
            let (a, b) = (random(1, a), divisor(&b));
            let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
            t.check(&case, &graph, &[&a, &b], &reference(&a, &b), Tolerance::Elementwise);
        }
    }
}

fn takes_in_an_activation(t: &Suite) {
    for b in [&[2, 5, 3, 3][..], &[2, 5, 1, 1], &[5, 1, 1]] {
        let (a, b) = (random(1, [2, 5, 3, 3]), divisor(b));
        let graph = graph(&[&a, &b], |graph, x| {
            let y = graph.sub(x[0], x[1])?;
            graph.activation(y, Activation::LeakyRelu(0.25))
        });
        t.expect_fused(&graph, 1);
        let expected = reference::leaky_relu(&reference::sub(&a, &b), 0.25);
        t.check("and a leaky ReLU", &graph, &[&a, &b], &expected, Tolerance::Elementwise);
    }
}

fn with_itself_and_after_other_operations(t: &Suite) {
    let a = random(1, [2, 5, 3, 3]);
    let doubled = graph(&[&a], |graph, x| graph.add(x[0], x[0]));
    t.check("a + a", &doubled, &[&a], &reference::add(&a, &a), Tolerance::Exact);
    let squared = graph(&[&a], |graph, x| graph.mul(x[0], x[0]));
    t.check("a * a", &squared, &[&a], &reference::mul(&a, &a), Tolerance::Elementwise);
    // A texel's padding holds zeros; 0 / 0 must not reach the next operation.
    let b = divisor(&[2, 5, 3, 3]);
    let between = graph_between_images(&[&a, &b], |graph, x| graph.div(x[0], x[1]));
    t.check("between images", &between, &[&a, &b], &reference::div(&a, &b), Tolerance::Elementwise);
}

fn powers(t: &Suite) {
    let check = |case: &str, a: &Tensor, b: &Tensor| {
        let graph = graph(&[a, b], |graph, x| graph.pow(x[0], x[1]));
        t.check(case, &graph, &[a, b], &pow(a, b), Tolerance::Transcendental);
    };
    let a = random(1, [2, 5, 3, 7]).map(|x| 3.0 * x.abs() + 0.1);
    check("positive bases", &a, &random(2, [2, 5, 3, 7]).map(|x| 4.0 * x));
    check("positive bases, broadcast", &a, &random(2, [5, 1, 1]));
    // Integer exponents allow negative bases; 0 is among the bases.
    let a = Tensor::new([9, 1], vec![-3.0, -1.5, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 2.5]);
    check("whole exponents", &a, &Tensor::new([5], vec![0.0, 1.0, 2.0, 3.0, 4.0]));
    let a = Tensor::new([6, 1], vec![-3.0, -1.5, -1.0, 0.5, 1.0, 2.0]);
    check("negative exponents", &a, &Tensor::new([4], vec![-1.0, -2.0, -3.0, -0.0]));
    check("zeros", &Tensor::new([1], vec![0.0]), &Tensor::new([4], vec![0.5, -0.5, 0.0, -2.0]));
    // Squares are exact.
    let (a, two) = (random(1, [5, 3]), Tensor::new([1], vec![2.0]));
    let squared = graph(&[&a, &two], |graph, x| graph.pow(x[0], x[1]));
    t.check("squares", &squared, &[&a, &two], &reference::mul(&a, &a), Tolerance::Exact);
}

/// Checks remainders: exact, however large the quotient, but rounded if the divisor is added.
fn remainders(t: &Suite) {
    let check = |case: &str, a: &Tensor, b: &Tensor| {
        let graphs =
            [BinaryKind::Mod, BinaryKind::Fmod].map(|kind| graph(&[a, b], |graph, x| graph.binary(x[0], kind, x[1])));
        t.check(&format!("{case}, the divisor's sign"), &graphs[0], &[a, b], &remainder(a, b), Tolerance::Elementwise);
        t.check(&format!("{case}, the dividend's sign"), &graphs[1], &[a, b], &fmod(a, b), Tolerance::Exact);
    };
    let (a, b) = (outliers(1, [2, 5, 3, 7]), divisor(&[2, 5, 3, 7]));
    check("images", &a.map(|x| 10.0 * x), &b);
    check("broadcast", &random(1, [5, 1, 3]).map(|x| 100.0 * x), &random(2, [4, 1]));
    let a = Tensor::new([9, 1], vec![7.0, -7.0, 0.0, 1e38, -3e38, 16_777_217.0, 1e-30, 0.1, 5.5]);
    check("large quotients", &a, &Tensor::new([6], vec![3.0, -3.0, 0.1, 1e-20, -0.7, 1e37]));
    let endless = Tensor::new([2], vec![f32::INFINITY, f32::NEG_INFINITY]);
    check("an infinite divisor", &Tensor::new([3, 1], vec![1.0, -2.0, 0.0]), &endless);
    // In a texel's padding, the divisor must not be 0.
    let (a, b) = (random(1, [2, 5, 3, 3]), divisor(&[2, 5, 3, 3]));
    let between = graph_between_images(&[&a, &b], |graph, x| graph.fmod(x[0], x[1]));
    t.check("a remainder between images", &between, &[&a, &b], &fmod(&a, &b), Tolerance::Exact);
}

const INTEGERS: [(BinaryKind, Reference); 13] = [
    (BinaryKind::Add, reference::add),
    (BinaryKind::Sub, reference::sub),
    (BinaryKind::Mul, reference::mul),
    (BinaryKind::Div, div_trunc),
    (BinaryKind::Max, maximum),
    (BinaryKind::Min, minimum),
    (BinaryKind::Mod, remainder),
    (BinaryKind::Fmod, fmod),
    (BinaryKind::BitAnd, |a, b| bitwise(a, b, |a, b| a & b)),
    (BinaryKind::BitOr, |a, b| bitwise(a, b, |a, b| a | b)),
    (BinaryKind::BitXor, |a, b| bitwise(a, b, |a, b| a ^ b)),
    (BinaryKind::ShiftLeft, shift_left),
    (BinaryKind::ShiftRight, shift_right),
];

fn integers(t: &Suite) {
    let cases: [(&[usize], &[usize]); 6] = [
        (&[1], &[1]),
        (&[65, 3], &[65, 3]),
        (&[2, 5, 3, 3], &[2, 5, 3, 3]),
        (&[3, 1, 5], &[4, 1]),
        (&[2, 3, 4, 5], &[1, 3, 1, 1]),
        (&[2, 1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2, 1, 3]),
    ];
    for (kind, reference) in INTEGERS {
        for (a, b) in cases {
            let case = format!("i32s of {a:?} and {b:?}");
            let a = random(1, a).map(|x| (1000.0 * x).round()).with_dtype(DType::I32);
            let b = random(2, b).map(|x| (30.0 * x).round() + 0.5f64.copysign(x) * 2.0).with_dtype(DType::I32);
            let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
            t.check(&case, &graph, &[&a, &b], &reference(&a, &b).with_dtype(DType::I32), Tolerance::Exact);
        }
    }
}

/// Checks integers that wrap around. A division without a result returns the dividend.
fn integers_that_overflow(t: &Suite) {
    let (least, greatest) = (i32::MIN as f32, 2_147_483_520.0);
    let of = |values: [f32; 3]| Tensor::new([3], values.to_vec()).with_dtype(DType::I32);
    let cases = [
        (BinaryKind::Add, [greatest, least, 1.0], [greatest, -1.0, 2.0], [-256.0, i32::MAX as f32, 3.0]),
        (BinaryKind::Mul, [65_536.0, 65_536.0, -7.0], [65_536.0, 32_768.0, 3.0], [0.0, least, -21.0]),
        (BinaryKind::Pow, [3.0, -2.0, 65_537.0], [4.0, 31.0, 2.0], [81.0, least, 131_073.0]),
        (BinaryKind::Pow, [2.0, -1.0, 1.0], [-1.0, -3.0, -4.0], [0.0, -1.0, 1.0]),
        (BinaryKind::Pow, [0.0, 0.0, -7.0], [0.0, -1.0, 3.0], [1.0, 0.0, -343.0]),
        (BinaryKind::Div, [5.0, -7.0, least], [0.0, 0.0, -1.0], [5.0, -7.0, least]),
        (BinaryKind::Mod, [5.0, -7.0, least], [0.0, 0.0, -1.0], [5.0, -7.0, 0.0]),
        (BinaryKind::Fmod, [5.0, -7.0, least], [0.0, 0.0, -1.0], [5.0, -7.0, 0.0]),
        (BinaryKind::ShiftLeft, [1.0, 1.0, 3.0], [31.0, 32.0, least], [least, 0.0, 0.0]),
        (BinaryKind::ShiftRight, [least, -1.0, 3.0], [31.0, 32.0, -1.0], [1.0, 0.0, 0.0]),
    ];
    for (kind, a, b, y) in cases {
        let (a, b) = (of(a), of(b));
        let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
        t.check("beyond what an i32 holds", &graph, &[&a, &b], &of(y), Tolerance::Exact);
    }
}

fn not_finite(t: &Suite) {
    for (kind, reference) in KINDS {
        for b in [&[2, 5, 3, 3][..], &[2, 5, 1, 1], &[5, 1, 3]] {
            let (a, b) = (random(1, [2, 5, 3, 3]), divisor(b));
            let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
            let case = format!("{kind:?} by {:?}", b.shape);
            t.check_not_finite(&case, &graph, &[&a, &b], |x| reference(x[0], x[1]), Tolerance::Elementwise);
        }
    }
    // All pairs: IEEE 754 specifies their powers and remainders.
    let inf = f32::INFINITY;
    let all = [f32::NAN, -f32::NAN, inf, -inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e30, -1e30];
    let (a, b) = (Tensor::new([16, 1], all.to_vec()), Tensor::new([16], all.to_vec()));
    let kinds: [(BinaryKind, Reference); 5] = [
        (BinaryKind::Pow, pow),
        (BinaryKind::Mod, remainder),
        (BinaryKind::Fmod, fmod),
        (BinaryKind::Max, maximum),
        (BinaryKind::Min, minimum),
    ];
    for (kind, reference) in kinds {
        let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
        t.check(&format!("{kind:?} of all"), &graph, &[&a, &b], &reference(&a, &b), Tolerance::Transcendental);
    }
}
