//! States: new content is written last, or over the old content once nothing reads that any more.

use super::{Held, Home, PlannedStep, Planner};
use crate::error::{ErrorKind, Result};
use crate::graph::op::Cost;
use crate::graph::{Node, Value};
use crate::kernel::{Kernel, Layout, Scalar};

impl Planner<'_> {
    /// Checks that the new content of each state has the state's shape for this batch too.
    pub(super) fn check_updates(&self) -> Result<()> {
        for &(state, value) in self.graph.updates() {
            let state = &self.graph.states()[state];
            let (wanted, got) = (self.shape(state.value), self.shape(value));
            if wanted != got {
                return Err(ErrorKind::argument(format!("state \"{}\"", state.name), wanted, got).into());
            }
        }
        Ok(())
    }

    /// Returns the states whose new content is this value.
    pub(super) fn states(&self, value: Value) -> impl Iterator<Item = usize> + use<'_> {
        self.graph.updates().iter().filter(move |(_, next)| *next == value).map(|&(state, _)| state)
    }

    /// Returns a state whose new content is this value, if it can be written now: nothing reads the old content any
    /// more, neither the step being planned through one of `reads` nor a later step.
    pub(super) fn free_state(&self, value: Value, reads: &[Home]) -> Option<usize> {
        let free = |&state: &usize| {
            let old = self.graph.states()[state].value;
            !self.updated[state]
                && !reads.iter().any(|home| home.is_state(state))
                && !self.is_read_later(state)
                && self.outputs(old).all(|output| self.written[output])
        };
        self.states(value).find(free)
    }

    /// Returns true if a step that isn't planned yet reads the current content of a state.
    fn is_read_later(&self, state: usize) -> bool {
        let unread = |value: &Value| self.unread.get(value).is_some_and(|&times| times > 0);
        self.held.iter().any(|(value, held)| unread(value) && held.iter().any(|held| held.home.is_state(state)))
    }

    /// Notes that a state holds its new content from the step being planned on.
    pub(super) fn set_updated(&mut self, state: usize, value: Value) {
        self.updated[state] = true;
        *self.unread.entry(value).or_default() -= 1;
    }

    /// Returns memory for the output of a kernel that updates its input `input`: the state itself, if that is the
    /// input; else new memory with a copy of the input.
    pub(super) fn write_over(
        &mut self,
        (node, kernel, input): (&Node, &Kernel, usize),
        reads: &mut [Home],
        step: &mut PlannedStep,
    ) -> Home {
        let (value, layout) = (node.outputs[0], kernel.writes[0]);
        let same = |state: &usize| !self.updated[*state] && reads[input].is_state(*state);
        let own = self.states(value).find(same);
        if let Some(state) = own {
            let (before, rest) = reads.split_at_mut(input);
            let others = before.iter_mut().chain(&mut rest[1..]);
            self.keep(state, others.collect(), step);
            self.set_updated(state, value);
            self.hold(value, layout, Home::State(state));
            return Home::State(state);
        }
        let home = self.write(value, layout, reads);
        let [from, to] = [&reads[input], &home].map(|home| Held { layout, home: home.clone() });
        self.convert(value, &from, to, step);
        home
    }

    /// Copies the old content of a state to other memory, if outputs, `reads` of the step being planned or later steps
    /// still read it.
    fn keep(&mut self, state: usize, reads: Vec<&mut Home>, step: &mut PlannedStep) {
        let old = self.graph.states()[state].value;
        self.write_outputs(old, step);
        let reads: Vec<&mut Home> = reads.into_iter().filter(|home| home.is_state(state)).collect();
        if reads.is_empty() && !self.is_read_later(state) {
            return;
        }
        let kept = self.need(old, Layout::ROWS);
        let [from, to] = [Home::State(state), kept.clone()].map(|home| Held { layout: Layout::ROWS, home });
        self.convert(old, &from, to, step);
        for (&value, held) in &mut self.held {
            for home in held.iter_mut().map(|held| &mut held.home).filter(|home| home.is_state(state)) {
                home.clone_from(&kept);
                if let Home::Slot(need) = kept {
                    self.holders[need].push(value);
                }
            }
        }
        reads.into_iter().for_each(|home| home.clone_from(&kept));
    }

    /// Writes the states that no kernel wrote.
    pub(super) fn remaining_updates(&mut self) -> Result<()> {
        for &(state, value) in self.graph.updates() {
            self.hold_constant(value);
            let there = self.held.get(&value).is_some_and(|held| held.iter().any(|held| held.home.is_state(state)));
            if self.updated[state] || there || self.shape(value).elements() == 0 {
                continue;
            }
            self.set_updated(state, value);
            let elements = self.shape(value).elements() as u64;
            let cost = Cost::copy(elements, 0);
            let mut step = PlannedStep::copy("update", self.graph.states()[state].name.clone(), cost);
            self.keep(state, Vec::new(), &mut step);
            let from = self.deliver(value, Home::State(state), &mut step);
            step.bytes = elements.saturating_mul(from.bytes() + Scalar::F32.bytes());
            self.push(step)?;
        }
        Ok(())
    }
}

impl Home {
    fn is_state(&self, state: usize) -> bool {
        matches!(self, Home::State(this) if *this == state)
    }
}
