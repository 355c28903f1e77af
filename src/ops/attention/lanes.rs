//! The kernel for llvmpipe.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout, Storage};

/// The longest head: Mesa unrolls loops of 32, and a head's 32 texels stay in registers.
const MOST: usize = 128;

/// The pairs of a workgroup, one in each lane.
const PAIRS: usize = 8;

impl Lowering<'_> {
    /// A pair of a query and a query head in each lane: from textures, or from buffers where these would be too large, or where
    /// each key is read but once, so that a conversion (of a whole cache for one token more) isn't worth it.
    pub(super) fn lanes(&self, caps: &Caps) -> Vec<Kernel> {
        let Sizes { batch, heads, d, dv, .. } = self.sizes;
        if !caps.shuffles_of_eight() || d.max(dv) > MOST || !self.is_aligned() {
            return Vec::new();
        }
        let tiles = self.sizes.pairs().div_ceil(PAIRS);
        let kernel = |[from, to]: [Storage; 2]| {
            let texture = from == Storage::Texture;
            let shader = shader!("attention_lanes", "attention", "index", "nan")
                .set("MASKED", self.is_masked())
                .tile("D4", d as u32 / 4)
                .tile("DV4", dv as u32 / 4)
                .texture("q", texture)
                .texture("k", texture)
                .texture("v", texture)
                .texture("y", to == Storage::Texture);
            self.kernel(
                shader,
                [from, to].map(Layout::rows_vec4),
                batch * heads * tiles,
                1,
                self.span(PAIRS).div_ceil(8) + 1,
            )
        };
        let textures = [[Storage::Texture; 2], [Storage::Texture, Storage::Buffer]].map(kernel);
        textures.into_iter().chain([kernel([Storage::Buffer; 2]).priority(u8::from(tiles > 1))]).collect()
    }
}
