//! Group norm.

use super::norm::Norm;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Io, Metrics, Op};
use crate::kernel::{Caps, Kernel};
use crate::shape::expect_inputs;
use crate::{Graph, Shape, Value};

/// `torch.nn.GroupNorm`: `y = (x - mean) / sqrt(var + eps) * weight[c] + bias[c]` for `[N, C, *]`, with mean and
/// (biased) variance over each of `num_groups` groups of consecutive channels of an image.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    num_groups: usize,
    norm: Norm,
}

impl GroupNorm {
    /// Creates a group norm with weight and bias `[C]`, if any, and PyTorch's epsilon, 1e-5.
    pub fn new(num_groups: usize, weight: Option<Constant>, bias: Option<Constant>) -> GroupNorm {
        GroupNorm { num_groups, norm: Norm::new(weight, bias) }
    }

    /// Sets the epsilon.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> GroupNorm {
        self.norm.eps = eps;
        self
    }
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        let &[_, channels, ..] = &x[..] else {
            return Err(ErrorKind::argument("input", "2 dimensions or more, channels second", x));
        };
        if self.num_groups == 0 || channels % self.num_groups != 0 {
            return Err(ErrorKind::argument("num_groups", format_args!("a divisor of {channels}"), self.num_groups));
        }
        self.norm.expect_affine(&[channels].into())?;
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(self.norm.group_kernels(io, self.num_groups, caps))
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        self.norm.metrics(io, io.inputs[0][0].saturating_mul(self.num_groups))
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(GroupNorm { norm: self.norm.with(next)?, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`GroupNorm`].
    pub fn group_norm(&mut self, x: Value, norm: GroupNorm) -> Result<Value> {
        self.push(norm, &[x])
    }
}
