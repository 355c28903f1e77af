//! Cases of `GatherND`, and its reference.

use super::scatter_nd::{slice, tuples};
use crate::DType;
use crate::selftest::cases::{graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Returns the slices that the index tuples name.
pub fn gather_nd(x: &Tensor, index: &Tensor, batch_dims: usize) -> Tensor {
    let (&k, outer) = index.shape.split_last().expect("tuples");
    let sizes = &x.shape[batch_dims..][..k];
    let inner = x.shape[batch_dims + k..].iter().product::<usize>();
    let batch = sizes.iter().product::<usize>() * inner;
    let each = outer[batch_dims..].iter().product::<usize>();
    let from = |t: usize| t / each * batch + slice(sizes, &index.data[t * k..][..k]) * inner;
    let data = (0..index.data.len() / k).flat_map(|t| x.data[from(t)..][..inner].iter().copied());
    Tensor::new([outer, &x.shape[batch_dims + k..]].concat(), data.collect()).with_dtype(x.dtype)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    let cases: [(&[usize], usize, usize, &[usize]); 9] = [
        (&[1], 0, 1, &[1]),
        (&[7], 0, 1, &[65]),
        (&[5, 3], 0, 1, &[4]),
        (&[5, 3], 0, 2, &[]),
        (&[3, 65], 0, 2, &[2, 67]),
        (&[4, 5, 6], 1, 1, &[4, 3]),
        (&[4, 5, 6], 1, 2, &[4]),
        (&[2, 3, 4, 5], 2, 1, &[2, 3, 2]),
        (&[2, 3, 2, 3, 2, 3, 2, 3], 0, 8, &[9]),
    ];
    for (shape, batch_dims, k, outer) in cases {
        let case = format!("{outer:?} tuples of {k} after {batch_dims} in {shape:?}");
        check(t, &case, &random(1, shape), &tuples(outer, &shape[batch_dims..][..k]), batch_dims);
    }
    for dtype in [DType::I32, DType::Bool] {
        let x = random(1, [5, 3]).map(|x| f64::from(x > 0.0)).with_dtype(dtype);
        check(t, &format!("{dtype}"), &x, &tuples(&[4], &[5, 3]), 0);
    }
    not_finite(t);
}

fn check(t: &Suite, case: &str, x: &Tensor, index: &Tensor, batch_dims: usize) {
    let graph = graph(&[x, index], |graph, v| graph.gather_nd(v[0], v[1], batch_dims));
    t.check(case, &graph, &[x, index], &gather_nd(x, index, batch_dims), Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let (x, index) = (random(1, [5, 3]), tuples(&[9], &[5]));
    let graph = graph(&[&x, &index], |graph, v| graph.gather_nd(v[0], v[1], 0));
    t.check_not_finite("gathered", &graph, &[&x, &index], |x| gather_nd(x[0], x[1], 0), Tolerance::Exact);
}
