//! What an operation is.

use crate::error::{ErrorKind, Result};
use crate::kernel::{Caps, Kernel};
use crate::{DType, Shape};
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

    /// What it costs, by the field's definitions.
    fn cost(&self, _io: &Io) -> Cost {
        Cost::default()
    }

    /// This operation and `next`, which alone reads its output (as its input `position`), as one operation:
    /// its inputs are this one's, then the others of `next`.
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

/// What one operation costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Learned numbers that multiply: weights without biases.
    pub weights: u64,
    /// All learned numbers, biases and normalisation included (running statistics are not parameters).
    pub parameters: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// The outputs are held in memory of their own. Activations, normalisation and residual additions can work in
    /// place and views copy nothing, so that the lecture on efficient deep learning doesn't count their outputs.
    pub activations: bool,
}
