//! A model of the time of each dispatch, from what a compiler made of its kernel. No GPU has confirmed it: it orders
//! dispatches by how far they are from their floors, and tells what holds them up.
//!
//! Per unit: its workgroups issue their instructions, 128 invocations' in a cycle; those that it holds at once wait for
//! loads together. The turns of a loop are those of the operation's multiply-adds, or of its bytes.

use crate::Result;
use crate::assembly::{Counts, Loop, Program};
use crate::driver::{Compiled, Driver};
use crate::spirv::Module;
use shadernet::kernel::{Caps, Dispatch};
use shadernet::plan::{Plan, Resource, Step};
use shadernet::{Graph, Weights, models};
use std::collections::BTreeMap;

/// A machine's published figures.
pub struct Machine {
    pub name: &'static str,
    units: f64,
    hertz: f64,
    /// Bytes of memory in a second.
    memory: f64,
    /// The bytes of workgroup memory of a unit.
    shared: f64,
    /// The invocations of a subgroup.
    subgroup: f64,
    /// The driver's statistic of the subgroups held at once, and how many of that a unit has.
    waves: (&'static str, f64),
    /// The driver's statistic of a program's instructions.
    instructions: &'static str,
}

/// RX 7900 XTX and RTX 3090.
pub const MACHINES: [Machine; 2] = [
    Machine {
        name: "navi31",
        units: 96.0,
        hertz: 2.4e9,
        memory: 960e9,
        shared: 65_536.0,
        subgroup: 64.0,
        waves: ("Subgroups per SIMD", 2.0),
        instructions: "Instructions",
    },
    Machine {
        name: "ga102",
        units: 82.0,
        hertz: 1.7e9,
        memory: 936e9,
        shared: 102_400.0,
        subgroup: 32.0,
        waves: ("Max warps/SM", 1.0),
        instructions: "Instruction count",
    },
];

// The constants that src/ops/gemm/model.rs has too are equal there.

/// The cycles of a load that misses the first cache, and of the barriers around it.
const LOAD: f64 = 800.0;
/// The waits for single loads that count at most: more lie in branches of which one is taken.
const WAITS: u32 = 8;
/// The cycles before a workgroup's first load and after its last store.
const ENDS: f64 = 1500.0;
/// The seconds between two dispatches of which one waits for the other.
const LAUNCH: f64 = 3e-6;
/// The cycles of a product of 16x16x16 in a matrix unit: a quarter of a unit, or half of one, does 128 or 256 operations in one.
const MATRIX: f64 = 32.0;
/// The invocations whose instructions a unit issues in a cycle.
const LANES: f64 = 128.0;

/// A dispatch's modelled time, in seconds.
#[derive(Clone, Copy)]
pub struct Time {
    issue: f64,
    latency: f64,
    memory: f64,
    /// The time of its multiply-adds or of its bytes at the machine's peaks.
    floor: f64,
    workgroups: f64,
    turns: f64,
}

impl Time {
    /// Returns the modelled time.
    pub fn seconds(&self) -> f64 {
        self.issue.max(self.latency).max(self.memory)
    }

    /// Returns the time at the machine's peaks.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Returns what holds the dispatch up.
    pub fn bound(&self) -> &'static str {
        let all = [(self.issue, "issue"), (self.latency, "latency"), (self.memory, "memory")];
        all.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are three").1
    }
}

/// Returns the dispatches of four networks at batch 1 whose modelled time is over five times their floor, and the sums, as a table.
pub fn table(machine: &Machine, driver: &Driver, caps: &Caps) -> Result<String> {
    let mut text = format!("# {}: {}, by the model of benches/gpu-lab/src/time.rs\n", machine.name, driver.version());
    let mut rows = String::new();
    let mut compiled = BTreeMap::new();
    for (name, graph) in graphs()? {
        let plan = Plan::new(&graph, 1, caps)?;
        let mut slow: BTreeMap<(String, String), (usize, Time)> = BTreeMap::new();
        let (mut count, mut sum, mut floors) = (0, 0.0, 0.0);
        for step in &plan.steps {
            for (dispatch, resources) in &step.dispatches {
                let kernel = dispatch.shader.to_string();
                if !compiled.contains_key(&kernel) {
                    let module = Module::new(&dispatch.shader)?;
                    let made = machine.read(&module, &driver.compile(&module)?);
                    compiled.insert(kernel.clone(), made.map_err(|error| format!("{kernel}: {error}"))?);
                }
                let time = machine.time(&plan, step, (dispatch, resources), &compiled[&kernel])?;
                (count, sum, floors) = (count + 1, sum + time.seconds(), floors + time.floor);
                if time.seconds() > 5.0 * time.floor {
                    let key = (kernel, format!("{} {:.0} {:.0}", step.op, time.workgroups, time.turns));
                    slow.entry(key).or_insert((0, time)).0 += 1;
                }
            }
        }
        text.push_str(&format!(
            "# {name} at batch 1: {count} dispatches, {:.3} ms, and {:.3} ms between them; floor {:.3} ms\n",
            1e3 * sum,
            1e3 * LAUNCH * f64::from(count),
            1e3 * floors
        ));
        let mut slow: Vec<_> = slow.into_iter().collect();
        slow.sort_by(|(_, (n, a)), (_, (m, b))| (*m as f64 * b.seconds()).total_cmp(&(*n as f64 * a.seconds())));
        for ((kernel, place), (count, time)) in slow {
            let (name_of, constants) = kernel.split_once(' ').unwrap_or((&kernel, ""));
            let place = place.replace(' ', "\t");
            rows.push_str(&format!(
                "{name}\t{count}\t{name_of}\t{constants}\t{place}\t{:.1}\t{:.2}\t{}\n",
                1e6 * time.seconds(),
                1e6 * time.floor,
                time.bound()
            ));
        }
    }
    text.push_str("network\tcount\tkernel\tconstants\toperation\tworkgroups\tturns\tmicroseconds\tfloor\tbound\n");
    Ok(text + &rows)
}

/// Returns the networks by their names.
fn graphs() -> Result<Vec<(&'static str, Graph)>> {
    let mut graphs = Vec::new();
    for name in ["resnet50", "mobilenet_v2", "vit_b_16"] {
        let graph = models::find(name)?.graph(&Weights::seeded(0), None)?.fused();
        graphs.push((name, graph));
    }
    let text = models::shakespeare()?;
    graphs.push(("decoder", text.decoder.next(&text.weights, 1)?.fused()));
    Ok(graphs)
}

/// What a compiler made of a kernel.
pub struct Made {
    counts: Counts,
    instructions: f64,
    /// The invocations of a workgroup, their subgroups, and the workgroups that a unit holds at once.
    invocations: f64,
    subgroups: f64,
    held: f64,
}

impl Machine {
    /// Returns the operations of a unit in a cycle.
    fn peak(&self, matrices: bool) -> f64 {
        if matrices { 512.0 } else { 2.0 * LANES }
    }

    /// Returns what a compiler made of a kernel.
    pub fn read(&self, module: &Module, compiled: &Compiled) -> Result<Made> {
        let statistic = |wanted: &str| -> Result<f64> {
            let found = compiled.statistics.iter().find(|(name, _)| name == wanted);
            Ok(found.ok_or_else(|| format!("the driver doesn't tell `{wanted}`"))?.1 as f64)
        };
        let program = Program::read(&compiled.texts).ok_or("the driver prints no assembly")?;
        let invocations = f64::from(module.invocations);
        let subgroups = (invocations / self.subgroup).ceil();
        let by_registers = (statistic(self.waves.0)? * self.waves.1 / subgroups).floor();
        let by_memory = (self.shared / f64::from(module.workgroup_memory.max(1))).floor();
        let held = by_registers.min(by_memory).max(1.0);
        let instructions = statistic(self.instructions)?;
        Ok(Made { counts: program.counts(), instructions, invocations, subgroups, held })
    }

    /// Returns the time of a dispatch.
    pub fn time(
        &self,
        plan: &Plan,
        step: &Step,
        (dispatch, resources): (&Dispatch, &[Resource]),
        made: &Made,
    ) -> Result<Time> {
        let workgroups: f64 = dispatch.workgroups.iter().map(|&count| f64::from(count)).product();
        let all = workgroups * made.invocations;
        let (read, written) = bytes(plan, resources);
        // What only adds partial sums has no multiply-adds of its own.
        let adds = dispatch.shader.name().ends_with("_join");
        let macs = if adds { 0.0 } else { step.cost.macs as f64 * share(step, dispatch) };
        let (body, turns) = match (made.counts.main_loop, made.counts.loading_loop) {
            (Some(body), _) if macs > 0.0 => {
                let turns = macs / (all * f64::from(body.multiply_adds));
                (body, turns_over_k(dispatch)?.unwrap_or(turns.ceil()))
            }
            (_, Some(body)) => (body, (read / (all * f64::from(body.loaded_bits) / 8.0)).ceil()),
            _ => (Loop::default(), 0.0),
        };
        // The products of matrix units take longer than other instructions.
        let each_turn = f64::from(body.instructions) + (MATRIX - 1.0) * f64::from(body.matrices);
        let straight = made.instructions - f64::from(body.instructions);
        let issued = straight + turns * each_turn;
        let each = (workgroups / self.units).ceil();
        // A subgroup issues an instruction in a cycle; in these loops, loads run beside the arithmetic.
        let alone = each_turn * (made.subgroups * self.subgroup / LANES).max(1.0);
        let turn = if body.loaded_bits > 0 { alone.max(LOAD) } else { alone };
        let waits = f64::from(made.counts.lone_waits.min(WAITS) + 1);
        let latency = ENDS + straight + LOAD * waits + turns * turn;
        let memory = (read + written) / self.memory;
        let operations = if macs > 0.0 { 2.0 * macs } else { step.cost.other as f64 };
        Ok(Time {
            issue: each * made.invocations * issued / LANES / self.hertz,
            latency: (each / made.held).ceil() * latency / self.hertz,
            memory,
            floor: memory.max(operations / (self.peak(body.matrices > 0) * self.units * self.hertz)),
            workgroups,
            turns,
        })
    }
}

/// Returns the turns of the loop over k, of kernels that pad it.
fn turns_over_k(dispatch: &Dispatch) -> Result<Option<f64>> {
    let kernel = dispatch.shader.to_string();
    let constant = |name: &str| -> Result<u32> {
        let value = kernel.split(' ').find_map(|constant| constant.strip_prefix(name)?.strip_prefix('='));
        Ok(value.ok_or_else(|| format!("{kernel} has no constant {name}"))?.parse()?)
    };
    let member = |name: &str| -> Result<u32> {
        let found = dispatch.members().iter().find(|member| member.name == name);
        let at = found.ok_or_else(|| format!("{kernel} has no parameter {name}"))?.offset as usize;
        Ok(u32::from_ne_bytes(dispatch.params[at..at + 4].try_into()?))
    };
    let (texels, step) = match dispatch.shader.name() {
        "gemm" => (member("share4")?.min(member("k4")?), constant("TILE_K")? / 4),
        // 64 of k at a time, to which the channels under a tap are padded.
        "gemm_matrix" => (member("taps")? * member("span4")?.next_multiple_of(16), 16),
        "separable" => (member("in4")?, 4 * constant("SLICES")?),
        _ => return Ok(None),
    };
    Ok(Some(f64::from(texels.div_ceil(step))))
}

/// Returns a dispatch's share of its step's multiply-adds: those of dispatches of the same kernel are alike.
fn share(step: &Step, dispatch: &Dispatch) -> f64 {
    let name = dispatch.shader.name();
    let alike = step.dispatches.iter().filter(|(other, _)| other.shader.name() == name).count();
    1.0 / alike as f64
}

/// Returns the bytes that a dispatch may read and write: those of its resources, each once.
pub fn bytes(plan: &Plan, resources: &[Resource]) -> (f64, f64) {
    let sizes = resources.iter().map(|resource| match resource {
        Resource::Slot { slot, offset, bytes, write } => (format!("slot {slot} {offset}"), *bytes, *write),
        Resource::Input(input) => (format!("input {input}"), plan.inputs[*input].bytes(), false),
        Resource::Output { output, write } => (format!("output {output}"), plan.outputs[*output].bytes(), *write),
        Resource::State { state, write } => (format!("state {state}"), plan.states[*state].bytes(), *write),
        Resource::Weight(packed) => (format!("{:?} {:?}", packed.key, packed.texels), packed.bytes(), false),
    });
    let each: BTreeMap<(String, bool), u64> = sizes.map(|(name, bytes, write)| ((name, write), bytes)).collect();
    let sum =
        |wanted: bool| each.iter().filter(|((_, write), _)| *write == wanted).map(|(_, bytes)| *bytes as f64).sum();
    (sum(false), sum(true))
}
