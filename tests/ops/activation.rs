use crate::harness::{Tolerance, as_image, check, graph, random};
use crate::reference::{self, Tensor};
use shadernet::ops::Activation;

type Reference = fn(&Tensor) -> Tensor;

const ALL: [(Activation, Reference, Tolerance); 9] = [
    (Activation::Relu, reference::relu, Tolerance::Exact),
    (Activation::Relu6, reference::relu6, Tolerance::Exact),
    (Activation::LeakyRelu(0.1), |x| reference::leaky_relu(x, f64::from(0.1f32)), Tolerance::Elementwise),
    (Activation::Sigmoid, reference::sigmoid, Tolerance::Transcendental),
    (Activation::Tanh, reference::tanh, Tolerance::Transcendental),
    (Activation::Silu, reference::silu, Tolerance::Transcendental),
    (Activation::Hardswish, reference::hardswish, Tolerance::Elementwise),
    (Activation::Gelu, reference::gelu, Tolerance::Transcendental),
    (Activation::GeluTanh, reference::gelu_tanh, Tolerance::Transcendental),
];

/// ±8, with the corners of all the functions.
fn values(shape: &[usize]) -> Tensor {
    let mut x = random(1, shape);
    x.data.iter_mut().for_each(|value| *value *= 8.0);
    let corners = [0.0, -0.0, 3.0, -3.0, 6.0, 1e-6, -1e-6];
    x.data.iter_mut().zip(corners).for_each(|(value, corner)| *value = corner);
    x
}

#[test]
fn every_function_in_every_layout() {
    let x = values(&[2, 5, 3, 7]);
    for (activation, reference, tolerance) in ALL {
        let graph = graph(&[&x], |graph, x| graph.activation(x[0], activation));
        check("images", &graph, &[&x], &reference(&x), tolerance);
    }
}

#[test]
fn far_out_it_stays_finite() {
    // exp overflows at 89, in f32.
    let x = Tensor::new([2, 1, 4], vec![1e3, -1e3, 90.0, -90.0, 700.0, -700.0, 20.0, -20.0]);
    for (activation, reference, tolerance) in ALL {
        let graph = graph(&[&x], |graph, x| graph.activation(x[0], activation));
        check("far out", &graph, &[&x], &reference(&x), tolerance);
    }
}

#[test]
fn any_rank() {
    let shapes: [&[usize]; 6] = [&[1], &[7], &[3, 5], &[2, 3, 5], &[2, 1, 2, 3, 5], &[1, 4, 1, 1]];
    for shape in shapes {
        let x = values(shape);
        let graph = graph(&[&x], |graph, x| graph.relu(x[0]));
        check(&format!("{shape:?}"), &graph, &[&x], &reference::relu(&x), Tolerance::Exact);
    }
}

#[test]
fn after_another_operation() {
    let x = values(&[2, 6, 4, 3]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.relu(x)?;
        as_image(graph, y)
    });
    check("between images", &graph, &[&x], &reference::relu(&x), Tolerance::Exact);
}
