//! Kernels as plain data: the dispatches of an operation, without a device.

pub(crate) mod caps;
pub(crate) mod dispatch;
pub(crate) mod layout;
pub(crate) mod params;
pub(crate) mod precision;
pub(crate) mod rounding;
pub(crate) mod shader;

pub use caps::{Caps, Matrix};
pub use dispatch::{Binding, Dispatch, Kernel, Prepacked, WeightKey};
pub(crate) use dispatch::{Identity, Iterations, looped, plain, weight_bytes};
pub use layout::{Layout, Order, Scalar, Storage};
pub(crate) use precision::Precision;
pub(crate) use rounding::Rounding;
pub use shader::Shader;
