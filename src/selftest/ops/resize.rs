//! Cases of `interpolate`: modes, sizes, factors.

use crate::ops::{Resize, ResizeMode};
use crate::selftest::cases::{graph, graph_between_images, random};
use crate::selftest::ops::grid_sample::keys;
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes(t);
    along_one_dimension(t);
    factors(t);
    factors_that_change_no_size(t);
    between_images(t);
    not_finite(t);
}

/// Resizes to `[N, C, ..size]`. `factors` are given if they set the scale, not the sizes.
pub fn resize(x: &Tensor, mode: ResizeMode, size: &[usize], factors: Option<&[f64]>, align_corners: bool) -> Tensor {
    let spatial = &x.shape[2..];
    let axes: Vec<Vec<Vec<(usize, f64)>>> = (0..size.len())
        .map(|axis| {
            let scale = match factors {
                _ if align_corners => (spatial[axis] as f64 - 1.0) / (size[axis] as f64 - 1.0).max(1.0),
                Some(factors) => 1.0 / factors[axis],
                None => spatial[axis] as f64 / size[axis] as f64,
            };
            (0..size[axis]).map(|o| taps(mode, o as f64, scale, spatial[axis], align_corners)).collect()
        })
        .collect();
    Tensor::build([&x.shape[..2], size].concat(), |i| {
        let mut sum = 0.0;
        for &(row, down) in if size.len() == 2 { &axes[0][i[2]][..] } else { &[(0, 1.0)] } {
            for &(column, across) in &axes[size.len() - 1][i[i.len() - 1]] {
                let at = if size.len() == 2 { vec![i[0], i[1], row, column] } else { vec![i[0], i[1], column] };
                sum += down * across * x.at(&at);
            }
        }
        sum
    })
}

/// Returns the pixels along an axis that make up output pixel `o`, and their weights.
fn taps(mode: ResizeMode, o: f64, scale: f64, size: usize, align_corners: bool) -> Vec<(usize, f64)> {
    let pixel = |i: f64| i.clamp(0.0, size as f64 - 1.0) as usize;
    let source = if align_corners { o * scale } else { (o + 0.5) * scale - 0.5 };
    match mode {
        // Both nearest modes compute in f32, as PyTorch does.
        ResizeMode::Nearest => vec![(pixel(f64::from((o as f32 * scale as f32).floor())), 1.0)],
        ResizeMode::NearestExact => vec![(pixel(f64::from(((o as f32 + 0.5) * scale as f32).floor())), 1.0)],
        ResizeMode::Linear => {
            let source = source.max(0.0);
            let fraction = source - source.floor();
            vec![(pixel(source.floor()), 1.0 - fraction), (pixel(source.floor() + 1.0), fraction)]
        }
        ResizeMode::Cubic => (-1..3)
            .map(|k| {
                let tap = source.floor() + f64::from(k);
                (pixel(tap), keys((source - tap).abs()))
            })
            .collect(),
    }
}

pub const MODES: [ResizeMode; 4] =
    [ResizeMode::Nearest, ResizeMode::NearestExact, ResizeMode::Linear, ResizeMode::Cubic];

/// Returns true if each output pixel is a pixel of the input.
pub fn picks(mode: ResizeMode) -> bool {
    matches!(mode, ResizeMode::Nearest | ResizeMode::NearestExact)
}

fn tolerance(mode: ResizeMode) -> Tolerance {
    if picks(mode) { Tolerance::Exact } else { Tolerance::Reduction(16) }
}

fn check_all(t: &Suite, x: &Tensor, size: &[usize]) {
    for mode in MODES {
        for align_corners in [false, true] {
            if align_corners && picks(mode) {
                continue;
            }
            let op = Resize::new(mode, size).align_corners(align_corners);
            let graph = graph(&[x], |graph, x| graph.resize(x[0], op.clone()));
            let expected = resize(x, mode, size, None, align_corners);
            t.check(&format!("{op:?} of {:?}", x.shape), &graph, &[x], &expected, tolerance(mode));
        }
    }
}

fn sizes(t: &Suite) {
    let cases = [
        ([1, 1, 1, 1], [1, 1]),
        ([1, 1, 1, 1], [3, 2]),
        ([2, 5, 3, 7], [7, 3]),
        ([2, 4, 5, 10], [10, 5]),
        ([1, 9, 4, 4], [1, 1]),
        ([1, 3, 6, 5], [6, 5]),
        ([1, 2, 2, 33], [41, 66]),
        ([3, 2, 13, 2], [5, 47]),
    ];
    for (shape, size) in cases {
        check_all(t, &random(1, shape), &size);
    }
}

fn along_one_dimension(t: &Suite) {
    for (shape, length) in [([2, 5, 7], 3), ([2, 5, 3], 7), ([1, 4, 1], 5), ([3, 1, 64], 100)] {
        check_all(t, &random(1, shape), &[length]);
    }
}

fn factors(t: &Suite) {
    let cases = [
        ([1, 3, 5, 4], [2.0, 3.0], [10, 12]),
        ([2, 4, 7, 6], [0.5, 0.34], [3, 2]),
        ([1, 5, 5, 9], [1.7, 2.3], [8, 20]),
        ([1, 2, 10, 10], [0.77, 1.31], [7, 13]),
    ];
    for (shape, factors, size) in cases {
        let x = random(1, shape);
        for mode in MODES {
            for recompute in [false, true] {
                let op = Resize::by(mode, factors).recompute_scale_factor(recompute);
                let graph = graph(&[&x], |graph, x| graph.resize(x[0], op.clone()));
                let factors = (!recompute).then_some(&factors[..]);
                let expected = resize(&x, mode, &size, factors, false);
                t.check(&format!("{op:?} of {shape:?}"), &graph, &[&x], &expected, tolerance(mode));
            }
        }
    }
}

/// Checks factors that leave the size unchanged: as in PyTorch, two modes copy the image, and two still sample it.
fn factors_that_change_no_size(t: &Suite) {
    let x = random(1, [1, 3, 33, 33]);
    for mode in MODES {
        let op = Resize::by(mode, [1.025; 2]);
        let graph = graph(&[&x], |graph, x| graph.resize(x[0], op));
        let copied = matches!(mode, ResizeMode::Nearest | ResizeMode::Linear);
        let factors = (!copied).then_some(&[1.025; 2][..]);
        t.check(&format!("{mode:?}"), &graph, &[&x], &resize(&x, mode, &[33; 2], factors, false), tolerance(mode));
    }
}

fn between_images(t: &Suite) {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph_between_images(&[&x], |graph, x| graph.upsample(x[0], 2.0, ResizeMode::Linear));
    let expected = resize(&x, ResizeMode::Linear, &[6, 10], None, false);
    t.check("between images", &graph, &[&x], &expected, Tolerance::Reduction(16));
}

/// Checks NaN and infinities. A pixel of weight 0 is multiplied by 0, as in PyTorch.
fn not_finite(t: &Suite) {
    let x = random(1, [1, 3, 4, 4]);
    for mode in MODES {
        for align_corners in [false, true].into_iter().filter(|&align_corners| !(align_corners && picks(mode))) {
            let op = Resize::new(mode, [8, 7]).align_corners(align_corners);
            let graph = graph(&[&x], |graph, x| graph.resize(x[0], op.clone()));
            let reference = |x: &[&Tensor]| resize(x[0], mode, &[8, 7], None, align_corners);
            t.check_not_finite(&format!("{op:?}"), &graph, &[&x], reference, tolerance(mode));
        }
    }
}
