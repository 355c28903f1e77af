//! Cases of `index_select`, and its reference: each axis, indices of any shape, every type.

use crate::DType;
use crate::selftest::cases::{constant, graph, graph_between_images, halves, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Returns the slices at the indices of an axis; the indices' dimensions replace the axis.
pub fn index_select(x: &Tensor, axis: usize, index: &Tensor) -> Tensor {
    let rank = index.shape.len();
    let shape = [&x.shape[..axis], &index.shape, &x.shape[axis + 1..]].concat();
    let at = |i: &[usize]| {
        let chosen = index.at(&i[axis..axis + rank]) as usize;
        x.at(&[&i[..axis], &[chosen], &i[axis + rank..]].concat())
    };
    Tensor::build(shape, at).with_dtype(x.dtype)
}

/// Returns indices into an axis of that size, including the first and the last.
pub fn indices(shape: &[usize], size: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let index = |i: usize| (i * 7 + size - 1) % size;
    let mut data: Vec<f32> = (0..count).map(|i| index(i) as f32).collect();
    data[count / 2] = 0.0;
    Tensor::new(shape, data).with_dtype(DType::I32)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    by_indices_of_any_shape(t);
    of_every_type(t);
    by_constants_between_images(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    for width in [4, 5] {
        check(t, "halves", &halves(&random(1, [7, width])), 0, &indices(&[9], 7));
    }
}

fn check(t: &Suite, case: &str, x: &Tensor, axis: usize, index: &Tensor) {
    let graph = graph(&[x, index], |graph, x| graph.index_select(x[0], axis, x[1]));
    t.check(case, &graph, &[x, index], &index_select(x, axis, index), Tolerance::Exact);
}

fn along_each_axis(t: &Suite) {
    let cases: [(&[usize], usize, usize); 9] = [
        (&[1], 0, 1),
        (&[7], 0, 65),
        (&[5, 3], 0, 4),
        (&[5, 4], 0, 17),
        (&[3, 8], 0, 33),
        (&[3, 5], 1, 7),
        (&[2, 5, 4], 1, 3),
        (&[2, 5, 3, 7], 1, 6),
        (&[2, 3, 13, 5], 2, 2),
    ];
    for (shape, axis, count) in cases {
        let case = format!("{count} along {axis} of {shape:?}");
        check(t, &case, &random(1, shape), axis, &indices(&[count], shape[axis]));
    }
}

fn by_indices_of_any_shape(t: &Suite) {
    let x = random(1, [3, 5, 2]);
    for shape in [&[][..], &[1, 1], &[2, 3], &[2, 1, 4]] {
        check(t, &format!("indices {shape:?}"), &x, 1, &indices(shape, 5));
    }
}

fn of_every_type(t: &Suite) {
    for (dtype, width) in [(DType::I32, 3), (DType::I32, 4), (DType::Bool, 5)] {
        let value = |i: usize| if dtype == DType::I32 { i as f32 * 1000.0 - 5000.0 } else { (i % 3 / 2) as f32 };
        let x = Tensor::new([6, width], (0..6 * width).map(value).collect()).with_dtype(dtype);
        check(t, &format!("{dtype} in rows of {width}"), &x, 0, &indices(&[5], 6));
    }
}

fn by_constants_between_images(t: &Suite) {
    let (x, index) = (random(1, [2, 7, 3, 4]), indices(&[5], 7));
    let graph = graph_between_images(&[&x], |graph, x| {
        let index = graph.constant(constant(&index));
        graph.index_select(x[0], 1, index)
    });
    t.check("between images", &graph, &[&x], &index_select(&x, 1, &index), Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let (x, index) = (random(1, [5, 7]), indices(&[9], 5));
    let graph = graph(&[&x, &index], |graph, x| graph.index_select(x[0], 0, x[1]));
    t.check_not_finite("chosen", &graph, &[&x, &index], |x| index_select(x[0], 0, x[1]), Tolerance::Exact);
}
