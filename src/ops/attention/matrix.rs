//! The attention kernel for matrix units, for models whose precision allows to round what is multiplied.

use super::Sizes;
use super::lowering::Lowering;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout, Shader, looped, plain};

/// The tiles: pairs of a query and a query head that a workgroup has. Large ones read keys and values less often.
const ROWS: [usize; 2] = [64, 32];

/// The keys that are in workgroup memory at a time.
const KEYS: usize = 32;

/// The blocks of a workgroup, `[pairs, keys]`: one for each of the widest subgroups.
const BLOCKS: [usize; 2] = [2, 2];

/// The lengths to which heads of queries and keys are padded. So few are checked at the start.
pub(super) const DEPTHS: [usize; 3] = [32, 64, 128];

/// A variant of `shaders/attention_matrix.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    rows: usize,
    depth: usize,
    side: usize,
    subgroups: [usize; 2],
}

impl Variant {
    /// Returns the variants for heads of `d` elements on a device, largest first: none if it lacks matrix units,
    /// invocations or memory.
    pub(super) fn all(d: usize, caps: &Caps) -> impl Iterator<Item = Variant> {
        let depth = DEPTHS.into_iter().find(|&depth| d <= depth);
        let (most, memory) = (caps.max_invocations as usize, caps.max_workgroup_memory as usize);
        // On a CPU, where workgroup memory is slow, large tiles gain nothing and take long to compile.
        let skipped = if caps.fast_workgroup_memory { 0 } else { ROWS.len() - 1 };
        let of = caps.matrices().zip(depth);
        let variants = ROWS.into_iter().skip(skipped).filter_map(move |rows| {
            let ((side, subgroups), depth) = of?;
            Some(Variant { rows, depth, side, subgroups })
        });
        // 64 rows of longer heads take all registers that an invocation may have, on NVK.
        let small = |it: &Variant| it.rows * it.depth <= 64 * 64;
        variants.filter(move |it| small(it) && it.divides() && it.invocations() <= most && it.memory() <= memory)
    }

    /// Returns true if each invocation has as many scores.
    fn divides(self) -> bool {
        (self.rows * KEYS / 4).is_multiple_of(self.invocations())
    }

    fn invocations(self) -> usize {
        BLOCKS[0] * BLOCKS[1] * self.subgroups[1]
    }

    /// Returns the elements of a head's values that a workgroup has.
    pub(super) fn values(self) -> usize {
        self.depth.min(64)
    }

    /// Returns the bytes of workgroup memory: queries, keys, values and weights, in rows that are padded by eight numbers;
    /// scores; a flag.
    fn memory(self) -> usize {
        let Variant { rows, depth, .. } = self;
        2 * ((rows + KEYS) * (depth + 8) + (self.values() + rows) * (KEYS + 8)) + 4 * rows * KEYS + 4
    }

    fn shader(self) -> Shader {
        let mut shader = shader!("attention_matrix", "attention", "attention_operands", "index", "nan");
        let Variant { rows, depth, side, subgroups: [least, widest] } = self;
        for (name, value) in [
            ("SIDE", side),
            ("SPAN_M", rows / BLOCKS[0] / side),
            ("SPAN_K", KEYS / BLOCKS[1] / side),
            ("SPAN_V", self.values() / BLOCKS[1] / side),
            ("DEPTH", depth),
            ("LANES", self.invocations()),
        ] {
            shader = shader.tile(name, value as u32);
        }
        let shader = if least < widest { shader.set("VARYING", true) } else { shader };
        if side == 16 {
            return shader;
        }
        let shader = shader.alias("Left", "coop_mat8x8<f16, A>").alias("Right", "coop_mat8x8<f16, B>");
        shader.alias("Sums", "coop_mat8x8<f32, C>")
    }
}

impl Lowering<'_> {
    /// Returns the kernels for a device's matrix units, best first: the largest tile that is mostly filled, and of which there
    /// are as many as the device has units; then the other one. There are none for heads that aren't whole `vec4`s.
    pub(super) fn matrix(&self, caps: &Caps) -> Vec<Kernel> {
        if !self.is_aligned() {
            return Vec::new();
        }
        let mut variants: Vec<Variant> = Variant::all(self.sizes.d, caps).collect();
        let tiles = |variant: &Variant| self.tiles(variant.rows);
        let pays = |variant: &Variant| self.sizes.pairs() > variant.rows / 2 && tiles(variant) >= caps.units as usize;
        if !variants.first().is_some_and(pays) {
            variants.reverse();
        }
        variants.into_iter().map(|variant| self.in_matrices(variant, caps)).collect()
    }

    /// Returns the kernel with one variant. Where there are few tiles, it splits the keys.
    pub(super) fn in_matrices(&self, variant: Variant, caps: &Caps) -> Kernel {
        let Sizes { group, queries, dv, .. } = self.sizes;
        let span = self.span(variant.rows.div_ceil(group).min(queries));
        let workgroups = self.tiles(variant.rows);
        // Drivers unroll the loops of constant lengths inside.
        let iterations =
            |splits: usize| looped(span.div_ceil(splits).max(KEYS).div_ceil(KEYS) + 1, plain(64)).all + 512;
        let splits = self.splits(span, workgroups, iterations, caps);
        let parts = dv.div_ceil(variant.values());
        let layouts = [Layout::ROWS; 2];
        let kernel = self.kernel(variant.shader(), layouts, workgroups * parts, Some(splits), iterations(splits));
        Kernel { rounds_operands: true, ..kernel }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::shader::declared;

    /// Checks the numbers that the shader computes from its constants, by a WGSL compiler.
    #[test]
    fn the_shader_has_these_invocations_and_this_memory() {
        for (side, subgroup_sizes) in [(16, [32; 2]), (16, [32, 64]), (8, [8; 2]), (8, [32; 2])] {
            let caps = Caps { subgroup_sizes: Some(subgroup_sizes), ..Caps::matrix_units(side) };
            for depth in DEPTHS {
                let variants: Vec<Variant> = Variant::all(depth, &caps).collect();
                assert_eq!(variants.len(), if depth > 64 { 1 } else { 2 }, "{depth}, {caps:?}");
                for variant in variants {
                    let wanted = (variant.memory(), variant.invocations());
                    assert_eq!(declared(&variant.shader()), wanted, "{variant:?}");
                }
            }
        }
    }

    #[test]
    fn unfit_devices_get_no_kernel() {
        let good = Caps::matrix_units(16);
        let unfit = [
            Caps { matrix: None, ..good.clone() },
            Caps { f16: false, ..good.clone() },
            Caps { subgroup_sizes: None, ..good.clone() },
            Caps { subgroup_sizes: Some([4, 128]), ..good.clone() },
        ];
        unfit.iter().for_each(|caps| assert!(Variant::all(64, caps).next().is_none(), "{caps:?}"));
        assert!(Variant::all(129, &good).next().is_none(), "heads of more elements");
    }
}
