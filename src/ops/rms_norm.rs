//! RMS norm: layer norm without a mean.

use super::norm::{Lines, Norm};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Io, Metrics, Op};
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};

/// `torch.nn.RMSNorm`: `y = x / sqrt(mean(x²) + eps) * weight`. The mean is over the last dimensions, whose sizes are
/// `normalized_shape`.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    normalized_shape: Shape,
    norm: Norm,
}

impl RmsNorm {
    /// Creates an RMS norm with a weight of the normalised shape, if any, and PyTorch's epsilon: `f32::EPSILON`.
    pub fn new(normalized_shape: impl Into<Shape>, weight: Option<Constant>) -> RmsNorm {
        let norm = Norm { centred: false, ..Norm::new(weight, None) };
        RmsNorm { normalized_shape: normalized_shape.into(), norm }.eps(f32::EPSILON.into())
    }

    /// Sets the epsilon.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> RmsNorm {
        self.norm.eps = eps;
        self
    }
}

impl RmsNorm {
    /// Returns the normalisation, if it is one of rows of so many elements.
    pub(super) fn of_rows(&self, length: usize) -> Option<&Norm> {
        (self.normalized_shape[..] == [length]).then_some(&self.norm)
    }

    /// Returns this norm times a weight, if it has neither a weight nor an activation yet.
    pub(crate) fn with_weight(&self, weight: &Constant) -> Option<RmsNorm> {
        let fits = self.norm.weight.is_none() && self.norm.activation.is_none();
        let norm = Norm { weight: Some(weight.clone()), ..self.norm.clone() };
        (fits && *weight.shape() == self.normalized_shape).then(|| RmsNorm { norm, ..self.clone() })
    }
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.norm.trailing(inputs, &self.normalized_shape)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(self.norm.kernels(io, Lines::trailing(&self.normalized_shape), caps))
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        self.norm.metrics(io, io.outputs[0].elements() / self.normalized_shape.elements())
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(RmsNorm { norm: self.norm.with(next)?, ..self.clone() }))
    }
}

impl Graph {
    /// Adds an [`RmsNorm`].
    pub fn rms_norm(&mut self, x: Value, norm: RmsNorm) -> Result<Value> {
        self.push(norm, &[x])
    }
}
