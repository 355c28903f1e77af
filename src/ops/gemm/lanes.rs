//! The GEMM for Mesa's llvmpipe: storage textures, subgroup shuffles, no workgroup memory.

use super::product::Product;
use super::{Gemm, Operand};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Iterations, Kernel, Storage, looped, plain};
use crate::ops::activation::ActivationParams;
use crate::ops::window::{DepthParams, Window};

/// The output channels of a workgroup.
pub(crate) const BLOCK: usize = 32;

/// The bytes of weights that stay in a processor's cache beside the pixels.
pub(super) const CACHED: u64 = 300 << 10;

params! {
    struct LanesParams {
        pixels: usize,
        out_w: usize,
        out_hw: usize,
        out_c: usize,
        in_h: isize,
        in4: isize,
        stride: [isize; 2] as [stride_y, stride_x],
        before: [isize; 2] as [pad_top, pad_left],
        dilation_y: isize,
        tap_rows: isize,
        segments: isize,
        step: isize,
        run: isize,
        pixel4: usize,
        row4: usize,
        blocks: usize,
        tiles: usize,
        blocks_first: u32,
        activation: ActivationParams,
        samples: usize,
        depth: DepthParams,
        unused: [u32; 2],
        groups: [usize; 4],
        batch: [[usize; 4]; 3] as [batch, x_batch, w_batch],
        /// The added image: segments, height, texels of channels, stride.
        added: [isize; 4],
    }
}

impl Gemm<'_> {
    /// Returns llvmpipe's kernels, which write to a texture or a buffer; none where a texture would be too large.
    pub(super) fn lanes(&self, caps: &Caps) -> Vec<Kernel> {
        self.lanes_adding(None, caps)
    }

    /// Returns true if the product is so large that a kernel for few problems pays in some hundred frames. llvmpipe
    /// compiles a kernel for about as long as three million multiplications take two thousand times.
    pub(super) fn pays_to_compile(&self) -> bool {
        let multiplications = self.pixels() as u64 * (self.y.c * self.taps() * self.x.c / self.groups) as u64;
        multiplications >= 3 << 20
    }

    /// Returns a workgroup's pixels: few sizes, because each is compiled anew. 13 wastes less of a 7x7 image than 16. The
    /// rows of a matrix are no reason: their number may change from call to call.
    pub(super) fn lanes_tile(&self) -> usize {
        match self.pixels() {
            1 => 1,
            2..=4 => 4,
            pixels if self.y.h > 1 && pixels.div_ceil(16) * 16 > pixels.div_ceil(13) * 13 + pixels / 8 => 13,
            _ => 16,
        }
    }

    /// Returns the same kernels with another product added, whose weights are in the same texture.
    pub(super) fn lanes_adding(&self, added: Option<&Product>, caps: &Caps) -> Vec<Kernel> {
        let limit = caps.max_texture as usize;
        // The shader divides pixel numbers in f32.
        if !caps.shuffles_of_eight() || self.pixels() >= 1 << 24 {
            return Vec::new();
        }
        let Window { size, stride, dilation, before, .. } = self.window;
        let span4 = self.span4(BLOCK);
        let blocks = self.y.c.div_ceil(BLOCK);
        // A row of taps is read in runs of neighbouring texels.
        let longest = limit / BLOCK;
        let neighbours = self.groups == 1 && dilation[1] == 1;
        let (segments, step, run, span4) = if let Some(added) = added {
            (span4 / added.run, added.run, added.run, span4)
        } else if neighbours && size[1] * span4 <= longest {
            (1, 0, size[1] * span4, span4)
        } else if span4 <= longest {
            (size[1], dilation[1] * self.x.c4(), span4, span4)
        } else if size[1] == 1 {
            // A run beyond the last k would multiply the next pixel's numbers, infinite or not, by 0.
            let divides = |pieces: &usize| span4.is_multiple_of(*pieces);
            let Some(pieces) = (span4.div_ceil(longest)..=span4 / 8).find(divides) else { return Vec::new() };
            (pieces, span4 / pieces, span4 / pieces, span4)
        } else {
            return Vec::new();
        };
        let (w, w_bytes) = match self.w {
            Operand::Weight(w) => {
                let alone = || self.pack(w, BLOCK, span4, 0..blocks, Storage::Texture, BLOCK * run);
                let packed = added.map_or_else(alone, |added| added.w.clone());
                if packed.texels.0 > limit {
                    return Vec::new();
                }
                let bytes = packed.bytes();
                (Binding::Weight(packed), bytes)
            }
            // Rows beyond the last k would not read as zero, as they do in packed weights.
            Operand::Input { rows, .. } if rows % 4 != 0 => return Vec::new(),
            // Each invocation would load four texels to use one.
            Operand::Input { transposed: [true, _], .. } => return Vec::new(),
            Operand::Input { rows, .. } => (Binding::Input(1), (rows * self.y.c4() * 16) as u64),
        };
        // Images too large for a texture, such as most lines of many channels, lie in buffers.
        let too_large = |image: Image| (image.n * image.h).max(image.w * image.c4()) > limit;
        let weights = matches!(self.w, Operand::Weight(_));
        let wide = weights && self.lines.is_none() && added.is_none() && too_large(self.x);
        let pixels = self.pixels();
        let tile = self.lanes_tile();
        let tiles = pixels.div_ceil(tile);
        let (out_c, row4) = self.stored();
        let params = LanesParams {
            pixels,
            out_w: self.y.w,
            out_hw: self.y.h * self.y.w,
            out_c,
            in_h: self.x.h as isize,
            in4: self.x.c4() as isize,
            stride: stride.map(|v| v as isize),
            before: before.map(|v| v as isize),
            dilation_y: dilation[0] as isize,
            tap_rows: self.tap_rows() as isize,
            segments: segments as isize,
            step: step as isize,
            run: run as isize,
            pixel4: self.y.c4(),
            row4,
            blocks,
            tiles,
            // Small weights stay in the cache for all pixels; large weights are read once.
            blocks_first: u32::from(w_bytes < CACHED),
            activation: ActivationParams::new(self.epilogue.activation),
            samples: self.lines.map_or(4 * self.x.w * self.x.c4(), |lines| lines.samples),
            depth: DepthParams::new(self.depth, size[0]),
            unused: [0; 2],
            groups: self.channel_groups().params(),
            batch: self.matrices(),
            added: added.map_or([0; 4], |added| [added.segments, added.h, added.c4, added.stride].map(|v| v as isize)),
        };
        let of_segments = |segments: usize| looped(segments, plain(run));
        let added_loops = added.map_or(Iterations::default(), |added| of_segments(added.segments));
        let loops = looped(self.tap_rows(), of_segments(segments));
        // Each of the pixels may need a second sum.
        let grouped = self.mixed(BLOCK);
        let again = if grouped { looped(tile, loops) } else { Iterations::default() };
        let iterations = (loops + added_loops + again + plain(4)).all;
        [Storage::Texture, Storage::Buffer]
            .into_iter()
            .map(|storage| {
                let buffered = wide || self.lines.is_some();
                // Without a residual, x is bound in its place.
                let residual = match self.epilogue.residual {
                    Some(_) if buffered || too_large(self.y) => storage,
                    None if buffered => Storage::Buffer,
                    _ => Storage::Texture,
                };
                let shader = self
                    .epilogue
                    .specialize(shader!("gemm_lanes", "activation", "gemm_lanes", "index", "groups", "nan"))
                    .tile("PIXELS", tile as u32)
                    .set("ADDED", added.is_some())
                    .set("GROUPED", grouped)
                    .set("W_ROWS", matches!(self.w, Operand::Input { .. }))
                    .set("W_COLUMNS", matches!(self.w, Operand::Input { transposed: [_, true], .. }))
                    .texture("x", !buffered)
                    .texture("residual", residual == Storage::Texture)
                    .texture("y", storage == Storage::Texture);
                // Others keep their names, by which choices of kernels are kept.
                let shader = if self.lines.is_some() { shader.set("LINES", true) } else { shader };
                let shader = if wide { shader.set("WIDE", true) } else { shader };
                let shader = if self.deep() { shader.set("DEEP", true) } else { shader };
                let mut bindings = self.bindings(w.clone(), self.bias());
                let mut reads = self.reads(Storage::Texture);
                if wide {
                    reads[0] = (self.layout)(Storage::Buffer);
                }
                if let (Some(_), Some(last)) = (self.epilogue.residual, reads.last_mut()) {
                    *last = (self.layout)(residual);
                }
                if let Some(added) = added {
                    let [image, other] = added.inputs.map(Binding::Input);
                    (bindings[0], bindings[2], bindings[3]) = (image, Binding::Weight(added.bias.clone()), other);
                    reads.push((self.layout)(Storage::Texture));
                }
                let dispatch =
                    Dispatch::new(shader, &params, bindings, self.products() * blocks * tiles).iterations(iterations);
                Kernel::new(reads, (self.layout)(storage), dispatch)
            })
            .collect()
    }
}
