//! Cases of `isnan` and `isinf`, and their reference.

use crate::DType;
use crate::ops::Classify;
use crate::selftest::cases::{as_image, graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Returns true for each element of the kind.
pub fn classify(x: &Tensor, kind: Classify) -> Tensor {
    let is = |x: f64| match kind {
        Classify::IsNan => x.is_nan(),
        Classify::IsInf { positive, negative } => positive && x == f64::INFINITY || negative && x == f64::NEG_INFINITY,
    };
    x.map(|x| f64::from(is(x))).with_dtype(DType::Bool)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    let infinite = |positive, negative| Classify::IsInf { positive, negative };
    let odd = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::MAX, f32::MIN, 0.0, -0.0, 1e-40];
    for kind in
        [Classify::IsNan, infinite(true, true), infinite(true, false), infinite(false, true), infinite(false, false)]
    {
        for shape in [&[1][..], &[7], &[5, 53], &[1; 9]] {
            let mut x = random(1, shape);
            x.data.iter_mut().step_by(3).zip(odd.iter().cycle()).for_each(|(x, &odd)| *x = odd);
            let graph = graph(&[&x], |graph, x| graph.push(kind, x));
            t.check(&format!("{kind:?} of {shape:?}"), &graph, &[&x], &classify(&x, kind), Tolerance::Exact);
        }
    }
    let x = Tensor::new([1, 3, 1, 3], odd.to_vec());
    let image = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        graph.is_nan(x)
    });
    t.check("an image", &image, &[&x], &classify(&x, Classify::IsNan), Tolerance::Exact);
    not_finite(t);
}

fn not_finite(t: &Suite) {
    let x = random(1, [5, 7]);
    let graph = graph(&[&x], |graph, x| graph.is_nan(x[0]));
    t.check_not_finite("planted", &graph, &[&x], |x| classify(x[0], Classify::IsNan), Tolerance::Exact);
}
