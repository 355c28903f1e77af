//! The planner's decisions, without a GPU: the number of steps, their memory, the limits.

mod choices;
mod layouts;
mod limits;
mod matrix;
mod memory;
mod precision;
mod projections;
mod steps;
mod unet;

use shadernet::kernel::{Caps, Dispatch};
use shadernet::models::{all, find};
use shadernet::plan::{Plan, PlannedValue};
use shadernet::{Constant, Graph, Weights};

fn caps() -> [(&'static str, Caps); 2] {
    [("portable", Caps::portable()), ("llvmpipe", Caps::llvmpipe())]
}

fn graph(name: &str) -> Graph {
    let graph = find(name).and_then(|network| network.graph(&Weights::seeded(0), None));
    graph.unwrap_or_else(|error| panic!("{name}: {error}")).fused()
}

fn plan(graph: &Graph, batch: usize, caps: &Caps) -> Plan {
    Plan::new(graph, batch, caps).unwrap_or_else(|error| panic!("{error}"))
}

/// Plans every network of the crate, at batch 1 and 3, for both profiles.
fn each_plan(mut f: impl FnMut(&str, &Plan)) {
    for network in all() {
        let graph = graph(network.name);
        for batch in [1, 3] {
            for (profile, caps) in caps() {
                f(&format!("{}, batch {batch}, {profile}", network.name), &plan(&graph, batch, &caps));
            }
        }
    }
}

/// Returns true if a dispatch overwrites an operand of its sum.
fn overwrites(dispatch: &Dispatch) -> bool {
    dispatch.shader.to_string().contains(" in place")
}

fn zeros(shape: impl Into<shadernet::Shape>) -> Constant {
    let shape = shape.into();
    Constant::lazy("zeros", shape.clone(), move || vec![0.0; shape.elements()])
}

/// Returns true if two values never hold the same byte at once.
fn apart(a: &PlannedValue, b: &PlannedValue) -> bool {
    let end = |value: &PlannedValue| value.location.offset + value.bytes;
    let in_time = a.alive.1 < b.alive.0 || b.alive.1 < a.alive.0;
    let in_space = a.location.offset >= end(b) || b.location.offset >= end(a);
    in_time || in_space || a.location.slot != b.location.slot
}
