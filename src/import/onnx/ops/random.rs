//! Random numbers, which are refused with a reason.

use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::Import;
use crate::import::onnx::node::{Node, Operand};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" | "Bernoulli" | "Multinomial" => {
            |_, node| refused(node)
        }
        _ => return None,
    })
}

fn refused(node: &Node) -> Result<Vec<Operand>> {
    let why = format!("the operator {}: random numbers: give them as an input", node.op());
    Err(node.error(ErrorKind::Unsupported(why)))
}
