//! The operations: one file each, with attributes, shape rule, kernel choice and the method of `Graph` that adds it.

mod activation;
pub(crate) mod affine;
mod append;
mod arg_reduce;
mod attention;
mod batch_norm;
mod binary;
mod cast;
pub(crate) mod channels;
mod classify;
mod concat;
mod conv;
mod conv_transpose;
pub(crate) mod convert;
mod cumsum;
mod deform_conv2d;
mod depthwise;
mod embedding;
mod epilogue;
mod expand;
mod filters;
mod gather;
mod gather_nd;
mod gemm;
mod glu;
mod grid_sample;
mod group_norm;
mod index_select;
mod instance_norm;
mod integer_conv2d;
mod integer_matmul;
mod joined;
mod layer_norm;
mod linear;
mod local_response_norm;
mod logic;
mod matmul;
mod norm;
mod packed_linear;
mod packing;
mod pad;
mod part;
mod pixel_shuffle;
mod pool;
mod prelu;
mod quantize;
mod reduce;
mod reshape;
mod resize;
mod rms_norm;
mod roi_align;
mod rotary;
mod round_to;
mod scatter;
mod scatter_nd;
mod separable;
mod slice;
mod softmax;
mod strided;
mod top_k;
mod transpose;
pub(crate) mod unary;
mod window;

pub use activation::Activation;
pub use append::Append;
pub use arg_reduce::ArgReduce;
pub use attention::Attention;
pub use batch_norm::BatchNorm2d;
pub use binary::{Binary, BinaryKind};
pub use cast::{Bitcast, Cast};
pub use classify::Classify;
pub use concat::Concat;
pub use conv::{Conv, Conv1d, Conv2d, Conv3d, PaddingMode};
pub use conv_transpose::{ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use cumsum::CumSum;
pub use deform_conv2d::DeformConv2d;
pub use embedding::Embedding;
pub use expand::{Expand, ExpandAs};
pub use gather::Gather;
pub use gather_nd::GatherNd;
pub use glu::{Glu, GluKind};
pub use grid_sample::{GridPadding, GridSample, GridSampleMode};
pub use group_norm::GroupNorm;
pub use index_select::IndexSelect;
pub use instance_norm::InstanceNorm2d;
pub use integer_conv2d::IntegerConv2d;
pub use integer_matmul::IntegerMatMul;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use logic::{Compare, Logical, Where};
pub use matmul::MatMul;
pub use packed_linear::PackedLinear;
pub use packing::Requantize;
pub use pad::{ImagePad, Pad, Pad1d, Pad2d};
pub use pixel_shuffle::{PixelShuffle, PixelUnshuffle, ShuffleMode};
pub use pool::{Pool, Pool1d, Pool2d, Pool3d, PoolKind};
pub use prelu::PRelu;
pub use quantize::{Dequantize, Quantize};
pub use reduce::{Reduce, ReduceKind};
pub use reshape::{Flatten, Reshape, Squeeze, Unsqueeze};
pub use resize::{Resize, ResizeMode};
pub use rms_norm::RmsNorm;
pub use roi_align::{RoiAlign, RoiAlignMode};
pub use rotary::RotaryEmbedding;
pub use round_to::{FloatFormat, RoundTo};
pub use scatter::{Scatter, ScatterKind};
pub use scatter_nd::ScatterNd;
pub use slice::Slice;
pub use softmax::{LogSoftmax, Softmax};
pub use top_k::TopK;
pub use transpose::Transpose;
pub use unary::Unary;
pub use window::PerAxis;

pub(crate) use joined::joined;

use crate::Shape;
use crate::error::ErrorKind;
use crate::graph::op::{Io, Op};
use crate::kernel::params::Params;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, Storage};
use quantize::QuantizeRange;
use reshape::FlattenLinear;
use std::any::{Any, TypeId};
use unary::elementwise::Elementwise;

/// Returns true for an operation of this crate, whose kernels need no guards. Code outside can neither add a type here
/// nor change the kernels of one: an operation that forwards another's kernels isn't ours, whatever it does with them.
pub(crate) fn is_ours(op: &dyn Op) -> bool {
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(only) = op.downcast_ref::<crate::graph::only::Only>() {
        return is_ours(&*only.op);
    }
    macro_rules! any_of {
        ($($op:ty),*) => { [$(TypeId::of::<$op>()),*] };
    }
    #[rustfmt::skip]
    let ours = any_of![
        Activation, Append, ArgReduce, Attention, BatchNorm2d, Binary, Bitcast, Cast, Classify, Compare, Concat, Conv1d,
        Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, CumSum, DeformConv2d, Dequantize, Elementwise, Embedding, Expand,
        ExpandAs, Flatten, FlattenLinear, Gather, GatherNd, Glu, GridSample, GroupNorm, ImagePad<1>, ImagePad<2>, IndexSelect,
        InstanceNorm2d, IntegerConv2d, IntegerMatMul, LayerNorm, Linear, LocalResponseNorm, LogSoftmax, Logical, MatMul, PRelu,
        PackedLinear, Pad, PixelShuffle, PixelUnshuffle, Pool1d, Pool2d, Pool3d, Quantize, QuantizeRange, Reduce, Reshape,
        Resize, RmsNorm, RoiAlign, RotaryEmbedding, RoundTo, Scatter, ScatterNd, Slice, Softmax, Squeeze, TopK,
        Transpose, Unary, Unsqueeze, Where
    ];
    ours.contains(&Any::type_id(op))
}

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

/// Checks that a shader can number the elements of an output whose size `argument` determines.
pub(crate) fn expect_countable(argument: &str, output: &Shape) -> Result<(), ErrorKind> {
    if output.elements() <= i32::MAX as usize {
        return Ok(());
    }
    Err(ErrorKind::argument(argument, "an output of less than 2^31 elements", output))
}

/// Returns the arithmetic of `sums` weighted sums of `pixels` pixels each: 0 for a single pixel, which is only copied.
pub(crate) fn weighted(sums: u64, pixels: u64) -> u64 {
    if pixels == 1 { 0 } else { sums.saturating_mul(2 * pixels - 1) }
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
    let images = image_storage(caps).iter().map(|&storage| Layout::channels(storage));
    images.chain([Layout::ROWS, Layout::rows_vec4(Storage::Buffer)]).map(kernel).collect()
}

/// Returns the kernel of a row-major operation. Each invocation computes four elements from the same four of the input.
pub(crate) fn by_four(io: &Io, shader: Shader, params: &impl Params) -> Kernel {
    let (_, width) = Layout::ROWS.texels(&io.inputs[0]);
    Kernel::new(vec![Layout::ROWS], Layout::ROWS, Dispatch::for_each(shader, params, one_to_one(), width))
}
