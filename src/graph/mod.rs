//! A graph of operations, with shapes inferred as it is built. It knows nothing of devices.

// Long because it is one type, `Graph`, with the methods that build it and those that ask for its parts.

pub(crate) mod constant;
mod identity;
mod kept;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod only;
pub(crate) mod op;
mod open_batch;
pub(crate) mod rewrite;

use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Precision;
use crate::shape::{BATCH, Shape};
use constant::Constant;
pub(crate) use kept::Kept;
use op::{Io, Op};
use std::collections::HashMap;
use std::sync::Arc;

/// A value of a [`Graph`]: an input, a constant, or an output of a node. Other graphs refuse it.
///
/// A clone of the graph, and the graph that [`Graph::rewritten`] returns, keep the values that existed before. They
/// refuse a value that was added to another clone afterwards. A value that a rule removed is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    graph: u32,
    index: u32,
}

impl Value {
    /// Returns the index of the value among those of its graph.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

/// The origin of a value.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An input.
    Input,
    /// A constant.
    Constant(Constant),
    /// The state of that index.
    State(usize),
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
    /// The values that the node reads.
    pub inputs: Vec<Value>,
    /// The values that the node gives.
    pub outputs: Vec<Value>,
}

/// Memory of a [`Graph`] that outlives a frame, such as the keys and values of earlier tokens. It holds zeros at first,
/// then the content that [`Graph::update`] or [`Graph::assign`] left.
///
/// Both consume the state, so that a frame changes it once. [`State::value`] gives the content at the frame's start:
///
/// ```
/// use shadernet::{BATCH, Constant, Graph};
/// let mut graph = Graph::new();
/// let x = graph.input("x", [BATCH, 4]);
/// let mean = graph.state("mean", [BATCH, 4]);
/// let old = graph.constant(Constant::new("share of the old", [1], vec![0.9])?);
/// let new = graph.constant(Constant::new("share of the new", [1], vec![0.1])?);
/// let (old, new) = (graph.mul(mean.value(), old)?, graph.mul(x, new)?);
/// let moved = graph.add(old, new)?;
/// graph.assign(mean, moved)?;
/// graph.output("mean", moved);
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Debug)]
pub struct State(Value);

impl State {
    /// Returns the content of the state at the start of a frame. This value doesn't change within the frame: its
    /// readers see the old content wherever they stand in the graph.
    pub fn value(&self) -> Value {
        self.0
    }
}

/// An input or a state of a graph.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its shape; a first size of [`BATCH`] is the session's batch.
    pub shape: Shape,
    /// The type of its elements.
    pub dtype: DType,
    /// Its value.
    pub value: Value,
}

/// Operations and the values between them, in an order in which they can run.
///
/// A graph is built once for any batch: an input's first size is [`BATCH`], which the [`Session`](crate::Session) sets.
/// Each operation has a method that adds it, in the operation's file:
///
/// ```
/// use shadernet::{BATCH, Constant, Graph};
/// let mut graph = Graph::new();
/// let x = graph.input("x", [BATCH, 4]);
/// let y = graph.linear(x, Constant::new("w", [2, 4], vec![1.0; 8])?, None)?;
/// let y = graph.relu(y)?;
/// graph.output("y", y);
/// assert_eq!(graph.shape(y, 3)?.to_string(), "[3, 2]");
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Debug)]
pub struct Graph {
    /// The number that tells the values that were added to this graph from those of other graphs, its clones too.
    id: u32,
    /// The number of each graph whose clone this is, and how many values it had then: they are this graph's too.
    origins: Vec<(u32, usize)>,
    nodes: Vec<Node>,
    sources: Vec<Source>,
    /// The shapes for a batch of 1.
    shapes: Vec<Shape>,
    /// The shapes for a batch of 2, while rules rewrite a graph whose batch is open.
    shapes_of_two: Option<Vec<Shape>>,
    dtypes: Vec<DType>,
    inputs: Vec<Input>,
    states: Vec<Input>,
    /// The index of each changed state, with the value that the state holds when a frame ends.
    updates: Vec<(usize, Value)>,
    outputs: Vec<(String, Value)>,
    precision: Precision,
    /// The values that are `f32`s at every precision.
    kept: HashMap<Value, Kept>,
}

impl Default for Graph {
    fn default() -> Graph {
        Graph::new()
    }
}

impl Graph {
    /// Returns an empty graph.
    pub fn new() -> Graph {
        Graph {
            id: identity::next(),
            origins: Vec::new(),
            nodes: Vec::new(),
            sources: Vec::new(),
            shapes: Vec::new(),
            shapes_of_two: None,
            dtypes: Vec::new(),
            inputs: Vec::new(),
            states: Vec::new(),
            updates: Vec::new(),
            outputs: Vec::new(),
            precision: Precision::F32,
            kept: HashMap::new(),
        }
    }

    fn value(&mut self, source: Source, shape: Shape, dtype: DType) -> Value {
        self.shapes_of_two.iter_mut().for_each(|shapes| shapes.push(shape.clone()));
        self.sources.push(source);
        self.shapes.push(shape);
        self.dtypes.push(dtype);
        Value { graph: self.id, index: self.sources.len() as u32 - 1 }
    }

    /// Adds an input of `f32`s; [`BATCH`] as its first size stands for the session's batch.
    pub fn input(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> Value {
        self.typed_input(name, DType::F32, shape)
    }

    /// Adds an input of another element type.
    pub fn typed_input(&mut self, name: impl Into<String>, dtype: DType, shape: impl Into<Shape>) -> Value {
        let shape = shape.into();
        let value = self.value(Source::Input, shape.with_batch(1), dtype);
        self.inputs.push(Input { name: name.into(), shape, dtype, value });
        value
    }

    /// Adds memory of `f32`s that outlives a frame; [`BATCH`] as its first size stands for the session's batch.
    pub fn state(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> State {
        let shape = shape.into();
        let value = self.value(Source::State(self.states.len()), shape.with_batch(1), DType::F32);
        self.states.push(Input { name: name.into(), shape, dtype: DType::F32, value });
        State(value)
    }

    /// Adds an operation that changes a state, under the state's name. The operation's first input is the state's
    /// [value](State::value), its only output the state's content at the end of the frame. Readers of that output see
    /// the new content, readers of the state's value the old one.
    ///
    /// An operation with a [`Binding::Update`](crate::kernel::Binding::Update) of its first input, such as that of
    /// [`Graph::append`], works in place. The output of others is computed beside the state, and then moved there, if
    /// this step or a later one still reads the old content.
    ///
    /// Returns an error if the output doesn't have the state's shape, or isn't the only one.
    pub fn update(&mut self, state: State, op: impl Op, inputs: &[Value]) -> Result<Value> {
        let kind = op.name();
        let name = self.states[self.own(&state).map_err(|wrong| wrong.at(kind, ""))?].name.clone();
        let outputs = self.add_node(&name, op, &[&[state.value()], inputs].concat())?;
        let [updated] = outputs[..] else {
            return Err(ErrorKind::argument("outputs", "the state", outputs.len()).at(kind, name));
        };
        self.assign(state, updated).map_err(|wrong| wrong.node(kind, name))?;
        Ok(updated)
    }

    /// Assigns a value to a state at the end of the frame; the next frame begins with it. Any value of this graph is
    /// allowed, including those of other states.
    ///
    /// Returns an error if the value doesn't have the state's shape, or doesn't hold `f32`s.
    pub fn assign(&mut self, state: State, value: Value) -> Result<()> {
        let index = self.own(&state)?;
        self.check_own(&[value])?;
        let wanted = &self.shapes[state.value().index()];
        let (shape, dtype) = (&self.shapes[value.index()], self.known_dtype(value));
        if shape != wanted || dtype != DType::F32 {
            let (argument, got) = (format!("state \"{}\"", self.states[index].name), format!("{dtype} {shape}"));
            return Err(ErrorKind::argument(argument, format_args!("{} {wanted}", DType::F32), got).into());
        }
        self.updates.push((index, value));
        Ok(())
    }

    /// Returns the index of a state, or an error if it is another graph's.
    fn own(&self, state: &State) -> Result<usize, ErrorKind> {
        match self.sources.get(state.value().index()).filter(|_| self.owns(state.value())) {
            Some(&Source::State(index)) => Ok(index),
            _ => Err(ErrorKind::argument("state", "a state of this graph", "another graph's")),
        }
    }

    /// Makes a value an output, under a name of its own. A plan of a graph with two outputs of one name is an error.
    pub fn output(&mut self, name: impl Into<String>, value: Value) {
        self.outputs.push((name.into(), value));
    }

    /// Sets the precision that suits the graph's numbers, such as `F16` if its weights are `f16`s: models of the graph have
    /// it unless [`Model::precision`](crate::Model::precision) says otherwise.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Returns the precision that suits the graph's numbers: `F32` unless it was set.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Adds a constant as a value that operations read like any other.
    pub fn constant(&mut self, constant: Constant) -> Value {
        let (shape, dtype) = (constant.shape().clone(), constant.dtype());
        self.value(Source::Constant(constant), shape, dtype)
    }

    /// Adds an operation under a name and returns its outputs, or an error if it doesn't accept such inputs.
    pub fn add_node(&mut self, name: impl Into<String>, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>> {
        self.add_shared(name.into(), Arc::new(op), inputs)
    }

    /// Adds an operation that other graphs may hold too.
    pub(crate) fn add_shared(&mut self, name: String, op: Arc<dyn Op>, inputs: &[Value]) -> Result<Vec<Value>> {
        let at = |kind: ErrorKind| kind.at(op.name(), &name);
        self.check_own(inputs).map_err(at)?;
        let shapes: Vec<Shape> = inputs.iter().map(|&v| self.shapes[v.index()].clone()).collect();
        check_elements(&shapes).map_err(at)?;
        let outputs = op.output_shapes(&shapes).map_err(|kind| at(self.with_open_batch(kind, &*op, inputs)))?;
        check_elements(&outputs).map_err(at)?;
        let outputs_of_two = self.shapes_of_two.as_ref().map(|all| {
            let shapes: Vec<Shape> = inputs.iter().map(|&value| all[value.index()].clone()).collect();
            op.output_shapes(&shapes)
        });
        let outputs_of_two = outputs_of_two.transpose().map_err(at)?;
        let dtypes: Vec<DType> = inputs.iter().map(|&v| self.dtypes[v.index()]).collect();
        let dtypes = op.output_dtypes(&dtypes).map_err(at)?;
        let last = dtypes.last().copied().unwrap_or_default();
        let dtypes = dtypes.into_iter().chain(std::iter::repeat(last));
        let node = self.nodes.len();
        let typed = outputs.into_iter().zip(dtypes);
        let outputs: Vec<Value> = typed.map(|(shape, dtype)| self.value(Source::Node(node), shape, dtype)).collect();
        if let (Some(all), Some(shapes)) = (&mut self.shapes_of_two, outputs_of_two) {
            outputs.iter().zip(shapes).for_each(|(value, shape)| all[value.index()] = shape);
        }
        self.nodes.push(Node { name, op, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// Adds an operation of one output, under a generated name.
    pub fn push(&mut self, op: impl Op, inputs: &[Value]) -> Result<Value> {
        let name = format!("{}_{}", op.name(), self.nodes.len());
        Ok(self.add_node(name, op, inputs)?[0])
    }

    /// Renames the node that gives `value`. An error if no operation gives it: an input, or a value that rules removed.
    pub fn rename(&mut self, value: Value, name: impl Into<String>) -> Result<()> {
        self.check_own(&[value])?;
        let node = match self.sources[value.index()] {
            Source::Node(node) => self.nodes.get_mut(node).filter(|node| node.outputs.contains(&value)),
            _ => None,
        };
        let none = || ErrorKind::argument("value", "the output of an operation", "none");
        node.ok_or_else(none)?.name = name.into();
        Ok(())
    }

    /// Returns the shape of a value for this batch.
    pub fn shape(&self, value: Value, batch: usize) -> Result<Shape> {
        self.check_own(&[value])?;
        Ok(self.shapes(batch)?[value.index()].clone())
    }

    /// Returns the shape of a value of this graph for a batch of 1, without inferring it again.
    pub(crate) fn known_shape(&self, value: Value) -> &Shape {
        &self.shapes[value.index()]
    }

    /// Returns true if the batch, where it is open, is the outermost part of a value's first dimension.
    pub(crate) fn batch_is_outermost(&self, value: Value) -> bool {
        let Some(all) = &self.shapes_of_two else { return true };
        let (one, two) = (&self.shapes[value.index()], &all[value.index()]);
        one == two || (one.len() == two.len() && two[0] == 2 * one[0] && one[1..] == two[1..])
    }

    /// Returns true if a value is larger for a larger batch.
    pub(crate) fn grows_with_batch(&self, value: Value) -> bool {
        self.shapes_of_two.as_ref().is_some_and(|all| all[value.index()] != self.shapes[value.index()])
    }

    /// Returns the type of a value's elements.
    pub fn dtype(&self, value: Value) -> Result<DType> {
        self.check_own(&[value])?;
        Ok(self.known_dtype(value))
    }

    /// Returns the type of the elements of a value of this graph.
    pub(crate) fn known_dtype(&self, value: Value) -> DType {
        self.dtypes[value.index()]
    }

    /// Returns the shapes of all values for this batch, by the index of the value.
    pub(crate) fn shapes(&self, batch: usize) -> Result<Vec<Shape>> {
        if batch == BATCH {
            return Err(ErrorKind::argument("batch", "a number", "BATCH, which stands for one").into());
        }
        if batch == 0 {
            return self.empty_shapes();
        }
        self.outputs.iter().try_for_each(|(_, value)| self.check_own(&[*value]))?;
        let mut shapes = self.shapes.clone();
        for input in self.inputs.iter().chain(&self.states) {
            shapes[input.value.index()] = input.shape.with_batch(batch);
        }
        for node in &self.nodes {
            let inputs: Vec<Shape> = node.inputs.iter().map(|v| shapes[v.index()].clone()).collect();
            // Element counts of a large batch saturate (`Shape::elements`); only sums of sizes could overflow.
            let addable = inputs.iter().try_for_each(Shape::addable);
            let outputs = addable
                .and_then(|()| node.op.output_shapes(&inputs))
                .map_err(|kind| kind.at(node.op.name(), node.name.clone()))?;
            for (value, shape) in node.outputs.iter().zip(outputs) {
                shapes[value.index()] = shape;
            }
        }
        Ok(shapes)
    }

    /// Returns the shapes for a batch of 0: sizes that grow with the batch are 0.
    fn empty_shapes(&self) -> Result<Vec<Shape>> {
        let (one, two) = (self.shapes(1)?, self.shapes(2)?);
        let size = |(&one, &two): (&usize, &usize)| match two.checked_sub(one) {
            Some(0) => Ok(one),
            Some(more) if more == one => Ok(0),
            _ => Err(ErrorKind::Unsupported("a batch of 0 where a size isn't a multiple of the batch".into()).into()),
        };
        let shape = |(one, two): (&Shape, &Shape)| one.iter().zip(two.iter()).map(size).collect::<Result<Vec<_>>>();
        one.iter().zip(&two).map(|shapes| shape(shapes).map(Shape::from)).collect()
    }

    /// Calls `f` with each node and the shapes of its inputs and outputs, in order.
    pub fn visit(&self, batch: usize, mut f: impl FnMut(&Node, &Io) -> Result<(), Error>) -> Result<()> {
        let shapes = self.shapes(batch)?;
        let of = |values: &[Value]| values.iter().map(|v| shapes[v.index()].clone()).collect::<Vec<_>>();
        self.nodes.iter().try_for_each(|node| {
            let dtypes = self.input_dtypes(node);
            f(node, &Io { inputs: &of(&node.inputs), outputs: &of(&node.outputs), dtypes: &dtypes })
        })
    }

    /// Returns the element types of a node's inputs.
    pub(crate) fn input_dtypes(&self, node: &Node) -> Vec<DType> {
        node.inputs.iter().map(|&value| self.known_dtype(value)).collect()
    }

    /// Returns the nodes, in an order in which they can run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the inputs, in the order of their creation.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Returns the states, in the order of their creation.
    pub fn states(&self) -> &[Input] {
        &self.states
    }

    /// Returns the outputs, in the order in which they were named.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// Returns the indices of changed states, with the values that they hold when a frame ends.
    pub(crate) fn updates(&self) -> &[(usize, Value)] {
        &self.updates
    }

    /// Returns the values that are read after all nodes have run: outputs, and the new content of states.
    pub(crate) fn results(&self) -> impl Iterator<Item = Value> + use<'_> {
        self.outputs.iter().map(|&(_, value)| value).chain(self.updates.iter().map(|&(_, value)| value))
    }

    pub(crate) fn source(&self, value: Value) -> &Source {
        &self.sources[value.index()]
    }
}

/// Checks that no tensor is empty (nothing could be bound) or so large that derived sizes overflow.
fn check_elements(shapes: &[Shape]) -> Result<(), ErrorKind> {
    shapes.iter().try_for_each(Shape::countable)?;
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
        assert!(other.fused().shapes(1).is_err());
        assert!(other.rename(y, "nobody").is_err() && graph.rename(x, "an input").is_err());
        // A graph that has as many values as the other refuses them too.
        let mut twin = Graph::new();
        let own = twin.input("x", [BATCH, 3]);
        let result = twin.relu(own).unwrap();
        assert!(twin.add(own, x).is_err() && twin.shape(y, 1).is_err());
        assert!(twin.rename(y, "nobody").is_err() && twin.add(own, result).is_ok());
        assert!(graph.clone().relu(y).is_ok() && graph.fused().shape(x, 1).is_ok());
        // Values from before are those of all clones; later ones are not, wherever the graphs have as many.
        let mut clone = graph.clone();
        let (ours, theirs) = (graph.relu(y).unwrap(), clone.activation(y, Activation::Tanh).unwrap());
        assert!(graph.relu(theirs).is_err() && clone.relu(ours).is_err() && clone.clone().relu(theirs).is_ok());

        let empty = graph.input("empty", [BATCH, 0]);
        let error = graph.activation(empty, Activation::Tanh).unwrap_err().to_string();
        assert!(error.contains("without elements, [1, 0]"), "{error}");
        let none = Weights::seeded(0).get("none", [0, 3]).unwrap();
        assert!(graph.linear(y, none, None).is_err());
        // Sizes that would overflow are refused where they are computed.
        let error = graph.shape(y, usize::MAX / 2).unwrap_err().to_string();
        assert!(error.contains("sizes of 2^40 at most, got [9223372036854775807, 3]"), "{error}");
        let large = graph.input("large", [1 << 20, 1 << 20]);
        let error = graph.concat(&[large, large], 0).and_then(|y| graph.concat(&[y, y], 0)).unwrap_err().to_string();
        assert!(error.contains("2^40 elements at most, got [2097152, 1048576]"), "{error}");
    }
}
