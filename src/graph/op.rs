//! The interface of an operation.

use super::Node;
use crate::error::{ErrorKind, Result};
use crate::kernel::{Caps, Kernel};
use crate::{Constant, DType, Graph, Shape, Value};
use std::any::Any;
use std::fmt::Debug;

/// An operation of a [`Graph`](crate::Graph): attributes, shape rule, kernels, cost.
///
/// An operation can be written outside this crate: implement this trait for a struct of attributes and pass it to
/// [`Graph::add_node`](crate::Graph::add_node).
pub trait Op: Any + Debug + Send + Sync {
    /// Returns the operation's PyTorch name in snake case: `"conv2d"`. Its shader, label and test share the name.
    fn name(&self) -> &'static str;

    /// Returns the shapes of the outputs. No other place checks shapes and attributes.
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind>;

    /// Returns the element types of the outputs: one for each, or one for all. By default an operation computes `f32`s
    /// from `f32`s.
    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::F32)?;
        Ok(vec![DType::F32])
    }

    /// Returns the ways to compute the operation on such a device, at least one.
    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind>;

    /// Returns the operation's cost and reach, for summaries and the planner. By default it costs nothing and depends on
    /// all pixels. A [`Cost::moves`] of 0 says that the output is a view of the input: nothing is copied.
    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::default()
    }

    /// Returns this operation fused with `next`, the only reader of its output (as the input `position`). The inputs
    /// are this operation's, then the other inputs of `next`.
    fn fuse(&self, _next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        None
    }
}

impl dyn Op {
    /// The operation as `T`, if it is one.
    pub fn downcast_ref<T: Op>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// Checks the element type of each input.
pub(crate) fn expect_dtypes(inputs: &[DType], wanted: impl Fn(usize) -> DType) -> Result<(), ErrorKind> {
    match (0..inputs.len()).find(|&i| inputs[i] != wanted(i)) {
        None => Ok(()),
        Some(i) => Err(ErrorKind::argument(format!("the elements of input {i}"), wanted(i), inputs[i])),
    }
}

/// Checks that the first input holds numbers, and returns their type.
pub(crate) fn number_dtype(inputs: &[DType]) -> Result<DType, ErrorKind> {
    match inputs[0] {
        DType::Bool => Err(ErrorKind::argument("the elements of input 0", "f32 or i32", DType::Bool)),
        number => Ok(number),
    }
}

/// Returns the element type that all inputs share, for operations that only move elements.
pub(crate) fn same_dtype(inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
    let first = inputs.first().copied().unwrap_or_default();
    expect_dtypes(inputs, |_| first)?;
    Ok(vec![first])
}

/// The shapes of a node's inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// One shape for each input.
    pub inputs: &'a [Shape],
    /// One shape for each output.
    pub outputs: &'a [Shape],
    /// One element type for each input.
    pub dtypes: &'a [DType],
}

impl Io<'_> {
    /// Returns the number of elements of all inputs.
    pub fn read(&self) -> u64 {
        elements(self.inputs)
    }

    /// Returns the number of elements of all outputs.
    pub fn written(&self) -> u64 {
        elements(self.outputs)
    }
}

fn elements(shapes: &[Shape]) -> u64 {
    shapes.iter().fold(0, |sum: u64, shape| sum.saturating_add(shape.elements() as u64))
}

/// The figures of an operation in a network: see [`Op::metrics`].
#[derive(Clone, Debug, Default)]
pub struct Metrics<'a> {
    /// The cost, by the field's definitions.
    pub cost: Cost,
    /// The region of the inputs that an output pixel depends on.
    pub reach: Reach,
    /// The learned constants that the operation holds, so that a shared constant can be counted once.
    pub parameters: Vec<&'a Constant>,
}

impl<'a> Metrics<'a> {
    /// Creates metrics of an operation that holds no constants, and whose output pixels depend on all pixels.
    pub fn new(cost: Cost) -> Metrics<'a> {
        Metrics { cost, ..Metrics::default() }
    }

    /// Sets the region of the inputs that an output pixel depends on.
    #[must_use]
    pub fn reach(self, reach: Reach) -> Metrics<'a> {
        Metrics { reach, ..self }
    }

    /// Sets the learned constants that the operation holds.
    #[must_use]
    pub fn parameters(self, parameters: Vec<&'a Constant>) -> Metrics<'a> {
        Metrics { parameters, ..self }
    }
}

/// The cost of one operation. A fused operation costs as much as all its parts, except that batch norm folded into
/// weights costs no more than a bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Learned numbers that multiply: weights without biases.
    pub weights: u64,
    /// All learned numbers, biases and normalisation included (running statistics are not parameters).
    pub parameters: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// All other arithmetic. Each addition, multiplication, division and comparison of the operation's formula counts
    /// as one, and so does each function (`exp`, `tanh`, `sqrt`, ..). A sum of n numbers counts n - 1, their mean n.
    /// Values that depend on no input are computed at load and don't count. Neither do indices and moves of elements.
    pub other: u64,
    /// The elements moved between memory and the processor, if not each input, parameter and output once: 0 for a view;
    /// the elements read and written for an operation that reads a part of its input.
    pub moves: Option<u64>,
    /// True if the outputs are held in memory of their own. Activations, normalisation and residual additions can work
    /// in place and views copy nothing; so the lecture on efficient deep learning doesn't count their outputs.
    pub activations: bool,
}

impl Cost {
    /// Returns the cost of `other` arithmetic with outputs [held in memory of their own](Cost::activations).
    pub(crate) fn held(other: u64) -> Cost {
        Cost { other, activations: true, ..Cost::default() }
    }

    /// Returns the cost of `other` arithmetic that can work in place.
    pub(crate) fn in_place(other: u64) -> Cost {
        Cost { other, ..Cost::default() }
    }

    /// Returns the cost of a view.
    pub(crate) fn view() -> Cost {
        Cost { moves: Some(0), ..Cost::default() }
    }

    /// Returns the cost of copying so many elements, which some indices may choose.
    pub(crate) fn copy(elements: u64, indices: u64) -> Cost {
        Cost { moves: Some(elements.saturating_mul(2).saturating_add(indices)), ..Cost::held(0) }
    }

    /// Returns the cost of both operations, if the second takes the first one's output without memory between.
    pub(crate) fn and(self, next: Cost) -> Cost {
        Cost {
            weights: self.weights.saturating_add(next.weights),
            parameters: self.parameters.saturating_add(next.parameters),
            macs: self.macs.saturating_add(next.macs),
            other: self.other.saturating_add(next.other),
            moves: self.moves.or(next.moves),
            activations: self.activations || next.activations,
        }
    }

    /// Returns the number of floating-point operations: a multiply-accumulate is two.
    pub fn flops(&self) -> u64 {
        self.macs.saturating_mul(2).saturating_add(self.other)
    }

    /// Returns the fewest bytes moved between memory and the processor: four for each element and parameter.
    pub fn bytes(&self, io: &Io) -> u64 {
        let once = || io.read().saturating_add(self.parameters).saturating_add(io.written());
        self.moves.unwrap_or_else(once).saturating_mul(4)
    }

    /// Returns `bytes`, four a number, less what is saved if so many of the numbers that are read, written and weights are
    /// `f16`s. In all, `all_written` numbers are written. Packed weights are no `f16`s.
    pub(crate) fn stored_bytes(&self, bytes: u64, [read, written, weights]: [u64; 3], all_written: u64) -> u64 {
        // Not all of an input may be read.
        let parameters = if weights > 0 { self.parameters } else { 0 };
        let most = (bytes / 4).saturating_sub(all_written).saturating_sub(parameters);
        let halves = read.min(most).saturating_add(written).saturating_add(weights.min(self.weights));
        bytes - halves.saturating_mul(2).min(bytes / 2)
    }
}

impl Graph {
    /// Returns the cost of a node for a batch of 1.
    pub(crate) fn known_cost(&self, node: &Node) -> Cost {
        let of = |values: &[Value]| values.iter().map(|&value| self.known_shape(value).clone()).collect::<Vec<_>>();
        let (inputs, outputs) = (of(&node.inputs), of(&node.outputs));
        node.op.metrics(&Io { inputs: &inputs, outputs: &outputs, dtypes: &self.input_dtypes(node) }).cost
    }
}

/// The region of the inputs that an output pixel depends on, along the spatial axes: dimension 2 and those after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// One pixel, at the same position, or all of an input that is broadcast along a spatial axis.
    Pixel,
    /// A window of the first input, one [`Taps`] for each spatial axis. Other inputs, which a fused operation adds,
    /// count with the same pixel.
    Window(Vec<Taps>),
    /// All pixels, or an unknown region.
    #[default]
    Everything,
}

impl Reach {
    /// Returns the reach of an operation that works pixel by pixel only under a condition.
    pub(crate) fn pixel_if(condition: bool) -> Reach {
        if condition { Reach::Pixel } else { Reach::Everything }
    }
}

/// The pixels along an axis that an output pixel depends on. Output pixel `o` depends on input pixel `i` if
/// `i * up - o * down` is one of the `count` numbers `first`, `first + step`, .. A pixel beyond the image is padding.
///
/// A convolution with stride s, dilation d and padding p has an `up` of 1, a `down` of s, a `step` of d and a `first`
/// of -p; the transposed one goes the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// The factor of the input position: more than 1 in an operation that enlarges images.
    pub up: i64,
    /// The factor of the output position: input pixels, times `up`, from an output pixel to the next.
    pub down: i64,
    /// The first tap of output pixel 0.
    pub first: i64,
    /// The distance from a tap to the next.
    pub step: i64,
    /// The number of taps.
    pub count: i64,
}

impl Taps {
    /// Returns the taps of a window of `size` pixels, `dilation` apart, with a stride and `before` pixels of padding.
    pub fn window(size: usize, stride: usize, dilation: usize, before: isize) -> Taps {
        let [count, down, step] = [size, stride, dilation].map(whole);
        Taps { up: 1, down, first: (before as i64).saturating_neg(), step, count }
    }

    /// Returns the taps of such a window, transposed.
    pub fn transposed(size: usize, stride: usize, dilation: usize, before: isize) -> Taps {
        let [count, up, step] = [size, stride, dilation].map(whole);
        let first = (before as i64).saturating_sub(step.saturating_mul(count - 1));
        Taps { up, down: 1, first, step, count }
    }

    /// Returns taps for every pixel `i` for which `i * up - o * down` is in `from..=to`.
    pub fn between(up: usize, down: usize, from: i64, to: i64) -> Taps {
        Taps { up: whole(up), down: whole(down), first: from, step: 1, count: to - from + 1 }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
