//! The class token of vision transformers: a row before the computed ones, and the positions added to all.

use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::kernel::WeightKey;
use crate::ops::{BinaryKind, Concat};
use crate::{Constant, Graph};

/// Finds a constant before computed rows, plus another constant: a padding with zeros, plus the sum of both constants.
pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = node.outputs[0];
    let (joined, more) = seen.with_constant(value, BinaryKind::Add)?;
    let (_, inputs) = seen.op::<Concat>(joined)?;
    let &[first, x] = inputs else { return None };
    let (class, shape, of) = (seen.constant(first)?.clone(), seen.shape(joined).clone(), seen.shape(x).clone());
    let &[n, rows, width] = &shape[..] else { return None };
    let before = rows - of[1];
    let fits = class.shape()[..] == [n, before, width] && more.shape().ends_with(&[rows, width]);
    if !fits || more.shape().elements() != rows * width {
        return None;
    }
    let (learned, base) = ([class.clone(), more.clone()], more.clone());
    let values = move || {
        let (class, base) = (class.values(), base.values());
        let token = |i: usize| {
            if i % (rows * width) < before * width {
                class[i / (rows * width) * before * width + i % (rows * width)]
            } else {
                0.0
            }
        };
        (0..n * rows * width).map(|i| base[i % (rows * width)] + token(i)).collect()
    };
    let ids = learned.each_ref().map(|constant| Some(constant.id()));
    let key = WeightKey::new("token and positions").constants(ids).sizes(shape.iter().copied());
    let sum = Constant::lazy(more.name(), shape, values).derived_from(&learned.each_ref()).computed_as(key);
    let add = move |graph: &mut Graph| {
        let x = graph.pad(x, [[0, 0], [before as isize, 0], [0, 0]], 0.0)?;
        let sum = graph.constant(sum);
        graph.add(x, sum)
    };
    Replacement::new(add)
}
