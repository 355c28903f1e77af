//! Cases of layer norm: lines that are kept or read again, means far from zero, large numbers.

use crate::ops::{Activation, LayerNorm};
use crate::selftest::cases::{constant, far_from_zero, graph, graph_between_images, halves, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    shapes_and_epsilons(t);
    lines_kept_and_read_again(t);
    a_mean_far_from_zero(t);
    takes_in_an_activation(t);
    of_an_image(t);
    long_loops(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    for shape in [[3, 64], [3, 65], [2, 5000]] {
        check_all(t, "halves", &halves(&random(1, shape)), 1, 1e-5);
    }
}

fn check_all(t: &Suite, case: &str, x: &Tensor, dimensions: usize, eps: f64) {
    let over = &x.shape[x.shape.len() - dimensions..];
    let (weight, bias) = (random(2, over), random(3, over));
    for (affine, weight, bias) in [
        ("affine", Some(&weight), Some(&bias)),
        ("weight", Some(&weight), None),
        ("bias", None, Some(&bias)),
        ("plain", None, None),
    ] {
        let norm = LayerNorm::new(over, weight.map(constant), bias.map(constant)).eps(eps);
        let graph = graph(&[x], |graph, x| graph.layer_norm(x[0], norm));
        let expected = reference::layer_norm(x, dimensions, weight, bias, eps);
        t.check(&format!("{case}, {affine}"), &graph, &[x], &expected, Tolerance::Transcendental);
    }
}

fn shapes_and_epsilons(t: &Suite) {
    let cases: [(&[usize], usize, f64); 14] = [
        (&[1], 1, 1e-5),
        (&[7], 1, 1e-5),
        (&[3, 1], 1, 1e-5),
        (&[2, 7], 1, 0.1),
        (&[2, 7], 2, 1e-5),
        (&[3, 63], 1, 1e-5),
        (&[3, 64], 1, 1e-5),
        (&[3, 65], 1, 1e-5),
        (&[2, 1000], 1, 1e-3),
        (&[2, 1025], 1, 1e-5),
        (&[2, 5000], 1, 1e-5),
        (&[2, 3, 5, 7], 1, 1e-5),
        (&[2, 3, 5, 7], 3, 1e-5),
        (&[2, 1, 3, 5, 7], 2, 1e-5),
    ];
    for (shape, dimensions, eps) in cases {
        let case = format!("{dimensions} of {shape:?}, eps {eps}");
        check_all(t, &case, &random(1, shape), dimensions, eps);
        check_all(t, &format!("{case}, outliers"), &outliers(1, shape), dimensions, eps);
    }
}

fn lines_kept_and_read_again(t: &Suite) {
    // Limits of a block: an llvmpipe vector's, those of 64 and 256 invocations with 1, 4 and 16 texels each.
    for around in [64, 256, 1024, 4096, 16384] {
        for length in [around - 1, around, around + 1] {
            check_all(t, &format!("{length} with outliers"), &outliers(1, [2, length]), 1, 1e-5);
            check_all(t, &format!("{length} about 1e4"), &far_from_zero([2, length]), 1, 1e-5);
        }
    }
}

fn a_mean_far_from_zero(t: &Suite) {
    for length in [2, 65, 1000, 5000] {
        check_all(t, &format!("{length} about 1e4"), &far_from_zero([3, length]), 1, 1e-5);
    }
    // Equal numbers are all at their mean: the result is the bias.
    check_all(t, "all the same", &Tensor::new([2, 1000], vec![1e4 / 3.0; 2000]), 1, 1e-5);
}

fn takes_in_an_activation(t: &Suite) {
    let x = random(1, [2, 3, 65]);
    let expected = reference::layer_norm(&x, 1, None, None, 1e-5);
    for (activation, expected) in [
        (Activation::Relu, reference::relu(&expected)),
        (Activation::LeakyRelu(0.5), reference::leaky_relu(&expected, 0.5)),
        (Activation::Gelu, reference::gelu(&expected)),
    ] {
        let graph = graph(&[&x], |graph, x| {
            let y = graph.layer_norm(x[0], LayerNorm::new([65], None, None))?;
            graph.activation(y, activation)
        });
        t.expect_fused(&graph, 1);
        t.check(&format!("{activation:?}"), &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

fn of_an_image(t: &Suite) {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph_between_images(&[&x], |graph, x| graph.layer_norm(x[0], LayerNorm::new([6, 3, 5], None, None)));
    let expected = reference::layer_norm(&x, 3, None, None, 1e-5);
    t.check("between images", &graph, &[&x], &expected, Tolerance::Transcendental);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    check_all(t, "600,000 in a line", &random(1, [1, 600_000]), 1, 1e-5);
}

/// Checks NaN and infinities, and finite numbers with infinite squares.
fn not_finite(t: &Suite) {
    for length in [5, 70, 1100] {
        let x = random(1, [2, length]);
        let graph = graph(&[&x], |graph, x| graph.layer_norm(x[0], LayerNorm::new([length], None, None)));
        let reference = |x: &[&Tensor]| reference::layer_norm(x[0], 1, None, None, 1e-5);
        t.check_not_finite(&format!("{length}"), &graph, &[&x], reference, Tolerance::Transcendental);
        for (magnitude, eps) in [(3e18, 1e-5), (1e28, 1e-5), (1e25, 1e-12), (1e12, 0.0), (1e-15, 0.0)] {
            check_all(t, &format!("{length} of about {magnitude}"), &x.map(|x| magnitude * x), 1, eps);
        }
    }
}
