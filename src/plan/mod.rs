//! Plans as plain data: dispatches, their order and their memory. They depend on capabilities, not on devices.

mod choices;
mod join;
pub mod memory;
mod planner;

use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::op::Cost;
use crate::kernel::{Caps, Dispatch, Layout, Precision, Prepacked, Storage};
use crate::shape::Shape;
pub use choices::{Choices, Variants};
use memory::{Location, SlotKind};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// A graph as a list of dispatches over reusable memory, for one batch and one kind of device.
///
/// It is made without a device, so that all its decisions can be printed and tested: [`Display`](fmt::Display) gives
/// one line a dispatch.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The batch.
    pub batch: usize,
    /// The stored form of numbers, where kernels can access them so.
    pub precision: Precision,
    /// The graph's inputs, row-major in buffers.
    pub inputs: Vec<Port>,
    /// The graph's outputs, row-major in buffers.
    pub outputs: Vec<Port>,
    /// The states, which outlive a frame, row-major in buffers.
    pub states: Vec<Port>,
    /// The steps: operations of the fused graph, or groups that one kernel computes. Each has dispatches.
    pub steps: Vec<Step>,
    /// The memory of intermediate values.
    pub slots: Vec<SlotKind>,
    /// The values that live in slots, for checks.
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
    /// The least and the greatest integer of an input that holds indices, and the operation that requires this range.
    pub range: Option<([i32; 2], String)>,
}

impl Port {
    /// Returns the size in bytes of a buffer that can be bound to the port: its elements, rounded up to 16 bytes.
    pub fn bytes(&self) -> u64 {
        Layout::ROWS.bytes(&self.shape).max(16)
    }
}

/// The dispatches of one operation, or of several that kernels compute in one step: more than one if a layout is
/// converted first or weights are split.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operation.
    pub op: &'static str,
    /// The name of its node.
    pub node: String,
    /// The cost of the operation with all operations fused into it.
    pub cost: Cost,
    /// The fewest bytes that the operation must move: see [`Cost::bytes`], but two for a number that is stored as `f16`.
    /// Conversions of layouts move more.
    pub bytes: u64,
    /// True if the kernel runs in the device's matrix units: see
    /// [`Kernel::rounds_operands`](crate::kernel::Kernel::rounds_operands).
    pub matrix_units: bool,
    /// The kernels that its kernel was chosen from; `None` if there was no choice.
    pub variants: Option<Variants>,
    /// The dispatches, in order, with the resources of their bindings.
    pub dispatches: Vec<(Dispatch, Vec<Resource>)>,
}

/// The resource that a binding is bound to.
#[derive(Clone, Debug)]
pub enum Resource {
    /// Bytes of a slot.
    Slot {
        /// The index of the slot.
        slot: usize,
        /// The first byte.
        offset: u64,
        /// The number of bytes.
        bytes: u64,
        /// True if the dispatch writes it.
        write: bool,
    },
    /// The caller's buffer for an input.
    Input(usize),
    /// The caller's buffer for an output.
    Output {
        /// The index of the output.
        output: usize,
        /// True if the dispatch writes it.
        write: bool,
    },
    /// The memory of a state.
    State {
        /// The index of the state.
        state: usize,
        /// True if the dispatch writes it.
        write: bool,
    },
    /// Weights.
    Weight(Prepacked),
}

/// A value in a slot, from the step that writes it to its last reader, or to the step before it is overwritten.
#[derive(Clone, Debug)]
pub struct PlannedValue {
    /// The slot, and the value's first byte there.
    pub location: Location,
    /// The size in bytes.
    pub bytes: u64,
    /// The first and the last step in which the value is alive.
    pub alive: (usize, usize),
}

impl Plan {
    /// Returns the number of dispatches in a frame.
    pub fn dispatches(&self) -> usize {
        self.steps.iter().map(|step| step.dispatches.len()).sum()
    }

    /// Returns the number of problems that another kernel than the operation's first choice serves.
    pub fn tuned(&self) -> usize {
        let variants =
            self.steps.iter().filter_map(|step| step.variants.as_ref()).filter(|variants| variants.taken > 0);
        variants.map(|variants| &variants.problem).collect::<BTreeSet<_>>().len()
    }

    /// Returns the bytes of the weights on the device. All sessions of a model share those that they have in common.
    pub fn weight_bytes(&self) -> u64 {
        let resources = self.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources);
        let weights = resources.filter_map(|resource| match resource {
            Resource::Weight(packed) => Some((packed.identity(), packed.bytes())),
            _ => None,
        });
        weights.collect::<HashMap<_, _>>().values().sum()
    }

    /// Returns the bytes of all slots, which a session allocates for intermediate values.
    pub fn peak_bytes(&self) -> u64 {
        self.slots.iter().map(|slot| slot.bytes()).sum()
    }

    /// Returns the bytes that intermediate values would take without reuse.
    pub fn total_bytes(&self) -> u64 {
        self.values.iter().map(|value| value.bytes).sum()
    }

    /// Returns the bytes of intermediate values that are alive in each step, including those that the step reads and
    /// writes: activations over time. No allocation needs less than their maximum, at most [`Plan::peak_bytes`].
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

/// A line for each dispatch: operation, node, shader with its constants, workgroups, bindings. A binding is a slot (`s0`, with its
/// offset), an input or output, a state or weights (`w`); an arrow stands before what is written. Where a shader has
/// more bindings than a dispatch needs, the first input is bound in their place.
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
