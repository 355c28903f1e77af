//! Cases of embeddings, and their reference: rows of any length, indices of any shape.

use super::index_select::{index_select, indices};
use crate::selftest::cases::{constant, graph, halves, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Returns the row of the weight for each index.
pub fn embedding(index: &Tensor, weight: &Tensor) -> Tensor {
    index_select(weight, 0, index)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    rows_of_any_length(t);
    indices_of_any_shape(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    for length in [4, 5] {
        let (index, weight) = (indices(&[9], 7), halves(&random(1, [7, length])));
        let graph = graph(&[&index], |graph, x| graph.embedding(x[0], constant(&weight)));
        t.check("halves", &graph, &[&index], &embedding(&index, &weight), Tolerance::Exact);
    }
}

fn check(t: &Suite, index: &[usize], [size, length]: [usize; 2]) {
    let (index, weight) = (indices(index, size), random(1, [size, length]));
    let graph = graph(&[&index], |graph, x| graph.embedding(x[0], constant(&weight)));
    let case = format!("{:?} into {size} rows of {length}", index.shape);
    t.check(&case, &graph, &[&index], &embedding(&index, &weight), Tolerance::Exact);
}

fn rows_of_any_length(t: &Suite) {
    for weight in [[1, 1], [1, 4], [7, 3], [13, 5], [10, 4], [5, 64], [3, 65], [257, 12]] {
        check(t, &[9], weight);
    }
}

fn indices_of_any_shape(t: &Suite) {
    for index in [&[][..], &[1], &[2, 3], &[2, 1, 5], &[1, 65]] {
        check(t, index, [11, 4]);
        check(t, index, [11, 6]);
    }
}

fn not_finite(t: &Suite) {
    let (index, weight) = (indices(&[9], 7), random(1, [7, 6]));
    let table = graph(&[&weight], |graph, x| {
        let index = graph.constant(constant(&index));
        graph.index_select(x[0], 0, index)
    });
    t.check_not_finite("rows", &table, &[&weight], |x| embedding(&index, x[0]), Tolerance::Exact);
}
