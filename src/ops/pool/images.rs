//! The kernels of pooling over images; a line of pixels is an image one pixel high.

use super::{Pool, shares};
use crate::graph::op::Io;
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::ops::reduce::Split;
use crate::ops::{image_kernels, one_to_one};

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        out_h: usize,
        out_w: usize,
        c: usize,
        count: usize,
        size: [usize; 2] as [size_y, size_x],
        stride: [usize; 2] as [stride_y, stride_x],
        dilation: [usize; 2] as [dilation_y, dilation_x],
        before: [usize; 2] as [top, left],
        after: [usize; 2] as [bottom, right],
        p: f32,
        parity: u32,
        start: f32,
        nan: f32,
    }
}

impl<const D: usize> Pool<D> {
    /// Returns the parameters of the kernels for `count` results.
    fn params(&self, io: &Io, count: usize) -> Params {
        let (x, y, window) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]), self.window().image());
        // All steps that lead out of the image are alike.
        let steps = |values: [usize; 2]| values.map(|v| v.min(1 << 30));
        Params {
            in_h: x.h,
            in_w: x.w,
            out_h: y.h,
            out_w: y.w,
            c: x.c,
            count,
            size: window.size,
            stride: steps(window.stride),
            dilation: steps(window.dilation),
            before: window.before,
            after: window.after,
            p: self.kind.order(),
            parity: self.kind.parity(),
            start: self.kind.start(),
            nan: f32::NAN,
        }
    }

    /// Returns the kernels over images, four channels to a texel.
    pub(super) fn images(&self, io: &Io, caps: &Caps) -> Vec<Kernel> {
        let y = Image::new(&io.outputs[0]);
        let count = y.n * y.h * y.w * y.c4();
        let pixels: usize = self.pixels(io).iter().product();
        let shared = shares(pixels, count, caps);
        let (lanes, mut columns) = if shared { (256, count.next_power_of_two().min(16)) } else { (64, 64) };
        let iterations = |columns: usize| (pixels * columns).div_ceil(lanes) + 16;
        while shared && columns > 1 && iterations(columns) > caps.max_loop_iterations as usize {
            columns /= 2;
        }
        let shader = shader!("pool", "index", "pool", "pool_window", "nan")
            .set("KIND", self.kind.code())
            .set("ADAPTIVE", self.adaptive.is_some())
            .set("COUNT_INCLUDE_PAD", self.count_include_pad)
            .set("LANES", lanes as u32)
            .set("COLUMNS", columns as u32);
        let dispatch = Dispatch::new(shader, &self.params(io, count), one_to_one(), count.div_ceil(columns));
        image_kernels(caps, &dispatch.iterations(iterations(columns)))
    }

    /// Returns the kernel over row-major images that gives maxima and their indices.
    pub(super) fn image_indices(&self, io: &Io, caps: &Caps) -> Kernel {
        let (count, pixels) = (io.outputs[0].elements(), self.pixels(io).iter().product());
        let split = Split::new(if shares(pixels, count, caps) { pixels } else { 1 }, 1, caps);
        let shader = shader!("max_pool_indices", "index", "order", "largest", "pool", "pool_window", "nan")
            .set("ADAPTIVE", self.adaptive.is_some())
            .set("LANES", split.lanes)
            .set("COLUMNS", split.columns);
        let bindings = vec![Binding::Input(0), Binding::Output(0), Binding::Output(1)];
        let workgroups = count.div_ceil(split.columns as usize);
        let dispatch = Dispatch::new(shader, &self.params(io, count), bindings, workgroups);
        let dispatches = vec![dispatch.iterations(split.iterations(pixels))];
        Kernel::several(vec![Layout::ROWS], vec![Layout::ROWS; 2], dispatches)
    }
}
