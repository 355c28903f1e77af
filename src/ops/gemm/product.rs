//! A sum of two products, `x1 w1 + x2 w2`, with the rows of both weights stacked, for Mesa's llvmpipe.

use super::lanes::BLOCK;
use super::{Gemm, Operand};
use crate::graph::constant::Constant;
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Prepacked, Storage, WeightKey};
use crate::ops::epilogue::{Epilogue, Residual};
use crate::ops::window::Window;

/// The parameters of a product that the kernel adds, with the weights and the bias of both products.
pub(super) struct Product {
    /// The inputs that hold the image of the kernel's own product and the added image.
    pub(super) inputs: [usize; 2],
    /// The texels of k in one contiguous read of either image.
    pub(super) run: usize,
    /// The number of such reads of the added image.
    pub(super) segments: usize,
    /// The added image's height, its texels of channels, and the stride over it.
    pub(super) h: usize,
    pub(super) c4: usize,
    pub(super) stride: usize,
    pub(super) w: Prepacked,
    pub(super) bias: Prepacked,
}

impl Gemm<'_> {
    /// Returns llvmpipe's kernels for this product with `other` as its residual, where both are 1x1 convolutions, as in
    /// a residual block that shrinks its image. The residual is neither written nor read, and one long k replaces two.
    ///
    /// The inputs are the image of `other`, then the image of this product.
    pub(crate) fn with_product(&self, other: &Gemm, caps: &Caps) -> Option<Vec<Kernel>> {
        let pointwise = |gemm: &Gemm| {
            let window = gemm.window;
            !gemm.deep()
                && window.size == [1; 2]
                && window.before == [0; 2]
                && gemm.groups == 1
                && gemm.x.c.is_multiple_of(4)
        };
        let (Operand::Weight(w), Operand::Weight(other_w)) = (self.w, other.w) else { return None };
        let stride = other.window.stride;
        let plain = other.epilogue.residual.is_none() && other.epilogue.activation.is_none() && stride[0] == stride[1];
        let (k4, other_k4) = (self.x.c4(), other.x.c4());
        // With short runs, the weights would take many rows of the texture.
        let run = greatest(k4, other_k4, caps.max_texture as usize / BLOCK).filter(|run| *run >= 8)?;
        // The kernel's only sum ends before the activation.
        let added_before = self.epilogue.residual == Some(Residual::BeforeActivation);
        // For small images, the sum saves less than the compilation of one more variant costs.
        if !added_before
            || !pointwise(self)
            || !pointwise(other)
            || !plain
            || other.y != self.y
            || self.lanes_tile() < 16
        {
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
        let inputs = [1, 0];
        let product =
            Product { inputs, run, segments: other_k4 / run, h: other.x.h, c4: other_k4, stride: stride[0], w, bias };
        let epilogue = Epilogue { residual: None, ..self.epilogue };
        let kernels = Gemm { epilogue, ..*self }.lanes_adding(Some(&product), caps);
        (!kernels.is_empty()).then_some(kernels)
    }

    /// Returns llvmpipe's kernels for a 1x1 convolution over two images that share its channels: two products.
    pub(super) fn pair(&self, caps: &Caps) -> Vec<Kernel> {
        let (&[part, other], Operand::Weight(w)) = (self.parts, self.w) else { return Vec::new() };
        // The kernel reads whole images.
        if [part, other].iter().any(|part| part.doubled || part.count4 != part.pixel4[0]) {
            return Vec::new();
        }
        let [k4, other_k4] = [part.count4, other.count4];
        let Window { size, stride, before, .. } = self.window;
        let Some(run) = greatest(k4, other_k4, caps.max_texture as usize / BLOCK).filter(|run| *run >= 2) else {
            return Vec::new();
        };
        let pointwise = (size, before) == ([1; 2], [0; 2]) && stride[0] == stride[1] && !self.deep();
        if !pointwise || self.epilogue.residual.is_some() || self.lanes_tile() < 16 {
            return Vec::new();
        }
        let blocks = self.y.c.div_ceil(BLOCK);
        let w = self.pack(w, BLOCK, k4 + other_k4, 0..blocks, Storage::Texture, BLOCK * run);
        let (inputs, segments, bias) = ([0, 1], other_k4 / run, self.bias());
        let product = Product { inputs, run, segments, h: self.x.h, c4: other_k4, stride: stride[0], w, bias };
        Gemm { x: Image { c: 4 * k4, ..self.x }, parts: &[], ..*self }.lanes_adding(Some(&product), caps)
    }
}

/// Returns the greatest number up to `most` that divides both.
fn greatest(a: usize, b: usize, most: usize) -> Option<usize> {
    (1..=a.min(b).min(most)).rev().find(|d| a.is_multiple_of(*d) && b.is_multiple_of(*d))
}
