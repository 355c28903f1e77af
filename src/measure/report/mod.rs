//! What was measured, as one document: JSON for machines, a page for people.

use super::{Environment, Peaks, Profile, Summary, Sweep};
use serde::Serialize;

/// What was measured of a network, as far as it was. Serialized it is the JSON that the command writes: see `docs/measuring.md`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`Report::SCHEMA`].
    pub schema: &'static str,
    /// [`Report::VERSION`].
    pub schema_version: u32,
    /// Where and when; none if nothing was run.
    pub environment: Option<Environment>,
    /// The network.
    pub network: Network,
    /// What it costs.
    pub summary: Option<Summary>,
    /// What the device can do.
    pub peaks: Option<Peaks>,
    /// How fast it runs.
    pub bench: Option<Sweep>,
    /// Where the time goes.
    pub profile: Option<Profile>,
}

/// Which network was measured.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The shape of each input, the batch first.
    pub input_shapes: Vec<Vec<usize>>,
    /// Where its weights come from.
    pub weights: String,
}

/// A question that measurements can answer, with their answer.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// The answer, with the figures that it rests on.
    pub answer: String,
}

impl Report {
    /// What tells this document from others.
    pub const SCHEMA: &'static str = "shadernet-report";
    /// Grows when a field is renamed or removed or changes its meaning.
    pub const VERSION: u32 = 1;
}
