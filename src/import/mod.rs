//! Conversions between files and tensors: host memory only, no GPU.

#[cfg(feature = "image")]
pub mod image;
pub mod npy;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "image")]
pub mod pixels;
#[cfg(feature = "audio")]
pub mod wav;

pub use crate::files::write_whole;
