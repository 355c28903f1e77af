//! A portable product of pixels that a depthwise convolution gives: each workgroup filters the pixels of its tile.

use super::model::{self, Problem, Tile};
use super::{BLOCK, Gemm, Operand};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage};
use crate::ops::activation::{self, ActivationParams};
use crate::ops::depthwise::Depthwise;

params! {
    struct Params {
        pairs: usize,
        pairs_x: usize,
        out_w: usize,
        out_h: usize,
        out_c: usize,
        out4: usize,
        columns: usize,
        in_w: usize,
        in_h: usize,
        in4: usize,
        before: [isize; 2] as [pad_top, pad_left],
        filtered: [f32; 3] as [filtered_lo, filtered_hi, filtered_alpha],
        activation: ActivationParams,
    }
}

impl Gemm<'_> {
    /// Returns the kernels that compute this product of a depthwise convolution's output and that convolution, best
    /// first, if they cost less than two dispatches.
    pub(crate) fn filtering(&self, depthwise: &Depthwise, caps: &Caps) -> Option<Vec<Kernel>> {
        /// The most texels of two pixels' window: more don't fit into navi31's registers.
        const MOST: usize = 15;
        let Operand::Weight(w) = self.w else { return None };
        let (x, y, window) = (depthwise.x, self.y, depthwise.window);
        let [height, width] = window.size;
        let packed = self.pack(w, BLOCK, x.c4(), 0..y.c.div_ceil(BLOCK), Storage::Buffer, BLOCK * x.c4());
        let fits = height * (width + window.stride[1]) <= MOST && packed.bytes() <= caps.max_binding;
        if !caps.fast_workgroup_memory || !fits {
            return None;
        }
        let pairs_x = y.w.div_ceil(2);
        let pairs = y.n * y.h * pairs_x;
        let problem =
            Problem { matrices: 1, pixels: 2 * pairs, channels: y.c, k: 4 * x.c4(), grouped: false, filter: None };
        let kernel = |tile: Tile| {
            let columns = y.c.div_ceil(tile.n);
            let filtered = depthwise.epilogue.activation;
            let params = Params {
                pairs,
                pairs_x,
                out_w: y.w,
                out_h: y.h,
                out_c: y.c,
                out4: y.c4(),
                columns,
                in_w: x.w,
                in_h: x.h,
                in4: x.c4(),
                before: window.before.map(|v| v as isize),
                filtered: ActivationParams::new(filtered).numbers(),
                activation: ActivationParams::new(self.epilogue.activation),
            };
            let mut shader = shader!("separable", "activation", "index", "blocks", "nan");
            for (name, value) in
                [("SLICES", tile.slices), ("KERNEL_Y", height), ("KERNEL_X", width), ("STRIDE", window.stride[1])]
            {
                shader = shader.tile(name, value as u32);
            }
            let shader = self.epilogue.specialize(shader.set("FILTERED", activation::code(filtered)));
            let mut bindings = self.bindings(Binding::Weight(packed.clone()), self.bias());
            bindings.insert(1, Binding::Weight(depthwise.pack(Storage::Buffer)));
            let workgroups = columns * (2 * pairs).div_ceil(tile.m);
            let dispatch = Dispatch::new(shader, &params, bindings, workgroups).iterations(tile.iterations(x.c4()));
            Kernel::new(self.reads(Storage::Buffer), Layout::channels(Storage::Buffer), dispatch)
        };
        let kernels: Vec<Kernel> = model::filtering(&problem, window.size, caps).into_iter().map(kernel).collect();
        (!kernels.is_empty()).then_some(kernels)
    }
}
