//! The pattern of attention: a product of queries and keys, a softmax, a product with values.

use super::views::{Dim, View, contiguous, merged, reshape};
use crate::graph::Node;
use crate::graph::rewrite::{Replacement, Rewriting};
use crate::ops::{Attention, BinaryKind, MatMul, Softmax, Where};
use crate::{Constant, ErrorKind, Graph, Result, Value};

pub(super) fn find(seen: &Rewriting, node: &Node) -> Option<Replacement> {
    let value = node.outputs[0];
    scores(seen, value)
}

/// The least that hides a key. No score changes a sum with it: of equal sums, a query without any key to see takes the mean
/// of all, as it would by the selection of a number. With -1e9, a score from 32 on would make a difference.
const HIDDEN: f32 = -1e30;

/// The mask of the scores.
enum Mask {
    None,
    Added(Value),
    /// A selection: where the condition is `when`, the value, a number that hides a key, and elsewhere the scores.
    Hidden {
        condition: Value,
        when: bool,
        value: Value,
        number: f32,
    },
}

fn scores(seen: &Rewriting, value: Value) -> Option<Replacement> {
    let (product, inputs) = seen.op::<MatMul>(value)?;
    if product.plain()? != [false, false] {
        return None;
    }
    let v = inputs[1];
    let (softmax, inputs) = seen.op::<Softmax>(inputs[0])?;
    let rank = seen.shape(value).len();
    if softmax.axis() + 1 != rank || !(rank == 3 || rank == 4) {
        return None;
    }
    let (mut scores, mut mask) = (inputs[0], Mask::None);
    if let Some((_, parts)) = seen.op::<Where>(scores) {
        // Only a number that hides a key whatever its score can be added to the score instead.
        let hides = |value: Value| seen.number(value).filter(|&hidden| hidden <= -1e9);
        let hidden = |value, number, when| Mask::Hidden { condition: parts[0], when, value, number };
        (scores, mask) = match (hides(parts[1]), hides(parts[2])) {
            (None, Some(number)) => (parts[1], hidden(parts[2], number, false)),
            (Some(number), None) => (parts[2], hidden(parts[1], number, true)),
            _ => return None,
        };
    } else if let Some([a, b]) = seen.binary(scores, BinaryKind::Add) {
        let is_product = |value: Value| seen.op::<MatMul>(seen.scaled(value).0).is_some();
        (scores, mask) = if is_product(a) { (a, Mask::Added(b)) } else { (b, Mask::Added(a)) };
    }
    let (scores, scale) = seen.scaled(scores);
    let (product, inputs) = seen.op::<MatMul>(scores)?;
    let [false, turned] = product.plain()? else { return None };
    let (q, by_q) = seen.scaled(inputs[0]);
    let (k, by_k) = seen.scaled(inputs[1]);
    let same_rank = [q, k, v].iter().all(|&operand| seen.shape(operand).len() == rank);
    let scale = scale * by_q * by_k;
    if !same_rank || !scale.is_finite() {
        return None;
    }
    // The product takes transposed keys, attention untransposed ones.
    let keys = (k, !turned);
    Replacement::new(move |graph| attention(graph, q, keys, v, &mask, scale))
}

fn attention(
    graph: &mut Graph,
    q: Value,
    (k, turn): (Value, bool),
    v: Value,
    mask: &Mask,
    scale: f64,
) -> Result<Value> {
    let bias = match *mask {
        Mask::None => None,
        Mask::Added(bias) => Some(bias),
        Mask::Hidden { condition, when, value, number } => {
            let shape = graph.known_shape(value).clone();
            let [hidden, zero] = [number.min(HIDDEN), 0.0]
                .map(|number| graph.constant(Constant::known("", shape.clone(), vec![number])));
            let (yes, no) = if when { (hidden, zero) } else { (zero, hidden) };
            Some(graph.where_(condition, yes, no)?)
        }
    };
    let op = Attention::new().scale(scale).plain_softmax();
    attended(graph, q, (k, turn), v, bias, if bias.is_some() { op.masked() } else { op })
}

/// Adds attention over queries, keys and values `[N, H, L, D]` or `[H, L, D]`, read in place if possible. `turn` means
/// that the keys are `[.., D, L]`. The mask is the last input.
pub(crate) fn attended(
    graph: &mut Graph,
    q: Value,
    (k, turn): (Value, bool),
    v: Value,
    bias: Option<Value>,
    op: Attention,
) -> Result<Value> {
    // Three dimensions are the heads of a batch of one.
    let shape = graph.known_shape(q).clone();
    if let Some(other) = [k, v].map(|operand| graph.known_shape(operand)).into_iter().find(|of| of.len() != shape.len())
    {
        return Err(ErrorKind::argument("key, value", format_args!("{} dimensions each", shape.len()), other).into());
    }
    let flat = shape.len() == 3;
    let mut order: Vec<usize> = (0..shape.len()).collect();
    if turn {
        order.swap(shape.len() - 2, shape.len() - 1);
    }
    let outer = |dims: Vec<Vec<Dim>>| if flat { [&[Vec::new()], &dims[..]].concat() } else { dims };
    let views = [View::of_some(graph, q), View::of_some(graph, k).transposed(&order), View::of_some(graph, v)];
    let views = views.map(|view| View { dims: outer(view.dims.clone()), ..view });
    if let Some((inputs, op)) = side_by_side(graph, &views, &op)? {
        let y = graph.push(op, &[inputs, bias.into_iter().collect()].concat())?;
        // The heads get a dimension of their own again, which cancels with a reader that joins them.
        let ([n, heads, l, _], [.., d]) = (sizes(&views[0]), sizes(&views[2]));
        let apart = contiguous(&[n, l, heads, d]);
        let view = View { base: y, first: 0, dims: [0, 2, 1, 3].map(|axis| apart[axis].clone()).to_vec() };
        let output = [&shape[..shape.len() - 1], &[d]].concat().into();
        return view.place(graph, &output);
    }
    let sizes: Vec<usize> = order.iter().map(|&axis| graph.known_shape(k)[axis]).collect();
    let k = View::new(graph, k).transposed(&order).place(graph, &sizes.into())?;
    let mut inputs = vec![q, k, v];
    inputs.extend(bias);
    if !flat {
        return graph.push(op, &inputs);
    }
    let width = *graph.known_shape(v).last().unwrap_or(&1);
    for input in &mut inputs {
        let shape: Vec<isize> = graph.known_shape(*input).iter().map(|&size| size as isize).collect();
        if shape.len() == 3 {
            *input = graph.reshape(*input, [&[1], &shape[..]].concat())?;
        }
    }
    let y = graph.push(op, &inputs)?;
    graph.reshape(y, [shape[0], shape[1], width].map(|size| size as isize))
}

/// Returns inputs and operation if heads `[N, H, L, D]` lie side by side in memory, to read them in place: all in one
/// tensor, as one linear layer gives queries, keys and values, or in one each.
fn side_by_side(graph: &mut Graph, views: &[View; 3], op: &Attention) -> Result<Option<(Vec<Value>, Attention)>> {
    let [n, heads, l, d] = sizes(&views[0]);
    let [_, few, keys, _] = sizes(&views[1]);
    let dv = sizes(&views[2])[3];
    // True if the heads lie side by side in rows of `width` elements, from `first` on.
    let lies = |view: &View, width: usize, first: usize| {
        let [n, _, l, d] = sizes(view);
        let wanted = [l * width, d, width, 1];
        view.first == first
            && view.dims.iter().zip(wanted).all(|(dim, stride)| match merged(dim)[..] {
                [] => true,
                [dim] => dim.stride == stride,
                _ => false,
            })
            && n * l * width == graph.known_shape(view.base).elements()
    };
    let packed = (heads + 2 * few) * d;
    let [q, k, v] = views;
    let one = q.base == k.base && k.base == v.base && keys == l && dv == d;
    if one && lies(q, packed, 0) && lies(k, packed, heads * d) && lies(v, packed, (heads + few) * d) {
        let x = reshape(graph, q.base, &[n, l, packed].into())?;
        return Ok(op.as_packed(heads, few).map(|op| (vec![x], op)));
    }
    if lies(q, heads * d, 0) && lies(k, few * d, 0) && lies(v, few * dv, 0) {
        let shapes = [[n, l, heads * d], [n, keys, few * d], [n, keys, few * dv]];
        let mut inputs = Vec::new();
        for (view, shape) in views.iter().zip(shapes) {
            inputs.push(reshape(graph, view.base, &shape.into())?);
        }
        return Ok(op.as_heads(heads, few).map(|op| (inputs, op)));
    }
    Ok(None)
}

/// Returns the sizes of queries, keys or values.
fn sizes(view: &View) -> [usize; 4] {
    std::array::from_fn(|axis| view.dims[axis].iter().map(|dim| dim.size).product())
}
