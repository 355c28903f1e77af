//! Fusions of ONNX Runtime's optimiser: convolutions and products with an activation, GELUs and norms with a sum before
//! them, embeddings with a norm. Each is the operations that it was made of, which this crate fuses in its own way.

use super::activation::{hard_sigmoid, swish, thresholded_relu};
use super::convolution::conv;
use super::matrix::{gemm, linear};
use super::normalization::{layer_normalised, rms_normalised};
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Activation, BinaryKind, Compare, MatMul, ReduceKind};

pub(super) fn contributed(op: &str) -> Option<Import> {
    Some(match op {
        "FusedConv" => fused_conv,
        "FusedGemm" => fused_gemm,
        "FusedMatMul" => fused_matmul,
        "BiasGelu" => |b, node| gelu(b, node, Some(node.input(1)?), Activation::Gelu),
        "FastGelu" => |b, node| gelu(b, node, node.optional(1), Activation::GeluTanh),
        "Gelu" => |b, node| gelu(b, node, None, Activation::Gelu),
        "QuickGelu" => |b, node| Ok(vec![swish(b, node.input(0)?, node.float("alpha", 1.702)?)?]),
        "SkipLayerNormalization" => skip_layer_norm,
        "SkipSimplifiedLayerNormalization" => skip_rms_norm,
        "EmbedLayerNormalization" => embed_layer_norm,
        _ => return None,
    })
}

/// Adds the activation of a fused node, which has these numbers in attributes called `parameters`.
fn activated(b: &mut Builder, node: &Node, x: &Operand, parameters: &str, numbers: &[f32]) -> Result<Operand> {
    let Some(name) = node.string("activation")? else {
        return match numbers {
            [] => Ok(x.clone()),
            _ => Err(node.refused(parameters, "none without an activation", numbers.len())),
        };
    };
    let activation = match (&name[..], numbers) {
        ("Relu", []) => Activation::Relu,
        ("Sigmoid", []) => Activation::Sigmoid,
        ("Tanh", []) => Activation::Tanh,
        ("Softplus", []) => Activation::Softplus(1.0),
        ("Softsign", []) => Activation::Softsign,
        ("HardSwish", []) => Activation::Hardswish,
        ("LeakyRelu", &[alpha]) => Activation::LeakyRelu(alpha),
        ("Elu", &[alpha]) => Activation::Elu(alpha),
        ("Clip", &[0.0, 6.0]) => Activation::Relu6,
        ("Clip", &[lo, hi]) => Activation::Clamp(lo, hi),
        ("ThresholdedRelu", &[alpha]) => return thresholded_relu(b, x, alpha),
        ("HardSigmoid", &[alpha, beta]) => return hard_sigmoid(b, x, alpha, beta),
        _ => {
            let wanted = "Relu, Sigmoid, Tanh, Softplus, Softsign or HardSwish without parameters, LeakyRelu, Elu or \
                ThresholdedRelu with 1, HardSigmoid or Clip with 2";
            return Err(node.refused("attribute activation", wanted, format_args!("{name} with {}", numbers.len())));
        }
    };
    b.activation(x, activation)
}

fn fused_conv(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let mut y = conv(b, node)?.remove(0);
    if let Some(z) = node.optional(3) {
        let (wanted, got) = (b.shape(&y), b.shape(z));
        if got != wanted {
            return Err(node.refused("Z", &wanted.to_string(), got));
        }
        y = b.binary(BinaryKind::Add, &y, z)?;
    }
    let numbers = node.floats("activation_params")?.unwrap_or_default();
    Ok(vec![activated(b, node, &y, "attribute activation_params", &numbers)?])
}

fn fused_gemm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let y = gemm(b, node)?.remove(0);
    let mut numbers = Vec::new();
    for name in ["activation_alpha", "activation_beta"] {
        let number = node.float(name, 0.0)?;
        numbers.extend(node.has(name).then_some(number));
    }
    Ok(vec![activated(b, node, &y, "attributes activation_alpha, activation_beta", &numbers)?])
}

/// Imports `FusedMatMul`: `alpha a b`. `transBatch` moves the first dimension to the place before the last, and `trans`
/// then swaps the last two.
fn fused_matmul(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let alpha = node.float("alpha", 1.0)?;
    let mut side = |i: usize, batch: &'static str, last: &'static str| -> Result<(Operand, bool)> {
        let (mut x, batch, last) = (node.input(i)?.clone(), node.flag(batch, false)?, node.flag(last, false)?);
        let rank = b.shape(&x).len();
        if batch && rank > 2 {
            let order: Vec<usize> = (1..rank - 1).chain([0, rank - 1]).collect();
            x = b.transpose(&x, &order)?;
        }
        // Vectors have no order of dimensions.
        Ok((x, last && rank > 1))
    };
    let (x, turned_x) = side(0, "transBatchA", "transA")?;
    let (y, turned_y) = side(1, "transBatchB", "transB")?;
    let product = match &y {
        Operand::Host(weight) if weight.shape.len() == 2 && x.host().is_none() && x.element().is_float() => {
            let mut order: Vec<usize> = (0..b.shape(&x).len()).collect();
            if let (true, [.., a, c]) = (turned_x, &mut order[..]) {
                std::mem::swap(a, c);
            }
            let x = b.transpose(&x, &order)?;
            linear(b, &x, weight, turned_y, None)?
        }
        _ => {
            let op = if turned_x { MatMul::new().transpose_a() } else { MatMul::new() };
            b.moved(if turned_y { op.transpose_b() } else { op }, &[&x, &y])?
        }
    };
    Ok(vec![b.scaled(&product, alpha)?])
}

fn gelu(b: &mut Builder, node: &Node, bias: Option<&Operand>, activation: Activation) -> Result<Vec<Operand>> {
    let mut x = node.input(0)?.clone();
    if let Some(bias) = bias {
        let (shape, of) = (b.shape(&x), b.shape(bias));
        if of.len() != 1 || shape.last() != of.last() {
            let wanted = format!("[{}], the last size of the input", shape.last().copied().unwrap_or(1));
            return Err(node.refused("bias", &wanted, of));
        }
        x = b.binary(BinaryKind::Add, &x, bias)?;
    }
    Ok(vec![b.activation(&x, activation)?])
}

/// Returns the sum of the input, what skips layers, and the bias at a place, if there is one.
fn skipped(b: &mut Builder, node: &Node, bias: usize) -> Result<Operand> {
    let (x, skip) = (node.input(0)?, node.input(1)?);
    let (shape, of) = (b.shape(x), b.shape(skip));
    if of.len() > shape.len() || of.broadcast(&shape).as_ref() != Some(&shape) {
        return Err(node.refused("skip", &format!("a shape that broadcasts to {shape}"), of));
    }
    if shape.is_empty() {
        return Err(node.refused("input", "1 dimension or more", shape));
    }
    let sum = b.binary(BinaryKind::Add, x, skip)?;
    node.optional(bias).map_or(Ok(sum.clone()), |bias| b.binary(BinaryKind::Add, &sum, bias))
}

/// Returns the outputs of a norm of a sum: the statistics in between are training's.
fn with_sum(node: &Node, y: Operand, sum: Operand) -> Result<Vec<Operand>> {
    if node.wants(1) || node.wants(2) {
        return Err(node.refused("outputs", "output and input_skip_bias_sum", "mean or inv_std_var"));
    }
    Ok(vec![y.clone(), y.clone(), y, sum])
}

fn skip_layer_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let sum = skipped(b, node, 4)?;
    let (axis, eps) = (b.shape(&sum).len() - 1, node.float("epsilon", 1e-12)?.into());
    let y = layer_normalised(b, &sum, axis, eps, node.input(2)?, node.optional(3))?;
    with_sum(node, y, sum)
}

fn skip_rms_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let sum = skipped(b, node, 3)?;
    let (axis, eps) = (b.shape(&sum).len() - 1, node.float("epsilon", 1e-12)?.into());
    let y = rms_normalised(b, &sum, axis, eps, node.input(2)?)?;
    with_sum(node, y, sum)
}

/// Imports `EmbedLayerNormalization`: a layer norm of the sum of embeddings of words, positions and segments.
fn embed_layer_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let ids = node.input(0)?;
    let shape = b.shape(ids);
    let &[batch, length] = &shape[..] else { return Err(node.refused("input_ids", "[B, S]", shape)) };
    let table = |b: &Builder, i: usize, name: &str| match b.shape(node.input(i)?) {
        shape if shape.len() == 2 => Ok(shape[0]),
        shape => Err(node.refused(name, "2 dimensions", shape)),
    };
    table(b, 2, "word_embedding")?;
    let known = table(b, 3, "position_embedding")?;
    let words = b.gather(node.input(2)?, 0, ids)?;
    let positions = match node.optional(8) {
        Some(places) => b.gather(node.input(3)?, 0, places)?,
        None if length <= known => b.slice(node.input(3)?, 0, 0, length, 1)?,
        None => return Err(node.refused("position_embedding", &format!("{length} rows or more"), known)),
    };
    let mut sum = b.binary(BinaryKind::Add, &words, &positions)?;
    match (node.optional(1), node.optional(4)) {
        (Some(segments), Some(embedding)) => {
            table(b, 4, "segment_embedding")?;
            let segments = b.gather(embedding, 0, segments)?;
            sum = b.binary(BinaryKind::Add, &sum, &segments)?;
        }
        (None, None) => {}
        _ => return Err(node.refused("segment_ids, segment_embedding", "both or neither", "one")),
    }
    let eps = node.float("epsilon", 1e-12)?.into();
    // The number says if shape inference expects a second output.
    node.ignore(&["mask_index_type"]);
    let y = layer_normalised(b, &sum, 2, eps, node.input(5)?, Some(node.input(6)?))?;
    let counts = match node.optional(7) {
        Some(mask) => {
            let ones = b.compare(mask, Compare::Eq, &mask.number(1))?;
            let ones = b.cast(&ones, ElementType::I32)?;
            b.reduce(&ones, ReduceKind::Sum, &[1], false)?
        }
        None => Tensor::filled(ElementType::I32, [batch].into(), 0.0)?.with_fixed(false).into(),
    };
    Ok(vec![y, counts, sum])
}
