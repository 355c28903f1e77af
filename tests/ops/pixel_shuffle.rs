use crate::harness::{Tolerance, as_image, check, graph, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::{PixelShuffle, PixelUnshuffle, ShuffleMode};

/// ONNX's `DepthToSpace` of mode DCR: the channels of a place lie together.
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

/// ONNX's `SpaceToDepth`.
pub fn space_to_depth(x: &Tensor, factor: usize) -> Tensor {
    unshuffle(x, factor, |k, _, channels| (k % channels, k / channels))
}

/// `split`: the channel of `x` and the place in a block of pixels, of an output channel.
fn unshuffle(x: &Tensor, factor: usize, split: impl Fn(usize, usize, usize) -> (usize, usize)) -> Tensor {
    let [n, channels, h, w] = x.dims();
    let square = factor * factor;
    Tensor::build([n, channels * square, h / factor, w / factor], |i| {
        let (c, place) = split(i[1], square, channels);
        x.at(&[i[0], c, i[2] * factor + place / factor, i[3] * factor + place % factor])
    })
}

#[test]
fn factors() {
    // Where the output is a multiple of four pixels wide, it may be written row-major.
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
        check(&case, &crd, &[&x], &reference::pixel_shuffle(&x, factor), Tolerance::Exact);
        let dcr = PixelShuffle::new(factor).mode(ShuffleMode::Dcr);
        let dcr = graph(&[&x], |graph, x| graph.push(dcr, &[x[0]]));
        check(&format!("{case}, DCR"), &dcr, &[&x], &depth_to_space(&x, factor), Tolerance::Exact);
    }
}

#[test]
fn pixels_to_channels() {
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
        check(&case, &crd, &[&x], &pixel_unshuffle(&x, factor), Tolerance::Exact);
        let dcr = PixelUnshuffle::new(factor).mode(ShuffleMode::Dcr);
        let dcr = graph(&[&x], |graph, x| graph.push(dcr, &[x[0]]));
        check(&format!("{case}, DCR"), &dcr, &[&x], &space_to_depth(&x, factor), Tolerance::Exact);
    }
}

#[test]
fn before_another_operation() {
    let x = random(1, [2, 12, 3, 4]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.pixel_shuffle(x, 2)?;
        as_image(graph, y)
    });
    check("between images", &graph, &[&x], &reference::pixel_shuffle(&x, 2), Tolerance::Exact);
}

#[test]
fn there_and_back() {
    for mode in [ShuffleMode::Crd, ShuffleMode::Dcr] {
        let x = random(1, [2, 12, 3, 4]);
        let graph = graph(&[&x], |graph, x| {
            let y = graph.push(PixelShuffle::new(2).mode(mode), &[x[0]])?;
            graph.push(PixelUnshuffle::new(2).mode(mode), &[y])
        });
        check(&format!("{mode:?}"), &graph, &[&x], &x, Tolerance::Exact);
    }
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[1, 6, 2, 2]], PixelShuffle::new(2)).contains("a multiple of 4 channels"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelShuffle::new(0)).contains("channels"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelShuffle::new(usize::MAX)).contains("channels"));
    assert!(refused(&[&[4, 2, 2]], PixelShuffle::new(2)).contains("4 dimensions"));
    assert!(refused(&[&[1, 4, 3, 2]], PixelUnshuffle::new(2)).contains("multiples of 2"));
    assert!(refused(&[&[1, 4, 2, 3]], PixelUnshuffle::new(2)).contains("multiples of 2"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelUnshuffle::new(0)).contains("not of 0"));
    assert!(refused(&[&[4, 2, 2]], PixelUnshuffle::new(2)).contains("4 dimensions"));
}
