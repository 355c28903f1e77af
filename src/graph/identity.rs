//! The values that belong to a graph.

use super::{Graph, Value};
use crate::error::ErrorKind;
use std::sync::atomic::{AtomicU32, Ordering};

/// Returns a number that no other graph of this process has.
pub(super) fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Values that exist when a graph is cloned are the clone's too; those that either gets afterwards are its own.
impl Clone for Graph {
    fn clone(&self) -> Graph {
        let origins = self.origins.iter().copied().chain([(self.id, self.sources.len())]);
        Graph {
            id: next(),
            origins: origins.collect(),
            nodes: self.nodes.clone(),
            sources: self.sources.clone(),
            shapes: self.shapes.clone(),
            shapes_of_two: self.shapes_of_two.clone(),
            dtypes: self.dtypes.clone(),
            inputs: self.inputs.clone(),
            states: self.states.clone(),
            updates: self.updates.clone(),
            outputs: self.outputs.clone(),
            precision: self.precision,
            kept: self.kept.clone(),
        }
    }
}

impl Graph {
    /// Returns true if a value is this graph's. A clone may have grown by values that this graph doesn't have.
    pub(crate) fn owns(&self, value: Value) -> bool {
        let origin = self.origins.iter().find(|&&(id, _)| id == value.graph);
        let end = if value.graph == self.id { Some(self.shapes.len()) } else { origin.map(|&(_, end)| end) };
        end.is_some_and(|end| value.index() < end)
    }

    /// Checks that values belong to this graph.
    pub(super) fn check_own(&self, values: &[Value]) -> Result<(), ErrorKind> {
        if values.iter().all(|&value| self.owns(value)) {
            return Ok(());
        }
        Err(ErrorKind::argument("inputs", "values of this graph", "another graph's"))
    }
}
