//! Cases of `permute`: permutations, an image, integers and truth values.

use crate::DType;
use crate::selftest::cases::{graph, graph_between_images, halves, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    permutations(t);
    of_an_image(t);
    integers_and_truth_values(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    let x = halves(&random(1, [3, 5, 7]));
    for order in [[0, 2, 1], [2, 1, 0]] {
        let graph = graph(&[&x], |graph, x| graph.transpose(x[0], order));
        t.check("halves", &graph, &[&x], &reference::transpose(&x, &order), Tolerance::Exact);
    }
}

fn permutations(t: &Suite) {
    let cases: [(&[usize], &[usize]); 10] = [
        (&[7], &[0]),
        (&[1, 1], &[1, 0]),
        (&[5, 13], &[1, 0]),
        (&[65, 63], &[1, 0]),
        (&[2, 3, 5], &[0, 2, 1]),
        (&[2, 3, 5], &[2, 0, 1]),
        (&[2, 5, 3, 4], &[0, 2, 3, 1]),
        (&[2, 5, 3, 4], &[0, 3, 1, 2]),
        (&[2, 5, 3, 4], &[3, 1, 0, 2]),
        (&[2, 1, 2, 1, 3, 1, 2, 2], &[7, 6, 5, 4, 3, 2, 1, 0]),
    ];
    for (shape, order) in cases {
        let x = random(1, shape);
        let graph = graph(&[&x], |graph, x| graph.transpose(x[0], order));
        let case = format!("{shape:?} by {order:?}");
        t.check(&case, &graph, &[&x], &reference::transpose(&x, order), Tolerance::Exact);
    }
}

fn of_an_image(t: &Suite) {
    let x = random(1, [2, 6, 3, 5]);
    for order in [[0, 3, 2, 1], [0, 2, 3, 1], [0, 3, 1, 2]] {
        let graph = graph_between_images(&[&x], |graph, x| graph.transpose(x[0], order));
        let case = format!("between images by {order:?}");
        t.check(&case, &graph, &[&x], &reference::transpose(&x, &order), Tolerance::Exact);
    }
}

fn integers_and_truth_values(t: &Suite) {
    for dtype in [DType::I32, DType::Bool] {
        let x = Tensor::build([2, 3], |i| ((i[0] + 2 * i[1]) % 2) as f64).with_dtype(dtype);
        let graph = graph(&[&x], |graph, x| graph.transpose(x[0], [1, 0]));
        let expected = reference::transpose(&x, &[1, 0]).with_dtype(dtype);
        t.check("of other types", &graph, &[&x], &expected, Tolerance::Exact);
    }
}

fn not_finite(t: &Suite) {
    let x = random(1, [5, 7]);
    let graph = graph(&[&x], |graph, x| graph.transpose(x[0], [1, 0]));
    t.check_not_finite("5 by 7", &graph, &[&x], |x| reference::transpose(x[0], &[1, 0]), Tolerance::Exact);
}
