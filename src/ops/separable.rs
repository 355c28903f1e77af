//! A depthwise convolution and the 1x1 convolution after it in one dispatch.

use super::activation::{self, ActivationParams};
use super::depthwise::Depthwise;
use super::gemm::{Gemm, LANES_BLOCK as BLOCK, Operand};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage};

/// A depthwise convolution, and the 1x1 convolution that reads its output.
pub(crate) struct Separable<'a> {
    pub(crate) depthwise: Depthwise<'a>,
    pub(crate) pointwise: Gemm<'a>,
}

params! {
    struct Params {
        pairs: usize,
        pairs_x: usize,
        out_w: usize,
        out_h: usize,
        out_c: usize,
        in_h: isize,
        in4: isize,
        residual: u32,
        before: [isize; 2] as [pad_top, pad_left],
        groups: usize,
        filtered: [f32; 3] as [filtered_lo, filtered_hi, filtered_alpha],
        activation: ActivationParams,
    }
}

impl Separable<'_> {
    /// Returns the kernels, if they pay. On llvmpipe one workgroup must compute all channels of its pixels.
    pub(crate) fn kernels(&self, caps: &Caps) -> Option<Vec<Kernel>> {
        let Separable { depthwise, pointwise } = self;
        let Operand::Weight(w) = pointwise.w else { return None };
        let (x, y, window) = (depthwise.x, pointwise.y, depthwise.window);
        let pairs_x = y.w.div_ceil(2);
        let pairs = y.n * y.h * pairs_x;
        let small = window.size.iter().all(|&size| size <= 5) && window.stride[0] == window.stride[1];
        let fits = small && window.stride[0] <= 2 && window.dilation == [1; 2] && depthwise.epilogue.residual.is_none();
        let limit = caps.max_texture as usize;
        if !fits {
            return None;
        }
        if !caps.shuffles_of_eight() {
            return pointwise.filtering(depthwise, caps);
        }
        if y.c > BLOCK || BLOCK * x.c4() > limit || 2 * pairs >= 1 << 24 {
            return None;
        }
        let groups = pairs.div_ceil(8);
        let ActivationParams { lo, hi, alpha } = ActivationParams::new(depthwise.epilogue.activation);
        let params = Params {
            pairs,
            pairs_x,
            out_w: y.w,
            out_h: y.h,
            out_c: y.c,
            in_h: x.h as isize,
            in4: x.c4() as isize,
            residual: pointwise.epilogue.place(),
            before: window.before.map(|v| v as isize),
            groups,
            filtered: [lo, hi, alpha],
            activation: ActivationParams::new(pointwise.epilogue.activation),
        };
        let packed = pointwise.pack(w, BLOCK, x.c4(), 0..1, Storage::Texture, BLOCK * x.c4());
        let kernel = |storage| {
            let mut shader =
                shader!("separable_lanes", "activation", "index", "nan").texture("y", storage == Storage::Texture);
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
                Binding::Weight(depthwise.pack(Storage::Texture)),
                Binding::Weight(packed.clone()),
                Binding::Weight(pointwise.bias()),
                pointwise.epilogue.binding(),
                Binding::Output(0),
            ];
            let dispatch = Dispatch::new(shader, &params, bindings, groups).iterations(x.c4() + 1);
            Kernel::new(pointwise.reads(Storage::Texture), Layout::channels(storage), dispatch)
        };
        Some([Storage::Texture, Storage::Buffer].map(kernel).into())
    }
}
