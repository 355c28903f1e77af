//! A graph with its weights on a device.

use super::Session;
use crate::Graph;
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::Memory;
use crate::gpu::pipeline::parallel;
use crate::graph::Input;
use crate::kernel::{Identity, Prepacked, Scalar};
use crate::plan::{Choices, Plan, Port, Resource};
use crate::shape::BATCH;
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
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Model {
    context: Context,
    network: Network,
    weights: Arc<Mutex<HashMap<Identity, Arc<Memory>>>>,
}

/// What is computed.
#[derive(Clone)]
enum Network {
    /// The same for every batch, fused.
    Graph(Arc<Graph>),
    /// A graph of its own for each batch.
    Batches(Arc<dyn Fn(usize) -> Result<Graph> + Send + Sync>),
}

impl Model {
    /// A network with the outputs that its graph names. Nothing is uploaded yet: the first session does that.
    pub fn new(context: &Context, graph: &Graph) -> Result<Model> {
        let network = Network::Graph(Arc::new(fused(graph)?));
        Ok(Model { context: context.clone(), network, weights: Arc::default() })
    }

    /// A network that is built anew for each batch that a session is made for, as one of a file is whose sizes are bound then
    /// (`import::onnx`). Its sessions share the weights as far as the graphs were built with the same
    /// [`Constant`](crate::Constant)s.
    pub fn for_batches(context: &Context, build: impl Fn(usize) -> Result<Graph> + Send + Sync + 'static) -> Model {
        Model { context: context.clone(), network: Network::Batches(Arc::new(build)), weights: Arc::default() }
    }

    /// The same network on another device, with nothing uploaded yet, as after a device was lost: the graph keeps its weights.
    #[must_use]
    pub fn on(&self, context: &Context) -> Model {
        Model { context: context.clone(), network: self.network.clone(), weights: Arc::default() }
    }

    /// A session for a batch: plans, compiles what isn't compiled yet, uploads what isn't there yet.
    ///
    /// An error for another batch than 1 if the graph's sizes are fixed: no first size is [`BATCH`].
    pub fn session(&self, batch: usize) -> Result<Session> {
        self.make(batch, None, self.context.choices(), Scalar::F32)
    }

    /// The same with these kernels, as far as the network has such problems, instead of those that the context
    /// [knows](Context::choices).
    pub fn session_with(&self, batch: usize, choices: &Choices) -> Result<Session> {
        self.make(batch, None, choices, Scalar::F32)
    }

    /// The same off this thread, so that nothing waits for the compilation of pipelines and the upload of weights: on a thread that
    /// starts now. It isn't stopped if what this returns is dropped; let it finish before the process ends.
    ///
    /// In a browser there is no other thread: it is made when this is awaited.
    pub fn session_in_background(&self, batch: usize) -> impl Future<Output = Result<Session>> + use<> {
        let model = self.clone();
        #[cfg(target_arch = "wasm32")]
        return async move { model.session(batch) };
        #[cfg(not(target_arch = "wasm32"))]
        {
            let (sender, made) = futures::channel::oneshot::channel();
            std::thread::spawn(move || {
                let made = model.session(batch);
                // Whoever gets the session may end the process at once: this thread is to hold no device then.
                drop(model);
                // Nobody listens any more if the caller dropped it.
                let _unheard = sender.send(made);
            });
            async move {
                made.await.unwrap_or_else(|_| Err(ErrorKind::Device("the session's thread panicked".into()).into()))
            }
        }
    }

    /// A session that goes on from the states of another, which goes on from its: both use the same memory. The other one may
    /// be of another model: one graph for many tokens at once and one for single ones.
    ///
    /// An error if the states' names and shapes differ.
    pub fn session_sharing(&self, batch: usize, other: &Session) -> Result<Session> {
        self.make(batch, Some(other), self.context.choices(), Scalar::F32)
    }

    /// The same with the numbers of values stored as `scalar`, where kernels can do that. It isn't finished: few operations can.
    #[doc(hidden)]
    pub fn session_stored_as(&self, batch: usize, scalar: Scalar) -> Result<Session> {
        self.make(batch, None, self.context.choices(), scalar)
    }

    fn make(&self, batch: usize, other: Option<&Session>, choices: &Choices, scalar: Scalar) -> Result<Session> {
        let graph = self.graph(batch)?;
        let plan = Plan::stored_as(&graph, batch, self.context.caps(), choices, scalar)?;
        if let Some(other) = other {
            if self.context.device() != other.context.device() {
                return Err(ErrorKind::argument("other", "a session on the same device", "another device's").into());
            }
            let list = |states: &[Port]| {
                let each = states.iter().map(|state| format!("{} {}", state.name, state.shape));
                each.collect::<Vec<_>>().join(", ")
            };
            if plan.states != other.plan.states {
                let (wanted, got) = (list(&plan.states), list(&other.plan.states));
                return Err(ErrorKind::argument("the states of the other session", wanted, got).into());
            }
        }
        let weights = self.weights(&plan)?;
        Session::new(&self.context, plan, weights, other.map(|other| other.states.clone()))
    }

    /// Where it runs.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The network for a batch, fused.
    pub(crate) fn graph(&self, batch: usize) -> Result<Arc<Graph>> {
        match &self.network {
            Network::Graph(graph) => {
                let mut ports = graph.inputs().iter().chain(graph.states());
                if batch != 1 && !ports.any(|port| port.shape.contains(&BATCH)) {
                    let port = |port: &Input| format!("{} {}", port.name, port.shape);
                    let ports = graph.inputs().iter().map(port).collect::<Vec<_>>().join(", ");
                    let wanted = format!("1: the sizes of this graph are fixed ({ports})");
                    return Err(ErrorKind::argument("batch", wanted, batch).into());
                }
                Ok(graph.clone())
            }
            Network::Batches(build) => Ok(Arc::new(fused(&build(batch)?)?)),
        }
    }

    /// Another graph on the same device that shares the weights uploaded so far, and shares those that it uploads: as far as
    /// both graphs were built with the same [`Constant`](crate::Constant)s, such as those that one
    /// [`Weights`](crate::Weights) gave.
    pub fn with_graph(&self, graph: &Graph) -> Result<Model> {
        Ok(Model { weights: self.weights.clone(), ..Model::new(&self.context, graph)? })
    }

    /// The weights that a plan needs, packed by all processors and uploaded unless an earlier session did.
    fn weights(&self, plan: &Plan) -> Result<HashMap<Identity, Arc<Memory>>> {
        let mut there = self.weights.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut missing: HashMap<Identity, &Prepacked> = HashMap::new();
        let mut needed: Vec<Identity> = Vec::new();
        for (_, resources) in plan.steps.iter().flat_map(|step| &step.dispatches) {
            for resource in resources {
                if let Resource::Weight(packed) = resource {
                    let identity = packed.identity();
                    if !there.contains_key(&identity) {
                        missing.insert(identity.clone(), packed);
                    }
                    needed.push(identity);
                }
            }
        }
        let mut missing: Vec<&Prepacked> = missing.into_values().collect();
        missing.sort_by_key(|packed| std::cmp::Reverse(packed.bytes()));
        let made = parallel(&missing, |packed| Memory::weight(&self.context, packed));
        for (packed, memory) in missing.iter().zip(made) {
            there.insert(packed.identity(), Arc::new(memory?));
        }
        let shared = |identity: Identity| {
            let memory = there[&identity].clone();
            (identity, memory)
        };
        Ok(needed.into_iter().map(shared).collect())
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.network {
            Network::Graph(graph) => write!(f, "Model({} operations on {:?})", graph.nodes().len(), self.context),
            Network::Batches(_) => write!(f, "Model(on {:?})", self.context),
        }
    }
}

/// A graph as it is planned; an error if nobody wants anything of it.
fn fused(graph: &Graph) -> Result<Graph> {
    if graph.outputs().is_empty() {
        return Err(ErrorKind::argument("outputs of the graph", "at least one (Graph::output)", 0).into());
    }
    Ok(graph.fused())
}
