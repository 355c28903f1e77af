//! Axes: their ticks, and the positions of values.

use super::figure::tick;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::f64::consts::LOG10_2;
use std::ops::Range;

/// An axis. Its ends are ticks, except along batch sizes.
#[derive(Clone)]
pub(super) struct Axis {
    /// The quantity, with the unit.
    pub(super) title: String,
    /// The ends, as positions on the axis: logarithms on a logarithmic axis.
    pub(super) range: Range<f64>,
    /// The positions of the ticks, with their labels.
    pub(super) ticks: Vec<(f64, String)>,
    scale: Scale,
}

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Log2,
    Log10,
}

impl Axis {
    /// Creates an axis from the greatest tick below all values to the least tick above them. Only finite values count.
    pub(super) fn linear(title: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Axis {
        let (mut low, mut high) = ends(values).unwrap_or((0.0, 1.0));
        if high - low < 1e-3 * high.abs() || high == low {
            // All values are alike: they get some room on both sides.
            let room = if high == 0.0 { 1.0 } else { 0.05 * high.abs() };
            (low, high) = (low - room, high + room);
        }
        let step = round_up((high - low) / 5.0);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let places = (0..=(last - first) as usize).map(|i| (first + i as f64) * step);
        // All labels have the decimals of the step: 2.00 beside 2.05.
        let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        let label = |place: f64| if (1..=4).contains(&decimals) { format!("{place:.decimals$}") } else { tick(place) };
        let ticks: Vec<(f64, String)> = places.map(|place| (place, label(place))).collect();
        Axis { title: title.into(), range: first * step..last * step, ticks, scale: Scale::Linear }
    }

    /// Creates a linear axis from 0.
    pub(super) fn from_zero(title: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Axis {
        let most = ends(values).map_or(0.0, |(_, high)| high);
        Axis::linear(title, [0.0, if most > 0.0 { most } else { 1.0 }])
    }

    /// Creates an axis with ticks at 1, 2 and 5 times the powers of ten, or at powers of ten if there are many. Values
    /// that aren't positive have no position on it.
    pub(super) fn log10(title: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Axis {
        let (low, high) = ends(values.into_iter().filter(|&value| value > 0.0)).unwrap_or((1.0, 1.0));
        let (low, high) = (low.log10(), high.log10());
        let stride = ((high - low) / 7.0).ceil().max(1.0);
        let offsets = if high - low > 2.2 { &[0.0][..] } else { &[0.0, LOG10_2, 1.0 - LOG10_2] };
        let decade = (low / stride).floor() as i32;
        let places: Vec<f64> = (decade..=decade + 10)
            .flat_map(|decade| offsets.iter().map(move |offset| f64::from(decade) * stride + offset))
            .collect();
        // At least two ticks, so that the axis has a length.
        let first = places.iter().rposition(|&place| place <= low + 1e-9).unwrap_or(0);
        let last = places.iter().position(|&place| place >= high - 1e-9).unwrap_or(places.len() - 1);
        let last = last.max(first + 1).min(places.len() - 1);
        let ticks: Vec<_> = places[first..=last].iter().map(|&place| (place, tick(10_f64.powf(place)))).collect();
        Axis { title: title.into(), range: places[first]..places[last], ticks, scale: Scale::Log10 }
    }

    /// Creates an axis of batch sizes: each is a tick, or only the powers of two if there are many.
    pub(super) fn log2(title: impl Into<String>, values: &[usize]) -> Axis {
        let mut values = values.to_vec();
        values.sort_unstable();
        values.dedup();
        let place = |value: usize| (value.max(1) as f64).log2();
        let (low, high) = (values.first().map_or(0.0, |&v| place(v)), values.last().map_or(0.0, |&v| place(v)));
        let ticks = match values.len() {
            ..=8 => values.iter().map(|&value| (place(value), value.to_string())).collect(),
            _ => (low.ceil() as u32..=high.floor() as u32).map(|k| (f64::from(k), (1u64 << k).to_string())).collect(),
        };
        Axis { title: title.into(), range: low - 0.35..high + 0.35, ticks, scale: Scale::Log2 }
    }

    /// Returns the position of a value, within the axis; the lower end if the value has none.
    pub(super) fn at(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => value,
            Scale::Log2 => value.log2(),
            Scale::Log10 => value.log10(),
        };
        if place.is_nan() { self.range.start } else { place.clamp(self.range.start, self.range.end) }
    }

    /// Returns a position as a fraction of the axis: 0 to 1.
    pub(super) fn part(&self, place: f64) -> f64 {
        (place - self.range.start) / (self.range.end - self.range.start)
    }

    /// Returns the label of a tick.
    pub(super) fn label(&self, place: f64) -> String {
        let found = self.ticks.iter().find(|(tick, _)| *tick == place);
        found.map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// An axis for plotters, whose values are positions.
impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.part(*place) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Returns the least and the greatest finite value.
fn ends(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.map(|value| (value, value)).reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))
}

/// Rounds up to 1, 2 or 5 times a power of ten.
fn round_up(number: f64) -> f64 {
    let unit = 10_f64.powf(number.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    unit * steps.into_iter().find(|step| step * unit >= number * (1.0 - 1e-9)).unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn the_ends_are_ticks_around_all_values() {
        assert_eq!(labels(&Axis::linear("", [0.7, 4.2])), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(labels(&Axis::from_zero("", [83.0])), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&Axis::linear("", [1.98, 2.11])), ["1.95", "2.00", "2.05", "2.10", "2.15"]);
        assert_eq!(labels(&Axis::log10("", [0.3, 4.2])), ["0.2", "0.5", "1", "2", "5"]);
        assert_eq!(labels(&Axis::log10("", [1.0, 8000.0])), ["1", "10", "100", "1,000", "10,000"]);
        assert_eq!(labels(&Axis::log2("", &[8, 1, 4, 4])), ["1", "4", "8"]);
        assert_eq!(labels(&Axis::log2("", &Vec::from_iter(1..=10))), ["1", "2", "4", "8"]);
    }

    #[test]
    fn an_axis_has_a_length_whatever_the_values() {
        for values in [&[][..], &[0.0], &[3.0, 3.0], &[f64::NAN, f64::INFINITY], &[1e-30, 1e30], &[-1.0], &[1e-300]] {
            for axis in [Axis::linear("", values.to_vec()), Axis::log10("", values.to_vec()), Axis::from_zero("", [])] {
                let length = axis.range.end - axis.range.start;
                assert!(length > 0.0 && length.is_finite() && (2..=12).contains(&axis.ticks.len()), "{values:?}");
                assert!(axis.range.contains(&axis.at(f64::NAN)));
            }
        }
    }
}
