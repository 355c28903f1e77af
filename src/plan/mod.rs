//! A plan is plain data: what would be dispatched, in which order, in which memory. It knows capabilities, not devices.

mod choices;
mod join;
pub mod memory;
mod planner;

use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::op::Cost;
use crate::kernel::{Caps, Dispatch, Layout, Prepacked, Storage};
use crate::shape::Shape;
pub use choices::{Choices, Variants};
use memory::{Location, SlotKind};
use std::collections::BTreeSet;
use std::fmt;

/// A graph, for one batch and one kind of device, as a list of dispatches over reusable memory.
///
/// It is made without a device, so that all it decides can be printed and tested: [`Display`](fmt::Display) gives one line a
/// dispatch.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The batch.
    pub batch: usize,
    /// The graph's inputs, row-major in buffers.
    pub inputs: Vec<Port>,
    /// The graph's outputs, row-major in buffers.
    pub outputs: Vec<Port>,
    /// What outlives a frame, row-major in buffers.
    pub states: Vec<Port>,
    /// One step an operation of the fused graph, or several that one kernel computes, as far as they compute anything.
    pub steps: Vec<Step>,
    /// The memory of what lies between.
    pub slots: Vec<SlotKind>,
    /// The values that live in slots, for whoever wants to check them.
    pub values: Vec<PlannedValue>,
}

/// An input, an output or a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// The type of its elements.
    pub dtype: DType,
    /// Of an input that holds places in something: the least, the greatest, and which operation says so.
    pub range: Option<([i32; 2], String)>,
}

impl Port {
    /// The bytes of a buffer that can be bound to it: its elements, rounded up to 16 bytes.
    pub fn bytes(&self) -> u64 {
        Layout::ROWS.bytes(&self.shape).max(16)
    }
}

/// What is dispatched for one operation, or for joined ones ([`Op::joined`](crate::Op::joined)): one dispatch, or several where a
/// conversion comes before or weights are split.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operation.
    pub op: &'static str,
    /// The name of its node.
    pub node: String,
    /// What the operation costs, with all that was fused into it.
    pub cost: Cost,
    /// The bytes that it needs to move at least: see [`Cost::bytes`]. Conversions of layouts move more.
    pub bytes: u64,
    /// The kernels that it was chosen from; none where there was no choice.
    pub variants: Option<Variants>,
    /// The dispatches, in order, and what each one's bindings are bound to.
    pub dispatches: Vec<(Dispatch, Vec<Resource>)>,
}

/// What a binding is bound to.
#[derive(Clone, Debug)]
pub enum Resource {
    /// Bytes of a slot.
    Slot {
        /// Which one.
        slot: usize,
        /// The first byte.
        offset: u64,
        /// How many bytes.
        bytes: u64,
        /// Whether it is written.
        write: bool,
    },
    /// The caller's buffer for an input.
    Input(usize),
    /// The caller's buffer for an output.
    Output {
        /// Which one.
        output: usize,
        /// Whether it is written.
        write: bool,
    },
    /// What outlives a frame.
    State {
        /// Which one.
        state: usize,
        /// Whether it is written.
        write: bool,
    },
    /// Weights.
    Weight(Prepacked),
}

/// A value in a slot, from the step that writes it to the last that reads it, or to the one before that which overwrites it.
#[derive(Clone, Debug)]
pub struct PlannedValue {
    /// The slot, and where it begins there.
    pub location: Location,
    /// Its bytes.
    pub bytes: u64,
    /// The first and the last step.
    pub alive: (usize, usize),
}

impl Plan {
    /// The number of dispatches in a frame.
    pub fn dispatches(&self) -> usize {
        self.steps.iter().map(|step| step.dispatches.len()).sum()
    }

    /// How many problems are served by another kernel than the operation's first choice.
    pub fn tuned(&self) -> usize {
        let variants =
            self.steps.iter().filter_map(|step| step.variants.as_ref()).filter(|variants| variants.taken > 0);
        variants.map(|variants| &variants.problem).collect::<BTreeSet<_>>().len()
    }

    /// The bytes that intermediate values take at most, all slots together: what a session allocates for them.
    pub fn peak_bytes(&self) -> u64 {
        self.slots.iter().map(|slot| slot.bytes()).sum()
    }

    /// The bytes that they would take without reuse.
    pub fn total_bytes(&self) -> u64 {
        self.values.iter().map(|value| value.bytes).sum()
    }

    /// The bytes of intermediate values that are alive in each step, those that it reads and writes included: activations over
    /// time. Their maximum is what no allocation could do without, and at most [`Plan::peak_bytes`].
    pub fn alive_bytes(&self) -> Vec<u64> {
        let mut alive = vec![0; self.steps.len()];
        for value in &self.values {
            let (first, last) = value.alive;
            alive.iter_mut().take(last + 1).skip(first).for_each(|bytes| *bytes += value.bytes);
        }
        alive
    }

    fn check_limits(&self, caps: &Caps) -> Result<()> {
        for (kind, ports) in [("input", &self.inputs), ("output", &self.outputs), ("state", &self.states)] {
            for port in ports {
                check_binding(&format!("{kind} \"{}\"", port.name), port.bytes(), caps)?;
            }
        }
        for step in &self.steps {
            let at = |kind: ErrorKind| Error::from(kind).node(step.op, &step.node);
            for (dispatch, resources) in &step.dispatches {
                if let Some(&most) = dispatch.workgroups.iter().max().filter(|&&most| most > caps.max_workgroups) {
                    return Err(at(ErrorKind::Limit {
                        what: "a dispatch".into(),
                        limit: "max_compute_workgroups_per_dimension",
                        need: most.into(),
                        have: caps.max_workgroups.into(),
                    }));
                }
                let textures = |slot: usize| matches!(self.slots[slot], SlotKind::Texture(..));
                let buffers = resources.iter().filter(|resource| match resource {
                    Resource::Slot { slot, .. } => !textures(*slot),
                    Resource::Weight(packed) => packed.storage == Storage::Buffer,
                    Resource::Input(_) | Resource::Output { .. } | Resource::State { .. } => true,
                });
                let buffers = buffers.count() as u64;
                if buffers > caps.max_storage_buffers.into() {
                    return Err(at(ErrorKind::Limit {
                        what: "a dispatch".into(),
                        limit: "max_storage_buffers_per_shader_stage",
                        need: buffers,
                        have: caps.max_storage_buffers.into(),
                    }));
                }
                for resource in resources {
                    match resource {
                        Resource::Slot { slot, bytes, .. } if matches!(self.slots[*slot], SlotKind::Buffer(_)) => {
                            check_binding("a value", *bytes, caps).map_err(|error| at(error.kind))?;
                        }
                        Resource::Weight(packed) if packed.storage == Storage::Buffer => {
                            check_binding("a weight", packed.bytes(), caps).map_err(|error| at(error.kind))?;
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_binding(what: &str, need: u64, caps: &Caps) -> Result<()> {
    for (limit, have) in [("max_storage_buffer_binding_size", caps.max_binding), ("max_buffer_size", caps.max_buffer)] {
        if need > have {
            return Err(ErrorKind::Limit { what: what.into(), limit, need, have }.into());
        }
    }
    Ok(())
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(
            f,
            "batch {}: {} steps, {} dispatches; activations {:.2} MiB in {} slots (without reuse {:.2} MiB)",
            self.batch,
            self.steps.len(),
            self.dispatches(),
            mib(self.peak_bytes()),
            self.slots.len(),
            mib(self.total_bytes()),
        )?;
        for step in &self.steps {
            for (dispatch, resources) in &step.dispatches {
                let [x, y, _] = dispatch.workgroups;
                write!(f, "{} {} | {} | {}", step.op, step.node, dispatch.shader, x * y)?;
                f.write_str(" workgroups |")?;
                for resource in resources {
                    match resource {
                        Resource::Slot { slot, offset, write, .. } => {
                            write!(f, " {}{slot}", if *write { "->" } else { "s" })?;
                            if *offset > 0 {
                                write!(f, "+{offset}")?;
                            }
                        }
                        Resource::Input(i) => write!(f, " in{i}")?,
                        Resource::Output { output, write } => {
                            write!(f, " {}out{output}", if *write { "->" } else { "" })?;
                        }
                        Resource::State { state, write } => {
                            write!(f, " {}state{state}", if *write { "->" } else { "" })?;
                        }
                        Resource::Weight(_) => f.write_str(" w")?,
                    }
                }
                if step.variants.as_ref().is_some_and(|variants| variants.taken > 0) {
                    f.write_str(" | tuned")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
