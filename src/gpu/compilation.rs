//! The progress of the compilation of pipelines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of pipelines that a context has compiled, of those that its sessions have asked for so far. Cheap to
/// clone; it doesn't hold the device.
#[derive(Clone, Debug, Default)]
pub struct Compilation(Arc<[AtomicUsize; 2]>);

impl Compilation {
    /// Returns the number of pipelines that are ready.
    pub fn ready(&self) -> usize {
        self.0[0].load(Ordering::Relaxed).min(self.wanted())
    }

    /// Returns the number of pipelines that were asked for.
    pub fn wanted(&self) -> usize {
        self.0[1].load(Ordering::Relaxed)
    }

    pub(super) fn want(&self, pipelines: usize) {
        self.0[1].fetch_add(pipelines, Ordering::Relaxed);
    }

    pub(super) fn done(&self, pipelines: usize) {
        self.0[0].fetch_add(pipelines, Ordering::Relaxed);
    }
}
