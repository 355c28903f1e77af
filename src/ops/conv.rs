//! Convolution in one to three dimensions, with fused batch norm, bias, residual addition and activation. All share one
//! lowering: a line is an image one pixel high, and the planes of a volume are images.

use super::affine::Affine;
use super::depthwise::Depthwise;
use super::epilogue::Epilogue;
use super::filters::Filters;
use super::gemm::{Gemm, Operand};
use super::separable::Separable;
use super::window::{Window, window_setters};
use super::{ImagePad, image_storage};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Io, Metrics, Op, Reach, Taps};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout};
use crate::{Graph, Shape, Value};
use std::ops::Range;

/// The most taps in a plane of a depthwise kernel, which holds them all in registers; and the most planes.
const MOST_TAPS: usize = 7 * 7;

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

/// `torch.nn.Conv1d`, `Conv2d`, `Conv3d`: a convolution along `D` axes, each of `n` pixels to
/// `floor((n + before + after - dilation (k - 1) - 1) / stride) + 1`.
#[derive(Clone, Debug)]
pub struct Conv<const D: usize> {
    filters: Filters,
    window: Window<D>,
    padding_mode: PaddingMode,
}

/// `torch.nn.Conv1d`: `[N, C, L]` to `[N, O, L']`, with
/// `L' = floor((L + left + right - dilation (k - 1) - 1) / stride) + 1`. A padding of `[[dilation (k - 1), 0]]` makes it
/// causal.
///
/// ```
/// use shadernet::{Constant, ops::Conv1d};
/// let weight = Constant::new("weight", [80, 1, 400], vec![0.01; 32_000])?;
/// let conv = Conv1d::new(weight, None).stride(160).padding(200);
/// # Ok::<(), shadernet::Error>(())
/// ```
pub type Conv1d = Conv<1>;

/// `torch.nn.Conv2d`: `[N, C, H, W]` to `[N, O, H', W']`, with
/// `H' = floor((H + top + bottom - dilation (k - 1) - 1) / stride) + 1`.
///
/// ```
/// use shadernet::{Constant, ops::{Conv2d, PaddingMode}};
/// let weight = Constant::new("weight", [8, 3, 3, 3], vec![0.1; 216])?;
/// let conv = Conv2d::new(weight, None).stride(2).padding([0, 1]).padding_mode(PaddingMode::Reflect);
/// # Ok::<(), shadernet::Error>(())
/// ```
pub type Conv2d = Conv<2>;

/// `torch.nn.Conv3d` with zero padding: `[N, C, D, H, W]` to `[N, O, D', H', W']`, with
/// `D' = floor((D + front + back - dilation (k - 1) - 1) / stride) + 1`.
///
/// ```
/// use shadernet::{Constant, ops::Conv3d};
/// let weight = Constant::new("weight", [8, 3, 3, 7, 7], vec![0.1; 8 * 3 * 3 * 7 * 7])?;
/// let conv = Conv3d::new(weight, None).stride([1, 2, 2]).padding([1, 3, 3]);
/// # Ok::<(), shadernet::Error>(())
/// ```
pub type Conv3d = Conv<3>;

impl<const D: usize> Conv<D> {
    /// Creates a convolution with weights `[out, in / groups, ..]`, the kernel's sizes last, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> Conv<D> {
        let window = Window::for_weight(&weight);
        Conv { filters: Filters::new(weight, bias), window, padding_mode: PaddingMode::Zeros }
    }

    window_setters!(D);

    /// Sets the padding mode, of lines and images.
    #[must_use]
    pub fn padding_mode(self, padding_mode: PaddingMode) -> Conv<D> {
        Conv { padding_mode, ..self }
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Conv<D> {
        self.filters.groups = groups;
        self
    }

    pub(crate) fn with_epilogue(mut self, epilogue: Epilogue) -> Conv<D> {
        self.filters.epilogue = epilogue;
        self
    }

    /// Returns the filters and the window, unless another operation is fused.
    pub(crate) fn parts(&self) -> Option<(&Filters, &Window<D>)> {
        (self.filters.epilogue == Epilogue::default()).then_some((&self.filters, &self.window))
    }

    /// Returns true if the padding needs an operation of its own.
    fn pads_apart(&self) -> bool {
        self.padding_mode != PaddingMode::Zeros && self.window.padding() != [[0; 2]; D]
    }

    /// Returns kernels that compute this convolution and the next one, which is pointwise, if such kernels pay.
    pub(super) fn with_pointwise(&self, io: &Io, next: &Conv<D>, next_io: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        let window = next.window.image();
        let pointwise = window.size == [1; 2] && window.stride == [1; 2] && window.before == [0; 2];
        let depthwise = self.depthwise(io).filter(|_| pointwise && next.filters.groups == 1)?;
        // Padding at the bottom or the right would make the output larger than the input.
        let same = next_io.inputs[0][2..] == next_io.outputs[0][2..];
        same.then(|| Separable { depthwise, pointwise: next.gemm(next_io) }.kernels(caps)).flatten()
    }

    /// Returns kernels that compute the next convolution with this one as its residual, if such kernels pay.
    pub(super) fn added(&self, io: &Io, next: &Conv<D>, next_io: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        next.gemm(next_io).with_product(&self.gemm(io), caps)
    }

    /// Returns the kernels that compute this convolution and the max pooling of its output, if there are any.
    pub(super) fn pooled(&self, io: &Io, pool: Window, pooled: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        self.gemm(io).pooled(pool, Image::new(&pooled.outputs[0]), caps)
    }

    /// Returns this convolution as a depthwise one, if the depthwise kernel can compute it.
    fn depthwise(&self, io: &Io) -> Option<Depthwise<'_>> {
        let (x, y, window) = (Image::planes(&io.inputs[0]), Image::planes(&io.outputs[0]), self.window.image());
        let depth = self.window.depth(&io.inputs[0], &io.outputs[0]);
        let Filters { weight, bias, groups, epilogue } = &self.filters;
        let few_taps =
            window.size[0] * window.size[1] <= MOST_TAPS && depth.is_none_or(|depth| depth.size <= MOST_TAPS);
        (*groups == x.c && x.c == y.c && *groups > 1 && few_taps).then_some(Depthwise {
            x,
            y,
            window,
            depth,
            weight,
            bias: bias.as_ref(),
            epilogue: *epilogue,
        })
    }

    /// Returns the convolution equal to this one applied to the affine's `x * scale + shift`; `None` if the padding would
    /// be shifted too.
    pub(crate) fn after(&self, affine: &Affine) -> Option<Conv<D>> {
        let fits = !affine.shifts || self.window.padding() == [[0; 2]; D];
        fits.then(|| Conv { filters: self.filters.after(affine), ..self.clone() })
    }

    /// Returns the convolution that gives only these output channels, unless a residual is added or groups restrict what a
    /// channel reads.
    pub(crate) fn of_channels(&self, channels: &Range<usize>) -> Option<Conv<D>> {
        let Filters { weight, bias, groups, epilogue } = &self.filters;
        if *groups != 1 || epilogue.residual.is_some() {
            return None;
        }
        let (weight, bias) = (weight.rows_of(channels), bias.as_ref().map(|bias| bias.rows_of(channels)));
        Some(Conv { filters: Filters { weight, bias, ..self.filters.clone() }, ..self.clone() })
    }

    pub(super) fn gemm(&self, io: &Io) -> Gemm<'_> {
        let Filters { weight, bias, groups, epilogue } = &self.filters;
        Gemm {
            x: Image::planes(&io.inputs[0]),
            y: Image::planes(&io.outputs[0]),
            layout: Layout::channels,
            window: self.window.image(),
            depth: self.window.depth(&io.inputs[0], &io.outputs[0]),
            groups: *groups,
            lines: None,
            parts: &[],
            pools: false,
            w: Operand::Weight(weight),
            bias: bias.as_ref(),
            epilogue: *epilogue,
        }
    }
}

impl<const D: usize> Op for Conv<D> {
    fn name(&self) -> &'static str {
        ["conv1d", "conv2d", "conv3d"][D - 1]
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let out = self.filters.expect::<D>(inputs, false)?;
        if self.pads_apart() {
            let wanted = "zeros (for lines and images, the method of Graph adds an operation that pads otherwise)";
            return Err(ErrorKind::argument("padding_mode", wanted, format_args!("{:?}", self.padding_mode)));
        }
        self.filters.output(inputs, out, &self.window.outputs(&inputs[0])?)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Some(depthwise) = self.depthwise(io) else { return self.gemm(io).kernels(caps) };
        let each = image_storage(caps).iter().enumerate();
        Ok(each
            .filter_map(|(priority, &storage)| Some(depthwise.kernel(storage, caps)?.priority(priority as u8)))
            .collect())
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        Metrics::new(self.filters.cost(io, y.elements() / y[1], self.window.touched(x, y)))
            .reach(Reach::Window(self.window.taps(Taps::window)))
            .parameters(self.filters.parameters())
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(Conv { filters: self.filters.with(next, false)?, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`Conv1d`]. Any padding but zeros becomes a [`Pad1d`](super::Pad1d) before it.
    pub fn conv1d(&mut self, x: Value, conv: Conv1d) -> Result<Value> {
        self.conv(x, conv)
    }

    /// Adds a [`Conv2d`]. Any padding but zeros becomes a [`Pad2d`](super::Pad2d) before it.
    pub fn conv2d(&mut self, x: Value, conv: Conv2d) -> Result<Value> {
        self.conv(x, conv)
    }

    /// Adds a [`Conv3d`].
    pub fn conv3d(&mut self, x: Value, conv: Conv3d) -> Result<Value> {
        self.conv(x, conv)
    }

    pub(crate) fn conv<const D: usize>(&mut self, x: Value, conv: Conv<D>) -> Result<Value> {
        if D == 3 || !conv.pads_apart() {
            return self.push(conv, &[x]);
        }
        let padding = conv.window.padding().map(|sides| sides.map(|pixels| pixels as isize));
        let x = self.push(ImagePad { padding, mode: conv.padding_mode, value: 0.0 }, &[x])?;
        self.push(conv.padding(0), &[x])
    }
}
