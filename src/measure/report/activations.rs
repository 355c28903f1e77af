//! The memory of values while a frame is computed.

use crate::Precision;
use crate::plan::Plan;
use serde::{Deserialize, Serialize};

/// The memory of intermediate values, step by step. It excludes inputs, outputs, states and weights, but for the bytes of
/// all weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activations {
    /// The batch size.
    pub batch: usize,
    /// The stored form of numbers, where kernels can access them so.
    #[serde(default)]
    pub precision: Precision,
    /// The bytes of the weights on the device.
    #[serde(default)]
    pub weights: u64,
    /// The name of each step's node.
    pub names: Vec<String>,
    /// The bytes alive in each step: its inputs, its outputs, and values that wait for a later step.
    pub alive: Vec<u64>,
    /// The bytes that a session allocates for them: slots, each as large as its largest value.
    pub allocated: u64,
}

impl Activations {
    /// Returns the activations of a plan.
    pub fn new(plan: &Plan) -> Activations {
        Activations {
            batch: plan.batch,
            precision: plan.precision,
            weights: plan.weight_bytes(),
            names: plan.steps.iter().map(|step| step.node.clone()).collect(),
            alive: plan.alive_bytes(),
            allocated: plan.peak_bytes(),
        }
    }

    /// Returns the step with the most bytes alive, the first of equals, and these bytes; `None` if there are no steps.
    pub fn peak(&self) -> Option<(usize, u64)> {
        self.alive.iter().copied().enumerate().max_by_key(|&(step, bytes)| (bytes, std::cmp::Reverse(step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BATCH, Graph, kernel::Caps};

    #[test]
    fn a_residual_keeps_its_input_alive() {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 1024]);
        let a = graph.softmax(x, 1).unwrap();
        let b = graph.softmax(a, 1).unwrap();
        let c = graph.softmax(b, 1).unwrap();
        let y = graph.add(a, c).unwrap();
        graph.output("y", y);
        let plan = Plan::new(&graph, 2, &Caps::portable()).unwrap();
        let activations = Activations::new(&plan);
        assert_eq!(activations.alive, [1, 2, 3, 2].map(|values| values * 8192));
        assert_eq!((activations.peak(), activations.allocated), (Some((2, 3 * 8192)), plan.peak_bytes()));
        assert_eq!(activations.names.len(), 4);
    }
}
