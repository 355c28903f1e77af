//! NaN and infinities in convolutions: they reach the outputs that read them, and no others.

use super::images::{Case, FAMILIES, HALVED, LINES, PLAIN, SAME};
use crate::ops::{Activation, Pool2d, PoolKind};
use crate::selftest::cases::{as_image, graph, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

pub(super) fn cases(t: &Suite) {
    windows(t);
    groups(t);
    what_they_are_joined_with(t);
    what_pads_a_texel_is_nothing_to_the_next(t);
}

fn windows(t: &Suite) {
    let winograd = Case { name: "Winograd", x: [2, 6, 9, 17], out: 10, ..SAME };
    let groups = Case { name: "whole groups", x: [1, 64, 3, 4], out: 128, groups: 2, ..SAME };
    let shared = Case { name: "k shared", x: [1, 67, 5, 4], out: 33, ..SAME };
    let strided = Case { name: "stride 2", x: [2, 5, 7, 6], out: 6, stride: [2; 2], ..SAME };
    let point = Case { name: "point", x: [2, 26, 5, 7], out: 35, ..PLAIN };
    // More channels than a row of a texture holds the weights of.
    let wide = Case { name: "2,052 channels", x: [1, 2052, 3, 4], out: 8, ..PLAIN };
    let dilated = Case { name: "dilated", dilation: [2; 2], padding: [[2; 2]; 2], ..FAMILIES[3] };
    for case in FAMILIES.into_iter().chain([winograd, groups, shared, strided, point, wide, dilated]).chain(LINES) {
        case.check_not_finite(t);
        case.check_not_finite_added(t);
    }
}

/// Checks that a NaN stays in its group, even if one block holds the weights of several groups.
fn groups(t: &Suite) {
    for case in [
        Case { name: "five of three channels", x: [1, 15, 4, 5], out: 10, groups: 5, stride: [2, 1], ..SAME },
        Case { name: "three across blocks of channels", x: [2, 18, 4, 5], out: 3 * 24, groups: 3, ..SAME },
        Case { name: "point, groups of six", x: [1, 18, 4, 5], out: 12, groups: 3, ..PLAIN },
        Case { name: "groups, k shared", x: [1, 120, 5, 4], out: 72, groups: 2, ..SAME },
    ] {
        case.check_not_finite(t);
    }
}

fn what_they_are_joined_with(t: &Suite) {
    // The convolution is fused with max pooling.
    let stem = Case { x: [1, 3, 16, 17], out: 9, kernel: [7; 2], stride: [2; 2], padding: [[3; 2]; 2], ..PLAIN };
    let x = random(1, stem.x);
    let pool = reference::Pool { size: [3; 2], padding: [[1; 2]; 2], ..HALVED };
    for relu in [false, true] {
        let pooled = graph(&[&x], |graph, x| {
            let y = graph.conv2d(x[0], stem.op(true))?;
            let y = if relu { graph.relu(y)? } else { y };
            graph.pool2d(y, Pool2d::new(PoolKind::Max, 3).stride(2).padding(1))
        });
        let reference = |x: &[&Tensor]| {
            let y = stem.reference(x[0], true);
            reference::pool(&if relu { reference::relu(&y) } else { y }, &pool)
        };
        t.check_not_finite("and max pooling", &pooled, &[&x], reference, Tolerance::Transcendental);
    }
    // The 1x1 convolution follows a depthwise one, or is added to another.
    let first = Case { x: [1, 6, 5, 7], out: 6, groups: 6, ..SAME };
    let second = Case { x: [1, 6, 5, 7], out: 7, ..PLAIN };
    let x = random(1, first.x);
    let separable = graph(&[&x], |graph, x| {
        let y = graph.conv2d(x[0], first.op(true))?;
        let y = graph.activation(y, Activation::Relu6)?;
        graph.conv2d(y, second.op(true))
    });
    let reference = |x: &[&Tensor]| second.reference(&reference::relu6(&first.reference(x[0], true)), true);
    t.check_not_finite("separable", &separable, &[&x], reference, Tolerance::Transcendental);
    let [a, b] = [32, 64].map(|channels| Case { x: [1, channels, 5, 3], out: 36, ..PLAIN });
    let inputs = [&random(1, a.x), &random(2, b.x)];
    let both = graph(&inputs, |graph, x| {
        let y = [graph.conv2d(x[0], a.op(true))?, graph.conv2d(x[1], b.op(true))?];
        graph.add(y[0], y[1])
    });
    let reference = |x: &[&Tensor]| reference::add(&a.reference(x[0], true), &b.reference(x[1], true));
    t.check_not_finite("two products", &both, &inputs, reference, Tolerance::Reduction(96));
}

/// Checks a texel's padding: infinity times the zero weights of absent channels is NaN, where a sigmoid leaves numbers.
fn what_pads_a_texel_is_nothing_to_the_next(t: &Suite) {
    let last = Case { x: [2, 10, 5, 7], out: 3, ..PLAIN };
    for case in FAMILIES {
        let last = Case { x: [2, case.out, 5, 7], ..last };
        let x = random(1, case.x);
        let chain = graph(&[&x], |graph, x| {
            let y = graph.conv2d(x[0], case.op(true))?;
            let y = graph.activation(y, Activation::Sigmoid)?;
            let y = as_image(graph, y)?;
            graph.conv2d(y, last.op(true))
        });
        let reference = |x: &[&Tensor]| {
            let y = reference::sigmoid(&case.reference(x[0], true));
            Case { x: y.dims(), ..last }.reference(&y, true)
        };
        t.check_not_finite(case.name, &chain, &[&x], reference, Tolerance::Transcendental);
    }
}
