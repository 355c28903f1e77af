//! The time that a measurement takes.

use super::Distribution;
use crate::error::{ErrorKind, Result};
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effort {
    /// This many frames, at least one, as long as they take, after a warm-up of a fifth of a second.
    Frames(usize),
    /// Until the median is known: its 95 % confidence interval is narrower than this part of it, and there are at least ten times.
    Precision {
        /// 0.02 for 2 %.
        interval: f64,
        /// The time after which to be content with what there is. The warm-up and the check of the device's timestamps count. Not so
        /// the first frame, in which drivers compile. No other is begun that won't end in time, but for one that is measured at
        /// least: so it all takes a frame or two longer.
        at_most: Duration,
    },
}

impl Default for Effort {
    /// A median known to 2 %, or as much as fits into three seconds: `Effort::within(Duration::from_secs(3))`.
    fn default() -> Effort {
        Effort::within(Duration::from_secs(3))
    }
}

impl Effort {
    /// A median known to 2 %, or as much as fits into this time: see [`Effort::Precision`].
    pub fn within(at_most: Duration) -> Effort {
        Effort::Precision { interval: 0.02, at_most }
    }

    /// Begins it. Where the time is up early, at least so many frames are measured.
    pub(crate) fn begin(self, least: usize) -> Budget {
        Budget { effort: self, least, start: Instant::now(), look_at: 10 }
    }
}

/// An effort that has begun.
pub(crate) struct Budget {
    effort: Effort,
    least: usize,
    start: Instant,
    /// The number of times that is looked at next: sorting them is not free.
    look_at: usize,
}

/// A device is warm after this time.
const WARM_UP: Duration = Duration::from_millis(200);

impl Budget {
    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        match self.effort {
            Effort::Frames(_) => Duration::MAX,
            Effort::Precision { at_most, .. } => at_most.saturating_sub(self.start.elapsed()),
        }
    }

    /// The time to run frames that aren't measured.
    pub(crate) fn warm_up(&self) -> Duration {
        WARM_UP.min(self.left() / 5)
    }

    /// Whether these times suffice, with so many measured or under way, where the next one takes about as long as `next`.
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
        Distribution::of(times.to_vec()).is_some_and(|times| times.uncertainty() < interval)
    }

    /// Takes times until there are enough, beside those that are known.
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

    /// Times of 20 ms each: how many were taken beside those that are known, and how long that took.
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
        // There is always one, of those that are known too.
        assert_eq!(taken(Effort::within(Duration::ZERO), &[]).0, 1);
        assert_eq!(taken(Effort::within(Duration::ZERO), &[MS]).0, 0);
        // Nothing is begun that won't end in time.
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
