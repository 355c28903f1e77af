//! Outputs: kernels write some in place; others are copied.

use super::{Held, Home, PlannedStep, Planner};
use crate::error::{ErrorKind, Result};
use crate::graph::Value;
use crate::graph::op::{Cost, Io};
use crate::kernel::{Layout, Scalar};
use crate::ops::convert::convert;

impl Planner<'_> {
    /// Plans an empty batch: there is nothing to compute if the outputs are empty too.
    pub(super) fn nothing(&self) -> Result<()> {
        match self.graph.outputs().iter().find(|(_, value)| self.shape(*value).elements() > 0) {
            None => Ok(()),
            Some((name, value)) => {
                let what =
                    format!("a batch of 0 for the output \"{name}\", which would still be {}", self.shape(*value));
                Err(ErrorKind::Unsupported(what).into())
            }
        }
    }

    /// Returns the indices of the graph's outputs that are this value.
    pub(super) fn outputs(&self, value: Value) -> impl Iterator<Item = usize> + use<'_> {
        self.graph.outputs().iter().enumerate().filter(move |(_, (_, v))| *v == value).map(|(i, _)| i)
    }

    /// Returns the output of the graph that is this value, or a whole view of it that is its only reader.
    pub(super) fn output(&self, value: Value) -> Option<usize> {
        if let Some(output) = self.outputs(value).next() {
            return Some(output);
        }
        let &[reader] = self.readers.get(&value)?.as_slice() else { return None };
        let node = &self.graph.nodes()[reader];
        let (&[_], &[view]) = (&node.inputs[..], &node.outputs[..]) else { return None };
        let shapes = [value, view].map(|value| [self.shape(value).clone()]);
        let dtypes = self.graph.input_dtypes(node);
        let io = Io { inputs: &shapes[0], outputs: &shapes[1], dtypes: &dtypes };
        let is_view = node.op.metrics(&io).cost.moves == Some(0);
        let whole = self.shape(view).elements() == self.shape(value).elements();
        self.output(view).filter(|_| is_view && whole)
    }

    /// Writes the outputs that are this value and that no kernel wrote in place: in another layout, or a second time.
    pub(super) fn write_outputs(&mut self, value: Value, step: &mut PlannedStep) {
        let missing: Vec<usize> = self.outputs(value).filter(|&output| !self.written[output]).collect();
        for output in missing {
            self.deliver(value, Home::Output(output), step);
            self.written[output] = true;
        }
    }

    /// Writes a value, in rows, to memory of an output or a state. Returns the stored form that it is read in.
    pub(super) fn deliver(&mut self, value: Value, home: Home, step: &mut PlannedStep) -> Scalar {
        let held = &self.held[&value];
        let one_way = held.iter().find(|held| convert(self.shape(value), held.layout, Layout::ROWS).is_some());
        let from = one_way.unwrap_or(&held[0]).clone();
        let from = self.touch(from);
        self.convert(value, &from, Held { layout: Layout::ROWS, home }, step);
        from.layout.scalar
    }

    /// Writes the outputs that are inputs or constants themselves.
    pub(super) fn remaining_outputs(&mut self) -> Result<()> {
        let shapes = self.shapes;
        let some = |(_, value): &&(String, Value)| shapes[value.index()].elements() > 0;
        for (name, value) in self.graph.outputs().iter().filter(some) {
            self.hold_constant(*value);
            let cost = Cost::copy(self.shape(*value).elements() as u64, 0);
            let mut step = PlannedStep::copy("output", name.clone(), cost);
            self.write_outputs(*value, &mut step);
            self.push(step)?;
        }
        Ok(())
    }
}
