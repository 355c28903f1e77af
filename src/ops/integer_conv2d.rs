//! 2-D convolution of integers.

use super::gemm::LANES_BLOCK;
use super::packing::{Requantize, buffer, expect_one, packed, words};
use super::part::{Loops, Part};
use super::window::{Window, window_setters};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, Taps, expect_dtypes};
use crate::kernel::dispatch::WORKGROUP;
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Rounding, Shader, Storage, WeightKey};
use crate::shape::{expect_countable, expect_inputs, expect_rank};
use crate::{DType, Graph, Shape, Value};

/// ONNX's `ConvInteger`: the convolution of `x - x_zero_point` with `weight - w_zero_point`, exact in `i32`s, which
/// wrap around; padding is the zero point. With an `i32` bias and [quantised](Requantize) sums, it is `QLinearConv`.
///
/// Inputs, all `i32`s: x `[N, C, H, W]`; its zero point, one number; the weight's zero point, one number or `[O]`. The
/// [packed](Constant::packed) weight of 4 or 8 bits, `[O, C / groups, kernel height, width]`, takes one byte per number
/// on the device. A line of pixels is an image one pixel high.
#[derive(Clone, Debug)]
pub struct IntegerConv2d {
    weight: Constant,
    bias: Option<Constant>,
    window: Window,
    groups: usize,
    end: Option<Requantize>,
    /// The weight is a matrix `[in, out]`.
    transposed: bool,
}

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        in_c: usize,
        out_w: usize,
        out_hw: usize,
        out_c: usize,
        kernel: [usize; 2] as [kernel_h, kernel_w],
        stride: [usize; 2] as [stride_y, stride_x],
        before: [usize; 2] as [before_y, before_x],
        dilation: [usize; 2] as [dilation_y, dilation_x],
        pixels: usize,
        group_in: usize,
        group_out: usize,
        group_blocks: usize,
        blocks: usize,
        w_zeros: u32,
        offset: i32,
        zero: i32,
        range: [i32; 2] as [lo, hi],
        part: Part,
    }
}

impl IntegerConv2d {
    /// Creates a convolution with a weight `[out, in / groups, kernel height, width]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> IntegerConv2d {
        let window = Window::for_weight(&weight);
        IntegerConv2d { weight, bias, window, groups: 1, end: None, transposed: false }
    }

    /// Returns the product of images of one pixel, `[M, K, 1, 1]`, and a matrix `[K, N]`.
    pub(super) fn of_matrix(weight: Constant, end: Option<Requantize>) -> IntegerConv2d {
        IntegerConv2d { weight, bias: None, window: Window::PIXEL, groups: 1, end, transposed: true }
    }

    window_setters!(2);

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(self, groups: usize) -> IntegerConv2d {
        IntegerConv2d { groups, ..self }
    }

    /// Quantises the sums.
    #[must_use]
    pub fn requantize(self, end: Requantize) -> IntegerConv2d {
        IntegerConv2d { end: Some(end), ..self }
    }

    /// Packs blocks of `each` channels of one group as `[block][k/4][each]` words, where k counts taps, then channels.
    fn pack(&self, each: usize, caps: &Caps) -> Result<Binding, ErrorKind> {
        let weight = self.weight.clone();
        let &[out, group_in, h, w] = &weight.shape()[..] else { unreachable!("it was checked") };
        let (taps, group_out) = (h * w, out / self.groups);
        let k4 = (taps * group_in).div_ceil(4);
        let sizes = [group_in, taps, group_out, each];
        let key = WeightKey::new("integer conv2d").constants([Some(weight.id())]).sizes(sizes);
        let count = self.groups * group_out.div_ceil(each) * k4 * each;
        expect_one(caps, "the weight", key, count, move || {
            let from = weight.counted();
            let mut to = vec![0; count];
            let blocks = (0..out).step_by(group_out).flat_map(|first| {
                (first..first + group_out).step_by(each).map(move |o| o..(o + each).min(first + group_out))
            });
            for (block, to) in blocks.zip(to.chunks_exact_mut(k4 * each)) {
                for (lane, o) in block.enumerate() {
                    let filter = &from[o * group_in * taps..][..group_in * taps];
                    let by_tap = (0..taps).flat_map(|tap| filter[tap..].iter().step_by(taps).copied());
                    for (k, word) in words(&by_tap.collect::<Vec<u8>>(), 8).into_iter().enumerate() {
                        to[k * each + lane] = word;
                    }
                }
            }
            to
        })
    }

    /// Returns llvmpipe's dispatch; `None` if it doesn't pay, or if the weight doesn't fit into a texture.
    pub(super) fn lanes(&self, io: &Io, caps: &Caps) -> Result<Option<Dispatch>, ErrorKind> {
        let (x, y) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]));
        let pixels = y.n * y.h * y.w;
        let [height, width] = self.window.size;
        let (taps, limit) = (height * width, caps.max_texture as usize);
        let (rows, row) = (y.c.div_ceil(LANES_BLOCK) * taps, 8 * x.c4());
        let fits = rows.max(row) <= limit && pixels < 1 << 24;
        // Each workgroup computes a whole block, however few channels there are.
        if !caps.shuffles_of_eight() || self.groups > 1 || y.c < LANES_BLOCK / 4 || !fits {
            return Ok(None);
        }
        let loops = Loops { planes: 1, rows: height, taps: width, channels: x.c4() };
        let [(part, iterations)] = loops.parts(8, caps)[..] else { return Ok(None) };
        let tile = match pixels {
            1 => 1,
            2..=4 => 4,
            _ => 16,
        };
        let shader = shader!("integer_lanes", "integer_conv2d", "index", "quantize", "nan")
            .tile("PIXELS", tile as u32)
            .set("REQUANTIZE", self.end.is_some());
        let (weight, transposed) = (self.weight.clone(), self.transposed);
        let key = WeightKey::new("integer lanes").constants([Some(weight.id())]).sizes([usize::from(transposed)]);
        let (inputs, in4, outputs) = (x.c, x.c4(), y.c);
        let values = move || {
            let from = weight.counted();
            let mut to = vec![0u32; rows * row * 4];
            for (i, &byte) in from.iter().enumerate() {
                let (tap, c, o) = match transposed {
                    true => (0, i / outputs, i % outputs),
                    false => (i % taps, i / taps % inputs, i / (taps * inputs)),
                };
                let texel = (o / LANES_BLOCK * taps + tap) * in4 + c / 4;
                to[texel * LANES_BLOCK + o % LANES_BLOCK] |= u32::from(byte) << (8 * (c % 4));
            }
            to.into_iter().map(f32::from_bits).collect()
        };
        let packed = Prepacked::new(key, Storage::Texture, (rows, row), values).rounded(Rounding::Never);
        let workgroups = y.c.div_ceil(LANES_BLOCK) * pixels.div_ceil(tile);
        let dispatch = self.dispatch(io, shader, Binding::Weight(packed), (LANES_BLOCK, workgroups), part)?;
        Ok(Some(dispatch.iterations(iterations)))
    }

    /// Returns the dispatch for as many groups as channels of x and y; `None` for others, and for large windows.
    fn depthwise(&self, io: &Io, caps: &Caps) -> Result<Option<Dispatch>, ErrorKind> {
        let (x, y, window) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]), self.window);
        let small = window.reach(0).max(window.reach(1)) <= 5 && window.stride[0].max(window.stride[1]) <= 2;
        if self.groups != x.c || self.groups != y.c || !small {
            return Ok(None);
        }
        let [tile_y, tile_x] = if y.h == 1 { [1, 8] } else { [2, 4] };
        let shader = shader!("integer_depthwise", "integer_conv2d", "index", "quantize", "nan");
        let [size, stride, dilation] = [window.size, window.stride, window.dilation];
        let shader = [
            ("TILE_Y", tile_y),
            ("TILE_X", tile_x),
            ("KERNEL_Y", size[0]),
            ("KERNEL_X", size[1]),
            ("STRIDE_Y", stride[0]),
            ("STRIDE_X", stride[1]),
            ("DILATION_Y", dilation[0]),
            ("DILATION_X", dilation[1]),
        ]
        .into_iter()
        .fold(shader, |shader, (name, value)| shader.tile(name, value as u32))
        .set("REQUANTIZE", self.end.is_some());
        let loops = Loops { planes: 1, rows: size[0], taps: size[1], channels: 1 };
        let [(part, _)] = loops.parts(0, caps)[..] else { return Ok(None) };
        let workgroups = (y.n * y.h.div_ceil(tile_y) * y.w.div_ceil(tile_x) * y.c).div_ceil(WORKGROUP);
        // One block for each channel.
        self.dispatch(io, shader, self.pack(1, caps)?, (1, workgroups), part).map(Some)
    }

    /// Returns the dispatch of a part, with blocks of `out` channels, in so many workgroups.
    fn dispatch(
        &self,
        io: &Io,
        shader: Shader,
        weight: Binding,
        (out, workgroups): (usize, usize),
        part: Part,
    ) -> Result<Dispatch, ErrorKind> {
        let (x, y, window) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]), self.window);
        let group_out = y.c / self.groups;
        let group_blocks = group_out.div_ceil(out);
        let blocks = self.groups * group_blocks;
        let (scale, zero, range) = Requantize::parts(self.end.as_ref(), y.c);
        let params = Params {
            in_h: x.h,
            in_w: x.w,
            in_c: x.c,
            out_w: y.w,
            out_hw: y.h * y.w,
            out_c: y.c,
            kernel: window.size,
            stride: window.stride,
            before: window.before,
            dilation: window.dilation,
            pixels: y.n * y.h * y.w,
            group_in: x.c / self.groups,
            group_out,
            group_blocks,
            blocks,
            w_zeros: u32::from(io.inputs[2].elements() > 1),
            offset: packed("weight", &self.weight)?.offset(),
            zero,
            range,
            part,
        };
        let [x, x_zero, w_zero] = [0, 1, 2].map(Binding::Input);
        let bindings = vec![x, weight, x_zero, w_zero, self.packed_bias(y.c), scale, Binding::Output(0)];
        Ok(Dispatch::new(shader, &params, bindings, workgroups))
    }

    /// Returns the weight, the window and the groups, unless a bias or a quantisation ends it.
    pub(crate) fn parts(&self) -> Option<(&Constant, Window, usize)> {
        (self.bias.is_none() && self.end.is_none()).then_some((&self.weight, self.window, self.groups))
    }

    fn packed_bias(&self, out: usize) -> Binding {
        let bias = self.bias.clone();
        let key = WeightKey::new("integer bias").constants([bias.as_ref().map(Constant::id)]).sizes([out]);
        Binding::Weight(buffer(key, out, move || match bias.as_ref().map(Constant::data) {
            Some(crate::Data::I32(values)) => values.into_iter().map(|value| value as u32).collect(),
            _ => vec![0; out],
        }))
    }
}

impl Op for IntegerConv2d {
    fn name(&self) -> &'static str {
        "integer_conv2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, x_zero, w_zero] = expect_inputs::<3>(inputs)?;
        packed("weight", &self.weight)?;
        expect_rank("input", x, 4)?;
        expect_rank("weight", self.weight.shape(), 4)?;
        let [out, group_in] = [self.weight.shape()[0], self.weight.shape()[1]];
        let channels = group_in.saturating_mul(self.groups);
        if self.groups == 0 || x[1] != channels {
            let wanted = format!("[N, {channels}, H, W] ({} groups of {group_in} channels)", self.groups);
            return Err(ErrorKind::argument("input", wanted, x));
        }
        if out % self.groups != 0 {
            return Err(ErrorKind::argument("groups", format!("a divisor of {out} output channels"), self.groups));
        }
        if x_zero.elements() != 1 {
            return Err(ErrorKind::argument("x_zero_point", "one", x_zero));
        }
        if w_zero.elements() != 1 && w_zero[..] != [out] {
            return Err(ErrorKind::argument("w_zero_point", format_args!("one, or [{out}]"), w_zero));
        }
        if let Some(bias) = &self.bias {
            if bias.shape()[..] != [out] {
                return Err(ErrorKind::argument("bias", Shape::from([out]), bias.shape()));
            }
            if bias.dtype() != DType::I32 {
                return Err(ErrorKind::argument("bias", DType::I32, bias.dtype()));
            }
        }
        if let Some(end) = &self.end {
            end.expect(out)?;
        }
        let [h, w] = self.window.outputs(x)?;
        let shape = Shape::from([x[0], out, h, w]);
        expect_countable("one image", &shape[1..])?;
        Ok(vec![shape])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |_| DType::I32)?;
        Ok(vec![DType::I32])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let kernel = |dispatches| Kernel::several(vec![Layout::ROWS; 3], vec![Layout::ROWS], dispatches);
        if let Some(dispatch) = self.depthwise(io, caps)? {
            return Ok(vec![kernel(vec![dispatch])]);
        }
        // With fewer workgroups than a GPU needs, an invocation takes fewer channels.
        const ENOUGH: usize = 256;
        let (x, y) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]));
        let pixels = y.n * y.h * y.w;
        let each = pixels.div_ceil(WORKGROUP).min(4);
        let tiles = pixels.div_ceil(WORKGROUP * each);
        let (x_channels, group_out) = (x.c / self.groups, y.c / self.groups);
        let blocks = |out: usize| self.groups * group_out.div_ceil(out);
        // The padding of a group's last block is computed too.
        let tidy = |out: usize| group_out.is_multiple_of(out) || group_out > 3 * out;
        let serves = |&out: &usize| tidy(out) && (out < 8 || blocks(out) * tiles >= ENOUGH);
        let out = [8, 4, 2].into_iter().find(serves).unwrap_or(1);
        let shader = shader!("integer_conv2d", "integer_conv2d", "index", "quantize", "nan")
            .tile("PIXELS", each as u32)
            .tile("OUT", out as u32)
            .set("REQUANTIZE", self.end.is_some());
        let loops = Loops { planes: 1, rows: self.window.size[0], taps: self.window.size[1], channels: x_channels };
        let weight = self.pack(out, caps)?;
        let mut dispatches = Vec::new();
        for (part, iterations) in loops.parts(64, caps) {
            let dispatch = self.dispatch(io, shader.clone(), weight.clone(), (out, blocks(out) * tiles), part)?;
            dispatches.push(dispatch.iterations(iterations));
        }
        let portable = kernel(dispatches);
        let lanes = self.lanes(io, caps)?.map(|dispatch| kernel(vec![dispatch]));
        let priority = u8::from(lanes.is_some());
        Ok(lanes.into_iter().chain([portable.priority(priority)]).collect())
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let y = Image::new(&io.outputs[0]);
        let weights = self.weight.shape().elements() as u64;
        let biases = self.bias.as_ref().map_or(0, |bias| bias.shape().elements()) as u64;
        let touched = self.window.touched(&io.inputs[0], &io.outputs[0]) as u64;
        let sums = io.written();
        Metrics::new(Cost {
            weights,
            parameters: weights + biases,
            macs: weights.saturating_mul((y.n * y.h * y.w) as u64),
            other: Requantize::other(self.end.as_ref(), sums) + if biases > 0 { sums } else { 0 },
            moves: Some(touched.saturating_add(weights.div_ceil(4) + biases).saturating_add(sums)),
            activations: true,
        })
        .reach(Reach::Window(self.window.taps(Taps::window)))
        .parameters(std::iter::once(&self.weight).chain(&self.bias).collect())
    }
}

impl Graph {
    /// Adds an [`IntegerConv2d`]. A missing zero point is 0.
    pub fn integer_conv2d(
        &mut self,
        x: Value,
        conv: IntegerConv2d,
        [x_zero_point, w_zero_point]: [Option<Value>; 2],
    ) -> Result<Value> {
        let zeros = [self.zero_point(x_zero_point), self.zero_point(w_zero_point)];
        self.push(conv, &[x, zeros[0], zeros[1]])
    }
}
