//! The attention kernel for many queries.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Iterations, Kernel, Layout, looped, plain};

/// The pairs of a query and a query head in a workgroup.
const PAIRS: usize = 64;

/// The workgroups that keep a GPU busy, and the fewest keys of a split that is worth a join.
const WORKGROUPS: usize = 128;
const KEYS: usize = 256;

impl Lowering<'_> {
    /// Returns the kernel: tiles of pairs by tiles of keys. Where there are few tiles, it splits the keys.
    pub(super) fn tiled(&self, caps: &Caps) -> Kernel {
        let Sizes { batch, heads, group, queries, d, dv, .. } = self.sizes;
        let workgroups = batch * heads * self.sizes.pairs().div_ceil(PAIRS);
        let span = self.span(PAIRS.div_ceil(group).min(queries));
        // Rows that aren't whole texels are read element by element.
        let texel = if self.is_aligned() { Iterations::default() } else { plain(4) };
        let of_32_keys = looped(d.div_ceil(16), texel + texel) + looped(dv.div_ceil(64), looped(2, texel));
        let iterations = |splits: usize| {
            looped(span.div_ceil(splits).max(32).div_ceil(32) + 1, of_32_keys).all + 8 * dv.div_ceil(64) + 64
        };
        let splits = (span / KEYS).min(WORKGROUPS / workgroups).max(1);
        let ends = |&splits: &usize| iterations(splits) <= caps.max_loop_iterations as usize;
        let splits = (splits..=span.max(splits)).find(ends).unwrap_or(splits);
        let shader = shader!("attention", "attention", "index", "nan")
            .set("ALIGNED", self.is_aligned())
            .tile("CHUNKS", dv.div_ceil(64) as u32);
        self.kernel(shader, [Layout::ROWS; 2], workgroups, splits, iterations(splits))
    }
}
