//! A convolution and the max pooling after it in one dispatch, for Mesa's llvmpipe.

use super::{Gemm, Operand};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Place, looped, plain};
use crate::ops::activation::{self, ActivationParams};
use crate::ops::window::Window;
use bytemuck::{Pod, Zeroable};

/// Pooled pixels in a row of a workgroup.
const COLUMNS: usize = 7;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    blocks: u32,
    strips_x: u32,
    strips_y: u32,
    rows: u32,
    pool_w: u32,
    pool_h: u32,
    pool_before: [u32; 2],
    out_w: u32,
    out_h: u32,
    out_c: u32,
    images: u32,
    in_h: u32,
    in4: u32,
    stride: [u32; 2],
    before: [u32; 2],
    kernel_h: u32,
    run: u32,
    activation: ActivationParams,
    /// Less than any number.
    nothing: f32,
}

impl Gemm<'_> {
    /// llvmpipe's kernels that pool what this computes to `pooled`, if there are some: for large images of few channels, whose
    /// time is that of storing them.
    pub(crate) fn pooled(&self, pool: Window, pooled: Image, caps: &Caps) -> Option<Vec<Kernel>> {
        const BLOCK: usize = 32;
        let Operand::Weight(w) = self.w else { return None };
        let Window { size, stride, dilation, before } = self.window;
        let in4 = self.x.c4();
        let run = size[1] * in4;
        let fits = self.groups == 1 && dilation == [1; 2] && pool.size == [3; 2] && pool.stride == [2; 2];
        let clamps = activation::code(self.epilogue.activation) == 0 && !self.epilogue.residual;
        let blocks = self.y.c.div_ceil(BLOCK);
        let packed = (BLOCK * run).max(blocks * size[0]) <= caps.max_texture as usize;
        let small = run <= 64 && packed && self.pixels() < 1 << 24;
        if !caps.shuffles_of_eight() || !fits || pool.dilation != [1; 2] || !clamps || !small {
            return None;
        }
        // Few strips share few rows, many keep all processors busy.
        let rows = pooled.h.div_ceil(8);
        let strips = [pooled.h.div_ceil(rows), pooled.w.div_ceil(COLUMNS)];
        let params = Params {
            blocks: blocks as u32,
            strips_x: strips[1] as u32,
            strips_y: strips[0] as u32,
            rows: rows as u32,
            pool_w: pooled.w as u32,
            pool_h: pooled.h as u32,
            pool_before: pool.before.map(|v| v as u32),
            out_w: self.y.w as u32,
            out_h: self.y.h as u32,
            out_c: self.y.c as u32,
            images: self.y.n as u32,
            in_h: self.x.h as u32,
            in4: in4 as u32,
            stride: stride.map(|v| v as u32),
            before: before.map(|v| v as u32),
            kernel_h: size[0] as u32,
            run: run as u32,
            activation: ActivationParams::of(self.epilogue.activation),
            nothing: f32::NEG_INFINITY,
        };
        let packed = self.pack(w, BLOCK, in4, 0..blocks, Place::Texture, BLOCK * run);
        let kernel = |place| {
            let shader = shader!("gemm_pool_lanes", "activation", "index", "nan").texture("y", place == Place::Texture);
            let bias = Binding::Weight(self.bias());
            let bindings = vec![Binding::Input(0), Binding::Weight(packed.clone()), bias, Binding::Output(0)];
            let dispatch = Dispatch::new(shader, &params, bindings, blocks * strips[0] * strips[1] * self.y.n)
                .iterations(looped(2 * rows + 1, looped(size[0], plain(run))).all);
            Kernel::new(self.reads(Place::Texture), Layout::channels(place), dispatch)
        };
        Some([Place::Texture, Place::Buffer].map(kernel).into())
    }
}
