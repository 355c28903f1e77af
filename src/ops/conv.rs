//! Convolution in one to three dimensions, with fused batch norm, bias, residual addition and activation. A line of
//! pixels is an image one pixel high, so that one lowering serves both.

use super::affine::Affine;
use super::depthwise::Depthwise;
use super::epilogue::Epilogue;
use super::gemm::{Gemm, Operand};
use super::separable::Separable;
use super::window::{Window, expect_countable, window_setters};
use super::{BatchNorm2d, ImagePad, Pool, conv3d, image_storage};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, Taps};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::shape::expect_rank;
use crate::{Graph, Shape, Value};
use std::ops::Range;

/// The weights, the bias, the groups and the fused epilogue of a convolution.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    pub(crate) weight: Constant,
    pub(crate) bias: Option<Constant>,
    pub(crate) groups: usize,
    pub(crate) epilogue: Epilogue,
}

impl Filters {
    pub(crate) fn new(weight: Constant, bias: Option<Constant>) -> Filters {
        Filters { weight, bias, groups: 1, epilogue: Epilogue::default() }
    }

    /// Checks inputs and weights of a convolution along `D` axes, and returns the number of output channels. `weight` is
    /// `[out, in / groups, ..]`, or `[in, out / groups, ..]` if `transposed`.
    pub(crate) fn expect<const D: usize>(&self, inputs: &[Shape], transposed: bool) -> Result<usize, ErrorKind> {
        self.epilogue.expect_inputs(inputs)?;
        expect_rank("input", &inputs[0], D + 2)?;
        expect_rank("weight", self.weight.shape(), D + 2)?;
        let [first, second] = [self.weight.shape()[0], self.weight.shape()[1]];
        // `second` counts the channels of one group, `first` those of all groups.
        let all = second.saturating_mul(self.groups);
        let (channels, out) = if transposed { (first, all) } else { (all, first) };
        if self.groups == 0 || inputs[0][1] != channels {
            let per_group = if transposed { first / self.groups.max(1) } else { second };
            let axes = ["L", "H, W", "D, H, W"][D - 1];
            let wanted = format!("[N, {channels}, {axes}] ({} groups of {per_group} channels)", self.groups);
            return Err(ErrorKind::argument("input", wanted, &inputs[0]));
        }
        if first % self.groups != 0 {
            let kind = if transposed { "input" } else { "output" };
            return Err(ErrorKind::argument("groups", format!("a divisor of {first} {kind} channels"), self.groups));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.shape()[..] != [out]) {
            return Err(ErrorKind::argument("bias", Shape::from([out]), bias.shape()));
        }
        Ok(out)
    }

    /// Returns the output's shape, if its elements can be counted and the residual has the same shape.
    pub(crate) fn output(&self, inputs: &[Shape], out: usize, sizes: &[usize]) -> Result<Vec<Shape>, ErrorKind> {
        let shape = Shape::from([&[inputs[0][0], out], sizes].concat());
        expect_countable(&shape)?;
        self.epilogue.output(inputs, shape)
    }

    /// Returns the cost: each weight meets `positions` pixels of one channel; `touched` elements of the input are read.
    pub(crate) fn cost(&self, io: &Io, positions: usize, touched: usize) -> Cost {
        let weights = self.weight.shape().elements() as u64;
        let parameters = weights + self.bias.as_ref().map_or(0, |bias| bias.shape().elements() as u64);
        let skipped = (io.inputs[0].elements() - touched) as u64;
        let moved = io.read().saturating_sub(skipped).saturating_add(parameters).saturating_add(io.written());
        Cost {
            weights,
            parameters,
            macs: weights.saturating_mul(positions as u64),
            other: self.epilogue.other(self.bias.is_some(), io.written()),
            moves: (skipped > 0).then_some(moved),
            activations: true,
        }
    }

    /// Returns the number of output channels of a group, for weights `[out, in / groups, ..]`.
    pub(crate) fn group_out(&self) -> usize {
        self.weight.shape()[0] / self.groups
    }

    /// Packs blocks of `4 out4` output channels of one group: filters, `[tap][channel][out4]` texels, then the bias.
    pub(crate) fn pack(&self, out4: usize, blocks: Range<usize>) -> Prepacked {
        let (weight, bias, group_out) = (self.weight.clone(), self.bias.clone(), self.group_out());
        let taps: usize = weight.shape()[2..].iter().product();
        let k = taps * weight.shape()[1];
        let (lanes, group_blocks) = (4 * out4, group_out.div_ceil(4 * out4));
        let bias_id = bias.as_ref().map(Constant::id);
        let sizes = [taps, group_out, out4, blocks.start, blocks.end];
        let key = WeightKey::new("conv blocks").constants([Some(weight.id()), bias_id]).sizes(sizes);
        let texels = (blocks.len(), (k + 1) * out4);
        let values = move || {
            let (from, bias) = (weight.values(), bias.as_ref().map(Constant::values));
            let mut to = vec![0.0; blocks.len() * (k + 1) * lanes];
            for (block, to) in blocks.clone().zip(to.chunks_exact_mut((k + 1) * lanes)) {
                let within = block % group_blocks * lanes;
                for lane in 0..lanes.min(group_out - within) {
                    let o = block / group_blocks * group_out + within + lane;
                    for (i, &value) in from[o * k..][..k].iter().enumerate() {
                        let (c, tap) = (i / taps, i % taps);
                        to[(tap * (k / taps) + c) * lanes + lane] = value;
                    }
                    to[k * lanes + lane] = bias.as_ref().map_or(0.0, |bias| bias[o]);
                }
            }
            to
        };
        Prepacked::new(key, Storage::Buffer, texels, values)
    }

    pub(crate) fn parameters(&self) -> Vec<&Constant> {
        std::iter::once(&self.weight).chain(&self.bias).collect()
    }

    /// Returns these filters with the next operation fused, if they can fuse it.
    pub(crate) fn with(&self, next: &dyn Op, transposed: bool) -> Option<Filters> {
        if let Some(epilogue) = self.epilogue.with(next) {
            return Some(Filters { epilogue, ..self.clone() });
        }
        let unfinished = !self.epilogue.residual && self.epilogue.activation.is_none();
        let norm = next.downcast_ref::<BatchNorm2d>().filter(|_| unfinished)?;
        let epilogue = Epilogue { residual: false, activation: norm.activation() };
        Some(Filters { epilogue, ..self.then(&norm.affine(), transposed) })
    }

    /// Returns these filters with the affine after them folded in: `w' = w * scale`, `b' = b * scale + shift`.
    fn then(&self, affine: &Affine, transposed: bool) -> Filters {
        let [first, second] = [self.weight.shape()[0], self.weight.shape()[1]];
        let taps: usize = self.weight.shape()[2..].iter().product();
        let (of_group, outputs) = (first / self.groups, if transposed { second * self.groups } else { first });
        // The output channel of each filter, which has `each` values.
        let each = if transposed { taps } else { second * taps };
        let channel = move |i: usize| if transposed { i / second / of_group * second + i % second } else { i };
        let (weight, bias) = affine.after(&self.weight, self.bias.as_ref(), outputs, each, channel);
        Filters { weight, bias, ..self.clone() }
    }

    /// Returns filters that give of `x` what these give of the affine's `x * scale + shift`.
    fn after(&self, affine: &Affine) -> Filters {
        let shape = self.weight.shape();
        let (out, group_in, taps) = (shape[0], shape[1], shape[2..].iter().product::<usize>());
        let group_out = self.group_out();
        let input = move |i: usize| i / taps / group_in / group_out * group_in + i / taps % group_in;
        let (weight, bias) = affine.before(&self.weight, self.bias.as_ref(), [group_in * self.groups, out], input);
        Filters { weight, bias, ..self.clone() }
    }
}

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

    /// Returns the kernels over lines or images.
    pub(crate) fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Some(depthwise) = self.depthwise(io) else { return self.gemm(io).kernels(caps) };
        let each = image_storage(caps).iter().enumerate();
        Ok(each
            .filter_map(|(priority, &storage)| Some(depthwise.kernel(storage, caps)?.priority(priority as u8)))
            .collect())
    }

    /// Returns kernels that compute this convolution and the next one, which is pointwise, if such kernels pay.
    fn with_pointwise(&self, io: &Io, next: &Conv<D>, next_io: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        let window = next.window.image();
        let pointwise = window.size == [1; 2] && window.stride == [1; 2] && window.before == [0; 2];
        let depthwise = self.depthwise(io).filter(|_| pointwise && next.filters.groups == 1)?;
        // Padding at the bottom or the right would make the output larger than the input.
        let same = next_io.inputs[0][2..] == next_io.outputs[0][2..];
        same.then(|| Separable { depthwise, pointwise: next.gemm(next_io) }.kernels(caps)).flatten()
    }

    /// Returns kernels that compute the next convolution with this one as its residual, if such kernels pay.
    fn added(&self, io: &Io, next: &Conv<D>, next_io: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        next.gemm(next_io).with_product(&self.gemm(io), caps)
    }

    /// Returns the kernels that compute this convolution and the max pooling of its output, if there are any.
    fn pooled(&self, io: &Io, pool: Window, pooled: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        self.gemm(io).pooled(pool, Image::new(&pooled.outputs[0]), caps)
    }

    /// Returns this convolution as a depthwise one, if the depthwise kernel can compute it.
    fn depthwise(&self, io: &Io) -> Option<Depthwise<'_>> {
        let (x, y, window) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]), self.window.image());
        let Filters { weight, bias, groups, epilogue } = &self.filters;
        // The depthwise kernel holds all taps in registers.
        let few_taps = window.size[0] * window.size[1] <= 49;
        (*groups == x.c && x.c == y.c && *groups > 1 && few_taps).then_some(Depthwise {
            x,
            y,
            window,
            weight,
            bias: bias.as_ref(),
            epilogue: *epilogue,
        })
    }

    /// Returns the convolution that gives of `x` what this one gives of the affine's `x * scale + shift`: none where the
    /// padding would be shifted too.
    pub(crate) fn after(&self, affine: &Affine) -> Option<Conv<D>> {
        let fits = !affine.shifts || self.window.padding() == [[0; 2]; D];
        fits.then(|| Conv { filters: self.filters.after(affine), ..self.clone() })
    }

    fn gemm(&self, io: &Io) -> Gemm<'_> {
        let Filters { weight, bias, groups, epilogue } = &self.filters;
        Gemm {
            x: Image::new(&io.inputs[0]),
            y: Image::new(&io.outputs[0]),
            layout: Layout::channels,
            window: self.window.image(),
            groups: *groups,
            lines: None,
            w: Operand::Weight(weight),
            bias: bias.as_ref(),
            epilogue: *epilogue,
        }
    }
}

/// Returns kernels that compute an operation and the only reader of its output in one step, if such kernels pay on the
/// device. The reader reads the output as the input `position`. The kernels' inputs are the first operation's, then the
/// other ones of the reader.
pub(crate) fn joined(
    (op, io): (&dyn Op, &Io),
    (next, next_io): (&dyn Op, &Io),
    position: usize,
    caps: &Caps,
) -> Option<Vec<Kernel>> {
    let conv: &Conv2d = op.downcast_ref()?;
    match (next.downcast_ref::<Conv2d>(), position) {
        (Some(next), 0) => conv.with_pointwise(io, next, next_io, caps),
        (Some(next), _) => conv.added(io, next, next_io, caps),
        _ => conv.pooled(io, next.downcast_ref::<Pool<2>>()?.largest()?, next_io, caps),
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
        if D == 3 {
            conv3d::kernels(&self.filters, &self.window.over(), io, caps)
        } else {
            Conv::kernels(self, io, caps)
        }
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
