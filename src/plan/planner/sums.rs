//! Outputs that overwrite their residual, so that a step needs no third buffer.

use super::{Home, Planner, Use};
use crate::graph::Value;
use crate::kernel::{Binding, Dispatch, Kernel};
use crate::plan::PlannedValue;
use crate::plan::memory::{Location, SlotKind};

/// A step whose output may overwrite its residual, with the needs of both.
pub(super) struct Sum {
    step: usize,
    pub(super) residual: usize,
    pub(super) output: usize,
}

impl Planner<'_> {
    /// Returns the output of the step being planned and its residual, if the output can overwrite the residual: both
    /// are buffers, and nothing else uses the residual's memory, neither in this step nor later.
    pub(super) fn sum(&self, kernel: &Kernel, reads: &[Home], output: &Home) -> Option<Sum> {
        let residual = kernel.residual().filter(|&i| kernel.reads[i] == kernel.writes[0])?;
        let (&Home::Slot(residual), &Home::Slot(output)) = (&reads[residual], output) else { return None };
        let same = |home: &&Home| matches!(home, Home::Slot(need) if *need == residual);
        let unread = |value: &Value| self.unread.get(value).is_some_and(|&times| times > 0);
        let kinds = [residual, output].map(|need| self.needs[need].kind);
        let alone = reads.iter().filter(same).count() == 1 && !self.holders[residual].iter().any(unread);
        let buffers = kinds[0] == kinds[1] && matches!(kinds[0], SlotKind::Buffer(_));
        let step = self.steps.len();
        (alone && buffers && self.needs[residual].first < step).then_some(Sum { step, residual, output })
    }

    /// Makes outputs overwrite their residuals where both have one location, and returns the lifetimes of all values.
    pub(super) fn overwrite(&mut self, locations: &[Location]) -> Vec<PlannedValue> {
        let planned = self.needs.iter().zip(locations).map(|(need, &location)| PlannedValue {
            location,
            bytes: need.kind.bytes(),
            alive: (need.first, need.last),
        });
        let mut values: Vec<PlannedValue> = planned.collect();
        for &Sum { step, residual, output } in &self.sums {
            if locations[residual] == locations[output] {
                values[residual].alive.1 = step - 1;
                self.steps[step].dispatches.iter_mut().for_each(overwrite);
            }
        }
        values
    }
}

/// Makes a dispatch overwrite its residual. Its binding gets other memory that is read anyway: the first binding's.
fn overwrite((dispatch, uses): &mut (Dispatch, Vec<Use>)) {
    if let Some(i) = dispatch.bindings.iter().position(|binding| matches!(binding, Binding::Residual(_))) {
        dispatch.bindings[i] = dispatch.bindings[0].clone();
        dispatch.shader = dispatch.shader.clone().in_place();
        uses[i] = uses[0].clone();
    }
}
