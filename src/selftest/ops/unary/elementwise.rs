//! Cases of chains of elementwise functions: each kind of link, layouts, long chains, several tensors.

use crate::ops::{Activation, BinaryKind, Unary};
use crate::selftest::cases::{as_image, graph, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Constant, Graph, Result, Value};

pub(super) fn cases(t: &Suite) {
    each_kind(t);
    layouts(t);
    long_chains(t);
    several_tensors(t);
}

/// A function, and how to add it.
type Link = (fn(f64) -> f64, fn(&mut Graph, Value) -> Result<Value>);

fn arithmetic(graph: &mut Graph, x: Value, kind: BinaryKind, number: f32, first: bool) -> Result<Value> {
    let number = graph.constant(Constant::known("number", [1], vec![number]));
    let (a, b) = if first { (number, x) } else { (x, number) };
    graph.binary(a, kind, b)
}

const ABS: Link = (f64::abs, |graph, x| graph.unary(x, Unary::Abs));
const SQRT: Link = (f64::sqrt, |graph, x| graph.unary(x, Unary::Sqrt));
const EXP: Link = (f64::exp, |graph, x| graph.unary(x, Unary::Exp));
const NEG: Link = (|x| -x, |graph, x| graph.unary(x, Unary::Neg));
const TANH: Link = (f64::tanh, |graph, x| graph.activation(x, Activation::Tanh));
const CLAMP: Link = (|x| x.clamp(-0.5, 0.75), |graph, x| graph.activation(x, Activation::Clamp(-0.5, 0.75)));
const LEAKY: Link =
    (|x| if x < 0.0 { 0.25 * x } else { x }, |graph, x| graph.activation(x, Activation::LeakyRelu(0.25)));
const PLUS: Link = (|x| x + 1.5, |graph, x| arithmetic(graph, x, BinaryKind::Add, 1.5, false));
const TIMES: Link = (|x| 0.5 * x, |graph, x| arithmetic(graph, x, BinaryKind::Mul, 0.5, true));
const FROM: Link = (|x| 3.0 - x, |graph, x| arithmetic(graph, x, BinaryKind::Sub, 3.0, true));
const OVER: Link = (|x| 2.0 / x, |graph, x| arithmetic(graph, x, BinaryKind::Div, 2.0, true));
const POWER: Link = (|x| x.powf(1.5), |graph, x| arithmetic(graph, x, BinaryKind::Pow, 1.5, false));
const POWER_OF: Link = (|x| 2f64.powf(x), |graph, x| arithmetic(graph, x, BinaryKind::Pow, 2.0, true));
const LEAST: Link = (|x| x.max(0.25), |graph, x| arithmetic(graph, x, BinaryKind::Max, 0.25, false));

fn check(t: &Suite, case: &str, x: &Tensor, links: &[Link], image: bool, nodes: usize) {
    let graph = graph(&[x], |graph, inputs| {
        let mut y = if image { as_image(graph, inputs[0])? } else { inputs[0] };
        for (_, add) in links {
            y = add(graph, y)?;
        }
        if image { as_image(graph, y) } else { Ok(y) }
    });
    t.expect_fused(&graph, nodes);
    let y = |x: &Tensor| links.iter().fold(x.clone(), |x, (function, _)| x.map(function));
    t.check(case, &graph, &[x], &y(x), Tolerance::Transcendental);
}

fn each_kind(t: &Suite) {
    let x = random(1, [3, 5, 7]);
    for (case, links) in [
        ("one number", &[PLUS][..]),
        ("a number first", &[FROM]),
        ("the root of a shifted size", &[ABS, PLUS, SQRT, OVER]),
        ("an activation's bounds", &[TIMES, CLAMP, PLUS, LEAKY]),
        ("two activations", &[LEAKY, TANH]),
        ("powers", &[ABS, PLUS, POWER, POWER_OF]),
        ("a maximum, then a function", &[LEAST, EXP]),
    ] {
        check(t, case, &x, links, false, 1);
    }
    let numbers = graph(&[&x], |graph, x| {
        let y = (TIMES.1)(graph, x[0])?;
        let y = (NEG.1)(graph, y)?;
        (TANH.1)(graph, y)
    });
    let y = |x: &[&Tensor]| x[0].map(|x| (-0.5 * x).tanh());
    t.check_not_finite("three", &numbers, &[&x], y, Tolerance::Transcendental);
}

/// Checks that images stay images, that padding stays finite, and any rank.
fn layouts(t: &Suite) {
    for channels in [1, 6, 8] {
        let x = random(1, [2, channels, 3, 5]);
        check(t, &format!("{channels} channels"), &x, &[ABS, OVER, TANH], true, 3);
    }
    check(t, "nine dimensions", &random(1, [1, 2, 1, 2, 1, 2, 1, 2, 3]), &[NEG, TANH], false, 1);
    check(t, "one number", &random(1, [1]), &[NEG, TANH], false, 1);
}

/// Checks chains of more functions than a dispatch computes.
fn long_chains(t: &Suite) {
    let x = random(1, [2, 13]);
    check(t, "five", &x, &[ABS, PLUS, SQRT, NEG, TANH], false, 2);
    check(t, "nine", &x, &[TANH, NEG, TANH, NEG, TANH, NEG, TANH, NEG, TANH], false, 3);
}

/// Arithmetic on three tensors: how to add it, its reference, and its nodes after fusion.
type Arithmetic = (&'static str, fn(&mut Graph, &[Value]) -> Result<Value>, fn(f64, f64, f64) -> f64, usize);

const ARITHMETIC: [Arithmetic; 10] = [
    ("a b + c", |graph, x| product_and(graph, x, BinaryKind::Add), |a, b, c| a * b + c, 1),
    ("a b - c", |graph, x| product_and(graph, x, BinaryKind::Sub), |a, b, c| a * b - c, 1),
    // In the padding of a texel this is 0 / 0.
    ("a b / c", |graph, x| product_and(graph, x, BinaryKind::Div), |a, b, c| a * b / c, 1),
    (
        "a - b c",
        |graph, x| {
            let y = graph.mul(x[1], x[2])?;
            graph.sub(x[0], y)
        },
        |a, b, c| a - b * c,
        1,
    ),
    (
        "max(tanh(a), b) a - c",
        |graph, x| {
            let y = graph.activation(x[0], Activation::Tanh)?;
            let y = graph.maximum(x[1], y)?;
            let y = graph.mul(y, x[0])?;
            graph.sub(y, x[2])
        },
        |a, b, c| reference::maximum(a.tanh(), b) * a - c,
        1,
    ),
    (
        "(|a| - b) (|a| - b) c: the difference is read twice",
        |graph, x| {
            let y = (ABS.1)(graph, x[0])?;
            let y = graph.sub(y, x[1])?;
            let y = graph.mul(y, y)?;
            graph.mul(y, x[2])
        },
        |a, b, c| (a.abs() - b).powi(2) * c,
        2,
    ),
    (
        "(a + b) - b: nothing cancels",
        |graph, x| {
            let y = graph.add(x[0], x[1])?;
            graph.sub(y, x[1])
        },
        |a, b, _| f64::from((a + b) as f32) - b,
        2,
    ),
    (
        "max(a - b, b): NaN stays",
        |graph, x| {
            let y = graph.sub(x[0], x[1])?;
            graph.maximum(y, x[1])
        },
        |a, b, _| reference::maximum(a - b, b),
        2,
    ),
    (
        "a / b b: nothing cancels",
        |graph, x| {
            let y = graph.div(x[0], x[1])?;
            graph.mul(y, x[1])
        },
        |a, b, _| a / b * b,
        2,
    ),
    (
        "(a + b + c) (-c) exp(a): four tensors",
        |graph, x| {
            let y = graph.add(x[0], x[1])?;
            let y = graph.add(x[2], y)?;
            let (negative, last) = ((NEG.1)(graph, x[2])?, (EXP.1)(graph, x[0])?);
            let y = graph.mul(negative, y)?;
            graph.mul(y, last)
        },
        |a, b, c| (a + b + c) * -c * a.exp(),
        3,
    ),
];

fn product_and(graph: &mut Graph, x: &[Value], kind: BinaryKind) -> Result<Value> {
    let y = graph.mul(x[0], x[1])?;
    graph.binary(y, kind, x[2])
}

/// Checks arithmetic on several tensors, row-major and of images, also where texels have padding.
fn several_tensors(t: &Suite) {
    for (case, add, function, nodes) in ARITHMETIC {
        let y = |x: &[&Tensor]| {
            let all = x[0].data.iter().zip(&x[1].data).zip(&x[2].data);
            let y = all.map(|((&a, &b), &c)| function(a.into(), b.into(), c.into()) as f32);
            Tensor::new(x[0].shape.clone(), y.collect())
        };
        for (shape, image) in [(vec![3, 5, 7], false), (vec![2, 6, 3, 5], true)] {
            let x = [1, 2, 3].map(|seed| random(seed, shape.clone()));
            let x = x.each_ref();
            let graph = graph(&x, |graph, x| {
                let images = x.iter().map(|&x| if image { as_image(graph, x) } else { Ok(x) });
                let x = images.collect::<Result<Vec<Value>>>()?;
                let y = add(graph, &x)?;
                if image { as_image(graph, y) } else { Ok(y) }
            });
            if !image {
                t.expect_fused(&graph, nodes);
                t.check_not_finite(case, &graph, &x, y, Tolerance::Transcendental);
            }
            t.check(case, &graph, &x, &y(&x), Tolerance::Transcendental);
        }
    }
}
