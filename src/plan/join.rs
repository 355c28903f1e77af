//! Which operations could be computed in one: those that follow each other with nothing between.

use crate::Graph;
use crate::graph::Value;
use std::collections::HashMap;

/// The longest chain that an operation is asked about.
const LONGEST: usize = 3;

/// For each node the chain that begins with it: each one's single output is no output of the graph, and all that reads it is the
/// next one, once, as its first input.
pub(super) fn chains(graph: &Graph) -> Vec<Vec<usize>> {
    let nodes = graph.nodes();
    let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&value| readers.entry(value).or_default().push(i));
    }
    let next = |i: usize| {
        let &[value] = &nodes[i].outputs[..] else { return None };
        let &[next] = readers.get(&value)?.as_slice() else { return None };
        let given = graph.outputs().iter().any(|&(_, output)| output == value);
        (nodes[next].inputs[0] == value && !given).then_some(next)
    };
    (0..nodes.len()).map(|i| std::iter::successors(Some(i), |&i| next(i)).take(LONGEST).collect()).collect()
}
