//! What an operation is.

use crate::error::{ErrorKind, Result};
use crate::kernel::{Caps, Kernel};
use crate::{Constant, DType, Shape};
use std::any::Any;
use std::fmt::Debug;

/// An operation of a [`Graph`](crate::Graph): attributes, shape rule, kernels, cost.
///
/// A user can write one outside this crate: implement this for a struct of attributes and hand it to
/// [`Graph::add`](crate::Graph::add).
pub trait Op: Any + Debug + Send + Sync {
    /// The operation's name as PyTorch has it, in snake case: `"conv2d"`. Its shader, label and test share it.
    fn name(&self) -> &'static str;

    /// The shapes of the outputs. The only place where shapes and attributes are checked.
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind>;

    /// The element types of the outputs: one for each, or one for all. An operation that doesn't say computes `f32`s from
    /// `f32`s.
    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::F32)?;
        Ok(vec![DType::F32])
    }

    /// The least and the greatest integer that input `position` may hold, if it holds integers that are places in something
    /// of these shapes. A session checks what it is given; on the device nothing is checked, and places that don't exist are
    /// read and written as some that do.
    fn range(&self, _position: usize, _io: &Io) -> Option<[i32; 2]> {
        None
    }

    /// The ways to compute it on such a device, at least one.
    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind>;

    /// The ways to compute it together with those that follow it, in one, where that pays on such a device: how many of `rest`
    /// that takes in, and the kernels. In `rest` each alone reads the output of the one before. The inputs are this one's, then
    /// the others of each.
    ///
    /// [`Op::fuse`] makes one operation of two on all devices; this is for what only some devices gain by.
    fn joined(&self, _io: &Io, _rest: &[Next], _caps: &Caps) -> Option<(usize, Vec<Kernel>)> {
        None
    }

    /// What it costs, by the field's definitions.
    fn cost(&self, _io: &Io) -> Cost {
        Cost::default()
    }

    /// The learned constants that it holds, so that one that several operations share can be counted once.
    fn parameters(&self) -> Vec<&Constant> {
        Vec::new()
    }

    /// How far an output pixel sees in the inputs.
    fn reach(&self, _io: &Io) -> Reach {
        Reach::Everything
    }

    /// This operation and `next`, which alone reads its output (as its input `position`), as one operation:
    /// its inputs are this one's, then the others of `next`.
    fn fuse(&self, _next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        None
    }
}

/// An operation that could be computed together with the one before it: see [`Op::joined`].
pub struct Next<'a> {
    /// The operation.
    pub op: &'a dyn Op,
    /// Its inputs and outputs.
    pub io: Io<'a>,
    /// Which of its inputs is the output of the one before.
    pub position: usize,
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

/// Checks that the first input holds numbers, and gives their type.
pub(crate) fn number_dtype(inputs: &[DType]) -> Result<DType, ErrorKind> {
    match inputs[0] {
        DType::Bool => Err(ErrorKind::argument("the elements of input 0", "f32 or i32", DType::Bool)),
        number => Ok(number),
    }
}

/// The element type that all inputs have, for operations that only move elements.
pub(crate) fn same_dtype(inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
    let first = inputs.first().copied().unwrap_or_default();
    expect_dtypes(inputs, |_| first)?;
    Ok(vec![first])
}

/// The shapes of a node's inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// One shape an input.
    pub inputs: &'a [Shape],
    /// One shape an output.
    pub outputs: &'a [Shape],
    /// One element type an input.
    pub dtypes: &'a [DType],
}

impl Io<'_> {
    /// The elements of all inputs.
    pub fn read(&self) -> u64 {
        elements(self.inputs)
    }

    /// The elements of all outputs.
    pub fn written(&self) -> u64 {
        elements(self.outputs)
    }
}

fn elements(shapes: &[Shape]) -> u64 {
    shapes.iter().fold(0, |sum: u64, shape| sum.saturating_add(shape.elements() as u64))
}

/// What one operation costs. A fused operation costs what all its parts do, but for batch norm that is folded into weights, which
/// is no more than their bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Learned numbers that multiply: weights without biases.
    pub weights: u64,
    /// All learned numbers, biases and normalisation included (running statistics are not parameters).
    pub parameters: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Arithmetic beside them: each addition, multiplication, division and comparison of the operation's formula is one, and so is
    /// each evaluation of a function (`exp`, `tanh`, `sqrt`, ..). A sum of n numbers is n - 1, their mean n. What depends on no
    /// input is computed at load and is none, as is the arithmetic of indices and places. What only moves elements has none.
    pub other: u64,
    /// Elements that go between memory and the processor, where that isn't each input, parameter and output once: 0 for a view,
    /// what is read and written for an operation that takes some elements of its input.
    pub moves: Option<u64>,
    /// The outputs are held in memory of their own. Activations, normalisation and residual additions can work in
    /// place and views copy nothing, so that the lecture on efficient deep learning doesn't count their outputs.
    pub activations: bool,
}

impl Cost {
    /// Of an operation whose outputs are [held in memory of their own](Cost::activations), with so much arithmetic.
    pub(crate) fn held(other: u64) -> Cost {
        Cost { other, activations: true, ..Cost::default() }
    }

    /// Of an operation that can work in place, with so much arithmetic.
    pub(crate) fn in_place(other: u64) -> Cost {
        Cost { other, ..Cost::default() }
    }

    /// Of a view.
    pub(crate) fn view() -> Cost {
        Cost { moves: Some(0), ..Cost::default() }
    }

    /// Of copying so many elements, which some indices may choose.
    pub(crate) fn copy(elements: u64, indices: u64) -> Cost {
        Cost { moves: Some(elements.saturating_mul(2).saturating_add(indices)), ..Cost::held(0) }
    }

    /// What both cost, the second computed from the first without memory between.
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

    /// Floating-point operations: a multiply-accumulate is two.
    pub fn flops(&self) -> u64 {
        self.macs.saturating_mul(2).saturating_add(self.other)
    }

    /// The least bytes that go between memory and the processor: elements and parameters have four each.
    pub fn bytes(&self, io: &Io) -> u64 {
        let once = || io.read().saturating_add(self.parameters).saturating_add(io.written());
        self.moves.unwrap_or_else(once).saturating_mul(4)
    }
}

/// How far an output pixel sees in the inputs, along the spatial axes: the third dimension and those after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The same pixel; all of an input that is broadcast along a spatial axis.
    Pixel,
    /// Some pixels of the first input: those of one [`Taps`] along each spatial axis. The same pixel of others, which a fused
    /// operation adds.
    Window(Vec<Taps>),
    /// All pixels, or who knows.
    Everything,
}

/// The pixels along an axis that an output pixel sees: input pixel `i`, if for output pixel `o` the number `i * up - o * down` is one
/// of `first`, `first + step`, .. up to `count` of them. The image doesn't end there: a pixel that doesn't exist is padding.
///
/// A convolution with stride s, dilation d and padding p has an `up` of 1, a `down` of s, a `step` of d and begins at -p; the
/// transposed one goes the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Output pixels to the step between input pixels that `down` counts: more than 1 where it makes images larger.
    pub up: i64,
    /// Input pixels, times `up`, from an output pixel to the next.
    pub down: i64,
    /// The first tap of output pixel 0.
    pub first: i64,
    /// From a tap to the next.
    pub step: i64,
    /// How many taps.
    pub count: i64,
}

impl Taps {
    /// A window of `size` pixels, `dilation` apart, that moves by `stride`, with `before` pixels of padding.
    pub fn window(size: usize, stride: usize, dilation: usize, before: isize) -> Taps {
        let [count, down, step] = [size, stride, dilation].map(whole);
        Taps { up: 1, down, first: (before as i64).saturating_neg(), step, count }
    }

    /// What such a window, transposed, sees.
    pub fn transposed(size: usize, stride: usize, dilation: usize, before: isize) -> Taps {
        let [count, up, step] = [size, stride, dilation].map(whole);
        let first = (before as i64).saturating_sub(step.saturating_mul(count - 1));
        Taps { up, down: 1, first, step, count }
    }

    /// Every pixel `i` for which `i * up - o * down` is in `from..=to`.
    pub fn between(up: usize, down: usize, from: i64, to: i64) -> Taps {
        Taps { up: whole(up), down: whole(down), first: from, step: 1, count: to - from + 1 }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
