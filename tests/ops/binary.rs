use crate::harness::{Tolerance, as_image, check, graph, outliers, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::{Activation, Binary, BinaryKind};

type Reference = fn(&Tensor, &Tensor) -> Tensor;

const KINDS: [(BinaryKind, Reference); 4] = [
    (BinaryKind::Add, reference::add),
    (BinaryKind::Sub, reference::sub),
    (BinaryKind::Mul, reference::mul),
    (BinaryKind::Div, reference::div),
];

/// Away from zero, so that a quotient is not all there is to see.
fn divisor(shape: &[usize]) -> Tensor {
    let mut b = random(2, shape);
    b.data.iter_mut().for_each(|value| *value += 1.5f32.copysign(*value));
    b
}

#[test]
fn every_kind_in_every_layout() {
    for (kind, reference) in KINDS {
        let (a, b) = (outliers(1, [2, 5, 3, 7]), divisor(&[2, 5, 3, 7]));
        let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
        check("one shape", &graph, &[&a, &b], &reference(&a, &b), Tolerance::Elementwise);
    }
}

#[test]
fn broadcasting() {
    let cases: [(&[usize], &[usize]); 10] = [
        (&[2, 5], &[5]),
        (&[5], &[2, 5]),
        (&[2, 3, 4, 5], &[1, 3, 1, 1]),
        (&[2, 3, 4, 5], &[2, 3, 1, 1]),
        (&[3, 1, 5], &[4, 1]),
        (&[4, 7], &[1]),
        (&[1], &[1, 1, 1]),
        (&[65, 3], &[65, 1]),
        (&[2, 1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2, 1, 3]),
        (&[1, 1], &[3, 1, 1]),
    ];
    for (kind, reference) in KINDS {
        for (a, b) in cases {
            let case = format!("{a:?} and {b:?}");
            let (a, b) = (random(1, a), divisor(b));
            let graph = graph(&[&a, &b], |graph, x| graph.push(Binary::new(kind), x));
            check(&case, &graph, &[&a, &b], &reference(&a, &b), Tolerance::Elementwise);
        }
    }
}

#[test]
fn takes_in_an_activation() {
    for b in [&[2, 5, 3, 3][..], &[5, 1, 1]] {
        let (a, b) = (random(1, [2, 5, 3, 3]), divisor(b));
        let graph = graph(&[&a, &b], |graph, x| {
            let y = graph.difference(x[0], x[1])?;
            graph.activation(y, Activation::LeakyRelu(0.25))
        });
        assert_eq!(graph.fused().nodes().len(), 1);
        let expected = reference::leaky_relu(&reference::sub(&a, &b), 0.25);
        check("and a leaky ReLU", &graph, &[&a, &b], &expected, Tolerance::Elementwise);
    }
}

#[test]
fn with_itself_and_after_other_operations() {
    let a = random(1, [2, 5, 3, 3]);
    let doubled = graph(&[&a], |graph, x| graph.sum(x[0], x[0]));
    check("a + a", &doubled, &[&a], &reference::add(&a, &a), Tolerance::Exact);
    let squared = graph(&[&a], |graph, x| graph.product(x[0], x[0]));
    check("a * a", &squared, &[&a], &reference::mul(&a, &a), Tolerance::Elementwise);
    // In a texel's padding are zeros, and 0 / 0 must not reach what comes after.
    let b = divisor(&[2, 5, 3, 3]);
    let between = graph(&[&a, &b], |graph, x| {
        let (a, b) = (as_image(graph, x[0])?, as_image(graph, x[1])?);
        let y = graph.quotient(a, b)?;
        as_image(graph, y)
    });
    check("between images", &between, &[&a, &b], &reference::div(&a, &b), Tolerance::Elementwise);
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3], &[2, 4]], Binary::new(BinaryKind::Add)).contains("broadcasts"));
    assert!(refused(&[&[2, 3]], Binary::new(BinaryKind::Add)).contains("inputs"));
    assert!(refused(&[&[1; 9], &[1; 9]], Binary::new(BinaryKind::Add)).contains("9 dimensions"));
}
