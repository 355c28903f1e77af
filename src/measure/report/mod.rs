//! What was measured, as one document: JSON for machines, a page for people, a trace for who looks at a frame's time.

mod activations;
pub mod compare;
#[cfg(feature = "report")]
mod html;
mod json;
mod trace;

use super::{Environment, Peaks, Profile, Summary, Sweep};
pub use activations::Activations;
use serde::{Deserialize, Serialize};

/// What was measured of a network, as far as it was.
///
/// [`Report::to_json`] is the JSON that the command writes, [`Report::to_html`] the page, [`Report::to_trace`] a frame for
/// Perfetto. `docs/report.md` says what the JSON's fields are.
///
/// ```
/// use shadernet::measure::report::{Activations, Network, Report};
/// use shadernet::{Plan, Weights, kernel::Caps, measure::Summary, models};
/// let graph = models::find("resnet18")?.graph(&Weights::seeded(0), None)?;
/// let input_shapes = vec![vec![1, 3, 224, 224]];
/// let mut report = Report::new(Network { name: "resnet18".into(), input_shapes, weights: "seed 0".into() });
/// report.summary = Some(Summary::of(&graph, 1)?);
/// report.activations = Some(Activations::of(&Plan::new(&graph.fused(), 1, &Caps::portable())?));
/// assert!(report.to_json().contains(r#""parameters": 11689512"#));
/// # Ok::<(), shadernet::Error>(())
/// ```
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
    /// What the device can do.
    pub peaks: Option<Peaks>,
    /// How fast it runs.
    pub bench: Option<Sweep>,
    /// What that says.
    pub answers: Vec<Answer>,
    /// Where the time goes.
    pub profile: Option<Profile>,
    /// Where the memory goes.
    pub activations: Option<Activations>,
    /// What it costs.
    pub summary: Option<Summary>,
}

/// Which network was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The shape of each input, the batch first.
    pub input_shapes: Vec<Vec<usize>>,
    /// Where its weights come from.
    pub weights: String,
}

/// A question that measurements can answer, with their answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

    /// Of a network of which nothing has been measured yet.
    pub fn new(network: Network) -> Report {
        Report {
            schema: Report::SCHEMA,
            schema_version: Report::VERSION,
            environment: None,
            network,
            peaks: None,
            bench: None,
            answers: Vec::new(),
            profile: None,
            activations: None,
            summary: None,
        }
    }
}
