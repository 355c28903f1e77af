//! The distribution of repeated times.

use super::ms;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The distribution of measured times, as far as anybody wants to know it.
///
/// Percentiles are by the nearest rank: half of the times are no longer than `p50`, 99 of 100 no longer than `p99`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// The number of times.
    pub count: usize,
    /// The shortest time.
    #[serde(with = "ms")]
    pub min: Duration,
    /// The median.
    #[serde(with = "ms")]
    pub p50: Duration,
    /// The 90th percentile.
    #[serde(with = "ms")]
    pub p90: Duration,
    /// The 99th percentile.
    #[serde(with = "ms")]
    pub p99: Duration,
    /// The longest time.
    #[serde(with = "ms")]
    pub max: Duration,
    /// The mean.
    #[serde(with = "ms")]
    pub mean: Duration,
    /// The standard deviation of a sample, with `count - 1`.
    #[serde(with = "ms")]
    pub std_dev: Duration,
    /// The 95 % confidence interval of the median. For fewer than six times it is their whole range.
    #[serde(with = "ms::pair")]
    pub median_interval: [Duration; 2],
    /// The mean of the three shortest times of each half (even and odd positions), as a fraction of the median. Their
    /// difference shows their precision. `None` for fewer than two times, and in reports of older versions.
    #[serde(default)]
    pub shortest: Option<[f64; 2]>,
    /// The number of times in each of [`Distribution::BINS`] equal parts of the range from the shortest to the longest.
    pub histogram: Vec<usize>,
}

impl Distribution {
    /// The number of bins of the histogram.
    pub const BINS: usize = 24;

    /// Returns the distribution of these times, in the order in which they were taken; `None` if there are none.
    pub fn new(mut times: Vec<Duration>) -> Option<Distribution> {
        let halves = [0, 1].map(|first| shortest(times.iter().skip(first).step_by(2).copied().collect()));
        times.sort_unstable();
        let (count, &min, &max) = (times.len(), times.first()?, times.last()?);
        let rank = |percent: usize| times[(count * percent).div_ceil(100) - 1];
        let seconds = || times.iter().map(Duration::as_secs_f64);
        let mean = seconds().sum::<f64>() / count as f64;
        let squares = seconds().map(|time| (time - mean).powi(2)).sum::<f64>();
        let mut histogram = vec![0; Distribution::BINS];
        for time in &times {
            let place = (*time - min).as_secs_f64() / (max - min).as_secs_f64().max(1e-12);
            histogram[((place * Distribution::BINS as f64) as usize).min(Distribution::BINS - 1)] += 1;
        }
        Some(Distribution {
            count,
            min,
            p50: rank(50),
            p90: rank(90),
            p99: rank(99),
            max,
            mean: Duration::from_secs_f64(mean),
            std_dev: Duration::from_secs_f64((squares / (count.max(2) - 1) as f64).sqrt()),
            median_interval: median_interval(&times),
            shortest: (count > 1).then(|| halves.map(|half| half / rank(50).as_secs_f64().max(1e-12))),
            histogram,
        })
    }

    /// Returns the median interval's width as a fraction of the median; infinite for one time, which says nothing.
    pub fn uncertainty(&self) -> f64 {
        if self.count < 2 {
            return f64::INFINITY;
        }
        let [low, high] = self.median_interval;
        (high - low).as_secs_f64() / self.p50.as_secs_f64().max(1e-12)
    }
}

/// Returns the mean of the three shortest times, or of all if there are fewer, in seconds.
fn shortest(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let few = &times[..times.len().min(3)];
    few.iter().map(Duration::as_secs_f64).sum::<f64>() / few.len().max(1) as f64
}

/// Returns the 95 % confidence interval of the median of sorted times, by order statistics: the number of times below
/// the true median is binomially distributed, whatever the distribution of the times.
fn median_interval(sorted: &[Duration]) -> [Duration; 2] {
    let count = sorted.len() as f64;
    let reach = 1.96 * count.sqrt() / 2.0;
    let low = ((count / 2.0 - reach).floor() as usize).max(1);
    let high = ((count / 2.0 + 1.0 + reach).ceil() as usize).min(sorted.len());
    [sorted[low - 1], sorted[high - 1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(count: u64) -> Distribution {
        Distribution::new((1..=count).rev().map(Duration::from_millis).collect()).expect("there are some")
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        assert_eq!(Distribution::new(Vec::new()), None);
        let all = |of: Distribution| [of.p50, of.p90, of.p99, of.min, of.max].map(|time| time.as_millis());
        assert_eq!(all(counted(1)), [1; 5]);
        assert_eq!(all(counted(5)), [3, 5, 5, 1, 5]);
        assert_eq!(all(counted(200)), [100, 180, 198, 1, 200]);
    }

    #[test]
    fn moments_are_a_samples() {
        let of = counted(5);
        assert_eq!(of.mean, Duration::from_millis(3));
        assert!((of.std_dev.as_secs_f64() - 2.5e-6_f64.sqrt()).abs() < 1e-9, "{:?}", of.std_dev);
        assert_eq!(Distribution::new(vec![Duration::from_secs(1)]).expect("one").std_dev, Duration::ZERO);
    }

    #[test]
    fn the_histogram_holds_every_time_once() {
        for count in [1, 2, 24, 1000] {
            let of = counted(count);
            assert_eq!(of.histogram.iter().sum::<usize>(), count as usize);
        }
        assert_eq!((counted(1000).histogram[0], counted(1000).histogram[23]), (42, 42));
    }

    #[test]
    fn the_shortest_are_those_of_two_halves() {
        let of = |times: &[u64]| Distribution::new(times.iter().map(|&ms| Duration::from_millis(ms)).collect());
        let shortest = |times: &[u64]| of(times).expect("there are some").shortest;
        assert_eq!((shortest(&[7]), shortest(&[4, 6])), (None, Some([1.0, 1.5])));
        // One half has 2, 3, 4 as its shortest times, the other 4, 5, 6; the median is 4.
        let [a, b] = shortest(&[9, 4, 2, 5, 3, 6, 4, 8, 4]).expect("there are nine");
        assert!((a - 0.75).abs() < 1e-9 && (b - 1.25).abs() < 1e-9, "{a}, {b}");
    }

    /// The textbook's example: of 100 sorted times the 40th and the 61st enclose the median with a confidence of 95 %.
    #[test]
    fn the_medians_interval_is_the_textbooks() {
        assert_eq!(counted(100).median_interval.map(|time| time.as_millis()), [40, 61]);
        assert_eq!(counted(5).median_interval.map(|time| time.as_millis()), [1, 5]);
        assert!((counted(100).uncertainty() - 0.42).abs() < 1e-9);
        assert_eq!(counted(1).uncertainty(), f64::INFINITY);
    }
}
