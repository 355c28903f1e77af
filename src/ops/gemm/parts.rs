//! A convolution of several inputs that share its channels, or of some channels of one: it reads a concatenation or a
//! slice where the elements are, and nothing is copied.

use super::Gemm;
use crate::kernel::{Caps, Kernel, Shader};
use crate::ops::channels::Part;
use crate::ops::window::Window;
use std::num::Wrapping;

/// The inputs that `shaders/gemm.wgsl` can read.
const MOST: usize = 4;

/// Returns the parameters of the parts: the end of each among the channels, its input's channels, and the distance from
/// the index among the channels to the index in the input.
pub(super) fn params(parts: &[Part]) -> [[Wrapping<usize>; 4]; 3] {
    let mut params = [[Wrapping(0); 4]; 3];
    for (i, part) in parts.iter().enumerate() {
        let ([pitch, _], [from, to]) = (part.pixel4, part.first4.map(Wrapping));
        [params[0][i], params[1][i], params[2][i]] = [to + Wrapping(part.count4), Wrapping(pitch), from - to];
    }
    params
}

impl<'a> Gemm<'a> {
    /// Returns a shader that reads x in parts, if it is in such.
    pub(super) fn of_parts(&self, shader: Shader) -> Shader {
        let doubled = self.parts.iter().enumerate().map(|(i, part)| u32::from(part.doubled) << i).sum::<u32>();
        let shader = if self.parts.is_empty() { shader } else { shader.set("PARTS", self.parts.len() as u32) };
        if doubled == 0 { shader } else { shader.set("DOUBLED", doubled) }
    }

    /// Returns true if each pixel of y sees the one pixel of x at its place in memory.
    pub(super) fn is_point(&self) -> bool {
        let Window { size, stride, before, .. } = self.window;
        let same_size = (self.x.h, self.x.w) == (self.y.h, self.y.w);
        let doubled = self.parts.iter().any(|part| part.doubled);
        (size, stride, before) == ([1; 2], [1; 2], [0; 2]) && same_size && !doubled && !self.deep() && !self.pools
    }

    /// Returns the kernels of this convolution over parts, if they are better than its kernels over one copied input.
    ///
    /// The inputs are the parts, then the residual.
    pub(crate) fn over(&self, parts: &'a [Part], caps: &Caps) -> Option<Vec<Kernel>> {
        let serves = self.groups == 1 && (1..=MOST).contains(&parts.len());
        // A few rows are copied in no time, and read their weights faster.
        if !serves || self.lines(caps).is_some() || !self.gemv(caps).ok()?.is_empty() {
            return None;
        }
        let gemm = Gemm { parts, ..*self };
        let kernels = match caps.shuffles_of_eight() {
            true => gemm.pair(caps),
            false => [gemm.matrix(caps).ok()?, gemm.tiled(caps).ok()?].concat(),
        };
        (!kernels.is_empty()).then_some(kernels)
    }
}
