//! 1-D transposed convolution.

use super::conv_transpose::ConvTranspose;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, Reach};
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};

/// `torch.nn.ConvTranspose1d`: `[N, C, L]` to `[N, O, L']`, with
/// `L' = (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`.
///
/// ```
/// use shadernet::{Constant, ops::ConvTranspose1d};
/// let weight = Constant::new("weight", [512, 256, 16], vec![0.01; 512 * 256 * 16]);
/// let eight_times_as_long = ConvTranspose1d::new(weight, None).stride(8).padding(4);
/// ```
#[derive(Clone, Debug)]
pub struct ConvTranspose1d {
    conv: ConvTranspose,
}

impl ConvTranspose1d {
    /// Creates a transposed convolution with weights `[in, out / groups, kernel size]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> ConvTranspose1d {
        ConvTranspose1d { conv: ConvTranspose::new(weight, bias) }
    }

    /// Sets the stride: the distance, in the output, between neighbouring input pixels.
    #[must_use]
    pub fn stride(mut self, stride: usize) -> ConvTranspose1d {
        self.conv.stride = [1, stride];
        self
    }

    /// Sets the padding: the pixels cut off at both ends.
    #[must_use]
    pub fn padding(self, padding: usize) -> ConvTranspose1d {
        self.pads([padding; 2])
    }

    /// Sets the pixels cut off at the left and the right, as in ONNX.
    #[must_use]
    pub fn pads(mut self, padding: [usize; 2]) -> ConvTranspose1d {
        self.conv.padding = [[0; 2], padding];
        self
    }

    /// Adds pixels at the right: fewer than the stride or the dilation.
    #[must_use]
    pub fn output_padding(mut self, output_padding: usize) -> ConvTranspose1d {
        self.conv.output_padding = [0, output_padding];
        self
    }

    /// Sets the dilation, the distance between taps.
    #[must_use]
    pub fn dilation(mut self, dilation: usize) -> ConvTranspose1d {
        self.conv.dilation = [1, dilation];
        self
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> ConvTranspose1d {
        self.conv.filters.groups = groups;
        self
    }
}

impl Op for ConvTranspose1d {
    fn name(&self) -> &'static str {
        "conv_transpose1d"
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
        Some(Box::new(ConvTranspose1d { conv: self.conv.fuse(next)? }))
    }
}

impl Graph {
    /// Adds a [`ConvTranspose1d`].
    pub fn conv_transpose1d(&mut self, x: Value, conv: ConvTranspose1d) -> Result<Value> {
        self.push(conv, &[x])
    }
}
