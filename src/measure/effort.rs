//! The time that a measurement takes.

use super::Distribution;
use crate::error::{ErrorKind, Result};
use std::time::{Duration, Instant};

/// The length of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effort {
    /// This many frames, at least one, without a time limit, after a warm-up of a fifth of a second.
    Frames(usize),
    /// Frames until the 95 % confidence interval of the median is narrower than `interval`, with at least ten times.
    Precision {
        /// The width of the confidence interval as a fraction of the median: 0.02 for 2 %.
        interval: f64,
        /// The time limit. The warm-up and the check of the device's timestamps count; the first frame, in which
        /// drivers compile, does not. No frame begins that won't end in time, except those that are measured in any
        /// case: so the measurement may take a frame or two longer.
        at_most: Duration,
    },
}

impl Default for Effort {
    /// Returns the effort for a median known to 2 %, or for three seconds: `Effort::within(Duration::from_secs(3))`.
    fn default() -> Effort {
        Effort::within(Duration::from_secs(3))
    }
}

impl Effort {
    /// Returns the effort for a median known to 2 %, or as much as fits into this time: see [`Effort::Precision`].
    pub fn within(at_most: Duration) -> Effort {
        Effort::Precision { interval: 0.02, at_most }
    }

    /// Begins the effort. At least `least` frames are measured, even if the time is up.
    pub(crate) fn begin(self, least: usize) -> Budget {
        Budget { effort: self, least, start: Instant::now(), look_at: 10 }
    }
}

/// An effort that has begun.
pub(crate) struct Budget {
    effort: Effort,
    least: usize,
    start: Instant,
    /// The number of times at which the median is next checked: sorting them is not free.
    look_at: usize,
}

/// The time that warms a device up.
const WARM_UP: Duration = Duration::from_millis(200);

impl Budget {
    /// Returns the time that is left.
    pub(crate) fn left(&self) -> Duration {
        match self.effort {
            Effort::Frames(_) => Duration::MAX,
            Effort::Precision { at_most, .. } => at_most.saturating_sub(self.start.elapsed()),
        }
    }

    /// Returns the time for frames that aren't measured.
    pub(crate) fn warm_up(&self) -> Duration {
        WARM_UP.min(self.left() / 5)
    }

    /// Returns true if these times suffice, with `count` frames measured or in flight; one takes about `next`.
    pub(crate) fn is_enough(&mut self, times: &[Duration], count: usize, next: Duration) -> bool {
        let interval = match self.effort {
            Effort::Frames(frames) => return count >= frames,
            Effort::Precision { interval, .. } => interval,
        };
        if count >= self.least && self.left() <= next {
            return true;
        }
        if times.len() < self.look_at {
            return false;
        }
        self.look_at = times.len() + times.len().div_ceil(10);
        Distribution::new(times.to_vec()).is_some_and(|times| times.uncertainty() < interval)
    }

    /// Adds times to the known ones until there are enough.
    pub(crate) fn repeat(
        &mut self,
        known: Vec<Duration>,
        mut next: impl FnMut() -> Result<Duration>,
    ) -> Result<Vec<Duration>> {
        let (start, mut times) = (Instant::now(), known);
        if let Effort::Frames(frames) = self.effort {
            times.truncate(frames);
        }
        let count = times.len();
        while !self.is_enough(&times, times.len(), start.elapsed() / (times.len() - count).max(1) as u32) {
            times.push(next()?);
        }
        if times.is_empty() {
            return Err(ErrorKind::argument("frames", "1 or more", 0).into());
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Takes times of 20 ms each. Returns how many were taken beside the known ones, and how long that took.
    fn taken(effort: Effort, known: &[Duration]) -> (usize, Duration) {
        let start = Instant::now();
        let mut taken = 0;
        let times = effort.begin(1).repeat(known.to_vec(), || {
            std::thread::sleep(20 * MS);
            taken += 1;
            // No two are the same: the median is never known.
            Ok(taken as u32 * MS)
        });
        assert!(times.is_ok_and(|times| times.len() >= taken));
        (taken, start.elapsed())
    }

    #[test]
    fn what_fits_into_the_time_is_measured() {
        // A busy machine sleeps longer.
        let (count, time) = taken(Effort::within(300 * MS), &[]);
        assert!((1..=15).contains(&count) && time < 600 * MS, "{count} in {time:?}");
        // At least one time is taken or known.
        assert_eq!(taken(Effort::within(Duration::ZERO), &[]).0, 1);
        assert_eq!(taken(Effort::within(Duration::ZERO), &[MS]).0, 0);
        // No frame begins that won't end in time.
        let (count, time) = taken(Effort::within(25 * MS), &[]);
        assert!(count == 1, "{count} in {time:?}");
    }

    #[test]
    fn a_number_of_frames_takes_its_time() {
        assert_eq!(taken(Effort::Frames(3), &[]).0, 3);
        assert_eq!(taken(Effort::Frames(3), &[MS; 2]).0, 1);
        assert_eq!(taken(Effort::Frames(3), &[MS; 7]).0, 0);
        for known in [vec![], vec![MS]] {
            assert!(Effort::Frames(0).begin(1).repeat(known, || Ok(MS)).is_err());
        }
    }

    #[test]
    fn a_median_that_is_known_is_enough() {
        let mut budget = Effort::within(1000 * MS).begin(1);
        assert!(!budget.is_enough(&[MS; 9], 9, MS) && budget.is_enough(&[MS; 10], 10, MS));
        let times: Vec<Duration> = (1..=10).map(|i| i * MS).collect();
        assert!(!Effort::within(1000 * MS).begin(1).is_enough(&times, 10, MS));
    }
}
