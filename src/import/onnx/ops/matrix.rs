//! Matrix products.

use super::quantization::packed_linear;
use crate::Constant;
use crate::Op;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::math::same_element;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{BinaryKind, Linear, MatMul};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "MatMul" => matmul,
        "Gemm" => gemm,
        _ => return None,
    })
}

fn matmul(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    Ok(vec![multiplied(b, node.input(0)?, node.input(1)?)?])
}

/// Imports `Gemm`: `alpha a b + beta c`, with a and b transposed if the attributes say so.
pub(super) fn gemm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, y, c) = (node.input(0)?, node.input(1)?, node.optional(2));
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let (transpose_a, transpose_b) = (node.flag("transA", false)?, node.flag("transB", false)?);
    for operand in [x, y] {
        let shape = b.shape(operand);
        if shape.len() != 2 {
            return Err(node.refused("A, B", "2 dimensions", &shape));
        }
    }
    if node.opset < 7 {
        node.flag("broadcast", false)?;
    }
    let product = match y {
        Operand::Host(weight) if x.host().is_none() && weight.elements() > 0 => {
            let x = if transpose_a { b.transpose(x, &[1, 0])? } else { x.clone() };
            let out = weight.shape[usize::from(!transpose_b)];
            let bias = c.filter(|_| (alpha, beta) == (1.0, 1.0)).and_then(|c| bias(c, out));
            let biased = bias.is_some();
            let product = linear(b, &x, weight, transpose_b, bias)?;
            if biased {
                return Ok(vec![product]);
            }
            product
        }
        _ => {
            let op = if transpose_a { MatMul::new().transpose_a() } else { MatMul::new() };
            product(b, if transpose_b { op.transpose_b() } else { op }, x, y)?
        }
    };
    let mut product = b.scaled(&product, alpha)?;
    if let Some(c) = c.filter(|_| beta != 0.0) {
        let c = b.scaled(c, beta)?;
        product = b.binary(BinaryKind::Add, &product, &c)?;
    }
    Ok(vec![product])
}

/// Returns a known operand as the bias of a linear layer, if it is the same for every row.
fn bias(operand: &Operand, out: usize) -> Option<Constant> {
    let tensor = operand.host()?;
    let constant = tensor.constant().ok()?;
    let ones = tensor.shape.iter().rev().skip(1).all(|&size| size == 1);
    (ones && tensor.shape.last() == Some(&out)).then(|| constant.with_shape([out]))
}

/// Adds a matrix product: a linear layer if the second matrix is known.
pub(super) fn multiplied(b: &mut Builder, x: &Operand, y: &Operand) -> Result<Operand> {
    match y {
        Operand::Host(weight)
            if weight.shape.len() == 2 && weight.elements() > 0 && x.host().is_none() && x.element().is_float() =>
        {
            linear(b, x, weight, false, None)
        }
        _ => product(b, MatMul::new(), x, y),
    }
}

/// Adds a product of two operands. A sum of no products is 0.
fn product(b: &mut Builder, op: MatMul, x: &Operand, y: &Operand) -> Result<Operand> {
    let shapes = [b.shape(x), b.shape(y)];
    if shapes.iter().all(|shape| shape.elements() > 0) {
        return b.moved(op, &[x, y]);
    }
    let shape = op.output_shapes(&shapes)?.swap_remove(0);
    Ok(Tensor::filled(same_element(x, y)?, shape, 0.0)?.with_fixed(false).into())
}

/// Adds a linear layer of a matrix `[in, out]`, or `[out, in]` if `turned`. A quantised matrix stays integer.
pub(super) fn linear(
    b: &mut Builder,
    x: &Operand,
    weight: &Tensor,
    turned: bool,
    bias: Option<Constant>,
) -> Result<Operand> {
    let constant = weight.constant()?;
    if let Some(linear) = constant.quantised().and_then(|quantised| packed_linear(quantised, turned)) {
        return b.moved(bias.map_or(linear.clone(), |bias| linear.bias(bias)), &[x]);
    }
    let weight = match turned {
        true => constant,
        false => {
            // All readers of the weight share its transpose.
            let name = format!("constant {}, transposed", constant.id());
            let kept = b.kept(&name, weight.turned()?.into());
            kept.host().expect("it was known").constant()?
        }
    };
    b.moved(Linear::new(weight, bias), &[x])
}
