//! The list of this crate's operations, one file each: attributes, shape rule, kernels, the method of `Graph` that adds it.

mod activation;
pub(crate) mod affine;
mod append;
mod arg_reduce;
mod attention;
mod batch_norm;
mod binary;
mod cast;
mod chains;
mod channels;
#[cfg(test)]
mod codes;
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
mod kernels;
mod layer_norm;
mod linear;
mod local_response_norm;
mod logic;
mod matmul;
mod nonfinite;
mod norm;
mod packed_linear;
mod packing;
mod pad;
mod part;
mod pixel_shuffle;
mod pool;
mod prelu;
mod quantize;
mod recurrent;
mod reduce;
mod reduce_precision;
mod reshape;
mod resize;
mod rms_norm;
mod roi_align;
mod rotary;
mod sampling;
mod scatter;
mod scatter_nd;
mod separable;
mod slice;
mod softmax;
mod strided;
mod top_k;
mod transpose;
mod trial;
pub(crate) mod unary;
mod window;

pub use activation::Activation;
pub use append::Append;
pub use arg_reduce::ArgReduce;
pub use attention::Attention;
pub use batch_norm::BatchNorm2d;
pub use binary::{Binary, BinaryKind};
pub use cast::{Bitcast, Cast};
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
pub use nonfinite::{IsInf, IsNan};
pub use packed_linear::PackedLinear;
pub use packing::Requantize;
pub use pad::{ImagePad, Pad, Pad1d, Pad2d};
pub use pixel_shuffle::{PixelShuffle, PixelUnshuffle, ShuffleMode};
pub use pool::{Pool, Pool1d, Pool2d, Pool3d, PoolKind};
pub use prelu::PRelu;
pub use quantize::{Dequantize, Quantize};
pub use recurrent::{GateFunction, Recurrent, RecurrentCell, RecurrentInputs};
pub use reduce::{Reduce, ReduceKind};
pub use reduce_precision::{FloatFormat, ReducePrecision};
pub use reshape::{Flatten, Reshape, Squeeze, Unsqueeze};
pub use resize::{Resize, ResizeMode};
pub use rms_norm::RmsNorm;
pub use roi_align::{RoiAlign, RoiAlignMode};
pub use rotary::RotaryEmbedding;
pub use scatter::{Scatter, ScatterKind};
pub use scatter_nd::ScatterNd;
pub use slice::Slice;
pub use softmax::{LogSoftmax, Softmax};
pub use top_k::TopK;
pub use transpose::Transpose;
pub use unary::Unary;
pub use window::PerAxis;

pub(crate) use epilogue::takes_activation;
pub(crate) use gemm::MOST_PROJECTED;
pub(crate) use joined::{joined, norm_of_rows, projected};
pub(crate) use kernels::{by_four, image_kernels, image_storage, one_to_one, texel_kernels, texel_layouts};
pub(crate) use trial::{Trial, matrix_trials};

use crate::graph::op::Op;
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
        Activation, Append, ArgReduce, Attention, BatchNorm2d, Binary, Bitcast, Cast, Compare, Concat, Conv1d, Conv2d,
        Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, CumSum, DeformConv2d, Dequantize, Elementwise,
        Embedding, Expand, ExpandAs, Flatten, FlattenLinear, Gather, GatherNd, Glu, GridSample, GroupNorm, ImagePad<1>,
        ImagePad<2>, IndexSelect, InstanceNorm2d, IntegerConv2d, IntegerMatMul, IsInf, IsNan, LayerNorm, Linear,
        LocalResponseNorm, LogSoftmax, Logical, MatMul, PRelu, PackedLinear, Pad, PixelShuffle, PixelUnshuffle, Pool1d,
        Pool2d, Pool3d, Quantize, QuantizeRange, Recurrent, Reduce, ReducePrecision, Reshape, Resize, RmsNorm, RoiAlign,
        RotaryEmbedding, Scatter, ScatterNd, Slice, Softmax, Squeeze, TopK, Transpose, Unary, Unsqueeze, Where
    ];
    ours.contains(&Any::type_id(op))
}
