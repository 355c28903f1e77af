//! What a network costs and how fast it runs.

#[cfg(not(target_arch = "wasm32"))]
pub mod bench;
pub mod receptive_field;
pub mod summary;

#[cfg(not(target_arch = "wasm32"))]
pub use bench::{Bench, Effort, Latency, Measured};
pub use receptive_field::{Field, ReceptiveField};
pub use summary::{Energy, Layer, Summary};
