//! Cases of linear layers: sizes about the tiles, fusion, after a flatten.

use super::glu::glu_pair;
use crate::ops::{Activation, GluKind, LayerNorm, Linear, RmsNorm};
use crate::selftest::cases::{
    as_image, check_finished, constant, far_from_zero, graph, graph_of, halves, outliers, random,
};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Graph, Result, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes(t);
    t.by_all_variants(variants);
    t.in_halves(stored_as_halves);
    products_of_matrices(t);
    outliers_and_no_bias(t);
    takes_in_residual_and_activation(t);
    after_flatten_it_is_a_convolution(t);
    a_residual_after_flatten_stays_apart(t);
    long_loops(t);
    projections(t);
    gated_projections(t);
    not_finite(t);
}

struct Case {
    name: &'static str,
    x: &'static [usize],
    out: usize,
}

impl Case {
    fn terms(&self) -> usize {
        self.x[self.x.len() - 1]
    }

    fn weight(&self) -> Tensor {
        random(2, [self.out, self.terms()])
    }

    fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    fn op(&self) -> Linear {
        Linear::new(constant(&self.weight()), Some(constant(&self.bias())))
    }

    fn reference(&self, x: &Tensor) -> Tensor {
        reference::linear(x, &self.weight(), Some(&self.bias()))
    }

    fn check(&self, t: &Suite) {
        let x = random(1, self.x);
        let graph = graph(&[&x], |graph, x| graph.push(self.op(), x));
        t.check(self.name, &graph, &[&x], &self.reference(&x), Tolerance::Reduction(self.terms()));
    }
}

fn sizes(t: &Suite) {
    let cases = [
        Case { name: "one of everything", x: &[1, 1], out: 1 },
        Case { name: "one row", x: &[1, 7], out: 5 },
        Case { name: "four rows", x: &[4, 64], out: 63 },
        Case { name: "five rows", x: &[5, 65], out: 65 },
        Case { name: "eight rows", x: &[8, 12], out: 64 },
        Case { name: "nine rows", x: &[9, 13], out: 33 },
        Case { name: "seventy rows", x: &[70, 31], out: 130 },
        Case { name: "many terms, large weights", x: &[3, 1027], out: 101 },
        Case { name: "more terms than a row of a texture", x: &[2, 2500], out: 37 },
        Case { name: "rank 1", x: &[6], out: 3 },
        Case { name: "rank 3", x: &[2, 3, 7], out: 5 },
        Case { name: "rank 4", x: &[2, 3, 5, 6], out: 9 },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn variants(t: &Suite) {
    let cases = [
        Case { name: "one row", x: &[1, 1030], out: 70 },
        Case { name: "three rows", x: &[3, 70], out: 33 },
        Case { name: "eight rows", x: &[8, 260], out: 130 },
        Case { name: "66 rows, k fills tiles", x: &[66, 96], out: 130 },
        Case { name: "k shared by eight", x: &[9, 4100], out: 18 },
    ];
    cases.iter().for_each(|case| case.check(t));
}

/// Checks sizes for matrix units: k a multiple of four, more than eight rows.
fn products_of_matrices(t: &Suite) {
    t.by_all_variants(|t| {
        let cases = [
            Case { name: "one step of k", x: &[66, 32], out: 68 },
            Case { name: "k ends within a step", x: &[131, 44], out: 132 },
        ];
        cases.iter().for_each(|case| case.check(t));
    });
    let cases = [
        Case { name: "as many rows as a matrix", x: &[16, 16], out: 16 },
        Case { name: "a row and an output more", x: &[17, 20], out: 17 },
        Case { name: "a row and an output less", x: &[15, 12], out: 15 },
        Case { name: "a whole tile", x: &[128, 96], out: 128 },
        Case { name: "less than a step of k", x: &[40, 28], out: 24 },
        Case { name: "many steps of k, rank 3", x: &[3, 23, 516], out: 36 },
    ];
    cases.iter().for_each(|case| case.check(t));
    for case in [
        Case { name: "k ends within a step", x: &[19, 36], out: 20 },
        Case { name: "steps of k", x: &[33, 64], out: 65 },
    ] {
        let x = random(1, case.x);
        let push = |graph: &mut Graph, x: &[Value]| graph.push(case.op(), x);
        check_finished(t, case.name, &[&x], &case.reference(&x), push, Tolerance::Reduction(case.terms()));
        let graph = graph(&[&x], |graph, x| graph.push(case.op(), x));
        let tolerance = Tolerance::Reduction(case.terms());
        t.check_not_finite(case.name, &graph, &[&x], |x| case.reference(x[0]), tolerance);
    }
}

fn stored_as_halves(t: &Suite) {
    let cases = [
        Case { name: "three rows of halves", x: &[3, 36], out: 33 },
        Case { name: "seventeen rows of halves", x: &[17, 36], out: 65 },
        Case { name: "seventy rows of halves", x: &[70, 96], out: 130 },
        Case { name: "200 rows of halves, rank 3", x: &[2, 100, 68], out: 20 },
    ];
    for case in cases {
        let x = halves(&random(1, case.x));
        let (weight, bias) = (halves(&case.weight()), halves(&case.bias()));
        let op = Linear::new(constant(&weight), Some(constant(&bias)));
        let graph = graph(&[&x], |graph, x| graph.push(op, x));
        let expected = reference::linear(&x, &weight, Some(&bias));
        t.check(case.name, &graph, &[&x], &expected, Tolerance::Reduction(case.terms()));
    }
}

fn outliers_and_no_bias(t: &Suite) {
    for x in [[3, 50], [11, 50]] {
        let x = outliers(1, x);
        let weight = outliers(2, [17, 50]);
        let graph = graph(&[&x], |graph, x| graph.linear(x[0], constant(&weight), None));
        t.check("outliers", &graph, &[&x], &reference::linear(&x, &weight, None), Tolerance::Reduction(50));
    }
}

fn takes_in_residual_and_activation(t: &Suite) {
    for case in [Case { name: "few rows", x: &[3, 10], out: 7 }, Case { name: "rank 3", x: &[2, 6, 10], out: 7 }] {
        let x = random(1, case.x);
        let push = |graph: &mut Graph, x: &[Value]| graph.push(case.op(), x);
        check_finished(t, case.name, &[&x], &case.reference(&x), push, Tolerance::Reduction(case.terms()));
    }
}

fn after_flatten_it_is_a_convolution(t: &Suite) {
    let weight = random(2, [11, 45]);
    let bias = random(3, [11]);
    for images in [1, 4, 5, 9, 70] {
        let x = random(1, [images, 5, 3, 3]);
        let build = |image: bool, residual: bool| {
            graph(&[&x], |graph, x| {
                let x = if image { as_image(graph, x[0])? } else { x[0] };
                let x = graph.flatten(x)?;
                let y = graph.linear(x, constant(&weight), Some(constant(&bias)))?;
                let y = if residual { graph.add(y, y)? } else { y };
                graph.relu(y)
            })
        };
        let flat = Tensor::new([images, 45], x.data.clone());
        let y = reference::linear(&flat, &weight, Some(&bias));
        t.expect_fused(&build(false, false), 1);
        for image in [false, true] {
            let case = format!("{images} images");
            t.check(&case, &build(image, false), &[&x], &reference::relu(&y), Tolerance::Reduction(45));
        }
        let doubled = reference::relu(&reference::add(&y, &y));
        t.check("doubled after it", &build(false, true), &[&x], &doubled, Tolerance::Reduction(45));
    }
}

fn a_residual_after_flatten_stays_apart(t: &Suite) {
    let (x, weight, residual) = (random(1, [2, 5, 3, 3]), random(2, [11, 45]), random(3, [2, 11]));
    let graph = graph(&[&x, &residual], |graph, x| {
        let flat = graph.flatten(x[0])?;
        let y = graph.linear(flat, constant(&weight), None)?;
        graph.add(y, x[1])
    });
    let y = reference::linear(&Tensor::new([2, 45], x.data.clone()), &weight, None);
    t.check("residual", &graph, &[&x, &residual], &reference::add(&y, &residual), Tolerance::Reduction(45));
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    Case { name: "70,000 terms", x: &[2, 70_000], out: 5 }.check(t);
    Case { name: "70,000 terms, nine rows", x: &[9, 70_000], out: 5 }.check(t);
}

/// A norm of rows, or none, with its reference.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Rms,
    Layer,
}

impl Before {
    const ALL: [Before; 3] = [Before::Nothing, Before::Rms, Before::Layer];

    fn terms(x: &Tensor) -> [Tensor; 2] {
        let length = x.shape[x.shape.len() - 1];
        [random(21, [length]), random(22, [length])]
    }

    fn push(self, graph: &mut Graph, x: Value, of: &Tensor) -> Result<Value> {
        let [weight, bias] = Before::terms(of);
        let length = weight.data.len();
        match self {
            Before::Nothing => Ok(x),
            Before::Rms => graph.rms_norm(x, RmsNorm::new([length], Some(constant(&weight))).eps(1e-5)),
            Before::Layer => {
                graph.layer_norm(x, LayerNorm::new([length], Some(constant(&weight)), Some(constant(&bias))))
            }
        }
    }

    fn reference(self, x: &Tensor) -> Tensor {
        let [weight, bias] = Before::terms(x);
        match self {
            Before::Nothing => x.clone(),
            Before::Rms => reference::rms_norm(x, 1, Some(&weight), 1e-5),
            Before::Layer => reference::layer_norm(x, 1, Some(&weight), Some(&bias), 1e-5),
        }
    }
}

/// Checks layers of one input of few rows: one dispatch computes up to three, with the norm before them. More rows, more
/// layers and rows that end within a texel are computed one by one.
fn projections(t: &Suite) {
    for (name, x, outs) in [
        ("one of one row", random(1, [1, 12]), &[65][..]),
        ("three of one row", outliers(1, [1, 1, 260]), &[5, 64, 70]),
        ("two of three rows, far from 0", far_from_zero([3, 64]), &[66, 4]),
        ("three of four rows", outliers(1, [2, 2, 1028]), &[33, 1, 130]),
        ("two of five rows", random(1, [5, 12]), &[7, 8]),
        ("four of one row", random(1, [1, 12]), &[7, 8, 9, 10]),
        ("rows within a texel", random(1, [1, 11]), &[7, 8]),
    ] {
        let length = x.shape[x.shape.len() - 1];
        let layers: Vec<[Tensor; 2]> =
            (0..).zip(outs).map(|(i, &out)| [random(2 + i, [out, length]), random(8 + i, [out])]).collect();
        for before in Before::ALL {
            let graph = graph_of(&[&x], |graph, inputs| {
                let y = before.push(graph, inputs[0], &x)?;
                let layer = |[weight, bias]: &[Tensor; 2]| {
                    let y = graph.linear(y, constant(weight), Some(constant(bias)))?;
                    graph.activation(y, Activation::Silu)
                };
                layers.iter().map(layer).collect()
            });
            let y = before.reference(&x);
            let y: Vec<Tensor> =
                layers.iter().map(|[w, b]| reference::silu(&reference::linear(&y, w, Some(b)))).collect();
            let y: Vec<&Tensor> = y.iter().collect();
            t.check_outputs(&format!("{name}, {before:?}"), &graph, &[&x], &y, Tolerance::Transcendental);
        }
    }
}

/// Checks gated units of two layers of one input of few rows, with the second layer first too, and NaN and infinities.
fn gated_projections(t: &Suite) {
    for (name, x, out) in [
        ("one row", random(1, [1, 1, 260]), 86),
        ("three rows", random(1, [3, 64]), 5),
        ("five rows", random(1, [5, 64]), 5),
    ] {
        let length = x.shape[x.shape.len() - 1];
        let weights = [random(2, [out, length]), random(3, [out, length])];
        for (before, kind, swapped) in [
            (Before::Nothing, GluKind::Glu, false),
            (Before::Rms, GluKind::SwiGlu, true),
            (Before::Layer, GluKind::Glu, true),
            (Before::Layer, GluKind::GeGlu, false),
        ] {
            let graph = graph(&[&x], |graph, inputs| {
                let y = before.push(graph, inputs[0], &x)?;
                let a = graph.linear(y, constant(&weights[0]), None)?;
                let b = graph.linear(y, constant(&weights[1]), None)?;
                if swapped { graph.glu_pair(b, a, kind) } else { graph.glu_pair(a, b, kind) }
            });
            let reference = |x: &[&Tensor]| {
                let y = before.reference(x[0]);
                let [a, b] = weights.each_ref().map(|weight| reference::linear(&y, weight, None));
                if swapped { glu_pair(&b, &a, kind) } else { glu_pair(&a, &b, kind) }
            };
            let name = format!("gated, {name}, {before:?}, {kind:?}, {swapped}");
            t.check(&name, &graph, &[&x], &reference(&[&x]), Tolerance::Transcendental);
            t.check_not_finite(&name, &graph, &[&x], reference, Tolerance::Transcendental);
        }
    }
}

fn not_finite(t: &Suite) {
    for case in [
        Case { name: "few rows", x: &[3, 66], out: 7 },
        Case { name: "many rows", x: &[70, 31], out: 130 },
        Case { name: "rank 3", x: &[2, 6, 10], out: 7 },
    ] {
        let x = random(1, case.x);
        let graph = graph(&[&x], |graph, x| graph.push(case.op(), x));
        let tolerance = Tolerance::Reduction(case.terms());
        t.check_not_finite(case.name, &graph, &[&x], |x| case.reference(x[0]), tolerance);
    }
    // Two layers of one input, of numbers whose squares overflow too.
    let x = random(1, [2, 12]);
    let weights = [random(2, [5, 12]), random(3, [6, 12])];
    for before in Before::ALL {
        let graph = graph(&[&x], |graph, inputs| {
            let y = before.push(graph, inputs[0], &x)?;
            let [a, b] = weights.each_ref().map(|weight| graph.linear(y, constant(weight), None));
            graph.concat(&[a?, b?], 1)
        });
        let reference = |x: &[&Tensor]| {
            let y = before.reference(x[0]);
            let [a, b] = weights.each_ref().map(|weight| reference::linear(&y, weight, None));
            reference::concat(&[&a, &b], 1)
        };
        let name = format!("two layers, {before:?}");
        t.check_not_finite(&name, &graph, &[&x], reference, Tolerance::Transcendental);
        let large = x.map(|x| 1e28 * x);
        t.check(&name, &graph, &[&large], &reference(&[&large]), Tolerance::Transcendental);
    }
}
