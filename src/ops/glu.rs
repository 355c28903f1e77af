//! Gated linear units: one half of a tensor gates the other.

use super::activation::{Activation, ActivationParams, code};
use super::image_storage;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Order, Storage};
use crate::{Graph, Shape, Value};

/// The formula for the halves a and b. (Shazeer 2020, <https://arxiv.org/abs/2002.05202>)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GluKind {
    /// `a * sigmoid(b)`: `torch.nn.functional.glu`
    Glu,
    /// `relu(a) * b`
    ReGlu,
    /// `gelu(a) * b`
    GeGlu,
    /// `silu(a) * b`: `silu(gate) * up` in Llama's MLP
    SwiGlu,
}

/// A gated linear unit of the halves of one input along an axis, or of two inputs of one shape.
///
/// ```
/// use shadernet::ops::{Glu, GluKind};
/// let halves = Glu::new(GluKind::Glu, 1);
/// let gate_and_up = Glu::pair(GluKind::SwiGlu);
/// ```
#[derive(Clone, Debug)]
pub struct Glu {
    kind: GluKind,
    /// The axis of the halves; `None` for two inputs.
    axis: Option<usize>,
}

params! {
    struct Params {
        rows: usize,
        width: usize,
        /// The half of a line, in texels, or in elements if it isn't whole texels.
        half: usize,
        /// The elements of the output.
        count: usize,
        activation: ActivationParams,
    }
}

/// The arrangement of the halves: the shader's `HALVES`.
#[derive(Clone, Copy)]
pub(super) enum Halves {
    /// Two tensors.
    Inputs,
    /// One after the other, in whole texels.
    Texels,
    /// One after the other within a row's texels.
    Lanes,
    /// One after the other in row-major order.
    Elements,
}

impl Glu {
    /// Creates a unit of the halves of one input along `axis`.
    pub fn new(kind: GluKind, axis: usize) -> Glu {
        Glu { kind, axis: Some(axis) }
    }

    /// Creates a unit of two inputs, a and b.
    pub fn pair(kind: GluKind) -> Glu {
        Glu { kind, axis: None }
    }

    fn activation(&self) -> Activation {
        match self.kind {
            GluKind::Glu => Activation::Sigmoid,
            GluKind::ReGlu => Activation::Relu,
            GluKind::GeGlu => Activation::Gelu,
            GluKind::SwiGlu => Activation::Silu,
        }
    }

    /// Returns the activation of a unit of two inputs, and true if it is the second input's.
    pub(super) fn of_pair(&self) -> Option<(Activation, bool)> {
        self.axis.is_none().then(|| (self.activation(), self.kind == GluKind::Glu))
    }

    fn kernel(&self, y: &Shape, layout: Layout, halves: Halves, half: usize) -> Kernel {
        let (rows, width) = match (halves, layout.texels(y)) {
            // In a buffer rows are contiguous, and a half may span many of them.
            (Halves::Texels, (rows, width)) if layout.storage == Storage::Buffer => (1, rows * width),
            (_, size) => size,
        };
        let activation = Some(self.activation());
        let params = Params { rows, width, half, count: y.elements(), activation: ActivationParams::new(activation) };
        let shader = shader!("glu", "activation", "index", "nan")
            .set("ACTIVATION", code(activation))
            .set("SECOND", self.kind == GluKind::Glu)
            .set("HALVES", halves as u32);
        let shader = ["a", "b", "y"]
            .iter()
            .fold(shader, |shader, name| shader.texture(name, layout.storage == Storage::Texture));
        let inputs = if self.axis.is_some() { [0, 0] } else { [0, 1] };
        let bindings = vec![Binding::Input(inputs[0]), Binding::Input(inputs[1]), Binding::Output(0)];
        let dispatch = Dispatch::for_each(shader, &params, bindings, rows * width);
        Kernel::new(vec![layout; 1 + inputs[1]], layout, dispatch)
    }
}

impl Op for Glu {
    fn name(&self) -> &'static str {
        match self.kind {
            GluKind::Glu => "glu",
            GluKind::ReGlu => "reglu",
            GluKind::GeGlu => "geglu",
            GluKind::SwiGlu => "swiglu",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        match (self.axis, inputs) {
            (Some(axis), [x]) => match x.get(axis) {
                None => Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), axis)),
                Some(size) if !size.is_multiple_of(2) => {
                    Err(ErrorKind::argument("input", format_args!("an even size of dimension {axis}"), x))
                }
                Some(size) => {
                    let mut sizes = x.to_vec();
                    sizes[axis] = size / 2;
                    Ok(vec![sizes.into()])
                }
            },
            (None, [a, b]) if a == b => Ok(vec![a.clone()]),
            (None, [a, b]) => Err(ErrorKind::argument("b", format_args!("a's shape, {a}"), b)),
            (axis, _) => Err(ErrorKind::argument("inputs", if axis.is_some() { 1 } else { 2 }, inputs.len())),
        }
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let y = &io.outputs[0];
        let places = image_storage(caps).iter().copied();
        let layouts = places.flat_map(|storage| [Layout::channels(storage), Layout::rows_vec4(storage)]);
        let Some(axis) = self.axis else {
            let layouts = layouts.chain([Layout::ROWS]);
            return Ok(layouts.map(|layout| self.kernel(y, layout, Halves::Inputs, 0)).collect());
        };
        // The distance between the halves in row-major order, in elements.
        let half = y[axis] * y.strides()[axis];
        let rows = if half.is_multiple_of(4) { (Halves::Texels, half / 4) } else { (Halves::Elements, half) };
        let kernels = layouts.filter_map(|layout| {
            let innermost = match layout.order {
                Order::Channels => axis == 1 && (2..=5).contains(&y.len()),
                _ => axis == y.len() - 1,
            };
            let c = if layout.order == Order::Channels { Image::new(y).c } else { *y.last()? };
            if innermost {
                let halves = if c.is_multiple_of(4) { (Halves::Texels, c / 4) } else { (Halves::Lanes, c) };
                return Some(self.kernel(y, layout, halves.0, halves.1));
            }
            // A half is whole rows of texels; a texture has no order across its rows.
            let across = layout == Layout::rows_vec4(Storage::Buffer);
            across.then(|| self.kernel(y, layout, Halves::Texels, half / c * c.div_ceil(4)))
        });
        let mut kernels: Vec<Kernel> = kernels.collect();
        kernels.push(self.kernel(y, Layout::ROWS, rows.0, rows.1));
        Ok(kernels)
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written().saturating_mul(self.activation().operations() + 1)))
            .reach(Reach::pixel_if(self.axis.is_none_or(|axis| axis < 2)))
    }
}

impl Graph {
    /// Adds a [`Glu`] of the halves of `x` along `axis`.
    pub fn glu(&mut self, x: Value, kind: GluKind, axis: usize) -> Result<Value> {
        self.push(Glu::new(kind, axis), &[x])
    }

    /// Adds a [`Glu`] of two tensors.
    pub fn glu_pair(&mut self, a: Value, b: Value, kind: GluKind) -> Result<Value> {
        self.push(Glu::pair(kind), &[a, b])
    }
}
