//! Cases of local response norm: sizes, factors, padding of texels.

use crate::Constant;
use crate::ops::{Activation, Conv2d, LocalResponseNorm};
use crate::selftest::cases::{as_image, graph, graph_between_images, outliers, random};
use crate::selftest::reference::{self, Conv, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes(t);
    factors(t);
    what_pads_a_texel_is_nothing_to_it(t);
    without_a_constant_the_padding_stays_finite(t);
    not_finite(t);
}

fn sizes(t: &Suite) {
    let cases = [
        (1, [1, 1, 1, 1]),
        (1, [2, 5, 3, 3]),
        (2, [2, 5, 3, 3]),
        (3, [1, 6, 2, 7]),
        (4, [1, 7, 3, 3]),
        (5, [2, 7, 5, 5]),
        (5, [1, 96, 3, 4]),
        (5, [1, 2, 3, 3]),
        (9, [1, 8, 3, 3]),
        (30, [1, 13, 2, 2]),
    ];
    for (size, shape) in cases {
        let x = random(1, shape);
        let graph = graph(&[&x], |graph, x| graph.local_response_norm(x[0], LocalResponseNorm::new(size)));
        let expected = reference::local_response_norm(&x, size, 1e-4, 0.75, 1.0);
        t.check(&format!("{size} of {shape:?}"), &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

fn factors(t: &Suite) {
    let (alpha, beta, k) = (0.3, 0.6, 2.0);
    for x in [random(1, [2, 7, 5, 5]), outliers(1, [2, 7, 5, 5])] {
        let norm = LocalResponseNorm::new(5).factors(alpha, beta, k);
        let graph = graph_between_images(&[&x], |graph, x| graph.local_response_norm(x[0], norm));
        let expected = reference::local_response_norm(&x, 5, f64::from(alpha), f64::from(beta), f64::from(k));
        t.check("strong", &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

fn what_pads_a_texel_is_nothing_to_it(t: &Suite) {
    // After a sigmoid, the padding of five channels to eight holds 0.5.
    let x = random(1, [2, 5, 3, 4]);
    let graph = graph_between_images(&[&x], |graph, x| {
        let y = graph.activation(x[0], Activation::Sigmoid)?;
        graph.local_response_norm(y, LocalResponseNorm::new(5).factors(2.0, 0.75, 1.0))
    });
    let expected = reference::local_response_norm(&reference::sigmoid(&x), 5, 2.0, 0.75, 1.0);
    t.check("after a sigmoid", &graph, &[&x], &expected, Tolerance::Transcendental);
}

fn without_a_constant_the_padding_stays_finite(t: &Suite) {
    // 0 / 0 in the padding of five channels to eight would make the convolution's sums NaN.
    let x = reference::sigmoid(&random(1, [1, 5, 2, 3]));
    let ones = Tensor::new([3, 5, 1, 1], vec![1.0; 15]);
    let weight = Constant::known("ones", ones.shape.clone(), ones.data.clone());
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.local_response_norm(x, LocalResponseNorm::new(1).factors(1.0, 0.75, 0.0))?;
        graph.conv2d(y, Conv2d::new(weight, None))
    });
    let normed = reference::local_response_norm(&x, 1, 1.0, 0.75, 0.0);
    let expected = reference::conv(&normed, &ones, None, &Conv::<2>::ONE);
    t.check("k = 0", &graph, &[&x], &expected, Tolerance::Transcendental);
}

fn not_finite(t: &Suite) {
    let x = random(1, [2, 7, 3, 3]);
    let graph = graph(&[&x], |graph, x| graph.local_response_norm(x[0], LocalResponseNorm::new(3)));
    let reference = |x: &[&Tensor]| reference::local_response_norm(x[0], 3, 1e-4, 0.75, 1.0);
    t.check_not_finite("images", &graph, &[&x], reference, Tolerance::Transcendental);
}
