//! The cases of [`rewrite`](crate::rewrite) in which an operation takes in the one after it.

use crate::rewrite::{Case, IMAGE, value, weight};
use shadernet::BATCH;
use shadernet::ops::{Activation, Conv2d, Unary};

pub const CASES: &[Case] = &[
    Case {
        name: "an addition after an activation",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [6, 6, 3, 3]), Some(weight(2, [6]))).padding(1))?;
            let b = graph.activation(a, Activation::Silu)?;
            let y = graph.add(x, b)?;
            Ok(vec![a, b, y])
        },
        left: &["conv2d"],
    },
    Case {
        name: "an addition between two activations: the second stays",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [6, 6, 1, 1]), None))?;
            let b = graph.activation(a, Activation::Silu)?;
            let c = graph.add(b, x)?;
            let y = graph.relu(c)?;
            Ok(vec![a, b, c, y])
        },
        left: &["conv2d", "relu"],
    },
    Case {
        name: "two additions after an activation: the second stays",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [6, 6, 1, 1]), None))?;
            let b = graph.activation(a, Activation::Silu)?;
            let c = graph.add(b, x)?;
            let y = graph.add(x, c)?;
            Ok(vec![a, b, c, y])
        },
        left: &["conv2d", "add"],
    },
    Case {
        name: "an addition that the convolution without an activation takes in, and the activation after it",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [6, 6, 1, 1]), None))?;
            let b = graph.conv2d(x, Conv2d::new(weight(2, [6, 6, 3, 3]), None).padding(1))?;
            let c = graph.conv2d(b, Conv2d::new(weight(3, [6, 6, 1, 1]), None))?;
            let d = graph.activation(c, Activation::Silu)?;
            let e = graph.add(a, d)?;
            let y = graph.relu(e)?;
            Ok(vec![a, b, c, d, e, y])
        },
        left: &["conv2d", "conv2d", "conv2d"],
    },
    Case {
        name: "arithmetic on two functions, less their operand",
        shape: &[BATCH, 5, 6],
        build: |graph, x| {
            let a = graph.activation(x, Activation::Sigmoid)?;
            let b = graph.unary(x, Unary::Abs)?;
            let c = graph.mul(a, b)?;
            let y = graph.sub(x, c)?;
            Ok(vec![a, b, c, y])
        },
        left: &["sigmoid", "elementwise", "sub"],
    },
    Case {
        name: "a product and a number for each feature, which stays",
        shape: &[BATCH, 5, 6],
        build: |graph, x| {
            let a = graph.activation(x, Activation::Tanh)?;
            let b = graph.mul(x, a)?;
            let shift = value(graph, 1, [6]);
            let y = graph.add(b, shift)?;
            Ok(vec![a, b, y])
        },
        left: &["elementwise", "add"],
    },
    Case {
        name: "a constant of a batch of one: it stays",
        shape: &[BATCH, 5, 6],
        build: |graph, x| {
            let a = graph.activation(x, Activation::Tanh)?;
            let shift = value(graph, 1, [1, 5, 6]);
            let y = graph.add(a, shift)?;
            Ok(vec![a, y])
        },
        left: &["tanh", "add"],
    },
];
