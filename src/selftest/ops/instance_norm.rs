//! Cases of instance norm: shapes, epsilons, a fused activation.

use crate::ops::InstanceNorm2d;
use crate::selftest::cases::{constant, far_from_zero, graph, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    shapes_and_epsilons(t);
    takes_in_an_activation(t);
    long_loops(t);
    not_finite(t);
}

fn shapes_and_epsilons(t: &Suite) {
    let cases = [
        ([1, 1, 1, 1], 1e-5),
        ([2, 5, 1, 1], 1e-5),
        ([2, 3, 5, 7], 0.1),
        ([1, 7, 9, 7], 1e-5),
        ([1, 4, 8, 8], 1e-5),
        ([2, 3, 13, 5], 1e-5),
        ([1, 2, 50, 100], 1e-5),
    ];
    for (shape, eps) in cases {
        let (weight, bias) = (random(2, [shape[1]]), random(3, [shape[1]]));
        for (values, x) in [("±1", random(1, shape)), ("outliers", outliers(1, shape)), ("1e4", far_from_zero(shape))]
        {
            for (affine, weight, bias) in [("affine", Some(&weight), Some(&bias)), ("plain", None, None)] {
                let norm = InstanceNorm2d::new(weight.map(constant), bias.map(constant)).eps(eps);
                let graph = graph(&[&x], |graph, x| graph.instance_norm(x[0], norm));
                let expected = reference::instance_norm(&x, weight, bias, eps);
                let case = format!("{shape:?}, eps {eps}, {values}, {affine}");
                t.check(&case, &graph, &[&x], &expected, Tolerance::Transcendental);
            }
        }
    }
}

fn takes_in_an_activation(t: &Suite) {
    let x = random(1, [2, 3, 5, 7]);
    let graph = graph(&[&x], |graph, x| {
        let y = graph.instance_norm(x[0], InstanceNorm2d::new(None, None))?;
        graph.relu(y)
    });
    t.expect_fused(&graph, 1);
    let expected = reference::relu(&reference::instance_norm(&x, None, None, 1e-5));
    t.check("ReLU", &graph, &[&x], &expected, Tolerance::Transcendental);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let x = random(1, [1, 1, 700, 800]);
    let graph = graph(&[&x], |graph, x| graph.instance_norm(x[0], InstanceNorm2d::new(None, None)));
    let expected = reference::instance_norm(&x, None, None, 1e-5);
    t.check("560,000 pixels", &graph, &[&x], &expected, Tolerance::Transcendental);
}

fn not_finite(t: &Suite) {
    let x = random(1, [2, 5, 7, 9]);
    let graph = graph(&[&x], |graph, x| graph.instance_norm(x[0], InstanceNorm2d::new(None, None)));
    let reference = |x: &[&Tensor]| reference::instance_norm(x[0], None, None, 1e-5);
    t.check_not_finite("images", &graph, &[&x], reference, Tolerance::Transcendental);
}
