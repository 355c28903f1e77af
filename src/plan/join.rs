//! Operations that kernels compute in one step.

use crate::graph::op::{Io, Op};
use crate::graph::{Graph, Node, Source, Value};
use crate::kernel::{Caps, Kernel};
use crate::ops::{self, Glu, Linear, Slice};
use crate::{DType, Shape};
use std::collections::{HashMap, HashSet};

/// The nodes of a step, and the kernels that compute several nodes in one.
type Group = (Vec<usize>, Option<Vec<Kernel>>);

/// Returns the nodes in order, each alone or with those that kernels compute in the same step: a pair at the place of its
/// second node, projections of one value at the place of the first of their layers.
pub(super) fn schedule(graph: &Graph, shapes: &[Shape], caps: &Caps) -> Vec<Group> {
    let (readers, last) = (readers(graph), last_readers(graph));
    let results: HashSet<Value> = graph.results().collect();
    let only = |i: usize| only_reader(&graph.nodes()[i], &readers, &results);
    let mut projections: HashMap<usize, Group> =
        readers.iter().flat_map(|(&value, of)| projections(graph, shapes, caps, value, of, only)).collect();
    let taken: HashSet<usize> = projections.values().flat_map(|(nodes, _)| nodes).copied().collect();
    // The first node of each pair, and the kernels, by the second node.
    let mut pairs: HashMap<usize, (usize, Vec<Kernel>)> = HashMap::new();
    let mut order = Vec::new();
    for i in 0..graph.nodes().len() {
        if taken.contains(&i) {
            order.extend(projections.remove(&i));
            continue;
        }
        if let Some((first, kernels)) = pairs.remove(&i) {
            order.push((vec![first, i], Some(kernels)));
            continue;
        }
        // A reader that is in a pair with another of its producers reads this node's output from memory.
        let alone = |reader: &usize| !taken.contains(reader) && !pairs.contains_key(reader);
        let free = only(i).filter(|reader| alone(reader) && !holds(graph, &last, [i, *reader]));
        match free.and_then(|reader| Some((reader, join(graph, shapes, caps, [i, reader])?))) {
            Some((reader, kernels)) => {
                pairs.insert(reader, (i, kernels));
            }
            None => order.push((vec![i], None)),
        }
    }
    order
}

/// Returns the groups of linear layers that read a value, by their first layers; one kernel computes a group. The norm that
/// gives the value belongs to a group of all layers, if nothing else reads it. Otherwise a group has at most three layers. A
/// gate belongs to the group of two layers that nothing else reads.
fn projections(
    graph: &Graph,
    shapes: &[Shape],
    caps: &Caps,
    value: Value,
    readers: &[usize],
    only: impl Fn(usize) -> Option<usize>,
) -> Vec<(usize, Group)> {
    let op = |i: usize| &*graph.nodes()[i].op;
    let mut layers = readers.to_vec();
    layers.retain(|&i| op(i).downcast_ref::<Linear>().is_some() && graph.nodes()[i].inputs == [value]);
    let reader_of_both = |layers: &[usize]| {
        let &[a, b] = layers else { return None };
        only(a).filter(|&reader| only(b) == Some(reader) && op(reader).downcast_ref::<Glu>().is_some())
    };
    let gate = reader_of_both(&layers);
    if let Some(gate) = gate {
        // The layers come in the order of the gate's inputs.
        layers.sort_by_key(|&layer| graph.nodes()[layer].outputs[0] != graph.nodes()[gate].inputs[0]);
    }
    let norm = match graph.source(value) {
        &Source::Node(node) if layers.len() == readers.len() && graph.results().all(|result| result != value) => {
            Some(node)
        }
        _ => None,
    };
    let group = |layers: &[usize], norm: Option<usize>| {
        let place = *layers.iter().min()?;
        let x = norm.map_or(Some(&value), |norm| graph.nodes()[norm].inputs.first())?;
        let each: Vec<&dyn Op> = layers.iter().map(|&layer| op(layer)).collect();
        let kernel = ops::projected(norm.map(op), &each, gate.map(op), &shapes[x.index()], caps)?;
        let nodes = norm.into_iter().chain(layers.iter().copied()).chain(gate).collect();
        kernel.ends_on(caps).then(|| (place, (nodes, Some(vec![kernel]))))
    };
    match norm.and_then(|norm| group(&layers, Some(norm))) {
        Some(all) => vec![all],
        None => layers.chunks(ops::MOST_PROJECTED).filter_map(|few| group(few, None)).collect(),
    }
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

/// Returns the nodes that read each value, as often as they read it.
fn readers(graph: &Graph) -> HashMap<Value, Vec<usize>> {
    let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|&value| readers.entry(value).or_default().push(i));
    }
    readers
}

/// Returns the only reader of a node's single output, if it reads it once and the output is no result.
fn only_reader(node: &Node, readers: &HashMap<Value, Vec<usize>>, results: &HashSet<Value>) -> Option<usize> {
    let &[value] = &node.outputs[..] else { return None };
    let &[reader] = readers.get(&value)?.as_slice() else { return None };
    (!results.contains(&value)).then_some(reader)
}

/// Returns the position of the output of `before` among the inputs of the next node.
fn link(before: &Node, node: &Node) -> usize {
    node.inputs.iter().position(|value| *value == before.outputs[0]).expect("it reads it")
}
