//! Cases of `ScatterND`, and its reference.

use super::scatter::{KINDS, after, whole};
use crate::DType;
use crate::ops::ScatterKind;
use crate::selftest::cases::{graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Returns the number of the slice, among the first dimensions of a tensor, that a tuple of indices names.
pub fn slice(sizes: &[usize], tuple: &[f32]) -> usize {
    let place = |i: f32, size: usize| (i as isize).rem_euclid(size as isize) as usize;
    sizes.iter().zip(tuple).fold(0, |flat, (&size, &i)| flat * size + place(i, size))
}

/// Scatters each slice of the updates to its position.
pub fn scatter_nd(x: &Tensor, index: &Tensor, updates: &Tensor, kind: ScatterKind) -> Tensor {
    let k = *index.shape.last().expect("tuples");
    let inner: usize = x.shape[k..].iter().product();
    let place = |i: usize| slice(&x.shape[..k], &index.data[i / inner * k..][..k]) * inner + i % inner;
    after(x, (0..updates.data.len()).map(|i| (place(i), f64::from(updates.data[i]))), kind)
}

/// Returns tuples of indices from either end, for dimensions of these sizes.
pub fn tuples(outer: &[usize], sizes: &[usize]) -> Tensor {
    let index = random(9, [outer, &[sizes.len()]].concat());
    let data = index.data.iter().zip(sizes.iter().cycle()).map(|(&x, &size)| (x * size as f32).floor());
    Tensor::new(index.shape.clone(), data.collect()).with_dtype(DType::I32)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    let cases: [(&[usize], usize, &[usize]); 8] = [
        (&[1], 1, &[1]),
        (&[7], 1, &[65]),
        (&[5, 3], 1, &[4]),
        (&[5, 3], 2, &[]),
        (&[3, 65], 2, &[2, 67]),
        (&[4, 5, 6], 2, &[2, 3]),
        (&[4, 5, 6], 1, &[3]),
        (&[2, 3, 2, 3, 2, 3, 2, 3], 8, &[9]),
    ];
    for (kind, tolerance) in KINDS {
        for (shape, k, outer) in cases {
            let case = format!("{outer:?} tuples of {k} in {shape:?}");
            let updates = random(2, [outer, &shape[k..]].concat());
            check(t, &case, [&random(1, shape), &tuples(outer, &shape[..k]), &updates], kind, tolerance);
        }
        let updates = whole(2, &[4, 2]);
        check(t, "i32s", [&whole(1, &[5, 3, 2]), &tuples(&[4], &[5, 3]), &updates], kind, Tolerance::Exact);
    }
    let truth = |seed, shape: &[usize]| random(seed, shape).map(|x| f64::from(x > 0.0)).with_dtype(DType::Bool);
    let (x, updates) = (truth(1, &[5, 3]), truth(2, &[4, 3]));
    check(t, "truth values", [&x, &tuples(&[4], &[5]), &updates], ScatterKind::Replace, Tolerance::Exact);
    long_loops(t);
    not_finite(t);
}

fn check(t: &Suite, case: &str, [x, index, updates]: [&Tensor; 3], kind: ScatterKind, tolerance: Tolerance) {
    let graph = graph(&[x, index, updates], |graph, v| graph.scatter_nd(v[0], v[1], v[2], kind));
    let expected = scatter_nd(x, index, updates, kind);
    t.check(&format!("{kind:?} {case}"), &graph, &[x, index, updates], &expected, tolerance);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let index = tuples(&[30_000], &[3, 2]);
    let ones = Tensor::new([30_000], vec![1.0; 30_000]);
    let add = ScatterKind::Add;
    check(t, "of 30,000 ones", [&random(1, [3, 2]), &index, &ones], add, Tolerance::Elementwise);
    let last = random(2, [30_000]);
    check(t, "of 30,000", [&random(1, [3, 2]), &index, &last], ScatterKind::Replace, Tolerance::Exact);
    for (kind, tolerance) in KINDS {
        let (x, index) = (random(1, [70, 130, 3]), tuples(&[17_000], &[70, 130]));
        check(t, "in chains", [&x, &index, &random(2, [17_000, 3])], kind, tolerance);
    }
}

fn not_finite(t: &Suite) {
    let (x, index, updates) = (random(1, [5, 3]), tuples(&[9], &[5]), random(2, [9, 3]));
    for (kind, tolerance) in KINDS {
        let inputs = [&x, &index, &updates];
        let graph = graph(&inputs, |graph, v| graph.scatter_nd(v[0], v[1], v[2], kind));
        t.check_not_finite(&format!("{kind:?}"), &graph, &inputs, |x| scatter_nd(x[0], x[1], x[2], kind), tolerance);
    }
}
