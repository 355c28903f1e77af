//! The sessions of a network for the sizes that were used last.

use super::{Model, Session};
use crate::Graph;
use crate::error::Result;
use crate::gpu::Context;
use crate::kernel::{Precision, weight_bytes};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A network whose sizes change from call to call, such as the width of a line of text or the length of a sentence. It
/// keeps a session for each set of sizes, and drops the least recently used ones beyond a bound on device memory.
///
/// `K` stands for the sizes: a number, a tuple, a [`Shape`](crate::Shape). A function builds the graph for them. All
/// sessions share their pipelines, and the weights of graphs that were built with the same
/// [`Constant`](crate::Constant)s, such as those of one ONNX file. New sizes therefore cost a plan, its memory and its
/// bind groups; only kernels that no earlier sizes needed are compiled.
///
/// ```no_run
/// use shadernet::SessionCache;
/// # #[cfg(feature = "onnx")]
/// use shadernet::import::onnx::{Bindings, Onnx};
/// # #[cfg(feature = "onnx")]
/// # async fn read(context: shadernet::Context, lines: Vec<(usize, Vec<f32>)>) -> shadernet::Result<()> {
/// let file = Onnx::open("recognition.onnx")?;
/// let build = move |width: &usize| file.graph(&Bindings::new().size("width", *width));
/// let network = SessionCache::new(&context, 256 << 20, build); // 256 MiB
/// for (width, pixels) in lines {
///     let outputs = network.session(&width)?.run(&[pixels]).await?;
/// }
/// # Ok(()) }
/// ```
///
/// Sizes aren't rounded up to share a session. Biases turn padding into other numbers than 0, and the next convolution
/// mixes these into the picture: outputs would change.
pub struct SessionCache<K> {
    /// The owner of the shared weights. Its graph is empty.
    model: Model,
    build: Build<K>,
    bound: u64,
    /// The sessions, the least recently used first.
    sessions: Mutex<Vec<(K, Arc<Session>)>>,
}

/// A function that builds the graph for sizes.
type Build<K> = Box<dyn Fn(&K) -> Result<Graph> + Send + Sync>;

impl<K: Clone + PartialEq> SessionCache<K> {
    /// Creates an empty cache for the graphs that `build` builds. It holds at most `bytes` of device memory: the weights,
    /// and each session's intermediate values, states and buffers of one frame.
    ///
    /// The session that was used last is kept in any case. So is one that the caller still holds: it isn't counted
    /// after the cache has dropped it.
    pub fn new(
        context: &Context,
        bytes: u64,
        build: impl Fn(&K) -> Result<Graph> + Send + Sync + 'static,
    ) -> SessionCache<K> {
        let (model, build) = (Model::without_graph(context), Box::new(build));
        SessionCache { model, build, bound: bytes, sessions: Mutex::default() }
    }

    /// Sets how the numbers are stored: see [`Model::precision`].
    #[must_use]
    pub fn precision(self, precision: Precision) -> SessionCache<K> {
        SessionCache { model: self.model.precision(precision), ..self }
    }

    /// Returns the session for these sizes, of a batch of 1; creates it if the cache has none. Each session has states of
    /// its own.
    ///
    /// Fails if the graph can't be built or the session can't be created.
    pub fn session(&self, sizes: &K) -> Result<Arc<Session>> {
        if let Some(session) = find(&mut self.sessions(), sizes) {
            return Ok(session);
        }
        // Unlocked, so that other threads don't wait for a compilation; at worst two create the same session.
        let graph = (self.build)(sizes)?;
        let session = Arc::new(self.model.with_graph(&graph)?.session(1)?);
        let mut sessions = self.sessions();
        if let Some(session) = find(&mut sessions, sizes) {
            return Ok(session);
        }
        sessions.push((sizes.clone(), session.clone()));
        while sessions.len() > 1 && bytes(&sessions) > self.bound {
            sessions.remove(0);
        }
        self.model.drop_unused_weights();
        Ok(session)
    }

    /// Returns the sizes that have a session, the least recently used first.
    pub fn sizes(&self) -> Vec<K> {
        self.sessions().iter().map(|(sizes, _)| sizes.clone()).collect()
    }

    /// Returns the device memory that the sessions take, in bytes, as [`SessionCache::new`] counts it.
    pub fn bytes(&self) -> u64 {
        bytes(&self.sessions())
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<(K, Arc<Session>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the session for these sizes as the most recently used one.
fn find<K: PartialEq>(sessions: &mut [(K, Arc<Session>)], sizes: &K) -> Option<Arc<Session>> {
    let at = sessions.iter().position(|(those, _)| those == sizes)?;
    sessions[at..].rotate_left(1);
    sessions.last().map(|(_, session)| session.clone())
}

/// Returns the bytes of the sessions and of all weights that they use.
fn bytes<K>(sessions: &[(K, Arc<Session>)]) -> u64 {
    let weights = sessions.iter().flat_map(|(_, session)| session.weights.keys());
    let weights = weights.map(|identity| (identity, weight_bytes(identity)));
    let weights: u64 = weights.collect::<HashMap<_, _>>().values().sum();
    sessions.iter().map(|(_, session)| session.own_bytes()).fold(weights, u64::saturating_add)
}

impl<K> std::fmt::Debug for SessionCache<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "SessionCache({sessions} sessions, at most {} bytes, on {:?})", self.bound, self.model.context())
    }
}
