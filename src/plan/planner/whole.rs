//! The nodes that one step computes, as one node.

use super::Planner;
use crate::graph::Node;
use crate::graph::op::{Cost, Io};
use crate::{Shape, Value};

/// The nodes of a step.
pub(super) struct Whole {
    /// The first node, with the inputs of all nodes from outside, the outputs that others read, and all names.
    pub(super) node: Node,
    /// The operation that does most of the work: the step is known by its name.
    pub(super) op: &'static str,
    pub(super) cost: Cost,
    /// The bytes that it must move if each number takes four.
    pub(super) bytes: u64,
    /// The elements of each input that these bytes count: none if an earlier part has read it.
    pub(super) read: Vec<u64>,
    /// The number of elements that the last node writes.
    pub(super) written: u64,
}

impl Planner<'_> {
    /// Puts the nodes of a step together, and counts their reads as planned.
    pub(super) fn whole(&mut self, numbers: &[usize]) -> Whole {
        let nodes: Vec<&Node> = numbers.iter().map(|&i| &self.graph.nodes()[i]).collect();
        let names: Vec<&str> = nodes.iter().map(|node| &*node.name).collect();
        let node = Node { name: names.join(" + "), inputs: Vec::new(), outputs: Vec::new(), ..nodes[0].clone() };
        let mut whole =
            Whole { op: node.op.name(), node, cost: Cost::default(), bytes: 0, read: Vec::new(), written: 0 };
        let mut most = 0;
        for part in &nodes {
            let of = |values: &[Value]| values.iter().map(|&v| self.shape(v).clone()).collect::<Vec<Shape>>();
            let (inputs, outputs) = (of(&part.inputs), of(&part.outputs));
            let io = Io { inputs: &inputs, outputs: &outputs, dtypes: &self.graph.input_dtypes(part) };
            let own = part.op.metrics(&io).cost;
            whole.cost = whole.cost.and(own);
            whole.bytes = whole.bytes.saturating_add(own.bytes(&io));
            whole.written = io.written();
            if own.flops() > most {
                (whole.op, most) = (part.op.name(), own.flops());
            }
            // A value between parts is neither written nor read, and one that several parts read is read once.
            let before = whole.node.inputs.len();
            let mut unmoved = 0;
            for (&value, shape) in part.inputs.iter().zip(&inputs) {
                *self.unread.entry(value).or_default() -= 1;
                let inner = nodes.iter().any(|node| node.outputs.contains(&value));
                let again = whole.node.inputs[..before].contains(&value);
                let elements = shape.elements() as u64;
                if inner || again {
                    unmoved += elements;
                }
                if !inner {
                    whole.node.inputs.push(value);
                    whole.read.push(if again { 0 } else { elements });
                }
            }
            for (&value, shape) in part.outputs.iter().zip(&outputs) {
                if self.ends_within(value, numbers) {
                    unmoved += shape.elements() as u64;
                } else {
                    whole.node.outputs.push(value);
                }
            }
            whole.bytes = whole.bytes.saturating_sub(4 * unmoved);
        }
        whole
    }

    /// Returns true if only these nodes read a value, and some of them do.
    fn ends_within(&self, value: Value, numbers: &[usize]) -> bool {
        let all = |readers: &Vec<usize>| readers.iter().all(|reader| numbers.contains(reader));
        self.readers.get(&value).is_some_and(all) && self.graph.results().all(|result| result != value)
    }
}
