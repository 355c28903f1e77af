//! shadernet
pub mod error;
pub mod gpu;
pub mod graph;
pub mod import;
pub mod kernel;
pub mod models;
pub mod ops;
pub mod plan;
pub mod session;
mod shape;

pub use error::{Error, ErrorKind, Result};
pub use gpu::{Context, ContextOptions};
pub use graph::constant::Constant;
pub use graph::op::{Cost, Io, Op};
pub use graph::{Graph, Node, Value};
pub use import::weights::{Weights, seeded_input};
pub use plan::Plan;
pub use session::{Bound, Model, Pending, Session};
pub use shape::{BATCH, Shape};
pub use wgpu;
