//! Cases of pixel shuffles, and their references: factors, both directions, ONNX's modes.

use crate::ops::{PixelShuffle, PixelUnshuffle, ShuffleMode};
use crate::selftest::cases::{graph, graph_between_images, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    factors(t);
    pixels_to_channels(t);
    before_another_operation(t);
    there_and_back(t);
    not_finite(t);
}

/// Computes ONNX's `DepthToSpace` of mode DCR: the channels of a block position are adjacent.
pub fn depth_to_space(x: &Tensor, factor: usize) -> Tensor {
    let [n, c, h, w] = x.dims();
    let out = c / (factor * factor);
    Tensor::build([n, out, h * factor, w * factor], |i| {
        let place = i[2] % factor * factor + i[3] % factor;
        x.at(&[i[0], place * out + i[1], i[2] / factor, i[3] / factor])
    })
}

pub fn pixel_unshuffle(x: &Tensor, factor: usize) -> Tensor {
    unshuffle(x, factor, |k, square, _| (k / square, k % square))
}

/// Computes ONNX's `SpaceToDepth`.
pub fn space_to_depth(x: &Tensor, factor: usize) -> Tensor {
    unshuffle(x, factor, |k, _, channels| (k % channels, k / channels))
}

/// Moves blocks of pixels to channels. `split` returns an output channel's channel of `x` and position in the block.
fn unshuffle(x: &Tensor, factor: usize, split: impl Fn(usize, usize, usize) -> (usize, usize)) -> Tensor {
    let [n, channels, h, w] = x.dims();
    let square = factor * factor;
    Tensor::build([n, channels * square, h / factor, w / factor], |i| {
        let (c, place) = split(i[1], square, channels);
        x.at(&[i[0], c, i[2] * factor + place / factor, i[3] * factor + place % factor])
    })
}

fn factors(t: &Suite) {
    // An output with a multiple of four pixels per row may be written row-major.
    let cases = [
        (1, [2, 5, 3, 4]),
        (2, [1, 4, 1, 1]),
        (2, [2, 12, 5, 6]),
        (2, [2, 12, 3, 5]),
        (2, [3, 20, 4, 2]),
        (3, [2, 9, 4, 4]),
        (3, [1, 27, 2, 5]),
        (4, [2, 48, 3, 3]),
    ];
    for (factor, shape) in cases {
        let x = random(1, shape);
        let case = format!("{shape:?} by {factor}");
        let crd = graph(&[&x], |graph, x| graph.pixel_shuffle(x[0], factor));
        t.check(&case, &crd, &[&x], &reference::pixel_shuffle(&x, factor), Tolerance::Exact);
        let dcr = PixelShuffle::new(factor).mode(ShuffleMode::Dcr);
        let dcr = graph(&[&x], |graph, x| graph.push(dcr, &[x[0]]));
        t.check(&format!("{case}, DCR"), &dcr, &[&x], &depth_to_space(&x, factor), Tolerance::Exact);
    }
}

fn pixels_to_channels(t: &Suite) {
    let cases = [
        (1, [2, 5, 3, 4]),
        (2, [1, 1, 2, 2]),
        (2, [2, 3, 4, 6]),
        (2, [1, 5, 6, 2]),
        (3, [2, 1, 3, 9]),
        (3, [1, 7, 6, 3]),
        (4, [2, 4, 8, 4]),
    ];
    for (factor, shape) in cases {
        let x = random(1, shape);
        let case = format!("{shape:?} by {factor}");
        let crd = graph(&[&x], |graph, x| graph.pixel_unshuffle(x[0], factor));
        t.check(&case, &crd, &[&x], &pixel_unshuffle(&x, factor), Tolerance::Exact);
        let dcr = PixelUnshuffle::new(factor).mode(ShuffleMode::Dcr);
        let dcr = graph(&[&x], |graph, x| graph.push(dcr, &[x[0]]));
        t.check(&format!("{case}, DCR"), &dcr, &[&x], &space_to_depth(&x, factor), Tolerance::Exact);
    }
}

fn before_another_operation(t: &Suite) {
    let x = random(1, [2, 12, 3, 4]);
    let graph = graph_between_images(&[&x], |graph, x| graph.pixel_shuffle(x[0], 2));
    t.check("between images", &graph, &[&x], &reference::pixel_shuffle(&x, 2), Tolerance::Exact);
}

fn there_and_back(t: &Suite) {
    for mode in [ShuffleMode::Crd, ShuffleMode::Dcr] {
        let x = random(1, [2, 12, 3, 4]);
        let graph = graph(&[&x], |graph, x| {
            let y = graph.push(PixelShuffle::new(2).mode(mode), &[x[0]])?;
            graph.push(PixelUnshuffle::new(2).mode(mode), &[y])
        });
        t.check(&format!("{mode:?}"), &graph, &[&x], &x, Tolerance::Exact);
    }
}

fn not_finite(t: &Suite) {
    let x = random(1, [1, 12, 2, 4]);
    let shuffled = graph(&[&x], |graph, x| graph.pixel_shuffle(x[0], 2));
    t.check_not_finite("shuffled", &shuffled, &[&x], |x| reference::pixel_shuffle(x[0], 2), Tolerance::Exact);
    let back = graph(&[&x], |graph, x| graph.pixel_unshuffle(x[0], 2));
    t.check_not_finite("and back", &back, &[&x], |x| pixel_unshuffle(x[0], 2), Tolerance::Exact);
}
