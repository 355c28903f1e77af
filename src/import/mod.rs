//! Files to tensors and back: host memory only, no GPU.

#[cfg(feature = "image")]
pub mod image;
pub mod npy;

pub use crate::kept::write_whole;
