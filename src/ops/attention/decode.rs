//! The attention kernel for few queries, above all for the query of the next token.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Kernel, Layout, plain};

/// The most keys of a split (their weights fit into workgroup memory) and the fewest (fewer aren't worth a join).
const KEYS: usize = 128;
const FEW_KEYS: usize = 32;

/// The workgroups that keep a GPU busy. Each has half as many invocations as a workgroup of the tiled kernel.
const WORKGROUPS: usize = 256;

impl Lowering<'_> {
    /// Returns the kernel, if few pairs of a query and a query head share keys: all in one workgroup, the keys split.
    pub(super) fn decode(&self) -> Option<Kernel> {
        let Sizes { batch, heads, queries, d, dv, .. } = self.sizes;
        // The queries must fit into workgroup memory too.
        let most = if d <= 128 { 8 } else { 4 };
        let pairs = self.sizes.pairs();
        if pairs > most {
            return None;
        }
        let (workgroups, span) = (batch * heads, self.span(queries));
        let splits = span.div_ceil(FEW_KEYS).min(WORKGROUPS.div_ceil(workgroups)).max(span.div_ceil(KEYS));
        let shader = shader!("attention_decode", "attention", "index", "nan")
            .set("ALIGNED", self.is_aligned())
            .tile("QUADS", pairs.div_ceil(4) as u32);
        let (d4, slices) = (d.div_ceil(4), 128 / dv.div_ceil(4));
        // Drivers unroll the loops of constant lengths inside.
        let loops = plain((8 * d4).div_ceil(128)) + plain(d4.div_ceil(4)) + plain(KEYS.div_ceil(4 * slices));
        let iterations = loops.all + 8 * (slices + 1) + 512;
        Some(self.kernel(shader, [Layout::ROWS; 2], workgroups, Some(splits), iterations))
    }
}
