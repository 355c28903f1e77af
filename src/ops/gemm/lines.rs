//! Convolutions of one channel along lines: a line of samples in memory is an image with four samples a texel.
//!
//! A pixel of this image is a texel of four neighbouring samples, and P neighbouring outputs are one pixel with P times
//! the channels: P *phases*. Phase p of a filter reads `size` samples from `p stride` on, so that phases are groups of
//! channels that overlap. One window step is `P stride` samples, a multiple of four. No sample is multiplied by the
//! zeros that pad one channel to a texel, and no line is copied. Where the output has one channel too, phases fill a
//! block of weights, and the output is a line as well. Rows of images of one channel are lines too.
//!
//! Sums that aren't finite are computed again, as those of grouped convolutions: the samples of a texel that a phase
//! doesn't read have weights of 0.

use super::groups::Groups;
use super::lanes::BLOCK;
use super::{Gemm, Operand};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Layout, Storage};
use crate::ops::window::Window;

/// The longest filter, stride and padding: the samples that several phases span are counted in 32 bits.
const LONGEST: usize = 1 << 24;

/// The lines that a product reads, and the pixels of several outputs that it writes.
#[derive(Clone, Copy)]
pub(crate) struct Lines {
    /// The samples of an input line.
    pub(super) samples: usize,
    /// The order of the lines in memory.
    pub(super) reads: Layout,
    /// The samples that each phase reads.
    pub(super) groups: Groups,
    /// The channels of an output as it lies in memory; all outputs of a line, if the outputs are lines too.
    pub(super) channels: usize,
    /// The texels of a row of the output.
    pub(super) row4: usize,
}

impl<'a> Gemm<'a> {
    /// Returns this convolution as one over texels of samples, if it has one input channel and that pays.
    pub(super) fn lines(&self, caps: &Caps) -> Option<Gemm<'a>> {
        let Window { size, stride, dilation, before, .. } = self.window;
        let Operand::Weight(_) = self.w else { return None };
        let longest = size[1].max(stride[1]).max(before[1]);
        if self.deep() || self.x.c != 1 || self.x.w == 1 || dilation[1] != 1 || longest > LONGEST {
            return None;
        }
        let to_lines = self.y.c == 1;
        let outputs = if to_lines { 1 } else { 4 * self.y.c4() };
        let padding4 = before[1].div_ceil(4);
        let first = 4 * padding4 - before[1];
        let groups = Groups { outputs, first, step: stride[1], inputs: size[1] };
        // The pixels of a tile, and the multiplications of the other kernels for each of a filter's: llvmpipe's multiply
        // a sample by the weights of four channels (half of that with Winograd), the portable ones load it alone.
        let (tile, others) = if caps.shuffles_of_eight() { (16, 2) } else { (32, 1) };
        let work = |width: usize, channels: usize, k: usize| {
            let pixels = self.y.n * self.y.h * width;
            pixels.next_multiple_of(tile).saturating_mul(channels.next_multiple_of(BLOCK)).saturating_mul(k)
        };
        let phased = |phases: usize| {
            let channels = phases * outputs;
            (work(self.y.w.div_ceil(phases), channels, 4 * groups.span4(channels, BLOCK)), phases)
        };
        let whole = |phases: &usize| (phases * stride[1]).is_multiple_of(4) && (phases * outputs).is_multiple_of(4);
        let (least, phases) = [1, 2, 4, 8, 16, 32].into_iter().filter(whole).map(phased).min()?;
        if least > work(self.y.w, self.y.c, others * size[1]) {
            return None;
        }
        // Of several lines, each begins at a texel.
        let single = |samples: usize| self.x.n * self.x.h == 1 && !samples.is_multiple_of(4);
        let lines = Lines {
            samples: self.x.w,
            reads: if single(self.x.w) { Layout::ROWS } else { Layout::rows_vec4(Storage::Buffer) },
            groups,
            channels: if to_lines { self.y.w } else { self.y.c },
            row4: if to_lines { self.y.w.div_ceil(4) } else { self.y.w * self.y.c4() },
        };
        Some(Gemm {
            x: Image { c: 4, w: self.x.w.div_ceil(4), ..self.x },
            y: Image { c: phases * outputs, w: self.y.w.div_ceil(phases), ..self.y },
            layout: match (to_lines, single(self.y.w)) {
                (false, _) => self.layout,
                (true, false) => Layout::rows_vec4,
                (true, true) => single_line,
            },
            window: Window {
                size: [size[0], 1],
                stride: [stride[0], phases * stride[1] / 4],
                dilation,
                before: [before[0], padding4],
                ..self.window
            },
            groups: phases,
            lines: Some(lines),
            ..*self
        })
    }
}

/// Returns the layout of one line.
fn single_line(storage: Storage) -> Layout {
    match storage {
        Storage::Buffer => Layout::ROWS,
        Storage::Texture => Layout::rows_vec4(storage),
    }
}
