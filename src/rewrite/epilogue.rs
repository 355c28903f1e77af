//! Operations that take in the one after them.

use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::{Value, ops};
use std::sync::Arc;

/// Finds an operation before this one that takes it in, and that nobody else reads.
///
/// An addition has two operands. The one is preferred whose epilogue stays open: an addition after an activation closes it.
/// If that doesn't decide, the deepest is preferred: the longer branch of a residual block, so that the shorter one depends
/// on nothing beside it.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let taking = |position: usize| {
        let value = node.inputs[position];
        let first = seen.node(value).filter(|_| seen.read_once(value))?;
        let op = first.op.fuse(&*node.op, position)?;
        let others = node.inputs.iter().enumerate().filter(|&(other, _)| other != position).map(|(_, &value)| value);
        let inputs: Vec<Value> = first.inputs.iter().copied().chain(others).collect();
        seen.gives(&*op, &inputs, node.outputs[0]).then_some((first, op, inputs))
    };
    let all = seen.deepest_inputs(node).into_iter().filter_map(taking);
    let (first, op, inputs) = all.min_by_key(|(_, op, _)| !ops::takes_activation(&**op))?;
    // A flatten that a linear layer takes in has no name that anybody knows.
    let name = if op.name() == node.op.name() { &node.name } else { &first.name };
    Some(Replacement::shared(Arc::from(op), &inputs)?.named(name))
}
