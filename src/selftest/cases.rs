//! Building blocks of the tables: tensors of chosen numbers, and graphs over them.

use super::reference::{self, Tensor};
use super::{Suite, Tolerance};
use crate::ops::{Activation, BatchNorm2d, Pad2d, PaddingMode};
use crate::{Constant, DType, Data, Graph, IntType, Result, Shape, Value, seeded_input};

/// Returns numbers in ±1 that depend on the seed and the shape alone.
pub fn random(seed: u64, shape: impl Into<Vec<usize>>) -> Tensor {
    let shape = shape.into();
    let data = seeded_input(seed, &Shape::from(shape.clone()));
    Tensor::new(shape, data)
}

/// Rounds a tensor to `f16`; a kernel that stores its values as `F16` then reads them exactly.
pub fn halves(tensor: &Tensor) -> Tensor {
    let rounded = tensor.data.iter().map(|&value| half::f16::from_f32(value).to_f32());
    Tensor { data: rounded.collect(), ..tensor.clone() }
}

/// Returns [`random`] numbers, every 31st of them a thousand times as large.
pub fn outliers(seed: u64, shape: impl Into<Vec<usize>>) -> Tensor {
    let mut tensor = random(seed, shape);
    tensor.data.iter_mut().step_by(31).for_each(|value| *value *= 1e3);
    tensor
}

/// Returns numbers that deviate by about 1 from a mean of 10,000: E(x²) - E(x)² loses all digits here.
pub fn far_from_zero(shape: impl Into<Vec<usize>>) -> Tensor {
    random(1, shape).map(|x| 1e4 + 2.0 * x)
}

/// Adds a residual and a leaky ReLU, in this order unless the residual is `last`: the two ends of an epilogue.
pub fn finished(graph: &mut Graph, y: Value, residual: Value, last: bool) -> Result<Value> {
    let relu = Activation::LeakyRelu(0.3);
    let y = if last { graph.activation(y, relu)? } else { y };
    let y = graph.add(residual, y)?;
    if last { Ok(y) } else { graph.activation(y, relu) }
}

/// Checks that the operation which `push` adds takes in a residual and an activation, in either order. `y` is what it
/// gives for the inputs `x`.
pub fn check_finished(
    t: &Suite,
    case: &str,
    x: &[&Tensor],
    y: &Tensor,
    push: impl Fn(&mut Graph, &[Value]) -> Result<Value>,
    tolerance: Tolerance,
) {
    let residual = random(4, y.shape.clone());
    let inputs = [x, &[&residual]].concat();
    for last in [false, true] {
        let both = graph(&inputs, |graph, inputs| {
            let (&residual, x) = inputs.split_last().expect("a residual is the last");
            let y = push(graph, x)?;
            finished(graph, y, residual, last)
        });
        t.expect_fused(&both, 1);
        t.check(case, &both, &inputs, &reference::finished(y, &residual, last), tolerance);
    }
}

/// Returns the tensor as a constant.
pub fn constant(tensor: &Tensor) -> Constant {
    Constant::known("constant", tensor.shape.clone(), data(tensor))
}

/// Returns integers in a type's range, its least and greatest among them, that depend on the seed and the shape alone.
pub fn whole(seed: u64, shape: impl Into<Vec<usize>>, of: IntType) -> Tensor {
    let [least, greatest] = of.range().map(f64::from);
    let mut numbers = random(seed, shape).map(|x| (least + (x + 1.0) / 2.0 * (greatest - least)).round());
    let count = numbers.data.len();
    numbers.data[count / 2] = least as f32;
    numbers.data[count / 3] = greatest as f32;
    numbers.with_dtype(DType::I32)
}

/// Packs integers as the weights of a type.
pub fn packed(tensor: &Tensor, of: IntType) -> Constant {
    let numbers: Vec<u32> = tensor.data.iter().map(|&value| value as i32 as u32).collect();
    let bytes: Vec<u8> = match of.bits() {
        4 => numbers.chunks(2).map(|pair| (pair[0] & 15 | pair.get(1).unwrap_or(&0) << 4) as u8).collect(),
        8 => numbers.iter().map(|&number| number as u8).collect(),
        _ => numbers.iter().flat_map(|&number| (number as u16).to_le_bytes()).collect(),
    };
    Constant::packed("packed", tensor.shape.clone(), of, move || bytes.clone())
}

/// Returns the tensor's values in the form that a session takes.
pub fn data(tensor: &Tensor) -> Data {
    match tensor.dtype {
        DType::F32 => Data::F32(tensor.data.clone()),
        DType::I32 => Data::I32(tensor.data.iter().map(|&value| value as i32).collect()),
        DType::Bool => Data::Bool(tensor.data.iter().map(|&value| value != 0.0).collect()),
    }
}

/// Builds a graph with inputs of these tensors' shapes and the output of `build`.
///
/// # Panics
/// Panics if the graph can't be built: that is a mistake in a table, whatever the device.
pub fn graph(inputs: &[&Tensor], build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value>) -> Graph {
    graph_of(inputs, |graph, x| Ok(vec![build(graph, x)?]))
}

/// Builds a graph of several outputs, as [`graph`] does for one.
///
/// # Panics
/// Panics if the graph can't be built.
pub fn graph_of(inputs: &[&Tensor], build: impl FnOnce(&mut Graph, &[Value]) -> Result<Vec<Value>>) -> Graph {
    let mut graph = Graph::new();
    let own = |(i, input): (usize, &&Tensor)| graph.typed_input(format!("x{i}"), input.dtype, input.shape.clone());
    let values: Vec<Value> = inputs.iter().enumerate().map(own).collect();
    let outputs = build(&mut graph, &values).unwrap_or_else(|error| panic!("{error}"));
    for (i, output) in outputs.into_iter().enumerate() {
        graph.output(format!("y{i}"), output);
    }
    graph
}

/// Builds a graph as [`graph`] does, of an operation between images: they are stored as operations on images store them.
///
/// # Panics
/// Panics if the graph can't be built.
pub fn graph_between_images(inputs: &[&Tensor], build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value>) -> Graph {
    let is_image = |input: &Tensor| input.dtype == DType::F32 && input.shape.len() == 4;
    graph(inputs, |graph, x| {
        let image = |(&x, input): (&Value, &&Tensor)| if is_image(input) { as_image(graph, x) } else { Ok(x) };
        let x = x.iter().zip(inputs).map(image).collect::<Result<Vec<_>>>()?;
        let y = build(graph, &x)?;
        as_image(graph, y)
    })
}

/// Returns the same value as an operation on images stores it: channels last.
pub fn as_image(graph: &mut Graph, x: Value) -> Result<Value> {
    let channels = graph.shape(x, 1)?[1];
    if graph.shape(x, 1)?.len() == 4 {
        return graph.push(Pad2d::new([0; 4], PaddingMode::Zeros), &[x]);
    }
    let all = |value: f32| Constant::known("identity", [channels], vec![value; channels]);
    graph.batch_norm(x, BatchNorm2d::new(all(1.0), all(0.0), all(0.0), all(1.0)).eps(0.0))
}
