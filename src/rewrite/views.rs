//! Views: chains of reshapes, transpositions and slices as strides into the tensor at their start.

use crate::graph::Source;
use crate::ops::{Flatten, Reshape, Slice, Transpose};
use crate::{Graph, Result, Shape, Value};

/// A value described by its elements' positions in another value, its base.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) base: Value,
    /// The position of the first element.
    pub(crate) first: usize,
    /// The dimensions, outermost first. Each consists of parts with strides of their own in the base, outermost first.
    pub(crate) dims: Vec<Vec<Dim>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dim {
    pub(crate) size: usize,
    pub(crate) stride: usize,
}

/// The maximum number of operations in a chain.
const LONGEST: usize = 32;

/// Returns the dimensions of a contiguous tensor.
pub(crate) fn contiguous(shape: &[usize]) -> Vec<Vec<Dim>> {
    let strides = Shape::from(shape).strides();
    shape.iter().zip(strides).map(|(&size, stride)| vec![Dim { size, stride }]).collect()
}

/// Drops sizes of 1, and merges neighbours that lie in memory like a single dimension.
pub(crate) fn merged<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Vec<Dim> {
    let mut merged: Vec<Dim> = Vec::new();
    for &dim in dims.into_iter().filter(|dim| dim.size != 1) {
        match merged.last_mut() {
            Some(last) if last.stride == dim.size * dim.stride => {
                *last = Dim { size: last.size * dim.size, stride: dim.stride };
            }
            _ => merged.push(dim),
        }
    }
    merged
}

/// Returns the same elements under another shape, or `None` if a part would split unevenly.
fn reshaped(dims: &[Vec<Dim>], shape: &[usize]) -> Option<Vec<Vec<Dim>>> {
    let mut open = merged(dims.iter().flatten());
    let mut groups = Vec::new();
    for &size in shape.iter().rev() {
        let (mut left, mut group) = (size, Vec::new());
        while left > 1 {
            let part = open.pop()?;
            let inner = part.size.min(left);
            if part.size % inner != 0 || left % inner != 0 {
                return None;
            }
            group.push(Dim { size: inner, stride: part.stride });
            left /= inner;
            if part.size > inner {
                open.push(Dim { size: part.size / inner, stride: part.stride * inner });
            }
        }
        group.reverse();
        groups.push(group);
    }
    groups.reverse();
    open.is_empty().then_some(groups)
}

impl View {
    /// Returns the view of a value on the farthest base whose elements the value only reorders.
    pub(crate) fn new(graph: &Graph, value: Value) -> View {
        View::from(graph, value, false)
    }

    /// Returns the view of a value on the farthest base that contains the value's elements.
    pub(crate) fn of_some(graph: &Graph, value: Value) -> View {
        View::from(graph, value, true)
    }

    fn from(graph: &Graph, value: Value, slices: bool) -> View {
        // The operations from the value backwards.
        let (mut chain, mut base) = (Vec::new(), value);
        while let &Source::Node(node) = graph.source(base) {
            let node = &graph.nodes()[node];
            let moves = node.op.downcast_ref::<Reshape>().is_some()
                || node.op.downcast_ref::<Flatten>().is_some()
                || node.op.downcast_ref::<Transpose>().is_some()
                || (slices && node.op.downcast_ref::<Slice>().is_some());
            // Where the batch is open, it must stay outermost: places are known for a batch of 1.
            let outermost = graph.batch_is_outermost(base) && graph.batch_is_outermost(node.inputs[0]);
            if !moves || !outermost || chain.len() == LONGEST {
                break;
            }
            chain.push(node);
            base = node.inputs[0];
        }
        // From the farthest candidate on: the first base from which strides describe the chain.
        for start in (0..=chain.len()).rev() {
            let base = if start == 0 { value } else { chain[start - 1].inputs[0] };
            let begin = View { base, first: 0, dims: contiguous(graph.known_shape(base)) };
            let walked = chain[..start].iter().rev().try_fold(begin, |view, node| {
                if let Some(transpose) = node.op.downcast_ref::<Transpose>() {
                    return Some(view.transposed(transpose.order()));
                }
                match node.op.downcast_ref::<Slice>() {
                    Some(slice) => {
                        view.cut(slice, graph.known_shape(node.inputs[0]), graph.known_shape(node.outputs[0]))
                    }
                    None => view.reshaped(graph.known_shape(node.outputs[0])),
                }
            });
            if let Some(view) = walked {
                return view;
            }
        }
        unreachable!("a value is a view of itself")
    }

    pub(crate) fn merged(&self) -> Vec<Dim> {
        merged(self.dims.iter().flatten())
    }

    pub(crate) fn transposed(&self, order: &[usize]) -> View {
        View { dims: order.iter().map(|&axis| self.dims[axis].clone()).collect(), ..self.clone() }
    }

    pub(crate) fn reshaped(&self, shape: &Shape) -> Option<View> {
        Some(View { dims: reshaped(&self.dims, shape)?, ..self.clone() })
    }

    fn cut(mut self, slice: &Slice, from: &Shape, to: &Shape) -> Option<View> {
        for (axis, first, step) in slice.cuts(from) {
            // The stride of a size of 1 doesn't matter. A dimension of several parts can't be cut.
            let stride = match merged(&self.dims[axis])[..] {
                [] => 0,
                [dim] => dim.stride,
                _ => return None,
            };
            self.first += first * stride;
            self.dims[axis] = vec![Dim { size: to[axis], stride: stride * usize::try_from(step).ok()? }];
        }
        Some(self)
    }

    /// Adds the view to a graph as a value of that shape: by no operation, a reshape, or a transposition between
    /// reshapes. The view must cover the whole base.
    pub(crate) fn place(&self, graph: &mut Graph, shape: &Shape) -> Result<Value> {
        let merged = self.merged();
        let from = graph.known_shape(self.base).clone();
        if merged.len() <= 1 {
            return reshape(graph, self.base, shape);
        }
        // The transposition reorders whole dimensions of the base if possible, otherwise parts of them.
        let open = graph.grows_with_batch(self.base);
        let (factors, order) = match permutation(&merged, &from).filter(|order| !open || order[0] == 0) {
            Some(order) => (from, order),
            None => {
                let mut by_stride: Vec<usize> = (0..merged.len()).collect();
                by_stride.sort_by_key(|&i| std::cmp::Reverse(merged[i].stride));
                let mut factors: Vec<usize> = by_stride.iter().map(|&i| merged[i].size).collect();
                let place = |i: usize| by_stride.iter().position(|&at| at == i).unwrap_or(i);
                let mut order: Vec<usize> = (0..merged.len()).map(place).collect();
                // An open batch stays where it is, in a dimension of its own.
                if open {
                    factors.insert(0, 1);
                    order = std::iter::once(0).chain(order.into_iter().map(|axis| axis + 1)).collect();
                }
                (factors.into(), order)
            }
        };
        let x = reshape(graph, self.base, &factors)?;
        let y = graph.transpose(x, order)?;
        reshape(graph, y, shape)
    }

    /// Returns the base, as rows of `features` elements, and the view, if it only reshapes or swaps these rows.
    pub(crate) fn rows(&self, graph: &Graph, value: Value, features: usize) -> Option<(Value, View)> {
        let shape = graph.known_shape(self.base);
        let last = [Dim { size: features, stride: 1 }];
        let row = self.dims.last().is_some_and(|dim| merged(dim) == last) && shape.last() == Some(&features);
        let rows = self.dims.iter().rev().skip(1).flatten().all(|dim| dim.size == 1 || dim.stride % features == 0);
        // A value that is its own base has no operations to move. Two swapped dimensions are swapped back sooner or
        // later; a cut of an image into windows stays before layers that widen it.
        let simple = self.merged().len() <= 3;
        (row && rows && simple && features > 1 && self.base != value).then(|| (self.base, self.clone()))
    }

    /// Returns the same view on another base, whose rows have `features` elements.
    pub(crate) fn of_rows(&self, base: Value, features: usize) -> View {
        let before = self.dims.last().map_or(1, |last| last.iter().map(|dim| dim.size).product());
        let scaled = |dim: &Dim| Dim { stride: dim.stride / before * features, ..*dim };
        let mut dims: Vec<Vec<Dim>> = self.dims.iter().map(|dim| dim.iter().map(scaled).collect()).collect();
        if let Some(last) = dims.last_mut() {
            *last = vec![Dim { size: features, stride: 1 }];
        }
        View { base, dims, ..self.clone() }
    }
}

/// Returns the order of a tensor's dimensions that makes them lie like `dims`, if none of them is split.
fn permutation(dims: &[Dim], shape: &Shape) -> Option<Vec<usize>> {
    let mut left: Vec<(usize, Dim)> =
        contiguous(shape).into_iter().flatten().enumerate().filter(|(_, dim)| dim.size != 1).collect();
    let mut order: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] == 1).collect();
    for dim in dims {
        // A dimension is a run of the base's dimensions, outermost first. The last one has the dimension's stride.
        let mut size = dim.size;
        while size > 1 {
            let outermost = size * dim.stride;
            let found =
                left.iter().position(|(_, base)| base.size * base.stride == outermost && size % base.size == 0)?;
            let (axis, base) = left.remove(found);
            size /= base.size;
            order.push(axis);
        }
    }
    left.is_empty().then_some(order)
}

/// Adds a reshape if one is needed. From four dimensions to `[N, rest]`, adds the flatten that a linear layer absorbs.
pub(crate) fn reshape(graph: &mut Graph, x: Value, shape: &Shape) -> Result<Value> {
    let from = graph.known_shape(x);
    if from == shape {
        return Ok(x);
    }
    if from.len() == 4 && shape.len() == 2 && shape[0] == from[0] {
        return graph.flatten(x);
    }
    // The batch, if there is one, is a part of the first size.
    let sizes = shape.iter().enumerate().map(|(axis, &size)| if axis == 0 { -1 } else { size as isize });
    graph.reshape(x, sizes.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_say_what_chains_do() {
        let dims = |sizes: &[usize]| contiguous(sizes);
        let all = |dims: &[Vec<Dim>]| merged(dims.iter().flatten());
        assert_eq!(all(&dims(&[2, 3, 4])), [Dim { size: 24, stride: 1 }]);
        assert_eq!(all(&reshaped(&dims(&[2, 3, 4]), &[6, 1, 4]).unwrap()), [Dim { size: 24, stride: 1 }]);
        // [4, 3, 2] in another order: two dimensions merged into one have two parts.
        let turned = [(4, 1), (3, 4), (2, 12)].map(|(size, stride)| vec![Dim { size, stride }]);
        assert_eq!(reshaped(&turned, &[12, 2]).unwrap()[0], [Dim { size: 4, stride: 1 }, Dim { size: 3, stride: 4 }]);
        assert_eq!(reshaped(&turned, &[2, 2, 6]).unwrap()[0], [Dim { size: 2, stride: 2 }]);
        assert!(reshaped(&turned, &[8, 3]).is_none());

        let mut graph = Graph::new();
        let x = graph.input("x", [2, 3, 4]);
        let y = graph.transpose(x, [0, 2, 1]).unwrap();
        let y = graph.reshape(y, [2, 2, 2, 3]).unwrap();
        let y = graph.transpose(y, [0, 3, 1, 2]).unwrap();
        let view = View::new(&graph, y);
        assert_eq!((view.base, view.merged()), (x, vec![Dim { size: 24, stride: 1 }]));
        let nodes = graph.nodes().len();
        view.place(&mut graph, &[2, 3, 4].into()).unwrap();
        assert_eq!(graph.nodes().len(), nodes);
        assert!(view.rows(&graph, y, 3).is_none());
    }
}
