//! Measurements: the cost of a network, its speed, and its distance from the device's peaks.
//!
//! [`Summary`] and [`ReceptiveField`] need no GPU. The rest blocks the caller's thread and doesn't exist in a browser.

mod receptive_field;
mod summary;

pub use receptive_field::{Field, ReceptiveField};
pub use summary::{Energy, Layer, Summary};

#[cfg(not(target_arch = "wasm32"))]
mod bench;
#[cfg(not(target_arch = "wasm32"))]
mod cache;
#[cfg(not(target_arch = "wasm32"))]
mod device;
#[cfg(not(target_arch = "wasm32"))]
mod distribution;
#[cfg(not(target_arch = "wasm32"))]
mod effort;
#[cfg(not(target_arch = "wasm32"))]
mod environment;
#[cfg(not(target_arch = "wasm32"))]
mod matrix;
#[cfg(not(target_arch = "wasm32"))]
mod ms;
#[cfg(not(target_arch = "wasm32"))]
mod peaks;
#[cfg(not(target_arch = "wasm32"))]
mod profile;
#[cfg(not(target_arch = "wasm32"))]
mod report;
#[cfg(not(target_arch = "wasm32"))]
mod sweep;
#[cfg(not(target_arch = "wasm32"))]
mod text;
#[cfg(not(target_arch = "wasm32"))]
mod tune;

#[cfg(not(target_arch = "wasm32"))]
pub use bench::{Bench, Measured};
#[cfg(not(target_arch = "wasm32"))]
pub use distribution::Distribution;
#[cfg(not(target_arch = "wasm32"))]
pub use effort::Effort;
#[cfg(not(target_arch = "wasm32"))]
pub use environment::Environment;
#[cfg(not(target_arch = "wasm32"))]
pub use peaks::{Bound, Floor, Peaks};
#[cfg(not(target_arch = "wasm32"))]
pub use profile::{Method, Profile, StepTime, step_times};
#[cfg(not(target_arch = "wasm32"))]
pub use report::compare::{Change, Comparison, Recorded, Verdict};
#[cfg(not(target_arch = "wasm32"))]
pub use report::{Activations, Answer, NetworkInfo, Report};
#[cfg(not(target_arch = "wasm32"))]
pub use sweep::{AtBatch, Sweep, SweepOptions};
#[cfg(not(target_arch = "wasm32"))]
pub use text::digits;
#[cfg(not(target_arch = "wasm32"))]
pub use tune::{Candidate, Outcome, Problem, Tuning};
