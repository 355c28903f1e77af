//! Products and convolutions of integers.

use super::quantization::{packed, scalar};
use super::window::window;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{IntegerConv2d, MatMul, Requantize};
use crate::{Constant, IntType, Op, Shape, Value};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "MatMulInteger" => matmul_integer,
        "QLinearMatMul" => qlinear_matmul,
        "ConvInteger" => conv_integer,
        "QLinearConv" => qlinear_conv,
        _ => return None,
    })
}

/// Returns inputs as zero points; `None` for an absent input.
fn zero_points(b: &mut Builder, node: &Node, places: [usize; 2]) -> Result<[Option<Value>; 2]> {
    let mut zeros = [None, None];
    for (zero, place) in zeros.iter_mut().zip(places) {
        if let Some(operand) = node.optional(place) {
            let operand = scalar(b, operand)?;
            *zero = Some(b.value(&operand)?);
        }
    }
    Ok(zeros)
}

/// Returns a number that must be known when the graph is built.
fn number(b: &Builder, node: &Node, name: &str, place: usize) -> Result<f64> {
    let tensor = b.known(name, node.input(place)?)?;
    tensor.number().ok_or_else(|| node.refused(name, "one number", &tensor.shape))
}

/// Returns the requantisation of sums. `places` are the inputs x_scale, w_scale, y_scale and y_zero_point.
fn requantize(b: &Builder, node: &Node, places: [usize; 4]) -> Result<(Requantize, ElementType)> {
    let [x_scale, w_scale, y_scale, y_zero] = places;
    let w_scale = b.weights("the weight's scale", node.input(w_scale)?)?;
    let count = w_scale.shape().elements();
    let to = node.input(y_zero)?.element();
    let int = to.int_type().ok_or_else(|| node.refused("y_zero_point", "integers of 4 to 16 bits", to))?;
    let (x_scale, y_scale) = (number(b, node, "x_scale", x_scale)?, number(b, node, "y_scale", y_scale)?);
    let zero = number(b, node, "y_zero_point", y_zero)?;
    Ok((Requantize::new(x_scale as f32, w_scale.with_shape([count]), y_scale as f32, zero as i32, int), to))
}

/// Adds the product of two matrices of integers. `zeros` are the places of their zero points.
pub(super) fn product(
    b: &mut Builder,
    node: &Node,
    [a, w]: [&Operand; 2],
    zeros: [usize; 2],
    end: Option<(Requantize, ElementType)>,
) -> Result<Operand> {
    let element = end.as_ref().map_or(ElementType::I32, |(_, to)| *to);
    let shapes = [b.shape(a), b.shape(w)];
    if shapes.iter().any(|shape| shape.elements() == 0) {
        let shape = MatMul::new().output_shapes(&shapes)?.swap_remove(0);
        if shape.elements() == 0 || end.is_none() {
            return Ok(Tensor::filled(element, shape, 0.0)?.with_fixed(false).into());
        }
    }
    let (zeros, end) = (zero_points(b, node, zeros)?, end.map(|(end, _)| end));
    let value = b.value(a)?;
    if let Operand::Host(weight) = w
        && let (Some(int), 2) =
            (weight.element.int_type().filter(|int| matches!(int, IntType::U8 | IntType::I8)), weight.shape.len())
    {
        let weight = packed(b, node, weight, int)?;
        return Ok(Operand::Device(b.graph.integer_linear(value, weight, zeros, end)?, element));
    }
    let w = b.value(w)?;
    Ok(Operand::Device(b.graph.integer_matmul([value, w], zeros, end)?, element))
}

fn matmul_integer(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    Ok(vec![product(b, node, [node.input(0)?, node.input(1)?], [2, 3], None)?])
}

fn qlinear_matmul(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let end = requantize(b, node, [1, 4, 6, 7])?;
    Ok(vec![product(b, node, [node.input(0)?, node.input(3)?], [2, 5], Some(end))?])
}

fn conv_integer(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    Ok(vec![convolution(b, node, [0, 1], [2, 3], None, None)?])
}

fn qlinear_conv(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let end = requantize(b, node, [1, 4, 6, 7])?;
    Ok(vec![convolution(b, node, [0, 3], [2, 5], Some(8), Some(end))?])
}

fn convolution(
    b: &mut Builder,
    node: &Node,
    [x, w]: [usize; 2],
    zeros: [usize; 2],
    bias: Option<usize>,
    end: Option<(Requantize, ElementType)>,
) -> Result<Operand> {
    let x = node.input(x)?;
    let weight = b.known("w", node.input(w)?)?;
    let int = weight.element.int_type().ok_or_else(|| node.refused("w", "integers of 4 or 8 bits", weight.element))?;
    let bias = match bias.and_then(|place| node.optional(place)) {
        Some(bias) => {
            if bias.element() != ElementType::I32 {
                return Err(node.refused("B", "int32", bias.element()));
            }
            let values = b.known_ints("B", bias)?.iter().map(|&value| value as i32).collect::<Vec<_>>();
            let fixed = bias.host().is_some_and(|bias| bias.fixed);
            Some(b.shared(&format!("{}\nbias", node.key()), fixed, Constant::known("", [values.len()], values)))
        }
        None => None,
    };
    let shape = b.shape(x);
    let (window, group) = window(node, &weight.shape, &shape)?;
    let (mut stride, mut dilation, mut pads) = (window.stride, window.dilation, window.pads);
    let line = stride.len() == 1;
    if line {
        stride.insert(0, 1);
        dilation.insert(0, 1);
        pads.insert(0, [0, 0]);
    }
    if stride.len() != 2 {
        return Err(node.refused("w", "1 or 2 spatial dimensions", &weight.shape));
    }
    let image = |shape: &Shape| [&shape[..2], &[1], &shape[2..]].concat();
    let weight = packed(b, node, &weight, int)?;
    let (weight, x) = match line {
        true => (weight.with_shape(image(weight.shape())), b.reshape(x, image(&shape))?),
        false => (weight, x.clone()),
    };
    let mut conv = IntegerConv2d::new(weight, bias).stride([stride[0], stride[1]]).groups(group);
    conv = conv.dilation([dilation[0], dilation[1]]).padding_per_side([pads[0], pads[1]]);
    let element = end.as_ref().map_or(ElementType::I32, |(_, to)| *to);
    if let Some((end, _)) = end {
        conv = conv.requantize(end);
    }
    let zeros = zero_points(b, node, zeros)?;
    let one = Shape::from([]);
    let sizes = conv.output_shapes(&[b.shape(&x), one.clone(), one])?.swap_remove(0);
    let y = match sizes.elements() {
        0 => Tensor::empty(element, sizes.clone()).into(),
        _ => {
            let value = b.value(&x)?;
            Operand::Device(b.graph.integer_conv2d(value, conv, zeros)?, element)
        }
    };
    if line { b.reshape(&y, [sizes[0], sizes[1], sizes[3]]) } else { Ok(y) }
}
