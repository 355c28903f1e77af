//! ONNX Runtime's grouped-query attention, which appends to a cache.

use super::attention::{add, attend, composed, excluded, joined, rotated, split, written};
use super::contributed_attention::{angles, counted, factor, only};
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Attention, BinaryKind, Compare, Logical};

pub(super) fn contributed(op: &str) -> Option<Import> {
    (op == "GroupQueryAttention").then_some(group_query_attention)
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
    let places = b.binary(BinaryKind::Add, &first, &counted(ElementType::I64, [1, 1, queries, 1])?)?;

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
            let [cos, sin] = angles(b, node, 7, &positions, of[3])?;
            let apart = b.transpose(&y, &[0, 2, 1, 3])?;
            let turned = rotated(b, &apart, [&cos, &sin], interleaved)?;
            y = b.transpose(&turned, &[0, 2, 1, 3])?;
        }
        parts.push(y);
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
            let columns = counted(ElementType::I64, [1, 1, 1, keys])?;
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
