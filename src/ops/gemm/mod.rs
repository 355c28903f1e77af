//! The implicit GEMM of convolutions, linear layers and matrix products: choice of kernel, packing of weights.

mod gemv;
mod lanes;
mod model;
mod pool;
mod product;
mod tiled;
mod winograd;

pub(crate) use tiled::chunks;

use super::epilogue::Epilogue;
use super::window::Window;
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::kernel::layout::Image;
use crate::kernel::{Binding, Caps, Kernel, Layout, Prepacked, Storage, WeightKey};

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
    /// The number of channel groups.
    pub(crate) groups: usize,
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
    /// Weights `[out, in / groups, kernel height, kernel width]` (or `[out, in]`), packed at load.
    Weight(&'a Constant),
    /// Input 1, as `[k][o]` rows, and the batch of products: its sizes, and the rows by which x and w advance along
    /// each dimension. Transposed, x is stored as `[k][p]` rows and w as `[o][k]` rows.
    Input { rows: usize, transposed: [bool; 2], batch: [usize; 4], x_batch: [usize; 4], w_batch: [usize; 4] },
}

impl Gemm<'_> {
    /// Returns the kernels, best first.
    pub(crate) fn kernels(&self, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut kernels = self.lanes(caps);
        let at = if self.winograd_pays() { 0 } else { kernels.len() };
        kernels.splice(at..at, self.winograd(caps));
        let priority = if kernels.is_empty() { 0 } else { 1 };
        let portable = [self.gemv(caps)?, self.gemm(caps, false)?, self.gemm(caps, true)?];
        kernels.extend(portable.into_iter().flatten().map(|kernel| kernel.priority(priority)));
        Ok(kernels)
    }

    fn taps(&self) -> usize {
        self.window.size[0] * self.window.size[1]
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

    fn span4(&self, block: usize) -> usize {
        span4(self.x.c, self.y.c, self.groups, block)
    }

    fn mixed(&self, block: usize) -> bool {
        mixed(self.x.c, self.y.c, self.groups, block)
    }

    pub(crate) fn reads(&self, storage: Storage) -> Vec<Layout> {
        let operands = 1 + usize::from(matches!(self.w, Operand::Input { .. }));
        vec![(self.layout)(storage); operands + usize::from(self.epilogue.residual)]
    }

    /// Returns the bindings: x, w, bias, residual (x again if there is none), y.
    fn bindings(&self, w: Binding, bias: Prepacked) -> Vec<Binding> {
        let residual = match self.w {
            Operand::Input { .. } if self.epilogue.residual => Binding::Residual(2),
            _ => self.epilogue.binding(),
        };
        vec![Binding::Input(0), w, Binding::Weight(bias), residual, Binding::Output(0)]
    }

    pub(crate) fn bias(&self) -> Prepacked {
        let padded = self.y.c.next_multiple_of(64);
        let bias = self.bias.cloned();
        let key = WeightKey::new("bias").constants([bias.as_ref().map(Constant::id)]);
        Prepacked::new(key, Storage::Buffer, (1, padded / 4), move || {
            let mut values = bias.as_ref().map_or_else(Vec::new, Constant::values);
            values.resize(padded, 0.0);
            values
        })
    }

    /// Packs the weights of some blocks of output channels as `[block][tap][k texel][4][lane]` texels: each holds four
    /// output channels at one k. Weights that a block doesn't have (other groups, padding) are 0.
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
        let (group_out, group_in, outputs) = (self.y.c / self.groups, self.x.c / self.groups, self.y.c);
        let sizes = [taps, group_out, group_in, block, span4, blocks.start, blocks.end];
        let key = WeightKey::new("gemm").constants([Some(w.id())]).sizes(sizes);
        let w = w.clone();
        let values = move || {
            let from = w.values();
            let mut to = vec![0.0; texels * 4];
            for (i, b) in blocks.clone().enumerate() {
                let first = b * block / group_out * group_in / 4 * 4;
                for o in b * block..((b + 1) * block).min(outputs) {
                    let shift = o / group_out * group_in - first;
                    let row = &from[o * group_in * taps..][..group_in * taps];
                    for (c, under) in row.chunks_exact(taps).enumerate() {
                        for (tap, &value) in under.iter().enumerate() {
                            let k = (i * taps + tap) * span4 * 4 + shift + c;
                            to[k * block + o - b * block] = value;
                        }
                    }
                }
            }
            to
        };
        Prepacked::new(key, storage, (texels / row, row), values)
    }
}

/// Returns the most texels of input channels that a block of `block` output channels reads.
pub(crate) fn span4(inputs: usize, outputs: usize, groups: usize, block: usize) -> usize {
    let (group_out, group_in) = (outputs / groups, inputs / groups);
    (0..outputs.div_ceil(block))
        .map(|b| {
            let last = ((b + 1) * block).min(outputs) - 1;
            ((last / group_out + 1) * group_in).div_ceil(4) - b * block / group_out * group_in / 4
        })
        .max()
        .unwrap_or(0)
}

/// Returns true if a block of `block` output channels multiplies some input channels by zeros: those of other groups.
pub(crate) fn mixed(inputs: usize, outputs: usize, groups: usize, block: usize) -> bool {
    groups > 1 && !((outputs / groups).is_multiple_of(block) && (inputs / groups).is_multiple_of(4))
}

#[cfg(test)]
mod tests {
    #[test]
    fn shaders_read_the_blocks_that_are_packed() {
        let shader = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib/blocks.wgsl"));
        assert!(shader.contains(&format!("const BLOCK: u32 = {}u;", super::BLOCK)));
    }
}
