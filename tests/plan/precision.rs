//! Precisions: the memory that they take, and the bytes that they move.

use super::overwrites;
use shadernet::kernel::{Caps, Scalar};
use shadernet::models::{all, find};
use shadernet::ops::Conv2d;
use shadernet::plan::{Choices, Plan, Resource, Step};
use shadernet::{BATCH, Graph, Precision, Weights};
use std::collections::BTreeMap;

/// Returns the bytes of a plan's weights, and of its activations.
fn bytes(plan: &Plan) -> [u64; 2] {
    let mut weights = BTreeMap::new();
    for resource in plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources) {
        if let Resource::Weight(packed) = resource {
            weights.insert(format!("{packed:?}"), packed.bytes());
        }
    }
    let weights = weights.values().sum();
    assert_eq!(plan.weight_bytes(), weights);
    [weights, plan.peak_bytes()]
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

/// The weights of depthwise convolutions, which are few, and at `Mixed` those of the first layer.
#[test]
fn weights_that_count_most_or_are_few_stay_f32() {
    for name in ["mobilenet_v2", "vit_ti_16"] {
        let graph = find(name).and_then(|network| network.graph(&Weights::seeded(0), None)).expect("its usual size");
        for precision in [Precision::F16, Precision::Mixed] {
            let plan = planned(&graph.fused(), &Caps::portable(), precision);
            for (i, step) in plan.steps.iter().enumerate() {
                for resource in step.dispatches.iter().flat_map(|(_, resources)| resources) {
                    let Resource::Weight(packed) = resource else { continue };
                    let form = format!("{:?}", packed.key);
                    let first = i == 0 && precision == Precision::Mixed;
                    let wanted = match (form.contains("\"depthwise\""), form.contains("\"gemm\"")) {
                        (true, _) => Scalar::F32,
                        (_, true) if first => Scalar::F32,
                        (_, true) => Scalar::F16,
                        _ => continue,
                    };
                    assert_eq!(packed.scalar, wanted, "{name}, {precision}: {form}");
                }
            }
        }
    }
}

/// Returns the bytes of the steps of a plan.
fn moved(graph: &Graph, precision: Precision) -> Vec<u64> {
    planned(graph, &Caps::portable(), precision).steps.iter().map(|step| step.bytes).collect()
}

/// Two bytes for a value between operations or a weight, four for inputs, outputs and biases.
#[test]
fn steps_move_the_bytes_of_the_stored_forms() {
    let weights = Weights::seeded(0);
    let mut graph = Graph::new();
    let mut x = graph.input("x", [BATCH, 3, 16, 16]);
    for (name, channels) in [("a", 3), ("b", 8), ("c", 8)] {
        let weight = weights.get(&format!("{name}.weight"), [8, channels, 3, 3]).expect("seeded");
        let bias = weights.get(&format!("{name}.bias"), [8]).expect("seeded");
        x = graph.conv2d(x, Conv2d::new(weight, Some(bias)).padding(1)).expect("it fits");
    }
    let sum = graph.mul(x, x).expect("same shapes");
    graph.output("y", sum);
    let graph = graph.fused();
    let pixels = 16 * 16;
    let of = |channels: u64, [read, weights, written]: [u64; 3]| {
        (read * channels + written * 8) * pixels + weights * 8 * channels * 9 + 4 * 8
    };
    let conv = |first: [u64; 3], others: [u64; 3]| [of(3, first), of(8, others), of(8, others)];
    assert_eq!(moved(&graph, Precision::F32)[..3], conv([4; 3], [4; 3]));
    assert_eq!(moved(&graph, Precision::F16)[..3], conv([4, 2, 2], [2; 3]));
    assert_eq!(moved(&graph, Precision::Mixed)[..3], conv([4, 2, 4], [4, 2, 4]));
    // The product counts its operand twice. Its output is converted afterwards.
    let value = 8 * pixels;
    let last = Precision::ALL.map(|precision| *moved(&graph, precision).last().expect("four steps"));
    assert_eq!(last, [3 * 4 * value, 3 * 2 * value, 3 * 4 * value]);
}

/// No step of any network claims more bytes than it binds, and `f16`s save about half.
#[test]
fn steps_claim_no_more_bytes_than_they_bind() {
    let mut wrong = Vec::new();
    for network in all() {
        let graph = network.graph(&Weights::seeded(0), None).expect("its usual size").fused();
        for (name, caps) in [("portable", Caps::portable()), ("llvmpipe", Caps::llvmpipe()), ("phone", Caps::phone())] {
            let totals = Precision::ALL.map(|precision| {
                let plan = planned(&graph, &caps, precision);
                for step in &plan.steps {
                    let most = bound(&plan, step);
                    // A bias may be packed with f16 weights, and two operations with one bias each may share it.
                    if step.bytes > most + most / 100 {
                        wrong.push(format!(
                            "{} {name} {precision} {} {}: {} of {most}",
                            network.name, step.op, step.node, step.bytes
                        ));
                    }
                }
                plan.steps.iter().map(|step| step.bytes).sum::<u64>() as f64
            });
            let [whole, half, mixed] = totals;
            let most = if network.name.starts_with("vit") { 0.7 } else { 0.62 };
            if half < 0.5 * whole || half > most * whole || mixed < half || mixed > whole {
                wrong.push(format!("{} {name}: {:.3} and {:.3}", network.name, half / whole, mixed / whole));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the bytes of everything that a step binds, each once to read and once to write.
fn bound(plan: &Plan, step: &Step) -> u64 {
    let mut bound = BTreeMap::new();
    for (dispatch, resources) in &step.dispatches {
        for resource in resources {
            let (what, bytes) = match resource {
                Resource::Slot { slot, offset, bytes, write } => (format!("slot {slot} {offset} {write}"), *bytes),
                Resource::Input(i) => (format!("input {i}"), plan.inputs[*i].bytes()),
                Resource::Output { output, write } => {
                    (format!("output {output} {write}"), plan.outputs[*output].bytes())
                }
                Resource::State { state, write } => (format!("state {state} {write}"), plan.states[*state].bytes()),
                Resource::Weight(packed) => (format!("{packed:?}"), packed.bytes()),
            };
            // What a sum overwrites, it has read.
            if overwrites(dispatch) && what.ends_with("true") {
                bound.insert(format!("{what} read"), bytes);
            }
            bound.insert(what, bytes);
        }
    }
    bound.values().sum()
}
