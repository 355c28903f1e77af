//! Activation functions.

use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Activation, BinaryKind, Compare, PRelu};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Relu" => |b, node| plain(b, node, Activation::Relu),
        "Sigmoid" => |b, node| plain(b, node, Activation::Sigmoid),
        "Tanh" => |b, node| plain(b, node, Activation::Tanh),
        "Softplus" => |b, node| plain(b, node, Activation::Softplus(1.0)),
        "Softsign" => |b, node| plain(b, node, Activation::Softsign),
        "HardSwish" => |b, node| plain(b, node, Activation::Hardswish),
        "Mish" => |b, node| plain(b, node, Activation::Mish),
        "LeakyRelu" => |b, node| plain(b, node, Activation::LeakyRelu(node.float("alpha", 0.01)?)),
        "Elu" => |b, node| plain(b, node, Activation::Elu(node.float("alpha", 1.0)?)),
        "Celu" => |b, node| plain(b, node, Activation::Celu(node.float("alpha", 1.0)?)),
        "Gelu" => gelu,
        "Selu" => selu,
        "HardSigmoid" => |b, node| {
            node.ignore(&["consumed_inputs"]);
            let (alpha, beta) = (node.float("alpha", 0.2)?, node.float("beta", 0.5)?);
            Ok(vec![hard_sigmoid(b, node.input(0)?, alpha, beta)?])
        },
        "Swish" => |b, node| Ok(vec![swish(b, node.input(0)?, node.float("alpha", 1.0)?)?]),
        "ThresholdedRelu" => |b, node| Ok(vec![thresholded_relu(b, node.input(0)?, node.float("alpha", 1.0)?)?]),
        "Shrink" => shrink,
        "Clip" => clip,
        "PRelu" => prelu,
        _ => return None,
    })
}

fn plain(b: &mut Builder, node: &Node, activation: Activation) -> Result<Vec<Operand>> {
    node.ignore(&["consumed_inputs"]);
    Ok(vec![b.activation(node.input(0)?, activation)?])
}

fn gelu(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let tanh = node.one_of("approximate", &["none", "tanh"])? == "tanh";
    plain(b, node, if tanh { Activation::GeluTanh } else { Activation::Gelu })
}

fn selu(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    // The defaults of opset 1 had fewer digits.
    let [usual_alpha, usual_gamma] = if node.opset < 6 { [1.6732, 1.0507] } else { [1.673_263_2, 1.050_701] };
    let (alpha, gamma) = (node.float("alpha", usual_alpha)?, node.float("gamma", usual_gamma)?);
    if [alpha, gamma] == [1.673_263_2, 1.050_701] {
        return plain(b, node, Activation::Selu);
    }
    let elu = plain(b, node, Activation::Elu(alpha))?.remove(0);
    Ok(vec![b.scaled(&elu, gamma)?])
}

pub(super) fn hard_sigmoid(b: &mut Builder, x: &Operand, alpha: f32, beta: f32) -> Result<Operand> {
    if (alpha, beta) == (1.0 / 6.0, 0.5) {
        return b.activation(x, Activation::Hardsigmoid);
    }
    let scaled = b.scaled(x, alpha)?;
    let shifted = b.binary(BinaryKind::Add, &scaled, &scaled.number(beta))?;
    b.activation(&shifted, Activation::Clamp(0.0, 1.0))
}

pub(super) fn swish(b: &mut Builder, x: &Operand, alpha: f32) -> Result<Operand> {
    if alpha == 1.0 {
        return b.activation(x, Activation::Silu);
    }
    let scaled = b.scaled(x, alpha)?;
    let gate = b.activation(&scaled, Activation::Sigmoid)?;
    b.binary(BinaryKind::Mul, x, &gate)
}

pub(super) fn thresholded_relu(b: &mut Builder, x: &Operand, alpha: f32) -> Result<Operand> {
    let above = b.compare(x, Compare::Gt, &x.number(alpha))?;
    b.where_(&above, x, &x.number(0))
}

/// Computes `x + bias` below `-lambd`, `x - bias` above `lambd`, 0 between.
fn shrink(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, lambd, bias) = (node.input(0)?, node.float("lambd", 0.5)?, node.float("bias", 0.0)?);
    let (below, above) = (b.compare(x, Compare::Lt, &x.number(-lambd))?, b.compare(x, Compare::Gt, &x.number(lambd))?);
    let bias = x.number(bias);
    let (more, less) = (b.binary(BinaryKind::Add, x, &bias)?, b.binary(BinaryKind::Sub, x, &bias)?);
    let upper = b.where_(&above, &less, &x.number(0))?;
    Ok(vec![b.where_(&below, &more, &upper)?])
}

fn clip(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    node.ignore(&["consumed_inputs"]);
    let bounds: [Option<Operand>; 2] = if node.opset < 11 {
        let bound = |name: &'static str| {
            let value = node.float(name, 0.0)?;
            Ok::<_, crate::Error>(node.has(name).then(|| x.number(value)))
        };
        [bound("min")?, bound("max")?]
    } else {
        [node.optional(1).cloned(), node.optional(2).cloned()]
    };
    // Known bounds of a float make an activation; other bounds stay operands.
    let number = |bound: &Option<Operand>, absent: f64| match bound {
        None => Some(absent),
        Some(bound) => bound.host().and_then(Tensor::number),
    };
    let known = (number(&bounds[0], f64::NEG_INFINITY), number(&bounds[1], f64::INFINITY));
    if let (true, (Some(lo), Some(hi))) = (x.element().is_float() && x.host().is_none(), known) {
        let (lo, hi) = (lo as f32, hi as f32);
        let activation = match (lo, hi) {
            (f32::NEG_INFINITY, f32::INFINITY) => return Ok(vec![x.clone()]),
            (0.0, f32::INFINITY) => Activation::Relu,
            (0.0, 6.0) => Activation::Relu6,
            _ => Activation::Clamp(lo, hi),
        };
        return Ok(vec![b.activation(x, activation)?]);
    }
    let mut y = x.clone();
    for (bound, kind) in bounds.iter().zip([BinaryKind::Max, BinaryKind::Min]) {
        if let Some(bound) = bound {
            y = b.binary(kind, &y, bound)?;
        }
    }
    Ok(vec![y])
}

/// Imports `PRelu`. The slope is broadcast to x; the operation supports one slope for each channel.
fn prelu(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, slope) = (node.input(0)?, node.input(1)?);
    node.ignore(&["consumed_inputs"]);
    let (shape, mut of) = (b.shape(x), b.shape(slope));
    let mut slope = slope.clone();
    // Before opset 7, a vector held one slope per channel.
    if node.opset < 7 && of.len() == 1 && shape.len() > 1 {
        let mut sizes = vec![1; shape.len() - 1];
        sizes[0] = of[0];
        slope = b.reshape(&slope, sizes)?;
        of = b.shape(&slope);
    }
    let channels = shape.get(1).copied().unwrap_or(1);
    let aligned = shape.len().checked_sub(of.len()).map(|missing| [&vec![1; missing][..], &of[..]].concat());
    let by_channel = aligned.is_some_and(|sizes| sizes.iter().enumerate().all(|(axis, &size)| axis == 1 || size == 1));
    if let (true, true, Operand::Host(tensor)) = (by_channel, x.element().is_float() && shape.len() > 1, &slope) {
        let count = tensor.elements();
        if count == 1 || count == channels {
            let weight = tensor.constant()?.with_shape([count]);
            return Ok(vec![b.moved(PRelu::new(weight), &[x])?]);
        }
    }
    let negative = b.compare(x, Compare::Lt, &x.number(0))?;
    let scaled = b.binary(BinaryKind::Mul, x, &slope)?;
    Ok(vec![b.where_(&negative, &scaled, x)?])
}
