//! Time on the device: of whole frames and of their steps, between buffers that stay there.

use super::Method;
use super::bench::made_up;
use crate::dtype::Elements;
use crate::error::{ErrorKind, Result};
use crate::gpu::memory::{buffer, upload};
use crate::gpu::probe::{empty, timed};
use crate::gpu::timestamps::Timestamps;
use crate::session::whole;
use crate::{Bound, Session};
use std::time::{Duration, Instant};

/// A session with buffers bound, and a way to time it.
pub(crate) struct DeviceTimer<'a> {
    session: &'a Session,
    bound: Bound,
    timestamps: Option<Timestamps>,
    method: Method,
    note: Option<String>,
    /// The host's time of an empty submission.
    empty: Duration,
    /// How often a step is submitted at once, where submissions are timed.
    repeats: Vec<usize>,
}

/// A step is submitted so often that it takes this long, where submissions are timed.
const LONG: Duration = Duration::from_millis(1);

/// Beside a frame of this length little is noise.
const LONG_FRAME: Duration = Duration::from_millis(100);

impl<'a> DeviceTimer<'a> {
    /// The best way that works here: timestamps inside a pass, timestamps around passes, submissions. Warms the device up.
    pub(crate) fn new(session: &'a Session) -> Result<DeviceTimer<'a>> {
        let features = session.context().device().features();
        let mut timer = DeviceTimer::with(session, Method::Submissions)?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(200) {
            timer.submission(|timer, encoder| timer.session.encode(encoder, &timer.bound))?;
        }
        timer.timestamps = Timestamps::new(session.context(), 2 * timer.steps())?;
        if timer.timestamps.is_none() {
            timer.note = Some("the device has no timestamps".to_owned());
            return Ok(timer);
        }
        let inside = features.contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);
        let methods = [Method::TimestampsInsidePass, Method::TimestampsAtPasses];
        let mut doubts = Vec::new();
        for method in methods.into_iter().filter(|&method| inside || method != Method::TimestampsInsidePass) {
            timer.method = method;
            match timer.doubt()? {
                None => return Ok(timer),
                Some(doubt) => doubts.push(doubt),
            }
        }
        timer.method = Method::Submissions;
        timer.note = Some(doubts.join("; "));
        Ok(timer)
    }

    /// This way and no other.
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
        let mut timer =
            DeviceTimer { session, bound, timestamps, method, note: None, empty: Duration::ZERO, repeats: Vec::new() };
        if method != Method::Submissions && timer.timestamps.is_none() {
            return Err(ErrorKind::Unsupported("timestamps on this device".into()).into());
        }
        // The first run of all compiles what isn't compiled yet.
        timer.submission(|timer, encoder| timer.session.encode(encoder, &timer.bound))?;
        timer.empty = empty(context)?;
        Ok(timer)
    }

    /// How the time is taken.
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    /// Why not in a better way.
    pub(crate) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn steps(&self) -> usize {
        self.session.plan().steps.len()
    }

    /// What speaks against the timestamps of this method: those of a frame must account for what the host's clock sees of it, but
    /// for what a submission costs, and those of its steps must add up to it. Drivers are known that fail in either.
    fn doubt(&mut self) -> Result<Option<String>> {
        let mut seen = [const { Vec::new() }; 3];
        // Of long frames few say enough.
        let often = |host: &[Duration]| if host.first().is_some_and(|&host| host > LONG_FRAME) { 3 } else { 7 };
        while seen[0].len() < often(&seen[0]) {
            let (frame, host) = self.stamped_frame()?;
            let steps = self.each_step()?.into_iter().sum();
            seen.iter_mut().zip([host, frame, steps]).for_each(|(times, time): (&mut Vec<Duration>, _)| times.push(time));
        }
        let [host, frame, steps] = seen.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        });
        let method = self.method;
        Ok(match () {
            () if frame > host || host - frame > host / 10 + 4 * self.empty => {
                Some(format!("{method} give {frame:.2?} for a frame that takes {host:.2?} by the host's clock"))
            }
            () if steps.abs_diff(frame) > frame / 20 => {
                Some(format!("{method} add up to {steps:.2?} for the steps of a frame that takes {frame:.2?}"))
            }
            () => None,
        })
    }

    /// How long a frame takes on the device, with nothing between its steps.
    pub(crate) fn frame(&mut self) -> Result<Duration> {
        if self.method == Method::Submissions {
            let host = self.submission(|timer, encoder| timer.session.encode(encoder, &timer.bound))?;
            return Ok(host.saturating_sub(self.empty));
        }
        Ok(self.stamped_frame()?.0)
    }

    /// A frame by its timestamps and by the host's clock.
    fn stamped_frame(&self) -> Result<(Duration, Duration)> {
        let timestamps = self.timestamps.as_ref().expect("the method needs them");
        let host = self.submission(|timer, encoder| {
            timer.session.record(&mut encoder.begin_compute_pass(&timestamps.pass(0)), &timer.bound, 0..timer.steps());
            Ok(())
        })?;
        let times = timestamps.read(2)?;
        Ok((between(times[0], times[1]), host))
    }

    /// How long each step of a frame takes.
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
                if self.repeats.is_empty() {
                    let once = (0..steps).map(|i| self.step(i, 1)).collect::<Result<Vec<_>>>()?;
                    let often = |time: Duration| LONG.as_secs_f64() / time.as_secs_f64().max(1e-5);
                    self.repeats = once.into_iter().map(|time| (often(time).ceil() as usize).max(1)).collect();
                }
                (0..steps).map(|i| self.step(i, self.repeats[i])).collect()
            }
        }
    }

    /// How long a step takes that is submitted so often. It reads what the steps before have left, each time.
    fn step(&self, i: usize, repeats: usize) -> Result<Duration> {
        let host = self.submission(|timer, encoder| {
            let mut pass = encoder.begin_compute_pass(&PASS);
            (0..repeats).for_each(|_| timer.session.record(&mut pass, &timer.bound, i..i + 1));
            Ok(())
        })?;
        Ok(host.saturating_sub(self.empty) / repeats as u32)
    }

    /// The host's time of a submission.
    fn submission(&self, record: impl FnOnce(&Self, &mut wgpu::CommandEncoder) -> Result<()>) -> Result<Duration> {
        timed(self.session.context(), |encoder| record(self, encoder))
    }
}

const PASS: wgpu::ComputePassDescriptor<'_> =
    wgpu::ComputePassDescriptor { label: Some("shadernet"), timestamp_writes: None };

/// From one timestamp to another, in nanoseconds. One that isn't later than the one before says nothing.
fn between(start: f64, end: f64) -> Duration {
    Duration::from_nanos((end - start).max(0.0) as u64)
}
