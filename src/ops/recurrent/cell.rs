//! The cells of recurrent layers, and the functions of their gates.

use crate::ops::activation::{Activation, ActivationParams, code};

/// The cell of a [`Recurrent`](super::Recurrent) layer: what makes the next state of one step's input. W x is the product of the input
/// with its biases, h the state, R the layer's weight; `·` multiplies element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecurrentCell {
    /// `torch.nn.RNN`: `h' = f(W x + R h)`, f = tanh
    Rnn,
    /// ONNX's `GRU`, gates z, r, n: `z = f(W x + R h)`, `r = f(W x + R h)`, `n = g(W x + R (r · h))`,
    /// `h' = (1 - z) · n + z · h`, f = sigmoid, g = tanh
    Gru,
    /// `torch.nn.GRU`, ONNX's with `linear_before_reset`; as [`RecurrentCell::Gru`], with `n = g(W x + r · (R h + b))`.
    /// The gates' order is z, r, n; PyTorch's is r, z, n.
    GruResetAfter,
    /// `torch.nn.LSTM`, gates i, o, f, n: `i = f(W x + R h + p · c)`, `f = f(W x + R h + p · c)`, `n = g(W x + R h)`,
    /// `c' = f · c + i · n`, `o = f(W x + R h + p · c')`, `h' = o · h(c')`, f = sigmoid, g = h = tanh. p are peepholes, if
    /// there are some. PyTorch's order of the gates is i, f, n, o.
    Lstm,
}

impl RecurrentCell {
    /// Returns the number of gates: rows of weights for each unit.
    pub const fn gates(self) -> usize {
        match self {
            RecurrentCell::Rnn => 1,
            RecurrentCell::Gru | RecurrentCell::GruResetAfter => 3,
            RecurrentCell::Lstm => 4,
        }
    }

    /// Returns the number of states: h, and c of an LSTM.
    pub const fn states(self) -> usize {
        if matches!(self, RecurrentCell::Lstm) { 2 } else { 1 }
    }

    /// Returns the usual functions f, g and h: as many as the cell has.
    pub fn functions(self) -> Vec<GateFunction> {
        let tanh = Activation::Tanh.into();
        match self {
            RecurrentCell::Rnn => vec![tanh],
            RecurrentCell::Gru | RecurrentCell::GruResetAfter => vec![Activation::Sigmoid.into(), tanh],
            RecurrentCell::Lstm => vec![Activation::Sigmoid.into(), tanh, tanh],
        }
    }

    /// Returns the number of extra rows, one number for each unit.
    pub(super) const fn extras(self) -> usize {
        match self {
            RecurrentCell::Rnn | RecurrentCell::Gru => 0,
            RecurrentCell::GruResetAfter => 1,
            RecurrentCell::Lstm => 3,
        }
    }
}

/// A function of a gate: `factor * activation(scale * x + shift)`; an [`Activation`] as it is, or one of these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateFunction {
    activation: Option<Activation>,
    scale: f32,
    shift: f32,
    factor: f32,
    /// The number up to which x counts as 0.
    threshold: Option<f32>,
}

impl From<Activation> for GateFunction {
    fn from(activation: Activation) -> GateFunction {
        GateFunction { activation: Some(activation), ..GateFunction::affine(1.0, 0.0) }
    }
}

impl GateFunction {
    /// Returns `alpha * x + beta`.
    pub fn affine(alpha: f32, beta: f32) -> GateFunction {
        GateFunction { activation: None, scale: alpha, shift: beta, factor: 1.0, threshold: None }
    }

    /// Returns `alpha * tanh(beta * x)`.
    pub fn scaled_tanh(alpha: f32, beta: f32) -> GateFunction {
        GateFunction { scale: beta, factor: alpha, ..Activation::Tanh.into() }
    }

    /// Returns `min(max(alpha * x + beta, 0), 1)`.
    pub fn hard_sigmoid(alpha: f32, beta: f32) -> GateFunction {
        GateFunction { activation: Some(Activation::Clamp(0.0, 1.0)), ..GateFunction::affine(alpha, beta) }
    }

    /// Returns `x` where it is more than `alpha`, else 0.
    pub fn thresholded_relu(alpha: f32) -> GateFunction {
        GateFunction { threshold: Some(alpha), ..GateFunction::affine(1.0, 0.0) }
    }

    /// Returns the code of `shaders/recurrent.wgsl`.
    pub(super) fn code(self) -> u32 {
        if self.threshold.is_some() { 15 } else { code(self.activation) }
    }

    pub(super) fn numbers(self, clip: Option<f32>) -> [[f32; 4]; 2] {
        let [lo, hi, alpha] = ActivationParams::new(self.activation).numbers();
        [
            [self.scale, self.shift, self.factor, self.threshold.unwrap_or(alpha)],
            [lo, hi, clip.unwrap_or(f32::INFINITY), 0.0],
        ]
    }
}
