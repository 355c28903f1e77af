//! 1-D convolution: a 2-D convolution over images one pixel high, with the same kernels and the same fusions.

use super::PaddingMode;
use super::affine::Affine;
use super::conv::Conv;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, Reach};
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};

/// `torch.nn.Conv1d`: `[N, C, L]` to `[N, O, L']`, with
/// `L' = floor((L + left + right - dilation (k - 1) - 1) / stride) + 1`.
///
/// ```
/// use shadernet::{Constant, ops::Conv1d};
/// let weight = Constant::new("weight", [80, 1, 400], vec![0.01; 32_000]);
/// let conv = Conv1d::new(weight, None).stride(160).padding(200);
/// ```
#[derive(Clone, Debug)]
pub struct Conv1d {
    conv: Conv,
}

impl Conv1d {
    /// Creates a convolution with weights `[out, in / groups, kernel size]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> Conv1d {
        Conv1d { conv: Conv::new(weight, bias) }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(mut self, stride: usize) -> Conv1d {
        self.conv.stride = [1, stride];
        self
    }

    /// Sets the padding on both sides.
    #[must_use]
    pub fn padding(self, padding: usize) -> Conv1d {
        self.paddings([padding; 2])
    }

    /// Sets the padding, `[left, right]`; `[dilation (k - 1), 0]` makes the convolution causal.
    #[must_use]
    pub fn paddings(mut self, [left, right]: [usize; 2]) -> Conv1d {
        self.conv.padding = [0, 0, left, right];
        self
    }

    /// Sets the padding mode.
    #[must_use]
    pub fn padding_mode(mut self, padding_mode: PaddingMode) -> Conv1d {
        self.conv.padding_mode = padding_mode;
        self
    }

    /// Sets the dilation, the distance between taps.
    #[must_use]
    pub fn dilation(mut self, dilation: usize) -> Conv1d {
        self.conv.dilation = [1, dilation];
        self
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Conv1d {
        self.conv.filters.groups = groups;
        self
    }
}

impl Conv1d {
    /// See [`Conv::after`].
    pub(crate) fn after(&self, affine: &Affine) -> Option<Conv1d> {
        Some(Conv1d { conv: self.conv.after(affine)? })
    }
}

impl Op for Conv1d {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.conv.output_shapes(inputs, "L")
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        self.conv.kernels(io, caps)
    }

    fn cost(&self, io: &Io) -> Cost {
        self.conv.cost(io)
    }

    fn reach(&self, io: &Io) -> Reach {
        self.conv.reach(io)
    }

    fn parameters(&self) -> Vec<&Constant> {
        self.conv.filters.parameters()
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(Conv1d { conv: self.conv.fuse(next)? }))
    }
}

impl Graph {
    /// Adds a [`Conv1d`]. Any padding but zeros becomes a [`Pad1d`](super::Pad1d) before it.
    pub fn conv1d(&mut self, x: Value, conv: Conv1d) -> Result<Value> {
        if !conv.conv.pads_apart() {
            return self.push(conv, &[x]);
        }
        let [.., left, right] = conv.conv.padding.map(|samples| samples as isize);
        let x = self.pad1d(x, [left, right], conv.conv.padding_mode)?;
        self.push(conv.padding(0), &[x])
    }
}
