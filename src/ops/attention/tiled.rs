//! The kernel for many queries.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Kernel, Layout};

/// Pairs of a query and a query head in a workgroup.
const PAIRS: usize = 64;

/// So many workgroups keep a GPU busy; a split of fewer keys isn't worth joining.
const WORKGROUPS: usize = 128;
const KEYS: usize = 256;

impl Lowering<'_> {
    /// Tiles of pairs by tiles of keys, the keys split where there are few tiles.
    pub(super) fn tiled(&self) -> Kernel {
        let Sizes { batch, heads, group, queries, dv, .. } = self.sizes;
        let workgroups = batch * heads * self.sizes.pairs().div_ceil(PAIRS);
        let span = self.span(PAIRS.div_ceil(group).min(queries));
        let splits = (span / KEYS).min(WORKGROUPS / workgroups).max(1);
        let shader = shader!("attention", "attention", "index")
            .set("ALIGNED", self.is_aligned())
            .tile("CHUNKS", dv.div_ceil(64) as u32);
        self.kernel(shader, [Layout::ROWS; 2], workgroups, splits)
    }
}
