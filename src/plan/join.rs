//! Chains of operations that kernels could compute in one step.

use crate::graph::op::{Io, Next};
use crate::graph::{Graph, Node, Value};
use crate::kernel::{Caps, Kernel};
use crate::{DType, Shape};
use std::collections::{HashMap, HashSet};

/// The longest chain that an operation is asked about.
const LONGEST: usize = 3;

/// Returns the nodes in order, each alone or in a group that kernels compute in one step, at its last node's place.
pub(super) fn schedule(graph: &Graph, shapes: &[Shape], caps: &Caps) -> Vec<(Vec<usize>, Option<Vec<Kernel>>)> {
    let chains = chains(graph);
    let mut joined: HashMap<usize, (Vec<usize>, Vec<Kernel>)> = HashMap::new();
    let mut taken = vec![false; chains.len()];
    let mut order = Vec::new();
    for (i, chain) in chains.into_iter().enumerate() {
        if let Some((nodes, kernels)) = joined.remove(&i) {
            order.push((nodes, Some(kernels)));
        } else if !taken[i] {
            // A node that is already joined with another of its producers ends a chain.
            let free = chain.iter().position(|&i| taken[i]).unwrap_or(chain.len());
            match join(graph, shapes, caps, &chain[..free]) {
                Some((more, kernels)) => {
                    let nodes = &chain[..=more];
                    nodes.iter().for_each(|&i| taken[i] = true);
                    joined.insert(chain[more], (nodes.to_vec(), kernels));
                }
                None => order.push((vec![i], None)),
            }
        }
    }
    order
}

/// Returns the number of later nodes that a chain's first node is computed with, and the kernels for that.
fn join(graph: &Graph, shapes: &[Shape], caps: &Caps, chain: &[usize]) -> Option<(usize, Vec<Kernel>)> {
    let of = |values: &[Value]| values.iter().map(|value| shapes[value.0 as usize].clone()).collect();
    let nodes: Vec<&Node> = chain.iter().map(|&i| &graph.nodes()[i]).collect();
    let each = nodes.iter().map(|node| (of(&node.inputs), of(&node.outputs), graph.input_dtypes(node)));
    let each: Vec<(Vec<Shape>, Vec<Shape>, Vec<DType>)> = each.collect();
    let ios: Vec<Io> = each.iter().map(|(inputs, outputs, dtypes)| Io { inputs, outputs, dtypes }).collect();
    let links: Vec<usize> = nodes.windows(2).map(|pair| link(pair[0], pair[1])).collect();
    let following = nodes.iter().zip(&ios).skip(1).zip(&links);
    let rest: Vec<Next> = following.map(|((node, io), &position)| Next { op: &*node.op, io: *io, position }).collect();
    let (more, mut kernels) = nodes[0].op.joined(&ios[0], &rest, caps)?;
    let others = |next: &Next| [&next.io.inputs[..next.position], &next.io.inputs[next.position + 1..]].concat();
    let inputs: Vec<Shape> = ios[0].inputs.iter().cloned().chain(rest[..more].iter().flat_map(others)).collect();
    kernels.retain(|kernel| {
        if !kernel.ends_on(caps) {
            return false;
        }
        let reads = kernel.reads.iter().zip(&inputs);
        reads.chain(kernel.writes.iter().zip(ios[more].outputs)).all(|(layout, shape)| layout.fits(shape, caps))
    });
    (!kernels.is_empty()).then_some((more, kernels))
}

/// Returns the chain that begins at each node. Each node's single output is no result of the graph, and its only reader
/// is the next node, once.
fn chains(graph: &Graph) -> Vec<Vec<usize>> {
    let nodes = graph.nodes();
    let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&value| readers.entry(value).or_default().push(i));
    }
    let results: HashSet<Value> = graph.results().collect();
    let next = |i: usize| {
        let &[value] = &nodes[i].outputs[..] else { return None };
        let &[next] = readers.get(&value)?.as_slice() else { return None };
        (!results.contains(&value)).then_some(next)
    };
    (0..nodes.len()).map(|i| std::iter::successors(Some(i), |&i| next(i)).take(LONGEST).collect()).collect()
}

/// Returns the position of the output of `before` among the inputs of the next node in a chain.
pub(super) fn link(before: &Node, node: &Node) -> usize {
    node.inputs.iter().position(|value| *value == before.outputs[0]).expect("it reads it")
}
