//! A graph of operations, with shapes inferred as it is built. It knows nothing of devices.

pub mod constant;
pub mod fuse;
pub mod op;

use crate::error::{Error, ErrorKind, Result};
use crate::shape::{BATCH, Shape};
use constant::Constant;
use op::{Io, Op};
use std::sync::Arc;

/// A value of a [`Graph`]: an input, a constant, or an output of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) u32);

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An input.
    Input,
    /// A constant.
    Constant(Constant),
    /// An output of the node of that index.
    Node(usize),
}

/// An operation at its place in a graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name: in a network, the name of its weights.
    pub name: String,
    /// The operation.
    pub op: Arc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// What it gives.
    pub outputs: Vec<Value>,
}

/// An input of a graph.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its shape; a first size of [`BATCH`] is the session's batch.
    pub shape: Shape,
    /// Its value.
    pub value: Value,
}

/// Operations and the values between them, in an order in which they can run.
///
/// A graph is built once for any batch: an input's first size is [`BATCH`], the [`Session`](crate::Session) says
/// what it is. Each operation has a method that adds it, in the file of the operation:
///
/// ```
/// use shadernet::{BATCH, Constant, Graph};
/// let mut graph = Graph::new();
/// let x = graph.input("x", [BATCH, 4]);
/// let y = graph.linear(x, Constant::new("w", [2, 4], vec![1.0; 8]), None)?;
/// let y = graph.relu(y)?;
/// graph.output("y", y);
/// assert_eq!(graph.shape(y, 3)?.to_string(), "[3, 2]");
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    sources: Vec<Source>,
    /// For a batch of 1.
    shapes: Vec<Shape>,
    inputs: Vec<Input>,
    outputs: Vec<(String, Value)>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    fn value(&mut self, source: Source, shape: Shape) -> Value {
        self.sources.push(source);
        self.shapes.push(shape);
        Value(self.sources.len() as u32 - 1)
    }

    /// An input; [`BATCH`] as its first size stands for the session's batch.
    pub fn input(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> Value {
        let shape = shape.into();
        let value = self.value(Source::Input, shape.with_batch(1));
        self.inputs.push(Input { name: name.into(), shape, value });
        value
    }

    /// Makes a value an output, under a name.
    pub fn output(&mut self, name: impl Into<String>, value: Value) {
        self.outputs.push((name.into(), value));
    }

    /// A constant as a value that operations read like any other.
    pub fn constant(&mut self, constant: Constant) -> Value {
        let shape = constant.shape().clone();
        self.value(Source::Constant(constant), shape)
    }

    /// Adds an operation under a name and returns its outputs; an error if it doesn't take such inputs.
    pub fn add(&mut self, name: impl Into<String>, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>> {
        let (name, op): (String, Arc<dyn Op>) = (name.into(), Arc::new(op));
        let at = |kind: ErrorKind| kind.at(op.name(), &name);
        self.check_own(inputs).map_err(at)?;
        let shapes: Vec<Shape> = inputs.iter().map(|&v| self.shapes[v.0 as usize].clone()).collect();
        check_elements(&shapes).map_err(at)?;
        let outputs = op.output_shapes(&shapes).map_err(at)?;
        check_elements(&outputs).map_err(at)?;
        let node = self.nodes.len();
        let outputs = outputs.into_iter().map(|shape| self.value(Source::Node(node), shape)).collect::<Vec<_>>();
        self.nodes.push(Node { name, op, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// Checks that values are of this graph, as far as their numbers tell.
    fn check_own(&self, values: &[Value]) -> Result<(), ErrorKind> {
        match values.iter().find(|value| value.0 as usize >= self.shapes.len()) {
            None => Ok(()),
            Some(_) => Err(ErrorKind::argument("inputs", "values of this graph", "another graph's")),
        }
    }

    /// Adds an operation of one output, under a name of the graph's choice.
    pub fn push(&mut self, op: impl Op, inputs: &[Value]) -> Result<Value> {
        let name = format!("{}_{}", op.name(), self.nodes.len());
        Ok(self.add(name, op, inputs)?[0])
    }

    /// Renames the node that gives `value`.
    pub fn rename(&mut self, value: Value, name: impl Into<String>) {
        if let Some(&Source::Node(node)) = self.sources.get(value.0 as usize) {
            self.nodes[node].name = name.into();
        }
    }

    /// The shape of a value when the batch is `batch`.
    pub fn shape(&self, value: Value, batch: usize) -> Result<Shape> {
        self.check_own(&[value])?;
        Ok(self.shapes(batch)?[value.0 as usize].clone())
    }

    /// The shapes of all values when the batch is `batch`, by the index of the value.
    pub(crate) fn shapes(&self, batch: usize) -> Result<Vec<Shape>> {
        if batch == 0 || batch == BATCH {
            return Err(ErrorKind::argument("batch", "1 or more", 0).into());
        }
        self.outputs.iter().try_for_each(|(_, value)| self.check_own(&[*value]))?;
        let mut shapes = self.shapes.clone();
        for input in &self.inputs {
            shapes[input.value.0 as usize] = input.shape.with_batch(batch);
        }
        for node in &self.nodes {
            let inputs: Vec<Shape> = node.inputs.iter().map(|v| shapes[v.0 as usize].clone()).collect();
            let outputs = node.op.output_shapes(&inputs).map_err(|kind| kind.at(node.op.name(), node.name.clone()))?;
            for (value, shape) in node.outputs.iter().zip(outputs) {
                shapes[value.0 as usize] = shape;
            }
        }
        Ok(shapes)
    }

    /// Calls `f` with each node and the shapes of its inputs and outputs, in order.
    pub fn visit(&self, batch: usize, mut f: impl FnMut(&Node, &Io) -> Result<(), Error>) -> Result<()> {
        let shapes = self.shapes(batch)?;
        let of = |values: &[Value]| values.iter().map(|v| shapes[v.0 as usize].clone()).collect::<Vec<_>>();
        self.nodes.iter().try_for_each(|node| f(node, &Io { inputs: &of(&node.inputs), outputs: &of(&node.outputs) }))
    }

    /// The nodes, in an order in which they can run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The inputs, in the order of their creation.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The outputs, in the order in which they were named.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    pub(crate) fn source(&self, value: Value) -> &Source {
        &self.sources[value.0 as usize]
    }
}

/// Checks that no tensor is empty: there would be nothing to bind.
fn check_elements(shapes: &[Shape]) -> Result<(), ErrorKind> {
    match shapes.iter().find(|shape| shape.elements() == 0) {
        None => Ok(()),
        Some(shape) => Err(ErrorKind::Unsupported(format!("a tensor without elements, {shape}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;
    use crate::ops::Activation;

    #[test]
    fn values_of_another_graph_and_empty_tensors_are_refused() {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 3]);
        let y = graph.relu(x).unwrap();
        let mut other = Graph::new();
        assert!(other.relu(y).unwrap_err().to_string().contains("another graph's"));
        other.output("y", y);
        assert!(other.shape(y, 1).is_err() && other.shapes(1).is_err());
        other.rename(y, "nobody");

        let empty = graph.input("empty", [BATCH, 0]);
        let error = graph.activation(empty, Activation::Tanh).unwrap_err().to_string();
        assert!(error.contains("without elements, [1, 0]"), "{error}");
        let none = Weights::seeded(0).get("none", [0, 3]).unwrap();
        assert!(graph.linear(y, none, None).is_err());
        // More elements than a machine word counts are refused by the limits, not by a panic.
        assert!(graph.shape(y, usize::MAX / 2).unwrap().elements() == usize::MAX);
    }
}
