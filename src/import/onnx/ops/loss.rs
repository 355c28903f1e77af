//! Losses.

use crate::Shape;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{BinaryKind, Compare, Gather, LogSoftmax, Logical, ReduceKind, Unary};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "NegativeLogLikelihoodLoss" => |b, node| Ok(vec![loss(b, node, node.input(0)?)?]),
        "SoftmaxCrossEntropyLoss" => cross_entropy,
        _ => return None,
    })
}

/// Imports `SoftmaxCrossEntropyLoss`: the loss of the log-softmax along the classes, and the log-softmax.
fn cross_entropy(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    if shape.len() < 2 {
        return Err(node.refused("scores", "2 dimensions or more", &shape));
    }
    let logs = b.moved(LogSoftmax::new(1), &[x])?;
    Ok(vec![loss(b, node, &logs)?, logs])
}

/// Computes `-weight[target] x[target]` for every target.
fn loss(b: &mut Builder, node: &Node, x: &Operand) -> Result<Operand> {
    let (target, weight) = (node.input(1)?, node.optional(2));
    let reduction = node.one_of("reduction", &["mean", "sum", "none"])?;
    let (shape, of) = (b.shape(x), b.shape(target));
    let [n, classes, rest @ ..] = &shape[..] else {
        return Err(node.refused("input", "2 dimensions or more", &shape));
    };
    let wanted = Shape::from([&[*n], rest].concat());
    if of != wanted {
        return Err(node.refused("target", &format!("the shape {wanted}"), of));
    }
    let one = |b: &mut Builder, value: f64| b.expand(&x.number(value), &wanted);
    // An ignored target may be no class: class 0 takes its place, with a weight of 0.
    let (mut places, mut counts) = (target.clone(), None);
    if node.has("ignore_index") {
        let ignored = node.int("ignore_index", 0)?;
        let ignored = Operand::from(Tensor::ints(target.element(), [], vec![ignored]));
        let same = b.compare(target, Compare::Eq, &ignored)?;
        places = b.where_(&same, &target.number(0), target)?;
        counts = Some(b.logical(Logical::Not, &[&same])?);
    }
    let picked = {
        let column = b.reshape(&places, [&[*n, 1], rest].concat())?;
        let picked = b.moved(Gather::new(1), &[x, &column])?;
        b.reshape(&picked, wanted.clone())?
    };
    let mut loss = b.unary(&picked, Unary::Neg)?;
    let mut weights = None;
    if let Some(weight) = weight {
        let size = b.shape(weight);
        if size[..] != [*classes] {
            return Err(node.refused("weight", &format!("[{classes}]"), size));
        }
        weights = Some(b.gather(weight, 0, &places)?);
    }
    if let Some(counts) = counts {
        let zero = one(b, 0.0)?;
        let some = match weights {
            Some(weights) => weights,
            None => one(b, 1.0)?,
        };
        weights = Some(b.where_(&counts, &some, &zero)?);
    }
    if let Some(weights) = &weights {
        loss = b.binary(BinaryKind::Mul, &loss, weights)?;
    }
    Ok(match (reduction, weights) {
        ("none", _) => loss,
        ("sum", _) => b.reduce(&loss, ReduceKind::Sum, &[], false)?,
        (_, None) => b.reduce(&loss, ReduceKind::Mean, &[], false)?,
        (_, Some(weights)) => {
            let [loss, weights] = [&loss, &weights].map(|sum| b.reduce(sum, ReduceKind::Sum, &[], false));
            b.binary(BinaryKind::Div, &loss?, &weights?)?
        }
    })
}
