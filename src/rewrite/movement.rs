//! Reshapes and transposes: left out where others undo them, and moved behind the layers that they don't matter to.
//! Slices of rows: moved before the norm of each row.

use super::views::View;
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{Flatten, Linear, PackedLinear, Reshape, Slice, Transpose, norm_of_rows};

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

/// Moves a slice of rows before the norm of each row, so that only those rows are normalised, such as a ViT's class token.
pub(super) fn cut(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let (slice, value) = (node.op.downcast_ref::<Slice>()?, node.inputs[0]);
    let norm = seen.node(value).filter(|_| seen.only_reader(value).is_some())?;
    let (&length, outer) = seen.shape(value).split_last()?;
    norm_of_rows(&*norm.op, length)?;
    if slice.cuts(seen.shape(value)).iter().any(|&(axis, ..)| axis >= outer.len()) {
        return None;
    }
    let ([before, after], x) = ([node, norm].map(|node| (node.name.clone(), node.op.clone())), norm.inputs[0]);
    Replacement::new(move |graph| {
        let x = graph.add_shared(before.0, before.1, &[x])?[0];
        Ok(graph.add_shared(after.0, after.1, &[x])?[0])
    })
}

#[cfg(test)]
mod tests {
    use crate::ops::{LayerNorm, RmsNorm};
    use crate::{BATCH, Constant, Graph, Result, Value};

    /// Returns the names of a graph's operations after rewriting.
    fn planned(build: impl FnOnce(&mut Graph, Value) -> Result<Vec<Value>>) -> Vec<&'static str> {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 5, 8]);
        for (i, value) in build(&mut graph, x).unwrap().into_iter().enumerate() {
            graph.output(format!("y{i}"), value);
        }
        graph.fused().nodes().iter().map(|node| node.op.name()).collect()
    }

    fn norm(graph: &mut Graph, x: Value) -> Result<Value> {
        let weight = Constant::known("weight", [8], vec![1.0; 8]);
        graph.rms_norm(x, RmsNorm::new([8], Some(weight)))
    }

    #[test]
    fn rows_are_cut_before_their_norm() {
        let of_rows = planned(|graph, x| {
            let y = norm(graph, x)?;
            Ok(vec![graph.slice(y, 1, 0, 1)?])
        });
        assert_eq!(of_rows, ["slice", "rms_norm"]);
        let of_layer_norm = planned(|graph, x| {
            let y = graph.layer_norm(x, LayerNorm::new([8], None, None))?;
            Ok(vec![graph.slice(y, 1, 2, 4)?])
        });
        assert_eq!(of_layer_norm, ["slice", "layer_norm"]);
        let of_elements = planned(|graph, x| {
            let y = norm(graph, x)?;
            Ok(vec![graph.slice(y, 2, 0, 4)?])
        });
        assert_eq!(of_elements, ["rms_norm", "slice"]);
        let of_planes = planned(|graph, x| {
            let y = graph.layer_norm(x, LayerNorm::new([5, 8], None, None))?;
            Ok(vec![graph.slice(y, 1, 0, 1)?])
        });
        assert_eq!(of_planes, ["layer_norm", "slice"]);
        let read_elsewhere = planned(|graph, x| {
            let y = norm(graph, x)?;
            Ok(vec![graph.slice(y, 1, 0, 1)?, y])
        });
        assert_eq!(read_elsewhere, ["rms_norm", "slice"]);
    }
}
