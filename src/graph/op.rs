//! What an operation is.

use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::kernel::{Caps, Kernel};
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

/// The shapes of a node's inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// One shape an input.
    pub inputs: &'a [Shape],
    /// One shape an output.
    pub outputs: &'a [Shape],
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
