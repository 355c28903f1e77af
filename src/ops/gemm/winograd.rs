//! Winograd's convolution along rows, for Mesa's llvmpipe: half the multiplications of a kernel that is three pixels wide.

use super::{Gemm, Operand};
use crate::graph::constant::Constant;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Packed, Place, looped, plain, WeightKey};
use crate::ops::activation::ActivationParams;
use crate::ops::window::Window;
use bytemuck::{Pod, Zeroable};

/// Outputs of a tile, and the products that they take.
const OUTPUTS: usize = 4;
const PRODUCTS: usize = 6;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct WinogradParams {
    tiles: u32,
    tiles_x: u32,
    out_w: u32,
    out_h: u32,
    out_c: u32,
    in_h: u32,
    in4: u32,
    kernel_h: u32,
    before: [u32; 2],
    blocks: u32,
    groups: u32,
    blocks_first: u32,
    activation: ActivationParams,
}

impl Gemm<'_> {
    /// Tiles in a row, and in all.
    fn tiles(&self) -> (usize, usize) {
        let tiles_x = self.y.w.div_ceil(OUTPUTS);
        (tiles_x, self.y.n * self.y.h * tiles_x)
    }

    /// Whether it is faster than the plain kernel, as measured on llvmpipe: by a third and more, but not where tiles reach beyond
    /// short rows, nor where there are so few that it is the weights, twice as many, that take the time.
    pub(super) fn winograd_pays(&self) -> bool {
        let (tiles_x, tiles) = self.tiles();
        5 * self.y.w >= 4 * OUTPUTS * tiles_x && tiles >= 25
    }

    /// llvmpipe's kernel for kernels three pixels wide and stride 1.
    pub(super) fn winograd(&self, caps: &Caps) -> Vec<Kernel> {
        const BLOCK: usize = 32;
        let limit = caps.max_texture as usize;
        let Window { size, stride, dilation, before } = self.window;
        let Operand::Weight(w) = self.w else { return Vec::new() };
        let (tiles_x, tiles) = self.tiles();
        let fits = size[1] == 3 && stride == [1; 2] && dilation == [1; 2] && self.groups == 1;
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
            tiles: tiles as u32,
            tiles_x: tiles_x as u32,
            out_w: self.y.w as u32,
            out_h: self.y.h as u32,
            out_c: self.y.c as u32,
            in_h: self.x.h as u32,
            in4: in4 as u32,
            kernel_h: size[0] as u32,
            before: before.map(|v| v as u32),
            blocks: blocks as u32,
            groups: groups as u32,
            blocks_first: u32::from(packed.bytes() < 300 << 10),
            activation: ActivationParams::of(self.epilogue.activation),
        };
        [Place::Texture, Place::Buffer]
            .into_iter()
            .map(|place| {
                let shader = self.epilogue.of(shader!("winograd_lanes", "activation", "index", "nan"));
                let shader = shader.texture("y", place == Place::Texture);
                let bindings = self.bindings(Binding::Weight(packed.clone()), self.bias());
                let dispatch = Dispatch::new(shader, &params, bindings, blocks * groups)
                    .iterations(looped(size[0], plain(in4)).all);
                Kernel::new(self.reads(Place::Texture), (self.layout)(place), dispatch)
            })
            .collect()
    }

    /// The weights of each row of a kernel as those of the six products.
    fn pack_transformed(&self, w: &Constant, block: usize, blocks: usize) -> Packed {
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
        let packed = gemm.pack(&wide, block, in4, 0..blocks, Place::Texture, block * in4);
        Packed { key: WeightKey::new("winograd").constants([Some(w.id())]).sizes([height]), ..packed }
    }
}
