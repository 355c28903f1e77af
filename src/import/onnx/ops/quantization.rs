//! Quantised tensors: integers with a scale and a zero point.

use super::integer::{dequantised, quantised};
use super::window::window;
use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Quantised, Tensor};
use crate::ops::{BinaryKind, Dequantize, IntegerConv2d, PackedLinear, Quantize, Requantize, Unary};
use crate::{Constant, IntType, Shape, Value};
use std::sync::Arc;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "QuantizeLinear" => quantize,
        "DequantizeLinear" => dequantize,
        "DynamicQuantizeLinear" => dynamic_quantize,
        "MatMulInteger" => matmul_integer,
        "QLinearMatMul" => qlinear_matmul,
        "ConvInteger" => conv_integer,
        "QLinearConv" => qlinear_conv,
        _ => return None,
    })
}

/// Returns the importer of an operator that ONNX Runtime adds.
pub(super) fn contributed(op: &str) -> Option<Import> {
    match op {
        "MatMulNBits" => Some(matmul_nbits),
        _ => None,
    }
}

/// Returns the integer type for the device's quantised operations.
fn int_type(element: ElementType) -> Option<IntType> {
    Some(match element {
        ElementType::U4 => IntType::U4,
        ElementType::I4 => IntType::I4,
        ElementType::U8 => IntType::U8,
        ElementType::I8 => IntType::I8,
        ElementType::U16 => IntType::U16,
        ElementType::I16 => IntType::I16,
        _ => return None,
    })
}

/// Returns the axis of the scales, and how many neighbours along it share one. `None` for a single scale.
fn granularity(node: &Node, x: &Shape, scale: &Shape) -> Result<Option<(usize, Option<usize>)>> {
    let (given, block) = (node.int("axis", 1)?, node.int("block_size", 0)?);
    if scale.elements() == 1 && block == 0 {
        return Ok(None);
    }
    let axis = axis(given, x.len())?;
    let block = usize::try_from(block).map_err(|_| node.refused("attribute block_size", "0 or more", block))?;
    Ok(Some((axis, (block > 0).then_some(block))))
}

/// Reshapes a single number to a scalar.
fn scalar(b: &mut Builder, x: &Operand) -> Result<Operand> {
    if b.shape(x).elements() == 1 { b.reshape(x, []) } else { Ok(x.clone()) }
}

fn quantize(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, scale, zero) = (node.input(0)?, node.input(1)?, node.optional(2).cloned());
    let saturate = node.flag("saturate", true)?;
    let stated = node.element("output_dtype")?;
    // The quotient is computed in f32, whatever precision is stated.
    node.element("precision")?;
    let to = zero.as_ref().map(Operand::element).or(stated).unwrap_or(ElementType::U8);
    if stated.is_some_and(|stated| stated != to) {
        return Err(node.refused("attribute output_dtype", &to.to_string(), "another type than the zero point's"));
    }
    let shape = b.shape(x);
    let whole = granularity(node, &shape, &b.shape(scale))?;
    let x = b.cast(x, ElementType::F32)?;
    let scale = b.cast(scale, ElementType::F32)?;
    if let Some(int) = int_type(to).filter(|_| !all_known(&[Some(&x), Some(&scale), zero.as_ref()])) {
        let (scale, zero) = (scalar(b, &scale)?, zero.map(|zero| scalar(b, &zero)).transpose()?);
        let mut op = Quantize::new(int);
        if let Some((axis, block)) = whole {
            op = op.axis(axis);
            op = block.map_or(op, |size| op.block_size(size));
        }
        let (x, divisor) = (b.value(&x)?, b.value(&scale)?);
        if let Some(y) = quantised(b, x, &scale, zero.as_ref(), int)? {
            return Ok(vec![Operand::Device(y, to)]);
        }
        let zero = zero.map(|zero| b.value(&zero)).transpose()?;
        return Ok(vec![Operand::Device(b.graph.quantize(x, divisor, zero, op)?, to)]);
    }
    let scale = spread(b, &scale, &shape, whole)?;
    let y = b.binary(BinaryKind::Div, &x, &scale)?;
    if to.is_float() {
        return Ok(vec![b.cast_saturating(&y, to, saturate)?]);
    }
    let [lo, hi] = to.range();
    if to.bits() > 16 {
        return Err(node.refused("y_zero_point", "integers of 2 to 16 bits, or floats of 4 or 8", to));
    }
    let mut y = b.unary(&y, Unary::Round)?;
    if let Some(zero) = zero {
        let zero = b.cast(&zero, ElementType::F32)?;
        let zero = spread(b, &zero, &shape, whole)?;
        y = b.binary(BinaryKind::Add, &y, &zero)?;
    }
    let bound = |number: i64| Operand::from(Tensor::scalar(ElementType::F32, number as f64));
    y = b.binary(BinaryKind::Max, &y, &bound(lo))?;
    y = b.binary(BinaryKind::Min, &y, &bound(hi))?;
    Ok(vec![b.cast(&y, to)?])
}

fn all_known(operands: &[Option<&Operand>]) -> bool {
    operands.iter().flatten().all(|operand| operand.host().is_some())
}

/// Returns the shape of a tensor's scales if blocks along an axis share a scale.
fn blocked(x: &Shape, axis: usize, block: usize) -> Shape {
    let mut sizes = x.to_vec();
    sizes[axis] = sizes[axis].div_ceil(block);
    sizes.into()
}

/// Reshapes scales or zero points so that they broadcast to a tensor of shape `x`.
fn spread(b: &mut Builder, scale: &Operand, x: &Shape, of: Option<(usize, Option<usize>)>) -> Result<Operand> {
    let shape = b.shape(scale);
    match of {
        None => scalar(b, scale),
        Some((axis, None)) => {
            let mut sizes = vec![1; x.len()];
            sizes[axis] = shape.elements();
            b.reshape(scale, sizes)
        }
        Some((axis, Some(block))) => {
            let expected = blocked(x, axis, block);
            if shape != expected {
                return Err(ErrorKind::argument("scale, zero point", expected, shape).into());
            }
            let inner: Vec<usize> = shape.to_vec();
            let apart = [&inner[..=axis], &[1], &inner[axis + 1..]].concat();
            let wide = [&inner[..=axis], &[block], &inner[axis + 1..]].concat();
            let mut joined = inner.clone();
            joined[axis] = joined[axis].saturating_mul(block);
            let y = b.reshape(scale, apart)?;
            let y = b.expand(&y, &wide.into())?;
            let y = b.reshape(&y, joined)?;
            b.slice(&y, axis, 0, x[axis], 1)
        }
    }
}

fn dequantize(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, scale, zero) = (node.input(0)?, node.input(1)?, node.optional(2));
    let shape = b.shape(x);
    let whole = granularity(node, &shape, &b.shape(scale))?;
    let stated = node.element("output_dtype")?;
    let to = stated.unwrap_or(scale.element());
    if let (Operand::Host(q), Operand::Host(scale), None | Some(Operand::Host(_))) = (x, scale, zero)
        && let Some(known) = known(b, node, q, scale, zero.and_then(Operand::host), whole)?
    {
        return Ok(vec![known.into()]);
    }
    let scale = b.cast(scale, ElementType::F32)?;
    let integers = int_type(x.element()).is_some() || x.element() == ElementType::I32;
    if integers && !all_known(&[Some(x), Some(&scale), zero]) {
        let (scale, zero) = (scalar(b, &scale)?, zero.map(|zero| scalar(b, zero)).transpose()?);
        let mut op = Dequantize::new();
        if let Some((axis, block)) = whole {
            op = op.axis(axis);
            op = block.map_or(op.clone(), |size| op.block_size(size));
        }
        let (q, factor) = (b.value(x)?, b.value(&scale)?);
        let zero = zero.map(|zero| b.value(&zero)).transpose()?;
        let y = b.graph.dequantize(q, factor, zero, op)?;
        if x.element().bits() == 8 && whole.is_none() {
            dequantised(b, y, q, zero, &scale);
        }
        return Ok(vec![Operand::Device(y, to)]);
    }
    let mut y = b.cast(x, ElementType::F32)?;
    if let Some(zero) = zero {
        let zero = b.cast(zero, ElementType::F32)?;
        let zero = spread(b, &zero, &shape, whole)?;
        y = b.binary(BinaryKind::Sub, &y, &zero)?;
    }
    let scale = spread(b, &scale, &shape, whole)?;
    let y = b.binary(BinaryKind::Mul, &y, &scale)?;
    Ok(vec![b.cast(&y, to)?])
}

/// Returns known weights with two forms: numbers, computed on demand, and integers, for operations on these.
fn known(
    b: &Builder,
    node: &Node,
    q: &Tensor,
    scale: &Tensor,
    zero: Option<&Tensor>,
    of: Option<(usize, Option<usize>)>,
) -> Result<Option<Tensor>, ErrorKind> {
    let Some(int) =
        int_type(q.element).filter(|int| matches!(int, IntType::U4 | IntType::I4 | IntType::U8 | IntType::I8))
    else {
        return Ok(None);
    };
    let (shape, scales) = (q.shape.clone(), scale.constant()?);
    let expected = match of {
        None => Shape::from([1]),
        Some((axis, None)) => Shape::from([shape[axis]]),
        Some((axis, Some(block))) => blocked(&shape, axis, block),
    };
    let fits = |given: &Shape| match of {
        Some((_, Some(_))) => *given == expected,
        _ => given.elements() == expected.elements(),
    };
    if !fits(&scale.shape) || zero.is_some_and(|zero| !fits(&zero.shape)) {
        return Err(ErrorKind::argument("scale, zero point", expected, &scale.shape));
    }
    let scales = scales.with_shape(expected.clone());
    let zeros =
        zero.map(Tensor::as_ints).transpose()?.map(|zeros| zeros.iter().map(|&zero| zero as i32).collect::<Vec<_>>());
    let packed = packed(b, node, q, int)?;
    let (base, factors, offsets, sizes) = (packed.clone(), scales.clone(), zeros.clone(), shape.clone());
    // The position of an element's scale.
    let (strides, places) = (shape.strides(), expected.strides());
    let place = move |i: usize| match of {
        None => 0,
        Some((axis, None)) => i / strides[axis] % sizes[axis],
        Some((axis, Some(block))) => {
            let index = |d: usize| i / strides[d] % sizes[d];
            (0..sizes.len()).map(|d| if d == axis { index(d) / block } else { index(d) } * places[d]).sum()
        }
    };
    let make = move || {
        let (scales, numbers) = (factors.values(), base.data().to_f32());
        let number = |(i, q): (usize, f32)| {
            let at = place(i);
            (q - offsets.as_ref().map_or(0.0, |offsets| offsets[at] as f32)) * scales[at]
        };
        numbers.into_iter().enumerate().map(number).collect()
    };
    let values = Constant::lazy(packed.name(), shape.clone(), make).learned();
    let fixed = q.fixed && zero.is_none_or(|zero| zero.fixed);
    let zero_point = zeros.map(|zeros| Constant::known("", expected, zeros));
    let zero_point = zero_point.map(|zeros| b.shared(&format!("{}\nzero point", node.key()), fixed, zeros));
    let quantised = Quantised { weight: packed, scale: scales, zero_point, of, transposed: false };
    Ok(Some(Tensor::quantised(scale.element, shape, values, Arc::new(quantised)).with_fixed(fixed)))
}

/// Converts integers to a constant that stays packed.
fn packed(b: &Builder, node: &Node, q: &Tensor, int: IntType) -> Result<Constant, ErrorKind> {
    let constant = if let Some(stored) = q.packed() {
        let stored = stored.clone();
        Constant::packed("", q.shape.clone(), int, move || stored.packed()).learned()
    } else {
        let values = q.as_ints()?.into_owned();
        let four = matches!(int, IntType::U4 | IntType::I4);
        let make = move || match four {
            true => values
                .chunks(2)
                .map(|pair| (pair[0] & 15) as u8 | (pair.get(1).map_or(0, |&high| high & 15) as u8) << 4)
                .collect(),
            false => values.iter().map(|&value| value as u8).collect(),
        };
        Constant::packed("", q.shape.clone(), int, make)
    };
    Ok(b.shared(&format!("{}\npacked", node.key()), q.fixed, constant))
}

/// Returns the linear layer of a quantised matrix `[in, out]`, or `[out, in]` if `turned`.
pub(super) fn packed_linear(quantised: &Quantised, turned: bool) -> Option<PackedLinear> {
    let Quantised { weight, scale, zero_point, of, transposed } = quantised;
    // The stored matrix is [in, out] if true, otherwise [out, in].
    let by_inputs = turned == *transposed;
    let (out, inputs) = if by_inputs { (1, 0) } else { (0, 1) };
    let block = match of {
        None => None,
        Some((axis, None)) if *axis == out => None,
        Some((axis, Some(block))) if *axis == inputs && block % 8 == 0 => Some(*block),
        _ => return None,
    };
    let mut linear = PackedLinear::new(weight.clone(), scale.clone());
    if let Some(zero_point) = zero_point {
        linear = linear.zero_point(zero_point.clone());
    }
    if by_inputs {
        linear = linear.transposed();
    }
    Some(block.map_or(linear.clone(), |size| linear.block_size(size)))
}

fn dynamic_quantize(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = b.value(node.input(0)?)?;
    let [y, scale, zero] = b.graph.dynamic_quantize(x)?;
    Ok(vec![
        Operand::Device(y, ElementType::U8),
        Operand::Device(scale, ElementType::F32),
        Operand::Device(zero, ElementType::U8),
    ])
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
    let int = int_type(to).ok_or_else(|| node.refused("y_zero_point", "integers of 4 to 16 bits", to))?;
    let (x_scale, y_scale) = (number(b, node, "x_scale", x_scale)?, number(b, node, "y_scale", y_scale)?);
    let zero = number(b, node, "y_zero_point", y_zero)?;
    Ok((Requantize::new(x_scale as f32, w_scale.with_shape([count]), y_scale as f32, zero as i32, int), to))
}

fn product(
    b: &mut Builder,
    node: &Node,
    a: usize,
    w: usize,
    zeros: [usize; 2],
    end: Option<Requantize>,
) -> Result<Value> {
    let (a, w) = (node.input(a)?, node.input(w)?);
    let zeros = zero_points(b, node, zeros)?;
    let value = b.value(a)?;
    if let Operand::Host(weight) = w
        && let (Some(int), 2) =
            (int_type(weight.element).filter(|int| matches!(int, IntType::U8 | IntType::I8)), weight.shape.len())
    {
        let weight = packed(b, node, weight, int)?;
        return b.graph.integer_linear(value, weight, zeros, end);
    }
    let w = b.value(w)?;
    b.graph.integer_matmul([value, w], zeros, end)
}

fn matmul_integer(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    Ok(vec![Operand::Device(product(b, node, 0, 1, [2, 3], None)?, ElementType::I32)])
}

fn qlinear_matmul(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (end, to) = requantize(b, node, [1, 4, 6, 7])?;
    Ok(vec![Operand::Device(product(b, node, 0, 3, [2, 5], Some(end))?, to)])
}

fn conv_integer(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    convolution(b, node, [0, 1], [2, 3], None, None).map(|y| vec![Operand::Device(y, ElementType::I32)])
}

fn qlinear_conv(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (end, to) = requantize(b, node, [1, 4, 6, 7])?;
    let y = convolution(b, node, [0, 3], [2, 5], Some(8), Some(end))?;
    Ok(vec![Operand::Device(y, to)])
}

fn convolution(
    b: &mut Builder,
    node: &Node,
    [x, w]: [usize; 2],
    zeros: [usize; 2],
    bias: Option<usize>,
    end: Option<Requantize>,
) -> Result<Value> {
    let x = node.input(x)?;
    let weight = b.known("w", node.input(w)?)?;
    let int = int_type(weight.element).ok_or_else(|| node.refused("w", "integers of 4 or 8 bits", weight.element))?;
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
    let weight = packed(b, node, weight, int)?;
    let (weight, x) = match line {
        true => (weight.with_shape(image(weight.shape())), b.reshape(x, image(&shape))?),
        false => (weight, x.clone()),
    };
    let mut conv = IntegerConv2d::new(weight, bias).stride([stride[0], stride[1]]).groups(group);
    conv = conv.dilation([dilation[0], dilation[1]]).padding_per_side([pads[0], pads[1]]);
    if let Some(end) = end {
        conv = conv.requantize(end);
    }
    let zeros = zero_points(b, node, zeros)?;
    let value = b.value(&x)?;
    let y = b.graph.integer_conv2d(value, conv, zeros)?;
    if !line {
        return Ok(y);
    }
    let sizes: Vec<isize> = b.graph.known_shape(y).iter().map(|&size| size as isize).collect();
    b.graph.reshape(y, [sizes[0], sizes[1], sizes[3]])
}

/// Imports `MatMulNBits`, ONNX Runtime's product with 4-bit or 8-bit weights in blocks, `[N, blocks, block bytes]`.
fn matmul_nbits(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let size = |name: &'static str| {
        let size = node.int(name, 0)?;
        let wrong = || node.refused(&format!("attribute {name}"), "1 to 2^24", size);
        usize::try_from(size).ok().filter(|size| (1..=1 << 24).contains(size)).ok_or_else(wrong)
    };
    let (k, n, block, bits) = (size("K")?, size("N")?, size("block_size")?, node.int("bits", 4)?);
    // The attribute allows less exact activations; here they are f32.
    node.ignore(&["accuracy_level"]);
    let (int, middle) = match bits {
        4 => (IntType::U4, 8),
        8 => (IntType::U8, 128),
        _ => return Err(node.refused("attribute bits", "4 or 8", bits)),
    };
    if node.optional(4).is_some() {
        return Err(node.refused("g_idx", "none", "one"));
    }
    let blocks = k.div_ceil(block);
    let stored = b.known("B", node.input(1)?)?;
    let elements = n * blocks * block;
    if stored.element != ElementType::U8 || stored.elements() * 8 != elements * bits as usize {
        return Err(node.refused("B", &format!("uint8 [{n}, {blocks}, {}]", block * bits as usize / 8), &stored.shape));
    }
    let source = stored.clone();
    let make =
        move || source.as_ints().map(|values| values.iter().map(|&value| value as u8).collect()).unwrap_or_default();
    let weight = Constant::packed("", [n, blocks * block], int, make).learned();
    let weight = b.shared(&format!("{}\npacked", node.key()), stored.fixed, weight);
    let scale = b.weights("scales", node.input(2)?)?;
    if scale.shape().elements() != n * blocks {
        return Err(node.refused("scales", &format!("{} numbers", n * blocks), scale.shape()));
    }
    let fixed = node.optional(3).and_then(Operand::host).is_none_or(|zeros| zeros.fixed);
    let zero_point = match node.optional(3) {
        None => Constant::known("", [1], vec![middle]),
        Some(zeros) => {
            let zeros = b.known("zero_points", zeros)?;
            if zeros.element != ElementType::U8 {
                return Err(node.refused("zero_points", "uint8", zeros.element));
            }
            let bytes = zeros.as_ints()?;
            // Each row of 4-bit numbers begins with a new byte.
            let row = if bits == 4 { blocks.div_ceil(2) } else { blocks };
            if bytes.len() != n * row {
                return Err(node.refused("zero_points", &format!("{} bytes", n * row), bytes.len()));
            }
            let at = |i: usize| match bits {
                4 => bytes[i / blocks * row + i % blocks / 2] >> (4 * (i % blocks % 2)) & 15,
                _ => bytes[i],
            };
            Constant::known("", [n, blocks], (0..n * blocks).map(|i| at(i) as i32).collect::<Vec<_>>())
        }
    };
    let zero_point = b.shared(&format!("{}\nzero point", node.key()), fixed, zero_point);
    let mut linear = PackedLinear::new(weight, scale.with_shape([n, blocks])).zero_point(zero_point).block_size(block);
    if let Some(bias) = node.optional(5) {
        linear = linear.bias(b.weights("bias", bias)?);
    }
    Ok(vec![b.moved(linear, &[x])?])
}
