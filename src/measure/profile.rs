//! The profile of a frame: device time, step by step.

use super::device::DeviceTimer;
use super::effort::Budget;
use super::{Bound, Distribution, Effort, Floor, Peaks, Unit, ms};
use crate::Session;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The device time of a frame, step by step: see [`Profile::measure`]. [`Display`](std::fmt::Display) gives a table.
///
/// ```no_run
/// # fn profile(session: &shadernet::Session) -> shadernet::Result<()> {
/// use shadernet::measure::{Effort, Peaks, Profile};
/// let peaks = Peaks::measure(session.context())?;
/// println!("{}", Profile::measure(session, &peaks, Effort::default())?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The batch size.
    pub batch: usize,
    /// The method that timed the steps.
    pub method: Method,
    /// The reason why a better method wasn't used.
    pub note: Option<String>,
    /// The number of problems whose kernel was chosen by measurement: see [`Plan::tuned`](crate::plan::Plan::tuned).
    #[serde(default)]
    pub tuned: usize,
    /// The number of frames that were measured step by step. A step's time is the median.
    pub frames: usize,
    /// The time of a whole frame on the device, measured apart from the steps, with nothing between them.
    #[serde(rename = "frame_ms")]
    pub frame: Distribution,
    /// The time of as many empty dispatches as a frame has, as a fraction of the steps' total.
    pub launch_share: f64,
    /// The steps, in order.
    pub steps: Vec<StepTime>,
}

/// A method of measuring device time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Timestamps that the device writes between dispatches inside a pass.
    TimestampsInsidePass,
    /// Timestamps that the device writes at the boundaries of passes.
    TimestampsAtPasses,
    /// The host's clock around submissions, less that of an empty one.
    Submissions,
}

/// A step of the plan: an operation with those fused into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// The name of its node: in a network, the name of its weights.
    pub name: String,
    /// The operation.
    pub op: String,
    /// The number of dispatches.
    pub dispatches: usize,
    /// The median of its times.
    #[serde(rename = "ms", with = "ms")]
    pub time: Duration,
    /// The precision of the time: see [`Distribution::shortest`].
    #[serde(default)]
    pub shortest: Option<[f64; 2]>,
    /// Floating-point operations: two per multiply-accumulate, and the others.
    pub flops: u64,
    /// Bytes that it has to read and write: inputs, weights and outputs, once each, in their stored forms.
    pub bytes: u64,
    /// The unit that it ran on.
    #[serde(default)]
    pub unit: Unit,
    /// The least time that it can take on this device.
    pub floor: Floor,
}

impl StepTime {
    /// Returns the operations per second.
    pub fn flops_per_second(&self) -> f64 {
        self.flops as f64 / self.time.as_secs_f64().max(1e-12)
    }

    /// Returns the bytes per second.
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.time.as_secs_f64().max(1e-12)
    }

    /// Returns the time as a multiple of the floor.
    pub fn times_floor(&self) -> f64 {
        self.time.as_secs_f64() / self.floor.time.as_secs_f64().max(1e-12)
    }

    /// Returns the limit in words, and the unit unless it is the usual one.
    pub(super) fn limit(&self) -> String {
        match self.unit {
            Unit::F32 => self.floor.bound.to_string(),
            Unit::Matrix => format!("{}, matrix units", self.floor.bound),
        }
    }

    /// Returns the intensity in FLOP per byte.
    pub fn intensity(&self) -> f64 {
        self.flops as f64 / (self.bytes as f64).max(1.0)
    }
}

impl Profile {
    /// Times a session's steps on made-up inputs: frame after frame, one as usual, then one step by step.
    ///
    /// It uses the device's best method. If timestamps don't agree with the host's clock, it uses that clock,
    /// and [`Profile::note`] says so. It blocks this thread, submits to the context's queue and reads only timestamps.
    pub fn measure(session: &Session, peaks: &Peaks, effort: Effort) -> Result<Profile> {
        let (timer, budget) = DeviceTimer::new(session, effort)?;
        Profile::timed(timer, session, peaks, budget)
    }

    /// Times a session's steps by this method only; an error if the device doesn't support it.
    pub fn measure_by(session: &Session, method: Method, peaks: &Peaks, effort: Effort) -> Result<Profile> {
        let timer = DeviceTimer::with(session, method)?;
        Profile::timed(timer, session, peaks, effort.begin(1))
    }

    fn timed(mut timer: DeviceTimer, session: &Session, peaks: &Peaks, mut budget: Budget) -> Result<Profile> {
        let plan = session.plan();
        let (frames, mut times): (Vec<_>, Vec<_>) = timer.take_checked().into_iter().unzip();
        let frames = budget.repeat(frames, || {
            let frame = timer.frame()?;
            times.push(timer.each_step()?);
            Ok(frame)
        })?;
        times.truncate(frames.len());
        let frame = Distribution::new(frames).expect("one at least");
        let steps = plan.steps.iter().zip(by_steps(&times)).map(|(step, times)| {
            let unit = if step.matrix_units { Unit::Matrix } else { Unit::F32 };
            StepTime {
                name: step.node.clone(),
                op: step.op.to_owned(),
                dispatches: step.dispatches.len(),
                time: times.p50,
                shortest: times.shortest,
                flops: step.cost.flops(),
                bytes: step.bytes,
                unit,
                floor: peaks.floor(unit, step.cost.flops(), step.bytes, step.dispatches.len()),
            }
        });
        let steps: Vec<StepTime> = steps.collect();
        let total = sum(steps.iter().map(|step| step.time));
        Ok(Profile {
            batch: plan.batch,
            method: timer.method(),
            note: timer.note().map(str::to_owned),
            tuned: plan.tuned(),
            frames: frame.count,
            launch_share: peaks.launch(plan.dispatches()).as_secs_f64() / total.as_secs_f64().max(1e-12),
            frame,
            steps,
        })
    }

    /// Returns the sum of the steps' times.
    pub fn total(&self) -> Duration {
        sum(self.steps.iter().map(|step| step.time))
    }

    /// Returns the sum of the steps' floors.
    pub fn floor(&self) -> Duration {
        sum(self.steps.iter().map(|step| step.floor.time))
    }

    /// Returns the fraction of the total that is spent in steps limited by `bound`.
    pub fn share(&self, bound: Bound) -> f64 {
        let of = sum(self.steps.iter().filter(|step| step.floor.bound == bound).map(|step| step.time));
        of.as_secs_f64() / self.total().as_secs_f64().max(1e-12)
    }
}

/// Returns the median device time of each step of a session, for [`Session::slices`]. Steps are timed as for a
/// [`Profile`], but without whole frames beside them.
///
/// It blocks this thread and submits to the context's queue, as long as the effort says. `Effort::default()` ends when
/// the median of the steps' sum is known to 2 %, or after three seconds, but not before two frames have run (the first
/// one, and one step by step).
pub fn step_times(session: &Session, effort: Effort) -> Result<Vec<Duration>> {
    let (mut timer, mut budget) = DeviceTimer::new(session, effort)?;
    let mut times: Vec<Vec<Duration>> = timer.take_checked().into_iter().map(|(_, steps)| steps).collect();
    let total = |steps: &[Duration]| sum(steps.iter().copied());
    let totals = times.iter().map(|steps| total(steps)).collect();
    budget.repeat(totals, || {
        let steps = timer.each_step()?;
        let total = total(&steps);
        times.push(steps);
        Ok(total)
    })?;
    Ok(by_steps(&times).map(|times| times.p50).collect())
}

/// Returns the distribution of each step's times, from the times of frames.
fn by_steps(frames: &[Vec<Duration>]) -> impl Iterator<Item = Distribution> {
    let steps = frames.first().map_or(0, Vec::len);
    (0..steps).filter_map(|step| Distribution::new(frames.iter().map(|frame| frame[step]).collect()))
}

/// Returns the sum of times. It saturates instead of panicking, since a file may hold any times.
fn sum(times: impl Iterator<Item = Duration>) -> Duration {
    times.fold(Duration::ZERO, Duration::saturating_add)
}
