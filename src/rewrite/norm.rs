//! Patterns of layer norm, RMS norm and global pooling: means, differences and roots.

use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{BinaryKind, LayerNorm, Pool2d, PoolKind, Reduce, ReduceKind, RmsNorm, Unary};
use crate::{Shape, Value};

pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = node.outputs[0];
    normalised(seen, value)
        .or_else(|| weighted(seen, value))
        .or_else(|| shifted(seen, value))
        .or_else(|| pooled(seen, value))
}

/// Finds `a / sqrt(mean(a²) + eps)`, where a is x (RMS norm) or x minus its mean (layer norm).
fn normalised(seen: &Rewriting, value: Value) -> Option<Replacement> {
    let (a, variance) = over_root(seen, value)?;
    let (mean, eps) = seen.plus(variance)?;
    let (squares, axes) = seen.mean(mean)?;
    let base = seen.square(squares)?;
    let shape = seen.shape(a);
    let over = Shape::from(&shape[shape.len().checked_sub(axes)?..]);
    match (centred(seen, a, axes), centred(seen, base, axes)) {
        (Some(x), Some(y)) if x == y => Replacement::op(LayerNorm::new(over, None, None).eps(eps.into()), &[x]),
        _ if a == base => Replacement::op(RmsNorm::new(over, None).eps(eps.into()), &[a]),
        _ => None,
    }
}

/// Returns x if the value is `x - mean(x)`.
fn centred(seen: &Rewriting, value: Value, axes: usize) -> Option<Value> {
    let [x, mean] = seen.binary(value, BinaryKind::Sub)?;
    let (of, over) = seen.mean(mean)?;
    (of == x && over == axes).then_some(x)
}

/// Returns the dividend and the radicand of a division by a square root.
fn over_root(seen: &Rewriting, value: Value) -> Option<(Value, Value)> {
    if let Some([a, root]) = seen.binary(value, BinaryKind::Div) {
        return Some((a, root_of(seen, root)?));
    }
    let [a, b] = seen.binary(value, BinaryKind::Mul)?;
    let inverse = |value: Value| -> Option<Value> {
        if let Some(inner) = seen.unary(value, Unary::Rsqrt) {
            return Some(inner);
        }
        if let Some(root) = seen.unary(value, Unary::Reciprocal) {
            return root_of(seen, root);
        }
        let [one, root] = seen.binary(value, BinaryKind::Div)?;
        (seen.number(one)? == 1.0).then(|| root_of(seen, root)).flatten()
    };
    inverse(b).map(|inner| (a, inner)).or_else(|| inverse(a).map(|inner| (b, inner)))
}

fn root_of(seen: &Rewriting, value: Value) -> Option<Value> {
    if let Some([base, exponent]) = seen.binary(value, BinaryKind::Pow) {
        return (seen.number(exponent)? == 0.5).then_some(base);
    }
    seen.unary(value, Unary::Sqrt)
}

fn weighted(seen: &Rewriting, value: Value) -> Option<Replacement> {
    let (x, weight) = seen.with_constant(value, BinaryKind::Mul)?;
    if let Some((norm, inputs)) = seen.op::<LayerNorm>(x) {
        return Replacement::op(norm.with_weight(weight)?, inputs);
    }
    let (norm, inputs) = seen.op::<RmsNorm>(x)?;
    Replacement::op(norm.with_weight(weight)?, inputs)
}

fn shifted(seen: &Rewriting, value: Value) -> Option<Replacement> {
    let (x, bias) = seen.with_constant(value, BinaryKind::Add)?;
    let (norm, inputs) = seen.op::<LayerNorm>(x)?;
    Replacement::op(norm.with_bias(bias)?, inputs)
}

/// Finds a mean or maximum over height and width: global pooling.
fn pooled(seen: &Rewriting, value: Value) -> Option<Replacement> {
    let (op, inputs) = seen.op::<Reduce>(value)?;
    let (kind, axes, keepdim) = op.parts();
    let image = seen.shape(inputs[0]).len() == 4 && axes.len() == 2 && axes.contains(&2) && axes.contains(&3);
    let kind = match kind {
        ReduceKind::Mean => PoolKind::Average,
        ReduceKind::Max => PoolKind::Max,
        _ => return None,
    };
    let x = *inputs.first()?;
    let pool = Pool2d::global(kind);
    if !image {
        return None;
    }
    if keepdim {
        return Replacement::op(pool, &[x]);
    }
    let add = move |graph: &mut crate::Graph| {
        let y = graph.pool2d(x, pool)?;
        graph.flatten(y)
    };
    Replacement::new(add)
}
