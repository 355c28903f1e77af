//! Reshapes and transposes: left out where others undo them, and moved behind the layers that they don't matter to.

use super::views::View;
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{Flatten, Linear, PackedLinear, Reshape, Transpose};

/// Leaves out movements of elements that others undo: a chain of reshapes and transposes becomes one transpose at most.
pub(super) fn undone(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let is_move = |node: &Node| {
        let op = &node.op;
        let reshapes = op.downcast_ref::<Reshape>().is_some() || op.downcast_ref::<Flatten>().is_some();
        (reshapes || op.downcast_ref::<Transpose>().is_some()).then_some(!reshapes)
    };
    is_move(node)?;
    let value = node.outputs[0];
    let view = View::new(seen.graph(), value);
    // The movements and transposes between the base and the value, against those that the view needs.
    let (mut at, mut moves, mut transposes) = (value, 0, 0);
    while at != view.base {
        let node = seen.node(at)?;
        (moves, transposes) = (moves + 1, transposes + usize::from(is_move(node)?));
        at = node.inputs[0];
    }
    let needed = usize::from(view.merged().len() > 1);
    let shape = seen.shape(value).clone();
    let fewer = needed < transposes || (needed == 0 && moves > 1);
    fewer.then(|| Replacement::new(move |graph| view.place(graph, &shape)))?
}

/// Lets a linear layer read rows where they were before they were moved, and moves what it gives.
///
/// There the movement may meet what undoes it.
pub(super) fn rows(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let linear = node.op.downcast_ref::<Linear>().is_some() || node.op.downcast_ref::<PackedLinear>().is_some();
    let (&[x], value) = (&node.inputs[..], node.outputs[0]) else { return None };
    let (features, out) = (*seen.shape(x).last()?, *seen.shape(value).last()?);
    let (base, view) = View::new(seen.graph(), x).rows(seen.graph(), x, features).filter(|_| linear)?;
    let (op, name, shape) = (node.op.clone(), node.name.clone(), seen.shape(value).clone());
    Replacement::new(move |graph| {
        let y = graph.add_shared(name, op, &[base])?[0];
        view.of_rows(y, out).place(graph, &shape)
    })
}
