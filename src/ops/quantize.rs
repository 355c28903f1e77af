//! Quantisation and its inverse.

use super::packing::{expect_one, packed, words};
use super::{Reduce, ReduceKind};
use crate::dtype::IntType;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::{Constant, Quantised};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, WeightKey};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// ONNX's `QuantizeLinear`: `y = saturate(round(x / scale) + zero_point)` as `i32`s in the range of an [`IntType`],
/// where `round` takes the even one of two integers.
///
/// Inputs: x; the scale, `f32`s; the zero point, `i32`s. The scale and the zero point are one element for all of x,
/// `[D]` for an axis of size D, or x's shape with `ceil(D / block_size)` in place of D for blocks along it. The zero
/// point may be one element even if the scale is more. A quotient is as exact as the device's division.
#[derive(Clone, Copy, Debug)]
pub struct Quantize {
    to: IntType,
    scales: Scales,
}

/// ONNX's `DequantizeLinear`: `y = (x - zero_point) * scale`, of `i32`s.
///
/// Inputs: x, the scale and the zero point, as for [`Quantize`]. Weights that stay packed on the device can take the
/// place of x.
///
/// A [`Conv2d`](super::Conv2d) between a dequantisation and a [`Quantize`] becomes an
/// [`IntegerConv2d`](super::IntegerConv2d) in the planned graph, if:
/// * x has 8 bits, as [`int_type`](Dequantize::int_type) states;
/// * the weight is a [`constant`](Dequantize::constant) of packed integers, with one scale or one for each output;
/// * x and y have one scale each, and their scales and zero points are constants;
/// * the bias is a multiple of the scales' product;
/// * nothing but a clamp, such as ReLU, is between the convolution and the quantisation.
///
/// ```
/// use shadernet::{BATCH, Constant, DType, Graph, IntType};
/// use shadernet::ops::{Conv2d, Dequantize, Quantize};
/// let weight = Constant::packed("weight", [8, 3, 3, 3], IntType::I8, || vec![1; 216]);
/// let weight = Dequantize::for_weight(weight).constant(Constant::new("scale", [], vec![0.1])?, None)?;
/// let mut graph = Graph::new();
/// let x = graph.typed_input("x", DType::I32, [BATCH, 3, 32, 32]);
/// let scale = graph.constant(Constant::new("scale", [], vec![0.5])?);
/// let y = graph.dequantize(x, scale, None, Dequantize::new().int_type(IntType::U8))?;
/// let y = graph.conv2d(y, Conv2d::new(weight, None))?;
/// let y = graph.quantize(y, scale, None, Quantize::new(IntType::U8))?;
/// graph.output("y", y);
/// assert_eq!(graph.fused().nodes()[0].op.name(), "integer_conv2d");
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dequantize {
    of: Option<IntType>,
    weight: Option<Constant>,
    scales: Scales,
}

/// The parts of a tensor that have a scale of their own.
#[derive(Clone, Copy, Debug)]
struct Scales {
    axis: usize,
    block: Option<usize>,
}

params! {
    struct Params {
        count: usize,
        inner: usize,
        size: usize,
        block: usize,
        outer: usize,
        along: usize,
        within: usize,
        offset: i32,
        range: [i32; 2] as [lo, hi],
    }
}

impl Scales {
    /// ONNX's default axis.
    const PER_AXIS: Scales = Scales { axis: 1, block: None };

    /// Checks the scale and the zero point for such a tensor.
    fn expect(&self, x: &Shape, scale: &Shape, zero_point: &Shape) -> Result<(), ErrorKind> {
        if zero_point.elements() != 1 && zero_point != scale {
            return Err(ErrorKind::argument("zero_point", format_args!("one, or the scale's {scale}"), zero_point));
        }
        if scale.elements() == 1 {
            return Ok(());
        }
        let Some(&size) = x.get(self.axis) else {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        };
        let mut wanted = vec![size];
        if let Some(block) = self.block {
            if block == 0 {
                return Err(ErrorKind::argument("block_size", "1 or more", 0));
            }
            wanted = x.to_vec();
            wanted[self.axis] = size.div_ceil(block);
        }
        if scale[..] != wanted {
            return Err(ErrorKind::argument("scale", format_args!("one, or {}", Shape::from(wanted)), scale));
        }
        Ok(())
    }

    /// Returns the numbers inner, size, block, outer, along, within. The element i of a tensor of that shape has the scale
    /// `i / (inner size) outer + i / inner % size / block along + i % inner within`, if there are several.
    fn places(&self, shape: &Shape, several: bool) -> [usize; 6] {
        // A single scale has no axis.
        let axis = if several { self.axis } else { 0 };
        let (inner, size) = (shape.strides().get(axis).copied().unwrap_or(1), shape.get(axis).copied().unwrap_or(1));
        match self.block {
            Some(block) if several => [inner, size, block, size.div_ceil(block) * inner, inner, 1],
            _ => [inner, size, 1, 0, 1, 0],
        }
    }

    /// Returns the dispatch over a tensor `x` of that shape.
    fn dispatch(&self, shader: Shader, x: Binding, shape: &Shape, of: [&Shape; 2], limits: [i32; 3]) -> Dispatch {
        let several = of.map(|of| of.elements() > 1);
        let [inner, size, block, outer, along, within] = self.places(shape, several[0]);
        let count = shape.elements();
        let [offset, range @ ..] = limits;
        let params = Params { count, inner, size, block, outer, along, within, offset, range };
        let first = if matches!(x, Binding::Input(_)) { 1 } else { 0 };
        let bindings = vec![x, Binding::Input(first), Binding::Input(first + 1), Binding::Output(0)];
        let shader = shader.set("SCALES", several[0]).set("ZEROS", several[1]);
        Dispatch::for_each(shader, &params, bindings, count.div_ceil(4))
    }
}

impl Quantize {
    /// Creates a quantisation to integers of such a type, along axis 1.
    pub fn new(to: IntType) -> Quantize {
        Quantize { to, scales: Scales::PER_AXIS }
    }

    /// Sets the axis along which scales differ.
    #[must_use]
    pub fn axis(mut self, axis: usize) -> Quantize {
        self.scales.axis = axis;
        self
    }

    /// Sets the number of neighbours along the axis that share a scale. Scales then differ along all other axes too.
    #[must_use]
    pub fn block_size(mut self, size: usize) -> Quantize {
        self.scales.block = Some(size);
        self
    }

    pub(crate) fn to(&self) -> IntType {
        self.to
    }
}

impl Dequantize {
    /// Creates a dequantisation of an input, along axis 1.
    pub fn new() -> Dequantize {
        Dequantize { of: None, weight: None, scales: Scales::PER_AXIS }
    }

    /// Creates a dequantisation of [packed](Constant::packed) weights of 4 or 8 bits.
    pub fn for_weight(weight: Constant) -> Dequantize {
        Dequantize { weight: Some(weight), ..Dequantize::new() }
    }

    /// Sets the axis along which scales differ.
    #[must_use]
    pub fn axis(mut self, axis: usize) -> Dequantize {
        self.scales.axis = axis;
        self
    }

    /// Sets the number of neighbours along the axis that share a scale. Scales then differ along all other axes too.
    #[must_use]
    pub fn block_size(mut self, size: usize) -> Dequantize {
        self.scales.block = Some(size);
        self
    }

    /// States the type in whose range the integers of x are. Integers outside of it may give arbitrary numbers.
    #[must_use]
    pub fn int_type(self, of: IntType) -> Dequantize {
        Dequantize { of: Some(of), ..self }
    }

    pub(crate) fn stated_type(&self) -> Option<IntType> {
        self.of
    }

    /// Returns the numbers of packed weights as a constant that is computed on demand, for operations on `f32`s. Rules
    /// that rewrite graphs may take the packed weights instead. The default zero point is 0.
    pub fn constant(&self, scale: Constant, zero_point: Option<Constant>) -> Result<Constant> {
        let weight = self.weight.clone();
        let weight = weight.ok_or_else(|| ErrorKind::argument("weight", "packed integers", "an input"))?;
        let zeros = zero_point.clone().unwrap_or_else(|| Constant::known("zero point", [], vec![0]));
        self.output_shapes(&[scale.shape().clone(), zeros.shape().clone()])?;
        self.output_dtypes(&[scale.dtype(), zeros.dtype()])?;
        let (shape, several) = (weight.shape().clone(), scale.shape().elements() > 1);
        let [inner, size, block, outer, along, within] = self.scales.places(&shape, several);
        let place = move |i| i / (inner * size) * outer + i / inner % size / block * along + i % inner * within;
        let (packed, scales) = (weight.clone(), scale.clone());
        let make = move || {
            let (scales, zeros) = (scales.values(), zeros.values());
            let number = |(i, q)| {
                let place = place(i);
                (q - zeros[place % zeros.len()]) * scales[place % scales.len()]
            };
            packed.values().into_iter().enumerate().map(number).collect()
        };
        let of = several.then_some((self.scales.axis, self.scales.block));
        let values = Constant::lazy(weight.name(), shape, make).derived_from(&[&weight]);
        Ok(values.with_quantised(Quantised { weight, scale, zero_point, of, transposed: false }))
    }

    /// Returns the shapes of the converted tensor, the scale and the zero point.
    fn parts<'a>(&'a self, inputs: &'a [Shape]) -> Result<[&'a Shape; 3], ErrorKind> {
        match (&self.weight, inputs) {
            (Some(weight), [scale, zero_point]) => Ok([weight.shape(), scale, zero_point]),
            (None, [x, scale, zero_point]) => Ok([x, scale, zero_point]),
            (weight, _) => Err(ErrorKind::argument("inputs", if weight.is_some() { 2 } else { 3 }, inputs.len())),
        }
    }
}

impl Default for Dequantize {
    fn default() -> Dequantize {
        Dequantize::new()
    }
}

impl Op for Quantize {
    fn name(&self) -> &'static str {
        "quantize"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, scale, zero_point] = expect_inputs::<3>(inputs)?;
        self.scales.expect(x, scale, zero_point)?;
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |i| if i == 2 { DType::I32 } else { DType::F32 })?;
        Ok(vec![DType::I32])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let [least, greatest] = self.to.range();
        let of = [&io.inputs[1], &io.inputs[2]];
        let (shader, limits) = (shader!("quantize", "index", "quantize", "nan"), [0, least, greatest]);
        let dispatch = self.scales.dispatch(shader, Binding::Input(0), &io.inputs[0], of, limits);
        Ok(vec![Kernel::new(vec![Layout::ROWS; 3], Layout::ROWS, dispatch)])
    }

    /// Counts a division, a rounding, an addition and two comparisons.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written().saturating_mul(5))).reach(Reach::Pixel)
    }
}

impl Op for Dequantize {
    fn name(&self) -> &'static str {
        "dequantize"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        if let Some(weight) = &self.weight {
            packed("weight", weight)?;
        }
        let [x, scale, zero_point] = self.parts(inputs)?;
        self.scales.expect(x, scale, zero_point)?;
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        let scale = inputs.len() - 2;
        expect_dtypes(inputs, |i| if i == scale { DType::F32 } else { DType::I32 })?;
        Ok(vec![DType::F32])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let [x, scale, zero_point] = self.parts(io.inputs)?;
        let (binding, of) = match &self.weight {
            None => (Binding::Input(0), None),
            Some(weight) => {
                let (of, weight) = (packed("weight", weight)?, weight.clone());
                let key = WeightKey::new("packed integers").constants([Some(weight.id())]);
                let (count, bits) = (of.bytes(x.elements()).div_ceil(4), of.bits());
                (expect_one(caps, "weight", key, count, move || words(&weight.counted(), bits))?, Some(of))
            }
        };
        let limits = [of.map_or(0, IntType::offset), 0, 0];
        let shader = shader!("quantize", "index", "quantize", "nan").set("BACK", true);
        let shader = shader.set("BITS", of.map_or(32, IntType::bits));
        let dispatch = self.scales.dispatch(shader, binding, x, [scale, zero_point], limits);
        Ok(vec![Kernel::new(vec![Layout::ROWS; io.inputs.len()], Layout::ROWS, dispatch)])
    }

    /// Counts a subtraction and a multiplication.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let cost = Cost::held(io.written().saturating_mul(2));
        let Some(weight) = &self.weight else { return Metrics::new(cost).reach(Reach::Pixel) };
        let bytes = weight.int_type().map_or(0, |of| of.bytes(weight.shape().elements())) as u64;
        let moves = Some(io.read().saturating_add(io.written()).saturating_add(bytes.div_ceil(4)));
        Metrics::new(Cost { parameters: weight.shape().elements() as u64, moves, ..cost })
            .reach(Reach::Pixel)
            .parameters(self.weight.iter().collect())
    }
}

params! {
    struct RangeParams {
        most: f32,
    }
}

/// The scale and the zero point of a range of numbers: part of [`Graph::dynamic_quantize`].
#[derive(Clone, Copy, Debug)]
pub(super) struct QuantizeRange;

impl Op for QuantizeRange {
    fn name(&self) -> &'static str {
        "quantize_range"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [greatest, least] = expect_inputs::<2>(inputs)?;
        for (argument, shape) in [("greatest", greatest), ("least", least)] {
            if shape.elements() != 1 {
                return Err(ErrorKind::argument(argument, "one", shape));
            }
        }
        Ok(vec![[].into(), [].into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::F32)?;
        Ok(vec![DType::F32, DType::I32])
    }

    fn kernels(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let params = RangeParams { most: IntType::U8.range()[1] as f32 };
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0), Binding::Output(1)];
        let dispatches =
            vec![Dispatch::new(shader!("quantize_range", "index", "quantize", "nan"), &params, bindings, 1)];
        Ok(vec![Kernel::several(vec![Layout::ROWS; 2], vec![Layout::ROWS; 2], dispatches)])
    }

    /// Counts two comparisons with 0, a sum, two divisions, a rounding and two bounds.
    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(8))
    }
}

impl Graph {
    /// Adds a [`Quantize`]. The default zero point is 0.
    pub fn quantize(&mut self, x: Value, scale: Value, zero_point: Option<Value>, quantize: Quantize) -> Result<Value> {
        let zero_point = self.zero_point(zero_point);
        self.push(quantize, &[x, scale, zero_point])
    }

    /// Adds a [`Dequantize`] of an input. The default zero point is 0.
    pub fn dequantize(
        &mut self,
        x: Value,
        scale: Value,
        zero_point: Option<Value>,
        dequantize: Dequantize,
    ) -> Result<Value> {
        let zero_point = self.zero_point(zero_point);
        self.push(dequantize, &[x, scale, zero_point])
    }

    /// Adds ONNX's `DynamicQuantizeLinear`: x as `u8`s, and the scale and zero point (scalars) of x's range, 0
    /// included. `scale = (max(x, 0) - min(x, 0)) / 255`, 1 where x is 0; `zero_point = round(-min(x, 0) / scale)`.
    pub fn dynamic_quantize(&mut self, x: Value) -> Result<[Value; 3]> {
        let greatest = self.reduce(x, Reduce::new(ReduceKind::Max, []))?;
        let least = self.reduce(x, Reduce::new(ReduceKind::Min, []))?;
        let name = format!("{}_{}", QuantizeRange.name(), self.nodes().len());
        let outputs = self.add_node(name, QuantizeRange, &[greatest, least])?;
        let (scale, zero_point) = (outputs[0], outputs[1]);
        let y = self.quantize(x, scale, Some(zero_point), Quantize::new(IntType::U8))?;
        Ok([y, scale, zero_point])
    }

    /// Returns the zero point, 0 if there is none.
    pub(crate) fn zero_point(&mut self, given: Option<Value>) -> Value {
        given.unwrap_or_else(|| self.constant(Constant::known("zero point", [], vec![0])))
    }
}
