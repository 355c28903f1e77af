//! A linear layer.

use super::Conv2d;
use super::affine::Affine;
use super::epilogue::Epilogue;
use super::gemm::{Gemm, Operand};
use super::window::Window;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout};
use crate::{Graph, Shape, Value};
use std::ops::Range;

/// `torch.nn.Linear`: `y = x weightᵀ + bias` over the last dimension, weight `[out, in]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Constant,
    bias: Option<Constant>,
    epilogue: Epilogue,
}

impl Linear {
    /// Creates a linear layer with weights `[out, in]` and bias `[out]`.
    pub fn new(weight: Constant, bias: Option<Constant>) -> Linear {
        Linear { weight, bias, epilogue: Epilogue::default() }
    }

    pub(crate) fn is_biased(&self) -> bool {
        self.bias.is_some()
    }

    /// Returns the layer with the affine after it folded in, unless another operation is.
    pub(crate) fn then(&self, affine: &Affine) -> Option<Linear> {
        let &[out, features] = &self.weight.shape()[..] else { return None };
        let (weight, bias) = affine.after(&self.weight, self.bias.as_ref(), [out, features], &[], |i| i);
        (self.epilogue == Epilogue::default()).then(|| Linear { weight, bias, ..self.clone() })
    }

    /// Returns the layer that gives of `x` what this one gives of the affine's `x * scale + shift`.
    pub(crate) fn after(&self, affine: &Affine) -> Option<Linear> {
        let &[out, features] = &self.weight.shape()[..] else { return None };
        let (weight, bias) = affine.before(&self.weight, self.bias.as_ref(), [features, out], move |i| i % features);
        Some(Linear { weight, bias, ..self.clone() })
    }

    /// Returns the layer that gives only these outputs, unless a residual is added.
    pub(crate) fn of_channels(&self, channels: &Range<usize>) -> Option<Linear> {
        let (weight, bias) = (&self.weight, self.bias.as_ref().map(|bias| bias.rows_of(channels)));
        self.epilogue.residual.is_none().then(|| Linear { weight: weight.rows_of(channels), bias, ..self.clone() })
    }

    /// Returns the product of an input of this shape and the weights.
    pub(super) fn gemm(&self, x: &Shape) -> Gemm<'_> {
        let c = x[x.len() - 1];
        let rows = Image { n: x.elements() / c.max(1), c, h: 1, w: 1 };
        Gemm {
            x: rows,
            y: Image { c: self.weight.shape()[0], ..rows },
            // For two dimensions both layouts are equal; preceding convolutions and pooling use the first.
            layout: if x.len() == 2 { Layout::channels } else { Layout::rows_vec4 },
            window: Window::PIXEL,
            depth: None,
            groups: 1,
            lines: None,
            parts: &[],
            pools: false,
            w: Operand::Weight(&self.weight),
            bias: self.bias.as_ref(),
            epilogue: self.epilogue,
        }
    }

    /// Returns the convolution that computes the same before the image is flattened: its weights have the same order.
    pub(crate) fn as_conv2d(&self, c: usize, h: usize, w: usize) -> Option<Conv2d> {
        let &[out, features] = &self.weight.shape()[..] else { return None };
        if features != c * h * w || self.epilogue.residual.is_some() {
            return None;
        }
        let conv = Conv2d::new(self.weight.with_shape([out, c, h, w]), self.bias.clone());
        Some(conv.with_epilogue(self.epilogue))
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.epilogue.expect_inputs(inputs)?;
        let &[out, features] = &self.weight.shape()[..] else {
            return Err(ErrorKind::argument("weight", "[out, in]", self.weight.shape()));
        };
        let x = &inputs[0];
        if x.last() != Some(&features) {
            return Err(ErrorKind::argument("input", format_args!("[.., {features}]"), x));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.shape()[..] != [out]) {
            return Err(ErrorKind::argument("bias", Shape::from([out]), bias.shape()));
        }
        let mut sizes = x.to_vec();
        sizes[x.len() - 1] = out;
        self.epilogue.output(inputs, sizes.into())
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        self.gemm(&io.inputs[0]).kernels(caps)
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let weights = self.weight.shape().elements() as u64;
        let bias = self.bias.as_ref().map_or(0, |bias| bias.shape().elements() as u64);
        let rows = (io.outputs[0].elements() / self.weight.shape()[0]) as u64;
        let other = self.epilogue.other(self.bias.is_some(), io.written());
        Metrics::new(Cost {
            weights,
            parameters: weights + bias,
            macs: weights.saturating_mul(rows),
            ..Cost::held(other)
        })
        .parameters(std::iter::once(&self.weight).chain(&self.bias).collect())
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        let epilogue = self.epilogue.with(next)?;
        Some(Box::new(Linear { epilogue, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`Linear`].
    pub fn linear(&mut self, x: Value, weight: Constant, bias: Option<Constant>) -> Result<Value> {
        self.push(Linear::new(weight, bias), &[x])
    }
}
