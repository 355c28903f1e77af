//! The choice of a tile for a problem: the ladder of `shaders/gemm.wgsl`'s variants, and their expected cost.
//!
//! The instructions of a tile are counted in the output of a GPU's compiler (docs/gpu-lab). Latencies and bandwidths
//! are rough: nothing has been measured on a GPU. They only order candidates: measurements, if any, decide.

use super::BLOCK;
use crate::kernel::{Caps, Shader, looped, plain};

/// A variant of `shaders/gemm.wgsl`: the tile of one workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// Pixels.
    pub(super) m: usize,
    /// Output channels.
    pub(super) n: usize,
    /// The part of k that is in workgroup memory at a time.
    pub(super) k: usize,
    /// Quads of 4 pixels x 4 channels that an invocation computes, `[pixels, channels]`.
    pub(super) quads: [usize; 2],
    /// Groups of invocations, each with a share of k.
    pub(super) slices: usize,
    /// The multiply-adds in percent of the main loop's instructions: navi31's for kernels of several taps.
    density: usize,
}

/// The variants. Large tiles read least; small tiles leave no part of a device idle. The texels of a tile are a multiple
/// of its invocations, so that each brings as many.
const LADDER: [Tile; 7] = [
    Tile { m: 128, n: 128, k: 16, quads: [2, 2], slices: 1, density: 77 },
    Tile { m: 128, n: 64, k: 16, quads: [2, 2], slices: 1, density: 75 },
    Tile { m: 64, n: 64, k: 16, quads: [2, 1], slices: 1, density: 68 },
    Tile { m: 64, n: 64, k: 16, quads: [1, 1], slices: 1, density: 59 },
    Tile { m: 32, n: 64, k: 16, quads: [1, 1], slices: 1, density: 58 },
    Tile { m: 32, n: 32, k: 16, quads: [1, 1], slices: 1, density: 56 },
    Tile { m: 32, n: 32, k: 64, quads: [1, 1], slices: 4, density: 55 },
];

// These are estimates, the same as those of benches/gpu-lab/src/time.rs.

/// The cycles of a load from the cache that the units share, and of the barriers around it.
const LOAD: f64 = 800.0;
/// The cycles before the first load and after the last store.
const ENDS: f64 = 1500.0;
/// The cycles between a dispatch and one that waits for it: 3 µs.
const DISPATCH: f64 = 7000.0;

/// The properties of a product that determine its cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem {
    pub(super) matrices: usize,
    pub(super) pixels: usize,
    pub(super) channels: usize,
    pub(super) k: usize,
    /// True if each block of channels reads channels of its own.
    pub(super) grouped: bool,
    /// The size of the depthwise convolution's kernel, if each workgroup filters the pixels that it multiplies.
    pub(super) filter: Option<[usize; 2]>,
}

/// A tile, and the number of workgroups that share the k of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) tile: Tile,
    pub(super) splits: usize,
}

impl Tile {
    fn invocations(&self) -> usize {
        self.m * self.n / (16 * self.quads[0] * self.quads[1]) * self.slices
    }

    /// Returns the bytes of workgroup memory, where each row of k is padded.
    fn memory(&self) -> usize {
        self.padded(self.k)
    }

    /// Returns the bytes of pixels and weights, and of four numbers of padding for each of these rows.
    fn padded(&self, rows: usize) -> usize {
        (self.k * (self.m + self.n) + 4 * rows) * 4
    }

    /// Returns the registers of an invocation, with several taps on navi31 and ga102: its sums and 68 others.
    fn registers(&self) -> usize {
        16 * self.quads[0] * self.quads[1] + 68
    }

    /// Returns true if an invocation has enough registers on this device.
    fn fits(&self, caps: &Caps) -> bool {
        /// The registers that Apple's compiler takes more than AMD's: up to 28, docs/gpu-lab/m1.tsv.
        const MORE: usize = 32;
        self.registers() + MORE <= caps.registers as usize
    }

    /// Returns this tile, with half the k if the device has too little workgroup memory.
    fn within(self, caps: &Caps) -> Tile {
        let halved = Tile { k: self.k / 2, ..self };
        if self.memory() > caps.max_workgroup_memory as usize { halved } else { self }
    }

    /// Returns the instructions of all invocations for a tile of k.
    fn instructions(&self, filter: Option<[usize; 2]>) -> usize {
        /// The instructions for two numbers and a tap of a filter: navi31's.
        const FILTER: usize = 7;
        let taps = filter.map_or(0, |[height, width]| height * width);
        100 * self.m * self.n * self.k / self.density + FILTER * taps * self.m * self.k / 2
    }

    /// Returns the shader's variant for this tile.
    pub(super) fn specialize(&self, shader: Shader) -> Shader {
        let tile = |shader: Shader, name, value: usize| shader.tile(name, value as u32);
        let shader = tile(tile(tile(shader, "TILE_M", self.m), "TILE_N", self.n), "TILE_K", self.k);
        let shader = tile(tile(shader, "QUADS_M", self.quads[0]), "QUADS_N", self.quads[1]);
        tile(shader, "SLICES", self.slices)
    }

    /// Returns the loop iterations of an invocation over `texels` texels of k. Drivers unroll the innermost loops, whose
    /// lengths are constant.
    pub(super) fn iterations(&self, texels: usize) -> usize {
        let step = self.k / 4;
        let loops = looped(texels.div_ceil(step) + 1, plain(self.k / self.slices));
        loops.all + 16 * self.slices + 32
    }

    fn tiles(&self, problem: &Problem) -> usize {
        problem.matrices * problem.pixels.div_ceil(self.m) * problem.channels.div_ceil(self.n)
    }

    /// Returns true if most of the tile is real work; otherwise a smaller tile is cheaper.
    fn suits(&self, problem: &Problem) -> bool {
        let smallest = |size| size == 32;
        (smallest(self.m) || problem.pixels > self.m / 2)
            && (smallest(self.n) || problem.channels > self.n / 2)
            && !(problem.grouped && self.n > BLOCK)
    }
}

impl Choice {
    /// Returns the texels of k, of `k4` in all, that each split adds up.
    pub(super) fn share4(&self, k4: usize) -> usize {
        k4.div_ceil(self.splits).next_multiple_of(self.tile.k / 4)
    }

    /// Returns the cycles of the busiest unit.
    fn cost(&self, problem: &Problem, caps: &Caps) -> f64 {
        /// The invocations whose instructions a unit issues in a cycle.
        const LANES: f64 = 128.0;
        /// The bytes that a unit gets from this cache in a cycle.
        const BANDWIDTH: f64 = 24.0;
        /// The registers of a unit.
        const REGISTERS: usize = 65_536;
        /// One dispatch is the safe choice: two must promise this gain.
        const GAIN: f64 = 1.5;
        let Choice { tile, splits } = self;
        let units = caps.units.max(1) as usize;
        let workgroups = (tile.tiles(problem) * splits).div_ceil(units).max(1);
        let resident = (REGISTERS / (tile.registers() * tile.invocations())).clamp(1, workgroups) as f64;
        // A step brings a tile of k. The workgroups that a unit holds hide each other's waits. A workgroup that is alone
        // waits for its loads, and issues one instruction of a subgroup in a cycle.
        let instructions = tile.instructions(problem.filter) as f64;
        let alone = (instructions / tile.invocations() as f64).max(LOAD);
        let rows = problem.filter.map_or(1, |[height, _]| height);
        let bytes = ((rows * tile.m + tile.n) * tile.k * 4) as f64;
        let step = alone.max(resident * (instructions / LANES).max(bytes / BANDWIDTH));
        let steps = problem.k.div_ceil(*splits).div_ceil(tile.k) as f64;
        let slices = ((tile.slices - 1) * tile.m * tile.n / 16) as f64;
        let product = workgroups as f64 / resident * (steps * step + slices) + ENDS;
        if *splits == 1 {
            return product;
        }
        // Partial sums are written and read, the result is written.
        let moved = (problem.matrices * problem.pixels * problem.channels * 4 * (2 * splits + 1)) as f64;
        GAIN * (product + moved / (BANDWIDTH * units as f64) + DISPATCH)
    }
}

/// The most units of a CPU, on which no tile leaves lanes idle and the smallest is compiled first.
const PROCESSOR: u32 = 4;

/// Returns the variants that suit a problem, best first: each tile unsplit, and the two best choices that split k among
/// workgroups, if there are any.
pub(super) fn choices(problem: &Problem, caps: &Caps) -> Vec<Choice> {
    /// The least share of k of a workgroup: ONNX Runtime's figure.
    const SHARE: usize = 256;
    let tiles = LADDER.iter().map(|tile| tile.within(caps)).filter(|tile| tile.fits(caps) && tile.suits(problem));
    let cost = |choice: &Choice| choice.cost(problem, caps);
    let order = |choices: &mut Vec<Choice>| choices.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let mut choices: Vec<Choice> = tiles.map(|tile| Choice { tile, splits: 1 }).collect();
    order(&mut choices);
    // A split pays where the best tile leaves units idle.
    let idle = choices.first().is_some_and(|best| best.tile.tiles(problem) < caps.units as usize);
    let most = if idle { problem.k / SHARE } else { 0 };
    let splits = |choice: &Choice| [2, 4, 8, 16].map(|splits| Choice { splits, ..*choice });
    let mut split: Vec<Choice> = choices.iter().flat_map(splits).filter(|choice| choice.splits <= most).collect();
    order(&mut split);
    choices.extend(split.into_iter().take(2));
    order(&mut choices);
    if caps.units <= PROCESSOR {
        choices.sort_by_key(|choice| (choice.splits, choice.tile.invocations() * choice.tile.m));
    }
    choices
}

/// Returns the tiles of `shaders/separable.wgsl` that cost less than a dispatch of a depthwise convolution and one of the
/// product after it, best first.
pub(super) fn filtering(problem: &Problem, filter: [usize; 2], caps: &Caps) -> Vec<Tile> {
    let Some(product) = choices(problem, caps).first().copied() else { return Vec::new() };
    let apart = product.cost(problem, caps) + DISPATCH + LOAD + ENDS;
    let cost =
        |tile: &Tile| Choice { tile: *tile, splits: 1 }.cost(&Problem { filter: Some(filter), ..*problem }, caps);
    let filters = |tile: &Tile| (filter[0] * filter[1] + 1) * tile.k * 4;
    let held = |tile: &Tile| {
        // Each pixel is padded there.
        let memory = tile.padded(tile.m) + filters(tile);
        memory <= caps.max_workgroup_memory as usize && tile.fits(caps)
    };
    // A dispatch costs a CPU less than filtering again for each column of tiles.
    let once = |tile: &Tile| caps.units > PROCESSOR || problem.channels <= tile.n;
    let small = LADDER.into_iter().filter(|tile| [tile.m, tile.n] == [32; 2]);
    let mut tiles: Vec<Tile> = small.filter(|tile| held(tile) && once(tile) && cost(tile) < apart).collect();
    tiles.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::shader::declared;

    #[test]
    fn each_invocation_brings_as_many_texels() {
        let large = Caps { max_workgroup_memory: 32 << 10, ..Caps::portable() };
        for caps in [large, Caps::portable()] {
            for tile in LADDER.map(|tile| tile.within(&caps)) {
                let texels = [tile.m, tile.n].map(|size| size * tile.k / 4);
                assert!(texels.iter().all(|texels| texels % tile.invocations() == 0), "{tile:?}");
                assert!(tile.memory() <= caps.max_workgroup_memory as usize, "{tile:?}");
                assert!(tile.invocations() <= caps.max_invocations as usize, "{tile:?}");
            }
        }
    }

    /// Checks the numbers that the shader computes from its constants, by a WGSL compiler.
    #[test]
    fn the_shader_has_these_invocations_and_this_memory() {
        for tile in LADDER {
            let declared = declared(&tile.specialize(super::super::tiled::shader()));
            assert_eq!(declared, (tile.memory(), tile.invocations()), "{tile:?}");
        }
    }

    /// Checks the densities against the committed table of a compiler.
    #[test]
    fn densities_are_those_of_navi31() {
        let table = std::fs::read_to_string("docs/gpu-lab/navi31.tsv").expect("the repository has it");
        let columns: Vec<&str> = table.lines().nth(1).expect("a header").split('\t').collect();
        let share = columns.iter().position(|&name| name == "share").expect("a column of shares");
        let kernel = super::super::tiled::shader();
        for tile in LADDER {
            let kernel =
                format!("{} POINT=0 X_ROWS=0 RESIDUAL=", tile.specialize(kernel.clone())).replacen(' ', "\t", 1);
            let row = table.lines().find(|row| row.starts_with(&kernel)).expect("the table has every tile");
            let counted: f64 = row.split('\t').nth(share).expect("a share").parse().expect("a number");
            assert!((counted - tile.density as f64).abs() < 2.0, "{tile:?}: {counted}");
        }
    }

    /// Checks the instructions of a kernel that filters against the same table.
    #[test]
    fn filters_take_the_instructions_of_navi31() {
        let table = std::fs::read_to_string("docs/gpu-lab/navi31.tsv").expect("the repository has it");
        let columns: Vec<&str> = table.lines().nth(1).expect("a header").split('\t').collect();
        for tile in LADDER.iter().filter(|tile| [tile.m, tile.n] == [32; 2]) {
            let kernel = format!("separable\tSLICES={} KERNEL_Y=3 KERNEL_X=3 STRIDE=1 FILTERED=0 RES", tile.slices);
            let row = table.lines().find(|row| row.starts_with(&kernel)).expect("the table has both tiles");
            let number = |name: &str| -> f64 {
                let at = columns.iter().position(|&column| column == name).expect("a column");
                row.split('\t').nth(at).expect("a cell").parse().expect("a number")
            };
            let counted = 100.0 * number("multiply_adds") / number("share");
            let expected = (tile.instructions(Some([3, 3])) / tile.invocations()) as f64;
            assert!((counted / expected - 1.0).abs() < 0.05, "{tile:?}: {counted} instructions, not {expected}");
        }
    }

    #[test]
    fn large_tiles_are_for_many_registers() {
        let problem = Problem { matrices: 1, pixels: 10_000, channels: 256, k: 1024, grouped: false, filter: None };
        let quads = |registers| {
            let caps = Caps { registers, ..Caps::portable() };
            choices(&problem, &caps).into_iter().map(|choice| choice.tile.quads).max().expect("there are choices")
        };
        assert_eq!((quads(255), quads(128)), ([2, 2], [1, 1]));
    }
}
