//! Cases of gated linear units: halves along each axis, pairs, between images and linear layers.

use crate::ops::GluKind;
use crate::selftest::cases::{constant, graph, graph_between_images, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    halves_along_each_axis(t);
    every_kind(t);
    pairs(t);
    large_values(t);
    between_images(t);
    between_linear_layers(t);
    not_finite(t);
}

pub fn glu_pair(a: &Tensor, b: &Tensor, kind: GluKind) -> Tensor {
    match kind {
        GluKind::Glu => reference::mul(a, &reference::sigmoid(b)),
        GluKind::ReGlu => reference::mul(&reference::relu(a), b),
        GluKind::GeGlu => reference::mul(&reference::gelu(a), b),
        GluKind::SwiGlu => reference::mul(&reference::silu(a), b),
    }
}

pub fn glu(x: &Tensor, kind: GluKind, axis: usize) -> Tensor {
    let mut shape = x.shape.clone();
    shape[axis] /= 2;
    let half = |second: usize| {
        Tensor::build(shape.clone(), |i| {
            let mut from = i.to_vec();
            from[axis] += second * shape[axis];
            x.at(&from)
        })
    };
    glu_pair(&half(0), &half(1), kind)
}

const KINDS: [GluKind; 4] = [GluKind::Glu, GluKind::ReGlu, GluKind::GeGlu, GluKind::SwiGlu];

fn scaled(seed: u64, shape: &[usize]) -> Tensor {
    random(seed, shape).map(|x| 8.0 * x)
}

fn halves_along_each_axis(t: &Suite) {
    let cases: [(&[usize], usize); 19] = [
        (&[2], 0),
        (&[8], 0),
        (&[14], 0),
        (&[4, 3], 0),
        (&[4, 8], 0),
        (&[3, 8], 1),
        (&[3, 10], 1),
        (&[65, 128], 1),
        (&[2, 8, 3], 1),
        (&[2, 6, 5], 1),
        (&[2, 10, 4], 1),
        (&[4, 5, 7], 0),
        (&[2, 3, 24], 2),
        (&[2, 3, 22], 2),
        (&[2, 10, 3, 5], 1),
        (&[2, 16, 3, 5], 1),
        (&[2, 3, 6, 5], 2),
        (&[2, 3, 5, 6], 3),
        (&[2, 3, 4, 3, 6], 2),
    ];
    for (shape, axis) in cases {
        let x = scaled(1, shape);
        for kind in [GluKind::Glu, GluKind::SwiGlu] {
            let graph = graph(&[&x], |graph, x| graph.glu(x[0], kind, axis));
            let case = format!("{kind:?} along {axis} of {shape:?}");
            t.check(&case, &graph, &[&x], &glu(&x, kind, axis), Tolerance::Transcendental);
        }
    }
}

fn every_kind(t: &Suite) {
    let (a, b) = (scaled(1, &[3, 10]), scaled(2, &[3, 10]));
    for kind in KINDS {
        let halves = graph(&[&a], |graph, x| graph.glu(x[0], kind, 1));
        t.check(&format!("{kind:?}, halves"), &halves, &[&a], &glu(&a, kind, 1), Tolerance::Transcendental);
        let pair = graph(&[&a, &b], |graph, x| graph.glu_pair(x[0], x[1], kind));
        t.check(&format!("{kind:?}, pair"), &pair, &[&a, &b], &glu_pair(&a, &b, kind), Tolerance::Transcendental);
    }
}

fn pairs(t: &Suite) {
    let cases: [&[usize]; 8] =
        [&[], &[1], &[7], &[3, 5], &[2, 3, 65], &[2, 6, 3, 5], &[1, 2, 3, 4, 5], &[1, 2, 1, 2, 1, 2, 1, 2, 3]];
    for shape in cases {
        let (a, b) = (scaled(1, shape), scaled(2, shape));
        let graph = graph(&[&a, &b], |graph, x| graph.glu_pair(x[0], x[1], GluKind::SwiGlu));
        let expected = glu_pair(&a, &b, GluKind::SwiGlu);
        t.check(&format!("{shape:?}"), &graph, &[&a, &b], &expected, Tolerance::Transcendental);
    }
}

fn large_values(t: &Suite) {
    let x = Tensor::new([2, 8], [500.0, -500.0, 88.0, -88.0, 0.0, -0.0, 1e-30, -1e-30].repeat(2));
    for kind in KINDS {
        let graph = graph(&[&x], |graph, x| graph.glu(x[0], kind, 1));
        t.check(&format!("{kind:?}"), &graph, &[&x], &glu(&x, kind, 1), Tolerance::Transcendental);
    }
}

fn between_images(t: &Suite) {
    for channels in [10, 16] {
        let x = random(1, [2, channels, 3, 5]);
        let graph = graph_between_images(&[&x], |graph, x| graph.glu(x[0], GluKind::Glu, 1));
        t.check("between images", &graph, &[&x], &glu(&x, GluKind::Glu, 1), Tolerance::Transcendental);
    }
}

fn between_linear_layers(t: &Suite) {
    for hidden in [5, 8] {
        let (x, both, down) = (random(1, [2, 3, 8]), random(2, [2 * hidden, 8]), random(3, [6, hidden]));
        let halves = graph(&[&x], |graph, x| {
            let y = graph.linear(x[0], constant(&both), None)?;
            let y = graph.glu(y, GluKind::SwiGlu, 2)?;
            graph.linear(y, constant(&down), None)
        });
        let y = glu(&reference::linear(&x, &both, None), GluKind::SwiGlu, 2);
        let expected = reference::linear(&y, &down, None);
        t.check("halves of a layer", &halves, &[&x], &expected, Tolerance::Transcendental);

        let (gate, up) = (random(4, [hidden, 8]), random(5, [hidden, 8]));
        let pair = graph(&[&x], |graph, x| {
            let gate = graph.linear(x[0], constant(&gate), None)?;
            let up = graph.linear(x[0], constant(&up), None)?;
            let y = graph.glu_pair(gate, up, GluKind::SwiGlu)?;
            graph.linear(y, constant(&down), None)
        });
        let [gate, up] = [gate, up].map(|weight| reference::linear(&x, &weight, None));
        let expected = reference::linear(&glu_pair(&gate, &up, GluKind::SwiGlu), &down, None);
        t.check("two layers", &pair, &[&x], &expected, Tolerance::Transcendental);
    }
}

fn not_finite(t: &Suite) {
    for kind in KINDS {
        for shape in [[3, 10], [2, 16]] {
            let x = random(1, shape);
            let halves = graph(&[&x], |graph, x| graph.glu(x[0], kind, 1));
            let case = format!("{kind:?} of {shape:?}");
            t.check_not_finite(&case, &halves, &[&x], |x| glu(x[0], kind, 1), Tolerance::Transcendental);
        }
        let (a, b) = (random(1, [2, 6]), random(2, [2, 6]));
        let pair = graph(&[&a, &b], |graph, x| graph.glu_pair(x[0], x[1], kind));
        let reference = |x: &[&Tensor]| glu_pair(x[0], x[1], kind);
        t.check_not_finite(&format!("{kind:?}, pair"), &pair, &[&a, &b], reference, Tolerance::Transcendental);
    }
}
