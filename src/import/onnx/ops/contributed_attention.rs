//! Attention and rotary embedding as ONNX Runtime's transformer tools write them.

use super::attention::{add, attend, composed, excluded, joined, rotated, split, triangle, written};
use super::matrix::multiplied;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Attention, BinaryKind, Compare, Logical};

pub(super) fn contributed(op: &str) -> Option<Import> {
    Some(match op {
        "Attention" => attention,
        "MultiHeadAttention" => multi_head_attention,
        "GroupQueryAttention" => group_query_attention,
        "RotaryEmbedding" => rotary_embedding,
        _ => return None,
    })
}

/// Fails if an attribute has another value than the only supported one.
fn only(node: &Node, name: &'static str, supported: i64) -> Result<()> {
    match node.int(name, supported)? {
        given if given == supported => Ok(()),
        given => Err(node.refused(&format!("attribute {name}"), &supported.to_string(), given)),
    }
}

/// Returns the factor of the scores for heads of `d` elements: 0 stands for the default.
fn factor(node: &Node, d: usize) -> Result<f64> {
    match node.float("scale", 0.0)? {
        0.0 => Ok(1.0 / (d as f64).sqrt()),
        scale => Ok(scale.into()),
    }
}

/// Returns integers 0, 1, .. as a tensor of that shape.
fn counted(element: ElementType, sizes: [usize; 4]) -> Operand {
    let count = sizes.iter().product::<usize>() as i64;
    Tensor::ints(element, sizes, (0..count).collect()).with_fixed(false).into()
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
            let places = counted(ElementType::I32, [1, 1, 1, keys]);
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
    Ok(Some(b.where_(&seen, &number(0.0), &number(filter))?))
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
    if sizes.len() != 3 || whole != width || sizes[0] != sizes[1] {
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

/// Returns a vector of scale factors by position, `[N or 1, L, 1, half]`.
fn angles(b: &mut Builder, node: &Node, cache: usize, positions: &Operand, d: usize) -> Result<Operand> {
    let table = node.input(cache)?;
    let (of, shape) = (b.shape(table), b.shape(positions));
    match of[..] {
        [_, half] if half > 0 && 2 * half <= d => {
            let y = b.gather(table, 0, positions)?;
            b.reshape(&y, [shape[0], shape[1], 1, half])
        }
        _ => Err(node.refused("cos_cache, sin_cache", &format!("[.., {} at most]", d / 2), of)),
    }
}

/// Imports `GroupQueryAttention`, which is causal and appends keys and values to a cache. Where a sequence goes on depends
/// on its length, an input; the largest length must be known, because it is the size of the new cache.
fn group_query_attention(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (heads, few) = (node.count("num_heads", 0, 1)?, node.count("kv_num_heads", 0, 1)?);
    only(node, "causal", 1)?;
    only(node, "qk_output", 0)?;
    only(node, "sliding_window_cache", 0)?;
    only(node, "kv_cache_bit_width", 0)?;
    node.one_of("k_quant_type", &["NONE"])?;
    node.one_of("v_quant_type", &["NONE"])?;
    if node.int("smooth_softmax", 0)? > 0 {
        return Err(node.refused("attribute smooth_softmax", "0", 1));
    }
    // Numbers of a norm that needs weights, which are inputs that aren't supported.
    node.ignore(&["qk_norm_epsilon", "q_norm_epsilon", "k_norm_epsilon"]);
    let (softcap, window) = (node.float("softcap", 0.0)?, node.int("local_window_size", -1)?);
    let window = usize::try_from(window).ok().filter(|&window| window > 0);
    let (rotary, interleaved) = (node.flag("do_rotary", false)?, node.flag("rotary_interleaved", false)?);

    let x = node.input(0)?;
    let shape = b.shape(x);
    let &[batch, queries, width] = &shape[..] else { return Err(node.refused("query", "[B, S, H D]", shape)) };
    let (q, k, v) = match (node.optional(1), node.optional(2)) {
        (Some(k), Some(v)) => (x.clone(), k.clone(), v.clone()),
        (None, None) => {
            let d = width / (heads.saturating_add(few).saturating_add(few));
            let [wide, narrow] = [heads, few].map(|heads| heads * d);
            if d == 0 || wide + 2 * narrow != width {
                return Err(node.refused("query", &format!("({heads} + 2 {few}) D wide"), width));
            }
            let q = b.slice(x, 2, 0, wide, 1)?;
            (q, b.slice(x, 2, wide, narrow, 1)?, b.slice(x, 2, wide + narrow, narrow, 1)?)
        }
        _ => return Err(node.refused("key, value", "both or neither", "one")),
    };
    let total = b.known_int("total_sequence_length", node.input(6)?)?;
    let wrong = || node.refused("total_sequence_length", &format!("{queries} or more"), total);
    let total = usize::try_from(total).ok().filter(|&total| total >= queries).ok_or_else(wrong)?;

    // The place of each sequence's first query.
    let lengths = node.input(5)?;
    let first = if total == queries {
        Tensor::ints(ElementType::I64, [1, 1, 1, 1], vec![0]).with_fixed(false).into()
    } else {
        let lengths = b.cast(lengths, ElementType::I64)?;
        let of = b.shape(&lengths);
        if of.elements() != batch {
            return Err(node.refused("seqlens_k", &format!("[{batch}]"), of));
        }
        let lengths = b.reshape(&lengths, [batch, 1, 1, 1])?;
        b.binary(BinaryKind::Sub, &lengths, &lengths.number(queries as f64 - 1.0))?
    };
    let places = b.binary(BinaryKind::Add, &first, &counted(ElementType::I64, [1, 1, queries, 1]))?;

    let mut parts = Vec::new();
    let positions = match node.optional(9) {
        Some(positions) if rotary => positions.clone(),
        _ => b.reshape(&places, [b.shape(&places)[0], queries])?,
    };
    for (name, x, heads) in [("query", &q, heads), ("key", &k, few), ("value", &v, few)] {
        let mut y = split(b, node, name, x, heads)?;
        let of = b.shape(&y);
        if [of[0], of[2]] != [batch, queries] {
            return Err(node.refused(name, &format!("[{batch}, {queries}, ..]"), b.shape(x)));
        }
        if rotary && name != "value" {
            let (cos, sin) = (angles(b, node, 7, &positions, of[3])?, angles(b, node, 8, &positions, of[3])?);
            let apart = b.transpose(&y, &[0, 2, 1, 3])?;
            let turned = rotated(b, &apart, [&cos, &sin], interleaved)?;
            y = b.transpose(&turned, &[0, 2, 1, 3])?;
        }
        parts.push(y);
    }
    if !rotary {
        // Such inputs may be there anyway.
        node.named(9);
    }
    let (q, mut k, mut v) = (parts.remove(0), parts.remove(0), parts.remove(0));
    match (node.optional(3), node.optional(4)) {
        (Some(past_k), Some(past_v)) => {
            (k, v) = (appended(b, node, past_k, k, total, &first)?, appended(b, node, past_v, v, total, &first)?);
        }
        (None, None) if total == queries => {}
        (None, None) => return Err(node.refused("total_sequence_length", &format!("{queries} without a past"), total)),
        _ => return Err(node.refused("past_key, past_value", "both or neither", "one")),
    }
    let keys = b.shape(&k)[2];
    let op = Attention::new().scale(factor(node, b.shape(&q)[3])?);
    let mut bias = node.optional(10).cloned();
    let plain = total == queries && keys == queries && softcap == 0.0;
    let op = match window {
        Some(window) if plain => op.window(window),
        None if plain => op.is_causal(true),
        _ => {
            let columns = counted(ElementType::I64, [1, 1, 1, keys]);
            let mut seen = b.compare(&columns, Compare::Le, &places)?;
            if let Some(window) = window {
                let least = b.binary(BinaryKind::Sub, &places, &places.number(window as f64))?;
                let near = b.compare(&columns, Compare::Gt, &least)?;
                seen = b.logical(Logical::And, &[&seen, &near])?;
            }
            let hidden = excluded(b, &seen, q.element())?;
            bias = Some(add(b, bias, hidden)?);
            op
        }
    };
    let y = if softcap == 0.0 {
        attend(b, [&q, &k, &v], bias, op)?
    } else {
        let scale = factor(node, b.shape(&q)[3])?;
        let [y, _] = composed(b, [&q, &k, &v], bias, scale, softcap, 0)?;
        y
    };
    Ok(vec![joined(b, &y)?, k, v])
}

/// Writes new keys or values after those of each sequence in a cache, which is as long as `total` at least.
fn appended(
    b: &mut Builder,
    node: &Node,
    past: &Operand,
    new: Operand,
    total: usize,
    first: &Operand,
) -> Result<Operand> {
    let (of, shape) = (b.shape(past), b.shape(&new));
    let length = match of[..] {
        [n, h, length, d] if [n, h, d] == [shape[0], shape[1], shape[3]] => length,
        _ => {
            let [n, h, _, d] = [shape[0], shape[1], shape[2], shape[3]];
            return Err(node.refused("past_key, past_value", &format!("[{n}, {h}, P, {d}]"), of));
        }
    };
    let known = first.host().map(Tensor::numbers);
    if known.is_some_and(|places| places.iter().all(|&place| place == length as f64)) {
        return b.concat(&[past.clone(), new], 2);
    }
    let missing = total.saturating_sub(length) as i64;
    let cache = b.pad(past, &[[0, 0], [0, 0], [0, missing], [0, 0]], "constant", 0.0)?;
    written(b, &cache, &new, 2, first, false)
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
            let steps = Tensor::ints(positions.element(), [1, shape[1]], (0..shape[1] as i64).collect());
            b.binary(BinaryKind::Add, positions, &steps.with_fixed(false).into())?
        }
        [n, l] if [n, l] == [shape[0], shape[1]] => positions.clone(),
        _ => return Err(node.refused("position_ids", &format!("[1] or [{}, {}]", shape[0], shape[1]), of)),
    };
    let (cos, sin) = (angles(b, node, 2, &positions, shape[3])?, angles(b, node, 3, &positions, shape[3])?);
    if b.shape(&cos) != b.shape(&sin) {
        return Err(node.refused("sin_cache", "the shape of cos_cache", b.shape(&sin)));
    }
    let y = rotated(b, &x, [&cos, &sin], interleaved)?;
    Ok(vec![if from.len() == 4 { b.transpose(&y, &[0, 2, 1, 3])? } else { b.reshape(&y, from)? }])
}
