//! The implicit GEMM that convolution, linear layers and matrix products lower to: choice of kernel, packing of weights.

use super::activation::{Activation, ActivationParams, code};
use super::window::Window;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Packed, Place, Shader};
use bytemuck::{Pod, Zeroable};

/// `y[p, o] = f(sum_k x[p, k] w[k, o] + bias[o] + residual[p, o])`, where p counts pixels (or rows) and k the taps of the
/// kernel and the channels under them.
pub(crate) struct Gemm<'a> {
    /// The input; the rows of a matrix are images of one pixel.
    pub(crate) x: Image,
    /// The output.
    pub(crate) y: Image,
    /// The layout family of input 0 and the output: `Channels`, or `Packed` for matrices.
    pub(crate) layout: fn(Place) -> Layout,
    /// Sizes and placement of the kernel: all as `[vertical, horizontal]`.
    pub(crate) window: Window,
    /// Groups of channels.
    pub(crate) groups: usize,
    /// The weights.
    pub(crate) w: Operand<'a>,
    /// The bias.
    pub(crate) bias: Option<&'a Constant>,
    /// Input 1 is added before the activation.
    pub(crate) residual: bool,
    /// The activation.
    pub(crate) activation: Option<Activation>,
}

/// The second operand.
pub(crate) enum Operand<'a> {
    /// Weights `[out, in / groups, kernel height, kernel width]` (or `[out, in]`), packed at load.
    Weight(&'a Constant),
    /// Input 1, as `[k][o]` rows, and the batch of products: sizes, and rows that x and w move along each.
    Input { rows: usize, batch: [u32; 4], x_batch: [u32; 4], w_batch: [u32; 4] },
}

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

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct LanesParams {
    pixels: u32,
    out_w: u32,
    out_hw: u32,
    out4: u32,
    in_h: u32,
    in4: u32,
    stride: [u32; 2],
    before: [u32; 2],
    dilation_y: u32,
    kernel_h: u32,
    segments: u32,
    step: u32,
    run: u32,
    group_out: u32,
    group_in: u32,
    blocks: u32,
    tiles: u32,
    blocks_first: u32,
    activation: ActivationParams,
    per_out_hw: f32,
    per_out_w: f32,
    pad: [u32; 3],
    batch: [[u32; 4]; 3],
}

impl Gemm<'_> {
    /// The kernels, best first.
    pub(crate) fn kernels(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut kernels = self.lanes(caps);
        let rank = if kernels.is_empty() { 0 } else { 1 };
        let portable = [self.gemv(caps)?, self.gemm(caps, false)?, self.gemm(caps, true)?];
        kernels.extend(portable.into_iter().flatten().map(|kernel| kernel.rank(rank)));
        Ok(kernels)
    }

    fn pixels(&self) -> usize {
        self.y.n * self.y.h * self.y.w
    }

    fn matrices(&self) -> [[u32; 4]; 3] {
        match self.w {
            Operand::Weight(_) => [[1; 4], [0; 4], [0; 4]],
            Operand::Input { batch, x_batch, w_batch, .. } => [batch, x_batch, w_batch],
        }
    }

    fn products(&self) -> usize {
        self.matrices()[0].iter().product::<u32>() as usize
    }

    /// The texels of input channels that a block of `block` output channels reads at most.
    fn span4(&self, block: usize) -> usize {
        let (group_out, group_in) = (self.y.c / self.groups, self.x.c / self.groups);
        (0..self.y.c.div_ceil(block))
            .map(|b| {
                let last = ((b + 1) * block).min(self.y.c) - 1;
                ((last / group_out + 1) * group_in).div_ceil(4) - b * block / group_out * group_in / 4
            })
            .max()
            .unwrap_or(0)
    }

    fn reads(&self, place: Place) -> Vec<Layout> {
        let mut reads = vec![(self.layout)(place)];
        if self.residual || matches!(self.w, Operand::Input { .. }) {
            reads.push((self.layout)(place));
        }
        reads
    }

    /// x, w, bias, residual (x again where there is none), y.
    fn bindings(&self, w: Binding, bias: Packed) -> Vec<Binding> {
        let residual = Binding::Input(usize::from(self.residual));
        vec![Binding::Input(0), w, Binding::Weight(bias), residual, Binding::Output(0)]
    }

    fn bias(&self) -> Packed {
        let padded = self.y.c.next_multiple_of(64);
        let bias = self.bias.cloned();
        Packed {
            key: format!("bias {:?} {padded}", bias.as_ref().map(Constant::id)),
            place: Place::Buffer,
            texels: (1, padded / 4),
            values: std::sync::Arc::new(move || {
                let mut values = bias.as_ref().map_or_else(Vec::new, Constant::values);
                values.resize(padded, 0.0);
                values
            }),
        }
    }

    /// Tiles of 64 pixels x 64 channels through workgroup memory. `rows` reads x as NCHW: what a network's input is.
    fn gemm(&self, caps: &Caps, rows: bool) -> Result<Option<Kernel>, ErrorKind> {
        const BLOCK: usize = 64;
        let worth_it = self.x.c <= 4 && matches!(self.w, Operand::Weight(_)) && self.x.h * self.x.w > 1;
        if rows && !worth_it {
            return Ok(None);
        }
        let shader = self.shader(shader!("gemm", "activation", "index")).set("X_ROWS", rows);
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
                activation: ActivationParams::of(self.activation),
                pad: [0; 3],
                batch: self.matrices(),
            };
            let workgroups = self.products() * blocks * self.pixels().div_ceil(64);
            Dispatch::new(shader, &params, self.bindings(w, self.bias()), workgroups)
        };
        let blocks = self.y.c.div_ceil(BLOCK);
        let dispatches = match self.w {
            Operand::Weight(w) => chunks(caps, k, blocks)?
                .map(|(first, count)| {
                    let w = self.pack(w, BLOCK, span4, first..first + count, Place::Buffer, 16 * k);
                    dispatch(first, count, Binding::Weight(w), shader.clone())
                })
                .collect(),
            Operand::Input { .. } => vec![dispatch(0, blocks, Binding::Input(1), shader.set("W_ROWS", true))],
        };
        let mut reads = self.reads(Place::Buffer);
        if rows {
            reads[0] = Layout::ROWS;
        }
        let writes = vec![(self.layout)(Place::Buffer)];
        Ok(Some(Kernel { rank: 0, reads, writes, dispatches }))
    }

    /// One row a workgroup, k in slices: for a linear layer of few rows.
    fn gemv(&self, caps: &Caps) -> Result<Option<Kernel>, ErrorKind> {
        const BLOCK: usize = 64;
        let Operand::Weight(w) = self.w else { return Ok(None) };
        let whole_image =
            self.window.size == [self.x.h, self.x.w] && self.window.before == [0; 2] && self.y.h * self.y.w == 1;
        if !whole_image || self.groups != 1 || self.y.n > 8 || self.window.dilation != [1; 2] {
            return Ok(None);
        }
        let k = self.x.h * self.x.w * self.x.c4() * 4;
        let shader = self.shader(shader!("gemv", "activation", "index"));
        let dispatches = chunks(caps, k, self.y.c.div_ceil(BLOCK))?
            .map(|(first, count)| {
                let params = GemvParams {
                    k4: (k / 4) as u32,
                    out4: self.y.c4() as u32,
                    first_block: first as u32,
                    blocks: count as u32,
                    rows: self.y.n as u32,
                    activation: ActivationParams::of(self.activation),
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

    /// llvmpipe's kernel, writing to a texture or a buffer; none where a texture would be too large.
    fn lanes(&self, caps: &Caps) -> Vec<Kernel> {
        const BLOCK: usize = 32;
        let limit = caps.max_texture as usize;
        let out4 = self.y.c4();
        // The shader divides pixel numbers in f32.
        if caps.lanes != Some(8) || self.pixels() >= 1 << 24 {
            return Vec::new();
        }
        let Window { size, stride, dilation, before } = self.window;
        let span4 = self.span4(BLOCK);
        let blocks = self.y.c.div_ceil(BLOCK);
        // The runs of neighbouring texels that a tap row is read in.
        let longest = limit / 32;
        let neighbours = self.groups == 1 && dilation[1] == 1;
        let (segments, step, run, span4) = if neighbours && size[1] * span4 <= longest {
            (1, 0, size[1] * span4, span4)
        } else if span4 <= longest {
            (size[1], dilation[1] * self.x.c4(), span4, span4)
        } else if size[1] == 1 {
            let pieces = span4.div_ceil(longest);
            let run = span4.div_ceil(pieces);
            (pieces, run, run, run * pieces)
        } else {
            return Vec::new();
        };
        let (w, w_bytes) = match self.w {
            Operand::Weight(w) => {
                let packed = self.pack(w, BLOCK, span4, 0..blocks, Place::Texture, 32 * run);
                if packed.texels.0 > limit {
                    return Vec::new();
                }
                let bytes = packed.bytes();
                (Binding::Weight(packed), bytes)
            }
            // A row of k that isn't there would not read as zero, as it does in packed weights.
            Operand::Input { rows, .. } if rows % 4 != 0 => return Vec::new(),
            Operand::Input { rows, .. } => (Binding::Input(1), (rows * out4 * 16) as u64),
        };
        let pixels = self.pixels();
        // Few variants: each costs the driver 0.2 s to compile. 13 wastes less of a 7x7 image than 16.
        let tile = match pixels {
            1 => 1,
            2..=4 => 4,
            _ if pixels.div_ceil(16) * 16 > pixels.div_ceil(13) * 13 + pixels / 8 => 13,
            _ => 16,
        };
        let tiles = pixels.div_ceil(tile);
        let params = LanesParams {
            pixels: pixels as u32,
            out_w: self.y.w as u32,
            out_hw: (self.y.h * self.y.w) as u32,
            out4: out4 as u32,
            in_h: self.x.h as u32,
            in4: self.x.c4() as u32,
            stride: stride.map(|v| v as u32),
            before: before.map(|v| v as u32),
            dilation_y: dilation[0] as u32,
            kernel_h: size[0] as u32,
            segments: segments as u32,
            step: step as u32,
            run: run as u32,
            group_out: (self.y.c / self.groups) as u32,
            group_in: (self.x.c / self.groups) as u32,
            blocks: blocks as u32,
            tiles: tiles as u32,
            // Small weights stay in the cache for all pixels; large ones are passed over once.
            blocks_first: u32::from(w_bytes < 300 << 10),
            activation: ActivationParams::of(self.activation),
            per_out_hw: 1.0 / (self.y.h * self.y.w) as f32,
            per_out_w: 1.0 / self.y.w as f32,
            pad: [0; 3],
            batch: self.matrices(),
        };
        [Place::Texture, Place::Buffer]
            .into_iter()
            .map(|place| {
                let shader = self
                    .shader(shader!("gemm_lanes", "activation", "index"))
                    .tile("PIXELS", tile as u32)
                    .set("W_ROWS", matches!(self.w, Operand::Input { .. }))
                    .texture("y", place == Place::Texture);
                let bindings = self.bindings(w.clone(), self.bias());
                let dispatch = Dispatch::new(shader, &params, bindings, self.products() * blocks * tiles);
                Kernel::new(self.reads(Place::Texture), (self.layout)(place), dispatch)
            })
            .collect()
    }

    fn shader(&self, shader: Shader) -> Shader {
        shader.set("RESIDUAL", self.residual).set("ACTIVATION", code(self.activation))
    }

    /// The weights of some blocks of output channels, as [block][tap][k texel][4][lane] texels: each holds four output
    /// channels at one k. What a block doesn't reach (other groups, padding) is 0.
    fn pack(
        &self,
        w: &Constant,
        block: usize,
        span4: usize,
        blocks: std::ops::Range<usize>,
        place: Place,
        row: usize,
    ) -> Packed {
        let taps = self.window.size[0] * self.window.size[1];
        let texels = blocks.len() * taps * span4 * block;
        let (group_out, group_in, outputs) = (self.y.c / self.groups, self.x.c / self.groups, self.y.c);
        let key = format!("weight {} {block} {span4} {blocks:?} {place:?} {row}", w.id());
        let w = w.clone();
        let values = move || {
            let from = w.values();
            let mut to = vec![0.0; texels * 4];
            for (i, b) in blocks.clone().enumerate() {
                let first = b * block / group_out * group_in / 4 * 4;
                for o in b * block..((b + 1) * block).min(outputs) {
                    let shift = o / group_out * group_in - first;
                    let row = &from[o * group_in * taps..][..group_in * taps];
                    for (c, under) in row.chunks_exact(taps).enumerate() {
                        for (tap, &value) in under.iter().enumerate() {
                            let k = (i * taps + tap) * span4 * 4 + shift + c;
                            to[k * block + o - b * block] = value;
                        }
                    }
                }
            }
            to
        };
        Packed { key, place, texels: (texels / row, row), values: std::sync::Arc::new(values) }
    }
}

/// Blocks of 64 output channels in runs whose weights one binding can hold: (first, count).
fn chunks(caps: &Caps, k: usize, blocks: usize) -> Result<impl Iterator<Item = (usize, usize)>, ErrorKind> {
    let bytes = k as u64 * 64 * 4;
    let have = caps.max_binding.min(caps.max_buffer);
    let per_chunk = (have / bytes) as usize;
    if per_chunk == 0 {
        let limit = "max_storage_buffer_binding_size";
        return Err(ErrorKind::Limit { what: "the weights of 64 outputs".into(), limit, need: bytes, have });
    }
    Ok((0..blocks).step_by(per_chunk).map(move |first| (first, per_chunk.min(blocks - first))))
}
