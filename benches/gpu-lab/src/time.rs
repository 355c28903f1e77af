//! A model of the time of each dispatch, from what a compiler made of its kernel. No GPU has confirmed it: it orders
//! dispatches by how far they are from their floors, and tells what holds them up.
//!
//! Per unit: its workgroups issue their instructions, 128 invocations' in a cycle; those that it holds at once wait for
//! loads together. The turns of a loop are those of the operation's multiply-adds, or of its bytes.

use crate::Result;
use crate::assembly::{Loop, Program};
use crate::driver::{Compiled, Driver};
use crate::spirv::Module;
use shadernet::kernel::{Caps, Dispatch};
use shadernet::plan::{Plan, Resource, Step};
use shadernet::{Graph, Weights, models};
use std::collections::BTreeMap;

/// A machine's published figures, and latencies that others measured.
pub struct Machine {
    pub name: &'static str,
    units: f64,
    hertz: f64,
    /// Bytes of memory in a second.
    memory: f64,
    /// The invocations of a subgroup, and the subgroup slots that the driver's count of waves stands for.
    subgroup: f64,
    slots: f64,
}

/// RX 7900 XTX (2 SIMDs a unit) and RTX 3090.
pub const MACHINES: [Machine; 2] = [
    Machine { name: "navi31", units: 96.0, hertz: 2.4e9, memory: 960e9, subgroup: 64.0, slots: 1.0 },
    Machine { name: "ga102", units: 82.0, hertz: 1.7e9, memory: 936e9, subgroup: 32.0, slots: 1.0 },
];

/// The cycles of a load that misses the first cache.
const LOAD: f64 = 700.0;
/// The cycles between a workgroup's start and its first load, and after its last store.
const ENDS: f64 = 800.0;
/// The seconds between two dispatches of which one waits for the other.
const LAUNCH: f64 = 3e-6;
/// The invocations whose instructions a unit issues in a cycle.
const LANES: f64 = 128.0;

/// A dispatch's modelled time, in seconds.
#[derive(Clone, Copy)]
struct Time {
    issue: f64,
    latency: f64,
    memory: f64,
    /// The time of its multiply-adds or of its bytes at the machine's peaks.
    floor: f64,
    workgroups: f64,
    turns: f64,
}

impl Time {
    fn seconds(&self) -> f64 {
        self.issue.max(self.latency).max(self.memory)
    }

    fn bound(&self) -> &'static str {
        let all = [(self.issue, "issue"), (self.latency, "latency"), (self.memory, "memory")];
        all.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are three").1
    }
}

/// Returns the dispatches of four networks whose modelled time is over five times their floor, and the sums, as a table.
pub fn table(machine: &Machine, driver: &Driver, caps: &Caps) -> Result<String> {
    let mut text = format!("# {}: {}, by the model of benches/gpu-lab/src/time.rs\n", machine.name, driver.version());
    let mut rows = String::new();
    let mut compiled = BTreeMap::new();
    for (name, batch, graph) in graphs()? {
        let plan = Plan::new(&graph, batch, caps)?;
        let mut slow: BTreeMap<(String, String), (usize, Time)> = BTreeMap::new();
        let (mut count, mut sum, mut floors) = (0, 0.0, 0.0);
        for step in &plan.steps {
            for (dispatch, resources) in &step.dispatches {
                let kernel = dispatch.shader.to_string();
                if !compiled.contains_key(&kernel) {
                    let module = Module::new(&dispatch.shader)?;
                    compiled.insert(kernel.clone(), (driver.compile(&module)?, module.invocations));
                }
                let (made, invocations) = &compiled[&kernel];
                let time = machine.time(&plan, step, dispatch, resources, made, f64::from(*invocations));
                (count, sum, floors) = (count + 1, sum + time.seconds(), floors + time.floor);
                if time.seconds() > 5.0 * time.floor {
                    let key = (kernel, format!("{} {:.0} {:.0}", step.op, time.workgroups, time.turns));
                    slow.entry(key).or_insert((0, time)).0 += 1;
                }
            }
        }
        text.push_str(&format!(
            "# {name} at batch {batch}: {count} dispatches, {:.3} ms, and {:.3} ms between them; floor {:.3} ms\n",
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
                "{name}\t{batch}\t{count}\t{name_of}\t{constants}\t{place}\t{:.1}\t{:.2}\t{}\n",
                1e6 * time.seconds(),
                1e6 * time.floor,
                time.bound()
            ));
        }
    }
    text.push_str("network\tbatch\tcount\tkernel\tconstants\toperation\tworkgroups\tturns\tmicroseconds\tfloor\tbound\n");
    Ok(text + &rows)
}

/// Returns the networks, each with its name and batch.
fn graphs() -> Result<Vec<(&'static str, usize, Graph)>> {
    let mut graphs = Vec::new();
    for name in ["resnet50", "mobilenet_v2", "vit_b_16"] {
        let graph = models::find(name)?.graph(&Weights::seeded(0), None)?.fused();
        graphs.push((name, 1, graph));
    }
    let text = models::shakespeare()?;
    graphs.push(("decoder", 1, text.decoder.next(&text.weights, 1)?.fused()));
    Ok(graphs)
}

impl Machine {
    fn time(
        &self,
        plan: &Plan,
        step: &Step,
        dispatch: &Dispatch,
        resources: &[Resource],
        compiled: &Compiled,
        invocations: f64,
    ) -> Time {
        let counts = Program::read(&compiled.texts).expect("these drivers print assembly").counts();
        let statistic = |names: &[&str]| {
            let found = compiled.statistics.iter().find(|(name, _)| names.contains(&name.as_str()));
            found.map_or(1.0, |&(_, value)| value as f64)
        };
        let workgroups: f64 = dispatch.workgroups.iter().map(|&count| f64::from(count)).product();
        let all = workgroups * invocations;
        let (read, written) = bytes(plan, resources);
        // What only adds partial sums has no multiply-adds of its own.
        let macs = if dispatch.shader.name().ends_with("_join") { 0.0 } else { step.cost.macs as f64 };
        let macs = macs * share(step, dispatch);
        let (body, turns) = match (counts.main_loop, counts.loading_loop) {
            (Some(body), _) if macs > 0.0 => {
                let turns = macs / (all * f64::from(body.multiply_adds));
                (body, gemm_turns(dispatch).unwrap_or(turns.ceil()))
            }
            (_, Some(body)) => (body, (read / (all * f64::from(body.loads) * 16.0)).ceil()),
            _ => (Loop::default(), 0.0),
        };
        let instructions = statistic(&["Instructions", "Instruction count"]);
        let straight = instructions - f64::from(body.instructions);
        let issued = straight + turns * f64::from(body.instructions);
        let subgroups = (invocations / self.subgroup).ceil();
        let held = (statistic(&["Subgroups per SIMD"]) * 2.0 * self.slots).max(statistic(&["Max warps/SM"]));
        let each = (workgroups / self.units).ceil();
        let resident = (held / subgroups).floor().clamp(1.0, each);
        // A subgroup issues an instruction in a cycle; in these loops, loads run beside the arithmetic.
        let alone = f64::from(body.instructions) * (subgroups * self.subgroup / LANES).max(1.0);
        let turn = if body.loads > 0 { alone.max(LOAD) } else { alone };
        let latency = ENDS + straight + LOAD * f64::from(counts.lone_waits.min(8) + 1) + turns * turn;
        let memory = (read + written) / self.memory;
        let peak = 2.0 * LANES * self.units * self.hertz;
        let flops = 2.0 * macs + if macs > 0.0 { 0.0 } else { step.cost.other as f64 };
        Time {
            issue: each * invocations * issued / LANES / self.hertz,
            latency: (each / resident).ceil() * latency / self.hertz,
            memory,
            floor: memory.max(flops / peak),
            workgroups,
            turns,
        }
    }
}

/// Returns the turns of gemm.wgsl's loop over k.
fn gemm_turns(dispatch: &Dispatch) -> Option<f64> {
    let name = dispatch.shader.to_string();
    let constants = name.strip_prefix("gemm ")?;
    let tile_k: u32 = constants.split(' ').find_map(|constant| constant.strip_prefix("TILE_K=")?.parse().ok())?;
    let member = |name: &str| {
        let at = dispatch.members().iter().find(|member| member.name == name)?.offset as usize;
        Some(u32::from_ne_bytes(dispatch.params[at..at + 4].try_into().ok()?))
    };
    Some(f64::from(member("share4")?.min(member("k4")?).div_ceil(tile_k / 4)))
}

/// Returns a dispatch's share of its step's multiply-adds: those of dispatches of the same kernel are alike.
fn share(step: &Step, dispatch: &Dispatch) -> f64 {
    let name = dispatch.shader.name();
    let alike = step.dispatches.iter().filter(|(other, _)| other.shader.name() == name).count();
    1.0 / alike as f64
}

/// Returns the bytes that a dispatch may read and write: those of its bindings, each once.
fn bytes(plan: &Plan, resources: &[Resource]) -> (f64, f64) {
    let (mut read, mut written) = (0, 0);
    for resource in resources {
        let (bytes, write) = match resource {
            Resource::Slot { bytes, write, .. } => (*bytes, *write),
            Resource::Input(input) => (plan.inputs[*input].bytes(), false),
            Resource::Output { output, write } => (plan.outputs[*output].bytes(), *write),
            Resource::State { state, write } => (plan.states[*state].bytes(), *write),
            Resource::Weight(packed) => (packed.bytes(), false),
        };
        *(if write { &mut written } else { &mut read }) += bytes;
    }
    (read as f64, written as f64)
}
