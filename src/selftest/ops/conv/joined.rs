//! Convolutions fused with their successors: some devices compute both in one dispatch.

use super::images::{Case, HALVED, PLAIN, SAME};
use crate::ops::{Activation, Pool2d, PoolKind, ResizeMode};
use crate::selftest::cases::{as_image, finished, graph, outliers, random};
use crate::selftest::ops::slice::slice;
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

pub(super) fn cases(t: &Suite) {
    depthwise_and_pointwise(t);
    and_max_pooling(t);
    and_a_product(t);
    and_halving(t);
    over_parts(t);
    over_doubled(t);
    over_channels(t);
}

/// Checks odd widths, strides, more pixels and channels than a workgroup has, and all endings: a ReLU, a residual before it
/// and after it.
fn depthwise_and_pointwise(t: &Suite) {
    let wide = Case { kernel: [5, 3], padding: [[2, 2], [1, 1]], stride: [2; 2], x: [1, 9, 8, 18], out: 9, ..PLAIN };
    let off = Case { padding: [[0, 2], [2, 0]], x: [2, 6, 5, 7], out: 6, ..SAME };
    let deep = Case { kernel: [3; 2], padding: [[1; 2]; 2], stride: [2; 2], x: [2, 69, 9, 13], out: 69, ..PLAIN };
    for (name, first, out) in [
        ("5x3/2, to 32", wide, 32),
        ("padded unevenly, to 7", off, 7),
        ("3x3/2, of 69 channels to 31", deep, 31),
        ("3x3/2, of 69 channels to 67", deep, 67),
    ] {
        let first = Case { groups: first.out, ..first };
        let x = random(1, first.x);
        let y = reference::sigmoid(&first.reference(&x, true));
        let second = Case { x: y.dims(), out, ..PLAIN };
        let plain = second.reference(&y, true);
        let residual = random(4, plain.shape.clone());
        let both = |last: Option<bool>| {
            graph(&[&x, &residual], move |graph, x| {
                let y = graph.conv2d(x[0], first.op(true))?;
                let y = graph.activation(y, Activation::Sigmoid)?;
                let y = graph.conv2d(y, second.op(true))?;
                if let Some(last) = last { finished(graph, y, x[1], last) } else { graph.relu(y) }
            })
        };
        for last in [None, Some(false), Some(true)] {
            let y = last.map_or_else(|| reference::relu(&plain), |last| reference::finished(&plain, &residual, last));
            t.check(name, &both(last), &[&x, &residual], &y, Tolerance::Transcendental);
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

/// Checks max pooling of 2x2 pixels: odd sides, whose last row and column count nowhere; images in rows; NaN and infinities;
/// more pixels and channels than a workgroup has; an activation that isn't monotonic.
fn and_halving(t: &Suite) {
    for (name, conv) in [
        ("3x3, then 2x2", Case { x: [2, 8, 10, 14], out: 36, ..SAME }),
        ("3x3 of odd sides, then 2x2", Case { x: [2, 12, 11, 9], out: 7, ..SAME }),
        ("3x3 of three channels, then 2x2", Case { x: [1, 3, 9, 12], out: 16, ..SAME }),
        ("1x1, then 2x2", Case { kernel: [1; 2], x: [1, 16, 6, 8], out: 20, ..PLAIN }),
        ("3x3/2 to two pixels, then 2x2", Case { x: [3, 8, 3, 4], out: 16, stride: [2; 2], ..SAME }),
        ("3x3, then 2x2, of many pixels", Case { x: [1, 64, 34, 38], out: 132, ..SAME }),
    ] {
        let x = random(1, conv.x);
        for activation in [Activation::Relu, Activation::Silu] {
            let graph = graph(&[&x], |graph, x| {
                let x = as_image(graph, x[0])?;
                let y = graph.conv2d(x, conv.op(true))?;
                let y = graph.activation(y, activation)?;
                graph.pool2d(y, Pool2d::new(PoolKind::Max, 2))
            });
            let finish = if activation == Activation::Relu { reference::relu } else { reference::silu };
            let y = |x: &[&Tensor]| reference::pool(&finish(&conv.reference(x[0], true)), &HALVED);
            t.check(name, &graph, &[&x], &y(&[&x]), Tolerance::Transcendental);
            if activation == Activation::Relu {
                t.check_not_finite(name, &graph, &[&x], y, Tolerance::Transcendental);
            }
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
        (
            "1x1 + 1x1, padded at the end",
            Case { x: [2, 32, 6, 5], padding: [[0, 1]; 2], ..point },
            Case { x: [2, 64, 6, 5], padding: [[0, 1]; 2], ..point },
        ),
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
                let sum = graph.add(y[of_large], y[of_small])?;
                graph.relu(sum)
            });
            let first = if between { reference::relu(&a) } else { a.clone() };
            let y = reference::relu(&reference::add(&first, &b));
            t.check(name, &graph, &[&inputs[0], &inputs[1]], &y, Tolerance::Reduction(small.terms() + large.terms()));
        }
    }
}

/// Checks convolutions over images that are doubled first: alone, and concatenated with others, which are doubled or not.
fn over_doubled(t: &Suite) {
    let point = Case { kernel: [1; 2], ..PLAIN };
    for (name, parts, conv) in [
        ("3x3 over a doubled image", &[(12, true)][..], Case { x: [2, 12, 10, 6], out: 7, ..SAME }),
        ("1x1 over a doubled image", &[(6, true)], Case { x: [1, 6, 6, 14], out: 36, ..point }),
        ("3x3 over doubled and other", &[(16, true), (9, false)], Case { x: [2, 25, 6, 10], out: 36, ..SAME }),
        (
            "3x3/2 over others and doubled",
            &[(8, false), (4, true), (8, true)],
            Case { x: [1, 20, 14, 18], out: 5, stride: [2; 2], ..SAME },
        ),
        ("1x1 over doubled and other", &[(32, true), (32, false)], Case { x: [2, 64, 10, 6], out: 40, ..point }),
        ("doubled that end within a texel", &[(3, true), (6, false)], Case { x: [1, 9, 6, 10], out: 7, ..SAME }),
        ("3x3 over doubled, of many pixels", &[(64, true), (32, false)], Case { x: [1, 96, 34, 38], out: 132, ..SAME }),
    ] {
        let [n, _, h, w] = conv.x;
        let input = |(&(c, doubled), seed)| outliers(seed, if doubled { [n, c, h / 2, w / 2] } else { [n, c, h, w] });
        let inputs: Vec<Tensor> = parts.iter().zip(1..).map(input).collect();
        let seen = |(x, (_, doubled)): (&Tensor, &(usize, bool))| {
            let doubled = usize::from(*doubled);
            Tensor::build([n, x.shape[1], h, w], |i| x.at(&[i[0], i[1], i[2] >> doubled, i[3] >> doubled]))
        };
        let y = |inputs: &[&Tensor]| {
            let seen: Vec<Tensor> = inputs.iter().copied().zip(parts).map(seen).collect();
            reference::relu(&conv.reference(&reference::concat(&seen.iter().collect::<Vec<_>>(), 1), true))
        };
        let all: Vec<&Tensor> = inputs.iter().collect();
        let graph = graph(&all, |graph, x| {
            let mut images = Vec::new();
            for (&x, (_, doubled)) in x.iter().zip(parts) {
                let x = as_image(graph, x)?;
                images.push(if *doubled { graph.upsample(x, 2.0, ResizeMode::Nearest)? } else { x });
            }
            let x = if images.len() == 1 { images[0] } else { graph.concat(&images, 1)? };
            let y = graph.conv2d(x, conv.op(true))?;
            graph.relu(y)
        });
        t.check(name, &graph, &all, &y(&all), conv.tolerance());
        t.check_not_finite(name, &graph, &all, y, conv.tolerance());
    }
}

/// Checks convolutions that read a concatenation's inputs: two to five, of equal and of different channels, the last one
/// ending within a texel; one input twice; k in shares; with a residual or without.
fn over_parts(t: &Suite) {
    let point = Case { kernel: [1; 2], out: 36, ..PLAIN };
    for (name, channels, conv) in [
        ("1x1 over two", &[32, 64][..], Case { x: [2, 96, 9, 7], ..point }),
        ("1x1 over two, padded at the end", &[16, 16], Case { x: [2, 32, 7, 6], padding: [[0, 2], [0, 1]], ..point }),
        ("1x1/2 over two, the last of 5", &[8, 5], Case { x: [1, 13, 9, 8], stride: [2; 2], ..point }),
        ("3x3 over three", &[4, 12, 6], Case { x: [2, 22, 6, 5], out: 7, ..SAME }),
        ("1x1 over four of few pixels", &[64, 8, 128, 200], Case { x: [1, 400, 3, 3], ..point }),
        ("3x3 over five", &[4; 5], Case { x: [1, 20, 6, 5], out: 7, ..SAME }),
        (
            "3x1/(1, 2), dilated",
            &[16, 16],
            Case {
                kernel: [3, 1],
                x: [1, 32, 9, 8],
                stride: [1, 2],
                dilation: [2, 1],
                padding: [[2; 2], [0, 1]],
                ..point
            },
        ),
        ("over two that end within a texel", &[3, 6], Case { x: [1, 9, 6, 5], out: 7, ..SAME }),
        ("of one pixel", &[8, 8], Case { x: [3, 16, 1, 1], ..point }),
    ] {
        let [n, _, h, w] = conv.x;
        let inputs: Vec<Tensor> = channels.iter().zip(1..).map(|(&c, seed)| outliers(seed, [n, c, h, w])).collect();
        let x = reference::concat(&inputs.iter().collect::<Vec<_>>(), 1);
        let y = conv.reference(&x, true);
        let residual = random(9, y.shape.clone());
        let all: Vec<&Tensor> = inputs.iter().chain([&residual]).collect();
        for (added, y) in [(false, reference::relu(&y)), (true, reference::add(&y, &residual))] {
            let graph = graph(&all, |graph, x| {
                let (residual, parts) = x.split_last().expect("there are inputs");
                let parts = parts.iter().map(|&x| as_image(graph, x)).collect::<crate::Result<Vec<_>>>()?;
                let x = graph.concat(&parts, 1)?;
                let y = graph.conv2d(x, conv.op(true))?;
                if added { graph.add(y, *residual) } else { graph.relu(y) }
            });
            t.check(name, &graph, &all, &y, conv.tolerance());
        }
    }
    let conv = super::Case::<1, 3> { x: [2, 24, 21], out: 10, ..super::Case::SAME };
    let (a, b) = (random(1, [2, 8, 21]), random(2, [2, 8, 21]));
    let lines = graph(&[&a, &b], |graph, x| {
        let (a, b) = (as_image(graph, x[0])?, as_image(graph, x[1])?);
        let x = graph.concat(&[a, b, a], 1)?;
        graph.conv1d(x, conv.op(true))
    });
    let y = |x: &[&Tensor]| conv.reference(&reference::concat(&[x[0], x[1], x[0]], 1), true);
    t.check("lines, one input twice", &lines, &[&a, &b], &y(&[&a, &b]), conv.tolerance());
    t.check_not_finite("lines", &lines, &[&a, &b], y, conv.tolerance());
}

/// Checks convolutions that read some channels of their input: the others, infinite or not, don't matter.
fn over_channels(t: &Suite) {
    let x = random(1, [2, 18, 7, 6]);
    for (name, start, end, conv) in [
        ("1x1 over the middle", 4, 12, Case { kernel: [1; 2], x: [2, 8, 7, 6], out: 12, ..PLAIN }),
        ("3x3 over the end", 8, 18, Case { x: [2, 10, 7, 6], out: 5, ..SAME }),
        ("3x3 within a texel", 4, 10, Case { x: [2, 6, 7, 6], out: 5, ..SAME }),
    ] {
        let graph = graph(&[&x], |graph, x| {
            let x = as_image(graph, x[0])?;
            let x = graph.slice(x, 1, start, end)?;
            graph.conv2d(x, conv.op(true))
        });
        let y = |x: &Tensor| conv.reference(&slice(x, 1, Some(start), Some(end), 1), true);
        t.check(name, &graph, &[&x], &y(&x), conv.tolerance());
        t.check_not_finite(name, &graph, &[&x], |x| y(x[0]), conv.tolerance());
    }
}
