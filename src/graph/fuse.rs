//! The fusion pass, which asks each operation whether it absorbs the next one.

use super::op::Op;
use super::{Graph, Node, Source, Value};
use crate::Shape;
use std::collections::{HashMap, HashSet};

impl Graph {
    /// Returns this graph without nodes that its outputs don't need, and with neighbours fused where an operation
    /// allows it. Values keep their identity.
    #[must_use]
    pub fn fused(&self) -> Graph {
        let results: HashSet<Value> = self.results().collect();
        let mut nodes: Vec<Option<Node>> = self.needed();
        let mut made_by: HashMap<Value, usize> = HashMap::new();
        let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
        for (i, node) in nodes.iter().enumerate().filter_map(|(i, n)| Some((i, n.as_ref()?))) {
            made_by.extend(node.outputs.iter().map(|&v| (v, i)));
            for &value in &node.inputs {
                readers.entry(value).or_default().push(i);
            }
        }

        // `next` alone doesn't tell an operation whether, for example, an addition broadcasts. The fused operation must
        // give the original shapes, for a batch of 1 as for others.
        let shapes: Vec<Vec<Shape>> = [1, 2].iter().filter_map(|&batch| self.shapes(batch).ok()).collect();
        let gives_types = |op: &dyn Op, inputs: &[Value], outputs: &[Value]| {
            let of = |values: &[Value]| values.iter().map(|&v| self.dtype(v)).collect::<Vec<_>>();
            op.output_dtypes(&of(inputs)).is_ok_and(|given| given.iter().zip(of(outputs)).all(|(a, b)| *a == b))
        };

        // The number of nodes on the longest path from an input to each node.
        let mut depths = vec![0; nodes.len()];
        for (i, node) in nodes.iter().enumerate().filter_map(|(i, n)| Some((i, n.as_ref()?))) {
            let before = node.inputs.iter().filter_map(|value| Some(depths[*made_by.get(value)?]));
            depths[i] = 1 + before.max().unwrap_or(0);
        }

        // A fused node takes the later node's place, where all its inputs exist, and may fuse again there. Each reader
        // is offered to its deepest producer first. In a residual block that is the longer branch, so that the shorter
        // one depends on nothing beside it.
        for i in 0..nodes.len() {
            let Some(next) = &nodes[i] else { continue };
            let mut producers: Vec<(usize, usize)> = next
                .inputs
                .iter()
                .enumerate()
                .filter(|(_, value)| readers[value].len() == 1 && !results.contains(value))
                .filter_map(|(position, value)| Some((*made_by.get(value)?, position)))
                .collect();
            producers.sort_by_key(|&(producer, _)| std::cmp::Reverse((depths[producer], producer)));
            for (producer, position) in producers {
                let Some(first) = nodes[producer].as_ref().filter(|node| node.outputs.len() == 1) else { continue };
                let next = nodes[i].as_ref().expect("it is being looked at");
                let Some(op) = first.op.fuse(&*next.op, position) else { continue };
                let mut inputs = first.inputs.clone();
                inputs.extend(next.inputs.iter().enumerate().filter(|(p, _)| *p != position).map(|(_, &v)| v));
                let typed = gives_types(&*op, &inputs, &next.outputs);
                if !typed || !shapes.iter().all(|shapes| gives(&*op, &inputs, &next.outputs, shapes)) {
                    continue;
                }
                // A linear layer keeps its name when a flatten absorbs it: nobody knows the flatten's name.
                let name = if op.name() == next.op.name() { &next.name } else { &first.name };
                let fused = Node { name: name.clone(), op: op.into(), inputs, outputs: next.outputs.clone() };
                for value in &first.inputs {
                    for reader in readers.get_mut(value).expect("it is read").iter_mut().filter(|r| **r == producer) {
                        *reader = i;
                    }
                }
                nodes[i] = Some(fused);
                nodes[producer] = None;
                break;
            }
        }

        self.with_nodes(nodes)
    }

    /// Returns this graph without nodes that its outputs don't need. Values keep their identity.
    #[cfg(feature = "onnx")]
    pub(crate) fn pruned(&self) -> Graph {
        self.with_nodes(self.needed())
    }

    /// Returns the nodes that the outputs need, each at its index, and `None` for the others.
    fn needed(&self) -> Vec<Option<Node>> {
        let mut needed: HashSet<Value> = self.results().collect();
        let mut nodes: Vec<Option<Node>> = vec![None; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|v| needed.contains(v)) {
                needed.extend(&node.inputs);
                nodes[i] = Some(node.clone());
            }
        }
        nodes
    }

    fn with_nodes(&self, nodes: Vec<Option<Node>>) -> Graph {
        let mut graph = Graph { nodes: nodes.into_iter().flatten().collect(), ..self.clone() };
        for (i, node) in graph.nodes.iter().enumerate() {
            for value in &node.outputs {
                graph.sources[value.0 as usize] = Source::Node(i);
            }
        }
        graph
    }
}

/// Returns true if an operation accepts these inputs and gives outputs of these shapes.
fn gives(op: &dyn Op, inputs: &[Value], outputs: &[Value], shapes: &[Shape]) -> bool {
    let of = |values: &[Value]| values.iter().map(|v| shapes[v.0 as usize].clone()).collect::<Vec<_>>();
    op.output_shapes(&of(inputs)).is_ok_and(|given| given == of(outputs))
}
