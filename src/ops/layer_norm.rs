//! Layer norm.

use super::norm::{Lines, Norm};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Io, Metrics, Op};
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};

/// `torch.nn.LayerNorm`: `y = (x - mean) / sqrt(var + eps) * weight + bias`, with mean and (biased) variance over the
/// last dimensions, those of `normalized_shape`.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    normalized_shape: Shape,
    norm: Norm,
}

impl LayerNorm {
    /// Creates a layer norm with weight and bias of the normalised shape, if any, and PyTorch's epsilon, 1e-5.
    pub fn new(normalized_shape: impl Into<Shape>, weight: Option<Constant>, bias: Option<Constant>) -> LayerNorm {
        LayerNorm { normalized_shape: normalized_shape.into(), norm: Norm::new(weight, bias) }
    }

    /// Sets the epsilon.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> LayerNorm {
        self.norm.eps = eps;
        self
    }
}

impl LayerNorm {
    #[cfg(feature = "onnx")]
    pub(crate) fn normalized_shape(&self) -> &Shape {
        &self.normalized_shape
    }

    /// Returns the normalisation, if it is one of rows of so many elements.
    pub(super) fn of_rows(&self, length: usize) -> Option<&Norm> {
        (self.normalized_shape[..] == [length]).then_some(&self.norm)
    }

    /// Returns this norm with a weight, if it has neither weight, bias nor activation yet.
    pub(crate) fn with_weight(&self, weight: &Constant) -> Option<LayerNorm> {
        let fits = self.norm.weight.is_none() && self.norm.bias.is_none() && self.norm.activation.is_none();
        let norm = Norm { weight: Some(weight.clone()), ..self.norm.clone() };
        (fits && *weight.shape() == self.normalized_shape).then(|| LayerNorm { norm, ..self.clone() })
    }

    /// Returns this norm with a bias, if it has neither bias nor activation yet.
    pub(crate) fn with_bias(&self, bias: &Constant) -> Option<LayerNorm> {
        let fits = self.norm.bias.is_none() && self.norm.activation.is_none();
        let norm = Norm { bias: Some(bias.clone()), ..self.norm.clone() };
        (fits && *bias.shape() == self.normalized_shape).then(|| LayerNorm { norm, ..self.clone() })
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
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
        Some(Box::new(LayerNorm { norm: self.norm.with(next)?, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`LayerNorm`].
    pub fn layer_norm(&mut self, x: Value, norm: LayerNorm) -> Result<Value> {
        self.push(norm, &[x])
    }
}
