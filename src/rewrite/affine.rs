//! Multiplications and additions of constants, and batch norms: folded into the weights of the layer before or after them.

use super::views::{Dim, View, merged};
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::kernel::WeightKey;
use crate::ops::affine::Affine;
use crate::ops::{BatchNorm2d, Binary, BinaryKind, Conv, Linear, PackedLinear};
use crate::{Constant, Op, Value};
use std::sync::Arc;

/// An operation of a chain.
#[derive(Clone)]
enum Link {
    /// A binary operation with a constant; `true` if the constant comes first.
    Constant(BinaryKind, Constant, bool),
    /// A batch norm.
    Norm(Affine),
}

/// A chain of operations that computes `x * scale + shift`.
struct Chain {
    x: Value,
    /// The axis along which scales and shifts vary.
    axis: Option<usize>,
    /// The operations, the first to run first.
    links: Vec<Link>,
}

/// The longest chain that is looked at.
const LONGEST: usize = 64;

impl Chain {
    /// Returns the longest chain that ends with this value, if there is one. Only the chain reads its inner values.
    fn ending(seen: &Rewriting, value: Value) -> Option<Chain> {
        let mut chain = Chain { x: value, axis: None, links: Vec::new() };
        while chain.links.len() < LONGEST && (chain.x == value || seen.read_once(chain.x)) {
            let Some((x, axis, link)) = link(seen, chain.x) else { break };
            match (chain.axis, axis) {
                (Some(a), Some(b)) if a != b => break,
                _ => chain.axis = chain.axis.or(axis),
            }
            chain.x = x;
            chain.links.insert(0, link);
        }
        (!chain.links.is_empty()).then_some(chain)
    }

    /// Returns true if scales and shifts vary along no other axis.
    fn varies_along(&self, axis: usize) -> bool {
        self.axis.is_none_or(|own| own == axis)
    }

    /// Returns the key of the scales and shifts.
    fn key(&self) -> WeightKey {
        self.links.iter().fold(WeightKey::new("affine"), |key, link| match link {
            Link::Constant(kind, constant, first) => {
                key.constants([Some(constant.id())]).sizes([1 + *kind as usize, usize::from(*first)])
            }
            Link::Norm(norm) => key.sizes([0]).and(&norm.key),
        })
    }

    fn affine(&self) -> Affine {
        let kinds = |wanted: &[BinaryKind]| {
            let is = |link: &Link| match link {
                Link::Constant(kind, _, first) => wanted.contains(kind) || (*first && *kind == BinaryKind::Sub),
                Link::Norm(_) => true,
            };
            self.links.iter().any(is)
        };
        let scales = kinds(&[BinaryKind::Mul, BinaryKind::Div]);
        let shifts = kinds(&[BinaryKind::Add, BinaryKind::Sub]);
        let alone = match &self.links[..] {
            [Link::Constant(BinaryKind::Add, shift, _)] => Some(shift.clone()),
            _ => None,
        };
        let links = self.links.clone();
        let pairs = move || links.iter().fold(vec![(1.0, 0.0)], |pairs, link| then(&pairs, link));
        Affine::new(self.key(), pairs).known(scales, shifts, alone)
    }
}

/// Returns the operand of an operation that scales or shifts by constants, the axis along which these vary, and the operation.
fn link(seen: &Rewriting, value: Value) -> Option<(Value, Option<usize>, Link)> {
    if let Some((norm, inputs)) = seen.op::<BatchNorm2d>(value) {
        return norm.activation().is_none().then(|| (inputs[0], Some(1), Link::Norm(norm.affine())));
    }
    let (op, inputs) = seen.op::<Binary>(value)?;
    let (kind, x) = (op.kind(), op.activation().is_none().then_some(inputs)?);
    let (x, constant, first) = match (seen.constant(x[0]), seen.constant(x[1])) {
        (None, Some(constant)) => (x[0], constant, false),
        (Some(constant), None) => (x[1], constant, true),
        _ => return None,
    };
    let fits = match kind {
        BinaryKind::Add | BinaryKind::Sub | BinaryKind::Mul => true,
        BinaryKind::Div => !first,
        _ => false,
    };
    // The constant is broadcast, not x.
    let (shape, from) = (seen.shape(x), constant.shape());
    if !fits || seen.shape(value) != shape || from.len() > shape.len() {
        return None;
    }
    let before = shape.len() - from.len();
    let varies: Vec<usize> = (0..from.len()).filter(|&axis| from[axis] != 1).map(|axis| before + axis).collect();
    let axis = match varies[..] {
        [] => None,
        [axis] => Some(axis),
        _ => return None,
    };
    // An infinite scale is no part of a weight: 0 times it is NaN.
    let scales = [BinaryKind::Mul, BinaryKind::Div].contains(&kind);
    let scale = seen.number(inputs[usize::from(!first)]).filter(|_| scales);
    if scale.is_some_and(|scale| !(scale.is_finite() && (kind == BinaryKind::Mul || (1.0 / scale).is_finite()))) {
        return None;
    }
    Some((x, axis, Link::Constant(kind, constant.clone(), first)))
}

/// Returns the chain that ends with this value, unless it goes on after it: then all of it is folded at once.
fn whole(seen: &Rewriting, value: Value) -> Option<Chain> {
    let chain = Chain::ending(seen, value)?;
    let next = seen.only_reader(value).filter(|next| next.outputs.len() == 1);
    let goes_on =
        |(x, axis, _): (Value, Option<usize>, Link)| x == value && axis.is_none_or(|axis| chain.varies_along(axis));
    (!next.and_then(|next| link(seen, next.outputs[0])).is_some_and(goes_on)).then_some(chain)
}

/// Returns the scales and shifts of an affine with one more operation after it.
fn then(pairs: &[(f64, f64)], link: &Link) -> Vec<(f64, f64)> {
    let more = match link {
        Link::Norm(norm) => norm.pairs(pairs.len()),
        Link::Constant(kind, constant, first) => {
            let pair = |value: f32| {
                let value = f64::from(value);
                match kind {
                    BinaryKind::Mul => (value, 0.0),
                    BinaryKind::Div => (1.0 / value, 0.0),
                    BinaryKind::Sub if *first => (-1.0, value),
                    BinaryKind::Sub => (1.0, -value),
                    _ => (1.0, value),
                }
            };
            constant.values().into_iter().map(pair).collect()
        }
    };
    let channels = pairs.len().max(more.len());
    let each = |i: usize| {
        let ((scale, shift), (by, plus)) = (pairs[i % pairs.len()], more[i % more.len()]);
        (scale * by, shift * by + plus)
    };
    (0..channels).map(each).collect()
}

/// Folds the addition of a vector into the linear layer before it, as its bias.
pub(super) fn bias(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = node.outputs[0];
    let (x, axis, link) = link(seen, value)?;
    let biased = seen.op::<Linear>(x).is_some_and(|(linear, _)| linear.is_biased());
    let last = !biased && axis.is_some_and(|axis| axis + 1 == seen.shape(x).len());
    let add = last && matches!(link, Link::Constant(BinaryKind::Add, ..));
    add.then(|| into_layer(seen, value, &Chain { x, axis, links: vec![link] }))?
}

/// Folds a chain into the layer before it.
pub(super) fn after_layer(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = node.outputs[0];
    into_layer(seen, value, &whole(seen, value)?)
}

/// Folds a chain that ends with a value into the layer before it, through transposes and reshapes.
fn into_layer(seen: &Rewriting, value: Value, chain: &Chain) -> Option<Replacement> {
    // A single batch norm is one already.
    let single = |op: &dyn Op| op.downcast_ref::<BatchNorm2d>().is_some() && matches!(chain.links[..], [Link::Norm(_)]);
    if let Some((op, inputs)) = folded(seen, chain).filter(|(op, _)| !single(&**op)) {
        return Replacement::shared(op, &inputs);
    }
    let view = View::new(seen.graph(), chain.x);
    let mut inner = chain.x;
    while inner != view.base {
        inner = *seen.node(inner).filter(|_| seen.read_once(inner))?.inputs.first()?;
    }
    if view.base == chain.x || !seen.read_once(view.base) {
        return None;
    }
    let axis = match chain.axis {
        None => None,
        Some(axis) => Some(source_axis(seen, &view, axis)?),
    };
    // The operations before the movements belong to the chain too.
    let before = Chain::ending(seen, view.base).unwrap_or(Chain { x: view.base, axis: None, links: Vec::new() });
    if before.axis.is_some() && axis.is_some() && before.axis != axis {
        return None;
    }
    let links = [before.links, chain.links.clone()].concat();
    let (op, inputs) = folded(seen, &Chain { x: before.x, axis: before.axis.or(axis), links })?;
    let name = seen.node(before.x).map_or_else(|| op.name().to_owned(), |node| node.name.clone());
    let shape = seen.shape(value).clone();
    Replacement::new(move |graph| {
        let base = graph.add_shared(name, op, &inputs)?[0];
        View { base, ..view }.place(graph, &shape)
    })
}

/// Returns the axis of a view's base along which all of an axis of the view runs.
fn source_axis(seen: &Rewriting, view: &View, axis: usize) -> Option<usize> {
    let [Dim { size, stride }] = merged(&view.dims[axis])[..] else { return None };
    let shape = seen.shape(view.base);
    let strides = shape.strides();
    (0..shape.len()).find(|&axis| shape[axis] == size && strides[axis] == stride)
}

/// A layer and its inputs.
type Layer = (Arc<dyn Op>, Vec<Value>);

/// Returns the layer before a chain with the chain folded in: a linear layer, or a batch norm that the layer takes in when
/// operations are fused.
fn folded(seen: &Rewriting, chain: &Chain) -> Option<Layer> {
    let node = seen.node(chain.x).filter(|_| seen.read_once(chain.x))?;
    let (shape, inputs) = (seen.shape(chain.x), node.inputs.clone());
    let last = shape.len().checked_sub(1)?;
    if let Some(linear) = node.op.downcast_ref::<Linear>().filter(|_| chain.varies_along(last)) {
        return Some((Arc::new(linear.then(&chain.affine())?), inputs));
    }
    if let Some(linear) = node.op.downcast_ref::<PackedLinear>().filter(|_| chain.varies_along(last)) {
        let [Link::Constant(BinaryKind::Add, bias, _)] = &chain.links[..] else { return None };
        return Some((Arc::new(linear.with_bias(&bias.with_shape([bias.shape().elements()]))?), inputs));
    }
    let &channels = shape.get(1).filter(|_| chain.varies_along(1))?;
    let norm = BatchNorm2d::from_affine(&chain.affine(), channels);
    node.op.fuse(&norm, 0)?;
    Some((Arc::new(norm), vec![chain.x]))
}

/// Folds a chain into the layer after it.
pub(super) fn before_layer(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = *node.inputs.first()?;
    if !seen.read_once(value) {
        return None;
    }
    let chain = Chain::ending(seen, value)?;
    // Where a layer before the chain takes it in, that is left to it.
    if folded(seen, &chain).is_some() {
        return None;
    }
    let affine = chain.affine();
    let last = seen.shape(value).len().checked_sub(1)?;
    let op = match node.op.downcast_ref::<Linear>() {
        Some(linear) => Arc::new(linear.after(&affine).filter(|_| chain.varies_along(last))?),
        None => {
            let conv = after_affine::<1>(&*node.op, &affine).or_else(|| after_affine::<2>(&*node.op, &affine));
            conv.or_else(|| after_affine::<3>(&*node.op, &affine)).filter(|_| chain.varies_along(1))?
        }
    };
    Replacement::shared(op, &[&[chain.x], &node.inputs[1..]].concat())
}

/// Returns the convolution that takes in an affine before it, if the operation is one along `D` axes.
fn after_affine<const D: usize>(op: &dyn Op, affine: &Affine) -> Option<Arc<dyn Op>> {
    Some(Arc::new(op.downcast_ref::<Conv<D>>()?.after(affine)?))
}

/// Joins two operations or more of a chain into one batch norm, where they read images.
pub(super) fn joined(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let chain = whole(seen, node.outputs[0]).filter(|chain| chain.links.len() > 1)?;
    let shape = seen.shape(chain.x);
    let image = (4..=5).contains(&shape.len()) && chain.varies_along(1);
    let norm = image.then(|| BatchNorm2d::from_affine(&chain.affine(), shape[1]))?;
    Replacement::op(norm, &[chain.x])
}
