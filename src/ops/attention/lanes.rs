//! The attention kernel for llvmpipe.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout, Storage};

/// The most texels of a head that stay in registers: Mesa unrolls loops of 32 iterations.
const MOST: usize = 32;

/// The pairs of a workgroup, one per invocation.
const PAIRS: usize = 8;

impl Lowering<'_> {
    /// Returns kernels of one pair of a query and a query head per invocation. They read textures, or buffers if
    /// textures are too large or if a key is read once: converting a whole cache for one token isn't worth it.
    pub(super) fn lanes(&self, caps: &Caps) -> Vec<Kernel> {
        let Sizes { batch, heads, d, dv, .. } = self.sizes;
        let [d4, dv4] = [d, dv].map(|size| size.div_ceil(4));
        let (long, parts) = (d4 > MOST, dv4.div_ceil(MOST));
        let blocks = self.span(PAIRS).div_ceil(8);
        let iterations = if long { blocks * d4 + 1 } else { blocks + 1 };
        let too_long = long && iterations > caps.max_loop_iterations as usize;
        if !caps.shuffles_of_eight() || too_long || !self.is_padded_to_texels() {
            return Vec::new();
        }
        let tiles = self.sizes.pairs().div_ceil(PAIRS);
        let kernel = |[from, to]: [Storage; 2]| {
            let texture = from == Storage::Texture;
            let shader = shader!("attention_lanes", "attention", "index", "nan")
                .set("MASKED", self.is_masked())
                .set("ALIGNED", self.is_aligned())
                .set("LONG", long)
                .tile("D4", if long { 1 } else { d4 as u32 })
                .tile("DV4", dv4.div_ceil(parts) as u32)
                .tile("PARTS", parts as u32)
                .texture("q", texture)
                .texture("k", texture)
                .texture("v", texture)
                .texture("y", to == Storage::Texture);
            self.kernel(shader, [from, to].map(Layout::rows_vec4), batch * heads * tiles * parts, None, iterations)
        };
        let textures = [[Storage::Texture; 2], [Storage::Texture, Storage::Buffer]].map(kernel);
        textures.into_iter().chain([kernel([Storage::Buffer; 2]).priority(u8::from(tiles > 1))]).collect()
    }
}
