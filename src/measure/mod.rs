//! Measurements: the cost of a network, its speed, and its distance from the device's peaks.
//!
//! [`Summary`] and [`ReceptiveField`] need no GPU. The rest blocks the caller's thread and doesn't exist in a browser.

macro_rules! native {
    ($($item:item)*) => { $(#[cfg(not(target_arch = "wasm32"))] $item)* };
}

mod receptive_field;
mod summary;

pub use receptive_field::{Field, ReceptiveField};
pub use summary::{Energy, Layer, Summary};

native! {
    mod bench;
    mod cache;
    mod device;
    mod distribution;
    mod effort;
    mod environment;
    mod matrix;
    mod ms;
    mod peaks;
    mod profile;
    mod report;
    mod sweep;
    mod text;
    mod tune;

    pub use bench::{Bench, Measured};
    pub use distribution::Distribution;
    pub use effort::Effort;
    pub use environment::Environment;
    pub use peaks::{Bound, Floor, Peaks};
    pub use profile::{Method, Profile, StepTime, step_times};
    pub use report::compare::{Change, Comparison, Recorded, Verdict};
    pub use report::{Activations, Answer, NetworkInfo, Report};
    pub use sweep::{AtBatch, Sweep, SweepOptions};
    pub use text::digits;
    pub use tune::{Candidate, Outcome, Problem, Tuning};
}
