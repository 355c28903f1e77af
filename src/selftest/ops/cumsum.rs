//! Cases of `cumsum`: each axis, from either end, lengths about a chunk.

use crate::DType;
use crate::ops::CumSum;
use crate::selftest::cases::{graph, graph_between_images, outliers, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    lengths(t);
    of_an_image(t);
    integers(t);
    long_loops(t);
    not_finite(t);
}

/// Returns the sums along `axis` up to each element, inclusive or exclusive, from either end.
pub fn cumsum(x: &Tensor, axis: usize, exclusive: bool, reverse: bool) -> Tensor {
    let (length, stride) = (x.shape[axis], x.shape[axis + 1..].iter().product::<usize>());
    let mut y = x.clone();
    for line in 0..x.data.len() / length {
        let mut sum = 0.0;
        for i in 0..length {
            let i = if reverse { length - 1 - i } else { i };
            let at = line / stride * stride * length + line % stride + i * stride;
            let before = sum;
            sum += f64::from(x.data[at]);
            y.data[at] = if exclusive { before } else { sum } as f32;
        }
    }
    y
}

fn check_all(t: &Suite, case: &str, x: &Tensor, axis: usize) {
    for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        let op = CumSum::new(axis).exclusive(exclusive).reverse(reverse);
        let graph = graph(&[x], |graph, x| graph.push(op.clone(), &[x[0]]));
        let case = format!("{case}, {op:?} of {:?}", x.shape);
        let expected = cumsum(x, axis, exclusive, reverse);
        t.check(&case, &graph, &[x], &expected, Tolerance::Reduction(x.shape[axis]));
    }
}

fn along_each_axis(t: &Suite) {
    let cases: [(&[usize], usize); 12] = [
        (&[1], 0),
        (&[5], 0),
        (&[3, 17], 1),
        (&[20, 16], 1),
        (&[20, 17], 1),
        (&[7, 65], 0),
        (&[66, 65], 0),
        (&[2, 3, 5, 7], 0),
        (&[2, 3, 5, 7], 1),
        (&[2, 3, 5, 7], 2),
        (&[2, 3, 5, 7], 3),
        (&[70, 3, 2], 0),
    ];
    for (shape, axis) in cases {
        check_all(t, "random", &random(1, shape), axis);
    }
}

/// Checks lengths one below, at and above a chunk of a small and of a large workgroup.
fn lengths(t: &Suite) {
    for length in [255, 256, 257, 1023, 1024, 1025, 2049] {
        check_all(t, "inner", &random(1, [2, length]), 1);
    }
    check_all(t, "strided", &random(1, [1, 1025, 2]), 1);
    check_all(t, "outliers", &outliers(1, [2, 2500]), 1);
}

fn of_an_image(t: &Suite) {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph_between_images(&[&x], |graph, x| graph.cumsum(x[0], 1));
    t.check("between images", &graph, &[&x], &cumsum(&x, 1, false, false), Tolerance::Reduction(6));
}

/// Checks integer sums: they are exact, although f32s would round.
fn integers(t: &Suite) {
    for (shape, axis) in [(&[3, 17][..], 1), (&[2, 1025], 1), (&[66, 5], 0)] {
        let x = random(1, shape).map(|x| (1e5 * x).round()).with_dtype(DType::I32);
        check_exact(t, &x, axis);
    }
    let large = 1_073_741_824.0;
    check_exact(t, &Tensor::new([5], vec![large, 3.0, -large, -large, 7.0]).with_dtype(DType::I32), 0);
}

fn check_exact(t: &Suite, x: &Tensor, axis: usize) {
    for (exclusive, reverse) in [(false, false), (true, true)] {
        let op = CumSum::new(axis).exclusive(exclusive).reverse(reverse);
        let graph = graph(&[x], |graph, x| graph.push(op.clone(), &[x[0]]));
        let case = format!("i32s, {op:?} of {:?}", x.shape);
        t.check(&case, &graph, &[x], &cumsum(x, axis, exclusive, reverse).with_dtype(DType::I32), Tolerance::Exact);
    }
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    check_all(t, "long", &random(1, [70_001]), 0);
    check_all(t, "long", &random(1, [70_001, 3]), 0);
}

fn not_finite(t: &Suite) {
    for (shape, axis) in [([2, 300], 1), ([70, 3], 0)] {
        let x = random(1, shape);
        for (exclusive, reverse) in [(false, false), (true, true)] {
            let op = CumSum::new(axis).exclusive(exclusive).reverse(reverse);
            let graph = graph(&[&x], |graph, x| graph.push(op.clone(), &[x[0]]));
            let reference = |x: &[&Tensor]| cumsum(x[0], axis, exclusive, reverse);
            let tolerance = Tolerance::Reduction(shape[axis]);
            t.check_not_finite(&format!("{op:?} of {shape:?}"), &graph, &[&x], reference, tolerance);
        }
    }
}
