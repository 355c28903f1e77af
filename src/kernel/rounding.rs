//! The rounding of weights to `f16`.

use super::Scalar;
use half::f16;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The way in which weights become `f16`s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Not at all: they take little memory, and stay `f32`s at every precision.
    Never,
    /// Each to the nearest.
    #[default]
    Nearest,
    /// Each to a neighbour by [`Balanced`]: blocks of `rows` times `columns` numbers, in which a column has an output's weights.
    Balanced {
        /// The weights of an output.
        rows: usize,
        /// The outputs of a block.
        columns: usize,
    },
}

impl Rounding {
    /// Returns the bits of the `f16`s, or `None` if the numbers are out of their range.
    pub(crate) fn halves(self, values: &[f32]) -> Option<Vec<u16>> {
        if !Scalar::F16.holds(values) {
            return None;
        }
        let mut halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
        if let Rounding::Balanced { rows, columns } = self {
            let blocks = values.chunks(rows * columns).zip(halves.chunks_mut(rows * columns));
            blocks.for_each(|(values, halves)| Balanced { values, halves, columns }.round());
        }
        Some(halves.into_iter().map(f16::to_bits).collect())
    }
}

/// A block of numbers, each rounded to the nearest. What an output multiplies mostly has a mean other than 0, such as
/// what ReLU leaves: the sum of the errors of its weights then counts more than each. So numbers close to the middle
/// between two `f16`s are rounded to the other one, until no further one brings the sum closer to 0.
struct Balanced<'a> {
    values: &'a [f32],
    halves: &'a mut [f16],
    columns: usize,
}

/// A number that may be rounded to its other neighbour.
struct Candidate {
    place: usize,
    /// The other neighbour, and the change of the sum of errors.
    other: f16,
    change: f32,
    /// The change less twice the error: the least for what lies in the middle.
    price: f32,
}

impl Balanced<'_> {
    fn round(self) {
        let Balanced { values, halves, columns } = self;
        let mut sums = vec![0.0; columns];
        for (values, halves) in values.chunks(columns).zip(halves.chunks(columns)) {
            for ((sum, &value), &half) in sums.iter_mut().zip(values).zip(halves) {
                *sum += error(value, half);
            }
        }
        for (column, mut sum) in sums.into_iter().enumerate().filter(|(_, sum)| *sum != 0.0) {
            let candidate = |place: usize| Candidate::new(place, values[place], halves[place], sum);
            let mut heap: BinaryHeap<Candidate> =
                (column..values.len()).step_by(columns).filter_map(candidate).collect();
            while let Some(next) = heap.pop().filter(|next| (sum + next.change).abs() < sum.abs()) {
                sum += next.change;
                halves[next.place] = next.other;
            }
        }
    }
}

impl Candidate {
    fn new(place: usize, value: f32, half: f16, sum: f32) -> Option<Candidate> {
        let error = error(value, half);
        if error * sum <= 0.0 {
            return None;
        }
        // The bits count from 0 away, with the sign before them.
        let nearer = (error > 0.0) != half.is_sign_negative();
        let other = f16::from_bits(if nearer { half.to_bits() - 1 } else { half.to_bits() + 1 });
        let change = other.to_f32() - half.to_f32();
        let price = change.abs() - 2.0 * error.abs();
        other.is_finite().then_some(Candidate { place, other, change, price })
    }
}

/// Returns the error of a number as that `f16`: 0 for one that isn't finite.
fn error(value: f32, half: f16) -> f32 {
    let error = half.to_f32() - value;
    if error.is_finite() { error } else { 0.0 }
}

// A heap gives its greatest element: that of the lowest price, and the first of those.
impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> Ordering {
        other.price.total_cmp(&self.price).then(other.place.cmp(&self.place))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_no_f16_holds_stay_as_they_are() {
        let nearest = |values: &[f32]| Rounding::Nearest.halves(values);
        assert_eq!(nearest(&[0.0, -1.0, f32::INFINITY, 1e-9]), Some(vec![0, 0xBC00, 0x7C00, 0]));
        assert_eq!(nearest(&[0.0, 0.0]), Some(vec![0, 0]));
        for wrong in [1e5, -65520.0, 6e-5, -1e-9] {
            assert_eq!(nearest(&[0.0, wrong]), None, "{wrong}");
        }
    }

    /// Checks that each number becomes one of its two neighbours, and that the errors of a column almost vanish together.
    #[test]
    fn errors_of_a_column_add_up_to_almost_nothing() {
        let (rows, columns, blocks) = (97, 3, 2);
        let numbers = rows * columns * blocks;
        let values: Vec<f32> = (0..numbers).map(|i| ((i * 7919 + 13) % 9973) as f32 / 9973.0 - 0.4).collect();
        let sums = |halves: &[u16]| {
            let mut sums = vec![0.0; columns * blocks];
            for (i, (&half, &value)) in halves.iter().zip(&values).enumerate() {
                let error = f16::from_bits(half).to_f32() - value;
                // The distance of two f16s from 0.5 to 1.
                assert!(error.abs() < 2f32.powi(-11), "{value}: off by {error}");
                sums[i / (rows * columns) * columns + i % columns] += error;
            }
            sums.into_iter().fold(0.0, |most: f32, sum| most.max(sum.abs()))
        };
        let [nearest, balanced] = [Rounding::Nearest, Rounding::Balanced { rows, columns }]
            .map(|rounding| sums(&rounding.halves(&values).expect("they are small")));
        assert!(nearest > 5e-4 && balanced < 2.5e-4, "{nearest} and {balanced}");
    }

    #[test]
    fn f16s_stay_as_they_are() {
        let values = [0.0, -0.0, 1.0, f32::INFINITY, -65504.0, 0.333_251_95, f32::NEG_INFINITY, 6e-8];
        let rounded = Rounding::Balanced { rows: 8, columns: 1 }.halves(&values).expect("they are f16s");
        let nearest = values.map(|value| f16::from_f32(value).to_bits());
        assert_eq!(rounded, nearest);
    }
}
