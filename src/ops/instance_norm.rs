//! Instance norm: group norm with as many groups as channels.

use super::norm::Norm;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Io, Metrics, Op};
use crate::kernel::{Caps, Kernel};
use crate::shape::{expect_inputs, expect_rank};
use crate::{Graph, Shape, Value};

/// `torch.nn.InstanceNorm2d`: `y = (x - mean) / sqrt(var + eps) * weight[c] + bias[c]` for `[N, C, H, W]`, with mean
/// and (biased) variance over each channel of an image.
#[derive(Clone, Debug)]
pub struct InstanceNorm2d {
    norm: Norm,
}

impl InstanceNorm2d {
    /// Creates an instance norm with weight and bias `[C]`, if any (PyTorch's default: none), and its epsilon, 1e-5.
    pub fn new(weight: Option<Constant>, bias: Option<Constant>) -> InstanceNorm2d {
        InstanceNorm2d { norm: Norm::new(weight, bias) }
    }

    /// Sets the epsilon.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> InstanceNorm2d {
        self.norm.eps = eps;
        self
    }
}

impl Op for InstanceNorm2d {
    fn name(&self) -> &'static str {
        "instance_norm"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 4)?;
        self.norm.expect_affine(&[x[1]].into())?;
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(self.norm.group_kernels(io, io.inputs[0][1], caps))
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        self.norm.metrics(io, io.inputs[0][0].saturating_mul(io.inputs[0][1]))
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(InstanceNorm2d { norm: self.norm.with(next)? }))
    }
}

impl Graph {
    /// Adds an [`InstanceNorm2d`].
    pub fn instance_norm(&mut self, x: Value, norm: InstanceNorm2d) -> Result<Value> {
        self.push(norm, &[x])
    }
}
