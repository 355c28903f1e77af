//! Measurements: the cost of a network, its speed, and its distance from the device's peaks.
//!
//! [`Summary`] and [`ReceptiveField`] need no GPU. The rest blocks the caller's thread and doesn't exist in a browser.

mod receptive_field;
mod summary;
mod summary_table;

pub use receptive_field::{Field, ReceptiveField};
pub use summary::{Energy, Layer, Summary};
#[doc(hidden)]
pub use summary_table::thousands;

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
pub use self::{
    bench::{Bench, Measured},
    distribution::Distribution,
    effort::Effort,
    environment::Environment,
    peaks::{Bound, Floor, Peaks, Unit},
    profile::{Method, Profile, StepTime, step_times},
    report::compare::{Change, Comparison, Recorded, Verdict},
    report::{Activations, Answer, NetworkInfo, Report},
    sweep::{AtBatch, Sweep, SweepOptions},
    text::digits,
    tune::{Candidate, Outcome, Problem, Tuning},
};
