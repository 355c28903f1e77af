//! Cases of `scatter`, and its reference: each axis, every type, every reduction.

use super::index_select::indices;
use crate::DType;
use crate::ops::ScatterKind;
use crate::selftest::cases::{graph, graph_between_images, random};
use crate::selftest::reference::{Tensor, maximum, minimum};
use crate::selftest::{Suite, Tolerance};

/// Combines an element and an update.
pub fn updated(old: f64, update: f64, kind: ScatterKind) -> f64 {
    match kind {
        ScatterKind::Replace => update,
        ScatterKind::Add => old + update,
        ScatterKind::Mul => old * update,
        ScatterKind::Max => maximum(old, update),
        ScatterKind::Min => minimum(old, update),
    }
}

/// Applies updates `(position, update)` to a tensor, one after the other.
pub fn after(x: &Tensor, updates: impl Iterator<Item = (usize, f64)>, kind: ScatterKind) -> Tensor {
    let mut values: Vec<f64> = x.data.iter().map(|&x| f64::from(x)).collect();
    updates.for_each(|(place, update)| values[place] = updated(values[place], update, kind));
    Tensor::new(x.shape.clone(), values.into_iter().map(|x| x as f32).collect()).with_dtype(x.dtype)
}

/// Scatters each update to its position along the axis.
pub fn scatter(x: &Tensor, axis: usize, index: &Tensor, updates: &Tensor, kind: ScatterKind) -> Tensor {
    let place = |i: usize| {
        let mut rest = i;
        let mut at: Vec<usize> = vec![0; index.shape.len()];
        for d in (0..at.len()).rev() {
            at[d] = rest % index.shape[d];
            rest /= index.shape[d];
        }
        at[axis] = (index.data[i] as isize).rem_euclid(x.shape[axis] as isize) as usize;
        at.iter().zip(&x.shape).fold(0, |flat, (&i, &size)| flat * size + i)
    };
    after(x, (0..index.data.len()).map(|i| (place(i), f64::from(updates.data[i]))), kind)
}

/// Every kind, and its tolerance with so many updates of one element.
pub const KINDS: [(ScatterKind, Tolerance); 5] = [
    (ScatterKind::Replace, Tolerance::Exact),
    (ScatterKind::Add, Tolerance::Reduction(65)),
    (ScatterKind::Mul, Tolerance::Reduction(65)),
    (ScatterKind::Max, Tolerance::Exact),
    (ScatterKind::Min, Tolerance::Exact),
];

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    of_every_type(t);
    from_the_end(t);
    between_images(t);
    long_loops(t);
    chains(t);
    not_finite(t);
}

/// Returns small integers; their sums and products are exact.
pub fn whole(seed: u64, shape: &[usize]) -> Tensor {
    random(seed, shape).map(|x| (5.0 * x).round()).with_dtype(DType::I32)
}

fn check(t: &Suite, case: &str, axis: usize, [x, index, updates]: [&Tensor; 3], kind: ScatterKind, by: Tolerance) {
    let graph = graph(&[x, index, updates], |graph, v| graph.scatter(v[0], axis, v[1], v[2], kind));
    let expected = scatter(x, axis, index, updates, kind);
    t.check(&format!("{kind:?} {case}"), &graph, &[x, index, updates], &expected, by);
}

fn along_each_axis(t: &Suite) {
    let cases: [(&[usize], usize, &[usize]); 11] = [
        (&[1], 0, &[1]),
        (&[7], 0, &[65]),
        (&[5, 3], 0, &[4, 3]),
        (&[5, 3], 1, &[5, 1]),
        (&[3, 65], 1, &[2, 67]),
        // More updates than a dispatch applies.
        (&[300], 0, &[1300]),
        (&[2, 90], 1, &[2, 521]),
        (&[4, 5, 6], 1, &[2, 9, 5]),
        (&[4, 5, 6], 0, &[1, 5, 6]),
        (&[2, 5, 3, 7], 3, &[2, 4, 2, 3]),
        (&[2, 3, 2, 3, 2, 3, 2, 3], 4, &[1, 2, 1, 2, 3, 2, 1, 2]),
    ];
    for (kind, tolerance) in KINDS {
        for (shape, axis, index) in cases {
            let case = format!("{index:?} along {axis} of {shape:?}");
            let (x, updates) = (random(1, shape), random(2, index));
            check(t, &case, axis, [&x, &indices(index, shape[axis]), &updates], kind, tolerance);
        }
    }
}

fn of_every_type(t: &Suite) {
    for (kind, _) in KINDS {
        let (x, index, updates) = (whole(1, &[6, 3]), indices(&[4, 3], 6), whole(2, &[4, 3]));
        check(t, "i32s", 0, [&x, &index, &updates], kind, Tolerance::Exact);
    }
    let truth = |seed, shape: [usize; 2]| random(seed, shape).map(|x| f64::from(x > 0.0)).with_dtype(DType::Bool);
    let (x, index, updates) = (truth(1, [6, 3]), indices(&[4, 3], 6), truth(2, [4, 3]));
    check(t, "truth values", 0, [&x, &index, &updates], ScatterKind::Replace, Tolerance::Exact);
}

/// Checks indices from the end. With `Replace`, the last of several updates of an element stays.
fn from_the_end(t: &Suite) {
    let index = Tensor::new([2, 4], vec![-1.0, 0.0, -5.0, -2.0, 4.0, -1.0, 4.0, -5.0]).with_dtype(DType::I32);
    for (kind, tolerance) in KINDS {
        let (x, updates) = (random(1, [2, 5]), random(2, [2, 4]));
        check(t, "from the end", 1, [&x, &index, &updates], kind, tolerance);
    }
}

fn between_images(t: &Suite) {
    let (x, index, updates) = (random(1, [2, 5, 3, 4]), indices(&[2, 3, 3, 4], 5), random(2, [2, 3, 3, 4]));
    let graph = graph_between_images(&[&x, &index, &updates], |graph, v| {
        graph.scatter(v[0], 1, v[1], v[2], ScatterKind::Replace)
    });
    let expected = scatter(&x, 1, &index, &updates, ScatterKind::Replace);
    t.check("between images", &graph, &[&x, &index, &updates], &expected, Tolerance::Exact);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let index = indices(&[70_000], 7);
    let ones = Tensor::new([70_000], vec![1.0; 70_000]);
    check(t, "of 70,000 ones", 0, [&random(1, [7]), &index, &ones], ScatterKind::Add, Tolerance::Elementwise);
    let last = random(2, [70_000]);
    check(t, "of 70,000", 0, [&random(1, [7]), &index, &last], ScatterKind::Replace, Tolerance::Exact);
}

/// Checks chains of updates: most of one place, of few, of other places too; shares in a row; each axis.
fn chains(t: &Suite) {
    let cases: [(&[usize], usize, &[usize]); 5] = [
        (&[500], 0, &[16_384]),
        (&[3_000], 0, &[35_000]),
        (&[100_000], 0, &[4_097]),
        (&[2, 5_000, 2], 1, &[2, 6_007, 2]),
        (&[3, 9_000], 1, &[2, 8_192]),
    ];
    for (kind, tolerance) in KINDS {
        for (shape, axis, index) in cases {
            let case = format!("{index:?} along {axis} of {shape:?}");
            let (x, updates) = (random(1, shape), random(2, index));
            check(t, &case, axis, [&x, &indices(index, shape[axis]), &updates], kind, tolerance);
        }
    }
}

fn not_finite(t: &Suite) {
    let (x, index, updates) = (random(1, [5, 3]), indices(&[9, 3], 5), random(2, [9, 3]));
    for (kind, tolerance) in KINDS {
        let inputs = [&x, &index, &updates];
        let graph = graph(&inputs, |graph, v| graph.scatter(v[0], 0, v[1], v[2], kind));
        t.check_not_finite(&format!("{kind:?}"), &graph, &inputs, |x| scatter(x[0], 0, x[1], x[2], kind), tolerance);
    }
}
