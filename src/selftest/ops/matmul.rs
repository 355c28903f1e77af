use crate::ops::Activation;
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{constant, graph, outliers, random};
use crate::selftest::reference;

/// The cases.
pub fn cases(t: &Suite) {
    sizes(t);
    outliers_and_activation(t);
    of_computed_values(t);
    what_pads_a_texel_is_nothing_to_it(t);
}

fn sizes(t: &Suite) {
    let cases: [(&str, &[usize], &[usize]); 14] = [
        ("one of everything", &[1, 1], &[1, 1]),
        ("odd sizes", &[3, 5], &[5, 7]),
        ("four of k", &[3, 4], &[4, 8]),
        ("65 rows, 63 columns", &[65, 12], &[12, 63]),
        ("64 rows, 64 columns", &[64, 8], &[8, 64]),
        ("17 rows, 33 columns, odd k", &[17, 67], &[67, 33]),
        ("a row by a column", &[1, 101], &[101, 1]),
        ("a column by a row", &[30, 1], &[1, 30]),
        ("batch", &[4, 3, 8], &[4, 8, 5]),
        ("batch broadcast both ways", &[2, 1, 3, 4], &[5, 4, 6]),
        ("batch broadcast both ways, odd k", &[2, 1, 3, 5], &[1, 3, 5, 6]),
        ("a matrix for all", &[2, 3, 5, 4], &[4, 2]),
        ("rank 4, several tiles", &[2, 2, 20, 8], &[2, 2, 8, 40]),
        ("rank 6", &[2, 1, 2, 1, 3, 4], &[1, 3, 1, 2, 4, 5]),
    ];
    for (name, a, b) in cases {
        let (a, b) = (random(1, a), random(2, b));
        let k = a.shape[a.shape.len() - 1];
        let graph = graph(&[&a, &b], |graph, x| graph.matmul(x[0], x[1]));
        t.check(name, &graph, &[&a, &b], &reference::matmul(&a, &b), Tolerance::Reduction(k));
    }
}

fn outliers_and_activation(t: &Suite) {
    for k in [16, 19] {
        let (a, b) = (outliers(1, [2, 9, k]), outliers(2, [2, k, 10]));
        let graph = graph(&[&a, &b], |graph, x| {
            let y = graph.matmul(x[0], x[1])?;
            graph.activation(y, Activation::LeakyRelu(0.5))
        });
        t.expect_fused(&graph, 1);
        let expected = reference::leaky_relu(&reference::matmul(&a, &b), 0.5);
        t.check("outliers", &graph, &[&a, &b], &expected, Tolerance::Reduction(k));
    }
}

fn of_computed_values(t: &Suite) {
    // An attention's product: what comes before and after lies otherwise.
    let (q, k) = (random(1, [2, 5, 8]), random(2, [2, 7, 8]));
    let graph = graph(&[&q, &k], |graph, x| {
        let k = graph.transpose(x[1], [0, 2, 1])?;
        let scores = graph.matmul(x[0], k)?;
        graph.softmax(scores, 2)
    });
    let scores = reference::matmul(&q, &reference::transpose(&k, &[0, 2, 1]));
    t.check("attention", &graph, &[&q, &k], &reference::softmax(&scores, 2), Tolerance::Transcendental);
}

fn what_pads_a_texel_is_nothing_to_it(t: &Suite) {
    // After a sigmoid the padding of five columns to eight holds 0.5.
    let (a, b, weight) = (random(1, [2, 3, 4]), random(2, [2, 5, 6]), random(3, [5, 4]));
    let graph = graph(&[&a, &b], |graph, x| {
        let y = graph.linear(x[0], constant(&weight), None)?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        graph.matmul(y, x[1])
    });
    let y = reference::sigmoid(&reference::linear(&a, &weight, None));
    t.check("after a sigmoid", &graph, &[&a, &b], &reference::matmul(&y, &b), Tolerance::Transcendental);
}
