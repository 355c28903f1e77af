//! A part of a network that is cut where a value decides a size, as plain data. `session/parts.rs` runs parts.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Source, Value};
use crate::tensor::Tensor;
use crate::{DType, Shape};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The facts about a frame that its next part is built for: the inputs' types and shapes, and the findings of the parts before.
///
/// [`Parts`](crate::Parts) makes it, and the function that builds parts passes it on, unchanged, to a file's
/// [`Onnx::part`](crate::import::onnx::Onnx::part). It holds the content of the values that were read and the shapes of what the
/// host computed, not the inputs' values: the same part serves other values of the same shapes.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub(crate) inputs: Vec<(String, DType, Shape)>,
    pub(crate) findings: Vec<Finding>,
    /// The names of the values that the parts before have computed.
    pub(crate) computed: HashSet<String>,
}

/// A finding at the end of a part.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// The content of a value, and the place where it was asked for.
    Values(Place, Tensor),
    /// The shapes of tensors that the host computed.
    Shapes(Vec<Shape>),
}

/// The name of a value, and the number of nodes that the graph had when it was asked for.
pub(crate) type Place = (String, usize);

/// Equal findings lead to the same next part: the bits are equal, of NaN too.
impl PartialEq for Finding {
    fn eq(&self, other: &Finding) -> bool {
        match (self, other) {
            (Finding::Values(place, a), Finding::Values(other, b)) => {
                use crate::dtype::Elements;
                let same = (place, a.shape(), a.dtype()) == (other, b.shape(), b.dtype());
                same && a.view().words() == b.view().words()
            }
            (Finding::Shapes(a), Finding::Shapes(b)) => a == b,
            _ => false,
        }
    }
}

/// A part of a network that is cut where a value decides a size: the operations up to there, and what decides the next part.
/// [`Onnx::part`](crate::import::onnx::Onnx::part) builds it from what is [`Known`], and [`Parts`](crate::Parts) runs it: what it
/// computes for later parts becomes their inputs, by the values' names.
pub struct Part {
    /// The operations; none if the frame has all values that `next` needs. Inputs and outputs have the values' names.
    pub(crate) graph: Graph,
    pub(crate) next: Next,
}

/// The continuation after a part.
pub(crate) enum Next {
    /// A part that depends on the content of these values.
    Read { at: String, values: Vec<Place> },
    /// A part that depends on the shapes of what the host computes.
    Compute(Computation),
    /// The network's outputs.
    Outputs(Vec<(String, Content)>),
}

/// The function of the host that computes tensors.
pub(crate) type Compute = Arc<dyn Fn(&[&Tensor]) -> Result<Vec<Tensor>> + Send + Sync>;

/// A computation on the host whose results' shapes depend on values.
pub(crate) struct Computation {
    pub(crate) at: String,
    /// The names of the values that it reads.
    pub(crate) reads: Vec<String>,
    /// The names of its results.
    pub(crate) gives: Vec<String>,
    pub(crate) compute: Compute,
}

/// The content of an output of the network.
pub(crate) enum Content {
    /// That of a value.
    Value(String),
    Known(Tensor),
}

impl Part {
    /// Cuts the operations that compute these values out of a whole graph. Values with `computed` names are inputs.
    pub(crate) fn new(whole: &Graph, computed: &HashSet<String>, values: &[Value], next: Next) -> Result<Part, Error> {
        let given =
            |value: Value| matches!(whole.source(value), Source::Input) || computed.contains(&name(whole, value));
        let mut seen: HashSet<Value> = values.iter().copied().filter(|&value| !given(value)).collect();
        let mut wanted: Vec<Value> = seen.iter().copied().collect();
        wanted.sort();
        let mut open = wanted.clone();
        let mut needed = HashSet::new();
        while let Some(value) = open.pop() {
            let &Source::Node(node) = whole.source(value) else { continue };
            needed.insert(node);
            let inputs = whole.nodes()[node].inputs.iter().copied();
            open.extend(inputs.filter(|&input| !given(input) && seen.insert(input)));
        }
        let mut graph = Graph::new();
        graph.set_precision(whole.precision());
        let mut copies: HashMap<Value, Value> = HashMap::new();
        let copy = |graph: &mut Graph, copies: &mut HashMap<Value, Value>, value: Value| {
            *copies.entry(value).or_insert_with(|| match whole.source(value) {
                Source::Constant(constant) if !given(value) => graph.constant(constant.clone()),
                _ => graph.typed_input(name(whole, value), whole.known_dtype(value), whole.known_shape(value).clone()),
            })
        };
        for (_, node) in whole.nodes().iter().enumerate().filter(|(i, _)| needed.contains(i)) {
            let inputs: Vec<Value> = node.inputs.iter().map(|&input| copy(&mut graph, &mut copies, input)).collect();
            let outputs = graph.add_shared(node.name.clone(), node.op.clone(), &inputs)?;
            for (&value, output) in node.outputs.iter().zip(outputs) {
                // A value that was computed before is read from there.
                copies.entry(value).or_insert(output);
            }
        }
        for &value in &wanted {
            let output = copy(&mut graph, &mut copies, value);
            graph.output(name(whole, value), output);
        }
        for (&value, &own) in &copies {
            whole.kept(value).into_iter().for_each(|kept| graph.keep_f32(own, kept));
        }
        Ok(Part { graph, next })
    }
}

/// Returns the name of a value among those of a frame: an input's own, otherwise one that no input has. A walk that is
/// repeated gives the same values the same names.
pub(crate) fn name(graph: &Graph, value: Value) -> String {
    // Names may contain slashes but no line breaks, so line breaks keep these names unique.
    match graph.source(value) {
        Source::Input => {
            let input = graph.inputs().iter().find(|input| input.value == value);
            input.map_or_else(String::new, |input| input.name.clone())
        }
        &Source::Node(node) => {
            let Node { name, outputs, .. } = &graph.nodes()[node];
            let output = outputs.iter().position(|&output| output == value).unwrap_or_default();
            format!("{name}\n{node}.{output}")
        }
        Source::Constant(_) | Source::State(_) => format!("\n{}", value.index()),
    }
}
