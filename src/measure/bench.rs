//! The latency and throughput of a network at one batch size.

use super::{Distribution, Effort};
use crate::error::{ErrorKind, Result};
use crate::plan::Port;
use crate::{DType, Data, Model, Session, seeded_input};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A benchmark of a network at one batch size: see [`Bench::measure`].
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
    creation: Duration,
    first: Duration,
}

/// The figures of one batch size with one number of frames in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The number of frames that are submitted at once.
    pub in_flight: usize,
    /// The time from the inputs in host memory to the outputs in host memory.
    #[serde(rename = "latency_ms")]
    pub latency: Distribution,
    /// Images per second. A frame has as many images as the batch.
    pub throughput: f64,
}

impl Bench {
    /// Creates a session of the model for a batch size and runs a first frame on made-up inputs.
    pub fn new(model: &Model, batch: usize) -> Result<Bench> {
        let start = Instant::now();
        let session = model.session(batch)?;
        let creation = start.elapsed();
        // The session comes first: it refuses a batch that the device can't hold.
        let inputs = session.inputs().iter().map(made_up).collect::<Vec<_>>();
        let start = Instant::now();
        session.run_blocking(&inputs)?;
        Ok(Bench { first: creation + start.elapsed(), creation, session, inputs })
    }

    /// Returns the time of the session's creation and its first frame together. The first session of a model uploads
    /// the weights, and compiles pipelines that a later one may find ready.
    pub fn first(&self) -> Duration {
        self.first
    }

    /// Returns the time of the session's creation: planning, compilation, the upload of weights.
    pub fn creation(&self) -> Duration {
        self.creation
    }

    /// Returns the session that is measured.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Measures frames with up to `in_flight` of them submitted at once, after a warm-up that is a part of the effort.
    ///
    /// With one in flight, a frame is submitted when the outputs before it have arrived. With two, the host prepares a
    /// frame while the device computes another: throughput rises, and latency too, since a frame waits for its turn.
    ///
    /// Returns an error if `in_flight` or the number of frames is 0, or if the device fails.
    pub fn measure(&self, in_flight: usize, effort: Effort) -> Result<Measured> {
        if in_flight == 0 {
            return Err(ErrorKind::argument("in flight", "1 or more", 0).into());
        }
        let mut budget = effort.begin(in_flight);
        let warm_up = budget.warm_up();
        // Each frame in flight has buffers of its own, which its first use creates.
        let (mut times, mut time) = self.frames(in_flight, |_, count, time| count >= in_flight && time >= warm_up)?;
        // If the warm-up has taken all the time, its frames are the result.
        if !budget.left().is_zero() {
            let each = |times: &[Duration], time: Duration| time / times.len().max(1) as u32;
            let enough = |times: &[Duration], count, time| budget.is_enough(times, count, each(times, time));
            (times, time) = self.frames(in_flight, enough)?;
        }
        let images = (times.len() * self.session.plan().batch) as f64;
        let latency = Distribution::new(times).ok_or_else(|| ErrorKind::argument("frames", "1 or more", 0))?;
        Ok(Measured { in_flight, latency, throughput: images / time.as_secs_f64() })
    }

    /// Runs frames until `enough(times, frames measured or in flight, time so far)`. Returns each time, and the total.
    fn frames(
        &self,
        in_flight: usize,
        mut enough: impl FnMut(&[Duration], usize, Duration) -> bool,
    ) -> Result<(Vec<Duration>, Duration)> {
        let start = Instant::now();
        let mut times = Vec::new();
        let mut pending = VecDeque::new();
        let mut done = false;
        loop {
            while !done && pending.len() < in_flight {
                done = enough(&times, times.len() + pending.len(), start.elapsed());
                if !done {
                    pending.push_back((Instant::now(), self.session.submit(&self.inputs)?));
                }
            }
            let Some((submitted, frame)) = pending.pop_front() else { break };
            frame.wait()?;
            times.push(submitted.elapsed());
        }
        Ok((times, start.elapsed()))
    }
}

/// Returns made-up values for an input. Integers lie in the input's range, so that indices exist.
pub(crate) fn made_up(port: &Port) -> Data {
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
