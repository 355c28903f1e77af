//! The kernels of pooling: a line of pixels is an image one pixel high, and the planes of a volume are images.

use super::{Pool, PoolKind, shares};
use crate::graph::op::Io;
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader};
use crate::ops::reduce::Split;
use crate::ops::window::volume;
use crate::ops::{image_kernels, one_to_one};

params! {
    struct Params {
        input: [usize; 3],
        count: usize,
        output: [usize; 3],
        c: usize,
        size: [usize; 3],
        p: f32,
        stride: [usize; 3],
        parity: u32,
        dilation: [usize; 3],
        start: f32,
        before: [usize; 3],
        nan: f32,
        after: [usize; 3],
    }
}

impl<const D: usize> Pool<D> {
    /// Returns the parameters of the kernels for `count` results.
    fn params(&self, io: &Io, count: usize) -> Params {
        let window = self.window().over::<3>();
        // All steps that lead out of the image are alike.
        let steps = |values: [usize; 3]| values.map(|v| v.min(1 << 30));
        Params {
            input: volume(&io.inputs[0]),
            count,
            output: volume(&io.outputs[0]),
            c: io.inputs[0][1],
            size: window.size,
            p: self.kind.order(),
            stride: steps(window.stride),
            parity: self.kind.parity(),
            dilation: steps(window.dilation),
            start: self.kind.start(),
            before: window.before,
            nan: f32::NAN,
            after: window.after,
        }
    }

    fn specialize(&self, shader: Shader) -> Shader {
        let shader = shader.set("ADAPTIVE", self.adaptive.is_some());
        if D == 3 { shader.set("DEEP", true) } else { shader }
    }

    /// Returns the kernels over channels last: of lines, images and volumes.
    pub(super) fn channels_last(&self, io: &Io, caps: &Caps) -> Vec<Kernel> {
        let y = Image::planes(&io.outputs[0]);
        let count = y.n * y.h * y.w * y.c4();
        let pixels: usize = self.pixels(io).iter().product();
        let shared = shares(pixels, count, caps);
        let (lanes, mut columns) = if shared { (256, count.next_power_of_two().min(16)) } else { (64, 64) };
        let iterations = |columns: usize| (pixels * columns).div_ceil(lanes) + 16;
        while shared && columns > 1 && iterations(columns) > caps.max_loop_iterations as usize {
            columns /= 2;
        }
        let shader = shader!("pool", "index", "pool", "nan").set("KIND", self.kind.code());
        // Longer batches need so many registers that a GPU holds fewer workgroups (RTX 3090, NVK). The powers of norms
        // wait for one load at a time whatever the batch is.
        let batch = match self.kind {
            PoolKind::Lp(_) | PoolKind::PNorm(_) => 1,
            _ if D == 3 && shared => 1,
            _ if D == 3 => 2,
            _ if shared || !pixels.is_multiple_of(4) && pixels.is_multiple_of(3) => 3,
            _ => 4,
        };
        let shader = self
            .specialize(shader)
            .tile("BATCH", batch)
            .set("COUNT_INCLUDE_PAD", self.count_include_pad)
            .set("LANES", lanes as u32)
            .set("COLUMNS", columns as u32);
        let dispatch = Dispatch::new(shader, &self.params(io, count), one_to_one(), count.div_ceil(columns));
        image_kernels(caps, &dispatch.iterations(iterations(columns)))
    }

    /// Returns the kernel, over row-major tensors, that gives maxima and their indices.
    pub(super) fn indices(&self, io: &Io, caps: &Caps) -> Kernel {
        let (count, pixels) = (io.outputs[0].elements(), self.pixels(io).iter().product());
        let split = Split::new(if shares(pixels, count, caps) { pixels } else { 1 }, 1, caps);
        let shader = self
            .specialize(shader!("max_pool_indices", "index", "order", "largest", "pool", "nan"))
            .set("LANES", split.lanes)
            .set("COLUMNS", split.columns);
        let bindings = vec![Binding::Input(0), Binding::Output(0), Binding::Output(1)];
        let workgroups = count.div_ceil(split.columns as usize);
        let dispatch = Dispatch::new(shader, &self.params(io, count), bindings, workgroups);
        let dispatches = vec![dispatch.iterations(split.iterations(pixels))];
        Kernel::several(vec![Layout::ROWS], vec![Layout::ROWS; 2], dispatches)
    }
}
