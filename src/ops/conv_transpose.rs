//! Transposed convolution in one and two dimensions: a line of pixels is an image one pixel high.

use super::activation::ActivationParams;
use super::conv::{Filters, kernel_size};
use super::gemm::{Groups, chunks};
use super::image_storage;
use super::part::{Loops, Part};
use super::window::{MOST, expect_window, reach};
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, Reach, Taps};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage, WeightKey};
use std::ops::Range;

/// A transposed convolution over images or, where `weight` has three dimensions, lines. All `[vertical, horizontal]`.
#[derive(Clone, Debug)]
pub(crate) struct ConvTranspose {
    pub(crate) filters: Filters,
    pub(crate) stride: [usize; 2],
    /// The pixels cut off at the start and at the end of each axis.
    pub(crate) padding: [[usize; 2]; 2],
    pub(crate) output_padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        in4: usize,
        span4: usize,
        out_h: usize,
        out_w: usize,
        out_c: usize,
        count: usize,
        kernel: [usize; 2] as [kernel_y, kernel_x],
        stride: [usize; 2] as [stride_y, stride_x],
        before: [usize; 2] as [before_y, before_x],
        dilation: [usize; 2] as [dilation_y, dilation_x],
        step: [usize; 2] as [step_y, step_x],
        phases: usize,
        tiles: usize,
        group_in: usize,
        group_out: usize,
        first_o: usize,
        width: usize,
        activation: ActivationParams,
        part: Part,
    }
}

impl ConvTranspose {
    pub(crate) fn new(weight: Constant, bias: Option<Constant>) -> ConvTranspose {
        ConvTranspose {
            filters: Filters::new(weight, bias),
            stride: [1; 2],
            padding: [[0; 2]; 2],
            output_padding: [0; 2],
            dilation: [1; 2],
        }
    }

    /// Returns the output's size along an axis.
    fn length(&self, axis: usize, size: usize) -> Result<usize, ErrorKind> {
        let along = [kernel_size(&self.filters.weight)[axis], self.stride[axis], self.dilation[axis]];
        grown(size, along, self.padding[axis], self.output_padding[axis])
    }

    /// Returns the output's shape. `axes` are the letters of the spatial dimensions.
    pub(crate) fn output_shapes(&self, inputs: &[Shape], axes: &str) -> Result<Vec<Shape>, ErrorKind> {
        let out = self.filters.expect(inputs, axes, true)?;
        let Image { h, w, .. } = Image::of(&inputs[0]);
        let sizes = [self.length(0, h)?, self.length(1, w)?];
        self.filters.output(inputs, out, &sizes[4 - inputs[0].len()..])
    }

    pub(crate) fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut kernels = Vec::new();
        for (priority, &storage) in image_storage(caps).iter().enumerate() {
            kernels.extend(self.kernel(io, storage, caps)?.map(|kernel| kernel.priority(priority as u8)));
        }
        Ok(kernels)
    }

    /// Returns the kernel with all tensors in `storage`, if there is one.
    fn kernel(&self, io: &Io, storage: Storage, caps: &Caps) -> Result<Option<Kernel>, ErrorKind> {
        // The pixels of an invocation, as in the shader.
        const PIXELS: usize = 4;
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let Filters { groups, epilogue, .. } = self.filters;
        let texture = storage == Storage::Texture;
        let kernel = kernel_size(&self.filters.weight);
        let filters = Packing {
            taps: kernel[0] * kernel[1],
            group_in: x.c / groups,
            group_out: y.c / groups,
            span4: Groups::new(groups, x.c, y.c).span4(y.c, 4),
            depthwise: groups == x.c && groups == y.c,
        };
        let chunks: Vec<(usize, usize)> = match storage {
            Storage::Texture => vec![(0, y.c4())],
            Storage::Buffer => chunks(caps, 4, filters.rows() * filters.columns(1) * 16, y.c4())?.collect(),
        };
        if texture && filters.rows().max(filters.columns(y.c4())) > caps.max_texture as usize {
            return Ok(None);
        }
        // Pixels one stride apart share their taps: a row has `phases` such sets, each divided into tiles.
        let phases = self.stride[1].min(y.w);
        let tiles = phases * y.w.div_ceil(PIXELS * self.stride[1]);
        let axes = [0, 1].map(|axis| tap_step(self.stride[axis], self.dilation[axis]));
        // Only every `step`-th tap of a row reaches a pixel; a loop finds the first.
        let loops = Loops { planes: 1, rows: kernel[0], taps: kernel[1].div_ceil(axes[1]), channels: filters.span4 };
        let parts = loops.parts(axes.iter().sum::<usize>() + 16, caps);
        // Several parts add to the output, and a texture can't be read where it is written.
        if texture && parts.len() > 1 {
            return Ok(None);
        }
        let shader = shader!("conv_transpose", "activation", "index", "transposed", "groups", "nan")
            .set("DEPTHWISE", filters.depthwise)
            .set("GROUPED", groups > 1 && Groups::new(groups, x.c, y.c).mixed(y.c, 4) && !filters.depthwise);
        let shader =
            ["x", "w", "residual", "y"].iter().fold(epilogue.of(shader), |shader, name| shader.texture(name, texture));
        let dispatch = |(first, width): (usize, usize), &(part, iterations): &(Part, usize)| {
            let count = y.n * y.h * tiles * width;
            let params = Params {
                in_h: x.h,
                in_w: x.w,
                in4: x.c4(),
                span4: filters.span4,
                out_h: y.h,
                out_w: y.w,
                out_c: y.c,
                count,
                kernel,
                stride: self.stride,
                before: self.padding.map(|[before, _]| before),
                dilation: self.dilation,
                step: axes,
                phases,
                tiles,
                group_in: filters.group_in,
                group_out: filters.group_out,
                first_o: first,
                width,
                activation: ActivationParams::of(epilogue.activation),
                part,
            };
            let weight = Binding::Weight(self.pack(filters, first..first + width, storage));
            let bindings = vec![Binding::Input(0), weight, epilogue.binding(), Binding::Output(0)];
            Dispatch::for_each(shader.clone(), &params, bindings, count).iterations(iterations)
        };
        let layout = Layout::channels(storage);
        let dispatches = chunks.into_iter().flat_map(|chunk| parts.iter().map(move |part| (chunk, part)));
        let dispatches = dispatches.map(|(chunk, part)| dispatch(chunk, part)).collect();
        Ok(Some(Kernel::several(vec![layout; epilogue.inputs()], vec![layout], dispatches)))
    }

    /// Packs some output channels, four per texel: a row for each tap and texel of input channels, then the bias.
    fn pack(&self, packing: Packing, outputs: Range<usize>, storage: Storage) -> Prepacked {
        let Packing { taps, group_in, group_out, span4, depthwise } = packing;
        let (weight, bias) = (self.filters.weight.clone(), self.filters.bias.clone());
        let bias_id = bias.as_ref().map(Constant::id);
        let sizes = [taps, group_in, group_out, span4, usize::from(depthwise), outputs.start, outputs.end];
        let key = WeightKey::new("conv transpose").constants([Some(weight.id()), bias_id]).sizes(sizes);
        let channels = 4 * outputs.start..(4 * outputs.end).min(self.filters.weight.shape()[1] * self.filters.groups);
        let texels = (packing.rows(), packing.columns(outputs.len()));
        let (width, row) = (4 * outputs.len(), 4 * texels.1);
        let values = move || {
            let from = weight.values();
            let mut to = vec![0.0; texels.0 * row];
            for (lane, o) in channels.clone().enumerate() {
                let group = o / group_out;
                // The first input channel of the texels that this output's texel reads.
                let first = o / 4 * 4 / group_out * group_in / 4 * 4;
                for c in group * group_in..(group + 1) * group_in {
                    let shift = c - first;
                    let column = if depthwise { lane } else { shift % 4 * width + lane };
                    for tap in 0..taps {
                        let value = from[(c * group_out + o % group_out) * taps + tap];
                        to[(tap * span4 + shift / 4) * row + column] = value;
                    }
                }
            }
            if let Some(bias) = &bias {
                let end = to.len() - row;
                to[end..][..channels.len()].copy_from_slice(&bias.values()[channels.clone()]);
            }
            to
        };
        Prepacked::new(key, storage, texels, values)
    }

    /// Returns the cost: each weight meets each pixel of one input channel once.
    pub(crate) fn cost(&self, io: &Io) -> Cost {
        let x = io.inputs[0].elements();
        self.filters.cost(io, x / self.filters.weight.shape()[0], x)
    }

    pub(crate) fn reach(&self, io: &Io) -> Reach {
        let kernel = kernel_size(&self.filters.weight);
        let taps = |axis: usize| {
            Taps::transposed(kernel[axis], self.stride[axis], self.dilation[axis], self.padding[axis][0] as isize)
        };
        Reach::Window((4 - io.inputs[0].len()..2).map(taps).collect())
    }

    pub(crate) fn fuse(&self, next: &dyn Op) -> Option<ConvTranspose> {
        Some(ConvTranspose { filters: self.filters.with(next, true)?, ..self.clone() })
    }
}

/// The arrangement of the packed weights.
#[derive(Clone, Copy, Debug)]
struct Packing {
    taps: usize,
    group_in: usize,
    group_out: usize,
    /// The texels of input channels that four output channels read.
    span4: usize,
    /// True for one weight per channel and tap, instead of one for each of the four channels of a texel.
    depthwise: bool,
}

impl Packing {
    fn rows(&self) -> usize {
        self.taps * self.span4 + 1
    }

    /// Returns the texels in a row, for `out4` texels of output channels.
    fn columns(&self, out4: usize) -> usize {
        if self.depthwise { out4 } else { 4 * out4 }
    }
}

/// Returns the output's size along an axis of `size` pixels, with `before` and `after` pixels cut off at its ends.
pub(crate) fn grown(
    size: usize,
    [kernel, stride, dilation]: [usize; 3],
    [before, after]: [usize; 2],
    more: usize,
) -> Result<usize, ErrorKind> {
    expect_window(kernel, stride, dilation)?;
    let most = stride.max(dilation) - 1;
    if more > most {
        let wanted = format_args!("less than the stride or the dilation: at most {most}");
        return Err(ErrorKind::argument("output_padding", wanted, more));
    }
    let grown = (size - 1).saturating_mul(stride).saturating_add(reach(kernel, dilation)).saturating_add(more);
    if grown > MOST {
        return Err(ErrorKind::argument("output", format_args!("at most {MOST} pixels before they are cut"), grown));
    }
    let cut = before.saturating_add(after);
    if cut < grown {
        return Ok(grown - cut);
    }
    if before == after {
        let wanted = format_args!("less than half of the {grown} pixels that it cuts");
        return Err(ErrorKind::argument("padding", wanted, before));
    }
    Err(ErrorKind::argument("padding", format_args!("less than the {grown} pixels that it cuts"), cut))
}

/// Returns the distance between the taps that reach one pixel.
pub(crate) fn tap_step(stride: usize, dilation: usize) -> usize {
    stride / gcd(stride, dilation)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
