//! Cases of `split`, and its reference: each axis, chunks.

use super::slice::slice;
use crate::DType;
use crate::selftest::cases::{as_image, graph_of, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Splits the tensor into parts of these sizes.
pub fn split(x: &Tensor, sizes: &[usize], axis: usize) -> Vec<Tensor> {
    let mut first = 0;
    let part = |&size: &usize| {
        first += size as isize;
        slice(x, axis, Some(first - size as isize), Some(first), 1)
    };
    sizes.iter().map(part).collect()
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    chunks(t);
    of_images_and_of_integers(t);
    not_finite(t);
}

fn check(t: &Suite, case: &str, x: &Tensor, sizes: &[usize], axis: usize) {
    let graph = graph_of(&[x], |graph, x| graph.split(x[0], sizes, axis));
    let expected = split(x, sizes, axis);
    t.check_outputs(case, &graph, &[x], &expected.iter().collect::<Vec<_>>(), Tolerance::Exact);
}

fn along_each_axis(t: &Suite) {
    let cases: [(&[usize], &[usize], usize); 8] = [
        (&[1], &[1], 0),
        (&[7], &[3, 4], 0),
        (&[65, 3], &[1, 64], 0),
        (&[5, 12], &[4, 4, 4], 1),
        (&[2, 12, 3, 3], &[1, 5, 2, 4], 1),
        (&[2, 5, 4, 3], &[3, 1], 2),
        (&[2, 5, 3, 129], &[64, 65], 3),
        (&[2, 1, 2, 1, 2, 1, 2, 3], &[1, 2], 7),
    ];
    for (shape, sizes, axis) in cases {
        check(t, &format!("{sizes:?} along {axis} of {shape:?}"), &random(1, shape), sizes, axis);
    }
}

fn chunks(t: &Suite) {
    // Four chunks, the last one smaller; three, although four were requested; one; two, although nine were requested.
    let cases: [(usize, usize, &[usize]); 4] =
        [(7, 4, &[2, 2, 2, 1]), (6, 4, &[2, 2, 2]), (6, 1, &[6]), (2, 9, &[1, 1])];
    for (size, chunks, sizes) in cases {
        let x = random(1, [3, size, 2]);
        let graph = graph_of(&[&x], |graph, x| graph.chunk(x[0], chunks, 1));
        let expected = split(&x, sizes, 1);
        let case = format!("{chunks} chunks of {size}");
        t.check_outputs(&case, &graph, &[&x], &expected.iter().collect::<Vec<_>>(), Tolerance::Exact);
    }
}

fn of_images_and_of_integers(t: &Suite) {
    let x = Tensor::new([2, 3], vec![1.0, -2.0, 3.0, 40_000.0, -5.0, 0.0]).with_dtype(DType::I32);
    check(t, "i32", &x, &[1, 2], 1);
    let x = random(1, [2, 7, 3, 4]);
    let graph = graph_of(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let parts = graph.split(x, &[3, 4], 1)?;
        // The parts swap their order, and one is an output twice.
        Ok(vec![as_image(graph, parts[1])?, parts[0], parts[1]])
    });
    let parts = split(&x, &[3, 4], 1);
    t.check_outputs("between images", &graph, &[&x], &[&parts[1], &parts[0], &parts[1]], Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let x = random(1, [5, 7]);
    let graph = graph_of(&[&x], |graph, x| Ok(vec![graph.split(x[0], &[3, 4], 1)?[1]]));
    t.check_not_finite("the second", &graph, &[&x], |x| split(x[0], &[3, 4], 1)[1].clone(), Tolerance::Exact);
}
