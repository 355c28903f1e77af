//! The attention kernel for many queries.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout, looped, plain};

/// The pairs of a query and a query head that a workgroup may have: more share a read of keys and values, fewer need
/// less memory and make more workgroups.
const PAIRS: [usize; 2] = [32, 16];

/// Returns the bytes of workgroup memory: queries, keys or values, and weights in texels; maxima; factors.
fn memory(pairs: usize) -> usize {
    16 * (16 * pairs + 512 + 8 * pairs) + 4 * 8 * pairs + 4 * pairs
}

impl Lowering<'_> {
    /// Returns the kernels, the one that is expected to be fastest first: tiles of pairs by tiles of keys.
    pub(super) fn tiled(&self, caps: &Caps) -> Vec<Kernel> {
        // On navi31 the large tiles take 168 registers with one chunk of `dv`, and 192 with two.
        let fits = memory(PAIRS[0]) <= caps.max_workgroup_memory as usize;
        let large = fits && caps.many_registers();
        let mut pairs = if large { PAIRS.to_vec() } else { vec![PAIRS[1]] };
        if self.tiles(PAIRS[0]) < caps.units as usize {
            pairs.reverse();
        }
        pairs.into_iter().map(|pairs| self.tile(pairs, caps)).collect()
    }

    /// Returns the kernel with tiles of `pairs`. Where there are few tiles, it splits the keys.
    fn tile(&self, pairs: usize, caps: &Caps) -> Kernel {
        let Sizes { group, queries, d, dv, .. } = self.sizes;
        let workgroups = self.tiles(pairs);
        let span = self.span(pairs.div_ceil(group).min(queries));
        // The sums of more would spill.
        let chunks = dv.div_ceil(64).min(2);
        let parts = dv.div_ceil(64 * chunks);
        // Drivers unroll the loops of constant lengths inside.
        let of_32_keys = looped(d.div_ceil(64), plain(d.div_ceil(4).min(16))) + looped(chunks, plain(8));
        let iterations =
            |splits: usize| looped(span.div_ceil(splits).max(32).div_ceil(32) + 1, of_32_keys).all + 8 * chunks + 48;
        let splits = self.splits(span, workgroups, iterations, caps);
        let shader = shader!("attention", "attention", "index", "nan")
            .set("ALIGNED", self.is_aligned())
            .set("AHEAD", caps.many_registers() || (self.is_aligned() && chunks == 1))
            .tile("PAIRS", pairs as u32)
            .tile("CHUNKS", chunks as u32);
        self.kernel(shader, [Layout::ROWS; 2], workgroups * parts, Some(splits), iterations(splits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::shader::declared;

    #[test]
    fn the_shader_has_this_memory() {
        for pairs in PAIRS {
            let shader = shader!("attention", "attention", "index", "nan").tile("PAIRS", pairs as u32);
            assert_eq!(declared(&shader), (memory(pairs), 64), "{pairs} pairs");
        }
    }
}
