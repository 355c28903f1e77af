//! Measurements: the cost of a network, its speed, and its distance from the device's peaks.
//!
//! [`Summary`] and [`ReceptiveField`] need no GPU. The rest blocks the caller's thread and doesn't exist in a browser.

macro_rules! native {
    ($($item:item)*) => { $(#[cfg(not(target_arch = "wasm32"))] $item)* };
}

pub mod receptive_field;
pub mod summary;

pub use receptive_field::{Field, ReceptiveField};
pub use summary::{Energy, Layer, Summary};

native! {
    pub mod bench;
    mod cache;
    mod device;
    pub mod distribution;
    pub mod effort;
    pub mod environment;
    mod matrix;
    mod ms;
    pub mod peaks;
    pub mod profile;
    pub mod report;
    pub mod sweep;
    mod text;
    pub mod tune;

    pub use bench::{Bench, Measured};
    pub use distribution::Distribution;
    pub use effort::Effort;
    pub use environment::Environment;
    pub use peaks::{Bound, Floor, Peaks};
    pub use profile::{Method, Profile, StepTime, step_times};
    pub use report::{Activations, Answer, Network, Report};
    pub use sweep::{AtBatch, Sweep, SweepOptions};
    pub use text::digits;
    pub use tune::Tuning;
}
