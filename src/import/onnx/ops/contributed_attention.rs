//! Attention and rotary embedding as ONNX Runtime's transformer tools write them.

use super::attention::{add, attend, joined, rotated, split, triangle};
use super::matrix::multiplied;
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::{Attention, BinaryKind, Compare, Logical};

pub(super) fn contributed(op: &str) -> Option<Import> {
    Some(match op {
        "Attention" => attention,
        "MultiHeadAttention" => multi_head_attention,
        "RotaryEmbedding" => rotary_embedding,
        _ => return None,
    })
}

/// Fails if an attribute has another value than the only supported one.
pub(super) fn only(node: &Node, name: &'static str, supported: i64) -> Result<()> {
    match node.int(name, supported)? {
        given if given == supported => Ok(()),
        given => Err(node.refused(&format!("attribute {name}"), &supported.to_string(), given)),
    }
}

/// Returns the factor of the scores for heads of `d` elements: 0 stands for the default.
pub(super) fn factor(node: &Node, d: usize) -> Result<f64> {
    match node.float("scale", 0.0)? {
        0.0 => Ok(1.0 / (d as f64).sqrt()),
        scale => Ok(scale.into()),
    }
}

/// Returns integers 0, 1, .. as a tensor of that shape.
pub(super) fn counted(element: ElementType, sizes: impl Into<Shape>) -> Result<Operand, ErrorKind> {
    let shape = sizes.into();
    let count = foldable(&shape)? as i64;
    Ok(Tensor::ints(element, shape, (0..count).collect()).with_fixed(false).into())
}

/// Returns what a mask adds to the scores: 0 for the keys that it shows, `filter` for the others. A mask of one
/// dimension holds each sequence's end, and possibly all starts after all ends.
fn masked(
    b: &mut Builder,
    node: &Node,
    (name, place): (&str, usize),
    [batch, queries, keys]: [usize; 3],
    element: ElementType,
) -> Result<Option<Operand>> {
    let filter = node.float("mask_filter_value", -10000.0)?;
    let Some(mask) = node.optional(place) else { return Ok(None) };
    if mask.element() != ElementType::I32 {
        return Err(node.refused(name, "int32", mask.element()));
    }
    let shape = b.shape(mask);
    let seen = match shape[..] {
        [n, t] if [n, t] == [batch, keys] => {
            let mask = b.reshape(mask, [n, 1, 1, t])?;
            b.compare(&mask, Compare::Gt, &mask.number(0))?
        }
        [n, s, t] if [n, s, t] == [batch, queries, keys] => {
            let mask = b.reshape(mask, [n, 1, s, t])?;
            b.compare(&mask, Compare::Gt, &mask.number(0))?
        }
        [n] if n == batch || n == 2 * batch => {
            let places = counted(ElementType::I32, [1, 1, 1, keys])?;
            let mut side = |first: usize| {
                let part = b.slice(mask, 0, first, batch, 1)?;
                b.reshape(&part, [batch, 1, 1, 1])
            };
            let ends = side(0)?;
            let starts = if n == batch { None } else { Some(side(batch)?) };
            let before = b.compare(&places, Compare::Lt, &ends)?;
            match starts {
                None => before,
                Some(starts) => {
                    let after = b.compare(&places, Compare::Ge, &starts)?;
                    b.logical(Logical::And, &[&before, &after])?
                }
            }
        }
        _ => {
            let wanted = format!("[{batch}], [{}], [{batch}, {keys}] or [{batch}, {queries}, {keys}]", 2 * batch);
            return Err(node.refused(name, &wanted, shape));
        }
    };
    let number = |value: f32| Operand::from(Tensor::scalar(element, value.into()));
    let bias = b.where_(&seen, &number(0.0), &number(filter))?;
    Ok(Some(bias))
}

/// Adds attention over heads `[N, H, L, D]`, `before` keys of which come before the first query, and joins the heads.
fn attended(
    b: &mut Builder,
    node: &Node,
    [q, k, v]: [&Operand; 3],
    biases: [Option<Operand>; 2],
    before: usize,
) -> Result<Operand> {
    let (shape, keys) = (b.shape(q), b.shape(k)[2]);
    let mut bias = None;
    for more in biases.into_iter().flatten() {
        bias = Some(add(b, bias, more)?);
    }
    let causal = node.flag("unidirectional", false)?;
    if causal && before == 0 && shape[2] != keys {
        let got = format!("{} and {keys}", shape[2]);
        return Err(node.refused("unidirectional", "as many queries as keys, if there is no past", got));
    }
    if causal && before > 0 {
        bias = Some(add(b, bias, triangle(q.element(), [shape[2], keys], before)?)?);
    }
    let op = Attention::new().scale(factor(node, shape[3])?).is_causal(causal && before == 0);
    let y = attend(b, [q, k, v], bias, op)?;
    joined(b, &y)
}

/// Imports `Attention`: one product makes queries, keys and values.
fn attention(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, weights) = (node.input(0)?, node.input(1)?);
    let heads = node.count("num_heads", 0, 1)?;
    only(node, "do_rotary", 0)?;
    only(node, "past_present_share_buffer", 0)?;
    // It only matters to a rotation.
    node.ignore(&["rotary_embedding_dim"]);
    let (shape, of) = (b.shape(x), b.shape(weights));
    let (&[batch, queries, _], &[_, width]) = (&shape[..], &of[..]) else {
        return Err(node.refused("input, weights", "[B, S, H] and [H, 3 H]", format_args!("{shape}, {of}")));
    };
    let sizes = match node.ints("qkv_hidden_sizes")? {
        None => vec![width / 3; 3],
        Some(sizes) => sizes.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect(),
    };
    let whole = sizes.iter().fold(0usize, |sum, &size| sum.saturating_add(size));
    if sizes.len() != 3 || whole != width || sizes[0] != sizes[1] || sizes.contains(&0) {
        let wanted = format!("three numbers, equal for queries and keys, that add up to {width}");
        return Err(node.refused("attribute qkv_hidden_sizes", &wanted, format_args!("{sizes:?}")));
    }
    let mut qkv = multiplied(b, x, weights)?;
    if let Some(bias) = node.optional(2) {
        let of = b.shape(bias);
        if of[..] != [width] {
            return Err(node.refused("bias", &format!("[{width}]"), of));
        }
        qkv = b.binary(BinaryKind::Add, &qkv, bias)?;
    }
    let mut part = |first: usize, i: usize| {
        let part = b.slice(&qkv, 2, first, sizes[i], 1)?;
        split(b, node, "weights", &part, heads)
    };
    let (q, mut k, mut v) = (part(0, 0)?, part(sizes[0], 1)?, part(2 * sizes[0], 2)?);
    let mut before = 0;
    if let Some(past) = node.optional(4) {
        let (of, d) = (b.shape(past), b.shape(&k)[3]);
        match of[..] {
            [2, n, h, length, e] if [n, h, e] == [batch, heads, d] && sizes[2] == sizes[0] => before = length,
            _ => return Err(node.refused("past", &format!("[2, {batch}, {heads}, P, {d}]"), of)),
        }
        let (past_k, past_v) = (b.entry(past, 0, 0)?, b.entry(past, 0, 1)?);
        (k, v) = (b.concat(&[past_k, k], 2)?, b.concat(&[past_v, v], 2)?);
    }
    let sizes = [batch, queries, before + queries];
    let mask = masked(b, node, ("mask_index", 3), sizes, x.element())?;
    let mut outputs = vec![attended(b, node, [&q, &k, &v], [mask, node.optional(5).cloned()], before)?];
    if node.wants(1) {
        outputs.push(b.stack(&[k, v], 0)?);
    }
    Ok(outputs)
}

/// Imports `MultiHeadAttention`. Queries, keys and values are apart, `[B, L, H D]`, keys and values possibly `[B, H, L, D]`;
/// or in one tensor, `[B, L, H, 3, D]`; or keys and values in one, `[B, L, H, 2, D]`.
fn multi_head_attention(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let heads = node.count("num_heads", 0, 1)?;
    let (x, bias) = (node.input(0)?, node.optional(3));
    // One of several tensors in one, with the heads in front.
    let inside = |b: &mut Builder, packed: &Operand, i: usize| {
        let y = b.entry(packed, 3, i)?;
        b.transpose(&y, &[0, 2, 1, 3])
    };
    let part = |b: &mut Builder, packed: &Operand, name: &str, count: usize| {
        let shape = b.shape(packed);
        match shape[..] {
            [_, _, h, n, _] if [h, n] == [heads, count] => Ok(()),
            _ => Err(node.refused(name, &format!("[B, L, {heads}, {count}, D]"), shape)),
        }
    };
    let rank = |b: &Builder, i: usize| node.optional(i).map_or(0, |x| b.shape(x).len());
    let forms = [rank(b, 0), rank(b, 1), rank(b, 2)];
    let [q, mut k, mut v] = match forms {
        [5, 0, 0] => {
            part(b, x, "query", 3)?;
            [inside(b, x, 0)?, inside(b, x, 1)?, inside(b, x, 2)?]
        }
        [3, 5, 0] => {
            let pair = node.input(1)?;
            part(b, pair, "key", 2)?;
            [split(b, node, "query", x, heads)?, inside(b, pair, 0)?, inside(b, pair, 1)?]
        }
        [3, 3, 3] | [3, 4, 4] => {
            let mut parts = [x.clone(), node.input(1)?.clone(), node.input(2)?.clone()];
            if let Some(bias) = bias {
                let widths = [0, 1, 2].map(|i| match b.shape(&parts[i])[..] {
                    [_, h, _, d] => h * d,
                    ref shape => shape.last().copied().unwrap_or(0),
                });
                let of = b.shape(bias);
                if of[..] != [widths.iter().sum::<usize>()] {
                    return Err(node.refused("bias", &format!("[{}]", widths.iter().sum::<usize>()), of));
                }
                let mut first = 0;
                for (part, width) in parts.iter_mut().zip(widths) {
                    // Keys and values that have their heads in front already have their bias too.
                    if b.shape(part).len() == 3 {
                        let bias = b.slice(bias, 0, first, width, 1)?;
                        *part = b.binary(BinaryKind::Add, part, &bias)?;
                    }
                    first += width;
                }
            }
            let [q, k, v] = &parts;
            let q = split(b, node, "query", q, heads)?;
            if forms[1] == 4 {
                [q, k.clone(), v.clone()]
            } else {
                [q, split(b, node, "key", k, heads)?, split(b, node, "value", v, heads)?]
            }
        }
        _ => {
            let wanted = "3 dimensions each, or 4 of key and value; query of 5 alone; key of 5 with a query of 3";
            return Err(node.refused("query, key, value", wanted, format_args!("{forms:?}")));
        }
    };
    if bias.is_some() && forms.contains(&5) {
        return Err(node.refused("bias", "none where tensors are packed", "one"));
    }
    for (name, x) in [("key", &k), ("value", &v)] {
        let (of, shape) = (b.shape(x), b.shape(&q));
        if of[0] != shape[0] || of[1] != heads {
            return Err(node.refused(name, &format!("batches and heads of {shape}"), of));
        }
    }
    let mut before = 0;
    match (node.optional(6), node.optional(7)) {
        (Some(past_k), Some(past_v)) => {
            before = b.shape(past_k).get(2).copied().unwrap_or(0);
            (k, v) = (b.concat(&[past_k.clone(), k], 2)?, b.concat(&[past_v.clone(), v], 2)?);
        }
        (None, None) => {}
        _ => return Err(node.refused("past_key, past_value", "both or neither", "one")),
    }
    let (shape, keys) = (b.shape(&q), b.shape(&k)[2]);
    let mask = masked(b, node, ("key_padding_mask", 4), [shape[0], shape[2], keys], x.element())?;
    let y = attended(b, node, [&q, &k, &v], [mask, node.optional(5).cloned()], before)?;
    Ok(vec![y, k, v])
}

/// Returns the cosines and the sines of each position, `[N or 1, L, 1, half]`. The tables are neighbouring inputs.
pub(super) fn angles(
    b: &mut Builder,
    node: &Node,
    tables: usize,
    positions: &Operand,
    d: usize,
) -> Result<[Operand; 2]> {
    let (cos, sin, shape) = (node.input(tables)?, node.input(tables + 1)?, b.shape(positions));
    let (of, other) = (b.shape(cos), b.shape(sin));
    match (&of[..], &shape[..]) {
        (&[_, half], &[n, l]) if half > 0 && half <= d / 2 && of == other => {
            let mut at = |table: &Operand| {
                let y = b.gather(table, 0, positions)?;
                b.reshape(&y, [n, l, 1, half])
            };
            Ok([at(cos)?, at(sin)?])
        }
        _ => {
            let wanted = format!("one shape, [.., {} at most], for positions [B, S]", d / 2);
            Err(node.refused("cos_cache, sin_cache", &wanted, format_args!("{of} and {other} for {shape}")))
        }
    }
}

fn rotary_embedding(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, positions) = (node.input(0)?, node.input(1)?);
    let (given, heads) = (node.count("rotary_embedding_dim", 0, 0)?, node.count("num_heads", 0, 0)?);
    let interleaved = node.flag("interleaved", false)?;
    only(node, "is_packed_batching", 0)?;
    if node.float("scale", 1.0)? != 1.0 {
        return Err(node.refused("attribute scale", "1", node.float("scale", 1.0)?));
    }
    let (from, half) = (b.shape(x), b.shape(node.input(2)?).last().copied().unwrap_or(0));
    if given > 0 && (heads == 0 || given != 2 * half) {
        let wanted = format!("{} with num_heads, as cos_cache has it", 2 * half);
        return Err(node.refused("attribute rotary_embedding_dim", &wanted, given));
    }
    // Both forms become [B, S, H, D].
    let x = match from[..] {
        [_, _, _, _] => b.transpose(x, &[0, 2, 1, 3])?,
        [n, l, width] => {
            let count = if heads > 0 { heads } else { width / (2 * half).max(1) };
            if count == 0 || width % count != 0 {
                return Err(node.refused("input", &format!("a multiple of {count} heads"), width));
            }
            b.reshape(x, [n, l, count, width / count])?
        }
        _ => return Err(node.refused("input", "3 or 4 dimensions", from)),
    };
    let shape = b.shape(&x);
    let of = b.shape(positions);
    let positions = match of[..] {
        [1] => {
            let steps = counted(positions.element(), [1, shape[1]])?;
            b.binary(BinaryKind::Add, positions, &steps)?
        }
        [n, l] if [n, l] == [shape[0], shape[1]] => positions.clone(),
        _ => return Err(node.refused("position_ids", &format!("[1] or [{}, {}]", shape[0], shape[1]), of)),
    };
    let [cos, sin] = angles(b, node, 2, &positions, shape[3])?;
    let y = rotated(b, &x, [&cos, &sin], interleaved)?;
    Ok(vec![if from.len() == 4 { b.transpose(&y, &[0, 2, 1, 3])? } else { b.reshape(&y, from)? }])
}
