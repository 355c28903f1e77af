//! Values that are `f32`s at every precision.

use super::{Graph, Value};

/// The part of an operation that is `f32` at every precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kept {
    /// A value.
    Value,
    /// A value, and the weights of the operation that gives it.
    Weights,
}

impl Graph {
    /// Keeps a value `f32` at every precision.
    pub(crate) fn keep_f32(&mut self, value: Value, kept: Kept) {
        let before = self.kept.entry(value).or_insert(kept);
        *before = kept.max(*before);
    }

    /// Returns what is `f32` at every precision, if a value is.
    pub(crate) fn kept(&self, value: Value) -> Option<Kept> {
        self.kept.get(&value).copied()
    }
}
