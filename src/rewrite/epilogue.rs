//! Operations that take in the one after them.

use crate::Value;
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use std::sync::Arc;

/// Finds an operation before this one that takes it in, and that nobody else reads.
///
/// The deepest of them is asked first: of a residual block that is the longer branch, so that the shorter one depends on
/// nothing beside it.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    seen.deepest_inputs(node).into_iter().find_map(|position| {
        let value = node.inputs[position];
        let first = seen.node(value).filter(|_| seen.read_once(value))?;
        let op = first.op.fuse(&*node.op, position)?;
        let others = node.inputs.iter().enumerate().filter(|&(other, _)| other != position).map(|(_, &value)| value);
        let inputs: Vec<Value> = first.inputs.iter().copied().chain(others).collect();
        if !seen.gives(&*op, &inputs, node.outputs[0]) {
            return None;
        }
        // A flatten that a linear layer takes in has no name that anybody knows.
        let name = if op.name() == node.op.name() { &node.name } else { &first.name };
        Some(Replacement::shared(Arc::from(op), &inputs)?.named(name))
    })
}
