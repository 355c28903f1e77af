//! The kernel for few queries: the next token's, above all.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Kernel, Layout};

/// The most keys of a split, whose weights fit into workgroup memory; the fewest that are worth joining.
const KEYS: usize = 128;
const FEW_KEYS: usize = 32;

/// So many workgroups, of half as many invocations as the tiled kernel's, keep a GPU busy.
const WORKGROUPS: usize = 256;

impl Lowering<'_> {
    /// All pairs of a query and a query head that share keys in each workgroup, if they are few, and the keys split.
    pub(super) fn decode(&self) -> Option<Kernel> {
        let Sizes { batch, heads, queries, d, .. } = self.sizes;
        // The queries must fit into workgroup memory too.
        let most = if d <= 128 { 8 } else { 4 };
        let pairs = self.sizes.pairs();
        if pairs > most {
            return None;
        }
        let (workgroups, span) = (batch * heads, self.span(queries));
        let splits = span.div_ceil(FEW_KEYS).min(WORKGROUPS.div_ceil(workgroups)).max(span.div_ceil(KEYS));
        let shader = shader!("attention_decode", "attention", "index")
            .set("ALIGNED", self.is_aligned())
            .tile("QUADS", pairs.div_ceil(4) as u32);
        Some(self.kernel(shader, [Layout::ROWS; 2], workgroups, splits))
    }
}
