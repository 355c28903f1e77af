//! Attention whose scores and probabilities are changed by bodies.

use super::attention::repeated;
use crate::error::Result;
use crate::import::onnx::builder::{Bodies, Builder, Structure};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Named, Node, Operand};
use crate::ops::{MatMul, Softmax};

/// Returns the importer of an operator of `ai.onnx.preview`.
pub(super) fn preview(op: &str) -> Option<Structure> {
    (op == "FlexAttention").then_some(flex_attention)
}

/// Computes `prob_mod(softmax(score_mod(scale q kᵀ))) v`, step by step.
fn flex_attention<'a>(b: &mut Builder, bodies: &mut dyn Bodies<'a>, node: &Node<'a>) -> Result<Vec<Named>> {
    let (q, k, v) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let shape = b.shape(q);
    for (name, x) in [("Q", q), ("K", k), ("V", v)] {
        let of = b.shape(x);
        if of.len() != 4 || of[0] != shape[0] || !shape[1].is_multiple_of(of[1].max(1)) {
            let wanted = "4 dimensions, one batch, and a number of heads that divides Q's";
            return Err(node.refused(name, wanted, of));
        }
    }
    let scale = if node.has("scale") { node.float("scale", 1.0)? } else { 1.0 / (shape[3] as f32).sqrt() };
    // The softmax is computed in f32, whatever type is stated.
    let precision = node.element("softmax_precision")?.unwrap_or(ElementType::F32);
    if !precision.is_float() {
        return Err(node.refused("attribute softmax_precision", "a floating-point type", precision));
    }
    let mut change = |b: &mut Builder, name: &'static str, x: Operand| -> Result<Operand> {
        if !node.has(name) {
            return Ok(x);
        }
        let mut outputs = bodies.inline(b, node, &name, node.graph(name)?, vec![x.clone().into()], &|_| true)?;
        match (outputs.len(), outputs.pop()) {
            (1, Some(Named::Tensor(y))) if b.shape(&y) == b.shape(&x) && y.element() == x.element() => Ok(y),
            (count, _) => {
                let wanted = format!("one output, {} {}", x.element(), b.shape(&x));
                Err(node.refused(&format!("attribute {name}"), &wanted, format_args!("another one, or {count}")))
            }
        }
    };
    let (k, v) = (repeated(b, k, shape[1])?, repeated(b, v, shape[1])?);
    let scores = b.moved(MatMul::new().transpose_b(), &[q, &k])?;
    let scores = b.scaled(&scores, scale)?;
    let scores = change(b, "score_mod", scores)?;
    let parts = b.moved(Softmax::new(3), &[&scores])?;
    let parts = change(b, "prob_mod", parts)?;
    Ok(vec![b.moved(MatMul::new(), &[&parts, &v])?.into()])
}
