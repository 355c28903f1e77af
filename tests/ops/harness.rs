//! Runs a graph on every tier of kernels that the adapter has, by every kernel that its operation offers, and compares what
//! comes out with the reference.

use crate::reference::Tensor;
use pollster::block_on;
use shadernet::graph::Input;
use shadernet::kernel::{Caps, Kernel, Place};
use shadernet::ops::{BatchNorm2d, Pad2d, PaddingMode};
use shadernet::{Constant, Context, ContextOptions, DType, Data, ErrorKind, Graph, Io, Model, Op, Shape, Value};
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// A choice of kernels, and where they run.
pub struct Tier {
    pub name: &'static str,
    pub context: Context,
}

/// The portable kernels; then those that the adapter gets by default, where they are others.
///
/// # Panics
/// If there is no adapter: a test that can't run must not look like one that passed.
pub fn tiers() -> &'static [Tier] {
    static TIERS: OnceLock<Vec<Tier>> = OnceLock::new();
    TIERS.get_or_init(|| {
        let context = |options: ContextOptions| {
            block_on(Context::with(&options)).unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
        };
        let portable = Tier { name: "portable", context: context(ContextOptions::from_env().portable()) };
        assert_eq!(portable.context.caps().lanes, None);
        let default = context(ContextOptions::from_env());
        match default.caps().lanes {
            Some(_) => vec![portable, Tier { name: "lanes", context: default }],
            None => vec![portable],
        }
    })
}

/// llvmpipe is where everybody can run these tests: its own kernels must be among what they run.
#[test]
fn llvmpipe_has_a_second_tier() {
    let info = tiers()[0].context.info();
    let lanes = info.name.contains("llvmpipe") && (info.subgroup_min_size, info.subgroup_max_size) == (8, 8);
    assert_eq!(tiers().iter().any(|tier| tier.context.caps().lanes == Some(8)), lanes, "{info:?}");
}

/// How far an operation's results may lie from the exact ones, relative to the largest of them.
#[derive(Clone, Copy, Debug)]
pub enum Tolerance {
    /// Not at all: what only moves, compares or picks numbers.
    Exact,
    /// A few roundings.
    Elementwise,
    /// A function that WGSL lets a driver approximate: `exp`, `tanh`, `pow`.
    Transcendental,
    /// A sum of so many products, in whatever order.
    Reduction(usize),
}

impl Tolerance {
    fn relative(self) -> f64 {
        let rounding = f64::from(f32::EPSILON);
        match self {
            Tolerance::Exact => 0.0,
            Tolerance::Elementwise => 4.0 * rounding,
            Tolerance::Transcendental => 1e-5,
            Tolerance::Reduction(terms) => 2.0 * rounding * (terms as f64).sqrt(),
        }
    }
}

/// Numbers in ±1 that depend on the seed and the shape alone.
pub fn random(seed: u64, shape: impl Into<Vec<usize>>) -> Tensor {
    let shape = shape.into();
    let data = shadernet::seeded_input(seed, &Shape::from(shape.clone()));
    Tensor::new(shape, data)
}

/// The same, with every 31st a thousand times as large.
pub fn outliers(seed: u64, shape: impl Into<Vec<usize>>) -> Tensor {
    let mut tensor = random(seed, shape);
    tensor.data.iter_mut().step_by(31).for_each(|value| *value *= 1e3);
    tensor
}

/// Numbers that deviate by about 1 from a mean of 10,000: what a sum of squares less the square of the sum can't tell apart.
pub fn far_from_zero(shape: impl Into<Vec<usize>>) -> Tensor {
    let mut tensor = random(1, shape);
    tensor.data.iter_mut().for_each(|value| *value = 1e4 + 2.0 * *value);
    tensor
}

pub fn constant(tensor: &Tensor) -> Constant {
    Constant::new("constant", tensor.shape.clone(), tensor.data.clone())
}

/// A graph of inputs of these tensors' shapes and what `build` makes of them.
pub fn graph(inputs: &[&Tensor], build: impl FnOnce(&mut Graph, &[Value]) -> shadernet::Result<Value>) -> Graph {
    let mut graph = Graph::new();
    let names = ["a", "b", "c", "d", "e"];
    let values: Vec<Value> = inputs
        .iter()
        .zip(names)
        .map(|(input, name)| graph.typed_input(name, input.dtype, input.shape.clone()))
        .collect();
    let y = build(&mut graph, &values).unwrap_or_else(|error| panic!("{error}"));
    graph.output("y", y);
    graph
}

/// The values as a session takes them.
fn data(tensor: &Tensor) -> Data {
    match tensor.dtype {
        DType::F32 => Data::F32(tensor.data.clone()),
        DType::I32 => Data::I32(tensor.data.iter().map(|&value| value as i32).collect()),
        DType::Bool => Data::Bool(tensor.data.iter().map(|&value| value != 0.0).collect()),
    }
}

/// The value itself, as an operation on images leaves it: channels last.
pub fn as_image(graph: &mut Graph, x: Value) -> shadernet::Result<Value> {
    let channels = graph.shape(x, 1)?[1];
    if graph.shape(x, 1)?.len() == 4 {
        return graph.push(Pad2d::new([0; 4], PaddingMode::Zeros), &[x]);
    }
    let all = |value: f32| Constant::new("identity", [channels], vec![value; channels]);
    graph.batch_norm(x, BatchNorm2d::new(all(1.0), all(0.0), all(0.0), all(1.0)).eps(0.0))
}

/// What an operation, or what it was built wrongly with, is refused for.
pub fn refused(inputs: &[&[usize]], op: impl Op) -> String {
    let mut graph = Graph::new();
    let inputs: Vec<Value> = inputs.iter().map(|&shape| graph.input("x", shape.to_vec())).collect();
    let name = op.name();
    let error = graph.push(op, &inputs).expect_err("it should be refused");
    assert!(matches!(error.kind, ErrorKind::Argument { .. } | ErrorKind::Unsupported(_)), "{error}");
    assert_eq!(error.at.as_ref().expect("an error names its node").0, name);
    error.to_string()
}

/// An operation that knows only one of its kernels.
#[derive(Debug)]
struct Only {
    op: Arc<dyn Op>,
    kernel: usize,
}

impl Op for Only {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.op.output_shapes(inputs)
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        self.op.output_dtypes(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(vec![self.op.kernels(io, caps)?.swap_remove(self.kernel)])
    }
}

/// Whether the device has textures as large as the kernel's values.
fn fits(kernel: &Kernel, io: &Io, caps: &Caps) -> bool {
    let placed = || io.inputs.iter().zip(&kernel.reads).chain(io.outputs.iter().zip(&kernel.writes));
    placed().filter(|(_, layout)| layout.place == Place::Texture).all(|(shape, layout)| {
        let (rows, width) = layout.texels(shape);
        rows.max(width) <= caps.max_texture as usize
    })
}

/// The graph once for each kernel that its operation has on such a device, if it is a single operation on its inputs.
fn variants(graph: &Graph, caps: &Caps) -> Vec<(Kernel, Graph)> {
    let fused = graph.fused();
    let [node] = fused.nodes() else { return Vec::new() };
    let inputs: Vec<Value> = fused.inputs().iter().map(|input| input.value).collect();
    if !node.inputs.iter().all(|value| inputs.contains(value)) {
        return Vec::new();
    }
    let mut kernels: Vec<(usize, Kernel)> = Vec::new();
    let each = fused.visit(1, |node, io| {
        let all = node.op.kernels(io, caps).map_err(|kind| kind.at(node.op.name(), &node.name))?;
        kernels = all.into_iter().enumerate().filter(|(_, kernel)| fits(kernel, io, caps)).collect();
        Ok(())
    });
    each.unwrap_or_else(|error| panic!("{error}"));
    assert!(!kernels.is_empty(), "{} has no kernel that fits", node.op.name());
    let only = |kernel: usize| {
        let mut graph = Graph::new();
        let own = |input: &Input| graph.typed_input(input.name.clone(), input.dtype, input.shape.clone());
        let values: Vec<Value> = fused.inputs().iter().map(own).collect();
        let of = |value: &Value| values[inputs.iter().position(|input| input == value).expect("it is one of them")];
        let read: Vec<Value> = node.inputs.iter().map(of).collect();
        let y = graph.push(Only { op: node.op.clone(), kernel }, &read).unwrap_or_else(|error| panic!("{error}"));
        graph.output("y", y);
        graph
    };
    kernels.into_iter().map(|(i, kernel)| (kernel, only(i))).collect()
}

/// What tells kernels apart that an earlier tier may have run already.
fn identity(kernel: &Kernel) -> String {
    let mut text = format!("{:?} {:?}", kernel.reads, kernel.writes);
    for dispatch in &kernel.dispatches {
        write!(text, " {} {:?} {:?}", dispatch.shader, dispatch.params, dispatch.workgroups).expect("it is a string");
    }
    text
}

/// Checks a graph of one output on every tier: as it is planned, and by each kernel that the planner could have taken if it is
/// one operation (after fusion).
pub fn check(case: &str, graph: &Graph, inputs: &[&Tensor], expected: &Tensor, tolerance: Tolerance) {
    let mut seen: Vec<String> = Vec::new();
    for tier in tiers() {
        let variants = variants(graph, tier.context.caps());
        if variants.is_empty() {
            check_on(tier, case, "as planned", graph, inputs, expected, tolerance);
        }
        for (kernel, graph) in &variants {
            let identity = identity(kernel);
            if !seen.contains(&identity) {
                let which = kernel.dispatches.first().map_or("a view".into(), |dispatch| dispatch.shader.to_string());
                check_on(tier, case, &which, graph, inputs, expected, tolerance);
                seen.push(identity);
            }
        }
    }
}

fn check_on(
    tier: &Tier,
    case: &str,
    kernel: &str,
    graph: &Graph,
    inputs: &[&Tensor],
    expected: &Tensor,
    tolerance: Tolerance,
) {
    let op = graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>().join(", ");
    let place = format!("{op}, case \"{case}\", tier {}, {kernel}", tier.name);
    let inputs: Vec<Data> = inputs.iter().map(|input| data(input)).collect();
    let session = Model::new(&tier.context, graph).and_then(|model| model.session(1));
    let session = session.unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(session.outputs()[0].shape[..], expected.shape, "{place}: the output's shape");
    assert_eq!(session.outputs()[0].dtype, expected.dtype, "{place}: the output's elements");
    let outputs = session.run_blocking(&inputs).unwrap_or_else(|error| panic!("{place}: {error}"));
    let got = outputs[0].to_f32();
    let largest = expected.data.iter().fold(0.0, |most: f64, &value| most.max(f64::from(value).abs()));
    let allowed = tolerance.relative() * largest;
    let off = |got: f32, want: f32| (f64::from(got) - f64::from(want)).abs();
    let bad = |&(_, (&got, &want)): &(usize, (&f32, &f32))| got != want && (off(got, want) > allowed || got.is_nan());
    let pairs = || got.iter().zip(&expected.data).enumerate();
    if let Some((i, (got, want))) = pairs().find(bad) {
        let strides = Shape::from(expected.shape.clone()).strides();
        let index: Vec<usize> = strides.iter().zip(&expected.shape).map(|(stride, size)| i / stride % size).collect();
        let many = pairs().filter(bad).count();
        panic!(
            "{place}: at {index:?} of {:?} got {got}, wanted {want} (within {allowed:.3e}); {many} such elements\n{}",
            expected.shape,
            session.plan(),
        );
    }
}

/// What all these tests rest on: that a wrong number fails, and says where.
#[test]
#[should_panic(
    expected = "relu, case \"one wrong\", tier portable, activation ACTIVATION=0: at [1, 0, 2] of [2, 2, 3] got 0.5"
)]
fn a_wrong_number_is_found() {
    let x = Tensor::new([2, 2, 3], vec![0.5; 12]);
    let mut expected = x.clone();
    expected.data[8] = 0.500001;
    let graph = graph(&[&x], |graph, x| graph.relu(x[0]));
    check("one wrong", &graph, &[&x], &expected, Tolerance::Elementwise);
}
