//! The implicit GEMM of convolutions, linear layers and matrix products: choice of kernel, packing of weights.

mod filtering;
mod gemv;
mod groups;
mod lanes;
mod lines;
mod matrix;
mod model;
mod parts;
mod pool;
mod product;
mod projections;
mod tiled;
mod trial;
mod winograd;

pub(crate) use groups::Groups;
pub(crate) use lanes::BLOCK as LANES_BLOCK;
pub(crate) use projections::{MOST_PROJECTED, Projections};
pub(crate) use tiled::chunks;
pub(crate) use trial::trials;

use self::lines::Lines;
use super::channels::Part;
use super::epilogue::Epilogue;
use super::window::{Depth, Window};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::kernel::layout::Image;
use crate::kernel::{Binding, Caps, Kernel, Layout, Prepacked, Rounding, Storage, WeightKey};

/// The output channels whose weights are packed together, for all portable kernels.
const BLOCK: usize = 64;

/// The product `y[p, o] = f(sum_k x[p, k] w[k, o] + bias[o] + residual[p, o])`, where p counts pixels (or rows) and k
/// the taps of the kernel and the channels under each tap.
pub(crate) struct Gemm<'a> {
    /// The input; the rows of a matrix are images of one pixel.
    pub(crate) x: Image,
    /// The output.
    pub(crate) y: Image,
    /// The layout family of input 0 and the output: `Channels`, or `RowsVec4` for matrices.
    pub(crate) layout: fn(Storage) -> Layout,
    /// The size and the placement of the kernel, `[vertical, horizontal]`.
    pub(crate) window: Window,
    /// The window along the depth of volumes, whose planes are the images of x and y.
    pub(crate) depth: Option<Depth>,
    /// The number of channel groups.
    pub(crate) groups: usize,
    /// The lines of samples, if x is such.
    pub(crate) lines: Option<Lines>,
    /// The inputs that share the channels of x, if it isn't one.
    pub(crate) parts: &'a [Part],
    /// True if the output is pooled: of each 2x2 pixels of y, whose sides are even, the largest is stored.
    pub(crate) pools: bool,
    /// The weights.
    pub(crate) w: Operand<'a>,
    /// The bias.
    pub(crate) bias: Option<&'a Constant>,
    /// The epilogue.
    pub(crate) epilogue: Epilogue,
}

/// The second operand.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// Weights `[out, in / groups, ..]`, the kernel's sizes last (or `[out, in]`), packed at load.
    Weight(&'a Constant),
    /// Input 1, as `[k][o]` rows, and the batch of products: its sizes, and the rows by which x and w advance along
    /// each dimension. Transposed, x is stored as `[k][p]` rows and w as `[o][k]` rows.
    Input { rows: usize, transposed: [bool; 2], batch: [usize; 4], x_batch: [usize; 4], w_batch: [usize; 4] },
}

impl Gemm<'_> {
    /// Returns the kernels, best first.
    pub(crate) fn kernels(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Some(lines) = self.lines(caps) else { return self.images(caps) };
        let mut kernels = lines.images(caps)?;
        let next = kernels.iter().map(|kernel| kernel.priority + 1).max().unwrap_or(0);
        kernels
            .extend(self.images(caps)?.into_iter().map(|kernel| Kernel { priority: kernel.priority + next, ..kernel }));
        Ok(kernels)
    }

    /// Returns the kernels that take x for what it is, best first.
    fn images(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut kernels = self.lanes(caps);
        let at = if self.winograd_pays() { 0 } else { kernels.len() };
        kernels.splice(at..at, self.winograd(caps));
        let priority = if kernels.is_empty() { 0 } else { 1 };
        let gemv = self.gemv(caps)?;
        // Few rows read each weight once, whatever multiplies them.
        let matrix = if gemv.is_empty() { self.matrix(caps)? } else { Vec::new() };
        let portable = [gemv, matrix, self.tiled(caps)?, self.tiled_rows(caps)?];
        kernels.extend(portable.into_iter().flatten().map(|kernel| kernel.priority(priority)));
        Ok(kernels)
    }

    fn taps(&self) -> usize {
        self.tap_rows() * self.window.size[1]
    }

    /// Returns true if a pixel of a volume sees several planes.
    fn deep(&self) -> bool {
        self.depth.is_some_and(|depth| depth.mixes())
    }

    /// Returns the rows of the kernel, of all its planes.
    fn tap_rows(&self) -> usize {
        self.depth.map_or(1, |depth| depth.size) * self.window.size[0]
    }

    fn pixels(&self) -> usize {
        self.y.n * self.y.h * self.y.w
    }

    fn matrices(&self) -> [[usize; 4]; 3] {
        match self.w {
            Operand::Weight(_) => [[1; 4], [0; 4], [0; 4]],
            Operand::Input { batch, x_batch, w_batch, .. } => [batch, x_batch, w_batch],
        }
    }

    fn products(&self) -> usize {
        self.matrices()[0].iter().product()
    }

    fn channel_groups(&self) -> Groups {
        self.lines.map_or_else(|| Groups::new(self.groups, self.x.c, self.y.c), |lines| lines.groups)
    }

    fn span4(&self, block: usize) -> usize {
        self.channel_groups().span4(self.y.c, block)
    }

    fn mixed(&self, block: usize) -> bool {
        (self.groups > 1 || self.lines.is_some()) && self.channel_groups().mixed(self.y.c, block)
    }

    /// Returns the channels of an output as it lies in memory, and the texels of a row of outputs.
    fn stored(&self) -> (usize, usize) {
        self.lines.map_or((self.y.c, self.y.w * self.y.c4()), |lines| (lines.channels, lines.row4))
    }

    pub(crate) fn reads(&self, storage: Storage) -> Vec<Layout> {
        let operands = self.parts.len().max(1) + usize::from(matches!(self.w, Operand::Input { .. }));
        let mut reads = vec![(self.layout)(storage); operands + usize::from(self.epilogue.residual.is_some())];
        if let Some(lines) = self.lines {
            reads[0] = lines.reads;
        }
        reads
    }

    /// Returns the bindings: x, w, bias, residual (x again if there is none), y.
    fn bindings(&self, w: Binding, bias: Prepacked) -> Vec<Binding> {
        let residual = match self.w {
            Operand::Input { .. } if self.epilogue.residual.is_some() => Binding::Residual(2),
            Operand::Weight(_) if self.epilogue.residual.is_some() => Binding::Residual(self.parts.len().max(1)),
            _ => self.epilogue.binding(),
        };
        vec![Binding::Input(0), w, Binding::Weight(bias), residual, Binding::Output(0)]
    }

    pub(crate) fn bias(&self) -> Prepacked {
        let padded = self.y.c.next_multiple_of(BLOCK);
        let bias = self.bias.cloned();
        let key = WeightKey::new("bias").constants([bias.as_ref().map(Constant::id)]);
        // Each phase of a line has all of the bias.
        let period = self.lines.map_or(padded, |lines| lines.groups.outputs);
        Prepacked::new(key.sizes([period.min(padded)]), Storage::Buffer, (1, padded / 4), move || {
            let values = bias.as_ref().map_or_else(Vec::new, Constant::values);
            (0..padded).map(|o| values.get(o % period).copied().unwrap_or(0.0)).collect()
        })
    }

    /// Packs the weights of some blocks of output channels as `[block][tap][k texel][4][lane]` texels: each holds four
    /// output channels at one k. Weights that a block doesn't have (other groups, padding) are 0. The phases of lines
    /// have the same weights; their channels are the taps of a row.
    pub(crate) fn pack(
        &self,
        w: &Constant,
        block: usize,
        span4: usize,
        blocks: std::ops::Range<usize>,
        storage: Storage,
        row: usize,
    ) -> Prepacked {
        let taps = self.taps();
        let texels = blocks.len() * taps * span4 * block;
        let (groups, outputs, lines) = (self.channel_groups(), self.y.c, self.lines.is_some());
        let sizes = [taps, block, span4, blocks.start, blocks.end];
        let form = if lines { "gemm of lines" } else { "gemm" };
        let key = WeightKey::new(form).constants([Some(w.id())]).sizes(sizes).sizes(groups.params());
        let w = w.clone();
        let values = move || {
            let from = w.values();
            let filters: Vec<&[f32]> = from.chunks_exact(groups.inputs * taps).collect();
            let mut to = vec![0.0; texels * 4];
            for (i, b) in blocks.clone().enumerate() {
                let first = groups.start(b * block) / 4 * 4;
                for o in b * block..((b + 1) * block).min(outputs) {
                    let shift = groups.start(o) - first;
                    let filter = if lines { o % groups.outputs } else { o };
                    let values = filters.get(filter).copied().unwrap_or_default();
                    for (j, &value) in values.iter().enumerate() {
                        let (c, tap) =
                            if lines { (j % groups.inputs, j / groups.inputs) } else { (j / taps, j % taps) };
                        let k = (i * taps + tap) * span4 * 4 + shift + c;
                        to[k * block + o - b * block] = value;
                    }
                }
            }
            to
        };
        let rounding = Rounding::Balanced { rows: taps * span4 * 4, columns: block };
        Prepacked::new(key, storage, (texels / row, row), values).rounded(rounding)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn shaders_read_the_blocks_that_are_packed() {
        let shader = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib/blocks.wgsl"));
        assert!(shader.contains(&format!("const BLOCK: u32 = {}u;", super::BLOCK)));
    }
}
