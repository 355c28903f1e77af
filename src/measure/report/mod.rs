//! The report of a measurement: JSON for machines, a page for people, a trace for a look at a frame's time.

mod activations;
pub(super) mod compare;
#[cfg(feature = "report")]
mod html;
mod json;
mod trace;

use super::{Environment, Peaks, Profile, Summary, Sweep};
pub use activations::Activations;
use serde::{Deserialize, Serialize};

/// The report on a network. Parts that weren't measured are missing.
///
/// [`Report::to_json`] is the JSON that the command writes, [`Report::to_html`] the page, [`Report::to_trace`] a frame
/// for Perfetto. `docs/report.md` describes the JSON's fields.
///
/// ```
/// use shadernet::measure::{Activations, NetworkInfo, Report};
/// use shadernet::plan::Plan;
/// use shadernet::{Weights, kernel::Caps, measure::Summary, models};
/// let graph = models::find("resnet18")?.graph(&Weights::seeded(0), None)?;
/// let input_shapes = vec![vec![1, 3, 224, 224]];
/// let mut report = Report::new(NetworkInfo { name: "resnet18".into(), input_shapes, weights: "seed 0".into() });
/// report.summary = Some(Summary::new(&graph, 1)?);
/// report.activations = Some(Activations::new(&Plan::new(&graph.fused(), 1, &Caps::portable())?));
/// assert!(report.to_json().contains(r#""parameters": 11689512"#));
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The schema's name, [`Report::SCHEMA`].
    pub schema: &'static str,
    /// The schema's version, [`Report::VERSION`].
    pub schema_version: u32,
    /// The environment; `None` if nothing was run.
    pub environment: Option<Environment>,
    /// The network.
    pub network: NetworkInfo,
    /// The device's peaks.
    pub peaks: Option<Peaks>,
    /// The latency and throughput.
    pub bench: Option<Sweep>,
    /// The conclusions from `bench`.
    pub answers: Vec<Answer>,
    /// The device time, step by step.
    pub profile: Option<Profile>,
    /// The memory of intermediate values, step by step.
    pub activations: Option<Activations>,
    /// The cost, layer by layer.
    pub summary: Option<Summary>,
}

/// The network that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// The name.
    pub name: String,
    /// The shape of each input, the batch first.
    pub input_shapes: Vec<Vec<usize>>,
    /// The source of the weights.
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
    /// The name of the schema, which tells a report from other documents.
    pub const SCHEMA: &'static str = "shadernet-report";
    /// The version of the schema. It grows when a field is renamed or removed or changes its meaning.
    pub const VERSION: u32 = 1;

    /// Creates a report on a network, without measurements.
    pub fn new(network: NetworkInfo) -> Report {
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
