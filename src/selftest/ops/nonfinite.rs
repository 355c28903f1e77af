//! Cases of `isnan` and `isinf`, and their reference.

use crate::DType;
use crate::ops::{IsInf, IsNan};
use crate::selftest::cases::{as_image, graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Returns true for each NaN.
pub fn is_nan(x: &Tensor) -> Tensor {
    x.map(|x| f64::from(x.is_nan())).with_dtype(DType::Bool)
}

/// Returns true for each infinity of a sign that counts.
pub fn is_inf(x: &Tensor, IsInf { detect_positive, detect_negative }: IsInf) -> Tensor {
    let is = |x: f64| detect_positive && x == f64::INFINITY || detect_negative && x == f64::NEG_INFINITY;
    x.map(|x| f64::from(is(x))).with_dtype(DType::Bool)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    let odd = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::MAX, f32::MIN, 0.0, -0.0, 1e-40];
    for shape in [&[1][..], &[7], &[5, 53], &[1; 9]] {
        let mut x = random(1, shape);
        x.data.iter_mut().step_by(3).zip(odd.iter().cycle()).for_each(|(x, &odd)| *x = odd);
        let nan = graph(&[&x], |graph, x| graph.is_nan(x[0]));
        t.check(&format!("{IsNan:?} of {shape:?}"), &nan, &[&x], &is_nan(&x), Tolerance::Exact);
        for (detect_positive, detect_negative) in [(true, true), (true, false), (false, true), (false, false)] {
            let test = IsInf { detect_positive, detect_negative };
            let infinite = graph(&[&x], |graph, x| graph.is_inf(x[0], test));
            t.check(&format!("{test:?} of {shape:?}"), &infinite, &[&x], &is_inf(&x, test), Tolerance::Exact);
        }
    }
    let x = Tensor::new([1, 3, 1, 3], odd.to_vec());
    let image = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        graph.is_nan(x)
    });
    t.check("an image", &image, &[&x], &is_nan(&x), Tolerance::Exact);
    not_finite(t);
}

fn not_finite(t: &Suite) {
    let x = random(1, [5, 7]);
    let graph = graph(&[&x], |graph, x| graph.is_nan(x[0]));
    t.check_not_finite("planted", &graph, &[&x], |x| is_nan(x[0]), Tolerance::Exact);
}
