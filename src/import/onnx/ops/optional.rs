//! Optional values, which are tensors here, and operators that are refused with a reason.

use super::Import;
use crate::error::{ErrorKind, Result};
use crate::import::onnx::ElementType;
use crate::import::onnx::builder::Builder;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "OptionalGetElement" => |_, node| Ok(vec![node.input(0)?.clone()]),
        "OptionalHasElement" => has_element,
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" | "Bernoulli" | "Multinomial" => {
            |_, node| refused(node, "random numbers: give them as an input")
        }
        "Optional" | "SequenceAt" | "SequenceConstruct" | "SequenceEmpty" | "SequenceErase" | "SequenceInsert"
        | "SequenceLength" | "SequenceMap" | "SplitToSequence" | "ConcatFromSequence" => {
            |_, node| refused(node, "values are tensors here, not sequences or optional ones")
        }
        _ => return None,
    })
}

fn refused(node: &Node, why: &str) -> Result<Vec<Operand>> {
    Err(node.error(ErrorKind::Unsupported(format!("the operator {}: {why}", node.op()))))
}

/// A tensor is there, or isn't named.
fn has_element(_: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let there = node.optional(0).is_some();
    Ok(vec![Tensor::scalar(ElementType::Bool, f64::from(u8::from(there))).into()])
}
