//! Precisions: the memory that they take.

use shadernet::kernel::Caps;
use shadernet::models::all;
use shadernet::plan::{Choices, Plan, Resource};
use shadernet::{Graph, Precision, Weights};
use std::collections::BTreeMap;

/// Returns the bytes of a plan's weights, and of its activations.
fn bytes(plan: &Plan) -> [u64; 2] {
    let mut weights = BTreeMap::new();
    for resource in plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources) {
        if let Resource::Weight(packed) = resource {
            weights.insert(format!("{packed:?}"), packed.bytes());
        }
    }
    [weights.values().sum(), plan.peak_bytes()]
}

fn planned(graph: &Graph, caps: &Caps, precision: Precision) -> Plan {
    Plan::with_precision(graph, 1, caps, &Choices::new(), precision).expect("it fits")
}

/// Half of the memory, but for biases, inputs and outputs.
#[test]
fn f16_takes_half_of_the_memory() {
    let mut larger = Vec::new();
    for network in all() {
        let graph = network.graph(&Weights::seeded(0), None).expect("its usual size").fused();
        for (name, caps) in [("portable", Caps::portable()), ("llvmpipe", Caps::llvmpipe()), ("phone", Caps::phone())] {
            let [whole, half] =
                [Precision::F32, Precision::F16].map(|precision| bytes(&planned(&graph, &caps, precision)));
            let ratios = [0, 1].map(|i| half[i] as f64 / whole[i] as f64);
            if ratios.iter().any(|&ratio| ratio > 0.55) {
                larger.push(format!("{} {name}: weights {:.2}, activations {:.2}", network.name, ratios[0], ratios[1]));
            }
        }
    }
    assert!(larger.is_empty(), "{larger:#?}");
}
