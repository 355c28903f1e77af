//! A depthwise convolution and the 1x1 convolution after it in one dispatch, for Mesa's llvmpipe.

use super::activation::{self, ActivationParams};
use super::depthwise::Depthwise;
use super::gemm::{Gemm, Operand};
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Place};
use bytemuck::{Pod, Zeroable};

/// The two of them; the second reads what the first one writes.
pub(crate) struct Separable<'a> {
    pub(crate) depthwise: Depthwise<'a>,
    pub(crate) pointwise: Gemm<'a>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    pairs: u32,
    pairs_x: u32,
    out_w: u32,
    out_h: u32,
    out_c: u32,
    in_h: u32,
    in4: u32,
    residual: u32,
    before: [u32; 2],
    groups: u32,
    pad: u32,
    filtered: ActivationParams,
    activation: ActivationParams,
    pads: [u32; 2],
}

impl Separable<'_> {
    /// The kernels, if they pay: as long as one workgroup computes all channels of its pixels.
    pub(crate) fn kernels(&self, caps: &Caps) -> Option<Vec<Kernel>> {
        const BLOCK: usize = 32;
        let Separable { depthwise, pointwise } = self;
        let Operand::Weight(w) = pointwise.w else { return None };
        let (x, y, window) = (depthwise.x, pointwise.y, depthwise.window);
        let pairs_x = y.w.div_ceil(2);
        let pairs = y.n * y.h * pairs_x;
        let small = window.size.iter().all(|&size| size <= 5) && window.stride[0] == window.stride[1];
        let fits = small && window.stride[0] <= 2 && window.dilation == [1; 2] && !depthwise.epilogue.residual;
        let limit = caps.max_texture as usize;
        if !caps.shuffles_of_eight() || !fits || y.c > BLOCK || BLOCK * x.c4() > limit || 2 * pairs >= 1 << 24 {
            return None;
        }
        let groups = pairs.div_ceil(8);
        let params = Params {
            pairs: pairs as u32,
            pairs_x: pairs_x as u32,
            out_w: y.w as u32,
            out_h: y.h as u32,
            out_c: y.c as u32,
            in_h: x.h as u32,
            in4: x.c4() as u32,
            residual: u32::from(pointwise.epilogue.residual),
            before: window.before.map(|v| v as u32),
            groups: groups as u32,
            pad: 0,
            filtered: ActivationParams::of(depthwise.epilogue.activation),
            activation: ActivationParams::of(pointwise.epilogue.activation),
            pads: [0; 2],
        };
        let packed = pointwise.pack(w, BLOCK, x.c4(), 0..1, Place::Texture, BLOCK * x.c4());
        let kernel = |place| {
            let mut shader =
                shader!("separable_lanes", "activation", "index", "nan").texture("y", place == Place::Texture);
            for (name, value) in
                [("KERNEL_Y", window.size[0]), ("KERNEL_X", window.size[1]), ("STRIDE", window.stride[0])]
            {
                shader = shader.tile(name, value as u32);
            }
            let shader = shader
                .set("FILTERED", activation::code(depthwise.epilogue.activation))
                .set("ACTIVATION", activation::code(pointwise.epilogue.activation));
            let bindings = vec![
                Binding::Input(0),
                Binding::Weight(depthwise.pack(Place::Texture)),
                Binding::Weight(packed.clone()),
                Binding::Weight(pointwise.bias()),
                pointwise.epilogue.binding(),
                Binding::Output(0),
            ];
            let dispatch = Dispatch::new(shader, &params, bindings, groups).iterations(x.c4() + 1);
            Kernel::new(pointwise.reads(Place::Texture), Layout::channels(place), dispatch)
        };
        Some([Place::Texture, Place::Buffer].map(kernel).into())
    }
}
