//! Steps of optimisers, of `ai.onnx.preview.training`.

use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{BinaryKind, Compare, Unary};

pub(super) fn preview(op: &str) -> Option<Import> {
    Some(match op {
        "Adagrad" => |b, node| each(b, node, adagrad),
        "Adam" => |b, node| each(b, node, adam),
        "Momentum" => |b, node| each(b, node, momentum),
        _ => return None,
    })
}

/// The learning rate, the number of steps so far, and what a step reads of one tensor: its value, its gradient, its moments.
struct Step<'a, const N: usize> {
    rate: &'a Operand,
    count: Operand,
    parts: [Operand; N],
}

/// Adds a step for each tensor: inputs list all values, then all gradients, and so on, as outputs do without gradients.
fn each<const N: usize, const M: usize>(
    b: &mut Builder,
    node: &Node,
    step: fn(&mut Builder, &Node, Step<N>) -> Result<[Operand; M]>,
) -> Result<Vec<Operand>> {
    let (rate, count) = (node.input(0)?, b.cast(node.input(1)?, ElementType::F32)?);
    for (name, x) in [("R", rate), ("T", &count)] {
        if b.shape(x).elements() != 1 {
            return Err(node.refused(name, "one number", b.shape(x)));
        }
    }
    let inputs = node.inputs().len() - 2;
    if !inputs.is_multiple_of(N) {
        return Err(node.refused("inputs", &format!("2, and {N} for each tensor"), node.inputs().len()));
    }
    let tensors = inputs / N;
    let mut outputs: [Vec<Operand>; M] = std::array::from_fn(|_| Vec::new());
    for i in 0..tensors {
        let mut parts = Vec::new();
        for j in 0..N {
            let part = node.input(2 + j * tensors + i)?;
            if b.shape(part) != b.shape(node.input(2 + i)?) {
                return Err(node.refused("inputs", &b.shape(node.input(2 + i)?).to_string(), b.shape(part)));
            }
            parts.push(part.clone());
        }
        let parts = parts.try_into().unwrap_or_else(|_| unreachable!("there are N"));
        let step = step(b, node, Step { rate, count: count.clone(), parts })?;
        outputs.iter_mut().zip(step).for_each(|(outputs, output)| outputs.push(output));
    }
    Ok(outputs.into_iter().flatten().collect())
}

impl Builder<'_> {
    /// Returns `factor x + y`.
    fn scaled_sum(&mut self, factor: f32, x: &Operand, y: &Operand) -> Result<Operand> {
        let x = self.scaled(x, factor)?;
        self.binary(BinaryKind::Add, &x, y)
    }

    /// Returns `x - rate y`.
    fn moved_by(&mut self, x: &Operand, rate: &Operand, y: &Operand) -> Result<Operand> {
        let way = self.binary(BinaryKind::Mul, rate, y)?;
        self.binary(BinaryKind::Sub, x, &way)
    }
}

fn adagrad(b: &mut Builder, node: &Node, Step { rate, count, parts: [x, g, h] }: Step<3>) -> Result<[Operand; 2]> {
    let (norm, decay) = (node.float("norm_coefficient", 0.0)?, node.float("decay_factor", 0.0)?);
    let epsilon = node.float("epsilon", 1e-6)?;
    let slower = b.scaled_sum(decay, &count, &count.number(1))?;
    let rate = b.binary(BinaryKind::Div, rate, &slower)?;
    let g = b.scaled_sum(norm, &x, &g)?;
    let square = b.binary(BinaryKind::Mul, &g, &g)?;
    let h = b.binary(BinaryKind::Add, &h, &square)?;
    let root = b.unary(&h, Unary::Sqrt)?;
    let root = b.binary(BinaryKind::Add, &root, &root.number(epsilon))?;
    let way = b.binary(BinaryKind::Div, &g, &root)?;
    Ok([b.moved_by(&x, &rate, &way)?, h])
}

fn adam(b: &mut Builder, node: &Node, Step { rate, count, parts: [x, g, v, h] }: Step<4>) -> Result<[Operand; 3]> {
    let (norm, after) = (node.float("norm_coefficient", 0.0)?, node.float("norm_coefficient_post", 0.0)?);
    let (alpha, beta) = (node.float("alpha", 0.9)?, node.float("beta", 0.999)?);
    let epsilon = node.float("epsilon", 1e-6)?;
    let g = b.scaled_sum(norm, &x, &g)?;
    let more = b.scaled(&g, 1.0 - alpha)?;
    let v = b.scaled_sum(alpha, &v, &more)?;
    let square = b.binary(BinaryKind::Mul, &g, &g)?;
    let more = b.scaled(&square, 1.0 - beta)?;
    let h = b.scaled_sum(beta, &h, &more)?;
    let root = b.unary(&h, Unary::Sqrt)?;
    let root = b.binary(BinaryKind::Add, &root, &root.number(epsilon))?;
    // Both averages begin with 0, which the first steps make up for.
    let mut missing = |of: f32| {
        let power = b.binary(BinaryKind::Pow, &count.number(of), &count)?;
        b.binary(BinaryKind::Sub, &count.number(1), &power)
    };
    let (of_v, of_h) = (missing(alpha)?, missing(beta)?);
    let of_h = b.unary(&of_h, Unary::Sqrt)?;
    let adjusted = b.binary(BinaryKind::Mul, rate, &of_h)?;
    let adjusted = b.binary(BinaryKind::Div, &adjusted, &of_v)?;
    let later = b.compare(&count, Compare::Gt, &count.number(0))?;
    let rate = b.where_(&later, &adjusted, rate)?;
    let way = b.binary(BinaryKind::Div, &v, &root)?;
    let x = b.moved_by(&x, &rate, &way)?;
    Ok([b.scaled(&x, 1.0 - after)?, v, h])
}

fn momentum(b: &mut Builder, node: &Node, Step { rate, count, parts: [x, g, v] }: Step<3>) -> Result<[Operand; 2]> {
    let number = |name: &'static str| match node.has(name) {
        true => node.float(name, 0.0),
        false => Err(node.refused(&format!("attribute {name}"), "a number", "none")),
    };
    let (norm, alpha, beta) = (number("norm_coefficient")?, number("alpha")?, number("beta")?);
    let nesterov = node.one_of("mode", &["standard", "nesterov"])? == "nesterov";
    let g = b.scaled_sum(norm, &x, &g)?;
    let one: Operand = Tensor::scalar(ElementType::F32, 1.0).into();
    let later = b.compare(&count, Compare::Gt, &count.number(0))?;
    let factor = b.where_(&later, &one.number(beta), &one)?;
    let more = b.binary(BinaryKind::Mul, &factor, &g)?;
    let v = b.scaled_sum(alpha, &v, &more)?;
    let way = if nesterov { b.scaled_sum(alpha, &v, &g)? } else { v.clone() };
    Ok([b.moved_by(&x, rate, &way)?, v])
}
