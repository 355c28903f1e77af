//! The nodes that one step computes, as one node.

use super::Planner;
use crate::graph::Node;
use crate::graph::op::{Cost, Io};
use crate::plan::join::link;
use crate::{Shape, Value};

/// The nodes of a step, each of which reads the output of the one before it.
pub(super) struct Whole {
    /// The first node, with the inputs of all nodes from outside, the outputs of the last, and all names.
    pub(super) node: Node,
    /// The operation that does most of the work: the step is known by its name.
    pub(super) op: &'static str,
    pub(super) cost: Cost,
    pub(super) bytes: u64,
    /// The number of elements that the last node writes.
    pub(super) written: u64,
}

impl Planner<'_> {
    /// Puts the nodes of a step together, and counts their reads as planned.
    pub(super) fn whole(&mut self, numbers: &[usize]) -> Whole {
        let nodes: Vec<&Node> = numbers.iter().map(|&i| &self.graph.nodes()[i]).collect();
        let node = Node { inputs: Vec::new(), ..nodes[0].clone() };
        let mut whole = Whole { op: node.op.name(), node, cost: Cost::default(), bytes: 0, written: 0 };
        let mut most = 0;
        for (i, part) in nodes.iter().enumerate() {
            let of = |values: &[Value]| values.iter().map(|&v| self.shape(v).clone()).collect::<Vec<Shape>>();
            let (inputs, outputs) = (of(&part.inputs), of(&part.outputs));
            let io = Io { inputs: &inputs, outputs: &outputs, dtypes: &self.graph.input_dtypes(part) };
            for &value in &part.inputs {
                *self.unread.entry(value).or_default() -= 1;
            }
            let own = part.op.metrics(&io).cost;
            whole.cost = whole.cost.and(own);
            whole.bytes = whole.bytes.saturating_add(own.bytes(&io));
            whole.written = io.written();
            if own.flops() > most {
                (whole.op, most) = (part.op.name(), own.flops());
            }
            let mut others = part.inputs.clone();
            if i > 0 {
                whole.node.name = format!("{} + {}", whole.node.name, part.name);
                let link = link(nodes[i - 1], part);
                others.remove(link);
                // A value between two parts is neither written nor read.
                whole.bytes = whole.bytes.saturating_sub(2 * 4 * inputs[link].elements() as u64);
            }
            whole.node.inputs.extend(others);
            whole.node.outputs.clone_from(&part.outputs);
        }
        whole
    }
}
