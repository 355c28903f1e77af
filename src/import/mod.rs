//! Conversions between files and tensors: host memory only, no GPU.

#[cfg(feature = "image")]
pub mod image;
pub mod npy;
#[cfg(feature = "onnx")]
pub mod onnx;

pub use crate::files::write_whole;
