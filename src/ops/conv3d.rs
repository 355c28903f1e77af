//! 3-D convolution, over volumes and videos.

use super::activation::ActivationParams;
use super::conv::Filters;
use super::gemm::chunks;
use super::part::{Loops, Part};
use super::window::{positions, touched};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, Reach, Taps};
use crate::kernel::dispatch::WORKGROUP;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::{Graph, Shape, Value};

/// `torch.nn.Conv3d` with zero padding: `[N, C, D, H, W]` to `[N, O, D', H', W']`, with
/// `D' = floor((D + 2 padding - dilation (k - 1) - 1) / stride) + 1`.
///
/// ```
/// use shadernet::{Constant, ops::Conv3d};
/// let weight = Constant::new("weight", [8, 3, 3, 7, 7], vec![0.1; 8 * 3 * 3 * 7 * 7]);
/// let conv = Conv3d::new(weight, None).strides([1, 2, 2]).paddings([1, 3, 3]);
/// ```
#[derive(Clone, Debug)]
pub struct Conv3d {
    filters: Filters,
    stride: [usize; 3],
    /// The padding before and after each axis.
    padding: [[usize; 2]; 3],
    dilation: [usize; 3],
}

params! {
    struct Params {
        in_size: [usize; 3] as [in_d, in_h, in_w],
        in_c: usize,
        out_h: usize,
        out_w: usize,
        out_volume: usize,
        out_c: usize,
        kernel: [usize; 3] as [kernel_z, kernel_y, kernel_x],
        pixels: usize,
        stride: [usize; 3] as [stride_z, stride_y, stride_x],
        before: [usize; 3] as [before_z, before_y, before_x],
        dilation: [usize; 3] as [dilation_z, dilation_y, dilation_x],
        group_in: usize,
        group_out: usize,
        group_blocks: usize,
        first_block: usize,
        blocks: usize,
        activation: ActivationParams,
        part: Part,
    }
}

impl Conv3d {
    /// Creates a convolution with weights `[out, in / groups, kernel depth, height, width]`, stride 1, no padding.
    pub fn new(weight: Constant, bias: Option<Constant>) -> Conv3d {
        Conv3d { filters: Filters::new(weight, bias), stride: [1; 3], padding: [[0; 2]; 3], dilation: [1; 3] }
    }

    /// Sets the stride, in all directions.
    #[must_use]
    pub fn stride(self, stride: usize) -> Conv3d {
        self.strides([stride; 3])
    }

    /// Sets the stride, `[depth, height, width]`.
    #[must_use]
    pub fn strides(self, stride: [usize; 3]) -> Conv3d {
        Conv3d { stride, ..self }
    }

    /// Sets the padding on all six sides.
    #[must_use]
    pub fn padding(self, padding: usize) -> Conv3d {
        self.paddings([padding; 3])
    }

    /// Sets the padding on both sides of `[depth, height, width]`.
    #[must_use]
    pub fn paddings(self, padding: [usize; 3]) -> Conv3d {
        self.pads(padding.map(|padding| [padding; 2]))
    }

    /// Sets the padding before and after `[depth, height, width]`, as in ONNX.
    #[must_use]
    pub fn pads(self, padding: [[usize; 2]; 3]) -> Conv3d {
        Conv3d { padding, ..self }
    }

    /// Sets the dilation, the distance between taps, in all directions.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Conv3d {
        self.dilations([dilation; 3])
    }

    /// Sets the dilation, the distance between taps, `[depth, height, width]`.
    #[must_use]
    pub fn dilations(self, dilation: [usize; 3]) -> Conv3d {
        Conv3d { dilation, ..self }
    }

    /// Sets the number of channel groups, which don't mix; as many groups as channels make the convolution depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Conv3d {
        self.filters.groups = groups;
        self
    }

    fn kernel_size(&self) -> [usize; 3] {
        self.filters.weight.shape()[2..].try_into().expect("it was checked")
    }
}

impl Op for Conv3d {
    fn name(&self) -> &'static str {
        "conv3d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let out = self.filters.expect(inputs, "D, H, W", false)?;
        let mut sizes = [0; 3];
        for (axis, name) in ["input depth", "input height", "input width"].into_iter().enumerate() {
            let window = [self.kernel_size()[axis], self.stride[axis], self.dilation[axis]];
            let [before, after] = self.padding[axis];
            sizes[axis] = positions(name, inputs[0][2 + axis], before.saturating_add(after), window)?;
        }
        self.filters.output(inputs, out, &sizes)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        // With fewer workgroups than a GPU needs, an invocation takes fewer channels.
        const ENOUGH: usize = 256;
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let out_volume: usize = y[2..].iter().product();
        let pixels = y[0] * out_volume;
        let each = pixels.div_ceil(WORKGROUP).min(4);
        let tiles = pixels.div_ceil(WORKGROUP * each);
        let (group_in, group_out, groups) =
            (self.filters.weight.shape()[1], self.filters.group_out(), self.filters.groups);
        let blocks_of = |out4: usize| groups * group_out.div_ceil(4 * out4);
        let serves = |&out4: &usize| group_out.div_ceil(4) % out4 == 0 && blocks_of(out4) * tiles >= ENOUGH;
        let out4 = [4, 2].into_iter().find(serves).unwrap_or(1);

        let k = group_in * self.kernel_size().iter().product::<usize>();
        let shader =
            shader!("conv3d", "activation", "index", "nan").tile("PIXELS", each as u32).tile("OUT4", out4 as u32);
        let shader = self.filters.epilogue.of(shader);
        let [planes, rows, taps] = self.kernel_size();
        let parts = Loops { planes, rows, taps, channels: group_in }.parts(64, caps);
        let dispatch = |(first, count): (usize, usize), &(part, iterations): &(Part, usize)| {
            let params = Params {
                in_size: [x[2], x[3], x[4]],
                in_c: x[1],
                out_h: y[3],
                out_w: y[4],
                out_volume,
                out_c: y[1],
                kernel: self.kernel_size(),
                pixels,
                stride: self.stride,
                before: self.padding.map(|[before, _]| before),
                dilation: self.dilation,
                group_in,
                group_out,
                group_blocks: group_out.div_ceil(4 * out4),
                first_block: first,
                blocks: count,
                activation: ActivationParams::of(self.filters.epilogue.activation),
                part,
            };
            let weight = Binding::Weight(self.filters.pack(out4, first..first + count));
            let bindings = vec![Binding::Input(0), weight, self.filters.epilogue.binding(), Binding::Output(0)];
            Dispatch::new(shader.clone(), &params, bindings, count * tiles).iterations(iterations)
        };
        let chunks = chunks(caps, 4 * out4, (k + 1) * out4 * 16, blocks_of(out4))?;
        let dispatches = chunks.flat_map(|chunk| parts.iter().map(move |part| (chunk, part)));
        let dispatches = dispatches.map(|(chunk, part)| dispatch(chunk, part));
        let reads = vec![Layout::ROWS; self.filters.epilogue.inputs()];
        Ok(vec![Kernel::several(reads, vec![Layout::ROWS], dispatches.collect())])
    }

    fn cost(&self, io: &Io) -> Cost {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let along = |axis: usize| {
            let window = [self.kernel_size()[axis], self.stride[axis], self.dilation[axis]];
            touched(x[2 + axis], y[2 + axis], window)
        };
        let pixels = (0..3).map(along).fold(x[0].saturating_mul(x[1]), usize::saturating_mul);
        self.filters.cost(io, y.elements() / y[1], pixels)
    }

    fn reach(&self, _io: &Io) -> Reach {
        let taps = |axis: usize| {
            Taps::window(
                self.kernel_size()[axis],
                self.stride[axis],
                self.dilation[axis],
                self.padding[axis][0] as isize,
            )
        };
        Reach::Window((0..3).map(taps).collect())
    }

    fn parameters(&self) -> Vec<&Constant> {
        self.filters.parameters()
    }

    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        Some(Box::new(Conv3d { filters: self.filters.with(next, false)?, ..self.clone() }))
    }
}

impl Graph {
    /// Adds a [`Conv3d`].
    pub fn conv3d(&mut self, x: Value, conv: Conv3d) -> Result<Value> {
        self.push(conv, &[x])
    }
}
