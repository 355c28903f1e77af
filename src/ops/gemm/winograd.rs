//! Winograd's convolution along rows, for Mesa's llvmpipe: half the multiplications of a kernel three pixels wide.

use super::lanes::{BLOCK, CACHED};
use super::{Gemm, Operand};
use crate::graph::constant::Constant;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Prepacked, Storage, WeightKey, looped, plain};
use crate::ops::activation::ActivationParams;
use crate::ops::window::Window;

/// The outputs of a tile, and the products that they take.
const OUTPUTS: usize = 4;
const PRODUCTS: usize = 6;

params! {
    struct WinogradParams {
        tiles: usize,
        tiles_x: usize,
        out_w: usize,
        out_h: usize,
        out_c: usize,
        in_h: isize,
        in4: isize,
        kernel_h: isize,
        before: [isize; 2] as [pad_top, pad_left],
        blocks: usize,
        groups: usize,
        blocks_first: u32,
        activation: ActivationParams,
    }
}

impl Gemm<'_> {
    /// Returns the number of tiles in a row, and in all.
    fn tiles(&self) -> (usize, usize) {
        let tiles_x = self.y.w.div_ceil(OUTPUTS);
        (tiles_x, self.y.n * self.y.h * tiles_x)
    }

    /// Returns true if this kernel beats the plain one: by a third or more, as measured on llvmpipe, but not if tiles
    /// reach beyond short rows, or are so few that reading the weights, twice as many, dominates. A small convolution
    /// saves less than the compilation costs, the longest of all kernels'.
    pub(super) fn winograd_pays(&self) -> bool {
        let (tiles_x, tiles) = self.tiles();
        self.pays_to_compile() && 5 * self.y.w >= 4 * OUTPUTS * tiles_x && tiles >= 25
    }

    /// Returns llvmpipe's kernels for convolutions three pixels wide with stride 1.
    pub(super) fn winograd(&self, caps: &Caps) -> Vec<Kernel> {
        let limit = caps.max_texture as usize;
        let Window { size, stride, dilation, before, .. } = self.window;
        let Operand::Weight(w) = self.w else { return Vec::new() };
        let (tiles_x, tiles) = self.tiles();
        let fits = size[1] == 3 && stride == [1; 2] && dilation == [1; 2] && self.groups == 1 && !self.deep();
        if !caps.shuffles_of_eight() || !fits || tiles >= 1 << 24 {
            return Vec::new();
        }
        let (in4, blocks) = (self.x.c4(), self.y.c.div_ceil(BLOCK));
        let packed = self.pack_transformed(w, BLOCK, blocks);
        if packed.texels.0.max(packed.texels.1) > limit {
            return Vec::new();
        }
        let groups = tiles.div_ceil(8);
        let params = WinogradParams {
            tiles,
            tiles_x,
            out_w: self.y.w,
            out_h: self.y.h,
            out_c: self.y.c,
            in_h: self.x.h as isize,
            in4: in4 as isize,
            kernel_h: size[0] as isize,
            before: before.map(|v| v as isize),
            blocks,
            groups,
            blocks_first: u32::from(packed.bytes() < CACHED),
            activation: ActivationParams::new(self.epilogue.activation),
        };
        [Storage::Texture, Storage::Buffer]
            .into_iter()
            .map(|storage| {
                let shader = self.epilogue.specialize(shader!("winograd_lanes", "activation", "index", "nan"));
                let shader = shader.texture("y", storage == Storage::Texture);
                let bindings = self.bindings(Binding::Weight(packed.clone()), self.bias());
                let dispatch = Dispatch::new(shader, &params, bindings, blocks * groups)
                    .iterations(looped(size[0], plain(in4)).all);
                let kernel = Kernel::new(self.reads(Storage::Texture), (self.layout)(storage), dispatch);
                Kernel { exact_weights: true, ..kernel }
            })
            .collect()
    }

    /// Packs each row of a kernel as the weights of the six products.
    fn pack_transformed(&self, w: &Constant, block: usize, blocks: usize) -> Prepacked {
        let [out, inputs, height] = [w.shape()[0], w.shape()[1], self.window.size[0]];
        let from = w.clone();
        let values = move || {
            let products = |row: &[f32]| {
                let [a, b, c] = [row[0], row[1], row[2]].map(f64::from);
                let (even, odd) = ((a + c) / 6.0, b / 6.0);
                let (even2, odd2) = ((a + 4.0 * c) / 24.0, b / 12.0);
                [a / 4.0, -even - odd, odd - even, even2 + odd2, even2 - odd2, c].map(|v| v as f32)
            };
            from.values().chunks_exact(3).flat_map(products).collect()
        };
        let wide = Constant::lazy(w.name(), [out, inputs, height, PRODUCTS], values);
        let window = Window { size: [height, PRODUCTS], ..self.window };
        let gemm = Gemm { window, w: Operand::Weight(&wide), ..*self };
        let in4 = self.x.c4();
        let packed = gemm.pack(&wide, block, in4, 0..blocks, Storage::Texture, block * in4);
        Prepacked { key: WeightKey::new("winograd").constants([Some(w.id())]).sizes([height]), ..packed }
    }
}
