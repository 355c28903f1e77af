//! Cases of group norm: groups, shapes, means far from zero.

use crate::ops::{Activation, GroupNorm};
use crate::selftest::cases::{constant, far_from_zero, graph, graph_between_images, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    groups_and_shapes(t);
    a_mean_far_from_zero(t);
    takes_in_an_activation_between_images(t);
    long_loops(t);
    not_finite(t);
}

fn check_all(t: &Suite, case: &str, x: &Tensor, groups: usize, eps: f64) {
    let (weight, bias) = (random(2, [x.shape[1]]), random(3, [x.shape[1]]));
    for (affine, weight, bias) in [("affine", Some(&weight), Some(&bias)), ("plain", None, None)] {
        let norm = GroupNorm::new(groups, weight.map(constant), bias.map(constant)).eps(eps);
        let graph = graph(&[x], |graph, x| graph.group_norm(x[0], norm));
        let expected = reference::group_norm(x, groups, weight, bias, eps);
        t.check(&format!("{case}, {affine}"), &graph, &[x], &expected, Tolerance::Transcendental);
    }
}

fn groups_and_shapes(t: &Suite) {
    let cases: [(&[usize], &[usize], f64); 15] = [
        (&[1, 1], &[1], 1e-5),
        (&[2, 6], &[1, 2, 6], 1e-5),
        (&[3, 7, 5], &[1, 7], 1e-5),
        (&[1, 4, 1, 1], &[1, 2, 4], 1e-5),
        (&[2, 6, 3, 7], &[1, 2, 3, 6], 0.1),
        (&[2, 2, 7, 9], &[1, 2], 1e-5),
        (&[2, 2, 8, 8], &[1, 2], 1e-5),
        (&[2, 10, 13, 1], &[1, 2, 10], 1e-5),
        (&[1, 4, 25, 50], &[1, 2, 4], 1e-3),
        (&[1, 4, 32, 64], &[1, 2, 4], 1e-5),
        (&[1, 2, 17, 241], &[1, 2], 1e-5),
        (&[2, 4, 3, 5, 2], &[1, 2, 4], 1e-5),
        (&[2, 16, 5, 7], &[1, 2, 4, 16], 1e-5),
        (&[2, 24, 1, 9], &[2, 3, 6], 0.1),
        (&[1, 8, 60, 70], &[1, 2, 8], 1e-5),
    ];
    for (shape, groups, eps) in cases {
        for &groups in groups {
            let case = format!("{groups} groups of {shape:?}, eps {eps}");
            check_all(t, &case, &random(1, shape), groups, eps);
            check_all(t, &format!("{case}, outliers"), &outliers(1, shape), groups, eps);
        }
    }
}

fn a_mean_far_from_zero(t: &Suite) {
    for groups in [1, 2, 4] {
        check_all(t, &format!("{groups} groups about 1e4"), &far_from_zero([2, 4, 25, 50]), groups, 1e-5);
        check_all(t, &format!("{groups} groups of more about 1e4"), &far_from_zero([1, 16, 13, 11]), groups, 1e-5);
    }
}

fn takes_in_an_activation_between_images(t: &Suite) {
    // The groups have three channels, a texel of channels, and one channel.
    for (channels, groups) in [(6, 2), (8, 2), (6, 6)] {
        let x = random(1, [2, channels, 3, 5]);
        let graph = graph_between_images(&[&x], |graph, x| {
            let y = graph.group_norm(x[0], GroupNorm::new(groups, None, None))?;
            graph.activation(y, Activation::Silu)
        });
        t.expect_fused(&graph, 3);
        let expected = reference::silu(&reference::group_norm(&x, groups, None, None, 1e-5));
        t.check(&format!("SiLU after {groups} of {channels}"), &graph, &[&x], &expected, Tolerance::Transcendental);
    }
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    check_all(t, "640,000 texels a group", &random(1, [1, 4, 800, 800]), 1, 1e-5);
}

fn not_finite(t: &Suite) {
    for (shape, groups) in [([2, 6, 3, 5], 2), ([2, 8, 3, 5], 2), ([2, 5, 4, 3], 5)] {
        let x = random(1, shape);
        let graph = graph(&[&x], |graph, x| graph.group_norm(x[0], GroupNorm::new(groups, None, None)));
        let reference = |x: &[&Tensor]| reference::group_norm(x[0], groups, None, None, 1e-5);
        t.check_not_finite(&format!("{shape:?}"), &graph, &[&x], reference, Tolerance::Transcendental);
        check_all(t, "great numbers", &x.map(|x| 1e25 * x), groups, 1e-5);
    }
}
