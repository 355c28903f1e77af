//! A convolution and the max pooling after it in one dispatch: 2x2 on GPUs, where an invocation has the sums of a whole
//! window; 3x3 in strips on Mesa's llvmpipe.

use super::lanes::BLOCK;
use super::{Gemm, Operand};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage, looped, plain};
use crate::ops::activation::{self, ActivationParams};
use crate::ops::window::Window;

/// The pooled pixels in a row of a workgroup.
const COLUMNS: usize = 7;

params! {
    struct Params {
        blocks: usize,
        strips_x: usize,
        strips_y: usize,
        rows: usize,
        pool_w: usize,
        pool_h: usize,
        pool_before: [isize; 2] as [pool_top, pool_left],
        out_w: isize,
        out_h: isize,
        out_c: usize,
        images: usize,
        in_h: isize,
        in4: isize,
        stride: [isize; 2] as [stride_y, stride_x],
        before: [isize; 2] as [pad_top, pad_left],
        kernel_h: isize,
        run: isize,
        activation: ActivationParams,
        /// Minus infinity, the maximum of no numbers.
        nothing: f32,
    }
}

impl Gemm<'_> {
    /// Returns the kernels that pool the output of this product to `pooled`, if there are any.
    pub(crate) fn pooled(&self, pool: Window, pooled: Image, caps: &Caps) -> Option<Vec<Kernel>> {
        if caps.shuffles_of_eight() {
            self.pooled_in_lanes(pool, pooled, caps)
        } else {
            self.halved(pool, pooled, caps)
        }
    }

    /// Returns the kernels of the tiled products that store the largest of each 2x2 pixels. A split of k, which adds the sums
    /// in another dispatch, pays more than that, and so do the kernels for few rows.
    fn halved(&self, pool: Window, pooled: Image, caps: &Caps) -> Option<Vec<Kernel>> {
        let Window { size, stride, dilation, before, .. } = pool;
        let halves = (size, stride, dilation, before) == ([2; 2], [2; 2], [1; 2], [0; 2]);
        let whole = [pooled.h, pooled.w] == [self.y.h / 2, self.y.w / 2];
        let plain = self.groups == 1 && self.depth.is_none() && self.epilogue.residual.is_none();
        if !(halves && whole && plain) || self.lines(caps).is_some() || !self.gemv(caps).ok()?.is_empty() {
            return None;
        }
        let split = |kernel: &Kernel| kernel.dispatches.len() > 1;
        if self.tiled(caps).ok()?.first().is_none_or(split) {
            return None;
        }
        let gemm = Gemm { y: Image { h: 2 * pooled.h, w: 2 * pooled.w, ..self.y }, pools: true, ..*self };
        Some([gemm.matrix(caps).ok()?, gemm.tiled(caps).ok()?, gemm.tiled_rows(caps).ok()?].concat())
    }

    /// Returns llvmpipe's kernels: for large images of few channels, where most of the time goes into storing them.
    fn pooled_in_lanes(&self, pool: Window, pooled: Image, caps: &Caps) -> Option<Vec<Kernel>> {
        let Operand::Weight(w) = self.w else { return None };
        let Window { size, stride, dilation, before, .. } = self.window;
        let in4 = self.x.c4();
        let run = size[1] * in4;
        let fits = self.groups == 1 && dilation == [1; 2] && pool.size == [3; 2] && pool.stride == [2; 2];
        let clamps = activation::code(self.epilogue.activation) == 0 && self.epilogue.residual.is_none();
        let blocks = self.y.c.div_ceil(BLOCK);
        let packed = (BLOCK * run).max(blocks * size[0]) <= caps.max_texture as usize;
        let small = run <= 64 && packed && self.pixels() < 1 << 24;
        if !caps.shuffles_of_eight() || !fits || pool.dilation != [1; 2] || !clamps || !small {
            return None;
        }
        // Few strips compute few rows twice; many strips keep all processors busy.
        let rows = pooled.h.div_ceil(8);
        let strips = [pooled.h.div_ceil(rows), pooled.w.div_ceil(COLUMNS)];
        let params = Params {
            blocks,
            strips_x: strips[1],
            strips_y: strips[0],
            rows,
            pool_w: pooled.w,
            pool_h: pooled.h,
            pool_before: pool.before.map(|v| v as isize),
            out_w: self.y.w as isize,
            out_h: self.y.h as isize,
            out_c: self.y.c,
            images: self.y.n,
            in_h: self.x.h as isize,
            in4: in4 as isize,
            stride: stride.map(|v| v as isize),
            before: before.map(|v| v as isize),
            kernel_h: size[0] as isize,
            run: run as isize,
            activation: ActivationParams::new(self.epilogue.activation),
            nothing: f32::NEG_INFINITY,
        };
        let packed = self.pack(w, BLOCK, in4, 0..blocks, Storage::Texture, BLOCK * run);
        let kernel = |storage| {
            let shader =
                shader!("gemm_pool_lanes", "activation", "index", "nan").texture("y", storage == Storage::Texture);
            let bias = Binding::Weight(self.bias());
            let bindings = vec![Binding::Input(0), Binding::Weight(packed.clone()), bias, Binding::Output(0)];
            let dispatch = Dispatch::new(shader, &params, bindings, blocks * strips[0] * strips[1] * self.y.n)
                .iterations(looped(2 * rows + 1, looped(size[0], plain(run))).all);
            Kernel::new(self.reads(Storage::Texture), Layout::channels(storage), dispatch)
        };
        Some([Storage::Texture, Storage::Buffer].map(kernel).into())
    }
}
