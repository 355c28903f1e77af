//! Device time of whole frames and of their steps, between buffers that stay on the device.

use super::Method;
use super::bench::made_up;
use super::effort::{Budget, Effort};
use crate::dtype::Elements;
use crate::error::{ErrorKind, Result};
use crate::gpu::memory::{buffer, upload};
use crate::gpu::probe::{empty, timed};
use crate::gpu::timestamps::Timestamps;
use crate::session::whole;
use crate::{BoundBuffers, Session};
use std::time::{Duration, Instant};

/// A session with bound buffers, and the method that times it.
pub(crate) struct DeviceTimer<'a> {
    session: &'a Session,
    bound: BoundBuffers,
    timestamps: Option<Timestamps>,
    method: Method,
    note: Option<String>,
    /// The host's time of an empty submission.
    empty: Duration,
    /// The time that a step's repetitions fill, if submissions are timed.
    long: Duration,
    /// The number of repetitions of each step.
    repeats: Vec<usize>,
    /// The frames that checked the timestamps, with the times of their steps.
    checked: Vec<(Duration, Vec<Duration>)>,
}

/// The time that a step's repetitions fill if submissions are timed and the budget allows.
const LONG: Duration = Duration::from_millis(1);

/// The fewest and the most rounds that check timestamps. A round is a frame and its steps.
const ROUNDS: [usize; 2] = [3, 7];

/// The time after which the fewest rounds are enough: beside long frames noise is small.
const CHECKED: Duration = Duration::from_millis(600);

impl<'a> DeviceTimer<'a> {
    /// Warms the device up and chooses the best method that works: timestamps inside a pass, timestamps around passes,
    /// submissions. The effort begins after the first frame.
    pub(crate) fn new(session: &'a Session, effort: Effort) -> Result<(DeviceTimer<'a>, Budget)> {
        let mut timer = DeviceTimer::with(session, Method::Submissions)?;
        let budget = effort.begin(1);
        timer.long = LONG.min(budget.left() / (4 * timer.steps().max(1) as u32));
        timer.choose(&budget)?;
        Ok((timer, budget))
    }

    fn choose(&mut self, budget: &Budget) -> Result<()> {
        let context = self.session.context();
        let (start, warm_up) = (Instant::now(), budget.warm_up());
        let mut frame = Duration::ZERO;
        while start.elapsed() < warm_up {
            frame = self.frame()?;
        }
        self.timestamps = Timestamps::new(context, 2 * self.steps())?;
        if self.timestamps.is_none() {
            self.note = Some("the device has no timestamps".to_owned());
            return Ok(());
        }
        let inside = context.device().features().contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);
        let methods = [Method::TimestampsInsidePass, Method::TimestampsAtPasses];
        let mut doubts = Vec::new();
        for method in methods.into_iter().filter(|&method| inside || method != Method::TimestampsInsidePass) {
            if budget.left() <= frame * 2 * ROUNDS[0] as u32 {
                doubts.push(format!("there was no time to check {method}"));
                break;
            }
            self.method = method;
            match self.doubt(budget.left())? {
                None => return Ok(()),
                Some(doubt) => doubts.push(doubt),
            }
        }
        self.method = Method::Submissions;
        self.checked.clear();
        self.note = Some(doubts.join("; "));
        Ok(())
    }

    /// Creates a timer with this method only; an error if the device lacks timestamps that the method needs.
    pub(crate) fn with(session: &'a Session, method: Method) -> Result<DeviceTimer<'a>> {
        let context = session.context();
        let usage = wgpu::BufferUsages::STORAGE;
        let inputs = session.inputs().iter().map(|port| {
            let mut bytes = made_up(port).view().words().into_owned();
            bytes.resize(port.bytes() as usize, 0);
            upload(context, "input", &bytes, usage)
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let outputs = session.outputs().iter().map(|port| buffer(context, "output", port.bytes(), usage));
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        let bound = session.bind(&whole(&inputs), &whole(&outputs))?;
        let timestamps = match method {
            Method::Submissions => None,
            _ => Timestamps::new(context, 2 * session.plan().steps.len())?,
        };
        let mut timer = DeviceTimer {
            session,
            bound,
            timestamps,
            method,
            note: None,
            empty: Duration::ZERO,
            long: LONG,
            repeats: Vec::new(),
            checked: Vec::new(),
        };
        if method != Method::Submissions && timer.timestamps.is_none() {
            return Err(ErrorKind::Unsupported("timestamps on this device".into()).into());
        }
        // The first run compiles the pipelines that aren't compiled yet.
        timer.submission(|timer, encoder| timer.session.encode(encoder, &timer.bound))?;
        timer.empty = empty(context)?;
        Ok(timer)
    }

    /// Returns the method of timing.
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    /// Returns the reason why a better method isn't used.
    pub(crate) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn steps(&self) -> usize {
        self.session.plan().steps.len()
    }

    /// Takes the frames that checked the timestamps, with the times of their steps: they are as good as any other.
    pub(crate) fn take_checked(&mut self) -> Vec<(Duration, Vec<Duration>)> {
        std::mem::take(&mut self.checked)
    }

    /// Checks the timestamps of this method, in about this time: a frame's must agree with the host's clock, less the
    /// cost of a submission, and its steps' must add up to the frame. Some drivers fail in either, frame after frame;
    /// other work makes only some frames fail. Returns the reason against the timestamps.
    fn doubt(&mut self, time: Duration) -> Result<Option<String>> {
        let start = Instant::now();
        let [least, most] = ROUNDS;
        let (method, mut doubts) = (self.method, Vec::new());
        self.checked.clear();
        while self.checked.len() < least || (self.checked.len() < most && start.elapsed() < time.min(CHECKED)) {
            let (frame, host) = self.stamped_frame()?;
            let each = self.each_step()?;
            let steps: Duration = each.iter().sum();
            if frame > host || host - frame > host / 10 + 4 * self.empty {
                doubts.push(format!("{method} give {frame:.2?} for a frame that takes {host:.2?} by the host's clock"));
            } else if steps.abs_diff(frame) > frame / 20 {
                doubts.push(format!("{method} add up to {steps:.2?} for the steps of a frame that takes {frame:.2?}"));
            }
            self.checked.push((frame, each));
        }
        // Wrong timestamps fail in frame after frame. If a quarter of the frames pass, the others failed by chance.
        let convincing = 4 * doubts.len() > 3 * self.checked.len();
        Ok(doubts.pop().filter(|_| convincing))
    }

    /// Times a frame on the device, with nothing between its steps.
    pub(crate) fn frame(&mut self) -> Result<Duration> {
        if self.method == Method::Submissions {
            let host = self.submission(|timer, encoder| timer.session.encode(encoder, &timer.bound))?;
            return Ok(host.saturating_sub(self.empty));
        }
        Ok(self.stamped_frame()?.0)
    }

    /// Times a frame by its timestamps and by the host's clock.
    fn stamped_frame(&self) -> Result<(Duration, Duration)> {
        let timestamps = self.timestamps.as_ref().expect("the method needs them");
        let host = self.submission(|timer, encoder| {
            timer.session.record(&mut encoder.begin_compute_pass(&timestamps.pass(0)), &timer.bound, 0..timer.steps());
            Ok(())
        })?;
        let times = timestamps.read(2)?;
        Ok((between(times[0], times[1]), host))
    }

    /// Times each step of a frame.
    pub(crate) fn each_step(&mut self) -> Result<Vec<Duration>> {
        let steps = self.steps();
        match self.method {
            Method::TimestampsInsidePass => {
                let timestamps = self.timestamps.as_ref().expect("the method needs them");
                self.submission(|timer, encoder| {
                    let mut pass = encoder.begin_compute_pass(&PASS);
                    for i in 0..=steps {
                        let (set, place) = timestamps.place(i);
                        pass.write_timestamp(set, place);
                        timer.session.record(&mut pass, &timer.bound, i..i + 1);
                    }
                    Ok(())
                })?;
                let times = timestamps.read(steps + 1)?;
                Ok(times.windows(2).map(|pair| between(pair[0], pair[1])).collect())
            }
            Method::TimestampsAtPasses => {
                let timestamps = self.timestamps.as_ref().expect("the method needs them");
                self.submission(|timer, encoder| {
                    for i in 0..steps {
                        let mut pass = encoder.begin_compute_pass(&timestamps.pass(i));
                        timer.session.record(&mut pass, &timer.bound, i..i + 1);
                    }
                    Ok(())
                })?;
                let times = timestamps.read(2 * steps)?;
                Ok(times.chunks(2).map(|pair| between(pair[0], pair[1])).collect())
            }
            Method::Submissions => {
                let mut once = Vec::new();
                if self.repeats.is_empty() {
                    once = (0..steps).map(|i| self.step(i, 1)).collect::<Result<Vec<_>>>()?;
                    let often = |time: &Duration| self.long.as_secs_f64() / time.as_secs_f64().max(1e-5);
                    self.repeats = once.iter().map(|time| (often(time).ceil() as usize).max(1)).collect();
                }
                // A long step that has just been timed needs no second run.
                let time = |i: usize| match (self.repeats[i], once.get(i)) {
                    (1, Some(&time)) => Ok(time),
                    (repeats, _) => self.step(i, repeats),
                };
                (0..steps).map(time).collect()
            }
        }
    }

    /// Times a step that is submitted `repeats` times. Each time it reads the outputs of the steps before.
    fn step(&self, i: usize, repeats: usize) -> Result<Duration> {
        let host = self.submission(|timer, encoder| {
            let mut pass = encoder.begin_compute_pass(&PASS);
            (0..repeats).for_each(|_| timer.session.record(&mut pass, &timer.bound, i..i + 1));
            Ok(())
        })?;
        Ok(host.saturating_sub(self.empty) / repeats as u32)
    }

    /// Returns the host's time of a submission.
    fn submission(&self, record: impl FnOnce(&Self, &mut wgpu::CommandEncoder) -> Result<()>) -> Result<Duration> {
        timed(self.session.context(), |encoder| record(self, encoder))
    }
}

const PASS: wgpu::ComputePassDescriptor<'_> =
    wgpu::ComputePassDescriptor { label: Some("shadernet"), timestamp_writes: None };

/// Returns the time between two timestamps, given in nanoseconds; zero if the second isn't later.
fn between(start: f64, end: f64) -> Duration {
    Duration::from_nanos((end - start).max(0.0) as u64)
}
