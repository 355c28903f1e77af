//! Cases of `gather`, and its reference: each axis, every type.

use super::index_select::indices;
use crate::DType;
use crate::selftest::cases::{graph, halves, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Gathers along the axis one element for each index.
pub fn gather(x: &Tensor, axis: usize, index: &Tensor) -> Tensor {
    let at = |i: &[usize]| x.at(&[&i[..axis], &[index.at(i) as usize], &i[axis + 1..]].concat());
    Tensor::build(index.shape.clone(), at).with_dtype(x.dtype)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    of_every_type(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    for width in [4, 5] {
        check(t, "halves", &halves(&random(1, [7, width])), 0, &indices(&[9, width], 7));
    }
}

fn check(t: &Suite, case: &str, x: &Tensor, axis: usize, index: &Tensor) {
    let graph = graph(&[x, index], |graph, x| graph.gather(x[0], axis, x[1]));
    t.check(case, &graph, &[x, index], &gather(x, axis, index), Tolerance::Exact);
}

fn along_each_axis(t: &Suite) {
    let cases: [(&[usize], usize, &[usize]); 9] = [
        (&[1], 0, &[1]),
        (&[7], 0, &[65]),
        (&[5, 3], 0, &[4, 3]),
        (&[5, 3], 1, &[5, 1]),
        (&[3, 65], 1, &[3, 67]),
        (&[4, 5, 6], 1, &[2, 9, 5]),
        (&[4, 5, 6], 0, &[1, 5, 6]),
        (&[2, 5, 3, 7], 3, &[2, 4, 2, 3]),
        (&[2, 3, 2, 3, 2, 3, 2, 3], 4, &[1, 2, 1, 2, 3, 2, 1, 2]),
    ];
    for (shape, axis, index) in cases {
        let case = format!("{index:?} along {axis} of {shape:?}");
        check(t, &case, &random(1, shape), axis, &indices(index, shape[axis]));
    }
}

fn of_every_type(t: &Suite) {
    for dtype in [DType::I32, DType::Bool] {
        let value = |i: usize| if dtype == DType::I32 { i as f32 * 1000.0 - 5000.0 } else { (i % 3 / 2) as f32 };
        let x = Tensor::new([6, 3], (0..18).map(value).collect()).with_dtype(dtype);
        check(t, &format!("{dtype}"), &x, 0, &indices(&[4, 3], 6));
    }
}

fn not_finite(t: &Suite) {
    let (x, index) = (random(1, [5, 3]), indices(&[9, 3], 5));
    let graph = graph(&[&x, &index], |graph, x| graph.gather(x[0], 0, x[1]));
    t.check_not_finite("gathered", &graph, &[&x, &index], |x| gather(x[0], 0, x[1]), Tolerance::Exact);
}
