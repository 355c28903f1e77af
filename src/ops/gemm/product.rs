//! A product that is added to another: `x1 w1 + x2 w2`, the rows of both weights one below the other, for Mesa's llvmpipe.

use super::lanes::BLOCK;
use super::{Gemm, Operand};
use crate::graph::constant::Constant;
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Prepacked, Storage, WeightKey};
use crate::ops::epilogue::Epilogue;

/// What the kernel has to know of a product that it adds, with the weights and the bias of both.
pub(super) struct Product {
    /// Texels of k that are read in one go, of either image.
    pub(super) run: usize,
    /// How many of those there are.
    pub(super) segments: usize,
    /// The image's height, its texels of channels, and the stride over it.
    pub(super) h: usize,
    pub(super) c4: usize,
    pub(super) stride: usize,
    pub(super) w: Prepacked,
    pub(super) bias: Prepacked,
}

impl Gemm<'_> {
    /// llvmpipe's kernels for this product whose residual is another one, where each of them is a convolution of 1x1 pixels: what
    /// makes a residual block smaller. The residual is neither written nor read, and one k is longer than two.
    ///
    /// The inputs are the other's image and this one's.
    pub(crate) fn with_product(&self, other: &Gemm, caps: &Caps) -> Option<Vec<Kernel>> {
        let pointwise = |gemm: &Gemm| {
            let window = gemm.window;
            window.size == [1; 2] && window.before == [0; 2] && gemm.groups == 1 && gemm.x.c.is_multiple_of(4)
        };
        let (Operand::Weight(w), Operand::Weight(other_w)) = (self.w, other.w) else { return None };
        let stride = other.window.stride;
        let plain = !other.epilogue.residual && other.epilogue.activation.is_none() && stride[0] == stride[1];
        let (k4, other_k4) = (self.x.c4(), other.x.c4());
        // Short runs would read the weights in many rows.
        let run = greatest(k4, other_k4, caps.max_texture as usize / BLOCK).filter(|run| *run >= 8)?;
        // Of small images it saves less than the compilation of one more variant costs.
        if !pointwise(self) || !pointwise(other) || !plain || other.y != self.y || self.lanes_tile() < 16 {
            return None;
        }
        let (from, other_from) = (w.clone(), other_w.clone());
        let rows = move || {
            let (values, others) = (from.values(), other_from.values());
            let each = values.chunks_exact(4 * k4).zip(others.chunks_exact(4 * other_k4));
            each.flat_map(|(row, other)| [row, other].concat()).collect()
        };
        let both = Constant::lazy(w.name(), [self.y.c, 4 * (k4 + other_k4), 1, 1], rows);
        let x = Image { c: 4 * (k4 + other_k4), ..self.x };
        let packed = Gemm { x, w: Operand::Weight(&both), ..*self };
        let blocks = self.y.c.div_ceil(BLOCK);
        let packed = packed.pack(&both, BLOCK, k4 + other_k4, 0..blocks, Storage::Texture, BLOCK * run);
        let key = WeightKey::new("two products").constants([Some(w.id()), Some(other_w.id())]).sizes([run]);
        let w = Prepacked { key, ..packed };
        let (bias, other_bias) = (self.bias(), other.bias());
        let key = WeightKey::new("two biases").and(&bias.key).and(&other_bias.key);
        let sums = move || (bias.values)().iter().zip((other_bias.values)()).map(|(a, b)| a + b).collect();
        let bias = Prepacked { key, values: std::sync::Arc::new(sums), ..self.bias() };
        let product = Product { run, segments: other_k4 / run, h: other.x.h, c4: other_k4, stride: stride[0], w, bias };
        let epilogue = Epilogue { residual: false, ..self.epilogue };
        let kernels = Gemm { epilogue, ..*self }.lanes_adding(Some(&product), caps);
        (!kernels.is_empty()).then_some(kernels)
    }
}

/// The greatest number up to `most` that divides both.
fn greatest(a: usize, b: usize, most: usize) -> Option<usize> {
    (1..=a.min(b).min(most)).rev().find(|d| a.is_multiple_of(*d) && b.is_multiple_of(*d))
}
