//! What a network costs and how fast it runs.

#[cfg(not(target_arch = "wasm32"))]
pub mod bench;
pub mod summary;

#[cfg(not(target_arch = "wasm32"))]
pub use bench::{Bench, Effort, Latency, Measured};
pub use summary::{Layer, Summary};
