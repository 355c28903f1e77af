//! Kernel tuning: the fastest kernel for each problem of a network, measured on the device that runs it.

// Long because it is one measurement in three stages, and its results.

use super::bench::made_up;
use super::device::DeviceTimer;
use super::{Distribution, Effort, Method};
use crate::error::Result;
use crate::gpu::tuned::{self, Tuned};
use crate::graph::only::Only;
use crate::graph::{Graph, Source, Value};
use crate::plan::{Choices, Plan, Variants};
use crate::{Context, DType, Data, Model, Session, Tensor, seeded_input};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The result of timing the [variants](crate::plan::Variants) of a network's kernels: see [`Tuning::measure`].
///
/// ```no_run
/// # fn tune(model: &shadernet::Model, folder: &std::path::Path) -> shadernet::Result<()> {
/// use shadernet::measure::Tuning;
/// let tuning = Tuning::measure(model, 1, Tuning::BUDGET, |stage| println!("{stage}"))?;
/// println!("{}", tuning.verdict);
/// let session = model.session_with(1, &tuning.choices())?; // now
/// tuning.keep(model.context(), folder)?; // and in contexts made with `ContextOptions::cache(folder)`
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// The batch size. Another batch size is another problem.
    pub batch: usize,
    /// The problems with several kernels, in the order in which a frame meets them.
    pub problems: Vec<Problem>,
    /// The number of times that each kernel was timed.
    pub rounds: usize,
    /// The method of timing; `None` if nothing was timed.
    pub method: Option<Method>,
    /// The times of a frame on the device with the default kernels, and with the fastest ones, measured in turn.
    pub frames: Option<[Distribution; 2]>,
    /// The conclusion.
    pub verdict: Outcome,
}

/// A problem with several kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The name that tells it from other problems: see [`Variants::problem`](crate::plan::Variants::problem).
    pub name: String,
    /// The number of steps of a frame that have this problem.
    pub steps: usize,
    /// The kernels, the default one first.
    pub candidates: Vec<Candidate>,
    /// The index of the fastest kernel: 0 unless another one saves more than 3 % of the time.
    pub best: usize,
    variants: Variants,
}

/// A kernel that could solve a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The kernel's [identity](crate::kernel::Kernel::identity).
    pub kernel: String,
    /// The total time of the problem's steps in a frame: the median of the rounds.
    pub time: Option<Duration>,
    /// The reason why it must not be chosen.
    pub refused: Option<String>,
    times: Vec<Duration>,
}

/// The outcome of tuning.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Each step has only one kernel.
    NoChoice,
    /// The time was up before enough was measured.
    Unfinished,
    /// No kernel saves 3 % of the default kernel's time.
    AsItWas,
    /// The network's outputs differ from those with the default kernels.
    Disagrees(String),
    /// The whole frame isn't faster beyond noise.
    WithinNoise,
    /// The whole frame is faster.
    Faster,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::NoChoice => f.write_str("nothing to choose: there is one kernel for each step"),
            Outcome::Unfinished => f.write_str("the time was up before enough was measured: nothing is chosen"),
            Outcome::AsItWas => f.write_str("no kernel gains 3 % over the one that serves by itself: nothing changes"),
            Outcome::Disagrees(how) => {
                write!(f, "the network's outputs aren't what they were ({how}): nothing is chosen")
            }
            Outcome::WithinNoise => f.write_str("the frame as a whole isn't faster beyond noise: nothing is chosen"),
            Outcome::Faster => f.write_str("the frame as a whole is faster: chosen"),
        }
    }
}

/// The fraction of the default kernel's time that another kernel may take at most.
const GAIN: f64 = 0.97;

/// The fewest and the most times that each kernel is timed. A median of fewer says nothing.
const ROUNDS: [usize; 2] = [3, 15];

/// The most pairs of frames that are compared.
const PAIRS: usize = 100;

/// The largest difference that is allowed between outputs, as a fraction of the largest output: for one operation that
/// sums in another order or transforms its input, and for a whole network of such operations.
const ONE: f64 = 1e-4;
const ALL: f64 = 1e-3;

impl Tuning {
    /// A budget that suits most networks on most GPUs.
    pub const BUDGET: Duration = Duration::from_secs(10);

    /// Times the kernels for a model's problems at a batch size, on made-up inputs. `progress` hears of each stage.
    ///
    /// First it runs each kernel on the problem alone: it [refuses](Candidate::refused) one whose outputs differ from
    /// the default kernel's. Then it times the steps in frames of the whole network, with caches as in real use; in
    /// each round every kernel has its turn. It takes kernels that save more than 3 %, and compares the networks with
    /// and without them: their outputs, then their frames, in turn.
    ///
    /// It stops when the budget is spent, between one piece of work and the next. It submits to the context's queue and
    /// blocks this thread. Other work on the device disturbs it.
    pub fn measure(model: &Model, batch: usize, budget: Duration, mut progress: impl FnMut(&str)) -> Result<Tuning> {
        let start = Instant::now();
        let late = |share: f64| start.elapsed() >= budget.mul_f64(share);
        let before = model.session_with(batch, &Choices::new())?;
        let problems = problems(before.plan());
        let mut tuning = Tuning { batch, problems, rounds: 0, method: None, frames: None, verdict: Outcome::NoChoice };
        if tuning.problems.is_empty() {
            return Ok(tuning);
        }
        tuning.verdict = Outcome::Unfinished;
        let inputs: Vec<Data> = before.inputs().iter().map(made_up).collect();
        // This run comes before all others: a network may have states.
        let expected = before.run_blocking(&inputs)?;

        let count = tuning.problems.len();
        for (i, problem) in tuning.problems.iter_mut().enumerate() {
            if late(1.0) {
                return Ok(tuning);
            }
            progress(&format!("numbers of problem {} of {count}: {}", i + 1, problem.name));
            problem.check(model, batch);
        }

        let most = tuning.problems.iter().map(|problem| problem.eligible().count()).max().unwrap_or(1);
        let mut sessions = vec![before];
        for k in 1..most {
            if late(1.0) {
                return Ok(tuning);
            }
            progress(&format!("compiling {} of {most}", k + 1));
            let nth = |problem: &Problem| problem.eligible().nth(k).unwrap_or(0);
            sessions.push(model.session_with(batch, &tuning.choosing(nth))?);
        }
        // A quarter of the remaining time is for the choice of a method.
        let part = Effort::within(budget.saturating_sub(start.elapsed()) / 4);
        let mut timers = vec![DeviceTimer::new(&sessions[0], part)?.0];
        let method = timers[0].method();
        for session in &sessions[1..] {
            timers.push(DeviceTimer::with(session, method)?);
        }
        tuning.method = Some(method);
        // The last 30 % of the budget are for the comparison.
        while tuning.rounds < ROUNDS[0] || (tuning.rounds < ROUNDS[1] && !late(0.7)) {
            progress(&format!("round {}", tuning.rounds + 1));
            for turn in 0..most {
                if late(1.0) {
                    return Ok(tuning);
                }
                let k = (turn + tuning.rounds) % most;
                tuning.note(sessions[k].plan(), &timers[k].each_step()?);
            }
            tuning.rounds += 1;
        }
        tuning.problems.iter_mut().for_each(Problem::choose);
        if tuning.problems.iter().all(|problem| problem.best == 0) {
            tuning.verdict = Outcome::AsItWas;
            return Ok(tuning);
        }

        progress("the network as a whole");
        let after = model.session_with(batch, &tuning.choosing(|problem| problem.best))?;
        let outputs = after.run_blocking(&inputs)?;
        let differs = outputs
            .into_iter()
            .zip(expected)
            .find_map(|(output, expected)| difference(output.data(), expected.data(), ALL));
        if let Some(how) = differs {
            tuning.verdict = Outcome::Disagrees(how);
            return Ok(tuning);
        }
        let mut timer = DeviceTimer::with(&after, method)?;
        let mut pairs = Vec::new();
        while pairs.len() < PAIRS && !late(1.0) {
            // Both networks go first equally often.
            pairs.push(if pairs.len().is_multiple_of(2) {
                let before = timers[0].frame()?;
                (before, timer.frame()?)
            } else {
                let after = timer.frame()?;
                (timers[0].frame()?, after)
            });
        }
        let (before, after): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        tuning.frames = Distribution::new(before).zip(Distribution::new(after)).map(|(before, after)| [before, after]);
        tuning.verdict = if is_faster(&pairs) { Outcome::Faster } else { Outcome::WithinNoise };
        Ok(tuning)
    }

    /// Returns the kernels to choose, for [`Model::session_with`](crate::Model::session_with): none unless the verdict
    /// is [`Outcome::Faster`].
    pub fn choices(&self) -> Choices {
        match self.verdict {
            Outcome::Faster => self.choosing(|problem| problem.best),
            _ => Choices::new(),
        }
    }

    /// Writes the result to a folder, for [`ContextOptions::cache`](crate::ContextOptions::cache). It replaces earlier
    /// results for these problems only. Returns the file; `None` if there was no choice or tuning didn't finish.
    pub fn keep(&self, context: &Context, folder: &Path) -> Result<Option<PathBuf>> {
        if matches!(self.verdict, Outcome::NoChoice | Outcome::Unfinished) {
            return Ok(None);
        }
        let chosen = self.choices();
        let problems = self.problems.iter().map(|problem| {
            let kernel = chosen.get(&problem.name).unwrap_or(&problem.candidates[0].kernel).to_owned();
            let ms = |candidate: &Candidate| candidate.time.map(|time| 1e3 * time.as_secs_f64());
            let ms = problem.candidates.iter().map(|candidate| (candidate.kernel.clone(), ms(candidate))).collect();
            (problem.name.clone(), Tuned { kernel, ms })
        });
        tuned::keep(context.info(), folder, problems.collect()).map(Some)
    }

    fn choosing(&self, which: impl Fn(&Problem) -> usize) -> Choices {
        let pair = |problem: &Problem| (problem.name.clone(), problem.candidates[which(problem)].kernel.clone());
        self.problems.iter().map(pair).collect()
    }

    /// Records the times of a frame's steps, by problem and by the kernel that ran.
    fn note(&mut self, plan: &Plan, steps: &[Duration]) {
        let mut sums: BTreeMap<(&str, usize), Duration> = BTreeMap::new();
        for (step, &time) in plan.steps.iter().zip(steps) {
            if let Some(variants) = &step.variants {
                *sums.entry((&variants.problem, variants.taken)).or_default() += time;
            }
        }
        for problem in &mut self.problems {
            for (kernel, candidate) in problem.candidates.iter_mut().enumerate() {
                candidate.times.extend(sums.get(&(problem.name.as_str(), kernel)));
            }
        }
    }
}

/// Returns the problems of a plan that have several kernels.
fn problems(plan: &Plan) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for variants in plan.steps.iter().filter_map(|step| step.variants.as_ref()) {
        if let Some(known) = problems.iter_mut().find(|problem| problem.name == variants.problem) {
            known.steps += 1;
            continue;
        }
        let candidate =
            |kernel: &String| Candidate { kernel: kernel.clone(), time: None, refused: None, times: Vec::new() };
        let candidates = variants.kernels.iter().map(candidate).collect();
        let name = variants.problem.clone();
        problems.push(Problem { name, steps: 1, candidates, best: 0, variants: variants.clone() });
    }
    problems
}

impl Problem {
    /// Returns the indices of the candidates that aren't refused.
    fn eligible(&self) -> impl Iterator<Item = usize> + use<'_> {
        (0..self.candidates.len()).filter(|&i| self.candidates[i].refused.is_none())
    }

    /// Refuses the candidates that don't run, or that compute something else than the first.
    fn check(&mut self, model: &Model, batch: usize) {
        let places = 0..self.candidates.len();
        // One session compiles all kernels at once. If one of them doesn't compile, each gets a session of its own.
        let mut outputs = match alone(model, batch, &self.variants, &places.clone().collect::<Vec<_>>()) {
            Ok(outputs) => outputs.into_iter().map(Ok).collect(),
            Err(_) => places
                .map(|i| Ok(alone(model, batch, &self.variants, &[i])?.swap_remove(0)))
                .collect::<Vec<Result<Vec<Tensor>>>>(),
        };
        let expected = outputs.remove(0);
        for (candidate, outputs) in self.candidates[1..].iter_mut().zip(outputs) {
            candidate.refused = match (&expected, outputs) {
                (_, Err(error)) => Some(format!("doesn't run: {error}")),
                (Err(error), _) => Some(format!("can't be compared with the first: {error}")),
                (Ok(expected), Ok(outputs)) => outputs
                    .iter()
                    .zip(expected)
                    .find_map(|(output, expected)| difference(output.data(), expected.data(), ONE)),
            };
        }
    }

    /// Computes the medians and picks the best candidate.
    fn choose(&mut self) {
        for candidate in &mut self.candidates {
            candidate.time = Distribution::new(std::mem::take(&mut candidate.times)).map(|times| times.p50);
        }
        let time = |i: usize| self.candidates[i].time.unwrap_or(Duration::MAX);
        let least = self.eligible().min_by_key(|&i| time(i)).unwrap_or(0);
        self.best = if time(least) < time(0).mul_f64(GAIN) { least } else { 0 };
    }
}

/// Runs a step's node alone, on inputs of its own, and returns the outputs of some of its variants. States are inputs
/// here: the parts of a state that a kernel leaves as they were are zero.
fn alone(model: &Model, batch: usize, variants: &Variants, kernels: &[usize]) -> Result<Vec<Vec<Tensor>>> {
    let graph = model.graph(batch)?;
    let shapes = graph.shapes(batch)?;
    let node = &graph.nodes()[variants.node];
    let mut alone = Graph::new();
    let mut own: HashMap<Value, Value> = HashMap::new();
    for (i, &value) in node.inputs.iter().enumerate() {
        own.entry(value).or_insert_with(|| match graph.source(value) {
            Source::Constant(constant) => alone.constant(constant.clone()),
            _ => alone.typed_input(format!("x{i}"), graph.known_dtype(value), shapes[value.index()].clone()),
        });
    }
    let inputs: Vec<Value> = node.inputs.iter().map(|value| own[value]).collect();
    for &kernel in kernels {
        for output in alone.add_node(&node.name, Only::new(&node.op, variants.places[kernel]), &inputs)? {
            let name = format!("{}, output {}", variants.kernels[kernel], alone.outputs().len());
            alone.output(name, output);
        }
    }
    let session: Session = model.with_graph(&alone)?.session_with(1, &Choices::new())?;
    // Each input has different numbers, so that swapped inputs are noticed.
    let made_up = |(i, port)| match made_up(port) {
        Data::F32(_) => Data::F32(seeded_input(i as u64, &port.shape)),
        other => other,
    };
    let inputs: Vec<Data> = session.inputs().iter().enumerate().map(made_up).collect();
    let mut outputs = session.run_blocking(&inputs)?.into_iter();
    Ok(kernels.iter().map(|_| outputs.by_ref().take(node.outputs.len()).collect()).collect())
}

/// Describes the first number that differs by more than the tolerance.
fn difference(got: &Data, expected: &Data, tolerance: f64) -> Option<String> {
    let exact = expected.dtype() != DType::F32;
    let (got, expected) = (got.to_f32(), expected.to_f32());
    let largest = expected.iter().filter(|value| value.is_finite()).fold(0.0, |most: f32, value| most.max(value.abs()));
    let allowed = if exact { 0.0 } else { tolerance * f64::from(largest) };
    let agree = |got: f32, expected: f32| {
        got == expected
            || (got.is_nan() && expected.is_nan())
            || (f64::from(got) - f64::from(expected)).abs() <= allowed && got.is_finite()
    };
    let mut pairs = got.iter().zip(&expected).enumerate();
    let (i, (got, expected)) = pairs.find(|(_, (got, expected))| !agree(**got, **expected))?;
    Some(format!("element {i} is {got} instead of {expected}, with {allowed:.1e} allowed"))
}

/// Returns true if more of the second times are shorter than chance explains: the sign test, with a confidence of 95 %.
fn is_faster(pairs: &[(Duration, Duration)]) -> bool {
    let shorter = pairs.iter().filter(|(before, after)| after < before).count() as f64;
    let count = pairs.len() as f64;
    shorter > (count + 1.96 * count.sqrt()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noise_is_not_faster() {
        let pairs = |shorter: usize, longer: usize| {
            let of = |before, after| (Duration::from_millis(before), Duration::from_millis(after));
            is_faster(&[vec![of(5, 4); shorter], vec![of(5, 6); longer]].concat())
        };
        assert!(pairs(6, 0) && pairs(60, 40) && pairs(100, 0));
        assert!(!pairs(0, 0) && !pairs(3, 0) && !pairs(5, 1) && !pairs(59, 41) && !pairs(0, 100));
        assert!(!is_faster(&[(Duration::ZERO, Duration::ZERO); 100]), "the same time isn't less");
    }

    #[test]
    fn numbers_that_differ_are_seen() {
        let differ = |got: &[f32], expected: &[f32]| {
            difference(&Data::F32(got.to_vec()), &Data::F32(expected.to_vec()), ONE).is_some()
        };
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        assert!(!differ(&[100.0, 0.009], &[100.0, 0.0]) && differ(&[100.0, 0.011], &[100.0, 0.0]));
        assert!(!differ(&[nan, inf], &[nan, inf]) && !differ(&[0.0], &[-0.0]));
        for wrong in [nan, inf, -1.0] {
            assert!(differ(&[1.0, wrong], &[1.0, 1.0]) && differ(&[1.0, 1.0], &[1.0, wrong]), "{wrong}");
        }
        assert!(differ(&[-inf], &[inf]) && differ(&[1e-30], &[0.0]));
        assert!(difference(&Data::I32(vec![10_001]), &Data::I32(vec![10_000]), ONE).is_some());
    }
}
