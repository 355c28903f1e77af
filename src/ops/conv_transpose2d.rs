//! 2-D transposed convolution.

use super::conv_transpose::ConvTranspose;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, Reach};
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};

/// `torch.nn.ConvTranspose2d`: `[N, C, H, W]` to `[N, O, H', W']`, with
/// `H' = (H - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`.
///
/// ```
/// use shadernet::{Constant, ops::ConvTranspose2d};
/// let weight = Constant::new("weight", [8, 3, 4, 4], vec![0.1; 8 * 3 * 16]);
/// let twice_as_large = ConvTranspose2d::new(weight, None).stride(2).padding(1);
/// ```
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    conv: ConvTranspose,
}

impl ConvTranspose2d {
    /// Creates a transposed convolution with weights `[in, out / groups, kernel height, width]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> ConvTranspose2d {
        ConvTranspose2d { conv: ConvTranspose::new(weight, bias) }
    }

    /// Sets the stride: the distance, in the output, between neighbouring input pixels, vertical and horizontal.
    #[must_use]
    pub fn stride(self, stride: usize) -> ConvTranspose2d {
        self.strides([stride; 2])
    }

    /// Sets the stride, `[vertical, horizontal]`.
    #[must_use]
    pub fn strides(mut self, stride: [usize; 2]) -> ConvTranspose2d {
        self.conv.stride = stride;
        self
    }

    /// Sets the padding: the pixels cut off at all four sides.
    #[must_use]
    pub fn padding(self, padding: usize) -> ConvTranspose2d {
        self.paddings([padding; 2])
    }

    /// Sets the pixels cut off at both ends of `[vertical, horizontal]`.
    #[must_use]
    pub fn paddings(mut self, padding: [usize; 2]) -> ConvTranspose2d {
        self.conv.padding = padding.map(|padding| [padding; 2]);
        self
    }

    /// Sets the pixels cut off at the start and the end of `[vertical, horizontal]`, as in ONNX.
    #[must_use]
    pub fn pads(mut self, padding: [[usize; 2]; 2]) -> ConvTranspose2d {
        self.conv.padding = padding;
        self
    }

    /// Adds pixels at the bottom and the right: fewer than the stride or the dilation.
    #[must_use]
    pub fn output_padding(self, output_padding: usize) -> ConvTranspose2d {
        self.output_paddings([output_padding; 2])
    }

    /// Adds pixels, `[at the bottom, at the right]`.
    #[must_use]
    pub fn output_paddings(mut self, output_padding: [usize; 2]) -> ConvTranspose2d {
        self.conv.output_padding = output_padding;
        self
    }

    /// Sets the dilation, the distance between taps, vertical and horizontal.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> ConvTranspose2d {
        self.dilations([dilation; 2])
    }

    /// Sets the dilation, the distance between taps, `[vertical, horizontal]`.
    #[must_use]
    pub fn dilations(mut self, dilation: [usize; 2]) -> ConvTranspose2d {
        self.conv.dilation = dilation;
        self
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> ConvTranspose2d {
        self.conv.filters.groups = groups;
        self
    }
}

impl Op for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.conv.output_shapes(inputs, "H, W")
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
        Some(Box::new(ConvTranspose2d { conv: self.conv.fuse(next)? }))
    }
}

impl Graph {
    /// Adds a [`ConvTranspose2d`].
    pub fn conv_transpose2d(&mut self, x: Value, conv: ConvTranspose2d) -> Result<Value> {
        self.push(conv, &[x])
    }
}
