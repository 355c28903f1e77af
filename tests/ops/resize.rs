use crate::grid_sample::keys;
use crate::harness::{Tolerance, as_image, check, graph, random, refused};
use crate::reference::Tensor;
use shadernet::ops::{Resize, ResizeMode};

/// To `[N, C, ..size]`; `factors` are given where they, not the sizes, say the scale.
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

/// The pixels along an axis that make up output pixel `o`, and their weights.
fn taps(mode: ResizeMode, o: f64, scale: f64, size: usize, align_corners: bool) -> Vec<(usize, f64)> {
    let pixel = |i: f64| i.clamp(0.0, size as f64 - 1.0) as usize;
    let source = if align_corners { o * scale } else { (o + 0.5) * scale - 0.5 };
    match mode {
        // These two are PyTorch's in f32.
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

const MODES: [ResizeMode; 4] = [ResizeMode::Nearest, ResizeMode::NearestExact, ResizeMode::Linear, ResizeMode::Cubic];

/// Whether an output pixel is a pixel of the input.
fn picks(mode: ResizeMode) -> bool {
    matches!(mode, ResizeMode::Nearest | ResizeMode::NearestExact)
}

fn tolerance(mode: ResizeMode) -> Tolerance {
    if picks(mode) { Tolerance::Exact } else { Tolerance::Reduction(16) }
}

fn check_all(x: &Tensor, size: &[usize]) {
    for mode in MODES {
        for align_corners in [false, true] {
            if align_corners && picks(mode) {
                continue;
            }
            let op = Resize::new(mode, size).align_corners(align_corners);
            let graph = graph(&[x], |graph, x| graph.resize(x[0], op.clone()));
            let expected = resize(x, mode, size, None, align_corners);
            check(&format!("{op:?} of {:?}", x.shape), &graph, &[x], &expected, tolerance(mode));
        }
    }
}

#[test]
fn sizes() {
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
        check_all(&random(1, shape), &size);
    }
}

#[test]
fn along_one_dimension() {
    for (shape, length) in [([2, 5, 7], 3), ([2, 5, 3], 7), ([1, 4, 1], 5), ([3, 1, 64], 100)] {
        check_all(&random(1, shape), &[length]);
    }
}

#[test]
fn factors() {
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
                check(&format!("{op:?} of {shape:?}"), &graph, &[&x], &expected, tolerance(mode));
            }
        }
    }
}

/// Where a factor leaves the size as it is, two modes copy and two sample all the same: PyTorch's.
#[test]
fn factors_that_change_no_size() {
    let x = random(1, [1, 3, 33, 33]);
    for mode in MODES {
        let op = Resize::by(mode, [1.025; 2]);
        let graph = graph(&[&x], |graph, x| graph.resize(x[0], op));
        let copied = matches!(mode, ResizeMode::Nearest | ResizeMode::Linear);
        let factors = (!copied).then_some(&[1.025; 2][..]);
        check(&format!("{mode:?}"), &graph, &[&x], &resize(&x, mode, &[33; 2], factors, false), tolerance(mode));
    }
}

#[test]
fn between_images() {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.upsample(x, 2.0, ResizeMode::Linear)?;
        as_image(graph, y)
    });
    let expected = resize(&x, ResizeMode::Linear, &[6, 10], None, false);
    check("between images", &graph, &[&x], &expected, Tolerance::Reduction(16));
}

#[test]
fn what_it_refuses() {
    let shape: &[usize] = &[1, 2, 4, 4];
    let size = |size: &[usize]| refused(&[shape], Resize::new(ResizeMode::Linear, size));
    assert!(size(&[3]).contains("size: wanted 2 numbers, 1 pixel or more each, got [3]"));
    assert!(size(&[3, 0]).contains("size"));
    assert!(size(&[1 << 40, 1 << 40]).contains("size: wanted an output of less than 2^31 elements"));
    let by = |factors: &[f64]| refused(&[shape], Resize::by(ResizeMode::Linear, factors));
    assert!(by(&[2.0]).contains("scale_factor: wanted 2 numbers"));
    for factor in [0.0, -2.0, 0.2, f64::NAN] {
        assert!(by(&[2.0, factor]).contains("scale_factor"), "{factor}");
    }
    assert!(by(&[2.0, f64::INFINITY]).contains("less than 2^31 elements"));
    for mode in MODES.into_iter().filter(|&mode| picks(mode)) {
        assert!(refused(&[shape], Resize::new(mode, [2, 2]).align_corners(true)).contains("align_corners"));
    }
    assert!(refused(&[&[2, 3]], Resize::new(ResizeMode::Nearest, [])).contains("input: wanted 3 or 4 dimensions"));
    assert!(refused(&[], Resize::new(ResizeMode::Nearest, [2, 2])).contains("inputs"));
}
