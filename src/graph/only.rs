//! An operation reduced to one of its kernels, for comparisons of kernels.

use super::op::{Io, Metrics, Op};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Caps, Kernel};
use crate::{DType, Shape};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Only {
    pub(crate) op: Arc<dyn Op>,
    /// The index of the kernel in the operation's list.
    pub(crate) kernel: usize,
    /// The change to the kernel.
    pub(crate) change: fn(&mut Kernel),
}

impl Only {
    /// Returns the operation with only this kernel, unchanged.
    pub(crate) fn new(op: &Arc<dyn Op>, kernel: usize) -> Only {
        Only { op: op.clone(), kernel, change: |_| () }
    }
}

impl Op for Only {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.op.output_shapes(inputs)
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        self.op.output_dtypes(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut kernels = self.op.kernels(io, caps)?;
        if self.kernel >= kernels.len() {
            return Err(ErrorKind::argument("kernel", format_args!("one of {}", kernels.len()), self.kernel));
        }
        let mut kernel = kernels.swap_remove(self.kernel);
        (self.change)(&mut kernel);
        // Whoever chose the kernel wants it, whatever the model's precision.
        kernel.rounds_operands = false;
        Ok(vec![kernel])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        self.op.metrics(io)
    }
}
