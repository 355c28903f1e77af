//! Slices of a layer's channels: the layer computes each of them on its own, so that none is copied.

use crate::Op;
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{Conv, Linear, Slice};
use std::ops::Range;
use std::sync::Arc;

/// The most elements that the layer may read for an element of a slice. A copy moves an element up to six times, since layouts
/// are converted before and after it: reading the input once more must not take much longer.
const MOST_READ: usize = 8;

/// The channels that kernels compute together: those of a narrower slice cost as much.
const TILE: usize = 32;

/// Finds a slice of the channels of a layer that only such slices read, each channel once at most.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let own = channels(seen, node)?;
    let &value = node.inputs.first()?;
    let mut all = seen.readers(value)?.map(|reader| channels(seen, reader)).collect::<Option<Vec<_>>>()?;
    all.sort_by_key(|channels| channels.start);
    let layer = seen.node(value).filter(|_| all.windows(2).all(|pair| pair[0].end <= pair[1].start))?;
    let computed = |channels: usize| channels.next_multiple_of(TILE);
    if all.iter().map(|channels| computed(channels.len())).sum::<usize>() > computed(width(seen, layer)?) {
        return None;
    }
    let name = format!("{}[{}..{}]", layer.name, own.start, own.end);
    Some(Replacement::shared(cut(&*layer.op, &own)?, &layer.inputs)?.named(&name))
}

/// Returns the number of a layer's channels.
fn width(seen: &Rewriting, layer: &Node) -> Option<usize> {
    Some(seen.shape(*layer.outputs.first()?)[axis(seen, layer)?])
}

/// Returns the axis of a layer's channels.
fn axis(seen: &Rewriting, layer: &Node) -> Option<usize> {
    // A number has no axis.
    let last = seen.shape(*layer.outputs.first()?).len().checked_sub(1)?;
    Some(if layer.op.downcast_ref::<Linear>().is_some() { last } else { 1 })
}

/// Returns the channels of a layer that a slice takes, if it cuts along no other axis and takes enough of them.
fn channels(seen: &Rewriting, node: &Node) -> Option<Range<usize>> {
    let (slice, &value) = (node.op.downcast_ref::<Slice>()?, node.inputs.first()?);
    let (from, to, layer) = (seen.shape(value), seen.shape(*node.outputs.first()?), seen.node(value)?);
    let axis = axis(seen, layer)?;
    let [(cut, first, step)] = slice.cuts(from)[..] else { return None };
    let read = seen.shape(*layer.inputs.first()?).elements();
    ((cut, step) == (axis, 1) && read <= to.elements().saturating_mul(MOST_READ)).then(|| first..first + to[axis])
}

/// Returns the layer that computes only these channels.
fn cut(op: &dyn Op, channels: &Range<usize>) -> Option<Arc<dyn Op>> {
    fn conv<const D: usize>(op: &dyn Op, channels: &Range<usize>) -> Option<Arc<dyn Op>> {
        Some(Arc::new(op.downcast_ref::<Conv<D>>()?.of_channels(channels)?))
    }
    match op.downcast_ref::<Linear>() {
        Some(linear) => Some(Arc::new(linear.of_channels(channels)?)),
        None => conv::<1>(op, channels).or_else(|| conv::<2>(op, channels)).or_else(|| conv::<3>(op, channels)),
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{Conv2d, Reduce, ReduceKind, Slice};
    use crate::{BATCH, Constant, Graph, Result, Value};

    fn conv(graph: &mut Graph, x: Value, [groups, stride]: [usize; 2]) -> Result<Value> {
        let weight = Constant::known("weight", [96, 96 / groups, 1, 1], vec![1.0; 96 * 96 / groups]);
        graph.conv2d(x, Conv2d::new(weight, None).groups(groups).stride(stride))
    }

    /// Returns the number of operations of a graph with these outputs, and of those that are left of it.
    fn operations(outputs: impl FnOnce(&mut Graph, Value) -> Result<Vec<Value>>) -> [usize; 2] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 96, 5, 7]);
        for value in outputs(&mut graph, x).unwrap() {
            graph.output("y", value);
        }
        [graph.nodes().len(), graph.fused().nodes().len()]
    }

    #[test]
    fn parts_are_named_after_their_layer() {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 96, 5, 7]);
        let y = conv(&mut graph, x, [1, 1]).unwrap();
        graph.rename(y, "layer").unwrap();
        for part in graph.split(y, &[32, 64], 1).unwrap() {
            graph.output("y", part);
        }
        let (graph, log) = graph.rewritten();
        let names: Vec<&str> = graph.nodes().iter().map(|node| &node.name[..]).collect();
        assert_eq!(names, ["layer[0..32]", "layer[32..96]"]);
        assert_eq!(log[1].to_string(), "slices of a layer: split_1.1 (conv2d + slice -> conv2d)");
    }

    #[test]
    fn other_slices_stay() {
        let of_a_number = operations(|graph, x| {
            let sum = graph.push(Reduce::new(ReduceKind::Sum, [0, 1, 2, 3]), &[x])?;
            Ok(vec![graph.push(Slice::new(), &[sum])?])
        });
        assert_eq!(of_a_number, [2, 2]);
        let overlapping = operations(|graph, x| {
            let y = conv(graph, x, [1, 1])?;
            Ok(vec![graph.slice(y, 1, 0, 32)?, graph.slice(y, 1, 31, 63)?])
        });
        assert_eq!(overlapping, [3, 3]);
        let with_a_result = operations(|graph, x| {
            let y = conv(graph, x, [1, 1])?;
            Ok(vec![y, graph.slice(y, 1, 0, 32)?])
        });
        assert_eq!(with_a_result, [2, 2]);
        let with_another_reader = operations(|graph, x| {
            let y = conv(graph, x, [1, 1])?;
            Ok(vec![graph.slice(y, 1, 0, 32)?, graph.softmax(y, 1)?])
        });
        assert_eq!(with_another_reader, [3, 3]);
        let of_pixels = operations(|graph, x| {
            let y = conv(graph, x, [1, 1])?;
            Ok(vec![graph.slice(y, 2, 0, 3)?])
        });
        assert_eq!(of_pixels, [2, 2]);
        let of_a_sum = operations(|graph, x| {
            let y = conv(graph, x, [1, 1])?;
            let y = graph.add(y, x)?;
            Ok(vec![graph.slice(y, 1, 0, 32)?])
        });
        assert_eq!(of_a_sum, [3, 2]);
        let of_groups = operations(|graph, x| {
            let y = conv(graph, x, [2, 1])?;
            Ok(vec![graph.slice(y, 1, 0, 32)?])
        });
        assert_eq!(of_groups, [2, 2]);
        // 12 pixels of one channel, for 35 pixels of 96 channels.
        let of_few = operations(|graph, x| {
            let y = conv(graph, x, [1, 2])?;
            Ok(vec![graph.slice(y, 1, 64, 65)?])
        });
        assert_eq!(of_few, [2, 2]);
        // A kernel computes 32 channels at least for each part.
        let narrow = operations(|graph, x| {
            let y = conv(graph, x, [1, 1])?;
            graph.split(y, &[16; 6], 1)
        });
        assert_eq!(narrow, [7, 7]);
    }
}
