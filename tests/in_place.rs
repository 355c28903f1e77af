//! Sums that overwrite an operand, on a GPU: every kernel gives the same result with and without overwriting.

use pollster::block_on;
use shadernet::ops::{Conv2d, Conv3d, ConvTranspose2d, MatMul};
use shadernet::plan::{Choices, Plan, Step};
use shadernet::{Context, ContextOptions, Graph, Model, Result, Value, Weights, seeded_input};
use std::collections::BTreeSet;

/// A function that maps a value to another of the same shape.
type Layers = fn(&mut Graph, Value) -> Result<Value>;

struct Case {
    x: &'static [usize],
    /// The layers between the residual and the addition.
    inner: Layers,
    /// The layers before and after the block.
    outer: Layers,
}

fn weight(shape: &[usize]) -> Result<shadernet::Constant> {
    Weights::seeded(0).get(&format!("{shape:?}.weight"), shape.to_vec())
}

fn conv2d(graph: &mut Graph, x: Value, out: usize, kernel: usize) -> Result<Value> {
    let channels = graph.shape(x, 1)?[1];
    graph.conv2d(x, Conv2d::new(weight(&[out, channels, kernel, kernel])?, None).padding(kernel / 2))
}

fn linear(graph: &mut Graph, x: Value, out: usize) -> Result<Value> {
    let features = graph.shape(x, 1)?.last().copied().unwrap_or(0);
    graph.linear(x, weight(&[out, features])?, None)
}

const CASES: [(&str, Case); 7] = [
    (
        "gemm",
        Case {
            x: &[2, 20, 19, 23],
            inner: |graph, x| {
                let x = conv2d(graph, x, 36, 3)?;
                conv2d(graph, x, 20, 3)
            },
            outer: |graph, x| conv2d(graph, x, 20, 1),
        },
    ),
    (
        "gemm_join",
        Case {
            x: &[9, 18],
            inner: |graph, x| {
                let x = linear(graph, x, 4100)?;
                linear(graph, x, 18)
            },
            outer: |graph, x| linear(graph, x, 18),
        },
    ),
    (
        "gemv",
        Case {
            x: &[3, 70],
            inner: |graph, x| {
                let x = linear(graph, x, 130)?;
                linear(graph, x, 70)
            },
            outer: |graph, x| linear(graph, x, 70),
        },
    ),
    (
        "gemm",
        Case {
            x: &[2, 13, 42],
            // The product's second operand is an input too.
            inner: |graph, x| {
                let narrow = linear(graph, x, 7)?;
                let scores = graph.push(MatMul::new().transpose_b(), &[narrow, narrow])?;
                let values = linear(graph, narrow, 42)?;
                graph.matmul(scores, values)
            },
            outer: |graph, x| linear(graph, x, 42),
        },
    ),
    (
        "depthwise",
        Case {
            x: &[2, 9, 11, 13],
            inner: |graph, x| {
                let x = conv2d(graph, x, 9, 1)?;
                graph.conv2d(x, Conv2d::new(weight(&[9, 1, 3, 3])?, None).padding(1).groups(9))
            },
            outer: |graph, x| conv2d(graph, x, 9, 1),
        },
    ),
    (
        "conv_transpose",
        Case {
            x: &[2, 6, 7, 9],
            inner: |graph, x| {
                let x = conv2d(graph, x, 10, 1)?;
                graph.conv_transpose2d(x, ConvTranspose2d::new(weight(&[10, 6, 3, 3])?, None).padding(1))
            },
            outer: |graph, x| conv2d(graph, x, 6, 1),
        },
    ),
    (
        "gemm",
        Case {
            x: &[2, 5, 4, 5, 6],
            inner: |graph, x| {
                let x = graph.conv3d(x, Conv3d::new(weight(&[7, 5, 1, 1, 1])?, None))?;
                graph.conv3d(x, Conv3d::new(weight(&[5, 7, 3, 3, 3])?, None).padding(1))
            },
            outer: |graph, x| graph.conv3d(x, Conv3d::new(weight(&[5, 5, 1, 1, 1])?, None)),
        },
    ),
];

impl Case {
    /// Builds the block. With `kept`, a later operation reads the residual again.
    fn graph(&self, kept: bool) -> Result<Graph> {
        let mut graph = Graph::new();
        let x = graph.input("x", self.x.to_vec());
        let residual = (self.outer)(&mut graph, x)?;
        let y = (self.inner)(&mut graph, residual)?;
        let y = graph.add(y, residual)?;
        let y = graph.relu(y)?;
        let y = (self.outer)(&mut graph, y)?;
        graph.output("y", y);
        if kept {
            let again = (self.outer)(&mut graph, residual)?;
            graph.output("kept", again);
        }
        Ok(graph)
    }
}

/// Returns the step that overwrites an operand of its sum, and the overwriting shader.
fn sum(plan: &Plan) -> Option<(&Step, String)> {
    let of = |step: &Step| step.dispatches.iter().map(|(dispatch, _)| dispatch.shader.to_string()).collect::<Vec<_>>();
    let mut shaders = plan.steps.iter().flat_map(|step| of(step).into_iter().map(move |shader| (step, shader)));
    shaders.find(|(_, shader)| shader.ends_with(" in place"))
}

#[test]
fn a_sum_is_the_same_in_place() {
    let context = block_on(Context::with(&ContextOptions::from_env().portable()));
    let context = context.unwrap_or_else(|error| panic!("this test needs a GPU adapter: {error}"));
    let mut seen = BTreeSet::new();
    for (name, case) in &CASES {
        let graph = |kept: bool| case.graph(kept).unwrap_or_else(|error| panic!("{name}: {error}"));
        let model = |kept: bool| Model::new(&context, &graph(kept)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let inputs = [seeded_input(1, &case.x.into())];
        let run = |model: &Model, choices: &Choices| {
            let session = model.session_with(1, choices).unwrap_or_else(|error| panic!("{name}: {error}"));
            let outputs = session.run_blocking(&inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
            (sum(session.plan()).map(|(_, shader)| shader), outputs[0].f32().expect("it is f32s").to_vec())
        };
        let (kept, overwritten) = (model(true), model(false));
        let plan = Plan::new(&graph(false).fused(), 1, context.caps()).unwrap_or_else(|error| panic!("{error}"));
        let (step, _) = sum(&plan).unwrap_or_else(|| panic!("{name}: nothing is overwritten\n{plan}"));
        let (problem, kernels) = match &step.variants {
            Some(variants) => (variants.problem.clone(), variants.kernels.clone()),
            None => (String::new(), vec![String::new()]),
        };
        for kernel in kernels {
            let choices = [(problem.clone(), kernel.clone())].into_iter().collect();
            let ((none, expected), (shader, got)) = (run(&kept, &choices), run(&overwritten, &choices));
            assert_eq!(none, None, "{name} {kernel}");
            seen.insert(shader.unwrap_or_else(|| panic!("{name} {kernel}: nothing is overwritten")));
            let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
            assert!(largest > 0.0 && largest.is_finite(), "{name} {kernel}: {largest}");
            let off = expected.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= 1e-6 * largest, "{name} {kernel}: {off} of {largest} off");
        }
    }
    for (name, _) in &CASES {
        assert!(seen.iter().any(|shader| shader.split(' ').next() == Some(name)), "{name} is not in {seen:?}");
    }
    assert!(seen.iter().any(|shader| shader.contains("DEEP=1")), "a convolution over volumes: {seen:?}");
    let tiles = seen.iter().filter(|shader| shader.starts_with("gemm TILE_M=")).count();
    assert!(tiles > 1, "several tiles: {seen:?}");
}
