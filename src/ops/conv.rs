//! The common part of 1-D, 2-D and 3-D convolution, and all of 1-D and 2-D convolution: a line of pixels is an image
//! one pixel high, so that one lowering serves both.

use super::affine::Affine;
use super::depthwise::Depthwise;
use super::epilogue::Epilogue;
use super::gemm::{Gemm, Operand};
use super::separable::Separable;
use super::window::{Window, expect_countable};
use super::{BatchNorm2d, PaddingMode, image_storage};
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, Reach};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::shape::expect_rank;
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

    /// Checks inputs and weights, and returns the number of output channels. `axes` are the letters of the spatial
    /// dimensions. `weight` is `[out, in / groups, ..]`, or `[in, out / groups, ..]` if `transposed`.
    pub(crate) fn expect(&self, inputs: &[Shape], axes: &str, transposed: bool) -> Result<usize, ErrorKind> {
        self.epilogue.expect_inputs(inputs)?;
        let rank = axes.split(", ").count() + 2;
        expect_rank("input", &inputs[0], rank)?;
        expect_rank("weight", self.weight.shape(), rank)?;
        let [first, second] = [self.weight.shape()[0], self.weight.shape()[1]];
        // `second` counts the channels of one group, `first` those of all groups.
        let all = second.saturating_mul(self.groups);
        let (channels, out) = if transposed { (first, all) } else { (all, first) };
        if self.groups == 0 || inputs[0][1] != channels {
            let per_group = if transposed { first / self.groups.max(1) } else { second };
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

/// A convolution over images or, where `weight` has three dimensions, over lines.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    pub(crate) filters: Filters,
    pub(crate) stride: [usize; 2],
    /// `[top, bottom, left, right]`
    pub(crate) padding: [usize; 4],
    pub(crate) dilation: [usize; 2],
    pub(crate) padding_mode: PaddingMode,
}

impl Conv {
    pub(crate) fn new(weight: Constant, bias: Option<Constant>) -> Conv {
        Conv {
            filters: Filters::new(weight, bias),
            stride: [1; 2],
            padding: [0; 4],
            dilation: [1; 2],
            padding_mode: PaddingMode::Zeros,
        }
    }

    /// Returns true if the padding needs an operation of its own.
    pub(crate) fn pads_apart(&self) -> bool {
        self.padding_mode != PaddingMode::Zeros && self.padding != [0; 4]
    }

    fn window(&self) -> Window {
        let before = [self.padding[0], self.padding[2]];
        Window { size: kernel_size(&self.filters.weight), stride: self.stride, dilation: self.dilation, before }
    }

    /// Returns the output's shape. `axes` are the letters of the spatial dimensions.
    pub(crate) fn output_shapes(&self, inputs: &[Shape], axes: &str) -> Result<Vec<Shape>, ErrorKind> {
        let out = self.filters.expect(inputs, axes, false)?;
        if self.pads_apart() {
            let wanted = "zeros (the method of Graph adds an operation that pads otherwise)";
            return Err(ErrorKind::argument("padding_mode", wanted, format_args!("{:?}", self.padding_mode)));
        }
        let Image { h, w, .. } = Image::of(&inputs[0]);
        let [top, bottom, left, right] = self.padding;
        let h = self.window().output(0, h, top.saturating_add(bottom))?;
        let w = self.window().output(1, w, left.saturating_add(right))?;
        let sizes = [h, w];
        self.filters.output(inputs, out, &sizes[4 - inputs[0].len()..])
    }

    pub(crate) fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Some(depthwise) = self.depthwise(io) else { return self.gemm(io).kernels(caps) };
        let each = image_storage(caps).iter().enumerate();
        Ok(each
            .filter_map(|(priority, &storage)| Some(depthwise.kernel(storage, caps)?.priority(priority as u8)))
            .collect())
    }

    /// Returns kernels that compute this convolution and the next one together, if such kernels pay.
    pub(crate) fn joined(&self, io: &Io, next: &Conv, next_io: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        let window = next.window();
        let pointwise = window.size == [1; 2] && window.stride == [1; 2] && window.before == [0; 2];
        let depthwise = self.depthwise(io).filter(|_| pointwise && next.filters.groups == 1)?;
        // Padding at the bottom or the right would make the output larger than the input.
        let same = next_io.inputs[0][2..] == next_io.outputs[0][2..];
        same.then(|| Separable { depthwise, pointwise: next.gemm(next_io) }.kernels(caps)).flatten()
    }

    /// Returns kernels that compute the next convolution with this one as its residual, if such kernels pay.
    pub(crate) fn added(&self, io: &Io, next: &Conv, next_io: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        next.gemm(next_io).with_product(&self.gemm(io), caps)
    }

    /// Returns the kernels that compute this convolution and the max pooling of its output, if there are any.
    pub(crate) fn pooled(&self, io: &Io, pool: Window, pooled: &Io, caps: &Caps) -> Option<Vec<Kernel>> {
        self.gemm(io).pooled(pool, Image::of(&pooled.outputs[0]), caps)
    }

    /// Returns this convolution as a depthwise one, if the depthwise kernel can compute it.
    fn depthwise(&self, io: &Io) -> Option<Depthwise<'_>> {
        let (x, y, window) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]), self.window());
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

    fn gemm(&self, io: &Io) -> Gemm<'_> {
        let Filters { weight, bias, groups, epilogue } = &self.filters;
        Gemm {
            x: Image::of(&io.inputs[0]),
            y: Image::of(&io.outputs[0]),
            layout: Layout::channels,
            window: self.window(),
            groups: *groups,
            lines: None,
            w: Operand::Weight(weight),
            bias: bias.as_ref(),
            epilogue: *epilogue,
        }
    }

    pub(crate) fn cost(&self, io: &Io) -> Cost {
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let positions = y.n.saturating_mul(y.h).saturating_mul(y.w);
        self.filters.cost(io, positions, self.window().touched(x, y))
    }

    pub(crate) fn reach(&self, io: &Io) -> Reach {
        Reach::Window(self.window().taps(io.inputs[0].len() - 2))
    }

    /// Returns the convolution that gives of `x` what this one gives of the affine's `x * scale + shift`: none where the
    /// padding would be shifted too.
    pub(crate) fn after(&self, affine: &Affine) -> Option<Conv> {
        let fits = !affine.shifts || self.padding == [0; 4];
        fits.then(|| Conv { filters: self.filters.after(affine), ..self.clone() })
    }

    pub(crate) fn fuse(&self, next: &dyn Op) -> Option<Conv> {
        Some(Conv { filters: self.filters.with(next, false)?, ..self.clone() })
    }
}

/// Returns the kernel size, `[vertical, horizontal]`, of weights with three or four dimensions.
pub(crate) fn kernel_size(weight: &Constant) -> [usize; 2] {
    match weight.shape()[2..] {
        [h, w] => [h, w],
        [w] => [1, w],
        _ => unreachable!("it was checked"),
    }
}
