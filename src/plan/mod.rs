//! A plan is plain data: what would be dispatched, in which order, in which memory. It knows capabilities, not devices.

pub mod memory;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::op::Io;
use crate::graph::{Graph, Source, Value};
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Packed, Place};
use crate::ops::convert::convert;
use crate::shape::Shape;
use memory::{Need, SlotKind};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

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
    /// One step an operation of the fused graph, as far as it computes anything.
    pub steps: Vec<Step>,
    /// The memory of what lies between.
    pub slots: Vec<SlotKind>,
    /// The values that live in slots, for whoever wants to check them.
    pub values: Vec<PlannedValue>,
}

/// An input or an output.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
}

impl Port {
    /// The bytes of a buffer that can be bound to it: its `f32`s, rounded up to 16 bytes.
    pub fn bytes(&self) -> u64 {
        Layout::ROWS.bytes(&self.shape).max(16)
    }
}

/// What is dispatched for one operation: one dispatch, or several where a conversion comes before or weights are split.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operation.
    pub op: &'static str,
    /// The name of its node.
    pub node: String,
    /// The dispatches, in order, and what each one's bindings are bound to.
    pub dispatches: Vec<(Dispatch, Vec<Resource>)>,
}

/// What a binding is bound to.
#[derive(Clone, Debug)]
pub enum Resource {
    /// The first bytes of a slot.
    Slot {
        /// Which one.
        slot: usize,
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
    /// Weights.
    Weight(Packed),
}

/// A value in a slot, from the step that writes it to the last that reads it.
#[derive(Clone, Debug)]
pub struct PlannedValue {
    /// The slot.
    pub slot: usize,
    /// The bytes in it.
    pub bytes: u64,
    /// The first and the last step.
    pub alive: (usize, usize),
}

/// Where the planner keeps a value.
#[derive(Clone, Debug)]
enum Home {
    Input(usize),
    Output(usize),
    Weight(Packed),
    /// An index into the needs.
    Slot(usize),
}

/// A value in one layout.
#[derive(Clone, Debug)]
struct Held {
    layout: Layout,
    home: Home,
}

impl Plan {
    /// Plans a graph as it stands for a batch on such a device. [`Graph::fused`] comes first, once for all batches: a
    /// [`Model`](crate::Model) does that.
    pub fn new(graph: &Graph, batch: usize, caps: &Caps) -> Result<Plan> {
        let outputs = graph.outputs();
        if outputs.is_empty() {
            return Err(ErrorKind::argument("outputs", "at least one", 0).into());
        }
        let shapes = graph.shapes(batch)?;
        let port = |name: &str, value: Value| Port { name: name.into(), shape: shapes[value.0 as usize].clone() };
        let mut planner =
            Planner { caps, outputs, shapes: &shapes, held: HashMap::new(), needs: Vec::new(), steps: Vec::new() };
        for (i, input) in graph.inputs().iter().enumerate() {
            planner.hold(input.value, Layout::ROWS, Home::Input(i));
        }
        let written_directly = planner.nodes(graph)?;
        planner.copy_outputs(graph, &written_directly)?;
        let (slot_of, slots) = memory::assign(&planner.needs);
        let home = |home: Home, write: bool, bytes: u64| match home {
            Home::Input(i) => Resource::Input(i),
            Home::Output(output) => Resource::Output { output, write },
            Home::Weight(packed) => Resource::Weight(packed),
            Home::Slot(need) => Resource::Slot { slot: slot_of[need], bytes, write },
        };
        let steps = planner
            .steps
            .into_iter()
            .map(|step| Step {
                op: step.op,
                node: step.node,
                dispatches: step
                    .dispatches
                    .into_iter()
                    .map(|(dispatch, at)| {
                        (dispatch, at.into_iter().map(|(h, write, bytes)| home(h, write, bytes)).collect())
                    })
                    .collect(),
            })
            .collect();
        let plan = Plan {
            batch,
            inputs: graph.inputs().iter().map(|input| port(&input.name, input.value)).collect(),
            outputs: outputs.iter().map(|(name, value)| port(name, *value)).collect(),
            steps,
            values: planner
                .needs
                .iter()
                .zip(&slot_of)
                .map(|(need, &slot)| PlannedValue { slot, bytes: need.kind.bytes(), alive: (need.first, need.last) })
                .collect(),
            slots,
        };
        plan.check_limits(caps)?;
        Ok(plan)
    }

    /// The number of dispatches in a frame.
    pub fn dispatches(&self) -> usize {
        self.steps.iter().map(|step| step.dispatches.len()).sum()
    }

    /// The bytes that intermediate values take at most, all slots together: what a session allocates for them.
    pub fn peak_bytes(&self) -> u64 {
        self.slots.iter().map(|slot| slot.bytes()).sum()
    }

    /// The bytes that they would take without reuse.
    pub fn total_bytes(&self) -> u64 {
        self.values.iter().map(|value| value.bytes).sum()
    }

    fn check_limits(&self, caps: &Caps) -> Result<()> {
        for port in self.inputs.iter().chain(&self.outputs) {
            check_binding(&format!("\"{}\"", port.name), port.bytes(), caps)?;
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
                for resource in resources {
                    match resource {
                        Resource::Slot { slot, bytes, .. } if matches!(self.slots[*slot], SlotKind::Buffer(_)) => {
                            check_binding("a value", *bytes, caps).map_err(|error| at(error.kind))?;
                        }
                        Resource::Weight(packed) if packed.place == Place::Buffer => {
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

struct PlannedStep {
    op: &'static str,
    node: String,
    dispatches: Vec<(Dispatch, Vec<(Home, bool, u64)>)>,
}

struct Planner<'a> {
    caps: &'a Caps,
    outputs: &'a [(String, Value)],
    shapes: &'a [Shape],
    /// Each value in the layouts that it exists in so far.
    held: HashMap<Value, Vec<Held>>,
    needs: Vec<Need>,
    steps: Vec<PlannedStep>,
}

impl Planner<'_> {
    fn shape(&self, value: Value) -> &Shape {
        &self.shapes[value.0 as usize]
    }

    fn hold(&mut self, value: Value, layout: Layout, home: Home) {
        self.held.entry(value).or_default().push(Held { layout, home });
    }

    fn find(&self, value: Value, layout: Layout) -> Option<Home> {
        let held = self.held.get(&value)?;
        let same = |held: &&Held| held.layout.same_bytes(layout, self.shape(value));
        held.iter().find(same).map(|held| held.home.clone())
    }

    /// Memory for a value that the step being planned writes.
    fn need(&mut self, value: Value, layout: Layout) -> Home {
        let (rows, width) = layout.texels(self.shape(value));
        let kind = match layout.place {
            Place::Buffer => SlotKind::Buffer(layout.bytes(self.shape(value)).max(16)),
            Place::Texture => SlotKind::Texture(width as u32, rows as u32),
        };
        let step = self.steps.len();
        self.needs.push(Need { kind, first: step, last: step });
        Home::Slot(self.needs.len() - 1)
    }

    /// Notes that the step being planned uses it.
    fn touch(&mut self, home: &Home) {
        if let Home::Slot(need) = home {
            self.needs[*need].last = self.steps.len();
        }
    }

    fn nodes(&mut self, graph: &Graph) -> Result<Vec<bool>> {
        let mut direct = vec![false; self.outputs.len()];
        for node in graph.nodes() {
            let of = |values: &[Value]| values.iter().map(|&v| self.shape(v).clone()).collect::<Vec<_>>();
            let (inputs, outputs) = (of(&node.inputs), of(&node.outputs));
            let io = Io { inputs: &inputs, outputs: &outputs };
            let kernels = node.op.kernels(&io, self.caps).map_err(|kind| kind.at(node.op.name(), &node.name))?;
            for &value in &node.inputs {
                if let (Source::Constant(constant), None) = (graph.source(value), self.held.get(&value)) {
                    self.hold(value, Layout::ROWS, Home::Weight(as_rows(constant)));
                }
            }
            let kernel = kernels
                .into_iter()
                .enumerate()
                .filter(|(_, kernel)| self.fits(&kernel.reads, &inputs) && self.fits(&kernel.writes, &outputs))
                .min_by_key(|(i, kernel)| (kernel.rank, self.converted(kernel, &node.inputs, &node.outputs), *i))
                .map(|(_, kernel)| kernel)
                .ok_or_else(|| ErrorKind::Unsupported("no kernel serves".into()).at(node.op.name(), &node.name))?;
            let mut step = PlannedStep { op: node.op.name(), node: node.name.clone(), dispatches: Vec::new() };
            let reads: Vec<Home> = node
                .inputs
                .iter()
                .zip(&kernel.reads)
                .map(|(&value, &layout)| self.converted_to(value, layout, &mut step))
                .collect();
            reads.iter().for_each(|home| self.touch(home));
            if kernel.dispatches.is_empty() {
                // A view: the output is the input's bytes.
                self.hold(node.outputs[0], kernel.writes[0], reads[0].clone());
                if !step.dispatches.is_empty() {
                    self.steps.push(step);
                }
                continue;
            }
            let writes: Vec<Home> = node
                .outputs
                .iter()
                .zip(&kernel.writes)
                .map(|(&value, &layout)| {
                    let output = self.outputs.iter().position(|(_, v)| *v == value);
                    let rows = layout.same_bytes(Layout::ROWS, self.shape(value));
                    let home = match output.filter(|_| rows) {
                        Some(output) => {
                            direct[output] = true;
                            Home::Output(output)
                        }
                        None => self.need(value, layout),
                    };
                    self.hold(value, layout, home.clone());
                    home
                })
                .collect();
            for dispatch in kernel.dispatches {
                let bound = |binding: &Binding| match binding {
                    Binding::Input(i) => {
                        (reads[*i].clone(), false, kernel.reads[*i].bytes(self.shape(node.inputs[*i])).max(16))
                    }
                    Binding::Output(i) => {
                        (writes[*i].clone(), true, kernel.writes[*i].bytes(self.shape(node.outputs[*i])).max(16))
                    }
                    Binding::Weight(packed) => (Home::Weight(packed.clone()), false, packed.bytes()),
                };
                let resources = dispatch.bindings.iter().map(bound).collect();
                step.dispatches.push((dispatch, resources));
            }
            self.steps.push(step);
        }
        Ok(direct)
    }

    /// Outputs that no kernel could write in place: in another layout, inputs or constants themselves, or asked for twice.
    fn copy_outputs(&mut self, graph: &Graph, direct: &[bool]) -> Result<()> {
        for (i, (name, value)) in self.outputs.iter().enumerate().filter(|(i, _)| !direct[*i]) {
            if let (Source::Constant(constant), None) = (graph.source(*value), self.held.get(value)) {
                self.hold(*value, Layout::ROWS, Home::Weight(as_rows(constant)));
            }
            let mut step = PlannedStep { op: "output", node: name.clone(), dispatches: Vec::new() };
            let home = match self.find(*value, Layout::ROWS) {
                Some(home) => Held { layout: Layout::ROWS, home },
                None => self.nearest(*value, Layout::ROWS, &mut step),
            };
            self.touch(&home.home);
            let bytes = home.layout.bytes(self.shape(*value)).max(16);
            let dispatch = convert(self.shape(*value), home.layout, Layout::ROWS);
            let dispatch = dispatch.ok_or_else(|| ErrorKind::Unsupported("this layout of an output".into()))?;
            let resources = vec![(home.home, false, bytes), (Home::Output(i), true, bytes)];
            step.dispatches.push((dispatch, resources));
            // It ends the operation that made the value, rather than being one.
            match self.steps.last_mut().filter(|_| matches!(graph.source(*value), Source::Node(_))) {
                Some(last) => {
                    last.dispatches.extend(step.dispatches);
                    self.retouch();
                }
                None => self.steps.push(step),
            }
        }
        Ok(())
    }

    /// After dispatches were added to the last step: nothing lives longer than it.
    fn retouch(&mut self) {
        let last = self.steps.len() - 1;
        for need in &mut self.needs {
            need.first = need.first.min(last);
            need.last = need.last.min(last);
        }
    }

    /// Whether the device has textures as large as these layouts need.
    fn fits(&self, layouts: &[Layout], shapes: &[Shape]) -> bool {
        layouts.iter().zip(shapes).filter(|(layout, _)| layout.place == Place::Texture).all(|(layout, shape)| {
            let (rows, width) = layout.texels(shape);
            rows.max(width) <= self.caps.max_texture as usize
        })
    }

    /// The bytes that conversions before and after a kernel would move.
    fn converted(&self, kernel: &Kernel, inputs: &[Value], outputs: &[Value]) -> u64 {
        let before = inputs.iter().zip(&kernel.reads).filter(|&(&value, &layout)| self.find(value, layout).is_none());
        let after = outputs.iter().zip(&kernel.writes).filter(|&(value, layout)| {
            self.outputs.iter().any(|(_, v)| v == value) && !layout.same_bytes(Layout::ROWS, self.shape(*value))
        });
        before.chain(after).map(|(&value, layout)| layout.bytes(self.shape(value))).sum()
    }

    /// The value in that layout, converted as part of `step` if it isn't there yet.
    fn converted_to(&mut self, value: Value, layout: Layout, step: &mut PlannedStep) -> Home {
        if let Some(home) = self.find(value, layout) {
            return home;
        }
        let from = self.nearest(value, layout, step);
        self.dispatch_convert(value, from, layout, step)
    }

    /// The value in a layout from which one dispatch leads to `layout`.
    fn nearest(&mut self, value: Value, layout: Layout, step: &mut PlannedStep) -> Held {
        let held = self.held[&value].clone();
        let one_way = |held: &&Held| convert(self.shape(value), held.layout, layout).is_some();
        if let Some(held) = held.iter().find(one_way) {
            return held.clone();
        }
        let home = self.dispatch_convert(value, held[0].clone(), Layout::ROWS, step);
        Held { layout: Layout::ROWS, home }
    }

    fn dispatch_convert(&mut self, value: Value, from: Held, to: Layout, step: &mut PlannedStep) -> Home {
        let shape = self.shape(value).clone();
        let dispatch = convert(&shape, from.layout, to).expect("`nearest` and rows lead everywhere");
        self.touch(&from.home);
        let home = self.need(value, to);
        let resources =
            vec![(from.home, false, from.layout.bytes(&shape).max(16)), (home.clone(), true, to.bytes(&shape).max(16))];
        step.dispatches.push((dispatch, resources));
        self.hold(value, to, home.clone());
        home
    }
}

/// A constant that an operation reads like any other value.
fn as_rows(constant: &crate::Constant) -> Packed {
    let texels = constant.shape().elements().div_ceil(4).max(1);
    let key = format!("rows {} {}", constant.id(), constant.shape());
    let constant = constant.clone();
    let values = move || {
        let mut values = constant.values();
        values.resize(texels * 4, 0.0);
        values
    };
    Packed { key, place: Place::Buffer, texels: (1, texels), values: Arc::new(values) }
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
                        Resource::Slot { slot, write, .. } => write!(f, " {}{slot}", if *write { "->" } else { "s" })?,
                        Resource::Input(i) => write!(f, " in{i}")?,
                        Resource::Output { output, write } => {
                            write!(f, " {}out{output}", if *write { "->" } else { "" })?;
                        }
                        Resource::Weight(_) => f.write_str(" w")?,
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
