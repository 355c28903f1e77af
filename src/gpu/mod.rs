//! Everything that touches a device: contexts, pipelines, memory.

pub mod context;
pub(crate) mod memory;
pub(crate) mod pipeline;

pub use context::{Context, ContextOptions, adapters};
