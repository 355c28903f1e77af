//! Elementwise functions of one tensor.

use super::texel_kernels;
use crate::error::{ErrorKind, Result, expect_inputs};
use crate::graph::op::{Cost, Io, Op, Reach};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout, Order};
use crate::{Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// `y = f(x)`, element by element, of `f32`s. Those that other operations end with are [`Activation`](super::Activation)s, a
/// clamp among them.
///
/// Where a function has no finite value (the logarithm of 0, the root of -1) the result is PyTorch's, infinite or NaN, on devices that
/// have such numbers: WGSL doesn't promise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unary {
    /// `|x|`
    Abs,
    /// `-x`
    Neg,
    /// -1, 0 or 1
    Sign,
    /// The greatest whole number that is not above `x`
    Floor,
    /// The least whole number that is not below `x`
    Ceil,
    /// The nearest whole number; between two, the even one
    Round,
    /// The square root
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Reciprocal,
    /// `e` to the power of `x`
    Exp,
    /// The natural logarithm
    Log,
    /// The sine of `x` in radians; beyond ±10,000 it loses digits
    Sin,
    /// The cosine of `x` in radians; beyond ±10,000 it loses digits
    Cos,
    /// The error function
    Erf,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rows: u32,
    width: u32,
    texels: u32,
    elements: u32,
}

impl Op for Unary {
    fn name(&self) -> &'static str {
        match self {
            Unary::Abs => "abs",
            Unary::Neg => "neg",
            Unary::Sign => "sign",
            Unary::Floor => "floor",
            Unary::Ceil => "ceil",
            Unary::Round => "round",
            Unary::Sqrt => "sqrt",
            Unary::Rsqrt => "rsqrt",
            Unary::Reciprocal => "reciprocal",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::Sin => "sin",
            Unary::Cos => "cos",
            Unary::Erf => "erf",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let shape = &io.inputs[0];
        let params = |layout: Layout| {
            let (rows, width) = layout.texels(shape);
            // What pads a texel must stay finite: so many elements lie in a row of so many texels.
            let (elements, texels) = match layout.order {
                Order::Rows => (shape.elements(), width),
                Order::Packed => (shape.last().copied().unwrap_or(1), width),
                Order::Channels => (Image::of(shape).c, Image::of(shape).c4()),
            };
            Params { rows: rows as u32, width: width as u32, texels: texels as u32, elements: elements as u32 }
        };
        let shader = shader!("unary", "activation", "index").set("KIND", *self as u32);
        Ok(texel_kernels(caps, shape, &shader, params))
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::in_place(io.written())
    }

    fn reach(&self, _io: &Io) -> Reach {
        Reach::Pixel
    }
}

impl Graph {
    /// Adds a [`Unary`].
    pub fn unary(&mut self, x: Value, function: Unary) -> Result<Value> {
        self.push(function, &[x])
    }
}
