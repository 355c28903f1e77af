//! The planner, from a graph to a plan: kernels, layouts and memory.

// Long because it is one state machine: every method reads or changes the values and slots of the plan in the making.

mod checks;
mod outputs;
mod precision;
mod states;
mod sums;
mod whole;

use super::join::schedule;
use super::memory::{self, Location, Need, SlotKind};
use super::{Choices, Plan, Port, Resource, Step, Variants};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io};
use crate::graph::{Graph, Kept, Node, Value};
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Precision, Prepacked, Scalar, Storage};
use crate::ops::convert::convert;
use crate::ops::is_ours;
use crate::{DType, Shape};
use std::collections::{BTreeMap, HashMap};
use sums::Sum;
use whole::Whole;

impl Plan {
    /// Plans a graph for a batch on such a device, without fusing it. [`Graph::fused`] comes first, once for all
    /// batches: a [`Model`](crate::Model) calls it.
    pub fn new(graph: &Graph, batch: usize, caps: &Caps) -> Result<Plan> {
        Plan::with_choices(graph, batch, caps, &Choices::new())
    }

    /// Plans a graph with kernels that somebody has chosen among equals. Whatever depends on the graph's layouts stays
    /// the planner's choice.
    pub fn with_choices(graph: &Graph, batch: usize, caps: &Caps, choices: &Choices) -> Result<Plan> {
        Plan::with_precision(graph, batch, caps, choices, graph.precision().on(caps))
    }

    /// Plans a graph with its numbers stored so, wherever kernels can access them so. The others take the
    /// [graph's](Graph::precision) precision, and `F32` for a device that can't convert `f16`.
    pub fn with_precision(
        graph: &Graph,
        batch: usize,
        caps: &Caps,
        choices: &Choices,
        precision: Precision,
    ) -> Result<Plan> {
        Plan::with_unfit(graph, batch, caps, choices, precision, &|_| false)
    }

    /// Plans a graph with the weights that are `unfit` for `f16`s, among those in this form, stored as `f32`s.
    pub(crate) fn with_unfit(
        graph: &Graph,
        batch: usize,
        caps: &Caps,
        choices: &Choices,
        precision: Precision,
        unfit: &dyn Fn(&Prepacked) -> bool,
    ) -> Result<Plan> {
        if precision != Precision::F32 && !caps.packs_f16 {
            let why =
                format!("precision {precision}: this device can't convert f16 (DownlevelFlags::SHADER_F16_IN_F32)");
            return Err(ErrorKind::Unsupported(why).into());
        }
        checks::outputs(graph)?;
        let shapes = graph.shapes(batch)?;
        // This check precedes computations from sizes that no device holds.
        graph.inputs().iter().try_for_each(|input| {
            super::check_binding(
                &format!("input \"{}\"", input.name),
                Layout::ROWS.bytes(&shapes[input.value.index()]),
                caps,
            )
        })?;
        let mut planner = Planner {
            graph,
            caps,
            choices,
            precision,
            unfit,
            parameters: 0,
            shapes: &shapes,
            readers: HashMap::new(),
            held: HashMap::new(),
            holders: Vec::new(),
            needs: Vec::new(),
            steps: Vec::new(),
            written: vec![false; graph.outputs().len()],
            updated: vec![false; graph.states().len()],
            unread: HashMap::new(),
            sums: Vec::new(),
            ranges: HashMap::new(),
        };
        let parameters = graph.nodes().iter().map(|node| graph.known_cost(node).parameters);
        planner.parameters = parameters.fold(0, u64::saturating_add);
        for (i, input) in graph.inputs().iter().enumerate() {
            planner.hold(input.value, Layout::ROWS, Home::Input(i));
        }
        for (i, node) in graph.nodes().iter().enumerate() {
            for &value in &node.inputs {
                let readers = planner.readers.entry(value).or_default();
                if readers.last() != Some(&i) {
                    readers.push(i);
                }
            }
        }
        let updates = graph.updates().iter().map(|(_, value)| value);
        for &value in graph.nodes().iter().flat_map(|node| &node.inputs).chain(updates) {
            *planner.unread.entry(value).or_default() += 1;
        }
        for (i, state) in graph.states().iter().enumerate() {
            planner.hold(state.value, Layout::ROWS, Home::State(i));
        }
        planner.check_updates()?;
        if batch == 0 {
            planner.nothing()?;
        } else {
            for (nodes, kernels) in schedule(graph, &shapes, caps) {
                planner.step(&nodes, kernels)?;
            }
            planner.remaining_outputs()?;
            planner.remaining_updates()?;
        }

        let sums: Vec<(usize, usize)> = planner.sums.iter().map(|sum| (sum.residual, sum.output)).collect();
        let packing = memory::assign(&planner.needs, &planner.apart(), &sums, caps.max_buffer);
        let values = planner.overwrite(&packing.locations);
        let locations = packing.locations;
        let resource = |Use { home, write, kind }| match home {
            Home::Input(input) => Resource::Input(input),
            Home::Output(output) => Resource::Output { output, write },
            Home::State(state) => Resource::State { state, write },
            Home::Weight(packed) => Resource::Weight(packed),
            Home::Slot(need) => {
                let Location { slot, offset } = locations[need];
                Resource::Slot { slot, offset, bytes: kind.bytes(), write }
            }
        };
        let steps = planner.steps.into_iter().map(|step| {
            let bound = |(dispatch, uses): (Dispatch, Vec<Use>)| (dispatch, uses.into_iter().map(resource).collect());
            let dispatches = step.dispatches.into_iter().map(bound).collect();
            let PlannedStep { op, node, cost, bytes, matrix_units, variants, .. } = step;
            Step { op, node, cost, bytes, matrix_units, variants, dispatches }
        });
        let port = |name: &str, value: Value| Port {
            name: name.into(),
            shape: shapes[value.index()].clone(),
            dtype: graph.known_dtype(value),
            range: planner.ranges.get(&value).cloned(),
        };
        let plan = Plan {
            batch,
            precision,
            inputs: graph.inputs().iter().map(|input| port(&input.name, input.value)).collect(),
            outputs: graph.outputs().iter().map(|(name, value)| port(name, *value)).collect(),
            states: graph.states().iter().map(|state| port(&state.name, state.value)).collect(),
            steps: steps.collect(),
            values,
            slots: packing.slots,
        };
        plan.check_limits(caps)?;
        Ok(plan)
    }
}

/// The memory that holds a value.
#[derive(Clone, Debug)]
enum Home {
    Input(usize),
    Output(usize),
    State(usize),
    Weight(Prepacked),
    /// An index into the needs: its slot is known at the end.
    Slot(usize),
}

/// A value in one layout.
#[derive(Clone, Debug)]
struct Held {
    layout: Layout,
    home: Home,
}

/// The memory that a binding will be bound to.
#[derive(Clone)]
struct Use {
    home: Home,
    write: bool,
    /// The kind and size of memory that the dispatch relies on.
    kind: SlotKind,
}

struct PlannedStep {
    op: &'static str,
    node: String,
    cost: Cost,
    bytes: u64,
    matrix_units: bool,
    variants: Option<Variants>,
    dispatches: Vec<(Dispatch, Vec<Use>)>,
}

impl PlannedStep {
    /// Returns a step that copies an existing value.
    fn copy(op: &'static str, node: String, cost: Cost) -> PlannedStep {
        let bytes = cost.moves.unwrap_or_default().saturating_mul(4);
        PlannedStep { op, node, cost, bytes, matrix_units: false, variants: None, dispatches: Vec::new() }
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    caps: &'a Caps,
    choices: &'a Choices,
    /// The stored form of values' numbers, where kernels support it.
    precision: Precision,
    /// Says which weights no `f16`s hold.
    unfit: &'a dyn Fn(&Prepacked) -> bool,
    /// The learned numbers of all operations.
    parameters: u64,
    shapes: &'a [Shape],
    /// The nodes that read each value.
    readers: HashMap<Value, Vec<usize>>,
    /// The layouts in which each value exists so far.
    held: HashMap<Value, Vec<Held>>,
    /// The values that lie in each need.
    holders: Vec<Vec<Value>>,
    needs: Vec<Need>,
    steps: Vec<PlannedStep>,
    /// For each output, true if it has been written.
    written: Vec<bool>,
    /// For each state, true if it holds its new content.
    updated: Vec<bool>,
    /// The number of reads of each value that aren't planned yet: by nodes, and by updates of states.
    unread: HashMap<Value, usize>,
    /// The outputs that may overwrite their residuals.
    sums: Vec<Sum>,
    /// The ranges of the integers that inputs may hold, each with the operation that requires it.
    ranges: HashMap<Value, ([i32; 2], String)>,
}

impl Planner<'_> {
    /// Plans a node, or several nodes that these kernels compute in one step.
    fn step(&mut self, numbers: &[usize], joined: Option<Vec<Kernel>>) -> Result<()> {
        let Whole { node, op, cost, bytes, read, written } = self.whole(numbers);
        node.inputs.iter().for_each(|&value| self.hold_constant(value));
        let of = |values: &[Value]| values.iter().map(|&v| self.shape(v).clone()).collect::<Vec<_>>();
        let (inputs, outputs) = (of(&node.inputs), of(&node.outputs));
        let io = Io { inputs: &inputs, outputs: &outputs, dtypes: &self.graph.input_dtypes(&node) };
        let alone = joined.is_none();
        let kernels = joined.map_or_else(|| node.op.kernels(&io, self.caps), Ok);
        let mut kernels = kernels.map_err(|kind| kind.at(node.op.name(), &node.name))?;
        if self.precision != Precision::F32 {
            kernels = kernels.iter().flat_map(|kernel| self.stored(kernel, &node, &cost)).collect();
        }
        checks::ends(&kernels, self.caps).map_err(|kind| kind.at(node.op.name(), &node.name))?;
        let best = kernels
            .iter()
            .enumerate()
            .filter(|(_, kernel)| kernel.ends_on(self.caps) && self.allows(kernel, &node))
            .filter(|(_, kernel)| self.fits(&kernel.reads, &node.inputs) && self.fits(&kernel.writes, &node.outputs))
            .min_by_key(|(i, kernel)| (kernel.priority, self.wide(kernel, &node), self.converted(kernel, &node), *i))
            .map(|(i, _)| i)
            .ok_or_else(|| ErrorKind::Unsupported("no kernel serves".into()).at(node.op.name(), &node.name))?;
        // A view has no shader, so that no kernel with dispatches is its variant.
        let key = |kernel: &Kernel| {
            (kernel.priority, kernel.reads.clone(), kernel.writes.clone(), kernel.dispatches.is_empty())
        };
        let serves = |i: &usize| {
            let kernel = &kernels[*i];
            kernel.ends_on(self.caps) && self.allows(kernel, &node) && key(kernel) == key(&kernels[best])
        };
        let places = (best..kernels.len()).filter(serves);
        let variants =
            Variants::new(numbers[0], (node.op.name(), &io), &kernels, places, self.choices).filter(|_| alone);
        let kernel = kernels[variants.as_ref().map_or(best, |variants| variants.places[variants.taken])].clone();
        checks::kernel(&kernel, &node).map_err(|kind| kind.at(node.op.name(), &node.name))?;
        kernel.ranges.iter().for_each(|&(input, range)| self.narrow(node.inputs[input], range, &node));
        // The first of the joined operations has given the kernels.
        let ours = is_ours(&*node.op);

        let name = node.name.clone();
        let (bytes, matrix_units) = (self.moved(&kernel, &node, (bytes, &read), &cost), kernel.rounds_operands);
        let mut step = PlannedStep { op, node: name, cost, bytes, matrix_units, variants, dispatches: Vec::new() };
        let mut reads: Vec<Home> = node
            .inputs
            .iter()
            .zip(&kernel.reads)
            .map(|(&value, &layout)| self.read(value, layout, &mut step).home)
            .collect();
        if kernel.dispatches.is_empty() {
            self.hold(node.outputs[0], kernel.writes[0], reads[0].clone());
        } else {
            let writes: Vec<Home> = match kernel.updated() {
                Some(input) => vec![self.write_over((&node, &kernel, input), &mut reads, &mut step)],
                None => {
                    let each = node.outputs.iter().zip(&kernel.writes);
                    each.map(|(&value, &layout)| self.write(value, layout, &reads)).collect()
                }
            };
            self.sums.extend(self.sum(&kernel, &reads, &writes[0]));
            let scratch = self.scratch(&kernel);
            for mut dispatch in kernel.dispatches {
                if !ours {
                    dispatch.shader = dispatch.shader.guarded();
                }
                let bound = |binding: &Binding| match binding {
                    Binding::Input(i) | Binding::Residual(i) => {
                        self.used(&reads[*i], false, node.inputs[*i], kernel.reads[*i])
                    }
                    Binding::Update(_) => self.used(&writes[0], true, node.outputs[0], kernel.writes[0]),
                    Binding::Output(i) => self.used(&writes[*i], true, node.outputs[*i], kernel.writes[*i]),
                    Binding::Weight(packed) => {
                        Use { home: Home::Weight(packed.clone()), write: false, kind: checks::held(packed) }
                    }
                    &Binding::Scratch { index, bytes, write } => {
                        Use { home: scratch[&index].clone(), write, kind: SlotKind::Buffer(bytes.max(16)) }
                    }
                };
                let uses = dispatch.bindings.iter().map(bound).collect();
                step.dispatches.push((dispatch, uses));
            }
        }
        for &value in &node.outputs {
            self.write_outputs(value, &mut step);
        }
        // A copied view moves its elements after all.
        if step.bytes == 0 {
            step.bytes = written.saturating_mul(kernel.writes[0].scalar.bytes() + Scalar::F32.bytes());
        }
        self.push(step)
    }

    /// Returns true if the model's precision allows the kernel for a node.
    fn allows(&self, kernel: &Kernel, node: &Node) -> bool {
        !kernel.rounds_operands || (self.precision != Precision::F32 && self.kept(node) != Some(Kept::Weights))
    }

    fn shape(&self, value: Value) -> &Shape {
        &self.shapes[value.index()]
    }

    /// Restricts the integers of a value to the range that a node accepts.
    fn narrow(&mut self, value: Value, [least, greatest]: [i32; 2], node: &Node) {
        let of = format!("{} \"{}\"", node.op.name(), node.name);
        let known = self.ranges.entry(value).or_insert(([i32::MIN, i32::MAX], String::new()));
        if least > known.0[0] || greatest < known.0[1] {
            *known = ([least.max(known.0[0]), greatest.min(known.0[1])], of);
        }
    }

    fn hold(&mut self, value: Value, layout: Layout, home: Home) {
        if let Home::Slot(need) = home {
            self.holders[need].push(value);
        }
        self.held.entry(value).or_default().push(Held { layout, home });
    }

    fn find(&self, value: Value, layout: Layout) -> Option<&Held> {
        let same = |held: &&Held| held.layout.serves_as(layout, self.shape(value));
        self.held.get(&value)?.iter().find(same)
    }

    fn used(&self, home: &Home, write: bool, value: Value, layout: Layout) -> Use {
        Use { home: home.clone(), write, kind: self.kind(value, layout) }
    }

    /// Returns true if textures can be as large as these layouts need. Only `f32`s may have another layout than rows.
    fn fits(&self, layouts: &[Layout], values: &[Value]) -> bool {
        layouts.iter().zip(values).all(|(&layout, &value)| {
            layout.fits(self.shape(value), self.caps)
                && (layout == Layout::ROWS || self.graph.known_dtype(value) == DType::F32)
        })
    }

    /// Returns the bytes that conversions before and after a kernel would move.
    fn converted(&self, kernel: &Kernel, node: &Node) -> u64 {
        let before =
            node.inputs.iter().zip(&kernel.reads).filter(|&(&value, &layout)| self.find(value, layout).is_none());
        let after = node.outputs.iter().zip(&kernel.writes).filter(|&(value, layout)| {
            (self.output(*value).is_some() || self.states(*value).next().is_some())
                && !layout.serves_as(Layout::ROWS, self.shape(*value))
        });
        before.chain(after).map(|(&value, layout)| layout.bytes(self.shape(value))).sum()
    }

    /// Returns memory for a value that the step being planned writes: the caller's (output in rows), a state's, or new.
    fn write(&mut self, value: Value, layout: Layout, reads: &[Home]) -> Home {
        let rows = layout.serves_as(Layout::ROWS, self.shape(value));
        let home = match (self.output(value), self.free_state(value, reads)) {
            (Some(output), _) if rows => {
                self.written[output] = true;
                Home::Output(output)
            }
            (None, Some(state)) if rows => {
                self.set_updated(state, value);
                Home::State(state)
            }
            _ => self.need(value, layout),
        };
        self.hold(value, layout, home.clone());
        home
    }

    /// Returns new memory for a value that the step being planned writes.
    fn need(&mut self, value: Value, layout: Layout) -> Home {
        self.slot(self.kind(value, layout))
    }

    /// Returns the kind and size of memory that a value in a layout takes.
    fn kind(&self, value: Value, layout: Layout) -> SlotKind {
        let (rows, width) = layout.texels(self.shape(value));
        match layout.storage {
            // A texel at least: bindings can't be empty.
            Storage::Buffer => SlotKind::Buffer(layout.bytes(self.shape(value)).max(4 * layout.scalar.bytes())),
            Storage::Texture => SlotKind::Texture(width as u32, rows as u32, layout.scalar),
        }
    }

    /// Returns buffers for data that the kernel's dispatches pass to each other, by their index.
    fn scratch(&mut self, kernel: &Kernel) -> BTreeMap<usize, Home> {
        let mut sizes = BTreeMap::new();
        for binding in kernel.dispatches.iter().flat_map(|dispatch| &dispatch.bindings) {
            if let &Binding::Scratch { index, bytes, .. } = binding {
                let size = sizes.entry(index).or_insert(16);
                *size = bytes.max(*size);
            }
        }
        sizes.into_iter().map(|(index, bytes)| (index, self.slot(SlotKind::Buffer(bytes)))).collect()
    }

    /// Returns each need that a dispatch writes, paired with the other needs that the dispatch binds.
    fn apart(&self) -> Vec<(usize, usize)> {
        let mut apart = Vec::new();
        for (_, uses) in self.steps.iter().flat_map(|step| &step.dispatches) {
            let needs = uses.iter().filter_map(|used| match used.home {
                Home::Slot(need) => Some((need, used.write)),
                _ => None,
            });
            let needs: Vec<(usize, bool)> = needs.collect();
            for &(written, _) in needs.iter().filter(|(_, write)| *write) {
                apart.extend(needs.iter().filter(|(other, _)| *other != written).map(|&(other, _)| (written, other)));
            }
        }
        apart
    }

    /// Returns memory that is alive from the step being planned on.
    fn slot(&mut self, kind: SlotKind) -> Home {
        let step = self.steps.len();
        self.needs.push(Need { kind, first: step, last: step });
        self.holders.push(Vec::new());
        Home::Slot(self.needs.len() - 1)
    }

    /// Returns the value in a layout, for the step being planned, which converts it if necessary.
    fn read(&mut self, value: Value, layout: Layout, step: &mut PlannedStep) -> Held {
        let held = match self.find(value, layout) {
            // The result has the requested layout: a layout of the same bytes may have other conversions.
            Some(held) => Held { layout, home: held.home.clone() },
            None => {
                let start = match self.nearest(value, layout) {
                    Some(held) => held.clone(),
                    // A conversion between two orders of texels goes through rows.
                    None => self.read(value, Layout::ROWS, step),
                };
                let start = self.touch(start);
                let home = self.need(value, layout);
                self.convert(value, &start, Held { layout, home: home.clone() }, step);
                self.hold(value, layout, home.clone());
                Held { layout, home }
            }
        };
        self.touch(held)
    }

    /// Returns what one dispatch converts to a layout of the value.
    fn nearest(&self, value: Value, layout: Layout) -> Option<&Held> {
        let one_way = |held: &&Held| convert(self.shape(value), held.layout, layout).is_some();
        self.held.get(&value)?.iter().find(one_way)
    }

    /// Notes that the step being planned uses this memory.
    fn touch(&mut self, held: Held) -> Held {
        if let Home::Slot(need) = held.home {
            self.needs[need].last = self.steps.len();
        }
        held
    }

    fn convert(&self, value: Value, from: &Held, to: Held, step: &mut PlannedStep) {
        let dispatch = convert(self.shape(value), from.layout, to.layout);
        let dispatch = dispatch.expect("rows lead to every layout and back, and so does each layout to itself");
        let uses = vec![self.used(&from.home, false, value, from.layout), self.used(&to.home, true, value, to.layout)];
        step.dispatches.push((dispatch, uses));
    }
}
