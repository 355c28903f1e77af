//! Quantised tensors: integers with a scale and a zero point.

use crate::error::{ErrorKind, Result};
use crate::graph::constant::Quantised;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{BinaryKind, Dequantize, PackedLinear, Quantize, Unary};
use crate::{Constant, IntType, Shape};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "QuantizeLinear" => quantize,
        "DequantizeLinear" => dequantize,
        "DynamicQuantizeLinear" => dynamic_quantize,
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

/// The axis of the scales, and how many neighbours along it share one. `None` for a single scale.
type Granularity = Option<(usize, Option<usize>)>;

fn granularity(node: &Node, x: &Shape, scale: &Shape) -> Result<Granularity> {
    let (given, block) = (node.int("axis", 1)?, node.count("block_size", 0, 0)?);
    if scale.elements() == 1 && block == 0 {
        return Ok(None);
    }
    Ok(Some((axis(given, x.len())?, (block > 0).then_some(block))))
}

/// Reshapes a single number to a scalar.
pub(super) fn scalar(b: &mut Builder, x: &Operand) -> Result<Operand> {
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
    let whole = granularity(node, &b.shape(x), &b.shape(scale))?;
    if to.is_float() {
        let (x, scale) = (b.cast(x, ElementType::F32)?, b.cast(scale, ElementType::F32)?);
        let scale = spread(b, &scale, &b.shape(&x), whole)?;
        let y = b.binary(BinaryKind::Div, &x, &scale)?;
        return Ok(vec![b.cast_saturating(&y, to, saturate)?]);
    }
    if to.bits() > 16 {
        return Err(node.refused("y_zero_point", "integers of 2 to 16 bits, or floats of 4 or 8", to));
    }
    Ok(vec![quantised(b, x, scale, zero.as_ref(), to, whole)?])
}

/// Quantises numbers to integers of at most 16 bits.
pub(super) fn quantised(
    b: &mut Builder,
    x: &Operand,
    scale: &Operand,
    zero: Option<&Operand>,
    to: ElementType,
    whole: Granularity,
) -> Result<Operand> {
    let shape = b.shape(x);
    if shape.elements() == 0 {
        return Ok(Tensor::empty(to, shape).into());
    }
    let (x, scale) = (b.cast(x, ElementType::F32)?, b.cast(scale, ElementType::F32)?);
    if let Some(int) = to.int_type().filter(|_| !all_known(&[Some(&x), Some(&scale), zero])) {
        let (scale, zero) = (scalar(b, &scale)?, zero.map(|zero| scalar(b, zero)).transpose()?);
        let mut op = Quantize::new(int);
        if let Some((axis, block)) = whole {
            op = op.axis(axis);
            op = block.map_or(op, |size| op.block_size(size));
        }
        let (x, divisor) = (b.value(&x)?, b.value(&scale)?);
        let zero = zero.map(|zero| b.value(&zero)).transpose()?;
        return Ok(Operand::Device(b.graph.quantize(x, divisor, zero, op)?, to));
    }
    let scale = spread(b, &scale, &shape, whole)?;
    let y = b.binary(BinaryKind::Div, &x, &scale)?;
    let [lo, hi] = to.range();
    let mut y = b.unary(&y, Unary::Round)?;
    if let Some(zero) = zero {
        let zero = b.cast(zero, ElementType::F32)?;
        let zero = spread(b, &zero, &shape, whole)?;
        y = b.binary(BinaryKind::Add, &y, &zero)?;
    }
    let bound = |number: i64| Operand::from(Tensor::scalar(ElementType::F32, number as f64));
    y = b.binary(BinaryKind::Max, &y, &bound(lo))?;
    y = b.binary(BinaryKind::Min, &y, &bound(hi))?;
    b.cast(&y, to)
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
fn spread(b: &mut Builder, scale: &Operand, x: &Shape, of: Granularity) -> Result<Operand> {
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
    let y = dequantised(b, x, scale, zero, to, whole)?;
    // A bias of int32 is as learned as weights of fewer bits.
    match (x.host(), &y) {
        (Some(q), Operand::Host(tensor)) if q.place().is_some() => {
            Ok(vec![tensor.clone().with_constant(tensor.constant()?.into_parameter()).into()])
        }
        _ => Ok(vec![y]),
    }
}

/// Dequantises integers.
pub(super) fn dequantised(
    b: &mut Builder,
    x: &Operand,
    scale: &Operand,
    zero: Option<&Operand>,
    to: ElementType,
    whole: Granularity,
) -> Result<Operand> {
    let shape = b.shape(x);
    if shape.elements() == 0 {
        return Ok(Tensor::empty(to, shape).into());
    }
    let scale = b.cast(scale, ElementType::F32)?;
    let integers = x.element().int_type().is_some() || x.element() == ElementType::I32;
    if integers && !all_known(&[Some(x), Some(&scale), zero]) {
        let (scale, zero) = (scalar(b, &scale)?, zero.map(|zero| scalar(b, zero)).transpose()?);
        let mut op = along(Dequantize::new(), whole);
        if let Some(int) = x.element().int_type() {
            op = op.int_type(int);
        }
        let (q, factor) = (b.value(x)?, b.value(&scale)?);
        let zero = zero.map(|zero| b.value(&zero)).transpose()?;
        return Ok(Operand::Device(b.graph.dequantize(q, factor, zero, op)?, to));
    }
    let mut y = b.cast(x, ElementType::F32)?;
    if let Some(zero) = zero {
        let zero = b.cast(zero, ElementType::F32)?;
        let zero = spread(b, &zero, &shape, whole)?;
        y = b.binary(BinaryKind::Sub, &y, &zero)?;
    }
    let scale = spread(b, &scale, &shape, whole)?;
    let y = b.binary(BinaryKind::Mul, &y, &scale)?;
    b.cast(&y, to)
}

fn along(op: Dequantize, of: Granularity) -> Dequantize {
    let Some((axis, block)) = of else { return op };
    let op = op.axis(axis);
    block.map_or(op.clone(), |size| op.block_size(size))
}

/// Returns known weights with two forms: numbers, computed on demand, and integers, for operations on these.
fn known(
    b: &Builder,
    node: &Node,
    q: &Tensor,
    scale: &Tensor,
    zero: Option<&Tensor>,
    of: Granularity,
) -> Result<Option<Tensor>> {
    let Some(int) = q.element.int_type().filter(|int| int.bits() <= 8) else { return Ok(None) };
    let shape = |given: &Shape| match of {
        Some((_, Some(_))) => given.clone(),
        _ => [given.elements()].into(),
    };
    let scales = scale.constant()?.with_shape(shape(&scale.shape));
    let zeros = zero.map(|zero| zero.data().map(|zeros| Constant::known("", shape(&zero.shape), zeros))).transpose()?;
    let op = along(Dequantize::for_weight(packed(b, node, q, int)?), of);
    Ok(Some(Tensor::of_constant(scale.element, op.constant(scales, zeros)?.into_parameter())))
}

/// Converts integers to a constant that stays packed.
pub(super) fn packed(b: &Builder, node: &Node, q: &Tensor, int: IntType) -> Result<Constant, ErrorKind> {
    if let Some(stored) = b.stored_packed(q) {
        return Ok(stored);
    }
    let values = q.as_ints()?.into_owned();
    let four = matches!(int, IntType::U4 | IntType::I4);
    let make = move || match four {
        true => values
            .chunks(2)
            .map(|pair| (pair[0] & 15) as u8 | (pair.get(1).map_or(0, |&high| high & 15) as u8) << 4)
            .collect(),
        false => values.iter().map(|&value| value as u8).collect(),
    };
    let constant = Constant::packed("", q.shape.clone(), int, make);
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
    let shape = b.shape(node.input(0)?);
    if shape.elements() == 0 {
        let y = Tensor::empty(ElementType::U8, shape);
        let [scale, zero] = [(ElementType::F32, 1.0), (ElementType::U8, 0.0)].map(|(of, x)| Tensor::scalar(of, x));
        return Ok([y, scale, zero].map(|tensor| tensor.with_fixed(false).into()).into());
    }
    let x = b.value(node.input(0)?)?;
    let [y, scale, zero] = b.graph.dynamic_quantize(x)?;
    Ok(vec![
        Operand::Device(y, ElementType::U8),
        Operand::Device(scale, ElementType::F32),
        Operand::Device(zero, ElementType::U8),
    ])
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
    let weight = Constant::packed("", [n, blocks * block], int, make).into_parameter();
    let weight = b.shared(&format!("{}\npacked", node.key()), stored.fixed, weight);
    let scale = b.weights("scales", node.input(2)?)?;
    if scale.shape().elements() != n * blocks {
        return Err(node.refused("scales", &format!("{} numbers", n * blocks), scale.shape()));
    }
    let fixed = node.optional(3).is_none_or(|zeros| zeros.host().is_some_and(|zeros| zeros.fixed));
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
