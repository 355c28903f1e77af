//! The operations: one file each, with attributes, shape rule, kernel choice and the method of `Graph` that adds it.

mod activation;
mod batch_norm;
mod binary;
mod concat;
mod conv2d;
pub(crate) mod convert;
mod depthwise;
mod gemm;
mod linear;
mod local_response_norm;
mod matmul;
mod pad;
mod pixel_shuffle;
mod pool;
mod reshape;
mod softmax;
mod strided;
mod transpose;
mod window;

pub use activation::Activation;
pub use batch_norm::BatchNorm2d;
pub use binary::{Binary, BinaryKind};
pub use concat::Concat;
pub use conv2d::{Conv2d, PaddingMode};
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use matmul::MatMul;
pub use pad::Pad2d;
pub use pixel_shuffle::PixelShuffle;
pub use pool::{Pool2d, PoolKind};
pub use reshape::{Flatten, Reshape};
pub use softmax::Softmax;
pub use transpose::Transpose;

use crate::kernel::{Caps, Place};

/// Where images may live on such a device, the best place first.
pub(crate) fn image_places(caps: &Caps) -> &'static [Place] {
    if caps.lanes.is_some() { &[Place::Texture, Place::Buffer] } else { &[Place::Buffer] }
}
