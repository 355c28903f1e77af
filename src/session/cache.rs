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
    sessions: Recent<K, Session>,
    build: Build<K>,
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
        SessionCache { sessions: Recent::new(context, bytes), build: Box::new(build) }
    }

    /// Sets how the numbers are stored: see [`Model::precision`].
    #[must_use]
    pub fn precision(self, precision: Precision) -> SessionCache<K> {
        SessionCache { sessions: self.sessions.precision(precision), ..self }
    }

    /// Returns the session for these sizes, of a batch of 1; creates it if the cache has none. Each session has states of
    /// its own.
    ///
    /// Fails if the graph can't be built or the session can't be created.
    pub fn session(&self, sizes: &K) -> Result<Arc<Session>> {
        if let Some(session) = self.sessions.get(sizes) {
            return Ok(session);
        }
        // Unlocked, so that other threads don't wait for a compilation; at worst two create the same session.
        let graph = (self.build)(sizes)?;
        let session = self.sessions.model.with_graph(&graph)?.session(1)?;
        Ok(self.sessions.keep(sizes.clone(), session))
    }

    /// Returns the sizes that have a session, the least recently used first.
    pub fn sizes(&self) -> Vec<K> {
        self.sessions.kept().iter().map(|(sizes, _)| sizes.clone()).collect()
    }

    /// Returns the device memory that the sessions take, in bytes, as [`SessionCache::new`] counts it.
    pub fn bytes(&self) -> u64 {
        bytes(&self.sessions.kept())
    }
}

impl<K> std::fmt::Debug for SessionCache<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Recent { model, bound, .. } = &self.sessions;
        let sessions = self.sessions.kept().len();
        write!(f, "SessionCache({sessions} sessions, at most {bound} bytes, on {:?})", model.context())
    }
}

/// Objects on a device, made for keys and kept within a bound on bytes.
pub(super) struct Recent<K, T> {
    /// The owner of the shared weights. Its graph is empty.
    pub(super) model: Model,
    pub(super) bound: u64,
    /// The least recently used first.
    kept: Mutex<Vec<(K, Arc<T>)>>,
}

/// An object that is kept: a session, if there is anything to compute, and more.
pub(super) trait Cached {
    fn session(&self) -> Option<&Session>;

    /// Returns the bytes that it takes beside the session.
    fn more_bytes(&self) -> u64 {
        0
    }
}

impl Cached for Session {
    fn session(&self) -> Option<&Session> {
        Some(self)
    }
}

impl<K, T> Recent<K, T> {
    pub(super) fn new(context: &Context, bound: u64) -> Recent<K, T> {
        Recent { model: Model::without_graph(context), bound, kept: Mutex::default() }
    }

    pub(super) fn precision(self, precision: Precision) -> Recent<K, T> {
        Recent { model: self.model.precision(precision), ..self }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Vec<(K, Arc<T>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: PartialEq, T: Cached> Recent<K, T> {
    /// Returns what is kept for a key, which is the most recently used one then.
    pub(super) fn get(&self, key: &K) -> Option<Arc<T>> {
        find(&mut self.kept(), key)
    }

    /// Keeps what was made for a key, and returns it, or what another thread has made in the meantime. Drops the least
    /// recently used beyond the bound, with their weights.
    pub(super) fn keep(&self, key: K, made: T) -> Arc<T> {
        let mut kept = self.kept();
        if let Some(there) = find(&mut kept, &key) {
            return there;
        }
        let made = Arc::new(made);
        kept.push((key, made.clone()));
        while kept.len() > 1 && bytes(&kept) > self.bound {
            kept.remove(0);
        }
        self.model.drop_unused_weights();
        made
    }
}

fn find<K: PartialEq, T>(kept: &mut [(K, Arc<T>)], key: &K) -> Option<Arc<T>> {
    let at = kept.iter().position(|(other, _)| other == key)?;
    kept[at..].rotate_left(1);
    kept.last().map(|(_, there)| there.clone())
}

/// Returns the bytes of all that is kept, with the weights of the sessions, each once.
fn bytes<K, T: Cached>(kept: &[(K, Arc<T>)]) -> u64 {
    let sessions = || kept.iter().filter_map(|(_, there)| there.session());
    let weights = sessions().flat_map(|session| session.weights.keys());
    let weights = weights.map(|identity| (identity, weight_bytes(identity)));
    let weights: u64 = weights.collect::<HashMap<_, _>>().values().sum();
    let own = sessions().map(Session::own_bytes).fold(weights, u64::saturating_add);
    kept.iter().map(|(_, there)| there.more_bytes()).fold(own, u64::saturating_add)
}
