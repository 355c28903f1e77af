use crate::ops::{Conv2d, Unary};
use crate::selftest::cases::{as_image, constant, graph, random};
use crate::selftest::reference::{Tensor, erf};
use crate::selftest::{Suite, Tolerance};

/// `f(x)`, element by element.
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
    })
}

/// Every function, and how exact it is.
pub const ALL: [(Unary, Tolerance); 14] = [
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
];

/// The cases.
pub fn cases(t: &Suite) {
    every_function_in_every_layout(t);
    any_rank(t);
    where_it_is_hard(t);
    padding_stays_finite(t);
}

/// Within ±8, or positive where a function wants that.
fn values(function: Unary, shape: &[usize]) -> Tensor {
    random(1, shape).map(|x| match function {
        Unary::Sqrt | Unary::Rsqrt | Unary::Log => (8.0 * x).abs() + 0.01,
        Unary::Reciprocal => 8.0 * x + 0.1f64.copysign(x),
        _ => 8.0 * x,
    })
}

fn check(t: &Suite, case: &str, function: Unary, x: &Tensor, tolerance: Tolerance) {
    let graph = graph(&[x], |graph, x| graph.unary(x[0], function));
    t.check(&format!("{function:?} of {case}"), &graph, &[x], &unary(x, function), tolerance);
}

fn every_function_in_every_layout(t: &Suite) {
    for (function, tolerance) in ALL {
        check(t, "images", function, &values(function, &[2, 5, 3, 7]), tolerance);
    }
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
    let cases: [(&str, Unary, &[f32], Tolerance); 17] = [
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
        ("both sides of where it changes", Unary::Erf, &[0.5, -0.5, 0.500_001, 3.0, -6.0, 100.0], Transcendental),
    ];
    for (case, function, values, tolerance) in cases {
        check(t, case, function, &Tensor::new([values.len()], values.to_vec()), tolerance);
    }
}

/// The logarithm of what pads a texel, 0, would be infinite, and then the sum of a convolution NaN: 0 times that.
fn padding_stays_finite(t: &Suite) {
    let identity = Tensor::build([5, 5, 1, 1], |i| f64::from(i[0] == i[1]));
    for function in [Unary::Log, Unary::Rsqrt, Unary::Reciprocal, Unary::Exp] {
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
