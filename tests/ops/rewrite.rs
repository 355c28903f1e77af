//! The rules that rewrite graphs, each on a graph of a few nodes: what is left, and that it computes the same.

// Long because it is one table: a case for each rule.

use crate::fused;
use crate::harness::tiers;
use shadernet::ops::{
    Activation, BatchNorm2d, Conv1d, Conv2d, Conv3d, ConvTranspose2d, Linear, Reduce, ReduceKind, Unary,
};
use shadernet::selftest::cases::{constant, random};
use shadernet::{BATCH, Constant, Graph, Model, Result, Value};

pub type Build = fn(&mut Graph, Value) -> Result<Vec<Value>>;

/// A graph: its input's shape, the values on the way to its output, the last of which is that, and the operations that are
/// left, if these are to be checked.
pub struct Case {
    pub name: &'static str,
    pub shape: &'static [usize],
    pub build: Build,
    pub left: &'static [&'static str],
}

pub fn weight<const D: usize>(seed: u64, shape: [usize; D]) -> Constant {
    constant(&random(seed, shape))
}

pub fn value<const D: usize>(graph: &mut Graph, seed: u64, shape: [usize; D]) -> Value {
    graph.constant(weight(seed, shape))
}

fn number(graph: &mut Graph, number: f32) -> Value {
    graph.constant(Constant::new("number", [], vec![number]).unwrap())
}

fn norm(channels: usize) -> BatchNorm2d {
    let var = random(23, [channels]).map(|value| value.abs() + 0.5);
    BatchNorm2d::new(weight(20, [channels]), weight(21, [channels]), weight(22, [channels]), constant(&var))
}

pub const IMAGE: &[usize] = &[BATCH, 6, 5, 7];

const CASES: &[Case] = &[
    Case {
        name: "constants between convolutions, as a learnable affine block has them",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [8, 6, 3, 3]), Some(weight(2, [8]))).padding(1))?;
            let (scale, shift) = (number(graph, 1.7), number(graph, -0.3));
            let b = graph.mul(scale, a)?;
            let c = graph.add(b, shift)?;
            let d = graph.activation(c, Activation::Hardswish)?;
            let e = graph.mul(d, scale)?;
            let f = graph.add(shift, e)?;
            let y = graph.conv2d(f, Conv2d::new(weight(3, [5, 8, 1, 1]), None))?;
            Ok(vec![a, b, c, d, e, f, y])
        },
        left: &["conv2d", "conv2d"],
    },
    Case {
        name: "a scale before a padded convolution in groups",
        shape: IMAGE,
        build: |graph, x| {
            let scale = value(graph, 4, [6, 1, 1]);
            let a = graph.mul(x, scale)?;
            let conv = Conv2d::new(weight(5, [4, 3, 3, 3]), Some(weight(6, [4]))).padding(1).groups(2);
            let y = graph.conv2d(a, conv)?;
            Ok(vec![a, y])
        },
        left: &["conv2d"],
    },
    Case {
        name: "a shift before a padded convolution stays: its border is no shifted zero",
        shape: IMAGE,
        build: |graph, x| {
            let shift = value(graph, 7, [1, 6, 1, 1]);
            let a = graph.add(x, shift)?;
            let y = graph.conv2d(a, Conv2d::new(weight(8, [4, 6, 3, 3]), None).padding(1))?;
            Ok(vec![a, y])
        },
        left: &["add", "conv2d"],
    },
    Case {
        name: "a shift before a convolution in groups without padding",
        shape: IMAGE,
        build: |graph, x| {
            let shift = value(graph, 7, [1, 6, 1, 1]);
            let a = graph.sub(x, shift)?;
            let y = graph.conv2d(a, Conv2d::new(weight(5, [4, 3, 3, 3]), None).groups(2))?;
            Ok(vec![a, y])
        },
        left: &["conv2d"],
    },
    Case {
        name: "a constant less a convolution, over a constant, with an activation",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [8, 6, 3, 3]), None))?;
            let (from, by) = (value(graph, 9, [8, 1, 1]), number(graph, 3.0));
            let b = graph.sub(from, a)?;
            let c = graph.div(b, by)?;
            let y = graph.relu(c)?;
            Ok(vec![a, b, c, y])
        },
        left: &["conv2d"],
    },
    Case {
        name: "a scale after a transposed convolution",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv_transpose2d(x, ConvTranspose2d::new(weight(1, [6, 4, 2, 2]), None).stride(2))?;
            let scale = value(graph, 4, [1, 4, 1, 1]);
            let y = graph.mul(a, scale)?;
            Ok(vec![a, y])
        },
        left: &["conv_transpose2d"],
    },
    Case {
        name: "constants around convolutions of lines and volumes",
        shape: &[BATCH, 3, 4, 5, 6],
        build: |graph, x| {
            let a = graph.conv3d(x, Conv3d::new(weight(1, [4, 3, 2, 2, 2]), None))?;
            let scale = value(graph, 4, [4, 1, 1, 1]);
            let b = graph.mul(a, scale)?;
            let c = graph.reshape(b, [-1, 4, 60])?;
            let shift = value(graph, 5, [4, 1]);
            let d = graph.add(c, shift)?;
            let y = graph.conv1d(d, Conv1d::new(weight(6, [2, 4, 3]), None))?;
            Ok(vec![a, b, c, d, y])
        },
        left: &["conv3d", "reshape", "conv1d"],
    },
    Case {
        name: "constants for each feature around a linear layer",
        shape: &[BATCH, 5, 6],
        build: |graph, x| {
            let (scale, shift) = (value(graph, 1, [6]), value(graph, 2, [1, 6]));
            let a = graph.mul(x, scale)?;
            let b = graph.add(a, shift)?;
            let c = graph.push(Linear::new(weight(3, [8, 6]), None), &[b])?;
            let (scale, shift) = (value(graph, 4, [8]), value(graph, 5, [8]));
            let d = graph.add(c, shift)?;
            let e = graph.mul(d, scale)?;
            let y = graph.relu(e)?;
            Ok(vec![a, b, c, d, e, y])
        },
        left: &["linear"],
    },
    Case {
        name: "a constant for each row of a linear layer stays",
        shape: &[BATCH, 5, 6],
        build: |graph, x| {
            let a = graph.push(Linear::new(weight(3, [8, 6]), None), &[x])?;
            let scale = value(graph, 4, [5, 1]);
            let y = graph.mul(a, scale)?;
            Ok(vec![a, y])
        },
        left: &["linear", "mul"],
    },
    Case {
        name: "constants after a transpose, as a channels-last exporter has them",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [8, 6, 3, 3]), None).padding(1))?;
            let b = graph.transpose(a, [0, 2, 3, 1])?;
            let (scale, shift) = (value(graph, 4, [8]), value(graph, 5, [8]));
            let c = graph.mul(b, scale)?;
            let d = graph.add(c, shift)?;
            let e = graph.transpose(d, [0, 3, 1, 2])?;
            let y = graph.conv2d(e, Conv2d::new(weight(6, [3, 8, 1, 1]), None))?;
            Ok(vec![a, b, c, d, e, y])
        },
        left: &["conv2d", "conv2d"],
    },
    Case {
        name: "a batch norm around a linear layer, through a reshape",
        shape: &[BATCH, 6],
        build: |graph, x| {
            let a = graph.batch_norm(x, norm(6))?;
            let b = graph.push(Linear::new(weight(3, [8, 6]), Some(weight(4, [8]))), &[a])?;
            let c = graph.reshape(b, [-1, 8, 1])?;
            let y = graph.batch_norm(c, norm(8))?;
            Ok(vec![a, b, c, y])
        },
        left: &["linear", "reshape"],
    },
    Case {
        name: "a chain of constants and a batch norm on an image",
        shape: IMAGE,
        build: |graph, x| {
            let scale = value(graph, 4, [6, 1, 1]);
            let a = graph.mul(x, scale)?;
            let b = graph.batch_norm(a, norm(6))?;
            let shift = number(graph, 0.25);
            let c = graph.add(b, shift)?;
            let y = graph.activation(c, Activation::Tanh)?;
            Ok(vec![a, b, c, y])
        },
        left: &["batch_norm"],
    },
    Case {
        name: "GELU, written out",
        shape: &[BATCH, 6],
        build: |graph, x| {
            let (half, one, root) = (number(graph, 0.5), number(graph, 1.0), number(graph, std::f32::consts::SQRT_2));
            let a = graph.div(x, root)?;
            let b = graph.unary(a, Unary::Erf)?;
            let c = graph.add(b, one)?;
            let d = graph.mul(x, c)?;
            let y = graph.mul(d, half)?;
            Ok(vec![a, b, c, d, y])
        },
        left: &["gelu"],
    },
    Case {
        name: "GELU by tanh, the cube as products of a sum",
        shape: &[BATCH, 6],
        build: |graph, x| {
            let (half, one, cubic) = (number(graph, 0.5), number(graph, 1.0), number(graph, 0.044_715));
            let root = number(graph, 0.797_884_6);
            let a = graph.mul(x, cubic)?;
            let b = graph.mul(a, x)?;
            let c = graph.add(one, b)?;
            let d = graph.mul(x, root)?;
            let e = graph.mul(d, c)?;
            let f = graph.activation(e, Activation::Tanh)?;
            let g = graph.add(f, one)?;
            let h = graph.mul(x, half)?;
            let y = graph.mul(h, g)?;
            Ok(vec![a, b, c, d, e, f, g, h, y])
        },
        left: &["gelu_tanh"],
    },
    Case {
        name: "SiLU and hard-swish, written out",
        shape: &[BATCH, 6],
        build: |graph, x| {
            let a = graph.activation(x, Activation::Sigmoid)?;
            let b = graph.mul(a, x)?;
            let (three, sixth) = (number(graph, 3.0), number(graph, 1.0 / 6.0));
            let c = graph.add(b, three)?;
            let d = graph.activation(c, Activation::Clamp(0.0, 6.0))?;
            let e = graph.mul(b, d)?;
            let y = graph.mul(e, sixth)?;
            Ok(vec![a, b, c, d, e, y])
        },
        left: &["elementwise"],
    },
    Case {
        name: "a batch that moves inside: positions first",
        shape: &[BATCH, 3, 6],
        build: |graph, x| {
            let a = graph.transpose(x, [1, 0, 2])?;
            let b = graph.reshape(a, [-1, 6])?;
            let c = graph.push(Linear::new(weight(3, [8, 6]), None), &[b])?;
            let shift = value(graph, 4, [8]);
            let y = graph.add(c, shift)?;
            Ok(vec![a, b, c, y])
        },
        left: &["transpose", "reshape", "linear"],
    },
    Case {
        name: "a batch inside a dimension, moved twice",
        shape: &[BATCH, 6, 4],
        build: |graph, x| {
            let a = graph.transpose(x, [1, 0, 2])?;
            let b = graph.reshape(a, [6, -1, 2])?;
            let c = graph.transpose(b, [1, 0, 2])?;
            let y = graph.relu(c)?;
            Ok(vec![a, b, c, y])
        },
        left: &["transpose", "reshape", "transpose", "relu"],
    },
    Case {
        name: "two transposes of parts of a dimension",
        shape: &[BATCH, 12, 5],
        build: |graph, x| {
            let a = graph.reshape(x, [-1, 3, 4, 5])?;
            let b = graph.transpose(a, [0, 2, 1, 3])?;
            let c = graph.transpose(b, [0, 1, 3, 2])?;
            let d = graph.reshape(c, [-1, 5, 3])?;
            let y = graph.relu(d)?;
            Ok(vec![a, b, c, d, y])
        },
        left: &["reshape", "transpose", "reshape", "reshape", "relu"],
    },
    Case {
        name: "attention, written out, positions first",
        shape: &[BATCH, 3, 8],
        build: |graph, x| {
            let a = graph.transpose(x, [1, 0, 2])?;
            let q = graph.reshape(a, [3, -1, 2, 4])?;
            let q = graph.transpose(q, [1, 2, 0, 3])?;
            let k = graph.transpose(q, [0, 1, 3, 2])?;
            let scores = graph.matmul(q, k)?;
            let weights = graph.softmax(scores, 3)?;
            let y = graph.matmul(weights, q)?;
            let y = graph.transpose(y, [2, 0, 1, 3])?;
            let y = graph.reshape(y, [3, -1, 8])?;
            Ok(vec![scores, y])
        },
        left: &[],
    },
    Case {
        name: "attention, written out, heads in the batch",
        shape: &[BATCH, 3, 8],
        build: |graph, x| {
            let q = graph.reshape(x, [-1, 3, 2, 4])?;
            let q = graph.transpose(q, [0, 2, 1, 3])?;
            let q = graph.reshape(q, [-1, 3, 4])?;
            let k = graph.transpose(q, [0, 2, 1])?;
            let scores = graph.matmul(q, k)?;
            let weights = graph.softmax(scores, 2)?;
            let y = graph.matmul(weights, q)?;
            Ok(vec![scores, y])
        },
        left: &[],
    },
    Case {
        name: "RMS norm by a reciprocal of a number",
        shape: &[BATCH, 5, 6],
        build: |graph, x| {
            let squares = graph.mul(x, x)?;
            let mean = graph.reduce(squares, Reduce::new(ReduceKind::Mean, [2]).keepdim(true))?;
            let (eps, one) = (number(graph, 1e-6), number(graph, 1.0));
            let a = graph.add(mean, eps)?;
            let root = graph.unary(a, Unary::Sqrt)?;
            let inverse = graph.div(one, root)?;
            let y = graph.mul(x, inverse)?;
            Ok(vec![squares, y])
        },
        left: &["rms_norm"],
    },
    Case {
        name: "many constants in a row",
        shape: IMAGE,
        build: |graph, x| {
            let mut y = graph.conv2d(x, Conv2d::new(weight(1, [8, 6, 1, 1]), None))?;
            let before = y;
            for i in 0..40 {
                let c = value(graph, i, [8, 1, 1]);
                y = graph.add(y, c)?;
            }
            Ok(vec![before, y])
        },
        left: &["conv2d"],
    },
    Case {
        name: "constants along two axes: the second stays",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [8, 6, 1, 1]), None))?;
            let (channels, columns) = (value(graph, 2, [8, 1, 1]), value(graph, 3, [7]));
            let b = graph.mul(a, channels)?;
            let y = graph.mul(b, columns)?;
            Ok(vec![a, b, y])
        },
        left: &["conv2d", "mul"],
    },
    Case {
        name: "constants before a convolution of volumes",
        shape: &[BATCH, 3, 4, 5, 6],
        build: |graph, x| {
            let (scale, shift) = (value(graph, 2, [3, 1, 1, 1]), number(graph, 0.5));
            let a = graph.mul(x, scale)?;
            let b = graph.add(a, shift)?;
            let y = graph.conv3d(b, Conv3d::new(weight(1, [4, 3, 2, 2, 2]), None))?;
            Ok(vec![a, b, y])
        },
        left: &["conv3d"],
    },
    Case {
        name: "a batch norm after a linear layer",
        shape: &[BATCH, 6],
        build: |graph, x| {
            let a = graph.push(Linear::new(weight(3, [8, 6]), None), &[x])?;
            let y = graph.batch_norm(a, norm(8))?;
            Ok(vec![a, y])
        },
        left: &["linear"],
    },
    Case {
        name: "transposes and reshapes that undo each other",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.transpose(x, [0, 2, 3, 1])?;
            let b = graph.reshape(a, [-1, 35, 6])?;
            let c = graph.transpose(b, [0, 2, 1])?;
            let y = graph.relu(c)?;
            Ok(vec![a, b, c, y])
        },
        left: &["reshape", "relu"],
    },
    Case {
        name: "halves of a convolution, as CSP blocks have them",
        shape: IMAGE,
        build: |graph, x| {
            let a = graph.conv2d(x, Conv2d::new(weight(1, [64, 6, 3, 3]), Some(weight(2, [64]))).padding(1))?;
            let b = graph.batch_norm(a, norm(64))?;
            let c = graph.activation(b, Activation::Silu)?;
            let halves = graph.chunk(c, 2, 1)?;
            let d = graph.conv2d(halves[1], Conv2d::new(weight(3, [32, 32, 1, 1]), None))?;
            let e = graph.add(halves[1], d)?;
            let y = graph.concat(&[halves[0], halves[1], e], 1)?;
            Ok(vec![a, b, c, d, e, y])
        },
        left: &["conv2d", "conv2d", "conv2d", "concat"],
    },
    Case {
        name: "a gate and a part of a linear layer, whose other outputs nobody reads",
        shape: &[BATCH, 5, 6],
        build: |graph, x| {
            let a = graph.push(Linear::new(weight(1, [96, 6]), Some(weight(2, [96]))), &[x])?;
            let (b, c) = (graph.slice(a, 2, -32, isize::MAX)?, graph.slice(a, 2, 1, 33)?);
            let d = graph.activation(b, Activation::Sigmoid)?;
            let y = graph.mul(c, d)?;
            Ok(vec![a, y])
        },
        left: &["linear", "linear", "mul"],
    },
    Case {
        name: "parts of convolutions of volumes and lines",
        shape: &[BATCH, 3, 4, 5, 6],
        build: |graph, x| {
            let a = graph.conv3d(x, Conv3d::new(weight(1, [4, 3, 2, 2, 2]), None))?;
            let part = graph.slice(a, 1, 1, 4)?;
            let b = graph.reshape(part, [-1, 3, 60])?;
            let c = graph.conv1d(b, Conv1d::new(weight(2, [4, 3, 3]), Some(weight(3, [4]))))?;
            let y = graph.slice(c, 1, 0, 2)?;
            Ok(vec![a, c, y])
        },
        left: &["conv3d", "reshape", "conv1d"],
    },
];

/// Builds a case's graph. If all values on the way are outputs, no rule applies to them.
fn graph(case: &Case, all: bool) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", case.shape.to_vec());
    let values = (case.build)(&mut graph, x).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let (y, before) = values.split_last().expect("it has an output");
    graph.output("y", *y);
    for (i, value) in before.iter().enumerate().filter(|_| all) {
        graph.output(format!("value {i}"), *value);
    }
    graph
}

#[test]
fn each_rule_leaves_what_it_should() {
    for case in CASES.iter().chain(fused::CASES) {
        let (rewritten, log) = graph(case, false).rewritten();
        let left: Vec<&str> = rewritten.nodes().iter().map(|node| node.op.name()).collect();
        assert!(case.left.is_empty() || left == case.left, "{}: {left:?} {log:#?}", case.name);
    }
}

#[test]
fn what_rules_leave_computes_the_same() {
    for case in CASES.iter().chain(fused::CASES) {
        let shape: Vec<usize> = case.shape.iter().map(|&size| if size == BATCH { 2 } else { size }).collect();
        let x = random(77, shape);
        for tier in tiers() {
            let run = |all: bool| -> Vec<f32> {
                let model = Model::new(&tier.context, &graph(case, all)).and_then(|model| model.session(2));
                let outputs = model.and_then(|session| session.run_blocking(&[&x.data]));
                outputs.unwrap_or_else(|error| panic!("{}: {error}", case.name))[0].to_f32()
            };
            let (want, got) = (run(true), run(false));
            let largest = want.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let off = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= 4e-6 * largest, "{} on {}: off by {off} of {largest}", case.name, tier.name);
        }
    }
}

#[test]
fn the_log_tells_which_rule_changed_what() {
    let (_, log) = graph(&CASES[1], false).rewritten();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0].to_string(), "affine before layer: conv2d_1 (mul + conv2d -> conv2d)");
}

#[test]
fn a_layer_that_others_read_is_not_computed_twice() {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 6]);
    let a = graph.push(Linear::new(weight(3, [8, 6]), None), &[x]).expect("its shapes fit");
    let shift = value(&mut graph, 4, [8]);
    let b = graph.add(a, shift).expect("its shapes fit");
    let y = graph.mul(a, b).expect("its shapes fit");
    graph.output("y", y);
    let left: Vec<&str> = graph.fused().nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(left, ["linear", "add", "mul"]);
}
