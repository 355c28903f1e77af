//! A graph with its weights on a device.

use super::Session;
use crate::Graph;
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::Memory;
use crate::gpu::pipeline::parallel;
use crate::kernel::Packed;
use crate::plan::{Plan, Resource};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A network on a device: its sessions, for one batch each, share the uploaded weights.
///
/// ```no_run
/// # async fn run(context: shadernet::Context, graph: shadernet::Graph) -> shadernet::Result<()> {
/// let model = shadernet::Model::new(&context, &graph)?;
/// let one = model.session(1)?; // latency
/// let many = model.session(32)?; // throughput
/// # Ok(()) }
/// ```
pub struct Model {
    context: Context,
    graph: Graph,
    weights: Mutex<HashMap<String, Arc<Memory>>>,
}

impl Model {
    /// A network with the outputs that its graph names. Nothing is uploaded yet: the first session does that.
    pub fn new(context: &Context, graph: &Graph) -> Result<Model> {
        if graph.outputs().is_empty() {
            return Err(ErrorKind::argument("outputs of the graph", "at least one (Graph::output)", 0).into());
        }
        Ok(Model { context: context.clone(), graph: graph.fused(), weights: Mutex::default() })
    }

    /// A session for a batch: plans, compiles what isn't compiled yet, uploads what isn't there yet.
    pub fn session(&self, batch: usize) -> Result<Session> {
        let plan = Plan::new(&self.graph, batch, self.context.caps())?;
        let weights = self.weights(&plan)?;
        Session::new(&self.context, plan, weights)
    }

    /// The weights that a plan needs, packed by all processors and uploaded unless an earlier session did.
    fn weights(&self, plan: &Plan) -> Result<HashMap<String, Arc<Memory>>> {
        let mut there = self.weights.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut missing: HashMap<&str, &Packed> = HashMap::new();
        let mut needed: Vec<&str> = Vec::new();
        for (_, resources) in plan.steps.iter().flat_map(|step| &step.dispatches) {
            for resource in resources {
                if let Resource::Weight(packed) = resource {
                    needed.push(&packed.key);
                    if !there.contains_key(&packed.key) {
                        missing.insert(&packed.key, packed);
                    }
                }
            }
        }
        let mut missing: Vec<&Packed> = missing.into_values().collect();
        missing.sort_by_key(|packed| std::cmp::Reverse(packed.bytes()));
        let made = parallel(&missing, |packed| Memory::weight(&self.context, packed));
        for (packed, memory) in missing.iter().zip(made) {
            there.insert(packed.key.clone(), Arc::new(memory?));
        }
        Ok(needed.into_iter().map(|key| (key.to_owned(), there[key].clone())).collect())
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({} operations on {:?})", self.graph.nodes().len(), self.context)
    }
}
