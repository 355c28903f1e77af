//! Kernels that operations with the same access to memory share.

use crate::Shape;
use crate::graph::op::Io;
use crate::kernel::params::Params;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, Storage};

/// Returns the kinds of memory that may hold images on a device, best first.
pub(crate) fn image_storage(caps: &Caps) -> &'static [Storage] {
    if caps.fast_textures { &[Storage::Texture, Storage::Buffer] } else { &[Storage::Buffer] }
}

/// Returns the bindings of a dispatch that reads one tensor and writes one.
pub(crate) fn one_to_one() -> Vec<Binding> {
    vec![Binding::Input(0), Binding::Output(0)]
}

/// Returns the kernels of an operation from one batch of images to another, with the bindings [`one_to_one`]: one
/// kernel for each storage of the shader's `x` and `y`.
pub(crate) fn image_kernels(caps: &Caps, dispatch: &Dispatch) -> Vec<Kernel> {
    let kernel = |&storage: &Storage| {
        let texture = storage == Storage::Texture;
        let shader = dispatch.shader.clone().texture("x", texture).texture("y", texture);
        let layout = Layout::channels(storage);
        Kernel::new(vec![layout], layout, dispatch.clone().with_shader(shader))
    };
    image_storage(caps).iter().map(kernel).collect()
}

/// Returns the kernels, for any layout, of an operation that computes each output texel from the same input texel.
pub(crate) fn texel_kernels<P: Params>(
    caps: &Caps,
    shape: &Shape,
    shader: &Shader,
    params: impl Fn(Layout) -> P,
) -> Vec<Kernel> {
    let kernel = |layout: Layout| {
        let texture = layout.storage == Storage::Texture;
        let shader = shader.clone().texture("x", texture).texture("y", texture);
        let (rows, width) = layout.texels(shape);
        Kernel::new(vec![layout], layout, Dispatch::for_each(shader, &params(layout), one_to_one(), rows * width))
    };
    texel_layouts(caps).map(kernel).collect()
}

/// Returns the layouts for an operation that computes each output texel from the same texel of its inputs, best first.
pub(crate) fn texel_layouts(caps: &Caps) -> impl Iterator<Item = Layout> {
    let images = image_storage(caps).iter().map(|&storage| Layout::channels(storage));
    images.chain([Layout::ROWS, Layout::rows_vec4(Storage::Buffer)])
}

/// Returns the kernel of a row-major operation. Each invocation computes four elements from the same four of the input.
pub(crate) fn by_four(io: &Io, shader: Shader, params: &impl Params) -> Kernel {
    let (_, width) = Layout::ROWS.texels(&io.inputs[0]);
    Kernel::new(vec![Layout::ROWS], Layout::ROWS, Dispatch::for_each(shader, params, one_to_one(), width))
}
