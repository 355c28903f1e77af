//! Parameters, multiply-accumulates, activations, bytes and receptive fields, layer by layer.

use super::receptive_field::{Fields, ReceptiveField};
use crate::error::{ErrorKind, Result};
use crate::graph::{Node, Source, Value};
use crate::kernel::Scalar;
use crate::{Constant, Cost, DType, Graph, Metrics, Precision, Shape};
use serde::Serialize;
use std::collections::HashSet;

/// The cost of a graph for a batch, by the definitions of MIT's course on efficient deep learning (6.5940, lecture 2).
/// It describes the graph as built; the steps of a [`Plan`](crate::plan::Plan) also know the bytes that fusion saves.
///
/// ```
/// use shadernet::{Weights, measure::Summary, models};
/// let graph = models::find("alexnet_original")?.graph(&Weights::seeded(0), None)?;
/// let summary = Summary::new(&graph, 1)?;
/// assert_eq!(summary.weights, 60_954_656);
/// assert_eq!(summary.macs, 724_406_816);
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The stored form that bytes are counted for, as if every operation could have it: a plan may hold more as `f32`s.
    pub precision: Precision,
    /// The operations, in order.
    pub layers: Vec<Layer>,
    /// Learned numbers that multiply: weights without biases. Weights that several operations share count once.
    pub weights: u64,
    /// All learned numbers, including biases and normalisation. Numbers that several operations share count once. A
    /// constant that operations read as an operand counts the numbers that it was [learned](Constant::parameters) from.
    pub parameters: u64,
    /// The bytes of all parameters: packed integers as they are, weights at the precision, the others as `f32`s.
    pub parameter_bytes: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Arithmetic other than multiply-accumulates: see [`Cost::other`].
    pub other: u64,
    /// Floating-point operations: a multiply-accumulate counts as two.
    pub flops: u64,
    /// Bytes moved between memory and the processor, each operation on its own: see [`Cost::bytes`], with two for a value
    /// or a weight that is an `f16`.
    pub bytes: u64,
    /// Elements of the inputs and of all outputs that are held in memory of their own: see [`Cost::activations`].
    pub activations_total: u64,
    /// The largest number of elements that one of these operations reads and writes.
    pub activations_peak: u64,
    /// The bytes of `activations_total`.
    pub activations_total_bytes: u64,
    /// The most bytes that one of these operations reads and writes.
    pub activations_peak_bytes: u64,
}

/// The cost of one operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// The name: in a network, the name of the weights.
    pub name: String,
    /// The operation.
    pub op: &'static str,
    /// The shapes of the inputs.
    pub input_shapes: Vec<Shape>,
    /// The shape of the first output.
    pub output_shape: Shape,
    /// The weights, parameters and arithmetic. A learned constant's parameters belong to its first reader.
    pub cost: Cost,
    /// The fewest bytes that it can move: see [`Summary::bytes`].
    pub bytes: u64,
    /// The elements that it reads and writes if its outputs are [held in memory of their own](Cost::activations), else
    /// 0. The largest is the peak.
    pub activations_read_and_written: u64,
    /// The outputs' field in the graph's first input; `None` if they don't depend on it, or it has no pixels.
    pub receptive_field: Option<ReceptiveField>,
}

impl Layer {
    /// Returns the floating-point operations: see [`Cost::flops`].
    pub fn flops(&self) -> u64 {
        self.cost.flops()
    }

    /// Returns the arithmetic intensity in floating-point operations per byte; `None` if no bytes move.
    pub fn intensity(&self) -> Option<f64> {
        intensity(self.flops(), self.bytes)
    }
}

/// An estimate of the energy for a frame, in joules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// The energy of additions and multiplications.
    pub arithmetic: f64,
    /// The energy of DRAM accesses.
    pub memory: f64,
}

impl Summary {
    /// The storage types of parameters, with the bits of each.
    pub const STORAGE: [(&'static str, u32); 4] = [("f32", 32), ("f16", 16), ("int8", 8), ("int4", 4)];

    /// Returns the cost of a graph for the batch size `batch`, as built, without fusion. It needs no GPU.
    pub fn new(graph: &Graph, batch: usize) -> Result<Summary> {
        Summary::with_precision(graph, batch, Precision::F32)
    }

    /// Returns the cost of a graph, with the bytes of numbers stored so: only bytes depend on it.
    pub fn with_precision(graph: &Graph, batch: usize, precision: Precision) -> Result<Summary> {
        if batch == 0 {
            return Err(ErrorKind::argument("batch", "1 or more", 0).into());
        }
        let mut summary = Summary {
            precision,
            layers: Vec::new(),
            weights: 0,
            parameters: 0,
            parameter_bytes: 0,
            macs: 0,
            other: 0,
            flops: 0,
            bytes: 0,
            activations_total: 0,
            activations_peak: 0,
            activations_total_bytes: 0,
            activations_peak_bytes: 0,
        };
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        // Returns the elements of these values that are `f16`s.
        let halves = |values: &[Value], shapes: &[Shape]| -> u64 {
            let is_half = |value: Value| precision.values() == Scalar::F16 && graph.known_dtype(value) == DType::F32;
            let each = values.iter().zip(shapes).filter(|(value, _)| is_half(**value));
            each.fold(0, |sum: u64, (_, shape)| sum.saturating_add(shape.elements() as u64))
        };
        let bytes_of = |elements: u64, halves: u64| elements.saturating_mul(4).saturating_sub(halves.saturating_mul(2));
        let halved = |weights: u64| if precision.weights() == Scalar::F16 { weights } else { 0 };
        for input in graph.inputs() {
            let shape = input.shape.with_batch(batch);
            let elements = shape.elements() as u64;
            add(&mut summary.activations_total, elements);
            add(&mut summary.activations_total_bytes, bytes_of(elements, halves(&[input.value], &[shape])));
        }
        let (mut counted, mut multiply, mut fields) = (HashSet::new(), HashSet::new(), Fields::new(graph));
        graph.visit(batch, |node, io| {
            let Metrics { mut cost, parameters, .. } = node.op.metrics(io);
            let [read, written] = [halves(&node.inputs, io.inputs), halves(&node.outputs, io.outputs)];
            // Weights of integers stay packed.
            let packed = parameters.iter().any(|constant| constant.dtype() != DType::F32);
            let weights = if packed { 0 } else { halved(cost.weights) };
            let bytes = cost.stored_bytes(cost.bytes(io), [read, written, weights], io.written());
            let elements = |constant: &Constant| constant.shape().elements() as u64;
            // Biases have one dimension. A weight may have been counted as a parameter of an operation that only reads rows.
            let weighs = |constant: &&Constant| cost.weights > 0 && constant.shape().len() > 1;
            let again = parameters.iter().copied().filter(weighs).filter(|constant| !multiply.insert(constant.id()));
            let again: u64 = again.map(elements).sum();
            let (held, mut parameters, mut saved) = (parameters, cost.parameters, 0);
            for constant in held {
                match counted.insert(constant.id()) {
                    true => saved += saved_by_packing(constant),
                    false => parameters = parameters.saturating_sub(elements(constant)),
                }
            }
            let operands = constants(graph, node).filter(|constant| constant.parameters() > 0);
            for constant in operands.filter(|constant| counted.insert(constant.id())) {
                cost.parameters += constant.parameters();
                parameters += constant.parameters();
                saved += saved_by_packing(constant);
            }
            add(&mut summary.weights, cost.weights.saturating_sub(again));
            add(&mut summary.parameters, parameters);
            add(&mut summary.parameter_bytes, bytes_of(parameters, weights.min(parameters)).saturating_sub(saved));
            add(&mut summary.macs, cost.macs);
            add(&mut summary.other, cost.other);
            add(&mut summary.flops, cost.flops());
            add(&mut summary.bytes, bytes);
            let mut activations_read_and_written = 0;
            if cost.activations {
                add(&mut summary.activations_total, io.written());
                add(&mut summary.activations_total_bytes, bytes_of(io.written(), written));
                activations_read_and_written = io.read().saturating_add(io.written());
                let bytes = bytes_of(activations_read_and_written, read.saturating_add(written));
                summary.activations_peak_bytes = summary.activations_peak_bytes.max(bytes);
            }
            summary.activations_peak = summary.activations_peak.max(activations_read_and_written);
            summary.layers.push(Layer {
                name: node.name.clone(),
                op: node.op.name(),
                input_shapes: io.inputs.to_vec(),
                output_shape: io.outputs[0].clone(),
                cost,
                bytes,
                activations_read_and_written,
                receptive_field: fields.visit(node, io),
            });
            Ok(())
        })?;
        Ok(summary)
    }

    /// Returns the bytes of all parameters with `bits` bits each: see [`Summary::STORAGE`].
    pub fn model_bytes(&self, bits: u32) -> u64 {
        self.parameters.saturating_mul(bits.into()).div_ceil(8)
    }

    /// Returns the arithmetic intensity in floating-point operations per byte; `None` if no bytes move.
    pub fn intensity(&self) -> Option<f64> {
        intensity(self.flops, self.bytes)
    }

    /// Estimates (never measures) the energy on a chip of 2014: 45 nm, 0.9 pJ for an `f32` addition, 3.7 pJ for a
    /// multiplication, 640 pJ for 32 bits from DRAM (Horowitz, "Computing's Energy Problem", ISSCC 2014). A
    /// multiply-accumulate counts as one of each, all other arithmetic as additions, and no cache saves anything.
    pub fn energy_estimate(&self) -> Energy {
        const ADDITION: f64 = 0.9e-12;
        const MULTIPLICATION: f64 = 3.7e-12;
        const WORD: f64 = 640e-12;
        let (macs, other, words) = (self.macs as f64, self.other as f64, self.bytes as f64 / 4.0);
        Energy { arithmetic: macs * (ADDITION + MULTIPLICATION) + other * ADDITION, memory: words * WORD }
    }
}

/// Returns the constants that a node reads as operands.
fn constants<'a>(graph: &'a Graph, node: &Node) -> impl Iterator<Item = &'a Constant> {
    let inputs = node.inputs.clone();
    inputs.into_iter().filter_map(|value| match graph.source(value) {
        Source::Constant(constant) => Some(constant),
        _ => None,
    })
}

/// Returns the bytes by which a constant's packed integers are smaller than as many `f32`s.
fn saved_by_packing(constant: &Constant) -> u64 {
    let elements = constant.shape().elements();
    constant.int_type().map_or(0, |of| elements.saturating_mul(4).saturating_sub(of.bytes(elements)) as u64)
}

fn intensity(flops: u64, bytes: u64) -> Option<f64> {
    (bytes > 0).then(|| flops as f64 / bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BATCH, Weights, models};

    fn named(name: &str, batch: usize) -> Summary {
        let graph = models::find(name).unwrap().graph(&Weights::seeded(0), None).unwrap();
        Summary::new(&graph, batch).unwrap()
    }

    #[test]
    fn alexnet_costs_what_the_lecture_says() {
        let summary = named("alexnet_original", 1);
        assert_eq!((summary.weights, summary.macs), (60_954_656, 724_406_816));
        assert_eq!((summary.activations_total, summary.activations_peak), (932_264, 440_928));
    }

    #[test]
    fn weights_are_shared_by_a_batch_and_the_rest_is_not() {
        let (one, four) = (named("resnet18", 1), named("resnet18", 4));
        assert_eq!((one.parameters, one.weights), (four.parameters, four.weights));
        assert_eq!((4 * one.macs, 4 * one.activations_total), (four.macs, four.activations_total));
        // torchvision's figure.
        assert_eq!(one.parameters, 11_689_512);
    }

    /// Both layers of this network have one weight.
    #[test]
    fn weights_that_layers_share_count_once() {
        let weight = Constant::new("w", [8, 8], vec![0.5; 64]).unwrap();
        let mut graph = Graph::new();
        let mut x = graph.input("x", [BATCH, 8]);
        for _ in 0..2 {
            x = graph.linear(x, weight.clone(), None).unwrap();
        }
        graph.output("y", x);
        let summary = Summary::new(&graph, 1).unwrap();
        assert_eq!((summary.weights, summary.parameters, summary.macs), (64, 64, 128));
    }

    #[test]
    fn what_works_in_place_is_not_counted() {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 3, 4, 4]);
        let y = graph.relu(x).unwrap();
        let y = graph.add(x, y).unwrap();
        graph.output("y", y);
        let summary = Summary::new(&graph, 2).unwrap();
        assert_eq!((summary.activations_total, summary.activations_peak), (96, 0));
        assert!(Summary::new(&graph, 0).is_err());
    }
}
