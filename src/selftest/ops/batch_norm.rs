//! Cases of batch norm: shapes, epsilons, a fused activation.

use crate::ops::{Activation, BatchNorm2d};
use crate::selftest::cases::{constant, graph, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    shapes_and_epsilons(t);
    takes_in_an_activation(t);
    not_finite(t);
}

/// Returns weight, bias, running mean, running variance.
fn parameters(channels: usize) -> [Tensor; 4] {
    let mut parameters = [10, 11, 12, 13].map(|seed| random(seed, [channels]));
    parameters[3].data.iter_mut().for_each(|var| *var += 1.25);
    parameters
}

pub fn norm(parameters: &[Tensor; 4]) -> BatchNorm2d {
    let [weight, bias, mean, var] = parameters.each_ref().map(constant);
    BatchNorm2d::new(weight, bias, mean, var)
}

fn shapes_and_epsilons(t: &Suite) {
    let cases: [(&[usize], f64); 11] = [
        (&[1, 1], 1e-5),
        (&[3, 5], 1e-5),
        (&[2, 4, 7], 1e-5),
        (&[2, 7, 3], 0.1),
        (&[1, 1, 1, 1], 1e-5),
        (&[2, 7, 3, 5], 1e-5),
        (&[2, 8, 5, 13], 0.1),
        (&[1, 65, 4, 4], 1e-3),
        (&[1, 1, 1, 1, 1], 1e-5),
        (&[2, 7, 3, 5, 3], 1e-5),
        (&[2, 65, 1, 2, 2], 0.1),
    ];
    for (shape, eps) in cases {
        let x = outliers(1, shape);
        let parameters = parameters(shape[1]);
        let graph = graph(&[&x], |graph, x| graph.batch_norm(x[0], norm(&parameters).eps(eps)));
        let expected = reference::batch_norm(&x, parameters.each_ref(), eps);
        t.check(&format!("{shape:?}, eps {eps}"), &graph, &[&x], &expected, Tolerance::Elementwise);
    }
}

fn takes_in_an_activation(t: &Suite) {
    let x = random(1, [2, 5, 3, 4]);
    let parameters = parameters(5);
    let expected = reference::batch_norm(&x, parameters.each_ref(), 1e-5);
    for (activation, expected) in [
        (Activation::Relu, reference::relu(&expected)),
        (Activation::LeakyRelu(0.5), reference::leaky_relu(&expected, 0.5)),
    ] {
        let graph = graph(&[&x], |graph, x| {
            let y = graph.batch_norm(x[0], norm(&parameters))?;
            graph.activation(y, activation)
        });
        t.expect_fused(&graph, 1);
        t.check(&format!("{activation:?}"), &graph, &[&x], &expected, Tolerance::Elementwise);
    }
}

fn not_finite(t: &Suite) {
    for shape in [&[2, 5, 3, 4][..], &[2, 3, 7]] {
        let (x, parameters) = (random(1, shape), parameters(shape[1]));
        let graph = graph(&[&x], |graph, x| graph.batch_norm(x[0], norm(&parameters)));
        let reference = |x: &[&Tensor]| reference::batch_norm(x[0], parameters.each_ref(), 1e-5);
        t.check_not_finite(&format!("{shape:?}"), &graph, &[&x], reference, Tolerance::Elementwise);
    }
}
