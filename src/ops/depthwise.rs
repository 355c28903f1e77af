//! Depthwise convolution: one filter per channel, a sliding window in registers.

use super::activation::ActivationParams;
use super::epilogue::Epilogue;
use super::window::{Depth, DepthParams, Window};
use crate::graph::constant::Constant;
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Rounding, Storage, WeightKey};

/// A convolution with as many groups as input channels and output channels.
pub(crate) struct Depthwise<'a> {
    pub(crate) x: Image,
    pub(crate) y: Image,
    pub(crate) window: Window,
    pub(crate) depth: Option<Depth>,
    pub(crate) weight: &'a Constant,
    pub(crate) bias: Option<&'a Constant>,
    pub(crate) epilogue: Epilogue,
}

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        out_h: usize,
        out_w: usize,
        c4: usize,
        tiles_x: usize,
        tiles_y: usize,
        count: usize,
        before: [usize; 2] as [top, left],
        spread: [usize; 2] as [spread_y, spread_x],
        activation: ActivationParams,
        depth: DepthParams,
    }
}

impl Depthwise<'_> {
    /// Returns the kernel with all tensors in `storage`, if there is one.
    pub(crate) fn kernel(&self, storage: Storage, caps: &Caps) -> Option<Kernel> {
        let texture = storage == Storage::Texture;
        // Reads outside a texture serve as the zero padding, and the shader divides pixel numbers in f32.
        if texture && (!caps.zero_outside_textures || self.y.n * self.y.h * self.y.w >= 1 << 24) {
            return None;
        }
        let Window { size, stride, dilation, before, .. } = self.window;
        // Neighbouring outputs share their reads, as far as registers go; on llvmpipe a tile is 4x2 pixels.
        let small = self.window.reach(0).max(self.window.reach(1)) <= 5 && stride[0].max(stride[1]) <= 4;
        let tile = match self.y.w {
            _ if !small => [1, 1],
            _ if self.y.h == 1 => [1, 8],
            // With a stride such a tile reads so many columns that values spill (m1, a750).
            5..=7 if stride[1] == 1 => [2, 7],
            _ => [2, 4],
        };
        // A tile of one output reads its taps only, not the pixels between them.
        let (dilation, spread) = if small { (dilation, [1; 2]) } else { ([1; 2], dilation) };
        let tiles = [self.y.h.div_ceil(tile[0]), self.y.w.div_ceil(tile[1])];
        let c4 = self.x.c4();
        let count = self.y.n * tiles[0] * tiles[1] * c4;
        let params = Params {
            in_h: self.x.h,
            in_w: self.x.w,
            out_h: self.y.h,
            out_w: self.y.w,
            c4,
            tiles_x: tiles[1],
            tiles_y: tiles[0],
            count,
            before,
            spread,
            activation: ActivationParams::new(self.epilogue.activation),
            depth: DepthParams::new(self.depth, size[0]),
        };
        let lanes = caps.one_subgroup().unwrap_or(64) as usize;
        let mut shader = shader!("depthwise", "activation", "index", "nan");
        if let Some(depth) = self.depth.filter(Depth::mixes) {
            shader = shader.set("DEEP", true).tile("KERNEL_Z", depth.size as u32);
        }
        if !caps.many_registers() {
            shader = shader.tile("LINES", 1);
        }
        for (name, value) in [
            ("TILE_Y", tile[0]),
            ("TILE_X", tile[1]),
            ("KERNEL_Y", size[0]),
            ("KERNEL_X", size[1]),
            ("PIECE", if small { size[1] } else { size[1].min(8) }),
            ("STRIDE_Y", stride[0]),
            ("STRIDE_X", stride[1]),
            ("DILATION_Y", dilation[0]),
            ("DILATION_X", dilation[1]),
        ] {
            shader = shader.tile(name, value as u32);
        }
        let shader = ["x", "w", "residual", "y"].iter().fold(shader, |shader, name| shader.texture(name, texture));
        let shader = self.epilogue.specialize(shader.set("TEXTURE", texture).set("LANES", lanes as u32));
        let weight = Binding::Weight(self.pack(storage));
        let bindings = vec![Binding::Input(0), weight, self.epilogue.binding(), Binding::Output(0)];
        let reads = vec![Layout::channels(storage); self.epilogue.inputs()];
        let dispatch = Dispatch::new(shader, &params, bindings, count.div_ceil(lanes));
        Some(Kernel::new(reads, Layout::channels(storage), dispatch))
    }

    /// Packs rows of `c4` texels: the taps, then the bias.
    pub(crate) fn pack(&self, storage: Storage) -> Prepacked {
        let (weight, bias, channels) = (self.weight.clone(), self.bias.cloned(), self.x.c);
        let taps = self.weight.shape()[2..].iter().product();
        let width = self.x.c4();
        let key = WeightKey::new("depthwise").constants([Some(weight.id()), bias.as_ref().map(Constant::id)]);
        let values = move || {
            let from = weight.values();
            let mut to = vec![0.0; (taps + 1) * width * 4];
            for (c, filter) in from.chunks_exact(taps).enumerate() {
                for (tap, &value) in filter.iter().enumerate() {
                    to[tap * width * 4 + c] = value;
                }
            }
            if let Some(bias) = &bias {
                to[taps * width * 4..][..channels].copy_from_slice(&bias.values());
            }
            to
        };
        // As `f16`s they would save little, and round the bias.
        Prepacked::new(key, storage, (taps + 1, width), values).rounded(Rounding::Never)
    }
}
