//! What the tables are made with: tensors of chosen numbers, graphs between them.

use super::reference::Tensor;
use crate::ops::{BatchNorm2d, Pad2d, PaddingMode};
use crate::{Constant, DType, Data, Graph, IntType, Result, Shape, Value, seeded_input};

/// Numbers in ±1 that depend on the seed and the shape alone.
pub fn random(seed: u64, shape: impl Into<Vec<usize>>) -> Tensor {
    let shape = shape.into();
    let data = seeded_input(seed, &Shape::from(shape.clone()));
    Tensor::new(shape, data)
}

/// The same numbers rounded to `f16`: what a kernel that stores its values so can read exactly.
pub fn halves(tensor: &Tensor) -> Tensor {
    let rounded = tensor.data.iter().map(|&value| half::f16::from_f32(value).to_f32());
    Tensor { data: rounded.collect(), ..tensor.clone() }
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

/// The tensor as a constant.
pub fn constant(tensor: &Tensor) -> Constant {
    match data(tensor) {
        Data::I32(values) => Constant::integers("constant", tensor.shape.clone(), values),
        _ => Constant::new("constant", tensor.shape.clone(), tensor.data.clone()),
    }
}

/// Whole numbers in the range of a type, the least and the greatest among them, that depend on the seed and the shape alone.
pub fn whole(seed: u64, shape: impl Into<Vec<usize>>, of: IntType) -> Tensor {
    let [least, greatest] = of.range().map(f64::from);
    let mut numbers = random(seed, shape).map(|x| (least + (x + 1.0) / 2.0 * (greatest - least)).round());
    let count = numbers.data.len();
    numbers.data[count / 2] = least as f32;
    numbers.data[count / 3] = greatest as f32;
    numbers.of(DType::I32)
}

/// Whole numbers as packed weights.
pub fn packed(tensor: &Tensor, of: IntType) -> Constant {
    let numbers: Vec<u32> = tensor.data.iter().map(|&value| value as i32 as u32).collect();
    let bytes: Vec<u8> = match of.bits() {
        4 => numbers.chunks(2).map(|pair| (pair[0] & 15 | pair.get(1).unwrap_or(&0) << 4) as u8).collect(),
        8 => numbers.iter().map(|&number| number as u8).collect(),
        _ => numbers.iter().flat_map(|&number| (number as u16).to_le_bytes()).collect(),
    };
    Constant::packed("packed", tensor.shape.clone(), of, move || bytes.clone())
}

/// The values as a session takes them.
pub fn data(tensor: &Tensor) -> Data {
    match tensor.dtype {
        DType::F32 => Data::F32(tensor.data.clone()),
        DType::I32 => Data::I32(tensor.data.iter().map(|&value| value as i32).collect()),
        DType::Bool => Data::Bool(tensor.data.iter().map(|&value| value != 0.0).collect()),
    }
}

/// A graph of inputs of these tensors' shapes and what `build` makes of them.
///
/// # Panics
/// If it can't be built: that is a mistake in a table, whatever the device.
pub fn graph(inputs: &[&Tensor], build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value>) -> Graph {
    graph_of(inputs, |graph, x| Ok(vec![build(graph, x)?]))
}

/// The same, with several outputs.
///
/// # Panics
/// If it can't be built.
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

/// The value itself, as an operation on images leaves it: channels last.
pub fn as_image(graph: &mut Graph, x: Value) -> Result<Value> {
    let channels = graph.shape(x, 1)?[1];
    if graph.shape(x, 1)?.len() == 4 {
        return graph.push(Pad2d::new([0; 4], PaddingMode::Zeros), &[x]);
    }
    let all = |value: f32| Constant::new("identity", [channels], vec![value; channels]);
    graph.batch_norm(x, BatchNorm2d::new(all(1.0), all(0.0), all(0.0), all(1.0)).eps(0.0))
}
