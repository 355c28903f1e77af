//! Transposed convolution in one to three dimensions: a line of pixels is an image one pixel high, and the planes of a
//! volume are images.

use super::activation::ActivationParams;
use super::filters::Filters;
use super::gemm::{Groups, chunks};
use super::image_storage;
use super::part::{Loops, Part};
use super::window::{PerAxis, Window, volume, window_setters};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Io, Metrics, Op, Reach, Taps};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::{Graph, Shape, Value};
use std::ops::Range;

/// `torch.nn.ConvTranspose1d`, `ConvTranspose2d`, `ConvTranspose3d`: a transposed convolution along `D` axes, each of `n`
/// pixels to `(n - 1) stride - before - after + dilation (k - 1) + output_padding + 1`.
///
/// The stride is the distance, in the output, between neighbouring input pixels. The padding is cut off.
#[derive(Clone, Debug)]
pub struct ConvTranspose<const D: usize> {
    filters: Filters,
    window: Window<D>,
    output_padding: [usize; D],
}

/// `torch.nn.ConvTranspose1d`: `[N, C, L]` to `[N, O, L']`, with
/// `L' = (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`.
///
/// ```
/// use shadernet::{Constant, ops::ConvTranspose1d};
/// let weight = Constant::new("weight", [512, 256, 16], vec![0.01; 512 * 256 * 16])?;
/// let eight_times_as_long = ConvTranspose1d::new(weight, None).stride(8).padding(4);
/// # Ok::<(), shadernet::Error>(())
/// ```
pub type ConvTranspose1d = ConvTranspose<1>;

/// `torch.nn.ConvTranspose2d`: `[N, C, H, W]` to `[N, O, H', W']`, with
/// `H' = (H - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`.
///
/// ```
/// use shadernet::{Constant, ops::ConvTranspose2d};
/// let weight = Constant::new("weight", [8, 3, 4, 4], vec![0.1; 8 * 3 * 16])?;
/// let twice_as_large = ConvTranspose2d::new(weight, None).stride(2).padding(1);
/// # Ok::<(), shadernet::Error>(())
/// ```
pub type ConvTranspose2d = ConvTranspose<2>;

/// `torch.nn.ConvTranspose3d`: `[N, C, D, H, W]` to `[N, O, D', H', W']`, with
/// `D' = (D - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`.
///
/// ```
/// use shadernet::{Constant, ops::ConvTranspose3d};
/// let weight = Constant::new("weight", [8, 4, 2, 2, 2], vec![0.1; 8 * 4 * 8])?;
/// let twice_as_large = ConvTranspose3d::new(weight, None).stride(2);
/// # Ok::<(), shadernet::Error>(())
/// ```
pub type ConvTranspose3d = ConvTranspose<3>;

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
        planes: [usize; 2] as [in_d, out_d],
        kernel: [usize; 3] as [kernel_z, kernel_y, kernel_x],
        stride: [usize; 3] as [stride_z, stride_y, stride_x],
        before: [usize; 3] as [before_z, before_y, before_x],
        dilation: [usize; 3] as [dilation_z, dilation_y, dilation_x],
        step: [usize; 3] as [step_z, step_y, step_x],
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

impl<const D: usize> ConvTranspose<D> {
    /// Creates a transposed convolution with weights `[in, out / groups, ..]`, the kernel's sizes last, stride 1, no
    /// padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> ConvTranspose<D> {
        let window = Window::for_weight(&weight);
        ConvTranspose { filters: Filters::new(weight, bias), window, output_padding: [0; D] }
    }

    window_setters!(D);

    /// Adds pixels at the end of each axis, fewer than the stride or the dilation: one number, or one for each axis.
    #[must_use]
    pub fn output_padding(self, output_padding: impl PerAxis<D>) -> ConvTranspose<D> {
        ConvTranspose { output_padding: output_padding.per_axis(), ..self }
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> ConvTranspose<D> {
        self.filters.groups = groups;
        self
    }

    /// Returns the kernel with all tensors in `storage`, if there is one.
    fn kernel(&self, io: &Io, storage: Storage, caps: &Caps) -> Result<Option<Kernel>, ErrorKind> {
        // The pixels of an invocation, as in the shader.
        const PIXELS: usize = 4;
        let (x, y) = (Image::planes(&io.inputs[0]), Image::planes(&io.outputs[0]));
        let Filters { groups, epilogue, .. } = self.filters;
        let texture = storage == Storage::Texture;
        let window = self.window.over::<3>();
        let [planes, rows, taps] = window.size;
        let filters = Packing {
            taps: planes * rows * taps,
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
        let phases = window.stride[2].min(y.w);
        let tiles = phases * y.w.div_ceil(PIXELS * window.stride[2]);
        let step = window.tap_step();
        // Only every `step`-th tap of a row reaches a pixel; a loop finds the first.
        let loops = Loops { planes, rows, taps: taps.div_ceil(step[2]), channels: filters.span4 };
        let parts = loops.parts(step.iter().sum::<usize>() + 16, caps);
        // Several parts add to the output, and a texture can't be read where it is written.
        if texture && parts.len() > 1 {
            return Ok(None);
        }
        let shader = shader!("conv_transpose", "activation", "index", "transposed", "groups", "nan")
            .set("DEEP", D == 3)
            .set("DEPTHWISE", filters.depthwise)
            .set("GROUPED", groups > 1 && Groups::new(groups, x.c, y.c).mixed(y.c, 4) && !filters.depthwise);
        let shader = ["x", "w", "residual", "y"]
            .iter()
            .fold(epilogue.specialize(shader), |shader, name| shader.texture(name, texture));
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
                planes: [volume(&io.inputs[0])[0], volume(&io.outputs[0])[0]],
                kernel: window.size,
                stride: window.stride,
                before: window.before,
                dilation: window.dilation,
                step,
                phases,
                tiles,
                group_in: filters.group_in,
                group_out: filters.group_out,
                first_o: first,
                width,
                activation: ActivationParams::new(epilogue.activation),
                part,
            };
            let weight = Binding::Weight(self.pack(filters, first..first + width, storage));
            // The last of several parts reads the residual, which the first one must not overwrite.
            let residual = match parts.len() {
                1 => epilogue.binding(),
                _ => Binding::Input(epilogue.inputs() - 1),
            };
            let bindings = vec![Binding::Input(0), weight, residual, Binding::Output(0)];
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
}

impl<const D: usize> Op for ConvTranspose<D> {
    fn name(&self) -> &'static str {
        ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"][D - 1]
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let out = self.filters.expect::<D>(inputs, true)?;
        self.filters.output(inputs, out, &self.window.grown(&inputs[0], self.output_padding)?)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut kernels = Vec::new();
        for (priority, &storage) in image_storage(caps).iter().enumerate() {
            kernels.extend(self.kernel(io, storage, caps)?.map(|kernel| kernel.priority(priority as u8)));
        }
        Ok(kernels)
    }

    /// Counts each weight once for each pixel of one input channel.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let x = io.inputs[0].elements();
        Metrics::new(self.filters.cost(io, x / self.filters.weight.shape()[0], x))
            .reach(Reach::Window(self.window.taps(Taps::transposed)))
            .parameters(self.filters.parameters())
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(ConvTranspose { filters: self.filters.with(next, true)?, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`ConvTranspose1d`].
    pub fn conv_transpose1d(&mut self, x: Value, conv: ConvTranspose1d) -> Result<Value> {
        self.push(conv, &[x])
    }

    /// Adds a [`ConvTranspose2d`].
    pub fn conv_transpose2d(&mut self, x: Value, conv: ConvTranspose2d) -> Result<Value> {
        self.push(conv, &[x])
    }

    /// Adds a [`ConvTranspose3d`].
    pub fn conv_transpose3d(&mut self, x: Value, conv: ConvTranspose3d) -> Result<Value> {
        self.push(conv, &[x])
    }
}
