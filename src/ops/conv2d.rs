//! 2-D convolution, with fused batch norm, bias, residual addition and activation.

use super::Pool2d;
use super::affine::Affine;
use super::conv::Conv;
use super::epilogue::Epilogue;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Next, Op, Reach};
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};

/// The values beyond the edge of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingMode {
    /// 0
    #[default]
    Zeros,
    /// The image mirrored at its edge pixel, which isn't repeated
    Reflect,
    /// The edge pixel
    Replicate,
    /// The opposite edge
    Circular,
}

/// `torch.nn.Conv2d`: `[N, C, H, W]` to `[N, O, H', W']`, with
/// `H' = floor((H + top + bottom - dilation (k - 1) - 1) / stride) + 1`.
///
/// ```
/// use shadernet::{Constant, ops::{Conv2d, PaddingMode}};
/// let weight = Constant::new("weight", [8, 3, 3, 3], vec![0.1; 216]);
/// let conv = Conv2d::new(weight, None).stride(2).padding(1).padding_mode(PaddingMode::Reflect);
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d {
    conv: Conv,
}

impl Conv2d {
    /// Creates a convolution with weights `[out, in / groups, kernel height, kernel width]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> Conv2d {
        Conv2d { conv: Conv::new(weight, bias) }
    }

    /// Sets the stride, vertical and horizontal.
    #[must_use]
    pub fn stride(self, stride: usize) -> Conv2d {
        self.strides([stride; 2])
    }

    /// Sets the stride, `[vertical, horizontal]`.
    #[must_use]
    pub fn strides(mut self, stride: [usize; 2]) -> Conv2d {
        self.conv.stride = stride;
        self
    }

    /// Sets the padding on all four sides.
    #[must_use]
    pub fn padding(self, padding: usize) -> Conv2d {
        self.paddings([padding; 4])
    }

    /// Sets the padding, `[top, bottom, left, right]`.
    #[must_use]
    pub fn paddings(mut self, padding: [usize; 4]) -> Conv2d {
        self.conv.padding = padding;
        self
    }

    /// Sets the padding mode.
    #[must_use]
    pub fn padding_mode(mut self, padding_mode: PaddingMode) -> Conv2d {
        self.conv.padding_mode = padding_mode;
        self
    }

    /// Sets the dilation, the distance between taps, vertical and horizontal.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Conv2d {
        self.dilations([dilation; 2])
    }

    /// Sets the dilation, the distance between taps, `[vertical, horizontal]`.
    #[must_use]
    pub fn dilations(mut self, dilation: [usize; 2]) -> Conv2d {
        self.conv.dilation = dilation;
        self
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Conv2d {
        self.conv.filters.groups = groups;
        self
    }

    pub(crate) fn with_epilogue(mut self, epilogue: Epilogue) -> Conv2d {
        self.conv.filters.epilogue = epilogue;
        self
    }
}

impl Conv2d {
    /// See [`Conv::after`].
    pub(crate) fn after(&self, affine: &Affine) -> Option<Conv2d> {
        Some(Conv2d { conv: self.conv.after(affine)? })
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.conv.output_shapes(inputs, "H, W")
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        self.conv.kernels(io, caps)
    }

    fn joined(&self, io: &Io, rest: &[Next], caps: &Caps) -> Option<(usize, Vec<Kernel>)> {
        let Next { op, io: next_io, position } = rest.first()?;
        let kernels = match (op.downcast_ref::<Conv2d>(), position) {
            (Some(next), 0) => self.conv.joined(io, &next.conv, next_io, caps),
            (Some(next), _) => self.conv.added(io, &next.conv, next_io, caps),
            _ => self.conv.pooled(io, op.downcast_ref::<Pool2d>()?.largest()?, next_io, caps),
        };
        Some((1, kernels?))
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
        Some(Box::new(Conv2d { conv: self.conv.fuse(next)? }))
    }
}

impl Graph {
    /// Adds a [`Conv2d`]. Any padding but zeros becomes a [`Pad2d`](super::Pad2d) before it.
    pub fn conv2d(&mut self, x: Value, conv: Conv2d) -> Result<Value> {
        if !conv.conv.pads_apart() {
            return self.push(conv, &[x]);
        }
        let x = self.pad2d(x, conv.conv.padding.map(|pixels| pixels as isize), conv.conv.padding_mode)?;
        self.push(conv.padding(0), &[x])
    }
}
