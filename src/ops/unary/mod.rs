//! Elementwise functions of one tensor.

pub(crate) mod elementwise;

use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout, Order};
use crate::ops::binary::{Integers, integers};
use crate::ops::texel_kernels;
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `y = f(x)`, element by element: of `f32`s, or, for [`Abs`](Unary::Abs), [`Neg`](Unary::Neg), [`Sign`](Unary::Sign)
/// and [`BitNot`](Unary::BitNot), of `i32`s, which wrap around. Functions that other operations can end with, such as
/// clamp, are [`Activation`](crate::ops::Activation)s.
///
/// A result that is no finite number (the logarithm of 0, the root of -1) is PyTorch's, infinite or NaN, on devices
/// that have such numbers: WGSL doesn't promise it.
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
    /// The sine of `x` in radians
    Sin,
    /// The cosine of `x` in radians
    Cos,
    /// The error function
    Erf,
    /// The tangent of `x` in radians
    Tan,
    /// The hyperbolic sine, `(e^x - e^-x) / 2`
    Sinh,
    /// The hyperbolic cosine, `(e^x + e^-x) / 2`
    Cosh,
    /// The angle in ±π/2 whose sine is `x`
    Asin,
    /// The angle from 0 to π whose cosine is `x`
    Acos,
    /// The angle in ±π/2 whose tangent is `x`
    Atan,
    /// The inverse of the hyperbolic sine, `log(x + sqrt(x² + 1))`
    Asinh,
    /// The inverse of the hyperbolic cosine, `log(x + sqrt(x² - 1))`
    Acosh,
    /// The inverse of the hyperbolic tangent, `log((1 + x) / (1 - x)) / 2`
    Atanh,
    /// The complement of each bit of an `i32`: `-x - 1`
    BitNot,
}

params! {
    /// The sizes of a tensor of texels whose last components are padding, which must stay finite: in WGSL the first
    /// members of `Params`.
    pub(crate) struct Padded {
        rows: usize,
        width: usize,
        texels: usize,
        elements: usize,
    }
}

impl Padded {
    pub(crate) fn new(layout: Layout, shape: &Shape) -> Padded {
        let (rows, width) = layout.texels(shape);
        let (elements, texels) = match layout.order {
            Order::Rows => (shape.elements(), width),
            Order::RowsVec4 => (shape.last().copied().unwrap_or(1), width),
            Order::Channels => (Image::new(shape).c, Image::new(shape).c4()),
        };
        Padded { rows, width, texels, elements }
    }
}

impl Unary {
    fn of_integers(self) -> Option<Integers> {
        match self {
            Unary::Abs => Some(Integers::Abs),
            Unary::Neg => Some(Integers::Neg),
            Unary::Sign => Some(Integers::Sign),
            Unary::BitNot => Some(Integers::BitNot),
            _ => None,
        }
    }
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
            Unary::Tan => "tan",
            Unary::Sinh => "sinh",
            Unary::Cosh => "cosh",
            Unary::Asin => "asin",
            Unary::Acos => "acos",
            Unary::Atan => "atan",
            Unary::Asinh => "asinh",
            Unary::Acosh => "acosh",
            Unary::Atanh => "atanh",
            Unary::BitNot => "bitwise_not",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        let wanted = match (self, self.of_integers()) {
            (Unary::BitNot, _) => "i32",
            (_, Some(_)) => "f32 or i32",
            (_, None) => "f32",
        };
        match inputs[0] {
            DType::F32 if wanted != "i32" => Ok(vec![DType::F32]),
            DType::I32 if wanted != "f32" => Ok(vec![DType::I32]),
            other => Err(ErrorKind::argument("the elements of input 0", wanted, other)),
        }
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        if let (DType::I32, Some(kind)) = (io.dtypes[0], self.of_integers()) {
            return Ok(vec![integers(io, kind)?]);
        }
        let shape = &io.inputs[0];
        let params = |layout: Layout| Padded::new(layout, shape);
        let shader = shader!("unary", "unary", "activation", "index", "nan", "radians").set("KIND", *self as u32);
        Ok(texel_kernels(caps, shape, &shader, params))
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::in_place(io.written())).reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds a [`Unary`].
    pub fn unary(&mut self, x: Value, function: Unary) -> Result<Value> {
        self.push(function, &[x])
    }
}
