//! How long a frame takes and how many pass in a second.

use crate::error::{ErrorKind, Result};
use crate::plan::Port;
use crate::{DType, Data, Model, Session, seeded_input};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A network measured at one batch size: see [`Bench::measure`].
///
/// ```no_run
/// # fn bench(model: &shadernet::Model) -> shadernet::Result<()> {
/// use shadernet::measure::{Bench, Effort};
/// let measured = Bench::new(model, 8)?.measure(2, Effort::default())?;
/// println!("{:?}, {} images/s", measured.latency.p50, measured.throughput);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Bench {
    session: Session,
    inputs: Vec<Data>,
    first: Duration,
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// This many frames, at least one.
    Frames(usize),
    /// As many frames as fit into this time, at least five.
    Time(Duration),
}

impl Default for Effort {
    /// Three seconds.
    fn default() -> Effort {
        Effort::Time(Duration::from_secs(3))
    }
}

/// What was measured at one batch size with so many frames in flight.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// How many frames were measured.
    pub frames: usize,
    /// From the inputs in host memory to the outputs in host memory.
    pub latency: Latency,
    /// Images a second: a frame is as many images as the batch.
    pub throughput: f64,
}

/// How long frames took: half of them no longer than `p50`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The shortest.
    pub min: Duration,
}

impl Bench {
    /// Makes a session of the model for a batch and runs a first frame on made-up inputs.
    pub fn new(model: &Model, batch: usize) -> Result<Bench> {
        let start = Instant::now();
        let session = model.session(batch)?;
        let created = start.elapsed();
        // After the session, which refuses a batch that the device can't hold.
        let inputs = session.inputs().iter().map(made_up).collect::<Vec<_>>();
        let start = Instant::now();
        session.run_blocking(&inputs)?;
        Ok(Bench { first: created + start.elapsed(), session, inputs })
    }

    /// How long the session's creation and its first frame took together. The first session of a model uploads the weights,
    /// and compiles pipelines that a later one may find ready.
    pub fn first(&self) -> Duration {
        self.first
    }

    /// The session that is measured.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs frames with up to `in_flight` of them submitted at once, after a warm-up of a fifth of a second.
    ///
    /// With one in flight a frame is submitted when the outputs of the one before have arrived. With two the host prepares a
    /// frame while the device computes another: throughput rises, and a frame's latency with it, since it waits for its turn.
    ///
    /// An error if `in_flight` or the number of frames is 0, or if the device fails.
    pub fn measure(&self, in_flight: usize, effort: Effort) -> Result<Measured> {
        if in_flight == 0 {
            return Err(ErrorKind::argument("in flight", "1 or more", 0).into());
        }
        // Each frame in flight has buffers of its own, which its first use creates.
        self.frames(in_flight, |count, time| count < in_flight || time < Duration::from_millis(200))?;
        let (mut latencies, time) = self.frames(in_flight, |count, time| match effort {
            Effort::Frames(frames) => count < frames,
            Effort::Time(budget) => count < 5 || time < budget,
        })?;
        latencies.sort_unstable();
        let latency = Latency::of(&latencies).ok_or_else(|| ErrorKind::argument("frames", "1 or more", 0))?;
        let images = (latencies.len() * self.session.plan().batch) as f64;
        Ok(Measured { frames: latencies.len(), latency, throughput: images / time.as_secs_f64() })
    }

    /// Runs frames as long as `more(frames so far, time so far)`. Returns how long each took, and all together.
    fn frames(&self, in_flight: usize, more: impl Fn(usize, Duration) -> bool) -> Result<(Vec<Duration>, Duration)> {
        let start = Instant::now();
        let mut latencies = Vec::new();
        let mut pending = VecDeque::new();
        loop {
            while pending.len() < in_flight && more(latencies.len() + pending.len(), start.elapsed()) {
                pending.push_back((Instant::now(), self.session.submit(&self.inputs)?));
            }
            let Some((submitted, frame)) = pending.pop_front() else { break };
            frame.wait()?;
            latencies.push(submitted.elapsed());
        }
        Ok((latencies, start.elapsed()))
    }
}

impl Latency {
    /// Percentiles by the nearest rank: the smallest time that so many hundredths of all don't exceed. None if there are none.
    fn of(sorted: &[Duration]) -> Option<Latency> {
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied();
        Some(Latency { p50: rank(50)?, p90: rank(90)?, p99: rank(99)?, min: *sorted.first()? })
    }
}

/// Values for an input: places that exist where it wants places.
fn made_up(port: &Port) -> Data {
    let values = seeded_input(0, &port.shape);
    match port.dtype {
        DType::F32 => Data::F32(values),
        DType::I32 => {
            let [least, greatest] = port.range.as_ref().map_or([0.0; 2], |(range, _)| range.map(f64::from));
            let within = |value: f32| least + (greatest - least) * (f64::from(value) + 1.0) / 2.0;
            Data::I32(values.into_iter().map(|value| within(value) as i32).collect())
        }
        DType::Bool => Data::Bool(values.iter().map(|&value| value > 0.0).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let of = |count: u64| Latency::of(&(1..=count).map(Duration::from_millis).collect::<Vec<_>>());
        let all = |p50, p90, p99, min| {
            let [p50, p90, p99, min] = [p50, p90, p99, min].map(Duration::from_millis);
            Some(Latency { p50, p90, p99, min })
        };
        assert_eq!(of(0), None);
        assert_eq!(of(1), all(1, 1, 1, 1));
        assert_eq!(of(5), all(3, 5, 5, 1));
        assert_eq!(of(200), all(100, 180, 198, 1));
    }
}
