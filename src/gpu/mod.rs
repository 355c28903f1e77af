//! Everything that touches a device: contexts, pipelines, memory.

#[cfg(not(target_arch = "wasm32"))]
mod ahead;
pub(crate) mod cache;
mod checks;
mod compilation;
mod compiled;
mod confirm;
mod context;
mod facts;
mod matrix;
pub(crate) mod memory;
mod options;
pub(crate) mod pipeline;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod probe;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod timestamps;
pub(crate) mod tuned;
mod units;
#[cfg(not(target_arch = "wasm32"))]
mod waiter;

pub use compilation::Compilation;
pub use context::Context;
pub use options::ContextOptions;
