//! Cases of `cat`: each axis, images, one value twice.

use crate::selftest::cases::{graph, graph_between_images, halves, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    of_images_and_of_one_value_twice(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    for sizes in [[4, 8, 4], [3, 5, 4]] {
        let inputs = sizes.map(|size| halves(&random(size as u64, [3, size])));
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let graph = graph(&inputs, |graph, x| graph.concat(x, 1));
        t.check(&format!("halves {sizes:?}"), &graph, &inputs, &reference::concat(&inputs, 1), Tolerance::Exact);
    }
}

fn along_each_axis(t: &Suite) {
    let cases: [(usize, &[&[usize]]); 9] = [
        (0, &[&[3], &[5], &[1]]),
        (0, &[&[2, 3], &[1, 3]]),
        (1, &[&[2, 3], &[2, 4]]),
        (1, &[&[2, 4, 3, 3], &[2, 8, 3, 3]]),
        (1, &[&[2, 5, 3, 3], &[2, 1, 3, 3], &[2, 6, 3, 3], &[2, 2, 3, 3]]),
        (2, &[&[2, 5, 3, 3], &[2, 5, 4, 3]]),
        (3, &[&[2, 5, 3, 1], &[2, 5, 3, 4]]),
        (0, &[&[1, 5, 3, 4], &[3, 5, 3, 4]]),
        (1, &[&[2, 7, 9]]),
    ];
    for (axis, shapes) in cases {
        let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(&shape, seed)| random(seed, shape)).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let graph = graph(&inputs, |graph, x| graph.concat(x, axis));
        let case = format!("axis {axis} of {shapes:?}");
        t.check(&case, &graph, &inputs, &reference::concat(&inputs, axis), Tolerance::Exact);
    }
}

fn of_images_and_of_one_value_twice(t: &Suite) {
    let (a, b) = (random(1, [2, 5, 3, 4]), random(2, [2, 2, 3, 4]));
    let graph = graph_between_images(&[&a, &b], |graph, x| graph.concat(&[x[0], x[1], x[0]], 1));
    t.check("between images", &graph, &[&a, &b], &reference::concat(&[&a, &b, &a], 1), Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let (a, b) = (random(1, [2, 5, 3, 3]), random(2, [2, 2, 3, 3]));
    let graph = graph(&[&a, &b], |graph, x| graph.concat(x, 1));
    t.check_not_finite("two", &graph, &[&a, &b], |x| reference::concat(x, 1), Tolerance::Exact);
}
