//! The kernels of pooling over row-major volumes.

use super::{Pool, shares};
use crate::graph::op::Io;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, looped, plain};
use crate::ops::window::volume;

params! {
    struct Params {
        input: [usize; 3],
        count: usize,
        output: [usize; 3],
        parity: u32,
        size: [usize; 3],
        p: f32,
        stride: [usize; 3],
        start: f32,
        dilation: [usize; 3],
        nan: f32,
        before: [usize; 3],
        padding: u32,
        after: [usize; 3],
    }
}

impl<const D: usize> Pool<D> {
    /// Returns the kernel over volumes, which gives a maximum and its index if indices are wanted.
    pub(super) fn volumes(&self, io: &Io, caps: &Caps) -> Kernel {
        let window = self.window().over::<3>();
        // All steps that lead out of the volume are alike.
        let steps = |values: [usize; 3]| values.map(|v| v.min(1 << 30));
        let count = io.outputs[0].elements();
        let params = Params {
            input: steps(volume(&io.inputs[0])),
            count,
            output: steps(volume(&io.outputs[0])),
            parity: self.kind.parity(),
            size: steps(window.size),
            p: self.kind.order(),
            stride: steps(window.stride),
            start: self.kind.start(),
            dilation: steps(window.dilation),
            nan: f32::NAN,
            before: steps(window.before),
            padding: 0,
            after: steps(window.after),
        };
        let shader = if self.return_indices {
            shader!("max_pool3d_indices", "index", "order", "largest", "pool3d", "pool_window", "nan")
        } else {
            shader!("pool3d", "index", "pool3d", "pool_window", "nan")
                .set("KIND", self.kind.code())
                .set("COUNT_INCLUDE_PAD", self.count_include_pad)
        };
        let pixels = self.pixels(io);
        let (wide, rows) = (pixels[D - 1], pixels[..D - 1].iter().product::<usize>());
        // The invocations that share a window, and how many of them are neighbours along a row of the window.
        let lanes = if shares(rows * wide, count, caps) { 256 } else { 1 };
        let across = wide.next_power_of_two().min(lanes);
        let columns = 64usize.div_ceil(lanes);
        let iterations = looped(rows.div_ceil(lanes / across), plain(wide.div_ceil(across))).all + 16;
        let shader = shader
            .set("ADAPTIVE", self.adaptive.is_some())
            .set("LANES", lanes as u32)
            .set("ACROSS", across as u32)
            .set("COLUMNS", columns as u32);
        let outputs = 0..io.outputs.len();
        let bindings = [Binding::Input(0)].into_iter().chain(outputs.clone().map(Binding::Output)).collect();
        let dispatch = Dispatch::new(shader, &params, bindings, count.div_ceil(columns)).iterations(iterations);
        Kernel::several(vec![Layout::ROWS], outputs.map(|_| Layout::ROWS).collect(), vec![dispatch])
    }
}
