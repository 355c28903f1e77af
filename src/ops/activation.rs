//! Activations: `y = f(x)` for each element, by PyTorch's definitions.

use super::texel_kernels;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{Graph, Shape, Value};

/// An activation function: an operation of its own, or the last step of most others, which can fuse it. NaN stays NaN,
/// and infinities give the same results as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` where positive, else `slope * x`
    LeakyRelu(f32),
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// The hyperbolic tangent
    Tanh,
    /// `x * sigmoid(x)`, also called Swish
    Silu,
    /// `x * relu6(x + 3) / 6`
    Hardswish,
    /// `x * Φ(x)`, through the error function
    Gelu,
    /// GELU by its tanh approximation
    GeluTanh,
    /// `x` where positive, else `alpha * (exp(x) - 1)`; PyTorch's default is an `alpha` of 1
    Elu(f32),
    /// `scale * elu(x)`, with the two constants of Klambauer et al., <https://arxiv.org/abs/1706.02515>
    Selu,
    /// `x` where positive, else `alpha * (exp(x / alpha) - 1)`; PyTorch's default is an `alpha` of 1, and 0 is refused
    Celu(f32),
    /// `relu6(x + 3) / 6`
    Hardsigmoid,
    /// `x * tanh(softplus(x))`
    Mish,
    /// `log(1 + exp(beta * x)) / beta`; PyTorch's default is a `beta` of 1, and 0 is refused. Where `beta * x` is
    /// beyond PyTorch's default `threshold` of 20, this rounds to `x` in f32 anyway.
    Softplus(f32),
    /// `x / (1 + |x|)`
    Softsign,
    /// `min(max(x, lo), hi)`: `torch.clamp`, `Hardtanh`. `lo` may be -∞ and `hi` ∞; if `lo` is above `hi`, all is `hi`
    Clamp(f32, f32),
}

params! {
    /// The arguments of `activate` (`shaders/lib/activation.wgsl`) beside `x`: part of its callers' `Params`.
    pub(crate) struct ActivationParams {
        lo: f32,
        hi: f32,
        alpha: f32,
    }
}

impl ActivationParams {
    pub(crate) fn new(activation: Option<Activation>) -> ActivationParams {
        let [lo, hi] = activation.and_then(Activation::range).unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        let alpha = match activation {
            Some(
                Activation::LeakyRelu(alpha)
                | Activation::Elu(alpha)
                | Activation::Celu(alpha)
                | Activation::Softplus(alpha),
            ) => alpha,
            _ => 0.0,
        };
        ActivationParams { lo, hi, alpha }
    }

    /// Returns the bounds, and alpha.
    pub(crate) fn numbers(self) -> [f32; 3] {
        [self.lo, self.hi, self.alpha]
    }
}

/// Returns the `code` of `shaders/lib/activation.wgsl`. All clamps have one code, so that they share pipelines; no
/// activation is a clamp to the infinities.
pub(crate) fn code(activation: Option<Activation>) -> u32 {
    match activation {
        None | Some(Activation::Relu | Activation::Relu6 | Activation::Clamp(..)) => 0,
        Some(Activation::LeakyRelu(_)) => 1,
        Some(Activation::Sigmoid) => 2,
        Some(Activation::Tanh) => 3,
        Some(Activation::Silu) => 4,
        Some(Activation::Hardswish) => 5,
        Some(Activation::Gelu) => 6,
        Some(Activation::GeluTanh) => 7,
        Some(Activation::Elu(_)) => 8,
        Some(Activation::Selu) => 9,
        Some(Activation::Celu(_)) => 10,
        Some(Activation::Hardsigmoid) => 11,
        Some(Activation::Mish) => 12,
        Some(Activation::Softplus(_)) => 13,
        Some(Activation::Softsign) => 14,
    }
}

params! {
    struct Params {
        rows: usize,
        width: usize,
        activation: ActivationParams,
    }
}

impl Activation {
    /// Returns the bounds of an activation that is a clamp, `None` for others.
    pub(crate) fn range(self) -> Option<[f32; 2]> {
        match self {
            Activation::Relu => Some([0.0, f32::INFINITY]),
            Activation::Relu6 => Some([0.0, 6.0]),
            // WGSL's clamp requires ordered bounds.
            Activation::Clamp(lo, hi) => Some([lo.min(hi), hi]),
            _ => None,
        }
    }

    /// Returns the operations of the formula: [`Cost::other`] of one element.
    pub(crate) fn operations(self) -> u64 {
        match self {
            Activation::Relu | Activation::Tanh => 1,
            Activation::Relu6 | Activation::LeakyRelu(_) | Activation::Clamp(..) => 2,
            Activation::Softsign => 3,
            Activation::Sigmoid | Activation::Elu(_) | Activation::Hardsigmoid => 4,
            // GELU is `x / 2 * (1 + erf(x / sqrt(2)))`.
            Activation::Silu
            | Activation::Hardswish
            | Activation::Gelu
            | Activation::Selu
            | Activation::Celu(_)
            | Activation::Mish
            | Activation::Softplus(_) => 5,
            // `x / 2 * (1 + tanh(a * (x + b * x * x * x)))`
            Activation::GeluTanh => 9,
        }
    }
}

impl Op for Activation {
    fn name(&self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Silu => "silu",
            Activation::Hardswish => "hardswish",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Elu(_) => "elu",
            Activation::Selu => "selu",
            Activation::Celu(_) => "celu",
            Activation::Hardsigmoid => "hardsigmoid",
            Activation::Mish => "mish",
            Activation::Softplus(_) => "softplus",
            Activation::Softsign => "softsign",
            Activation::Clamp(..) => "clamp",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if let Activation::Clamp(lo, hi) = *self {
            let open = lo < f32::INFINITY && hi > f32::NEG_INFINITY;
            if !open {
                return Err(ErrorKind::argument("min, max", "less than ∞, more than -∞", format_args!("{lo}, {hi}")));
            }
        }
        let divisor = match *self {
            Activation::Celu(alpha) => Some(("alpha", alpha)),
            Activation::Softplus(beta) => Some(("beta", beta)),
            _ => None,
        };
        match divisor {
            Some((name, 0.0)) => Err(ErrorKind::argument(name, "a number other than 0", 0)),
            _ => Ok(vec![x.clone()]),
        }
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let shape = &io.outputs[0];
        let params = |layout: Layout| {
            let (rows, width) = layout.texels(shape);
            Params { rows, width, activation: ActivationParams::new(Some(*self)) }
        };
        let shader = shader!("activation", "activation", "index", "nan").set("ACTIVATION", code(Some(*self)));
        Ok(texel_kernels(caps, shape, &shader, params))
    }

    /// Counts each operation and each function of the formula once per element.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::in_place(io.written().saturating_mul(self.operations()))).reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds an [`Activation`].
    pub fn activation(&mut self, x: Value, activation: Activation) -> Result<Value> {
        self.push(activation, &[x])
    }

    /// Adds [`Activation::Relu`].
    pub fn relu(&mut self, x: Value) -> Result<Value> {
        self.push(Activation::Relu, &[x])
    }

    /// Adds [`Activation::Clamp`].
    pub fn clamp(&mut self, x: Value, min: f32, max: f32) -> Result<Value> {
        self.push(Activation::Clamp(min, max), &[x])
    }
}
