//! The GEMM of every GPU: tiles through workgroup memory, and a matrix-vector product for few rows.

use super::{Gemm, Operand};
use crate::error::{ErrorKind, Result};
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Place, Shader};
use crate::ops::activation::ActivationParams;
use crate::ops::window::Window;
use bytemuck::{Pod, Zeroable};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct GemmParams {
    pixels: u32,
    out_w: u32,
    out_hw: u32,
    out4: u32,
    in_h: u32,
    in_w: u32,
    in_c: u32,
    in4: u32,
    stride: [u32; 2],
    before: [u32; 2],
    dilation: [u32; 2],
    kernel_w: u32,
    taps: u32,
    span4: u32,
    group_out: u32,
    group_in: u32,
    first_block: u32,
    blocks: u32,
    w_rows: u32,
    activation: ActivationParams,
    pad: [u32; 3],
    batch: [[u32; 4]; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct GemvParams {
    k4: u32,
    out4: u32,
    first_block: u32,
    blocks: u32,
    rows: u32,
    activation: ActivationParams,
}

impl Gemm<'_> {
    /// Tiles of 64 pixels x 64 channels through workgroup memory. `rows` reads x as NCHW: what a network's input is.
    pub(super) fn gemm(&self, caps: &Caps, rows: bool) -> Result<Option<Kernel>, ErrorKind> {
        const BLOCK: usize = 64;
        let worth_it = self.x.c <= 4 && matches!(self.w, Operand::Weight(_)) && self.x.h * self.x.w > 1;
        if rows && !worth_it {
            return Ok(None);
        }
        let shader = self.epilogue.of(shader!("gemm", "activation", "index")).set("X_ROWS", rows);
        let Window { size, stride, dilation, before } = self.window;
        let span4 = self.span4(BLOCK);
        let k = size[0] * size[1] * span4 * 4;
        let dispatch = |first_block: usize, blocks: usize, w: Binding, shader: Shader| {
            let params = GemmParams {
                pixels: self.pixels() as u32,
                out_w: self.y.w as u32,
                out_hw: (self.y.h * self.y.w) as u32,
                out4: self.y.c4() as u32,
                in_h: self.x.h as u32,
                in_w: self.x.w as u32,
                in_c: self.x.c as u32,
                in4: self.x.c4() as u32,
                stride: stride.map(|v| v as u32),
                before: before.map(|v| v as u32),
                dilation: dilation.map(|v| v as u32),
                kernel_w: size[1] as u32,
                taps: (size[0] * size[1]) as u32,
                span4: span4 as u32,
                group_out: (self.y.c / self.groups) as u32,
                group_in: (self.x.c / self.groups) as u32,
                first_block: first_block as u32,
                blocks: blocks as u32,
                w_rows: if let Operand::Input { rows, .. } = self.w { rows as u32 } else { 0 },
                activation: ActivationParams::of(self.epilogue.activation),
                pad: [0; 3],
                batch: self.matrices(),
            };
            let workgroups = self.products() * blocks * self.pixels().div_ceil(64);
            Dispatch::new(shader, &params, self.bindings(w, self.bias()), workgroups)
        };
        let blocks = self.y.c.div_ceil(BLOCK);
        let dispatches = match self.w {
            Operand::Weight(w) => chunks(caps, BLOCK, k * BLOCK * 4, blocks)?
                .map(|(first, count)| {
                    let w = self.pack(w, BLOCK, span4, first..first + count, Place::Buffer, 16 * k);
                    dispatch(first, count, Binding::Weight(w), shader.clone())
                })
                .collect(),
            Operand::Input { transposed: [x, w], .. } => {
                let shader = shader.set("W_ROWS", true).set("X_COLUMNS", x).set("W_COLUMNS", w);
                vec![dispatch(0, blocks, Binding::Input(1), shader)]
            }
        };
        let mut reads = self.reads(Place::Buffer);
        if rows {
            reads[0] = Layout::ROWS;
        }
        let writes = vec![(self.layout)(Place::Buffer)];
        Ok(Some(Kernel { rank: 0, reads, writes, dispatches }))
    }

    /// One row a workgroup, k in slices: for a linear layer of few rows.
    pub(super) fn gemv(&self, caps: &Caps) -> Result<Option<Kernel>, ErrorKind> {
        const BLOCK: usize = 64;
        let Operand::Weight(w) = self.w else { return Ok(None) };
        let whole_image =
            self.window.size == [self.x.h, self.x.w] && self.window.before == [0; 2] && self.y.h * self.y.w == 1;
        if !whole_image || self.groups != 1 || self.y.n > 8 || self.window.dilation != [1; 2] {
            return Ok(None);
        }
        let k = self.x.h * self.x.w * self.x.c4() * 4;
        let shader = self.epilogue.of(shader!("gemv", "activation", "index"));
        let dispatches = chunks(caps, BLOCK, k * BLOCK * 4, self.y.c.div_ceil(BLOCK))?
            .map(|(first, count)| {
                let params = GemvParams {
                    k4: (k / 4) as u32,
                    out4: self.y.c4() as u32,
                    first_block: first as u32,
                    blocks: count as u32,
                    rows: self.y.n as u32,
                    activation: ActivationParams::of(self.epilogue.activation),
                };
                let w = self.pack(w, BLOCK, self.x.c4(), first..first + count, Place::Buffer, 16 * k);
                let bindings = self.bindings(Binding::Weight(w), self.bias());
                Dispatch::new(shader.clone(), &params, bindings, count * self.y.n)
            })
            .collect();
        Ok(Some(Kernel {
            rank: 0,
            reads: self.reads(Place::Buffer),
            writes: vec![(self.layout)(Place::Buffer)],
            dispatches,
        }))
    }
}

/// Blocks of `block` output channels with weights of so many `bytes`, in runs whose weights one binding can hold: (first,
/// count).
pub(crate) fn chunks(
    caps: &Caps,
    block: usize,
    bytes: usize,
    blocks: usize,
) -> Result<impl Iterator<Item = (usize, usize)>, ErrorKind> {
    let limits = [(caps.max_binding, "max_storage_buffer_binding_size"), (caps.max_buffer, "max_buffer_size")];
    let (have, limit) = limits.into_iter().min().expect("there are two");
    let per_chunk = (have / bytes as u64) as usize;
    if per_chunk == 0 {
        let what = format!("the weights of {block} outputs");
        return Err(ErrorKind::Limit { what, limit, need: bytes as u64, have });
    }
    Ok((0..blocks).step_by(per_chunk).map(move |first| (first, per_chunk.min(blocks - first))))
}
