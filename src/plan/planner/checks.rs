//! Checks of kernels. Anybody may write an operation, and shaders without guards rely on the memory that they get.

use super::{Home, PlannedStep, Planner};
use crate::error::{ErrorKind, Result};
use crate::graph::{Graph, Node};
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Prepacked, Storage};
use crate::plan::memory::SlotKind;
use std::collections::HashSet;

/// Checks that a graph has outputs, each with a name of its own: a frame's results are found by their names.
pub(super) fn outputs(graph: &Graph) -> Result<(), ErrorKind> {
    let mut names = HashSet::new();
    match graph.outputs().iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => Err(ErrorKind::argument(format!("output \"{name}\""), "one of that name", "several")),
        None if names.is_empty() => Err(ErrorKind::argument("outputs", "at least one", 0)),
        None => Ok(()),
    }
}

/// Checks that the device runs the loops of one of the kernels to their end.
pub(super) fn ends(kernels: &[Kernel], caps: &Caps) -> Result<(), ErrorKind> {
    let need = kernels.iter().map(Kernel::iterations).min().unwrap_or(0);
    let have = caps.max_loop_iterations.into();
    if need <= have {
        return Ok(());
    }
    Err(ErrorKind::Limit { what: "an invocation".into(), limit: "max_loop_iterations", need, have })
}

/// Checks that a kernel has a layout for each input and output of its node and binds no other inputs or outputs.
pub(super) fn kernel(kernel: &Kernel, node: &Node) -> Result<(), ErrorKind> {
    let count = |what: &str, wanted: usize, got: usize| match wanted == got {
        true => Ok(()),
        false => Err(ErrorKind::argument(format!("the layouts that its kernel {what}"), wanted, got)),
    };
    let (inputs, outputs) = (node.inputs.len(), node.outputs.len());
    count("reads", inputs, kernel.reads.len())?;
    count("writes", outputs, kernel.writes.len())?;
    if kernel.dispatches.is_empty() && (inputs, outputs) != (1, 1) {
        let got = format!("{inputs} and {outputs}");
        return Err(ErrorKind::argument("a kernel without dispatches", "one input and one output", got));
    }
    for &(input, [least, greatest]) in &kernel.ranges {
        if input >= inputs {
            return Err(ErrorKind::argument("an input with a range", format_args!("one of {inputs}"), input));
        }
        if least > greatest {
            let got = format!("{least} to {greatest}");
            return Err(ErrorKind::argument(format!("the range of input {input}"), "the least index first", got));
        }
    }
    kernel.dispatches.iter().try_for_each(Dispatch::check_params)?;
    let wrong = |binding: &&Binding| match **binding {
        Binding::Input(i) | Binding::Residual(i) | Binding::Update(i) => i >= inputs,
        Binding::Output(i) => i >= outputs,
        Binding::Weight(_) | Binding::Scratch { .. } => false,
    };
    match kernel.dispatches.iter().flat_map(|dispatch| &dispatch.bindings).find(wrong) {
        None => Ok(()),
        Some(binding) => {
            let wanted = format!("one of {inputs} inputs and {outputs} outputs");
            Err(ErrorKind::argument("a binding of its kernel", wanted, format!("{binding:?}")))
        }
    }
}

/// Returns the memory of weights.
pub(super) fn held(packed: &Prepacked) -> SlotKind {
    match packed.storage {
        Storage::Buffer => SlotKind::Buffer(packed.bytes()),
        Storage::Texture => SlotKind::Texture(packed.texels.1 as u32, packed.texels.0 as u32, packed.scalar),
    }
}

impl Planner<'_> {
    /// Adds a step, unless it has no dispatch. Returns an error if a dispatch relies on more memory than it gets: that
    /// of a view larger than its input, or of a state updated in a layout that it doesn't have.
    pub(super) fn push(&mut self, step: PlannedStep) -> Result<()> {
        let mut uses = step.dispatches.iter().flat_map(|(_, uses)| uses);
        if let Some(used) = uses.find(|used| !holds(self.memory(&used.home), used.kind)) {
            let (wanted, got) = (format!("{:?}", used.kind), format!("{:?}", self.memory(&used.home)));
            return Err(ErrorKind::argument("the memory of a value", wanted, got).at(step.op, step.node));
        }
        if !step.dispatches.is_empty() {
            self.steps.push(step);
        }
        Ok(())
    }

    fn memory(&self, home: &Home) -> SlotKind {
        let port = |value| self.kind(value, Layout::ROWS);
        match home {
            &Home::Input(i) => port(self.graph.inputs()[i].value),
            &Home::Output(i) => port(self.graph.outputs()[i].1),
            &Home::State(i) => port(self.graph.states()[i].value),
            Home::Weight(packed) => held(packed),
            &Home::Slot(need) => self.needs[need].kind,
        }
    }
}

/// Returns true if memory is as large as a use requires.
fn holds(memory: SlotKind, used: SlotKind) -> bool {
    match (memory, used) {
        (SlotKind::Buffer(memory), SlotKind::Buffer(used)) => used <= memory,
        (SlotKind::Texture(width, height, held), SlotKind::Texture(w, h, scalar)) => {
            w <= width && h <= height && scalar == held
        }
        _ => false,
    }
}
