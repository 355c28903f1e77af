//! Cases of activations: every function in every layout, extremes, after another operation.

use crate::ops::Activation;
use crate::selftest::cases::{graph, graph_between_images, halves, random};
use crate::selftest::reference::{self, Tensor, maximum, minimum};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    every_function_in_every_layout(t);
    far_out_it_stays_finite(t);
    small_results_keep_their_digits(t);
    any_rank(t);
    after_another_operation(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

type Reference = fn(&Tensor) -> Tensor;

/// Limits each element to the bounds.
pub fn clamp(x: &Tensor, lo: f64, hi: f64) -> Tensor {
    x.map(|x| minimum(maximum(x, lo), hi))
}

/// Every activation; those with parameters first.
pub const ALL: [(Activation, Reference, Tolerance); 19] = [
    (Activation::Relu, reference::relu, Tolerance::Exact),
    (Activation::Relu6, reference::relu6, Tolerance::Exact),
    (Activation::Clamp(-0.5, 2.0), |x| clamp(x, -0.5, 2.0), Tolerance::Exact),
    (Activation::Clamp(1.0, f32::INFINITY), |x| clamp(x, 1.0, f64::INFINITY), Tolerance::Exact),
    (Activation::Clamp(2.0, -2.0), |x| clamp(x, 2.0, -2.0), Tolerance::Exact),
    (Activation::LeakyRelu(0.1), |x| reference::leaky_relu(x, f64::from(0.1f32)), Tolerance::Elementwise),
    (Activation::Elu(1.5), |x| reference::elu(x, 1.5), Tolerance::Transcendental),
    (Activation::Celu(1.5), |x| reference::celu(x, 1.5), Tolerance::Transcendental),
    (Activation::Softplus(0.5), |x| reference::softplus(x, 0.5, 20.0), Tolerance::Transcendental),
    (Activation::Sigmoid, reference::sigmoid, Tolerance::Transcendental),
    (Activation::Tanh, reference::tanh, Tolerance::Transcendental),
    (Activation::Silu, reference::silu, Tolerance::Transcendental),
    (Activation::Hardswish, reference::hardswish, Tolerance::Elementwise),
    (Activation::Gelu, reference::gelu, Tolerance::Transcendental),
    (Activation::GeluTanh, reference::gelu_tanh, Tolerance::Transcendental),
    (Activation::Selu, reference::selu, Tolerance::Transcendental),
    (Activation::Hardsigmoid, reference::hardsigmoid, Tolerance::Elementwise),
    (Activation::Mish, reference::mish, Tolerance::Transcendental),
    (Activation::Softsign, reference::softsign, Tolerance::Elementwise),
];

/// Returns values in ±8, with the corners of all the functions.
fn values(shape: &[usize]) -> Tensor {
    let mut x = random(1, shape);
    x.data.iter_mut().for_each(|value| *value *= 8.0);
    let corners = [0.0, -0.0, 3.0, -3.0, 6.0, 1e-6, -1e-6];
    x.data.iter_mut().zip(corners).for_each(|(value, corner)| *value = corner);
    x
}

fn every_function_in_every_layout(t: &Suite) {
    let x = values(&[2, 5, 3, 7]);
    for (activation, reference, tolerance) in ALL {
        let graph = graph(&[&x], |graph, x| graph.activation(x[0], activation));
        t.check("images", &graph, &[&x], &reference(&x), tolerance);
    }
}

fn stored_as_halves(t: &Suite) {
    for (activation, reference, tolerance) in ALL.into_iter().step_by(4) {
        let x = halves(&values(&[2, 5, 3, 7]));
        let graph = graph(&[&x], |graph, x| graph.activation(x[0], activation));
        t.check(&format!("{activation:?} of halves"), &graph, &[&x], &reference(&x), tolerance);
    }
}

fn far_out_it_stays_finite(t: &Suite) {
    // exp overflows at 89, in f32.
    let magnitudes = [1e3, 700.0, 500.0, 90.0, 88.0, 20.0, 1e-30, 0.0];
    let x = Tensor::new([2, 1, 8], magnitudes.into_iter().flat_map(|value| [value, -value]).collect());
    for (activation, reference, tolerance) in ALL {
        let graph = graph(&[&x], |graph, x| graph.activation(x[0], activation));
        t.check("far out", &graph, &[&x], &reference(&x), tolerance);
    }
}

fn small_results_keep_their_digits(t: &Suite) {
    // No larger number is beside them: a literal exp(x) - 1 or log(1 + exp(x)) would lose them.
    let cases: [(Activation, Reference, f32); 13] = [
        (Activation::Elu(1.0), |x| reference::elu(x, 1.0), -1e-6),
        (Activation::Elu(1.0), |x| reference::elu(x, 1.0), -0.5),
        (Activation::Elu(1.0), |x| reference::elu(x, 1.0), -0.500_001),
        (Activation::Selu, reference::selu, -1e-4),
        (Activation::Celu(1.0), |x| reference::celu(x, 1.0), -1e-5),
        (Activation::Softplus(1.0), |x| reference::softplus(x, 1.0, 20.0), -17.0),
        (Activation::Softplus(1.0), |x| reference::softplus(x, 1.0, 20.0), -40.0),
        (Activation::Mish, reference::mish, -20.0),
        (Activation::Tanh, reference::tanh, 1e-30),
        (Activation::Tanh, reference::tanh, -1e-7),
        (Activation::Tanh, reference::tanh, 1e-3),
        (Activation::Tanh, reference::tanh, 0.299_999),
        (Activation::Tanh, reference::tanh, -0.300_001),
    ];
    for (activation, reference, value) in cases {
        let x = Tensor::new([1], vec![value]);
        let graph = graph(&[&x], |graph, x| graph.activation(x[0], activation));
        t.check(&format!("{activation:?} of {value}"), &graph, &[&x], &reference(&x), Tolerance::Transcendental);
    }
}

fn any_rank(t: &Suite) {
    let shapes: [&[usize]; 6] = [&[1], &[7], &[3, 5], &[2, 3, 5], &[2, 1, 2, 3, 5], &[1, 4, 1, 1]];
    for shape in shapes {
        let x = values(shape);
        let graph = graph(&[&x], |graph, x| graph.relu(x[0]));
        t.check(&format!("{shape:?}"), &graph, &[&x], &reference::relu(&x), Tolerance::Exact);
    }
}

fn after_another_operation(t: &Suite) {
    let x = values(&[2, 6, 4, 3]);
    let graph = graph_between_images(&[&x], |graph, x| graph.relu(x[0]));
    t.check("between images", &graph, &[&x], &reference::relu(&x), Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    for x in [values(&[1, 3, 2, 3]), values(&[1])] {
        for (activation, reference, tolerance) in ALL {
            let graph = graph(&[&x], |graph, x| graph.activation(x[0], activation));
            t.check_not_finite(&format!("{activation:?}"), &graph, &[&x], |x| reference(x[0]), tolerance);
        }
    }
}
