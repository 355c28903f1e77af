//! Latency and throughput over batch sizes and frames in flight, and the conclusions from them.

use super::device::DeviceTimer;
use super::text::digits;
use super::{Bench, Distribution, Effort, Measured, Method, ms};
use crate::error::{ErrorKind, Result};
use crate::{Model, measure::report::Answer};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A network measured at several batch sizes: see [`Sweep::measure`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The measurements, in ascending order of the batch size.
    pub batches: Vec<AtBatch>,
    /// The longest latency that the user allows for a frame: 99 of 100 frames must keep it.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "latency_bound_ms", with = "ms::option")]
    pub latency_bound: Option<Duration>,
}

/// A network measured at one batch size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtBatch {
    /// The batch size: images per frame.
    pub batch: usize,
    /// The time to create the session: planning, compilation, the upload of weights.
    #[serde(default, rename = "session_ms", with = "ms")]
    pub session: Duration,
    /// The time to create the session and run its first frame.
    #[serde(rename = "first_ms", with = "ms")]
    pub first: Duration,
    /// The number of problems whose kernel was chosen by measurement: see [`Plan::tuned`](crate::plan::Plan::tuned).
    #[serde(default)]
    pub tuned: usize,
    /// The time of a frame on the device alone, without uploads and downloads.
    #[serde(rename = "device_ms")]
    pub device: Distribution,
    /// The method that measured `device`.
    pub device_method: Method,
    /// The measurements, in ascending order of the frames in flight.
    pub in_flight: Vec<Measured>,
}

/// The options of [`Sweep::measure`].
#[derive(Clone, Debug, PartialEq)]
pub struct SweepOptions {
    /// The batch sizes. If empty: 1, 2, 4, .. up to 1024, until the frames exceed the latency bound.
    pub batches: Vec<usize>,
    /// The numbers of frames in flight.
    pub in_flight: Vec<usize>,
    /// The effort of each measurement.
    pub effort: Effort,
    /// The longest latency that is allowed for a frame: 99 of 100 frames must keep it.
    pub latency_bound: Option<Duration>,
}

impl Default for SweepOptions {
    /// Returns the options for one image per frame, with one and two frames in flight.
    fn default() -> SweepOptions {
        SweepOptions { batches: vec![1], in_flight: vec![1, 2], effort: Effort::default(), latency_bound: None }
    }
}

/// The largest batch size that the search for the best one tries.
const MOST: usize = 1024;

impl Sweep {
    /// Measures a model at each batch with each number of frames in flight. `progress` hears of each in advance.
    ///
    /// Returns an error if there is nothing to measure, or if the device can't hold a batch that the options name.
    pub fn measure(model: &Model, options: &SweepOptions, mut progress: impl FnMut(&str)) -> Result<Sweep> {
        let sorted = |numbers: &[usize]| {
            let mut numbers = numbers.to_vec();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        let (batches, in_flight) = (sorted(&options.batches), sorted(&options.in_flight));
        if in_flight.is_empty() {
            return Err(ErrorKind::argument("in flight", "at least one number", "none").into());
        }
        let mut sweep = Sweep { batches: Vec::new(), latency_bound: options.latency_bound };
        for &batch in &batches {
            sweep.batches.push(AtBatch::measure(model, batch, &in_flight, options.effort, &mut progress)?);
        }
        if !batches.is_empty() {
            return Ok(sweep);
        }
        let bound = options.latency_bound;
        let bound = bound.ok_or_else(|| ErrorKind::argument("batches", "some, or a latency bound", "none"))?;
        let mut batch = 1;
        while batch <= MOST {
            match AtBatch::measure(model, batch, &in_flight, options.effort, &mut progress) {
                Ok(measured) => {
                    let all_late = measured.in_flight.iter().all(|measured| measured.latency.p99 > bound);
                    sweep.batches.push(measured);
                    if all_late {
                        break;
                    }
                }
                // The device can't hold this batch: the search ends with the one before.
                Err(error) if batch > 1 && matches!(error.kind, ErrorKind::Limit { .. }) => break,
                Err(error) => return Err(error),
            }
            batch *= 2;
        }
        Ok(sweep)
    }

    /// Returns each batch size with each number of frames in flight.
    pub fn rows(&self) -> impl Iterator<Item = (&AtBatch, &Measured)> {
        self.batches.iter().flat_map(|at| at.in_flight.iter().map(move |measured| (at, measured)))
    }

    /// Returns the row of the highest throughput at which 99 of 100 frames keep the [bound](Sweep::latency_bound).
    pub fn best(&self) -> Option<(&AtBatch, &Measured)> {
        let keeps = |measured: &Measured| self.latency_bound.is_none_or(|bound| measured.latency.p99 <= bound);
        let allowed = self.rows().filter(|(_, measured)| keeps(measured));
        allowed.max_by(|(_, a), (_, b)| a.throughput.total_cmp(&b.throughput))
    }

    /// Answers the questions of MIT's lecture on efficient deep learning (6.5940, lecture 2): does a higher throughput
    /// mean a lower latency, and a lower latency a higher throughput? Also names the best batch under the bound.
    pub fn answers(&self) -> Vec<Answer> {
        let latency = |row: &(&AtBatch, &Measured)| row.1.latency.p50;
        let fastest = self.rows().max_by(|a, b| a.1.throughput.total_cmp(&b.1.throughput));
        let quickest = self.rows().min_by_key(latency);
        let mut answers = Vec::new();
        let mut answer = |question: &str, answer| answers.push(Answer { question: question.to_owned(), answer });
        if let (Some(fastest), Some(quickest), true) = (fastest, quickest, self.rows().count() > 1) {
            let more = fastest.1.throughput / quickest.1.throughput;
            let longer = latency(&fastest).as_secs_f64() / latency(&quickest).as_secs_f64();
            let [most, least] = [fastest, quickest].map(|row| describe(&row));
            let same = more < 1.02 || longer < 1.02;
            answer(
                "Does higher throughput mean lower latency?",
                if same {
                    format!("Here it does: {least} has the lowest latency, and no other has a throughput 2 % higher.")
                } else {
                    format!(
                        "No: {most} has {more:.2} times the throughput of {least}, and {longer:.2} times the latency."
                    )
                },
            );
            answer(
                "Does lower latency mean higher throughput?",
                if same {
                    format!("Here it does: nothing that was measured beats {least} in either.")
                } else {
                    format!(
                        "Not by itself: {least} has the lowest latency and {:.0} % of the best throughput. {}",
                        100.0 / more,
                        self.why()
                    )
                },
            );
        }
        if let Some(bound) = self.latency_bound {
            let question = format!("What is the best batch if a frame may take {:.1} ms?", 1e3 * bound.as_secs_f64());
            answer(
                &question,
                match self.best() {
                    Some(best) => format!("{}: 99 of 100 frames keep the bound.", describe(&best)),
                    None => "None that was measured keeps the bound.".to_owned(),
                },
            );
        }
        answers
    }

    /// Explains the gain of batches and frames in flight: the device's time per image, and its share of a frame.
    fn why(&self) -> String {
        let (Some(first), Some(last)) = (self.batches.first(), self.batches.last()) else { return String::new() };
        let each = |at: &AtBatch| 1e3 * at.device.p50.as_secs_f64() / at.batch as f64;
        let mut why = String::new();
        if let Some(one) = first.in_flight.iter().find(|measured| measured.in_flight == 1) {
            let share = 100.0 * first.device.p50.as_secs_f64() / one.latency.p50.as_secs_f64();
            let batch = first.batch;
            why = if share < 99.0 {
                format!(
                    "With one frame of {batch} in flight the device computes {share:.0} % of the time, and waits for the host in the rest"
                )
            } else {
                format!("With one frame of {batch} in flight the device is busy all the time already")
            };
        }
        if last.batch > first.batch {
            let (least, most) = (each(first), each(last));
            let separator = if why.is_empty() { "" } else { "; " };
            why += &format!(
                "{separator}an image takes it {} ms in a batch of {} and {} ms in one of {}",
                digits(least),
                first.batch,
                digits(most),
                last.batch
            );
        }
        if why.is_empty() { why } else { why + "." }
    }
}

/// Describes a row in words.
fn describe((at, measured): &(&AtBatch, &Measured)) -> String {
    let latency = 1e3 * measured.latency.p50.as_secs_f64();
    let (batch, frames) = (at.batch, measured.in_flight);
    format!("batch {batch} with {frames} in flight ({} images/s, {} ms)", digits(measured.throughput), digits(latency))
}

impl AtBatch {
    fn measure(
        model: &Model,
        batch: usize,
        in_flight: &[usize],
        effort: Effort,
        progress: &mut impl FnMut(&str),
    ) -> Result<AtBatch> {
        if batch == 0 {
            return Err(ErrorKind::argument("batch", "1 or more", 0).into());
        }
        progress(&format!("batch {batch}: first frame"));
        let bench = Bench::new(model, batch)?;
        progress(&format!("batch {batch}: the device alone"));
        let (mut timer, mut budget) = DeviceTimer::new(bench.session(), effort)?;
        let known = timer.take_checked().into_iter().map(|(frame, _)| frame).collect();
        let device = Distribution::new(budget.repeat(known, || timer.frame())?).expect("one at least");
        let each = |&frames: &usize| {
            progress(&format!("batch {batch}, {frames} in flight"));
            bench.measure(frames, effort)
        };
        Ok(AtBatch {
            batch,
            session: bench.creation(),
            first: bench.first(),
            tuned: bench.session().plan().tuned(),
            device,
            device_method: timer.method(),
            in_flight: in_flight.iter().map(each).collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(in_flight: usize, latency: u64, throughput: f64) -> Measured {
        let latency = Distribution::new(vec![Duration::from_millis(latency)]).expect("one");
        Measured { in_flight, latency, throughput }
    }

    fn sweep(rows: &[(usize, usize, u64, f64)]) -> Sweep {
        let at = |&(batch, in_flight, latency, throughput): &(usize, usize, u64, f64)| AtBatch {
            batch,
            session: Duration::ZERO,
            first: Duration::from_millis(1),
            tuned: 0,
            device: Distribution::new(vec![Duration::from_millis(latency / 2)]).expect("one"),
            device_method: Method::Submissions,
            in_flight: vec![measured(in_flight, latency, throughput)],
        };
        Sweep { batches: rows.iter().map(at).collect(), latency_bound: None }
    }

    #[test]
    fn the_best_batch_keeps_the_bound() {
        let mut sweep = sweep(&[(1, 1, 10, 100.0), (4, 1, 20, 200.0), (16, 1, 60, 266.0)]);
        let best = |sweep: &Sweep| sweep.best().map(|(at, _)| at.batch);
        assert_eq!(best(&sweep), Some(16));
        for (bound, batch) in [(60, Some(16)), (59, Some(4)), (19, Some(1)), (9, None)] {
            sweep.latency_bound = Some(Duration::from_millis(bound));
            assert_eq!(best(&sweep), batch, "{bound} ms");
            let said = &sweep.answers().pop().expect("the question of the bound").answer;
            assert_eq!(said.starts_with("None"), batch.is_none(), "{said}");
        }
    }

    #[test]
    fn the_answers_rest_on_the_figures() {
        let said = |rows| sweep(rows).answers().into_iter().map(|answer| answer.answer).collect::<Vec<_>>();
        let trade = said(&[(1, 1, 10, 100.0), (16, 1, 40, 400.0)]);
        assert!(trade[0].starts_with("No: batch 16") && trade[0].contains("4.00 times the throughput"), "{trade:?}");
        assert!(trade[1].contains("25 % of the best") && trade[1].contains("computes 50 %"), "{trade:?}");
        let together = said(&[(1, 1, 10, 100.0), (16, 1, 160, 100.0)]);
        assert!(together.iter().all(|answer| answer.starts_with("Here")), "{together:?}");
        assert_eq!(said(&[(1, 1, 10, 100.0)]).len(), 0);
    }
}
