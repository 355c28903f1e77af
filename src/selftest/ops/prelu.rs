//! Cases of PReLU: one weight, or one for each channel.

use crate::selftest::cases::{constant, graph, graph_between_images, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    one_weight_and_one_a_channel(t);
    between_operations(t);
    between_linear_layers(t);
    not_finite(t);
}

pub fn prelu(x: &Tensor, weight: &Tensor) -> Tensor {
    Tensor::build(x.shape.clone(), |i| {
        let slope = if weight.data.len() == 1 { weight.at(&[0]) } else { weight.at(&[i[1]]) };
        if x.at(i) >= 0.0 { x.at(i) } else { slope * x.at(i) }
    })
}

fn one_weight_and_one_a_channel(t: &Suite) {
    let cases: [&[usize]; 15] = [
        &[],
        &[1],
        &[6],
        &[1, 1],
        &[3, 7],
        &[5, 64],
        &[2, 5, 1],
        &[2, 5, 7],
        &[2, 8, 4],
        &[2, 3, 5, 7],
        &[1, 4, 8, 8],
        &[1, 65, 3, 3],
        &[2, 3, 2, 5, 3],
        &[2, 5, 3, 1, 2, 6],
        &[1, 2, 1, 2, 1, 2, 1, 2, 3],
    ];
    for shape in cases {
        let x = outliers(1, shape);
        for weights in [Some(&1), shape.get(1)].into_iter().flatten() {
            let weight = random(2, [*weights]);
            let graph = graph(&[&x], |graph, x| graph.prelu(x[0], constant(&weight)));
            let case = format!("{weights} weights for {shape:?}");
            t.check(&case, &graph, &[&x], &prelu(&x, &weight), Tolerance::Elementwise);
        }
    }
}

fn between_operations(t: &Suite) {
    let (x, weight) = (random(1, [2, 6, 3, 5]), random(2, [6]));
    let graph = graph_between_images(&[&x], |graph, x| graph.prelu(x[0], constant(&weight)));
    t.check("between images", &graph, &[&x], &prelu(&x, &weight), Tolerance::Elementwise);
}

fn between_linear_layers(t: &Suite) {
    let (x, first, second) = (random(1, [2, 3, 8]), random(2, [7, 8]), random(3, [5, 7]));
    for slopes in [1, 3] {
        let slopes = random(4, [slopes]);
        let graph = graph(&[&x], |graph, x| {
            let y = graph.linear(x[0], constant(&first), None)?;
            let y = graph.prelu(y, constant(&slopes))?;
            graph.linear(y, constant(&second), None)
        });
        let y = prelu(&reference::linear(&x, &first, None), &slopes);
        let expected = reference::linear(&y, &second, None);
        t.check("between linear layers", &graph, &[&x], &expected, Tolerance::Reduction(16));
    }
}

fn not_finite(t: &Suite) {
    let x = random(1, [2, 5, 3, 4]);
    for weights in [1, 5] {
        let weight = random(2, [weights]);
        let graph = graph(&[&x], |graph, x| graph.prelu(x[0], constant(&weight)));
        let case = format!("{weights} weights");
        t.check_not_finite(&case, &graph, &[&x], |x| prelu(x[0], &weight), Tolerance::Elementwise);
    }
}
