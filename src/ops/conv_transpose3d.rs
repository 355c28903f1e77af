//! 3-D transposed convolution, over volumes.

use super::activation::ActivationParams;
use super::conv::Filters;
use super::conv_transpose::{grown, tap_step};
use super::gemm::chunks;
use super::part::{Loops, Part};
use super::pool::volume;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, Reach, Taps};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage, WeightKey};
use crate::{Graph, Shape, Value};
use std::ops::Range;

/// `torch.nn.ConvTranspose3d`: `[N, C, D, H, W]` to `[N, O, D', H', W']`, with
/// `D' = (D - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`.
///
/// ```
/// use shadernet::{Constant, ops::ConvTranspose3d};
/// let weight = Constant::new("weight", [8, 4, 2, 2, 2], vec![0.1; 8 * 4 * 8]);
/// let twice_as_large = ConvTranspose3d::new(weight, None).stride(2);
/// ```
#[derive(Clone, Debug)]
pub struct ConvTranspose3d {
    filters: Filters,
    stride: [usize; 3],
    /// The pixels cut off at the start and at the end of each axis.
    padding: [[usize; 2]; 3],
    output_padding: [usize; 3],
    dilation: [usize; 3],
}

params! {
    struct Params {
        input: [usize; 3],
        in_c: usize,
        output: [usize; 3],
        out_c: usize,
        kernel: [usize; 3],
        pixels: usize,
        stride: [usize; 3],
        group_in: usize,
        dilation: [usize; 3],
        group_out: usize,
        before: [usize; 3],
        group_blocks: usize,
        step: [usize; 3],
        first_block: usize,
        count: usize,
        activation: ActivationParams,
        part: Part,
    }
}

impl ConvTranspose3d {
    /// Creates the convolution with weights `[in, out / groups, kernel depth, height, width]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> ConvTranspose3d {
        let filters = Filters::new(weight, bias);
        ConvTranspose3d { filters, stride: [1; 3], padding: [[0; 2]; 3], output_padding: [0; 3], dilation: [1; 3] }
    }

    /// Sets the stride: the distance, in the output, between neighbouring input pixels, in all directions.
    #[must_use]
    pub fn stride(self, stride: usize) -> ConvTranspose3d {
        self.strides([stride; 3])
    }

    /// Sets the stride, `[depth, height, width]`.
    #[must_use]
    pub fn strides(self, stride: [usize; 3]) -> ConvTranspose3d {
        ConvTranspose3d { stride, ..self }
    }

    /// Sets the padding: the pixels cut off at all six sides.
    #[must_use]
    pub fn padding(self, padding: usize) -> ConvTranspose3d {
        self.pads([[padding; 2]; 3])
    }

    /// Sets the pixels cut off at the start and the end of `[depth, height, width]`, as in ONNX.
    #[must_use]
    pub fn pads(self, padding: [[usize; 2]; 3]) -> ConvTranspose3d {
        ConvTranspose3d { padding, ..self }
    }

    /// Adds pixels at the end of `[depth, height, width]`: fewer than the stride or the dilation.
    #[must_use]
    pub fn output_paddings(self, output_padding: [usize; 3]) -> ConvTranspose3d {
        ConvTranspose3d { output_padding, ..self }
    }

    /// Sets the dilation, the distance between taps, `[depth, height, width]`.
    #[must_use]
    pub fn dilations(self, dilation: [usize; 3]) -> ConvTranspose3d {
        ConvTranspose3d { dilation, ..self }
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> ConvTranspose3d {
        self.filters.groups = groups;
        self
    }

    fn kernel_size(&self) -> [usize; 3] {
        volume(self.filters.weight.shape())
    }

    /// Packs blocks of 4 output channels of one group: filters, `[tap][channel]` texels, then the bias.
    fn pack(&self, group_in: usize, blocks: Range<usize>) -> Prepacked {
        let (weight, bias) = (self.filters.weight.clone(), self.filters.bias.clone());
        let group_out = weight.shape()[1];
        let taps: usize = self.kernel_size().iter().product();
        let (k, group_blocks) = (taps * group_in, group_out.div_ceil(4));
        let bias_id = bias.as_ref().map(Constant::id);
        let sizes = [taps, group_in, group_out, blocks.start, blocks.end];
        let key = WeightKey::new("conv transpose 3d").constants([Some(weight.id()), bias_id]).sizes(sizes);
        let texels = (blocks.len(), k + 1);
        let values = move || {
            let (from, bias) = (weight.values(), bias.as_ref().map(Constant::values));
            let mut to = vec![0.0; blocks.len() * (k + 1) * 4];
            for (block, to) in blocks.clone().zip(to.chunks_exact_mut((k + 1) * 4)) {
                let (group, within) = (block / group_blocks, block % group_blocks * 4);
                for lane in 0..4.min(group_out - within) {
                    for (i, to) in to[..4 * k].chunks_exact_mut(4).enumerate() {
                        let (tap, c) = (i / group_in, group * group_in + i % group_in);
                        to[lane] = from[(c * group_out + within + lane) * taps + tap];
                    }
                    to[4 * k + lane] = bias.as_ref().map_or(0.0, |bias| bias[group * group_out + within + lane]);
                }
            }
            to
        };
        Prepacked::new(key, Storage::Buffer, texels, values)
    }
}

impl Op for ConvTranspose3d {
    fn name(&self) -> &'static str {
        "conv_transpose3d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let out = self.filters.expect(inputs, "D, H, W", true)?;
        let mut sizes = [0; 3];
        for axis in 0..3 {
            let along = [self.kernel_size()[axis], self.stride[axis], self.dilation[axis]];
            sizes[axis] = grown(inputs[0][2 + axis], along, self.padding[axis], self.output_padding[axis])?;
        }
        self.filters.output(inputs, out, &sizes)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let pixels = y[0] * volume(y).iter().product::<usize>();
        let (groups, epilogue) = (self.filters.groups, self.filters.epilogue);
        let (group_in, group_out) = (x[1] / groups, y[1] / groups);
        let group_blocks = group_out.div_ceil(4);
        let k = group_in * self.kernel_size().iter().product::<usize>();
        let shader = epilogue.of(shader!("conv_transpose3d", "activation", "index", "transposed", "nan"));
        let step = [0, 1, 2].map(|axis| tap_step(self.stride[axis], self.dilation[axis]));
        let [planes, rows, taps] = self.kernel_size();
        // Only every `step`-th tap of a row reaches a pixel; a loop finds the first.
        let loops = Loops { planes, rows, taps: taps.div_ceil(step[2]), channels: group_in };
        let parts = loops.parts(step.iter().sum::<usize>() + 16, caps);
        let dispatch = |(first, blocks): (usize, usize), &(part, iterations): &(Part, usize)| {
            let params = Params {
                input: volume(x),
                in_c: x[1],
                output: volume(y),
                out_c: y[1],
                kernel: self.kernel_size(),
                pixels,
                stride: self.stride,
                group_in,
                dilation: self.dilation,
                group_out,
                before: self.padding.map(|[before, _]| before),
                group_blocks,
                step,
                first_block: first,
                count: blocks * pixels,
                activation: ActivationParams::of(epilogue.activation),
                part,
            };
            let weight = Binding::Weight(self.pack(group_in, first..first + blocks));
            let bindings = vec![Binding::Input(0), weight, epilogue.binding(), Binding::Output(0)];
            Dispatch::for_each(shader.clone(), &params, bindings, blocks * pixels).iterations(iterations)
        };
        let chunks = chunks(caps, 4, (k + 1) * 16, groups * group_blocks)?;
        let dispatches = chunks.flat_map(|chunk| parts.iter().map(move |part| (chunk, part)));
        let dispatches = dispatches.map(|(chunk, part)| dispatch(chunk, part));
        let reads = vec![Layout::ROWS; epilogue.inputs()];
        Ok(vec![Kernel::several(reads, vec![Layout::ROWS], dispatches.collect())])
    }

    /// Counts each weight once for each pixel of one input channel.
    fn cost(&self, io: &Io) -> Cost {
        let x = io.inputs[0].elements();
        self.filters.cost(io, x / self.filters.weight.shape()[0], x)
    }

    fn reach(&self, _io: &Io) -> Reach {
        let taps = |axis: usize| {
            let before = self.padding[axis][0] as isize;
            Taps::transposed(self.kernel_size()[axis], self.stride[axis], self.dilation[axis], before)
        };
        Reach::Window((0..3).map(taps).collect())
    }

    fn parameters(&self) -> Vec<&Constant> {
        self.filters.parameters()
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(ConvTranspose3d { filters: self.filters.with(next, true)?, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`ConvTranspose3d`].
    pub fn conv_transpose3d(&mut self, x: Value, conv: ConvTranspose3d) -> Result<Value> {
        self.push(conv, &[x])
    }
}
