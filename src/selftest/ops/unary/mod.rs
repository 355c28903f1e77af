//! Cases of elementwise functions, and their reference: every function in every layout, hard arguments.

mod elementwise;

use crate::DType;
use crate::ops::{Conv2d, Unary};
use crate::selftest::cases::{as_image, constant, graph, halves, random};
use crate::selftest::reference::{Tensor, erf};
use crate::selftest::{Suite, Tolerance};

/// Computes `f(x)` for each element.
pub fn unary(x: &Tensor, function: Unary) -> Tensor {
    x.map(match function {
        Unary::Abs => f64::abs,
        Unary::Neg => |x: f64| -x,
        Unary::Sign => |x: f64| if x == 0.0 { 0.0 } else { x.signum() },
        Unary::Floor => f64::floor,
        Unary::Ceil => f64::ceil,
        Unary::Round => f64::round_ties_even,
        Unary::Sqrt => f64::sqrt,
        Unary::Rsqrt => |x: f64| x.sqrt().recip(),
        Unary::Reciprocal => f64::recip,
        Unary::Exp => f64::exp,
        Unary::Log => f64::ln,
        Unary::Sin => f64::sin,
        Unary::Cos => f64::cos,
        Unary::Erf => erf,
        Unary::Tan => f64::tan,
        Unary::Sinh => f64::sinh,
        Unary::Cosh => f64::cosh,
        Unary::Asin => f64::asin,
        Unary::Acos => f64::acos,
        Unary::Atan => f64::atan,
        Unary::Asinh => f64::asinh,
        Unary::Acosh => f64::acosh,
        Unary::Atanh => f64::atanh,
        Unary::BitNot => |x: f64| -x - 1.0,
    })
}

/// Every function, and its tolerance.
pub const ALL: [(Unary, Tolerance); 24] = [
    (Unary::Abs, Tolerance::Exact),
    (Unary::Neg, Tolerance::Exact),
    (Unary::Sign, Tolerance::Exact),
    (Unary::Floor, Tolerance::Exact),
    (Unary::Ceil, Tolerance::Exact),
    (Unary::Round, Tolerance::Exact),
    (Unary::Sqrt, Tolerance::Elementwise),
    (Unary::Rsqrt, Tolerance::Elementwise),
    (Unary::Reciprocal, Tolerance::Elementwise),
    (Unary::Exp, Tolerance::Transcendental),
    (Unary::Log, Tolerance::Transcendental),
    (Unary::Sin, Tolerance::Transcendental),
    (Unary::Cos, Tolerance::Transcendental),
    (Unary::Erf, Tolerance::Transcendental),
    (Unary::Tan, Tolerance::Transcendental),
    (Unary::Sinh, Tolerance::Transcendental),
    (Unary::Cosh, Tolerance::Transcendental),
    (Unary::Asin, Tolerance::Elementwise),
    (Unary::Acos, Tolerance::Elementwise),
    (Unary::Atan, Tolerance::Elementwise),
    (Unary::Asinh, Tolerance::Transcendental),
    (Unary::Acosh, Tolerance::Transcendental),
    (Unary::Atanh, Tolerance::Transcendental),
    (Unary::BitNot, Tolerance::Exact),
];

/// Runs the cases.
pub fn cases(t: &Suite) {
    every_function_in_every_layout(t);
    any_rank(t);
    where_it_is_hard(t);
    inverse_functions_where_they_are_hard(t);
    integers(t);
    padding_stays_finite(t);
    every_exponent(t);
    elementwise::cases(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

/// Returns values within ±8; positive ones if the function's domain is positive.
fn values(function: Unary, shape: &[usize]) -> Tensor {
    random(1, shape).map(|x| match function {
        Unary::Sqrt | Unary::Rsqrt | Unary::Log => (8.0 * x).abs() + 0.01,
        Unary::Asin | Unary::Acos | Unary::Atanh => 0.99 * x,
        Unary::Acosh => 1.0 + (8.0 * x).abs(),
        Unary::Tan => 1.5 * x,
        Unary::Reciprocal => 8.0 * x + 0.1f64.copysign(x),
        _ => 8.0 * x,
    })
}

fn check(t: &Suite, case: &str, function: Unary, x: &Tensor, tolerance: Tolerance) {
    let graph = graph(&[x], |graph, x| graph.unary(x[0], function));
    t.check(&format!("{function:?} of {case}"), &graph, &[x], &unary(x, function), tolerance);
}

fn every_function_in_every_layout(t: &Suite) {
    for (function, tolerance) in ALL.into_iter().filter(|(function, _)| *function != Unary::BitNot) {
        check(t, "images", function, &values(function, &[2, 5, 3, 7]), tolerance);
    }
}

fn stored_as_halves(t: &Suite) {
    for (function, tolerance) in
        [(Unary::Neg, Tolerance::Exact), (Unary::Sqrt, Tolerance::Elementwise), (Unary::Exp, Tolerance::Transcendental)]
    {
        check(t, "images of halves", function, &halves(&values(function, &[2, 5, 3, 7])), tolerance);
    }
    let far = Tensor::new([1, 4, 1, 2], vec![65_504.0, 6e-8, -65_504.0, 0.0, 12.0, 1.0, 11.0, -0.0]);
    check(t, "the largest and the smallest half", Unary::Neg, &far, Tolerance::Exact);
    let far = Tensor::new([1, 4, 1, 1], vec![12.0, 1.0, 11.5, 1.0]);
    let graph_of_far = graph(&[&far], |graph, x| graph.unary(x[0], Unary::Exp));
    let beyond = unary(&far, Unary::Exp).map(|x| if x >= 65_520.0 { f64::INFINITY } else { x });
    t.check("beyond the largest half", &graph_of_far, &[&far], &beyond, Tolerance::Transcendental);
    let x = halves(&values(Unary::Neg, &[2, 5, 3, 7]));
    let graph = graph(&[&x], |graph, x| graph.unary(x[0], Unary::Neg));
    t.check_not_finite("halves", &graph, &[&x], |x| unary(x[0], Unary::Neg), Tolerance::Exact);
}

fn any_rank(t: &Suite) {
    for shape in [&[1][..], &[7], &[65, 5], &[2, 1, 2, 3, 5], &[1, 4, 1, 1]] {
        for (function, tolerance) in [(Unary::Abs, Tolerance::Exact), (Unary::Exp, Tolerance::Transcendental)] {
            check(t, &format!("{shape:?}"), function, &values(function, shape), tolerance);
        }
    }
}

fn where_it_is_hard(t: &Suite) {
    use Tolerance::{Elementwise, Exact, Transcendental};
    use std::f32::consts::PI;
    let large = 8_388_609.0;
    let cases: [(&str, Unary, &[f32], Tolerance); 24] = [
        ("halves", Unary::Round, &[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.499_999_97, large, -large], Exact),
        ("what is almost whole", Unary::Floor, &[0.999_999_94, -1e-6, -0.0, -1.0, large, 4.0], Exact),
        ("what is almost whole", Unary::Ceil, &[0.999_999_94, 1e-6, -0.0, -1.0, large, 4.0], Exact),
        ("zeros", Unary::Sign, &[0.0, -0.0, 1e-30, -1e-30, 3e38], Exact),
        ("zeros", Unary::Abs, &[0.0, -0.0, -3e38, f32::NEG_INFINITY], Exact),
        ("squares", Unary::Sqrt, &[0.0, 1.0, 4.0, 1e-30], Elementwise),
        ("far out", Unary::Sqrt, &[1e30, 3e38], Elementwise),
        ("far out", Unary::Rsqrt, &[1e30, 3e38], Elementwise),
        ("far out", Unary::Reciprocal, &[1e30, -1e20], Elementwise),
        ("far out", Unary::Exp, &[88.0, 1.0, -87.0, -1000.0], Transcendental),
        ("small results", Unary::Exp, &[-20.0, -30.0], Transcendental),
        ("small and great", Unary::Log, &[1e-37, 1.0, 3e38], Transcendental),
        ("many turns", Unary::Sin, &[PI, -PI / 2.0, 100.0, -1000.5, 9999.0, 0.0], Transcendental),
        ("many turns", Unary::Cos, &[PI, -PI / 2.0, 100.0, -1000.5, 9999.0, 0.0], Transcendental),
        ("small angles", Unary::Sin, &[1e-5, -1e-6], Transcendental),
        ("small numbers", Unary::Erf, &[1e-6, -1e-5], Transcendental),
        ("many turns", Unary::Tan, &[PI / 4.0, -PI / 3.0, 100.0, -1000.5, 9999.0], Transcendental),
        ("small angles", Unary::Tan, &[1e-5, -1e-6, 0.0], Elementwise),
        ("small numbers", Unary::Sinh, &[1e-5, -1e-6, 0.0, 1e-30], Elementwise),
        ("both sides of where it changes", Unary::Sinh, &[1.0, -1.0, 1.000_000_1, -0.99, 0.5, 2.0], Elementwise),
        ("far out", Unary::Sinh, &[89.0, -20.0, 1000.0], Transcendental),
        ("far out", Unary::Sinh, &[-89.0, -1000.0], Transcendental),
        ("far out", Unary::Cosh, &[89.0, -20.0, 1000.0, -89.1, 0.0], Transcendental),
        ("both sides of where it changes", Unary::Erf, &[0.5, -0.5, 0.500_001, 3.0, -6.0, 100.0], Transcendental),
    ];
    for (case, function, values, tolerance) in cases {
        check(t, case, function, &Tensor::new([values.len()], values.to_vec()), tolerance);
    }
}

fn inverse_functions_where_they_are_hard(t: &Suite) {
    use Tolerance::{Elementwise, Transcendental};
    let small = [1e-5, -1e-6, 0.0, 1e-30, -1e-38, 3e-4];
    for function in [Unary::Asin, Unary::Atan, Unary::Asinh, Unary::Atanh] {
        check(t, "small numbers", function, &Tensor::new([6], small.to_vec()), Elementwise);
    }
    let largest = f32::MAX;
    let cases: [(&str, Unary, &[f32], Tolerance); 12] = [
        ("all the way", Unary::Asin, &[1.0, -1.0, 0.5, -0.5, 0.500_000_06, 0.999_999_94, 0.25, -0.75], Elementwise),
        ("all the way", Unary::Acos, &[1.0, -1.0, 0.5, -0.5, 0.500_000_06, -0.999_999_94, 0.0, 0.1], Elementwise),
        ("almost 1", Unary::Acos, &[0.999_999_94, 0.999_999, 0.99], Elementwise),
        ("all the way", Unary::Atan, &[1.0, -1.0, 0.414, 0.415, -2.4, 2.5, 1e10, -largest, f32::INFINITY], Elementwise),
        ("both sides of where it changes", Unary::Asinh, &[0.75, -0.75, 0.750_000_06, 0.8, -0.5, 1.0], Elementwise),
        ("far out", Unary::Asinh, &[1e9, -1.1e9, 100.0, -1e5, -largest, 1e20], Elementwise),
        ("infinity", Unary::Asinh, &[f32::INFINITY, f32::NEG_INFINITY], Transcendental),
        ("almost 1", Unary::Acosh, &[1.0, 1.000_000_1, 1.000_01], Elementwise),
        ("both sides of where it changes", Unary::Acosh, &[1.25, 1.250_000_1, 1.3, 1.1], Elementwise),
        ("far out", Unary::Acosh, &[1e9, 1.1e9, 100.0, largest, 1e20], Elementwise),
        ("both sides of where it changes", Unary::Atanh, &[0.333_333_3, 0.333_334, -0.34, 0.3], Elementwise),
        ("almost 1", Unary::Atanh, &[0.999_999_94, -0.999, 0.9, 1.0, -1.0], Elementwise),
    ];
    for (case, function, values, tolerance) in cases {
        check(t, case, function, &Tensor::new([values.len()], values.to_vec()), tolerance);
    }
    // Outside of its domain, the function returns NaN.
    for (function, values) in [(Unary::Asin, [1.5, -2.0]), (Unary::Acos, [1.5, -2.0]), (Unary::Acosh, [0.5, -2.0])] {
        check(t, "beyond its numbers", function, &Tensor::new([2], values.to_vec()), Elementwise);
    }
}

/// Checks integers. The least integer has no counterpart: its absolute value and its negative are itself.
fn integers(t: &Suite) {
    for function in [Unary::Abs, Unary::Neg, Unary::Sign, Unary::BitNot] {
        let x = random(1, [5, 13]).map(|x| (4.0 * x).round()).with_dtype(DType::I32);
        let graph = graph(&[&x], |graph, x| graph.unary(x[0], function));
        let case = format!("{function:?} of i32s");
        t.check(&case, &graph, &[&x], &unary(&x, function).with_dtype(DType::I32), Tolerance::Exact);
    }
    let least = Tensor::new([3], vec![i32::MIN as f32, 0.0, 65_536.0]).with_dtype(DType::I32);
    for (function, y) in [(Unary::Abs, least.data.clone()), (Unary::Neg, vec![i32::MIN as f32, 0.0, -65_536.0])] {
        let graph = graph(&[&least], |graph, x| graph.unary(x[0], function));
        let y = Tensor::new([3], y).with_dtype(DType::I32);
        t.check(&format!("{function:?} of the least i32"), &graph, &[&least], &y, Tolerance::Exact);
    }
}

/// Checks that a texel's padding stays finite: log(0) there is infinite, and a convolution's 0 times infinity is NaN.
fn padding_stays_finite(t: &Suite) {
    let identity = Tensor::build([5, 5, 1, 1], |i| f64::from(i[0] == i[1]));
    for function in [Unary::Log, Unary::Rsqrt, Unary::Reciprocal, Unary::Exp, Unary::Acosh] {
        let x = values(function, &[2, 5, 3, 4]);
        let graph = graph(&[&x], |graph, x| {
            let x = as_image(graph, x[0])?;
            let y = graph.unary(x, function)?;
            graph.conv2d(y, Conv2d::new(constant(&identity), None))
        });
        let case = format!("{function:?} between images");
        t.check(&case, &graph, &[&x], &unary(&x, function), Tolerance::Transcendental);
    }
}

/// Checks the whole range of angles: some of each exponent and sign, and angles close to multiples of π/2.
fn every_exponent(t: &Suite) {
    let mantissas = random(3, [64]);
    let mut x = vec![16_367_173.0 * 2f32.powi(72), f32::MAX, 9_999.0, 10_000.0, 10_001.0];
    for exponent in -40..128 {
        let near = mantissas.data.iter().skip((exponent + 40) as usize % 7).step_by(9);
        x.extend(near.map(|&m| (1.0 + m.abs().min(0.999)).copysign(m) * 2f32.powi(exponent)));
    }
    let x = Tensor::new([x.len()], x);
    check(t, "every exponent", Unary::Sin, &x, Tolerance::Elementwise);
    check(t, "every exponent", Unary::Cos, &x, Tolerance::Elementwise);
    // A tangent is as exact as the angle's distance from a pole.
    let far = |x: &f32| f64::from(*x).cos().abs() > 0.1;
    let x: Vec<f32> = x.data.into_iter().filter(far).collect();
    check(t, "every exponent", Unary::Tan, &Tensor::new([x.len()], x), Tolerance::Transcendental);
}

fn not_finite(t: &Suite) {
    for (function, tolerance) in ALL.into_iter().filter(|(function, _)| *function != Unary::BitNot) {
        let x = values(function, &[1, 3, 2, 3]);
        let graph = graph(&[&x], |graph, x| graph.unary(x[0], function));
        t.check_not_finite(&format!("{function:?}"), &graph, &[&x], |x| unary(x[0], function), tolerance);
    }
}
