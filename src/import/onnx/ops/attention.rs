//! Attention, rotary embedding and cache updates.

use crate::Shape;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::{Activation, Attention, BinaryKind, Compare, Gather, Logical, MatMul, ReduceKind, Softmax};
use crate::rewrite::attention::attended;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Attention" => attention,
        "RotaryEmbedding" => rotary_embedding,
        "TensorScatter" => tensor_scatter,
        _ => return None,
    })
}

/// Returns the number of heads from an attribute, which 3-D inputs need.
pub(super) fn heads(node: &Node, name: &'static str) -> Result<Option<usize>> {
    let heads = node.int(name, 0)?;
    let wrong = || node.refused(&format!("attribute {name}"), "1 or more", heads);
    if !node.has(name) {
        return Ok(None);
    }
    usize::try_from(heads).ok().filter(|&heads| heads > 0).map(Some).ok_or_else(wrong)
}

fn attention(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (q, k, v) = (node.input(0)?.clone(), node.input(1)?.clone(), node.input(2)?.clone());
    let (mask, past) = (node.optional(3).cloned(), (node.optional(4).cloned(), node.optional(5).cloned()));
    let lengths = if node.opset >= 24 { node.optional(6).cloned() } else { None };
    let causal = node.flag("is_causal", false)?;
    let (query_heads, key_heads) = (heads(node, "q_num_heads")?, heads(node, "kv_num_heads")?);
    let softcap = node.float("softcap", 0.0)?;
    let mode = node.int("qk_matmul_output_mode", 0)?;
    // The softmax is computed in f32, whatever type is stated.
    let precision = node.element("softmax_precision")?.unwrap_or(ElementType::F32);
    if !precision.is_float() {
        return Err(node.refused("attribute softmax_precision", "a floating-point type", precision));
    }
    for side in ["left_window_size", "right_window_size"] {
        if node.has(side) && node.int(side, -1)? != -1 {
            return Err(node.refused(&format!("attribute {side}"), "-1", node.int(side, -1)?));
        }
    }
    if causal && lengths.is_some() {
        return Err(node.refused("nonpad_kv_seqlen", "none beside is_causal", "one"));
    }
    let flat = b.shape(&q).len() == 3;
    let (shape, missing) =
        (b.shape(&q), |name| node.refused(&format!("attribute {name}"), "a number for 3-D inputs", "none"));
    let counts = match (flat, shape.len()) {
        (true, _) => {
            let counts =
                (query_heads.ok_or_else(|| missing("q_num_heads"))?, key_heads.ok_or_else(|| missing("kv_num_heads"))?);
            Some(counts)
        }
        (false, 4) => None,
        _ => return Err(node.refused("Q", "3 or 4 dimensions", &shape)),
    };
    for (name, x) in [("K", &k), ("V", &v)] {
        let other = b.shape(x);
        if other.first() != shape.first() {
            return Err(node.refused(name, &format!("the batch of Q, {}", shape[0]), &other));
        }
    }
    // If the operation supports the inputs' form, nothing is transposed.
    let last = node.wanted().last().unwrap_or(0);
    let whole = last < 3 && softcap == 0.0;
    let apart = past.0.is_some() || past.1.is_some() || last > 0 || !whole;
    let (q, mut k, mut v) = match counts {
        Some((queries, keys)) if apart => {
            (split(b, node, "Q", &q, queries)?, split(b, node, "K", &k, keys)?, split(b, node, "V", &v, keys)?)
        }
        _ => (q, k, v),
    };
    let mut before = 0;
    if let (Some(past_k), Some(past_v)) = past {
        before = b.shape(&past_k).get(2).copied().unwrap_or(0);
        k = b.concat(&[past_k, k], 2)?;
        v = b.concat(&[past_v, v], 2)?;
    }
    let (q_shape, k_shape) = (b.shape(&q), b.shape(&k));
    let inner = counts.filter(|_| !apart);
    let along = if inner.is_some() { 1 } else { 2 };
    let (queries, keys) = (q_shape[along], k_shape.get(along).copied().unwrap_or(1));
    let d = inner.map_or(q_shape[q_shape.len() - 1], |(heads, _)| q_shape[2] / heads);
    let scale = if node.has("scale") { f64::from(node.float("scale", 1.0)?) } else { 1.0 / (d as f64).sqrt() };

    let mut bias = mask.map(|mask| additive(b, &mask, keys)).transpose()?;
    let offset_causal = causal && (before > 0 || !whole);
    if offset_causal {
        bias = Some(add(b, bias, triangle(q.element(), [queries, keys], before)?)?);
    }
    if let Some(lengths) = lengths {
        let places = Tensor::ints(lengths.element(), [1, 1, 1, keys], (0..keys as i64).collect()).into();
        let count = b.shape(&lengths).elements();
        let lengths = b.reshape(&lengths, [count, 1, 1, 1])?;
        let there = b.compare(&places, Compare::Lt, &lengths)?;
        let hidden = excluded(b, &there, q.element())?;
        bias = Some(add(b, bias, hidden)?);
    }
    let mut outputs = if whole {
        let mut op = Attention::new().scale(scale).is_causal(causal && !offset_causal);
        if let Some((query_heads, key_heads)) = inner {
            op = op.heads(query_heads, key_heads);
        }
        let y = if inner.is_some() {
            let bias = bias.map(|bias| matrix(b, bias).and_then(|bias| b.value(&bias))).transpose()?;
            op = if bias.is_some() { op.masked() } else { op };
            let inputs = [b.value(&q)?, b.value(&k)?, b.value(&v)?];
            Operand::Device(b.graph.attention(&[&inputs[..], bias.as_slice()].concat(), op)?, q.element())
        } else {
            attend(b, [&q, &k, &v], bias, op)?
        };
        vec![y]
    } else {
        let [y, scores] = composed(b, [&q, &k, &v], bias, scale, softcap, mode)?;
        vec![y, scores]
    };
    if apart && flat {
        outputs[0] = joined(b, &outputs[0])?;
    }
    outputs.splice(1..1, [k, v]);
    Ok(outputs)
}

/// Adds attention over heads `[N, H, L, D]`, with a bias of the scores. The output is of that form too.
pub(super) fn attend(
    b: &mut Builder,
    [q, k, v]: [&Operand; 3],
    bias: Option<Operand>,
    op: Attention,
) -> Result<Operand> {
    let bias = bias.map(|bias| matrix(b, bias).and_then(|bias| b.value(&bias))).transpose()?;
    let op = if bias.is_some() { op.masked() } else { op };
    let [q_value, k, v] = [b.value(q)?, b.value(k)?, b.value(v)?];
    Ok(Operand::Device(attended(&mut b.graph, q_value, (k, false), v, bias, op)?, q.element()))
}

/// Joins heads `[N, H, L, D]` to `[N, L, H D]`.
pub(super) fn joined(b: &mut Builder, x: &Operand) -> Result<Operand> {
    let shape = b.shape(x);
    let y = b.transpose(x, &[0, 2, 1, 3])?;
    b.reshape(&y, [shape[0], shape[2], shape[1] * shape[3]])
}

/// Returns a bias that lets each of `queries` queries see the keys up to itself, `before` keys before the first.
pub(super) fn triangle(
    element: ElementType,
    [queries, keys]: [usize; 2],
    before: usize,
) -> Result<Operand, crate::ErrorKind> {
    foldable(&Shape::from([queries, keys]))?;
    let seen = |row: usize, column: usize| if column <= row + before { 0.0 } else { f32::NEG_INFINITY };
    let values = (0..queries).flat_map(|row| (0..keys).map(move |column| seen(row, column))).collect();
    Ok(Tensor::floats(element, [queries, keys], values).with_fixed(false).into())
}

/// Splits `[N, L, heads D]` into heads, `[N, heads, L, D]`.
pub(super) fn split(b: &mut Builder, node: &Node, name: &str, x: &Operand, heads: usize) -> Result<Operand> {
    let shape = b.shape(x);
    match shape[..] {
        [n, l, width] if heads > 0 && width.is_multiple_of(heads) => {
            let x = b.reshape(x, [n, l, heads, width / heads])?;
            b.transpose(&x, &[0, 2, 1, 3])
        }
        _ => Err(node.refused(name, &format!("[N, L, {heads} D]"), &shape)),
    }
}

/// Converts a mask to numbers that are added to the scores of `keys` keys. Keys beyond the mask are hidden.
fn additive(b: &mut Builder, mask: &Operand, keys: usize) -> Result<Operand> {
    let truth = mask.element() == ElementType::Bool;
    let mask = if truth { excluded(b, mask, ElementType::F32)? } else { mask.clone() };
    let shape = b.shape(&mask);
    let missing = keys.saturating_sub(shape.last().copied().unwrap_or(keys));
    let mut pads = vec![[0, 0]; shape.len()];
    if let Some(last) = pads.last_mut() {
        last[1] = missing as i64;
    }
    b.pad(&mask, &pads, "constant", f64::NEG_INFINITY)
}

/// Returns 0 where `seen` is true, minus infinity elsewhere.
pub(super) fn excluded(b: &mut Builder, seen: &Operand, element: ElementType) -> Result<Operand> {
    let number = |value: f64| Operand::from(Tensor::scalar(element, value));
    b.where_(seen, &number(0.0), &number(f64::NEG_INFINITY))
}

pub(super) fn add(b: &mut Builder, bias: Option<Operand>, more: Operand) -> Result<Operand> {
    match bias {
        None => Ok(more),
        Some(bias) => {
            let more = if bias.element() == more.element() { more } else { b.cast(&more, bias.element())? };
            b.binary(BinaryKind::Add, &bias, &more)
        }
    }
}

/// Gives a bias two dimensions or more.
fn matrix(b: &mut Builder, bias: Operand) -> Result<Operand> {
    let shape = b.shape(&bias);
    if shape.len() >= 2 {
        return Ok(bias);
    }
    b.reshape(&bias, [1, shape.elements()])
}

/// Adds attention step by step, to output or cap the scores. Returns the result, and the scores after step `mode`.
pub(super) fn composed(
    b: &mut Builder,
    [q, k, v]: [&Operand; 3],
    bias: Option<Operand>,
    scale: f64,
    softcap: f32,
    mode: i64,
) -> Result<[Operand; 2]> {
    let heads = b.shape(q)[1];
    let (k, v) = (repeated(b, k, heads)?, repeated(b, v, heads)?);
    let scores = b.moved(MatMul::new().transpose_b(), &[q, &k])?;
    let mut scores = b.scaled(&scores, scale as f32)?;
    let mut shown = scores.clone();
    if softcap > 0.0 {
        let part = b.scaled(&scores, 1.0 / softcap)?;
        let part = b.activation(&part, Activation::Tanh)?;
        scores = b.scaled(&part, softcap)?;
    }
    if mode == 1 {
        shown = scores.clone();
    }
    if let Some(bias) = &bias {
        scores = b.binary(BinaryKind::Add, &scores, bias)?;
    }
    if mode == 2 {
        shown = scores.clone();
    }
    let last = b.shape(&scores).len() - 1;
    let mut parts = b.moved(Softmax::new(last), &[&scores])?;
    if bias.is_some() {
        // A query that sees no key gives 0.
        let most = b.reduce(&scores, ReduceKind::Max, &[last], true)?;
        let sees = b.compare(&most, Compare::Gt, &scores.number(f32::MIN))?;
        parts = b.where_(&sees, &parts, &scores.number(0))?;
    }
    if mode == 3 {
        shown = parts.clone();
    }
    Ok([b.moved(MatMul::new(), &[&parts, &v])?, shown])
}

/// Repeats each head of keys or values, so that there are as many heads as queries have.
pub(super) fn repeated(b: &mut Builder, x: &Operand, heads: usize) -> Result<Operand> {
    let shape = b.shape(x);
    let &[n, few, l, d] = &shape[..] else {
        return Err(crate::ErrorKind::argument("K, V", "4 dimensions", &shape).into());
    };
    if few == heads || few == 0 || !heads.is_multiple_of(few) {
        return Ok(x.clone());
    }
    let x = b.reshape(x, [n, few, 1, l, d])?;
    let x = b.expand(&x, &Shape::from([n, few, heads / few, l, d]))?;
    b.reshape(&x, [n, heads, l, d])
}

fn rotary_embedding(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let from = b.shape(x);
    let interleaved = node.flag("interleaved", false)?;
    let given = node.int("rotary_embedding_dim", 0)?;
    let count = heads(node, "num_heads")?;
    // Both forms become [N, L, H, D].
    let x = match from[..] {
        [_, _, _, _] => b.transpose(x, &[0, 2, 1, 3])?,
        [n, l, width] => {
            let heads = count.ok_or_else(|| node.refused("attribute num_heads", "a number for 3-D inputs", "none"))?;
            if width % heads != 0 {
                return Err(node.refused("X", &format!("a multiple of {heads} heads"), width));
            }
            b.reshape(x, [n, l, heads, width / heads])?
        }
        _ => return Err(node.refused("X", "3 or 4 dimensions", &from)),
    };
    let shape = b.shape(&x);
    let d = shape[3];
    let turned = usize::try_from(given)
        .ok()
        .filter(|&turned| turned <= d && turned % 2 == 0 && (turned > 0 || d.is_multiple_of(2)));
    let turned = turned
        .ok_or_else(|| node.refused("attribute rotary_embedding_dim", &format!("an even number up to {d}"), given))?;
    let turned = if turned == 0 { d } else { turned };
    let mut cache = |i: usize| -> Result<Operand> {
        let cache = match node.optional(3) {
            Some(positions) => b.gather(node.input(i)?, 0, positions)?,
            None => node.input(i)?.clone(),
        };
        let shape = b.shape(&cache);
        match shape[..] {
            [n, l, half] if half == turned / 2 => b.reshape(&cache, [n, l, 1, half]),
            _ => Err(node.refused("cos_cache, sin_cache", &format!("[.., {}]", turned / 2), &shape)),
        }
    };
    let (cos, sin) = (cache(1)?, cache(2)?);
    let y = rotated(b, &x, [&cos, &sin], interleaved)?;
    Ok(vec![if from.len() == 4 { b.transpose(&y, &[0, 2, 1, 3])? } else { b.reshape(&y, from)? }])
}

/// Rotates the first elements of heads `[N, L, H, D]` by the angles of each position, `[N or 1, L, 1, half]`.
pub(super) fn rotated(b: &mut Builder, x: &Operand, [cos, sin]: [&Operand; 2], interleaved: bool) -> Result<Operand> {
    let (shape, half) = (b.shape(x), b.shape(cos)[3]);
    let (turned, d) = (2 * half, shape[3]);
    let (a, c) = match interleaved {
        true => (b.slice(x, 3, 0, half, 2)?, b.slice(x, 3, 1, half, 2)?),
        false => (b.slice(x, 3, 0, half, 1)?, b.slice(x, 3, half, half, 1)?),
    };
    let mut turn = |a: &Operand, c: &Operand, kind: BinaryKind| -> Result<Operand> {
        let (first, second) = (b.binary(BinaryKind::Mul, cos, a)?, b.binary(BinaryKind::Mul, sin, c)?);
        b.binary(kind, &first, &second)
    };
    let (real, imaginary) = (turn(&a, &c, BinaryKind::Sub)?, turn(&c, &a, BinaryKind::Add)?);
    let mut y = if interleaved {
        let unit = [&shape[..3], &[half, 1]].concat();
        let parts = [b.reshape(&real, unit.clone())?, b.reshape(&imaginary, unit)?];
        let y = b.concat(&parts, 4)?;
        b.reshape(&y, [&shape[..3], &[turned]].concat())?
    } else {
        b.concat(&[real, imaginary], 3)?
    };
    if turned < d {
        let rest = b.slice(x, 3, turned, d - turned, 1)?;
        y = b.concat(&[y, rest], 3)?;
    }
    Ok(y)
}

/// Imports `TensorScatter`: writes an update into a cache along an axis, from each sequence's own position on.
fn tensor_scatter(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (past, update) = (node.input(0)?, node.input(1)?);
    let (shape, of) = (b.shape(past), b.shape(update));
    let axis = axis(node.int("axis", -2)?, shape.len())?;
    let circular = node.one_of("mode", &["linear", "circular"])? == "circular";
    let fits = of.len() == shape.len() && (0..of.len()).all(|i| of[i] == shape[i] || (i == axis && of[i] <= shape[i]));
    if !fits || axis == 0 {
        return Err(node.refused("update", &format!("at most {shape} along an axis after the first"), &of));
    }
    let first = match node.optional(2) {
        Some(places) => {
            let mut sizes = vec![1; shape.len()];
            sizes[0] = shape[0];
            b.reshape(places, sizes)?
        }
        None => Tensor::scalar(ElementType::I64, 0.0).into(),
    };
    Ok(vec![written(b, past, update, axis, &first, circular)?])
}

/// Writes an update into a cache along an axis, from the place `first` on, which broadcasts to the cache.
pub(super) fn written(
    b: &mut Builder,
    past: &Operand,
    update: &Operand,
    axis: usize,
    first: &Operand,
    circular: bool,
) -> Result<Operand> {
    let (shape, of) = (b.shape(past), b.shape(update));
    let number = |value: usize| Operand::from(Tensor::scalar(ElementType::I64, value as f64));
    let mut sizes = vec![1; shape.len()];
    sizes[axis] = foldable(&[shape[axis]].into())?;
    let places = Tensor::ints(ElementType::I64, sizes, (0..shape[axis] as i64).collect());
    let mut place = b.binary(BinaryKind::Sub, &places.into(), first)?;
    let mut inside = b.compare(&place, Compare::Ge, &number(0))?;
    if circular {
        let around = b.binary(BinaryKind::Add, &place, &number(shape[axis]))?;
        place = b.where_(&inside, &place, &around)?;
        inside = Tensor::scalar(ElementType::Bool, 1.0).into();
    }
    let before_end = b.compare(&place, Compare::Lt, &number(of[axis]))?;
    inside = b.logical(Logical::And, &[&inside, &before_end])?;
    let place = b.where_(&inside, &place, &number(0))?;
    let place = b.expand(&place, &shape)?;
    let moved = b.moved(Gather::new(axis), &[update, &place])?;
    b.where_(&inside, &moved, past)
}
