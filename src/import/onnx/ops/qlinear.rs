//! Operators on quantised tensors, each with a scale and a zero point, as ONNX Runtime adds them: the operator on the
//! numbers that the integers stand for, whose result is quantised.

use super::convolution::average_pool;
use super::integer::product;
use super::quantization::{dequantised, quantised};
use super::reduction::along_axis;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Activation, BinaryKind, ReduceKind, Softmax};

pub(super) fn contributed(op: &str) -> Option<Import> {
    Some(match op {
        "QLinearAdd" => |b, node| binary(b, node, BinaryKind::Add),
        "QLinearMul" => |b, node| binary(b, node, BinaryKind::Mul),
        "QLinearConcat" => concat,
        "QLinearGlobalAveragePool" => |b, node| unary(b, node, global_average_pool),
        "QLinearAveragePool" => |b, node| {
            unary(b, node, |b, node, x| {
                channels_first(node)?;
                average_pool(b, node, x)
            })
        },
        "QLinearSoftmax" => |b, node| unary(b, node, softmax),
        "QLinearSigmoid" => |b, node| unary(b, node, |b, _, x| b.activation(x, Activation::Sigmoid)),
        "QLinearLeakyRelu" => {
            |b, node| unary(b, node, |b, node, x| b.activation(x, Activation::LeakyRelu(node.float("alpha", 0.01)?)))
        }
        "QGemm" => qgemm,
        _ => return None,
    })
}

/// The scale and the zero point of a tensor.
struct Scale<'a> {
    scale: &'a Operand,
    zero: Option<&'a Operand>,
}

/// Returns the scale at a place and the zero point after it, which the whole tensor shares.
fn scale<'a>(b: &Builder, node: &'a Node, place: usize) -> Result<Scale<'a>> {
    let of = Scale { scale: node.input(place)?, zero: node.optional(place + 1) };
    let mut parts = [Some(of.scale), of.zero].into_iter().flatten();
    match parts.find(|part| b.shape(part).elements() != 1) {
        None => Ok(of),
        Some(part) => {
            Err(node.refused(&format!("inputs {place}, {}", place + 1), "a scale and a zero point", b.shape(part)))
        }
    }
}

/// Returns the numbers that the integers at a place stand for. The scale and the zero point come after them.
fn numbers(b: &mut Builder, node: &Node, place: usize) -> Result<Operand> {
    let (x, Scale { scale, zero }) = (node.input(place)?, scale(b, node, place + 1)?);
    of_bytes(node, &format!("input {place}"), x)?;
    if let Some(zero) = zero.filter(|zero| zero.element() != x.element()) {
        return Err(node.refused(&format!("input {}", place + 2), &x.element().to_string(), zero.element()));
    }
    dequantised(b, x, scale, zero, ElementType::F32, None)
}

/// Returns the type of integers of 8 bits.
fn of_bytes(node: &Node, name: &str, x: &Operand) -> Result<ElementType> {
    match x.element() {
        element if element.int_type().is_some_and(|int| int.bits() == 8) => Ok(element),
        other => Err(node.refused(name, "uint8 or int8", other)),
    }
}

/// Quantises a result to the scale at a place, in the type of the first input, or of the zero point.
fn end(b: &mut Builder, node: &Node, y: &Operand, place: usize, like: &Operand) -> Result<Vec<Operand>> {
    let Scale { scale, zero } = scale(b, node, place)?;
    let to = of_bytes(node, "the output's zero point", zero.unwrap_or(like))?;
    Ok(vec![quantised(b, y, scale, zero, to, None)?])
}

fn binary(b: &mut Builder, node: &Node, kind: BinaryKind) -> Result<Vec<Operand>> {
    let (x, y) = (numbers(b, node, 0)?, numbers(b, node, 3)?);
    let z = b.binary(kind, &x, &y)?;
    end(b, node, &z, 6, node.input(0)?)
}

fn unary(
    b: &mut Builder,
    node: &Node,
    of: impl FnOnce(&mut Builder, &Node, &Operand) -> Result<Operand>,
) -> Result<Vec<Operand>> {
    let x = numbers(b, node, 0)?;
    let y = of(b, node, &x)?;
    end(b, node, &y, 3, node.input(0)?)
}

/// Imports `QLinearConcat`: a scale, a zero point, then for each part integers, scale and zero point.
fn concat(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let parts = node.inputs().len().saturating_sub(2);
    if parts == 0 || !parts.is_multiple_of(3) {
        return Err(node.refused("inputs", "2, and 3 for each part", node.inputs().len()));
    }
    let parts = (0..parts / 3).map(|i| numbers(b, node, 2 + 3 * i)).collect::<Result<Vec<_>>>()?;
    let along = axis(node.int("axis", 0)?, b.shape(&parts[0]).len())?;
    let y = b.concat(&parts, along)?;
    end(b, node, &y, 0, node.input(2)?)
}

fn channels_first(node: &Node) -> Result<()> {
    match node.flag("channels_last", false)? {
        false => Ok(()),
        true => Err(node.refused("attribute channels_last", "0", 1)),
    }
}

fn global_average_pool(b: &mut Builder, node: &Node, x: &Operand) -> Result<Operand> {
    let rank = b.shape(x).len();
    if rank < 3 {
        return Err(node.refused("X", "3 dimensions or more", b.shape(x)));
    }
    let axes: Vec<usize> =
        if node.flag("channels_last", false)? { (1..rank - 1).collect() } else { (2..rank).collect() };
    b.reduce(x, ReduceKind::Mean, &axes, true)
}

fn softmax(b: &mut Builder, node: &Node, x: &Operand) -> Result<Operand> {
    let opset = node.count("opset", 13, 1)?;
    along_axis(b, x, node.int("axis", -1)?, opset as i64, |b, x, axis| b.moved(Softmax::new(axis), &[x]))
}

/// Imports `QGemm`: a product of integers, to which integers are added, as numbers or quantised.
fn qgemm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (mut x, mut w) = (node.input(0)?.clone(), node.input(3)?.clone());
    for (name, operand) in [("A", &x), ("B", &w)] {
        of_bytes(node, name, operand)?;
        if b.shape(operand).len() != 2 {
            return Err(node.refused(name, "2 dimensions", b.shape(operand)));
        }
    }
    let alpha = node.float("alpha", 1.0)?;
    if node.flag("transA", false)? {
        x = b.transpose(&x, &[1, 0])?;
    }
    if node.flag("transB", false)? {
        w = b.transpose(&w, &[1, 0])?;
    }
    scale(b, node, 1)?;
    let columns = b.shape(&w)[1];
    let of_weight = b.shape(node.input(4)?);
    if of_weight.elements() != 1 && of_weight[..] != [columns] {
        return Err(node.refused("b_scale", &format!("1 number, or {columns}"), of_weight));
    }
    for (name, place, of) in [("a_zero_point", 2, &x), ("b_zero_point", 5, &w)] {
        let zero = node.input(place)?;
        if zero.element() != of.element() {
            return Err(node.refused(name, &of.element().to_string(), zero.element()));
        }
    }
    let mut sums = product(b, node, [&x, &w], [2, 5], None)?;
    if let Some(c) = node.optional(6) {
        if c.element() != ElementType::I32 {
            return Err(node.refused("C", "int32", c.element()));
        }
        let (wanted, got) = (b.shape(&sums), b.shape(c));
        if got.broadcast(&wanted).as_ref() != Some(&wanted) {
            return Err(node.refused("C", &format!("a shape that broadcasts to {wanted}"), got));
        }
        sums = b.binary(BinaryKind::Add, &sums, c)?;
    }
    let one = |b: &mut Builder, place: usize| b.reshape(node.input(place)?, []);
    let x_scale = one(b, 1)?;
    let x_scale = b.scaled(&x_scale, alpha)?;
    let mut factor = b.binary(BinaryKind::Mul, &x_scale, node.input(4)?)?;
    if node.optional(7).is_some() {
        scale(b, node, 7)?;
        let y_scale = one(b, 7)?;
        factor = b.binary(BinaryKind::Div, &factor, &y_scale)?;
    }
    let sums = b.cast(&sums, ElementType::F32)?;
    let y = b.binary(BinaryKind::Mul, &sums, &factor)?;
    let Some(zero) = node.optional(8) else {
        return match node.optional(7) {
            None => Ok(vec![y]),
            Some(_) => Err(node.refused("y_scale, y_zero_point", "both or neither", "one")),
        };
    };
    if node.optional(7).is_none() {
        return Err(node.refused("y_scale, y_zero_point", "both or neither", "one"));
    }
    let to = of_bytes(node, "y_zero_point", zero)?;
    let unit = Tensor::scalar(ElementType::F32, 1.0).into();
    Ok(vec![quantised(b, &y, &unit, Some(zero), to, None)?])
}
