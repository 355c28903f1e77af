//! Convolutions fused with their successors: some devices compute both in one dispatch.

use super::images::{Case, HALVED, PLAIN, SAME};
use crate::ops::{Activation, Pool2d, PoolKind};
use crate::selftest::cases::{graph, random};
use crate::selftest::reference;
use crate::selftest::{Suite, Tolerance};

pub(super) fn cases(t: &Suite) {
    depthwise_and_pointwise(t);
    and_max_pooling(t);
    and_a_product(t);
}

/// Checks odd widths, strides, more pairs of pixels than a workgroup has, and both endings: a ReLU, a residual.
fn depthwise_and_pointwise(t: &Suite) {
    let wide = Case { kernel: [5, 3], padding: [[2, 2], [1, 1]], stride: [2; 2], x: [1, 9, 8, 18], out: 9, ..PLAIN };
    let off = Case { padding: [[0, 2], [2, 0]], x: [2, 6, 5, 7], out: 6, ..SAME };
    for (name, first, out) in [("5x3/2, to 32", wide, 32), ("padded unevenly, to 7", off, 7)] {
        let first = Case { groups: first.out, ..first };
        let x = random(1, first.x);
        let y = reference::sigmoid(&first.reference(&x, true));
        let second = Case { x: y.dims(), out, ..PLAIN };
        let plain = second.reference(&y, true);
        let residual = random(4, plain.shape.clone());
        let both = |added: bool| {
            graph(&[&x, &residual], move |graph, x| {
                let y = graph.conv2d(x[0], first.op(true))?;
                let y = graph.activation(y, Activation::Sigmoid)?;
                let y = graph.conv2d(y, second.op(true))?;
                if added { graph.sum(x[1], y) } else { graph.relu(y) }
            })
        };
        let added = reference::add(&residual, &plain);
        for (added, y) in [(false, reference::relu(&plain)), (true, added)] {
            t.check(name, &both(added), &[&x, &residual], &y, Tolerance::Transcendental);
        }
    }
}

/// Checks strips, their edges, and images smaller than a strip; the activation between is a clamp, then another.
fn and_max_pooling(t: &Suite) {
    let stem = Case { kernel: [7; 2], stride: [2; 2], padding: [[3; 2]; 2], ..PLAIN };
    for (name, conv, pad, ceil_mode) in [
        ("7x7/2, then 3x3/2", Case { x: [2, 3, 38, 35], out: 34, ..stem }, 1, false),
        ("beyond the far edge", Case { x: [1, 2, 6, 6], out: 3, ..SAME }, 0, true),
        ("one pixel", Case { x: [1, 4, 2, 2], out: 4, ..stem }, 1, false),
    ] {
        let x = random(1, conv.x);
        let y = conv.reference(&x, true);
        for (activation, y) in [(Activation::Relu, reference::relu(&y)), (Activation::Sigmoid, reference::sigmoid(&y))]
        {
            let pool = Pool2d::new(PoolKind::Max, 3).stride(2).padding(pad).ceil_mode(ceil_mode);
            let graph = graph(&[&x], |graph, x| {
                let y = graph.conv2d(x[0], conv.op(true))?;
                let y = graph.activation(y, activation)?;
                graph.pool2d(y, pool)
            });
            let pool = reference::Pool { size: [3; 2], padding: [[pad; 2]; 2], ceil_mode, ..HALVED };
            t.check(name, &graph, &[&x], &reference::pool(&y, &pool), Tolerance::Transcendental);
        }
    }
}

/// Checks the sum of two 1x1 convolutions: either of them over the larger image, in either order; also two without a
/// common run of channels, and two with an operation between.
fn and_a_product(t: &Suite) {
    let point = Case { kernel: [1; 2], out: 36, ..PLAIN };
    let large = Case { x: [2, 64, 11, 9], stride: [2; 2], ..point };
    for (name, small, large) in [
        ("1x1 + 1x1/2", Case { x: [2, 32, 6, 5], ..point }, large),
        ("1x1 + 1x1/2, of 40 and 64 channels", Case { x: [2, 40, 6, 5], ..point }, large),
        ("1x1 + 1x1/(2, 1)", Case { x: [2, 32, 6, 9], ..point }, Case { stride: [2, 1], ..large }),
    ] {
        let inputs = [random(1, small.x), random(2, large.x)];
        let [a, b] = [small.reference(&inputs[0], true), large.reference(&inputs[1], true)];
        for (of_small, of_large, between) in [(0, 1, false), (1, 0, false), (0, 1, true)] {
            let graph = graph(&[&inputs[0], &inputs[1]], move |graph, x| {
                // The later convolution takes in the addition.
                let mut y = [x[0]; 2];
                for (i, y) in y.iter_mut().enumerate() {
                    let (case, x) = if i == of_small { (small, x[0]) } else { (large, x[1]) };
                    *y = graph.conv2d(x, case.op(true))?;
                }
                if between {
                    y[0] = graph.relu(y[0])?;
                }
                let sum = graph.sum(y[of_large], y[of_small])?;
                graph.relu(sum)
            });
            let first = if between { reference::relu(&a) } else { a.clone() };
            let y = reference::relu(&reference::add(&first, &b));
            t.check(name, &graph, &[&inputs[0], &inputs[1]], &y, Tolerance::Reduction(small.terms() + large.terms()));
        }
    }
}
