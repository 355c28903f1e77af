//! Cases of RMS norm: shapes, epsilons, large numbers.

use crate::ops::{Activation, RmsNorm};
use crate::selftest::cases::{constant, far_from_zero, graph, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    shapes(t);
    epsilons(t);
    takes_in_an_activation(t);
    long_loops(t);
    not_finite(t);
}

const EPS: f64 = f32::EPSILON as f64;

fn shapes(t: &Suite) {
    let cases: [(&[usize], usize); 17] = [
        (&[1], 1),
        (&[3, 1], 1),
        (&[2, 7], 1),
        (&[2, 7], 2),
        (&[3, 63], 1),
        (&[3, 64], 1),
        (&[3, 65], 1),
        (&[2, 256], 1),
        (&[2, 257], 1),
        (&[2, 1000], 1),
        (&[2, 1024], 1),
        (&[2, 1025], 1),
        (&[2, 4096], 1),
        (&[2, 4097], 1),
        (&[2, 5000], 1),
        (&[2, 3, 5, 7], 1),
        (&[2, 3, 5, 7], 3),
    ];
    for (shape, dimensions) in cases {
        let over = &shape[shape.len() - dimensions..];
        let weight = random(2, over);
        for (values, x) in [("±1", random(1, shape)), ("outliers", outliers(1, shape)), ("1e4", far_from_zero(shape))]
        {
            for weight in [Some(&weight), None] {
                let norm = RmsNorm::new(over, weight.map(constant));
                let graph = graph(&[&x], |graph, x| graph.rms_norm(x[0], norm));
                let expected = reference::rms_norm(&x, dimensions, weight, EPS);
                let case = format!("{dimensions} of {shape:?}, {values}, weight {}", weight.is_some());
                t.check(&case, &graph, &[&x], &expected, Tolerance::Transcendental);
            }
        }
    }
}

fn epsilons(t: &Suite) {
    // The default epsilon matters if the squares are as small.
    let x = Tensor::new([2, 3], [1e-4, -2e-4, 3e-4, 0.0, 0.0, 0.0].to_vec());
    let norm = RmsNorm::new([3], None);
    for (norm, eps) in [(norm.clone(), EPS), (norm.clone().eps(1e-6), 1e-6), (norm.eps(0.1), 0.1)] {
        let graph = graph(&[&x], |graph, x| graph.rms_norm(x[0], norm));
        let expected = reference::rms_norm(&x, 1, None, eps);
        t.check(&format!("eps {eps}"), &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

fn takes_in_an_activation(t: &Suite) {
    let x = random(1, [2, 3, 65]);
    let graph = graph(&[&x], |graph, x| {
        let y = graph.rms_norm(x[0], RmsNorm::new([3, 65], None))?;
        graph.activation(y, Activation::Silu)
    });
    t.expect_fused(&graph, 1);
    let expected = reference::silu(&reference::rms_norm(&x, 2, None, EPS));
    t.check("SiLU", &graph, &[&x], &expected, Tolerance::Transcendental);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let x = random(1, [1, 600_000]);
    let graph = graph(&[&x], |graph, x| graph.rms_norm(x[0], RmsNorm::new([600_000], None)));
    t.check("600,000 in a line", &graph, &[&x], &reference::rms_norm(&x, 1, None, EPS), Tolerance::Transcendental);
}

/// Checks NaN and infinities, and finite numbers with infinite squares.
fn not_finite(t: &Suite) {
    for length in [5, 70, 1100] {
        let x = random(1, [2, length]);
        let build = |x: &[&Tensor]| graph(x, |graph, x| graph.rms_norm(x[0], RmsNorm::new([length], None)));
        let reference = |x: &[&Tensor]| reference::rms_norm(x[0], 1, None, EPS);
        let case = format!("{length}");
        t.check_not_finite(&case, &build(&[&x]), &[&x], reference, Tolerance::Transcendental);
        let x = x.map(|x| 1e28 * x);
        t.check(&case, &build(&[&x]), &[&x], &reference(&[&x]), Tolerance::Transcendental);
    }
}
