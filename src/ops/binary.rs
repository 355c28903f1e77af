//! Elementwise arithmetic on two tensors, with broadcasting.

use super::activation::{Activation, ActivationParams, code};
use super::image_storage;
use super::strided::walks;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, same_dtype};
use crate::kernel::layout::Image;
use crate::kernel::params::{self, params};
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Order, Shader, Storage};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// The kind of an elementwise operation on two tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`. Integers round toward zero (`torch.div` with `rounding_mode="trunc"`), and give `a` where `b` is 0
    Div,
    /// The greater operand
    Max,
    /// The lesser operand
    Min,
    /// `a` to the power of `b`. A negative `a` requires a whole `b`. For integers, a negative `b` gives the reciprocal,
    /// rounded toward zero, and 0 where `a` is 0
    Pow,
    /// The remainder of `a / b`, with the sign of `b`: `torch.remainder`. It is exact, but for a rounding where `a` and
    /// `b` differ in sign. Where `b` is 0, integers give `a` and `f32`s NaN
    Mod,
    /// The remainder with the sign of `a`, always exact: `torch.fmod`. Where `b` is 0, as [`BinaryKind::Mod`]
    Fmod,
    /// The bits that are set in both operands, which are `i32`s
    BitAnd,
    /// The bits that are set in at least one operand; both are `i32`s
    BitOr,
    /// The bits that are set in exactly one operand; both are `i32`s
    BitXor,
    /// The bits of `a`, `b` places higher, for `i32`s; 0 where `b` isn't in `0..32`
    ShiftLeft,
    /// The bits of `a`, `b` places lower, with zeros from above, for `i32`s; 0 where `b` isn't in `0..32`
    ShiftRight,
}

/// The operations of `integer.wgsl`, numbered as there. From [`Integers::Not`] on they have one operand.
#[derive(Clone, Copy)]
pub(crate) enum Integers {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    And,
    Or,
    Xor,
    Mod,
    Fmod,
    ShiftLeft,
    ShiftRight,
    Pow,
    /// The negation of a truth value.
    Not,
    BitNot,
    Abs,
    Neg,
    Sign,
}

/// `y = a ∘ b`, element by element, broadcast as in NumPy: aligned at the last dimension, sizes of 1 repeated. Both
/// operands are `f32`s, or both are `i32`s, which wrap around.
#[derive(Clone, Debug)]
pub struct Binary {
    kind: BinaryKind,
    activation: Option<Activation>,
}

params! {
    struct Params {
        rows: usize,
        width: usize,
        h: usize,
        c4: usize,
        a: [usize; 4] as [a_image, a_row, a_pixel, a_width],
        b: [usize; 4] as [b_image, b_row, b_pixel, b_width],
        activation: ActivationParams,
    }
}

/// Returns the strides of an operand, each 0 along a broadcast axis: rows from image to image and from row to row,
/// texels from pixel to pixel. The last number is the texels in a row.
fn strides(shape: &Shape, layout: Layout) -> [usize; 4] {
    let image = Image::new(shape);
    let unless_one = |size: usize, stride: usize| if size == 1 { 0 } else { stride };
    [unless_one(image.n, image.h), unless_one(image.h, 1), unless_one(image.w, image.c4()), layout.texels(shape).1]
}

params! {
    /// The sizes and strides by which a shader computes each element from two.
    pub(crate) struct Elements {
        sizes: [usize; 8],
        a: [usize; 8],
        b: [usize; 8],
        count: usize,
    }
}

params! {
    struct BroadcastParams {
        elements: Elements,
        activation: ActivationParams,
    }
}

impl Binary {
    /// Creates an operation of this kind.
    pub fn new(kind: BinaryKind) -> Binary {
        Binary { kind, activation: None }
    }

    /// Returns the same operation on integers.
    fn of_integers(&self) -> Integers {
        match self.kind {
            BinaryKind::Add => Integers::Add,
            BinaryKind::Sub => Integers::Sub,
            BinaryKind::Mul => Integers::Mul,
            BinaryKind::Div => Integers::Div,
            BinaryKind::Max => Integers::Max,
            BinaryKind::Min => Integers::Min,
            BinaryKind::Pow => Integers::Pow,
            BinaryKind::Mod => Integers::Mod,
            BinaryKind::Fmod => Integers::Fmod,
            BinaryKind::BitAnd => Integers::And,
            BinaryKind::BitOr => Integers::Or,
            BinaryKind::BitXor => Integers::Xor,
            BinaryKind::ShiftLeft => Integers::ShiftLeft,
            BinaryKind::ShiftRight => Integers::ShiftRight,
        }
    }

    /// Returns true if the operation is on numbers, not on bits.
    fn of_floats(&self) -> bool {
        self.kind as u32 <= BinaryKind::Fmod as u32
    }

    pub(crate) fn kind(&self) -> BinaryKind {
        self.kind
    }

    pub(crate) fn activation(&self) -> Option<Activation> {
        self.activation
    }

    /// Returns the kernel for operands of one shape, or for images that broadcast along any axis but the channels.
    fn by_texel(&self, io: &Io, layout: Layout) -> Kernel {
        let (a, b, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let (rows, width) = layout.texels(y);
        let image = Image::new(y);
        let params = Params {
            rows,
            width,
            h: image.h,
            c4: image.c4(),
            a: strides(a, layout),
            b: strides(b, layout),
            activation: ActivationParams::new(self.activation),
        };
        let shader =
            self.finish(shader!("binary", "arithmetic", "activation", "index", "nan").set("BROADCAST", a != b));
        let texture = layout.storage == Storage::Texture;
        let shader = ["a", "b", "y"].iter().fold(shader, |shader, name| shader.texture(name, texture));
        let dispatch = Dispatch::for_each(shader, &params, bindings(), rows * width);
        Kernel::new(vec![layout; 2], layout, dispatch)
    }

    fn finish(&self, shader: Shader) -> Shader {
        shader.set("KIND", self.kind as u32).set("ACTIVATION", code(self.activation))
    }
}

fn bindings() -> Vec<Binding> {
    vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)]
}

/// Returns the shape of two operands' result.
pub(crate) fn broadcast_shape(a: &Shape, b: &Shape) -> Result<Shape, ErrorKind> {
    let shape = a
        .broadcast(b)
        .ok_or_else(|| ErrorKind::argument("b", format_args!("a shape that broadcasts with a's {a}"), b))?;
    eight(&shape, 1)?;
    Ok(shape)
}

/// Returns a kernel for any two shapes that broadcast. The shader computes an element from two; an operation with a
/// single input gets it twice.
pub(crate) fn by_element<P: params::Params>(
    io: &Io,
    shader: Shader,
    params: impl FnOnce(Elements) -> P,
) -> Result<Kernel, ErrorKind> {
    let last = io.inputs.len() - 1;
    let (a, b, y) = (&io.inputs[0], &io.inputs[last], &io.outputs[0]);
    let (sizes, [a, b]) = walks(y, [&a.broadcast_strides(y), &b.broadcast_strides(y)])?;
    let params = params(Elements { sizes, a, b, count: y.elements() });
    let bindings = vec![Binding::Input(0), Binding::Input(last), Binding::Output(0)];
    let dispatch = Dispatch::for_each(shader, &params, bindings, y.elements().div_ceil(4));
    Ok(Kernel::new(vec![Layout::ROWS; io.inputs.len()], Layout::ROWS, dispatch))
}

/// Returns the kernel for integers, and for truth values, which are 0 and 1.
pub(crate) fn integers(io: &Io, kind: Integers) -> Result<Kernel, ErrorKind> {
    by_element(io, shader!("integer", "operands", "index").set("KIND", kind as u32), |elements| elements)
}

/// Returns sizes or strides as a shader takes them: eight, with the missing outer ones filled in.
pub(crate) fn eight<T: Copy>(values: &[T], fill: T) -> Result<[T; 8], ErrorKind> {
    let mut all = [fill; 8];
    let from = 8usize.checked_sub(values.len()).ok_or_else(|| {
        ErrorKind::Unsupported(format!("a tensor of {} dimensions where 8 are the most", values.len()))
    })?;
    all[from..].copy_from_slice(values);
    Ok(all)
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self.kind {
            BinaryKind::Add => "add",
            BinaryKind::Sub => "sub",
            BinaryKind::Mul => "mul",
            BinaryKind::Div => "div",
            BinaryKind::Max => "maximum",
            BinaryKind::Min => "minimum",
            BinaryKind::Pow => "pow",
            BinaryKind::Mod => "remainder",
            BinaryKind::Fmod => "fmod",
            BinaryKind::BitAnd => "bitwise_and",
            BinaryKind::BitOr => "bitwise_or",
            BinaryKind::BitXor => "bitwise_xor",
            BinaryKind::ShiftLeft => "bitwise_left_shift",
            BinaryKind::ShiftRight => "bitwise_right_shift",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [a, b] = expect_inputs::<2>(inputs)?;
        Ok(vec![broadcast_shape(a, b)?])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        match same_dtype(inputs)?[..] {
            [DType::I32] if self.activation.is_none() => Ok(vec![DType::I32]),
            [DType::F32] if self.of_floats() => Ok(vec![DType::F32]),
            _ => {
                let wanted = if self.of_floats() { "f32 or i32" } else { "i32" };
                Err(ErrorKind::argument("the elements of input 0", wanted, inputs[0]))
            }
        }
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        if io.dtypes[0] == DType::I32 {
            return Ok(vec![integers(io, self.of_integers())?]);
        }
        let (a, b) = (&io.inputs[0], &io.inputs[1]);
        let mut layouts = Vec::new();
        if a == b || (a.len() == 4 && b.len() == 4 && a[1] == b[1]) {
            layouts.extend(image_storage(caps).iter().map(|&storage| Layout::channels(storage)));
        }
        if a == b {
            layouts.extend([Layout::ROWS, Layout::rows_vec4(Storage::Buffer)]);
        }
        // 0 / 0 in the padding of a texel would be NaN, and padding must be finite.
        let finite = !matches!(self.kind, BinaryKind::Div | BinaryKind::Pow | BinaryKind::Mod | BinaryKind::Fmod);
        layouts.retain(|layout| finite || layout.order == Order::Rows);
        let mut kernels: Vec<Kernel> = layouts.into_iter().map(|layout| self.by_texel(io, layout)).collect();
        if a != b {
            let shader = self.finish(shader!("broadcast", "arithmetic", "activation", "operands", "index", "nan"));
            let activation = ActivationParams::new(self.activation);
            kernels.push(by_element(io, shader, |elements| BroadcastParams { elements, activation })?);
        }
        Ok(kernels)
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let each = 1 + self.activation.map_or(0, Activation::operations);
        Metrics::new(Cost::in_place(io.written().saturating_mul(each))).reach(Reach::Pixel)
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        let &activation = next.downcast_ref::<Activation>().filter(|_| self.activation.is_none())?;
        Some(Box::new(Binary { activation: Some(activation), ..self.clone() }))
    }
}

impl Graph {
    /// Adds `a + b`.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Add), &[a, b])
    }

    /// Adds `a - b`.
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Sub), &[a, b])
    }

    /// Adds `a * b`, element by element.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Mul), &[a, b])
    }

    /// Adds `a / b`, element by element.
    pub fn div(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Div), &[a, b])
    }

    /// Adds the greater of `a` and `b`, element by element.
    pub fn maximum(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Max), &[a, b])
    }

    /// Adds the lesser of `a` and `b`, element by element.
    pub fn minimum(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Min), &[a, b])
    }

    /// Adds `a` to the power of `b`, element by element.
    pub fn pow(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Pow), &[a, b])
    }
    /// Adds [`BinaryKind::Mod`]: the remainder of `a / b`, with the sign of `b`.
    pub fn remainder(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Mod), &[a, b])
    }

    /// Adds [`BinaryKind::Fmod`]: the remainder of `a / b`, with the sign of `a`.
    pub fn fmod(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Fmod), &[a, b])
    }

    /// Adds a [`Binary`] of any kind. Kinds such as [`BinaryKind::BitAnd`] have no method of their own.
    pub fn binary(&mut self, a: Value, kind: BinaryKind, b: Value) -> Result<Value> {
        self.push(Binary::new(kind), &[a, b])
    }
}
