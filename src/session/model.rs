//! A graph with its weights on a device.

use super::Session;
use crate::Graph;
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::Memory;
use crate::gpu::pipeline::parallel;
use crate::graph::Input;
use crate::kernel::{Identity, Precision, Prepacked};
use crate::plan::{Choices, Plan, Port, Resource};
use crate::shape::BATCH;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A network on a device. Its sessions, each for one batch size, share the uploaded weights.
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
    /// The precision that was asked for; otherwise the graph's.
    precision: Option<Precision>,
    /// The uploaded weights, and `None` for those that no `f16`s hold.
    weights: Arc<Mutex<HashMap<Identity, Option<Arc<Memory>>>>>,
}

/// The source of a model's graphs.
#[derive(Clone)]
enum Network {
    /// One fused graph for every batch size.
    Graph(Arc<Graph>),
    /// A function that builds a graph for a batch size.
    Batches(Arc<dyn Fn(usize) -> Result<Graph> + Send + Sync>),
}

impl Model {
    /// Creates a network with the outputs that its graph names. It uploads nothing: the first session does that.
    pub fn new(context: &Context, graph: &Graph) -> Result<Model> {
        let network = Network::Graph(Arc::new(fused(graph)?));
        Ok(Model::with_network(context, network))
    }

    /// Creates a network whose graph is built anew for each session's batch, such as a file's whose sizes are bound
    /// then (`import::onnx`). Its sessions share the weights if their graphs were built with the same
    /// [`Constant`](crate::Constant)s.
    pub fn for_batches(context: &Context, build: impl Fn(usize) -> Result<Graph> + Send + Sync + 'static) -> Model {
        Model::with_network(context, Network::Batches(Arc::new(build)))
    }

    fn with_network(context: &Context, network: Network) -> Model {
        Model { context: context.clone(), network, precision: None, weights: Arc::default() }
    }

    /// Creates a model whose weights are shared by the models of its [graphs](Model::with_graph) to come.
    pub(super) fn without_graph(context: &Context) -> Model {
        Model::with_network(context, Network::Graph(Arc::new(Graph::new())))
    }

    /// Frees the weights that no session uses.
    pub(super) fn drop_unused_weights(&self) {
        self.there().retain(|_, memory| memory.as_ref().is_none_or(|memory| Arc::strong_count(memory) > 1));
    }

    /// Returns the same network with its numbers stored so: see [`Precision`]. Both share the weights that they store
    /// alike. A device that can't convert `f16` makes no session of another precision than `F32`.
    ///
    /// Otherwise the precision is the [graph's](Graph::precision), and `F32` on such a device.
    #[must_use]
    pub fn precision(&self, precision: Precision) -> Model {
        Model { precision: Some(precision), ..self.clone() }
    }

    /// Returns the same network on another device, for example after a device was lost. Nothing is uploaded yet.
    #[must_use]
    pub fn on(&self, context: &Context) -> Model {
        Model { precision: self.precision, ..Model::with_network(context, self.network.clone()) }
    }

    /// Creates a session for a batch size: plans, compiles missing pipelines and uploads missing weights.
    ///
    /// An error for a batch other than 1 if the graph's sizes are fixed: no size is [`BATCH`].
    pub fn session(&self, batch: usize) -> Result<Session> {
        self.make(batch, None, self.context.choices())
    }

    /// Creates a session with these kernels instead of those that the context [knows](Context::choices). Choices for
    /// problems that the network doesn't have are ignored.
    pub fn session_with(&self, batch: usize, choices: &Choices) -> Result<Session> {
        self.make(batch, None, choices)
    }

    /// Creates a session on a thread that starts now, so that nothing here waits for the compilation of pipelines and
    /// the upload of weights. Dropping the future doesn't stop the thread; let it finish before the process ends.
    ///
    /// A browser has no other thread: the session is created when the future is awaited.
    pub fn session_in_background(&self, batch: usize) -> impl Future<Output = Result<Session>> + use<> {
        let model = self.clone();
        in_background(move || model.session(batch))
    }

    /// Creates a session that shares the states of another session: both use the same memory. The other session may be
    /// of another model, such as one graph for many tokens at once and one for single tokens.
    ///
    /// An error if the device or the states' names and shapes differ.
    pub fn session_sharing(&self, batch: usize, other: &Session) -> Result<Session> {
        self.make(batch, Some(other), self.context.choices())
    }

    fn make(&self, batch: usize, other: Option<&Session>, choices: &Choices) -> Result<Session> {
        let graph = self.graph(batch)?;
        let caps = self.context.caps();
        let precision = self.precision.unwrap_or_else(|| graph.precision().on(caps));
        loop {
            let unfit = |packed: &Prepacked| matches!(self.there().get(&packed.identity()), Some(None));
            let plan = Plan::with_unfit(&graph, batch, caps, choices, precision, &unfit)?;
            let states = other.map(|other| self.states(&plan, other)).transpose()?;
            // Weights that turn out to be beyond the range of f16 are f32s in the next plan.
            if let Some(weights) = self.weights(&plan)? {
                return Session::new(&self.context, plan, weights, states);
            }
        }
    }

    /// Returns the states of another session, which must be those of the plan.
    fn states(&self, plan: &Plan, other: &Session) -> Result<Arc<Vec<Memory>>> {
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
        Ok(other.states.clone())
    }

    /// Returns the context that it runs on.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns the fused graph for a batch size.
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

    /// Returns a model of another graph on the same device. Both share their uploaded weights if both graphs were built
    /// with the same [`Constant`](crate::Constant)s, such as those of one [`Weights`](crate::Weights).
    pub fn with_graph(&self, graph: &Graph) -> Result<Model> {
        Ok(Model { weights: self.weights.clone(), precision: self.precision, ..Model::new(&self.context, graph)? })
    }

    fn there(&self) -> MutexGuard<'_, HashMap<Identity, Option<Arc<Memory>>>> {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the weights that a plan needs, or `None` if some of them aren't in the range of `f16`. All processors prepack
    /// the missing ones, which are then uploaded.
    fn weights(&self, plan: &Plan) -> Result<Option<HashMap<Identity, Arc<Memory>>>> {
        let mut there = self.there();
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
            there.insert(packed.identity(), memory?.map(Arc::new));
        }
        let shared = |identity: Identity| {
            let memory = there[&identity].clone()?;
            Some((identity, memory))
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

/// Does work on a thread that starts now; in a browser, which has none, when the future is awaited.
pub(crate) fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> {
    #[cfg(target_arch = "wasm32")]
    return async move { work() };
    #[cfg(not(target_arch = "wasm32"))]
    {
        let (sender, done) = futures::channel::oneshot::channel();
        std::thread::spawn(move || {
            // The receiver may end the process at once, and this thread must not hold a device then: the call drops
            // what the work holds.
            let result = work();
            // The receiver is gone if the caller dropped the future.
            let _unheard = sender.send(result);
        });
        async move { done.await.unwrap_or_else(|_| Err(ErrorKind::Device("the session's thread panicked".into()).into())) }
    }
}

/// Returns the graph as the planner takes it; an error if it has no outputs.
fn fused(graph: &Graph) -> Result<Graph> {
    if graph.outputs().is_empty() {
        return Err(ErrorKind::argument("outputs of the graph", "at least one (Graph::output)", 0).into());
    }
    Ok(graph.fused())
}
