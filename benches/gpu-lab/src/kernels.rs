//! The kernels that are compiled: those of all networks' plans, and those of the self-test.

use crate::Result;
use shadernet::kernel::{Caps, Dispatch, Shader};
use shadernet::plan::Plan;
use shadernet::selftest::{Suite, TABLES};
use shadernet::{Graph, Weights, models};
use std::collections::BTreeMap;

/// Distinct shaders by their names with constants.
pub type Kernels = BTreeMap<String, Shader>;

/// Returns the kernels for such a device: of all networks at batch 1 and 8, of the decoder of characters, and of the
/// self-test, which also runs the kernels that an operation offers and the planner doesn't take.
pub fn all(caps: &Caps) -> Result<Kernels> {
    let mut kernels = Kernels::new();
    for network in models::all() {
        let graph = network.graph(&Weights::seeded(0), None)?.fused();
        for batch in [1, 8] {
            add_plan(&mut kernels, &graph, batch, caps)?;
        }
    }
    let text = models::shakespeare()?;
    for tokens in [1, 64] {
        let graph = text.decoder.next(&text.weights, tokens)?.fused();
        add_plan(&mut kernels, &graph, 1, caps)?;
    }
    for (_, graph) in TABLES.iter().flat_map(Suite::graphs) {
        let graph = graph.fused();
        add_plan(&mut kernels, &graph, 1, caps)?;
        if graph.nodes().len() == 1 {
            graph.visit(1, |node, io| {
                let offered = node.op.kernels(io, caps).map_err(|kind| kind.at(node.op.name(), &node.name))?;
                offered.iter().flat_map(|kernel| &kernel.dispatches).for_each(|dispatch| add(&mut kernels, dispatch));
                Ok(())
            })?;
        }
    }
    Ok(kernels)
}

fn add_plan(kernels: &mut Kernels, graph: &Graph, batch: usize, caps: &Caps) -> Result<()> {
    let plan = Plan::new(graph, batch, caps)?;
    plan.steps.iter().flat_map(|step| &step.dispatches).for_each(|(dispatch, _)| add(kernels, dispatch));
    Ok(())
}

/// Adds a dispatch's shader; one for matrix units also with values in f16.
fn add(kernels: &mut Kernels, dispatch: &Dispatch) {
    let shader = &dispatch.shader;
    let halves = shader.clone().all_in_halves().filter(|_| shader.name().ends_with("_matrix"));
    for shader in std::iter::once(shader.clone()).chain(halves) {
        kernels.entry(shader.to_string()).or_insert(shader);
    }
}
