//! Cases of `grid_sample`, and its reference: images, volumes, positions outside and on pixels.

use crate::ops::{GridPadding, GridSample, GridSampleMode};
use crate::selftest::cases::{as_image, constant, graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    scattered_places(t);
    exact_places(t);
    places_that_are_no_numbers(t);
    volumes(t);
    between_images(t);
    not_finite(t);
}

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub mode: GridSampleMode,
    pub padding: GridPadding,
    pub align_corners: bool,
}

impl Sample {
    fn op(self) -> GridSample {
        GridSample::new().mode(self.mode).padding_mode(self.padding).align_corners(self.align_corners)
    }

    /// Returns the position inside an image of that size that represents `p`.
    fn inside(self, p: f64, size: f64) -> f64 {
        let (low, high) = if self.align_corners { (0.0, size - 1.0) } else { (-0.5, size - 0.5) };
        match self.padding {
            GridPadding::Zeros => p,
            GridPadding::Border => p.clamp(0.0, size - 1.0),
            GridPadding::Reflection if high == low => 0.0,
            GridPadding::Reflection => {
                // There and back is twice as long.
                let along = (p - low).rem_euclid(2.0 * (high - low));
                (low + along.min(2.0 * (high - low) - along)).clamp(0.0, size - 1.0)
            }
        }
    }

    /// Returns the pixels along an axis that make up the sample at `p` (-1 to 1), and their weights.
    fn taps(self, p: f64, size: usize) -> Vec<(isize, f64)> {
        let size = size as f64;
        let p = if self.align_corners { (p + 1.0) / 2.0 * (size - 1.0) } else { ((p + 1.0) * size - 1.0) / 2.0 };
        match self.mode {
            GridSampleMode::Nearest => vec![(self.inside(p, size).round_ties_even() as isize, 1.0)],
            GridSampleMode::Bilinear => {
                let p = self.inside(p, size);
                let fraction = p - p.floor();
                vec![(p.floor() as isize, 1.0 - fraction), (p.floor() as isize + 1, fraction)]
            }
            GridSampleMode::Bicubic => (-1..3)
                .map(|k| {
                    let tap = p.floor() + f64::from(k);
                    (self.inside(tap, size) as isize, keys((p - tap).abs()))
                })
                .collect(),
        }
    }
}

/// Computes Keys' kernel of cubic convolution, with a = -0.75.
pub fn keys(d: f64) -> f64 {
    let a = -0.75;
    match d {
        ..=1.0 => (a + 2.0) * d.powi(3) - (a + 3.0) * d.powi(2) + 1.0,
        ..2.0 => a * d.powi(3) - 5.0 * a * d.powi(2) + 8.0 * a * d - 4.0 * a,
        _ => 0.0,
    }
}

/// Samples images or volumes at the positions of a grid. The last number of a position is along the first axis.
pub fn grid_sample(x: &Tensor, grid: &Tensor, sample: Sample) -> Tensor {
    let axes = x.shape.len() - 2;
    Tensor::build([&x.shape[..2], &grid.shape[1..=axes]].concat(), |i| {
        let mut taps = vec![(i[..2].to_vec(), 1.0)];
        for axis in 0..axes {
            let (place, size) = ([&i[..1], &i[2..], &[axes - 1 - axis]].concat(), x.shape[2 + axis]);
            let mut along = sample.taps(grid.at(&place), size);
            along.retain(|(tap, _)| (0..size as isize).contains(tap));
            let with = |(index, weight): &(Vec<usize>, f64)| {
                let of = |&(tap, own): &(isize, f64)| ([&index[..], &[tap as usize]].concat(), weight * own);
                along.iter().map(of).collect::<Vec<_>>()
            };
            taps = taps.iter().flat_map(with).collect();
        }
        taps.iter().map(|(index, weight)| weight * x.at(index)).sum()
    })
}

const MODES: [GridSampleMode; 3] = [GridSampleMode::Bilinear, GridSampleMode::Nearest, GridSampleMode::Bicubic];

const PADDINGS: [GridPadding; 3] = [GridPadding::Zeros, GridPadding::Border, GridPadding::Reflection];

fn check_all(t: &Suite, case: &str, x: &Tensor, grid: &Tensor) {
    for mode in MODES.into_iter().filter(|&mode| x.shape.len() == 4 || mode != GridSampleMode::Bicubic) {
        for padding in PADDINGS {
            for align_corners in [false, true] {
                let sample = Sample { mode, padding, align_corners };
                let graph = graph(&[x, grid], |graph, x| graph.grid_sample(x[0], x[1], sample.op()));
                let tolerance =
                    if mode == GridSampleMode::Nearest { Tolerance::Exact } else { Tolerance::Transcendental };
                let case = format!("{case}, {sample:?} of {:?} by {:?}", x.shape, grid.shape);
                t.check(&case, &graph, &[x, grid], &grid_sample(x, grid, sample), tolerance);
            }
        }
    }
}

/// Returns positions up to four images' widths away.
fn scattered(n: usize, h: usize, w: usize) -> Tensor {
    let mut grid = random(7, [n, h, w, 2]);
    grid.data.iter_mut().enumerate().for_each(|(i, value)| *value *= [0.9, 1.5, 9.0][i / 2 % 3]);
    grid
}

fn scattered_places(t: &Suite) {
    let cases = [([1, 1, 1, 1], [3, 4]), ([2, 5, 4, 6], [3, 5]), ([1, 4, 7, 2], [1, 70]), ([2, 9, 3, 5], [5, 3])];
    for (shape, [h, w]) in cases {
        check_all(t, "scattered", &random(1, shape), &scattered(shape[0], h, w));
    }
}

/// Checks the corners, and positions exactly between pixels.
fn exact_places(t: &Suite) {
    let along = [-1.5f32, -1.0, -0.75, -0.5, 0.0, 0.25, 0.5, 1.0, 1.25, 3.0];
    let places: Vec<f32> = along.iter().flat_map(|&y| along.iter().flat_map(move |&x| [x, y])).collect();
    let grid = Tensor::new([1, along.len(), along.len(), 2], places);
    for shape in [[1, 1, 4, 4], [1, 5, 8, 5]] {
        check_all(t, "exact", &random(1, shape), &grid);
    }
}

/// Checks positions that are no numbers: an infinite position samples the padding's zeros, a NaN position gives NaN.
fn places_that_are_no_numbers(t: &Suite) {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let x = random(1, [1, 4, 3, 3]);
    let grid = Tensor::new([1, 1, 5, 2], vec![nan, 0.0, 0.0, nan, inf, 0.0, 0.0, -inf, 1e30, -1e30]);
    let expected = Tensor::new([1, 4, 1, 5], [nan, nan, 0.0, 0.0, 0.0].repeat(4));
    for mode in MODES {
        let op = GridSample::new().mode(mode);
        let graph = graph(&[&x, &grid], |graph, x| graph.grid_sample(x[0], x[1], op));
        t.check(&format!("{mode:?}"), &graph, &[&x, &grid], &expected, Tolerance::Exact);
    }
}

fn between_images(t: &Suite) {
    let (x, grid) = (random(1, [2, 6, 3, 5]), scattered(2, 4, 3));
    let graph = graph(&[&x, &grid], |graph, inputs| {
        let x = as_image(graph, inputs[0])?;
        let y = graph.grid_sample(x, inputs[1], GridSample::new())?;
        as_image(graph, y)
    });
    let bilinear = Sample { mode: GridSampleMode::Bilinear, padding: GridPadding::Zeros, align_corners: false };
    t.check("between images", &graph, &[&x, &grid], &grid_sample(&x, &grid, bilinear), Tolerance::Transcendental);
}

fn volumes(t: &Suite) {
    let cases = [
        ([1, 1, 1, 1, 1], [1, 2, 2]),
        ([2, 3, 4, 6, 5], [3, 2, 4]),
        ([1, 5, 2, 3, 7], [1, 5, 14]),
        ([3, 1, 5, 1, 2], [2, 3, 3]),
    ];
    for (shape, [d, h, w]) in cases {
        let mut grid = random(7, [shape[0], d, h, w, 3]);
        grid.data.iter_mut().enumerate().for_each(|(i, value)| *value *= [0.9, 1.5, 9.0][i / 3 % 3]);
        check_all(t, "scattered", &random(1, shape), &grid);
    }
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let grid = Tensor::new([1, 1, 1, 4, 3], vec![nan, 0.0, 0.0, 0.0, nan, 0.0, 0.0, 0.0, nan, inf, 0.0, -1e30]);
    let (x, expected) = (random(1, [1, 2, 3, 3, 3]), Tensor::new([1, 2, 1, 1, 4], [nan, nan, nan, 0.0].repeat(2)));
    let graph = graph(&[&x, &grid], |graph, x| graph.grid_sample(x[0], x[1], GridSample::new()));
    t.check("places that are no numbers, of volumes", &graph, &[&x, &grid], &expected, Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let (x, grid) = (random(1, [1, 5, 4, 3]), scattered(1, 3, 4));
    for mode in MODES {
        let sample = Sample { mode, padding: GridPadding::Border, align_corners: true };
        let graph = graph(&[&x], |graph, x| {
            let grid = graph.constant(constant(&grid));
            graph.grid_sample(x[0], grid, sample.op())
        });
        let reference = |x: &[&Tensor]| grid_sample(x[0], &grid, sample);
        t.check_not_finite(&format!("{mode:?}"), &graph, &[&x], reference, Tolerance::Transcendental);
    }
}
