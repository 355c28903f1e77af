//! The GEMM in a device's matrix units, for models whose precision allows to round what is multiplied.

use super::tiled::{Share, chunks};
use super::{BLOCK, Gemm, Groups, Operand};
use crate::error::{ErrorKind, Result};
use crate::kernel::shader::shader;
use crate::kernel::{
    Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Rounding, Scalar, Shader, Storage, WeightKey, looped, plain,
};

/// A variant of `shaders/gemm_matrix.wgsl`: the tile of one workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// Blocks, `[pixels, channels]`: one for each of the widest subgroups of a workgroup.
    blocks: [usize; 2],
    /// The matrices of a block, `[pixels, channels]`.
    span: [usize; 2],
}

/// The variants, largest first. Large tiles read least, small ones leave no part of a device idle. Of two forms of one size
/// the second is for devices whose wide subgroups have nothing to bring in the first.
const LADDER: [&[Tile]; 4] = [
    &[Tile { blocks: [2, 4], span: [4, 2] }],
    &[Tile { blocks: [4, 2], span: [2, 2] }, Tile { blocks: [2, 2], span: [4, 2] }],
    &[Tile { blocks: [2, 2], span: [2, 2] }],
    &[Tile { blocks: [1, 4], span: [2, 1] }, Tile { blocks: [1, 2], span: [2, 2] }],
];

/// The part of k of one tile, and of the two that are in workgroup memory. The channels under a tap are padded to both.
const TILE_K: usize = 32;
pub(super) const TILES_K: usize = 2 * TILE_K;

/// So many times the channels under a tap may be, padded.
const MOST_PADDING: usize = 8;

/// So few rows of a value are multiplied by another without matrix units: most of a matrix would be padding.
const FEW_ROWS: usize = 8;

/// The shader, and what the device's subgroups and matrices make of a tile.
#[derive(Clone, Copy, Debug)]
struct Variant {
    tile: Tile,
    side: usize,
    subgroups: [usize; 2],
}

impl Variant {
    /// Returns the variants for a device, largest first: none if it lacks matrix units or invocations.
    fn all(caps: &Caps) -> impl Iterator<Item = Variant> {
        let of = caps.matrices();
        let (most, memory) = (caps.max_invocations as usize, caps.max_workgroup_memory as usize);
        // On a CPU, where workgroup memory is slow, large tiles gain nothing and take long to compile.
        let skipped = if caps.fast_workgroup_memory { 0 } else { LADDER.len() - 1 };
        LADDER.into_iter().skip(skipped).filter_map(move |forms| {
            let (side, subgroups) = of?;
            let mut forms = forms.iter().map(|&tile| Variant { tile, side, subgroups });
            let fits = |it: &Variant| it.divides() && it.invocations() <= most && it.memory() <= memory;
            forms.find(fits)
        })
    }

    /// Returns true if each invocation brings as many pairs of texels.
    fn divides(self) -> bool {
        let pairs = self.size().map(|size| size * TILE_K / 8);
        pairs.iter().all(|pairs| pairs.is_multiple_of(self.invocations()))
    }

    fn span(self) -> usize {
        self.tile.span[0] * self.tile.span[1]
    }

    /// Returns the pixels and the channels of a workgroup.
    fn size(self) -> [usize; 2] {
        [0, 1].map(|i| self.tile.blocks[i] * self.tile.span[i] * self.side)
    }

    fn invocations(self) -> usize {
        self.tile.blocks[0] * self.tile.blocks[1] * self.subgroups[1]
    }

    /// Returns the bytes of workgroup memory: rows of k of two tiles, padded by eight numbers, and a matrix of each block.
    fn memory(self) -> usize {
        let [m, n] = self.size();
        (m + n) * (TILES_K + 8) * 2 + m * n / self.span() * 4
    }

    /// Returns the shader. `whole` is true if k fills the tiles of every tap.
    fn shader(self, whole: bool) -> Shader {
        let mut shader =
            shader!("gemm_matrix", "activation", "index", "gemm", "gemm_operands", "rows", "blocks", "groups", "nan");
        let Variant { tile: Tile { blocks, span }, side, subgroups: [least, widest] } = self;
        for (name, value) in [
            ("SIDE", side),
            ("BLOCKS_M", blocks[0]),
            ("BLOCKS_N", blocks[1]),
            ("SPAN_M", span[0]),
            ("SPAN_N", span[1]),
            ("LANES", self.invocations()),
        ] {
            shader = shader.tile(name, value as u32);
        }
        if whole {
            shader = shader.set("WHOLE", true);
        }
        if least < widest {
            shader = shader.set("VARYING", true);
        }
        if side == 8 {
            shader = shader.alias("Left", "coop_mat8x8<f16, A>").alias("Right", "coop_mat8x8<f16, B>");
            shader = shader.alias("Sums", "coop_mat8x8<f32, C>");
        }
        shader
    }

    /// Returns the workgroups for a product.
    fn tiles(self, pixels: usize, channels: usize) -> usize {
        let [m, n] = self.size();
        pixels.div_ceil(m) * channels.div_ceil(n)
    }

    /// Returns the loop iterations of an invocation over so many k, padded, of several taps.
    fn iterations(self, k: usize, taps: usize) -> usize {
        looped(k / TILES_K + taps, plain(64)).all + 64 * self.span()
    }
}

impl Gemm<'_> {
    /// Returns the kernels for a device's matrix units, best first: the largest tile that is mostly filled, and of
    /// which there are as many as the device has units; then smaller ones, then larger ones.
    ///
    /// There are none for what a matrix unit computes no better, or not right: few channels; lines; a transposed first value; groups that share a
    /// block, since 0 times an infinity is NaN; channels that don't fill their texels, whose padding may be infinite
    /// once it is rounded.
    pub(super) fn matrix(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (mut kernels, whole) = (Vec::new(), Gemm { ..*self });
        if matches!(self.w, Operand::Input { transposed: [true, _], .. }) {
            return Ok(kernels);
        }
        for (packing, rows) in [(Some(whole), false), (self.flattened(), true)] {
            let Some(packing) = packing else { continue };
            let span = 4 * packing.span4(BLOCK);
            let texels = rows || self.x.c.is_multiple_of(4);
            let few = matches!(self.w, Operand::Input { .. }) && self.pixels() <= FEW_ROWS;
            let fills = texels && !few && MOST_PADDING * span >= span.next_multiple_of(TILES_K);
            // Beside the windows of an image in rows, the sums of more than four matrices don't fit into navi31's registers.
            let held = |variant: &Variant| !rows || variant.span() <= 4;
            for variant in self.variants_of(caps).filter(|variant| fills && held(variant)) {
                kernels.push(self.in_matrices(caps, &packing, variant, rows)?);
            }
        }
        Ok(kernels)
    }

    /// Returns the variants that suit the output, best first.
    fn variants_of(&self, caps: &Caps) -> impl Iterator<Item = Variant> + use<'_> {
        let suits = self.lines.is_none() && !self.mixed(BLOCK);
        let wide = |variant: &Variant| self.groups > 1 && variant.size()[1] > BLOCK;
        let mut variants: Vec<Variant> =
            Variant::all(caps).filter(|variant| suits && self.y.c >= variant.side && !wide(variant)).collect();
        let tiles = |variant: &Variant| variant.tiles(self.pixels(), self.y.c);
        let full = |[m, n]: [usize; 2]| self.pixels() > m / 2 && self.y.c > n / 2;
        let pays = |variant: &Variant| full(variant.size()) && tiles(variant) >= caps.units as usize;
        let best = variants.iter().position(pays).unwrap_or(variants.len().saturating_sub(1));
        variants[..best].reverse();
        variants.rotate_left(best);
        variants.into_iter()
    }

    /// Returns one variant, for weights packed as those of `packing`.
    fn in_matrices(&self, caps: &Caps, packing: &Gemm, variant: Variant, rows: bool) -> Result<Kernel, ErrorKind> {
        let span4 = packing.span4(BLOCK);
        let (taps, k4) = (packing.taps(), packing.taps() * span4);
        let padded4 = span4.next_multiple_of(TILES_K / 4);
        let pitch = taps * padded4;
        let Groups { inputs, .. } = self.channel_groups();
        let whole = !rows && self.parts.is_empty() && inputs.is_multiple_of(TILES_K) && 4 * span4 == inputs;
        let shader = variant.shader(whole).set("POINT", self.is_point() && !rows).set("X_ROWS", rows);
        let shader = if self.deep() || (rows && self.depth.is_some()) { shader.set("DEEP", true) } else { shader };
        let shader = self.of_parts(if self.pools { shader.tile("POOL", 4) } else { shader });
        let dispatch = |shader: &Shader, share: &Share, w: Binding| {
            let params = self.params(packing, share, self.epilogue.activation);
            let mut bindings = self.bindings(w, self.bias());
            bindings.extend((1..4).map(|i| Binding::Input(if i < self.parts.len() { i } else { 0 })));
            let tiles = self.products() * variant.tiles(self.pixels(), 4 * share.wide4);
            let shader = self.epilogue.specialize(shader.clone());
            Dispatch::new(shader, &params, bindings, tiles).iterations(variant.iterations(4 * pitch, taps))
        };
        let dispatches: Vec<Dispatch> = match self.w {
            Operand::Weight(w) => chunks(caps, BLOCK, 4 * pitch * BLOCK * 4, self.y.c.div_ceil(BLOCK))?
                .map(|(first, count)| {
                    let row = BLOCK * taps * padded4;
                    let w = packing.pack(w, BLOCK, padded4, first..first + count, Storage::Buffer, row);
                    let (first4, wide4) = self.texels_of(first, count);
                    let share = Share { first4, wide4, w_rows: pitch, splits: 1, share4: k4 };
                    dispatch(&shader, &share, Binding::Weight(columns(w, 4 * pitch)))
                })
                .collect(),
            Operand::Input { rows, transposed: [_, w], .. } => {
                let shader = shader.set("W_ROWS", true).set("W_COLUMNS", w);
                let share = Share { first4: 0, wide4: self.y.c4(), w_rows: rows, splits: 1, share4: k4 };
                vec![dispatch(&shader, &share, Binding::Input(1))]
            }
        };
        let mut reads = self.reads(Storage::Buffer);
        if rows {
            reads[0] = Layout::ROWS;
        }
        let kernel = Kernel::several(reads, vec![(self.layout)(Storage::Buffer)], dispatches);
        let kernel = kernel
            .stored_as(&vec![Scalar::F32; kernel.reads.len()], Scalar::F32, Scalar::F16)
            .expect("weights may always be f16");
        Ok(Kernel { rounds_operands: true, ..kernel })
    }
}

/// Returns packed weights, `[block][k][BLOCK]`, as `[block][BLOCK][k]`.
fn columns(rows: Prepacked, k: usize) -> Prepacked {
    let blocks = rows.texels.0 * rows.texels.1 * 4 / (k * BLOCK);
    let key = WeightKey::new("columns of a gemm").and(&rows.key);
    let values = move || {
        let from = (rows.values)();
        let mut to = vec![0.0; blocks * BLOCK * k];
        for (from, to) in from.chunks_exact(k * BLOCK).zip(to.chunks_exact_mut(k * BLOCK)) {
            for (o, to) in to.chunks_exact_mut(k).enumerate() {
                (0..k).for_each(|k| to[k] = from[k * BLOCK + o]);
            }
        }
        to
    };
    let rounding = Rounding::Balanced { rows: k, columns: 1 };
    Prepacked::new(key, Storage::Buffer, (blocks * BLOCK, k / 4), values).rounded(rounding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::shader::declared;

    fn device(side: u32, subgroup_sizes: [u32; 2]) -> Caps {
        Caps { subgroup_sizes: Some(subgroup_sizes), max_invocations: 512, ..Caps::matrix_units(side) }
    }

    /// Checks the numbers that the shader computes from its constants, by a WGSL compiler.
    #[test]
    fn the_shader_has_these_invocations_and_this_memory() {
        for caps in [device(16, [32; 2]), device(16, [32, 64]), device(8, [8; 2]), device(8, [32; 2])] {
            let variants: Vec<Variant> = Variant::all(&caps).collect();
            assert_eq!(variants.len(), LADDER.len(), "{caps:?}");
            for (variant, whole) in variants.iter().flat_map(|&variant| [(variant, false), (variant, true)]) {
                assert_eq!(declared(&variant.shader(whole)), (variant.memory(), variant.invocations()), "{variant:?}");
            }
        }
    }

    #[test]
    fn unfit_devices_get_no_kernel() {
        let good = device(16, [32; 2]);
        let unfit = [
            Caps { matrix: None, ..good.clone() },
            Caps { f16: false, ..good.clone() },
            Caps { subgroup_sizes: None, ..good.clone() },
            Caps { subgroup_sizes: Some([4, 128]), ..good },
        ];
        unfit.iter().for_each(|caps| assert!(Variant::all(caps).next().is_none(), "{caps:?}"));
    }
}
