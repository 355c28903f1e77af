//! Pairs of operations that kernels compute in one step.

use crate::graph::op::Io;
use crate::graph::{Graph, Node, Source, Value};
use crate::kernel::{Caps, Kernel};
use crate::ops::{self, Slice};
use crate::{DType, Shape};
use std::collections::{HashMap, HashSet};

/// Returns the nodes in order, each alone or in a pair that kernels compute in one step, at its second node's place.
pub(super) fn schedule(graph: &Graph, shapes: &[Shape], caps: &Caps) -> Vec<(Vec<usize>, Option<Vec<Kernel>>)> {
    let readers = only_readers(graph);
    let last = last_readers(graph);
    // The first node of each pair, and the kernels, by the second node.
    let mut pairs: HashMap<usize, (usize, Vec<Kernel>)> = HashMap::new();
    let mut order = Vec::new();
    for (i, reader) in readers.into_iter().enumerate() {
        if let Some((first, kernels)) = pairs.remove(&i) {
            order.push((vec![first, i], Some(kernels)));
            continue;
        }
        // A reader that is in a pair with another of its producers reads this node's output from memory.
        let free = reader.filter(|reader| !pairs.contains_key(reader) && !holds(graph, &last, [i, *reader]));
        match free.and_then(|reader| Some((reader, join(graph, shapes, caps, [i, reader])?))) {
            Some((reader, kernels)) => {
                pairs.insert(reader, (i, kernels));
            }
            None => order.push((vec![i], None)),
        }
    }
    order
}

/// Returns the kernels that compute two nodes in one step, if such kernels pay on the device.
fn join(graph: &Graph, shapes: &[Shape], caps: &Caps, nodes: [usize; 2]) -> Option<Vec<Kernel>> {
    let of = |values: &[Value]| values.iter().map(|value| shapes[value.index()].clone()).collect();
    let nodes = nodes.map(|i| &graph.nodes()[i]);
    let each: [(Vec<Shape>, Vec<Shape>, Vec<DType>); 2] =
        nodes.map(|node| (of(&node.inputs), of(&node.outputs), graph.input_dtypes(node)));
    let [io, next_io] = each.each_ref().map(|(inputs, outputs, dtypes)| Io { inputs, outputs, dtypes });
    let position = link(nodes[0], nodes[1]);
    let mut kernels = ops::joined((&*nodes[0].op, &io), (&*nodes[1].op, &next_io), position, caps)?;
    let others = next_io.inputs.iter().enumerate().filter(|&(i, _)| i != position).map(|(_, shape)| shape);
    let inputs: Vec<&Shape> = io.inputs.iter().chain(others).collect();
    kernels.retain(|kernel| {
        let reads = kernel.reads.iter().zip(inputs.iter().copied());
        let mut all = reads.chain(kernel.writes.iter().zip(next_io.outputs));
        kernel.ends_on(caps) && all.all(|(layout, shape)| layout.fits(shape, caps))
    });
    (!kernels.is_empty()).then_some(kernels)
}

/// Returns true if a slice that its reader reads in place would keep a larger value in memory for nodes between.
fn holds(graph: &Graph, last: &HashMap<Value, usize>, [slice, reader]: [usize; 2]) -> bool {
    let is_slice = |node: &Node| node.op.downcast_ref::<Slice>().is_some();
    let nodes = graph.nodes();
    let between = nodes[slice + 1..reader].iter().any(|node| !is_slice(node));
    // An input, a constant and a state are there all the time.
    let ends = |value: Value| matches!(graph.source(value), Source::Node(_)) && last[&value] < reader;
    is_slice(&nodes[slice]) && between && ends(nodes[slice].inputs[0])
}

/// Returns the last node that reads each value. A result is read after all nodes.
fn last_readers(graph: &Graph) -> HashMap<Value, usize> {
    let each = graph.nodes().iter().enumerate();
    let reads = each.flat_map(|(i, node)| node.inputs.iter().map(move |&value| (value, i)));
    reads.chain(graph.results().map(|value| (value, usize::MAX))).collect()
}

/// Returns for each node the only reader of its single output, if it reads it once and the output is no result.
fn only_readers(graph: &Graph) -> Vec<Option<usize>> {
    let nodes = graph.nodes();
    let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&value| readers.entry(value).or_default().push(i));
    }
    let results: HashSet<Value> = graph.results().collect();
    let reader = |node: &Node| {
        let &[value] = &node.outputs[..] else { return None };
        let &[reader] = readers.get(&value)?.as_slice() else { return None };
        (!results.contains(&value)).then_some(reader)
    };
    nodes.iter().map(reader).collect()
}

/// Returns the position of the output of `before` among the inputs of the next node.
pub(super) fn link(before: &Node, node: &Node) -> usize {
    node.inputs.iter().position(|value| *value == before.outputs[0]).expect("it reads it")
}
