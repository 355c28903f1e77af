//! Linear attention and the causal convolution before it: both hand on a state.

use super::attention::{heads, repeated, split};
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Activation, BinaryKind, Conv1d, MatMul, Unary};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "CausalConvWithState" => causal_conv,
        "LinearAttention" => linear_attention,
        _ => return None,
    })
}

fn causal_conv(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let weight = b.weights("weight", node.input(1)?)?;
    let bias = node.optional(2).map(|bias| b.weights("bias", bias)).transpose()?;
    let activation = node.one_of("activation", &["none", "silu", "swish"])?;
    let shape = b.shape(x);
    let (&[n, channels, _], &[_, _, k]) = (&shape[..], &weight.shape()[..]) else {
        return Err(node.refused("input, weight", "3 dimensions each", &shape));
    };
    let past = match node.optional(3) {
        Some(past) => past.clone(),
        None => Tensor::filled(x.element(), [n, channels, k.saturating_sub(1)].into(), 0.0)?.with_fixed(false).into(),
    };
    let padded = if k > 1 { b.concat(&[past, x.clone()], 2)? } else { x.clone() };
    let length = b.shape(&padded)[2];
    let mut y = b.moved(Conv1d::new(weight, bias).groups(channels), &[&padded])?;
    if activation != "none" {
        y = b.activation(&y, Activation::Silu)?;
    }
    let state = b.slice(&padded, 2, length + 1 - k.max(1), k.saturating_sub(1), 1)?;
    Ok(vec![y, state])
}

/// The length of the longest sequence that is unrolled.
const MOST_STEPS: usize = 1024;

/// Imports `LinearAttention`, unrolled: each token decays, writes and reads a state `[N, H, Dk, Dv]`.
fn linear_attention(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let rule = node.one_of("update_rule", &["gated_delta", "linear", "gated", "delta"])?;
    node.ignore(&["chunk_size"]);
    let missing = |name| node.refused(&format!("attribute {name}"), "a number", "none");
    let queries = heads(node, "q_num_heads")?.ok_or_else(|| missing("q_num_heads"))?;
    let keys = heads(node, "kv_num_heads")?.ok_or_else(|| missing("kv_num_heads"))?;
    let (gated, delta) = (rule.starts_with("gated"), rule.ends_with("delta"));
    let shape = b.shape(node.input(0)?);
    let &[n, steps, width] = &shape[..] else { return Err(node.refused("query", "3 dimensions", &shape)) };
    let fits = queries % keys == 0 && width % queries == 0;
    if !fits || steps > MOST_STEPS {
        return Err(node.refused(
            "query",
            &format!("at most {MOST_STEPS} tokens of {queries} heads, a multiple of {keys}"),
            &shape,
        ));
    }
    let apart = |b: &mut Builder, i: usize, heads: usize| {
        const NAMES: [&str; 6] = ["query", "key", "value", "past_state", "decay", "beta"];
        let shape = b.shape(node.input(i)?);
        if !shape.starts_with(&[n, steps]) {
            return Err(node.refused(NAMES[i], &format!("[{n}, {steps}, ..], as the query"), &shape));
        }
        split(b, node, NAMES[i], node.input(i)?, heads)
    };
    let (q, k, v) = (apart(b, 0, queries)?, apart(b, 1, keys)?, apart(b, 2, keys)?);
    let decay = if gated { Some(apart(b, 4, keys)?) } else { None };
    let beta_heads = if delta { node.input(5).map(|beta| b.shape(beta).last().copied().unwrap_or(1))? } else { 1 };
    let beta = if delta { Some(apart(b, 5, beta_heads)?) } else { None };
    if (!gated && node.optional(4).is_some()) || (!delta && node.optional(5).is_some()) {
        return Err(node.refused("inputs", &format!("those of update_rule {rule}"), "more"));
    }
    let (dk, dv) = (b.shape(&k)[3], b.shape(&v)[3]);
    let given = node.float("scale", 0.0)?;
    let scale = if given == 0.0 { 1.0 / (dk as f32).sqrt() } else { given };
    let mut state = match node.optional(3) {
        Some(past) => past.clone(),
        None => Tensor::filled(q.element(), [n, keys, dk, dv].into(), 0.0)?.with_fixed(false).into(),
    };
    let mut read = Vec::new();
    for step in 0..steps {
        let mut at = |x: &Operand| b.slice(x, 2, step, 1, 1);
        let (q, k, mut v) = (at(&q)?, at(&k)?, at(&v)?);
        let (decay, beta) = (decay.as_ref().map(&mut at).transpose()?, beta.as_ref().map(&mut at).transpose()?);
        if let Some(decay) = decay {
            let factor = b.unary(&decay, Unary::Exp)?;
            let factor = b.transpose(&factor, &[0, 1, 3, 2])?;
            state = b.binary(BinaryKind::Mul, &state, &factor)?;
        }
        if let Some(beta) = beta {
            let there = b.moved(MatMul::new(), &[&k, &state])?;
            let error = b.binary(BinaryKind::Sub, &v, &there)?;
            v = b.binary(BinaryKind::Mul, &error, &beta)?;
        }
        let column = b.transpose(&k, &[0, 1, 3, 2])?;
        let written = b.binary(BinaryKind::Mul, &column, &v)?;
        state = b.binary(BinaryKind::Add, &state, &written)?;
        let seen = repeated(b, &state, queries)?;
        read.push(b.moved(MatMul::new(), &[&q, &seen])?);
    }
    let y = b.concat(&read, 2)?;
    let y = b.scaled(&y, scale)?;
    let y = b.transpose(&y, &[0, 2, 1, 3])?;
    Ok(vec![b.reshape(&y, [n, steps, queries * dv])?, state])
}
