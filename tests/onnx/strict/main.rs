//! Importer behaviour that must not fail silently: details to honour, features to refuse, and hostile files.

#![expect(unreachable_pub, reason = "in a test binary nothing is reachable: `pub` says what the other files use")]

mod bindings;
mod bodies;
#[cfg(feature = "cli")]
mod command;
mod honoured;
mod hostile;
#[cfg(feature = "cli")]
mod inputs;
#[cfg(feature = "cli")]
mod inspect;
mod memory;
mod model;
mod mutation;
mod order;
mod precision;
mod quantised;
mod recurrent;
mod refused;

use shadernet::Graph;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::kernel::Caps;
use shadernet::plan::Plan;

#[global_allocator]
static ALLOCATOR: memory::Counted = memory::Counted;

fn graph(model: &model::Model) -> shadernet::Result<Graph> {
    Onnx::from_bytes(model.bytes())?.graph(&Bindings::new())
}

/// Returns the ids of the learned constants that operations hold, node by node.
fn parameters(graph: &Graph) -> Vec<u64> {
    let mut ids = Vec::new();
    let visited = graph.visit(1, |node, io| {
        ids.extend(node.op.metrics(io).parameters.iter().map(|constant| constant.id()));
        Ok(())
    });
    visited.expect("its shapes are known");
    ids
}

/// Plans a file: everything before a device.
fn plan(onnx: &Onnx) -> shadernet::Result<Plan> {
    Plan::new(&onnx.graph(&Bindings::new())?.fused(), 1, &Caps::portable())
}

/// Returns the message of a refusal.
fn refusal(model: &model::Model) -> String {
    match graph(model) {
        Ok(graph) => panic!("it should be refused: {graph:?}"),
        Err(error) => error.to_string(),
    }
}
