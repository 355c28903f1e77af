//! Elementwise addition, subtraction, multiplication and division, with broadcasting.

use super::activation::{Activation, ActivationParams, code};
use super::image_places;
use crate::error::{ErrorKind, Result, expect_inputs};
use crate::graph::op::{Io, Op};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Order, Place, Shader};
use crate::{Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// Which operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
}

/// `y = a ∘ b`, element by element, broadcast as in NumPy: aligned at the last dimension, sizes of 1 repeated.
#[derive(Clone, Debug)]
pub struct Binary {
    kind: BinaryKind,
    activation: Option<Activation>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rows: u32,
    width: u32,
    h: u32,
    c4: u32,
    a: Strides,
    b: Strides,
    activation: ActivationParams,
}

/// How an operand is read, 0 where it is repeated.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Strides {
    /// Rows from image to image.
    image: u32,
    /// Rows from row to row.
    row: u32,
    /// Texels from pixel to pixel.
    pixel: u32,
    /// Texels in a row.
    width: u32,
}

impl Strides {
    fn of(shape: &Shape, layout: Layout) -> Strides {
        let image = Image::of(shape);
        let unless_one = |size: usize, stride: usize| if size == 1 { 0 } else { stride as u32 };
        Strides {
            image: unless_one(image.n, image.h),
            row: unless_one(image.h, 1),
            pixel: unless_one(image.w, image.c4()),
            width: layout.texels(shape).1 as u32,
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct BroadcastParams {
    sizes: [u32; 8],
    a: [u32; 8],
    b: [u32; 8],
    count: u32,
    activation: ActivationParams,
}

impl Binary {
    /// An operation of that kind.
    pub fn new(kind: BinaryKind) -> Binary {
        Binary { kind, activation: None }
    }

    pub(crate) fn is_sum(&self) -> bool {
        self.kind == BinaryKind::Add
    }

    pub(crate) fn activation(&self) -> Option<Activation> {
        self.activation
    }

    /// One shape, or images that are broadcast but for their channels.
    fn by_texel(&self, io: &Io, layout: Layout) -> Kernel {
        let (a, b, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let (rows, width) = layout.texels(y);
        let image = Image::of(y);
        let params = Params {
            rows: rows as u32,
            width: width as u32,
            h: image.h as u32,
            c4: image.c4() as u32,
            a: Strides::of(a, layout),
            b: Strides::of(b, layout),
            activation: ActivationParams::of(self.activation),
        };
        let shader = self.finish(shader!("binary", "activation", "index").set("BROADCAST", a != b));
        let texture = layout.place == Place::Texture;
        let shader = ["a", "b", "y"].iter().fold(shader, |shader, name| shader.texture(name, texture));
        let dispatch = Dispatch::new(shader, &params, bindings(), (rows * width).div_ceil(64));
        Kernel::new(vec![layout; 2], layout, dispatch)
    }

    /// Any two shapes that broadcast.
    fn by_element(&self, io: &Io) -> Result<Kernel, ErrorKind> {
        let (a, b, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let params = BroadcastParams {
            sizes: eight(y, 1)?,
            a: eight(&a.broadcast_strides(y), 0)?,
            b: eight(&b.broadcast_strides(y), 0)?,
            count: y.elements() as u32,
            activation: ActivationParams::of(self.activation),
        };
        let shader = self.finish(shader!("broadcast", "activation", "index"));
        let dispatch = Dispatch::new(shader, &params, bindings(), y.elements().div_ceil(64));
        Ok(Kernel::new(vec![Layout::ROWS; 2], Layout::ROWS, dispatch))
    }

    fn finish(&self, shader: Shader) -> Shader {
        shader.set("KIND", self.kind as u32).set("ACTIVATION", code(self.activation))
    }
}

fn bindings() -> Vec<Binding> {
    vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)]
}

/// Sizes or strides as a shader takes them: eight, the missing outer ones filled in.
pub(crate) fn eight(values: &[usize], fill: u32) -> Result<[u32; 8], ErrorKind> {
    let mut all = [fill; 8];
    let from = 8usize.checked_sub(values.len()).ok_or_else(|| {
        ErrorKind::Unsupported(format!("a tensor of {} dimensions where 8 are the most", values.len()))
    })?;
    all[from..].iter_mut().zip(values).for_each(|(to, &value)| *to = value as u32);
    Ok(all)
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self.kind {
            BinaryKind::Add => "add",
            BinaryKind::Sub => "sub",
            BinaryKind::Mul => "mul",
            BinaryKind::Div => "div",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [a, b] = expect_inputs::<2>(inputs)?;
        let shape = a
            .broadcast(b)
            .ok_or_else(|| ErrorKind::argument("b", format_args!("a shape that broadcasts with a's {a}"), b))?;
        eight(&shape, 1)?;
        Ok(vec![shape])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (a, b) = (&io.inputs[0], &io.inputs[1]);
        let mut layouts = Vec::new();
        if a == b || (a.len() == 4 && b.len() == 4 && a[1] == b[1]) {
            layouts.extend(image_places(caps).iter().map(|&place| Layout::channels(place)));
        }
        if a == b {
            layouts.extend([Layout::ROWS, Layout::packed(Place::Buffer)]);
        }
        // 0 / 0 in the padding of a texel would be NaN, and padding must be finite.
        layouts.retain(|layout| self.kind != BinaryKind::Div || layout.order == Order::Rows);
        let mut kernels: Vec<Kernel> = layouts.into_iter().map(|layout| self.by_texel(io, layout)).collect();
        if a != b {
            kernels.push(self.by_element(io)?);
        }
        Ok(kernels)
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        let &activation = next.downcast_ref::<Activation>().filter(|_| self.activation.is_none())?;
        Some(Box::new(Binary { activation: Some(activation), ..self.clone() }))
    }
}

impl Graph {
    /// Adds `a + b`.
    pub fn sum(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Add), &[a, b])
    }

    /// Adds `a - b`.
    pub fn difference(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Sub), &[a, b])
    }

    /// Adds `a * b`, element by element.
    pub fn product(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Mul), &[a, b])
    }

    /// Adds `a / b`, element by element.
    pub fn quotient(&mut self, a: Value, b: Value) -> Result<Value> {
        self.push(Binary::new(BinaryKind::Div), &[a, b])
    }
}
