//! Random numbers: drawn from a seed when the graph is built, if the caller gives one; otherwise refused.

use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::stored::sizes;
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::weights::uniform;
use std::f64::consts::TAU;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" => drawn,
        "Bernoulli" | "Multinomial" => |_, node| Err(refused(node, "give them as an input")),
        _ => return None,
    })
}

fn refused(node: &Node, way_out: &str) -> crate::Error {
    node.error(ErrorKind::Unsupported(format!("the operator {}: random numbers: {way_out}", node.op())))
}

/// Imports normal or uniform random numbers, which a graph's frames share. They depend on the seed and on the node.
fn drawn(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let Some(seed) = b.seed else {
        return Err(refused(node, "give them as an input, or a seed (Bindings::seed, --seed)"));
    };
    // The seed of the file means other numbers in each runtime.
    node.ignore(&["seed"]);
    let given = node.element("dtype")?;
    let (shape, element) = match node.op().strip_suffix("Like") {
        Some(_) => (b.shape(node.input(0)?), given.unwrap_or(node.input(0)?.element())),
        None => {
            let shape = node.ints("shape")?.ok_or_else(|| node.refused("attribute shape", "sizes", "none"))?;
            (sizes(&shape)?, given.unwrap_or(ElementType::F32))
        }
    };
    if !element.is_float() {
        return Err(node.refused("attribute dtype", "a floating-point type", element));
    }
    let count = foldable(&shape)?;
    let draw = |what: &str| uniform(seed, &format!("{}\n{what}", node.key()), count, 0.0, 1.0);
    let values: Vec<f32> = if node.op().starts_with("RandomNormal") {
        let (mean, scale) = (node.float("mean", 0.0)?, node.float("scale", 1.0)?);
        let normal = |(&a, &b): (&f32, &f32)| (-2.0 * f64::from(1.0 - a).ln()).sqrt() * (TAU * f64::from(b)).cos();
        let pairs = [draw("distance"), draw("angle")];
        pairs[0].iter().zip(&pairs[1]).map(|pair| mean + scale * normal(pair) as f32).collect()
    } else {
        let (low, high) = (node.float("low", 0.0)?, node.float("high", 1.0)?);
        draw("number").iter().map(|number| low + (high - low) * number).collect()
    };
    Ok(vec![Tensor::floats(ElementType::F32, Shape::from(&shape[..]), values).with_fixed(false).cast(element)?.into()])
}
