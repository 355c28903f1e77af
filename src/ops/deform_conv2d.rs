//! Deformable convolution: another tensor moves each tap.

use super::filters::Filters;
use super::gemm::chunks;
use super::part::{Loops, Part};
use super::window::{Window, window_setters};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::{Graph, Shape, Value};

/// `torchvision.ops.deform_conv2d`, ONNX's `DeformConv`: a convolution of images `[N, C, H, W]` to `[N, O, H', W']`
/// with moved taps, which are sampled bilinearly, with zeros outside.
///
/// The second input, `[N, 2 G kh kw, H', W']`, holds the offset of each tap in pixels, down and to the right, for each
/// of G groups of input channels. An optional third input, `[N, G kh kw, H', W']`, multiplies each sample (version 2).
/// G follows from the sizes of these inputs.
///
/// ```
/// use shadernet::{Constant, Graph, ops::DeformConv2d};
/// let mut graph = Graph::new();
/// let (x, offset) = (graph.input("x", [1, 4, 8, 8]), graph.input("offset", [1, 18, 8, 8]));
/// let weight = Constant::new("weight", [6, 4, 3, 3], vec![0.1; 6 * 4 * 9])?;
/// let y = graph.deform_conv2d(x, offset, None, DeformConv2d::new(weight, None).padding(1))?;
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeformConv2d {
    filters: Filters,
    window: Window,
}

params! {
    struct Params {
        in_c: usize,
        in_h: usize,
        in_w: usize,
        out_c: usize,
        out_h: usize,
        out_w: usize,
        kernel: [usize; 2] as [kernel_h, kernel_w],
        stride: [usize; 2] as [stride_y, stride_x],
        dilation: [usize; 2] as [dilation_y, dilation_x],
        before: [usize; 2] as [top, left],
        group_in: usize,
        group_out: usize,
        group_blocks: usize,
        first_block: usize,
        offset_channels: usize,
        pixels: usize,
        count: usize,
        part: Part,
    }
}

impl DeformConv2d {
    /// Creates a convolution with weights `[out, in / groups, kernel height, width]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> DeformConv2d {
        let window = Window::for_weight(&weight);
        DeformConv2d { filters: Filters::new(weight, bias), window }
    }

    window_setters!(2);

    /// Sets the number of channel groups, which don't mix.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> DeformConv2d {
        self.filters.groups = groups;
        self
    }

    fn taps(&self) -> usize {
        self.window.size.iter().product()
    }
}

impl Op for DeformConv2d {
    fn name(&self) -> &'static str {
        "deform_conv2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let (2 | 3) = inputs.len() else {
            return Err(ErrorKind::argument("inputs", "2 or 3", inputs.len()));
        };
        let (x, offset) = (&inputs[0], &inputs[1]);
        let out = self.filters.expect::<2>(&inputs[..1], false)?;
        let sizes = self.window.outputs(x)?;
        let (taps, [h, w]) = (self.taps(), sizes);
        let groups = offset.get(1).map_or(0, |&channels| channels / (2 * taps));
        let moved = |each: usize| Shape::from([x[0], each.saturating_mul(groups * taps), h, w]);
        if groups == 0 || x[1] % groups != 0 || *offset != moved(2) {
            let wanted = format!("[{}, {} G, {h}, {w}] with G a divisor of {} channels", x[0], 2 * taps, x[1]);
            return Err(ErrorKind::argument("offset", wanted, offset));
        }
        if let Some(mask) = inputs.get(2).filter(|mask| **mask != moved(1)) {
            return Err(ErrorKind::argument("mask", moved(1), mask));
        }
        self.filters.output(&inputs[..1], out, &sizes)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let pixels = y[0] * y[2] * y[3];
        let (groups, group_in, group_out) =
            (self.filters.groups, self.filters.weight.shape()[1], self.filters.group_out());
        let out4 = [4, 2].into_iter().find(|out4| group_out.div_ceil(4) % out4 == 0).unwrap_or(1);
        let (group_blocks, k) = (group_out.div_ceil(4 * out4), group_in * self.taps());
        let mask = io.inputs.len() - 1;
        let shader = shader!("deform_conv2d", "index", "nan").tile("OUT4", out4 as u32).set("MASK", mask == 2);
        let loops = Loops { planes: 1, rows: self.taps(), taps: 1, channels: group_in };
        let parts = loops.parts(64, caps);
        let dispatch = |(first, blocks): (usize, usize), &(part, iterations): &(Part, usize)| {
            let params = Params {
                in_c: x[1],
                in_h: x[2],
                in_w: x[3],
                out_c: y[1],
                out_h: y[2],
                out_w: y[3],
                kernel: self.window.size,
                stride: self.window.stride,
                dilation: self.window.dilation,
                before: self.window.before,
                group_in,
                group_out,
                group_blocks,
                first_block: first,
                offset_channels: x[1] / (io.inputs[1][1] / (2 * self.taps())),
                pixels,
                count: blocks * pixels,
                part,
            };
            let weight = Binding::Weight(self.filters.pack(out4, first..first + blocks));
            // Without a mask, the offset is bound in its place, and the shader doesn't read it.
            let bindings = [Binding::Input(0), Binding::Input(1), Binding::Input(mask), weight, Binding::Output(0)];
            Dispatch::for_each(shader.clone(), &params, bindings.to_vec(), blocks * pixels).iterations(iterations)
        };
        let chunks = chunks(caps, 4 * out4, (k + 1) * out4 * 16, groups * group_blocks)?;
        let dispatches = chunks.flat_map(|chunk| parts.iter().map(move |part| (chunk, part)));
        let dispatches = dispatches.map(|(chunk, part)| dispatch(chunk, part));
        let reads = vec![Layout::ROWS; io.inputs.len()];
        Ok(vec![Kernel::several(reads, vec![Layout::ROWS], dispatches.collect())])
    }

    /// Counts a convolution, and for each sample a weighted sum of four pixels and the mask.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let positions = y[0].saturating_mul(y[2]).saturating_mul(y[3]);
        let cost = self.filters.cost(io, positions, x.elements());
        let samples = (x[1] * self.taps()).saturating_mul(positions) as u64;
        let masked = if io.inputs.len() == 3 { samples } else { 0 };
        Metrics::new(Cost {
            other: cost.other.saturating_add(super::sampling::weighted(samples, 4)).saturating_add(masked),
            ..cost
        })
        .parameters(self.filters.parameters())
    }
}

impl Graph {
    /// Adds a [`DeformConv2d`].
    pub fn deform_conv2d(&mut self, x: Value, offset: Value, mask: Option<Value>, conv: DeformConv2d) -> Result<Value> {
        let inputs: Vec<Value> = [x, offset].into_iter().chain(mask).collect();
        self.push(conv, &inputs)
    }
}
