//! The errors that the self-test tolerates, and the comparison of results with references.

use super::reference::Tensor;
use crate::{Shape, Tensor as Output};

/// The tolerated distance of an operation's results from the exact ones, relative to the largest exact result.
#[derive(Clone, Copy, Debug)]
pub enum Tolerance {
    /// None: the operation only moves, compares or picks numbers.
    Exact,
    /// A few roundings.
    Elementwise,
    /// A function that WGSL lets a driver approximate: `exp`, `tanh`, `pow`.
    Transcendental,
    /// A sum of this number of products, in any order.
    Reduction(usize),
}

/// The tolerated rounding of stored values, in addition to the tolerance: a part of each result, and a constant.
pub(super) type Rounding = [f64; 2];

/// The rounding of kernels that store `f32`s: none.
pub(super) const EXACT: Rounding = [0.0; 2];

/// The rounding of kernels that store `F16`: one unit in the last place, since drivers may round to nearest or towards
/// zero, and the smallest normal `f16`, since WGSL lets them flush smaller numbers to zero.
pub(super) const HALF: Rounding = [1.0 / 1024.0, 1.0 / 16_384.0];

/// The part by which `f32`s, and `f16`s, are rounded.
pub(super) const SINGLE: f64 = f32::EPSILON as f64;
pub(super) const OPERANDS: f64 = 1.0 / 1024.0;

impl Tolerance {
    /// Returns the tolerated part of the largest result, if the operands are rounded by this part of them.
    fn relative(self, rounding: f64) -> f64 {
        match self {
            Tolerance::Exact => 0.0,
            Tolerance::Elementwise => 4.0 * rounding,
            Tolerance::Transcendental => f64::max(1e-5, 2.0 * rounding),
            Tolerance::Reduction(terms) => 2.0 * rounding * (terms as f64).sqrt(),
        }
    }
}

/// Returns the largest error as a part of the tolerated one, or the position of an error that exceeds it. `rounding` is
/// tolerated in addition to `tolerance`.
pub(super) fn compare(
    output: &Output,
    expected: &Tensor,
    tolerance: Tolerance,
    rounding: Rounding,
    operands: f64,
) -> Result<f64, String> {
    if output.dtype() != expected.dtype {
        return Err(format!("its elements are {}, wanted {}", output.dtype(), expected.dtype));
    }
    if **output.shape() != *expected.shape {
        return Err(format!("its shape is {}, wanted {:?}", output.shape(), expected.shape));
    }
    let got = output.to_f32();
    let finite = expected.data.iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0, |most: f64, &value| most.max(f64::from(value).abs()));
    let allowed = |want: f32| {
        let rounded = if want.is_finite() { rounding[0] * f64::from(want).abs() + rounding[1] } else { 0.0 };
        tolerance.relative(operands) * largest + rounded
    };
    let off = |got: f32, want: f32| match (got, want) {
        _ if got == want || (got.is_nan() && want.is_nan()) => 0.0,
        _ if got.is_finite() && want.is_finite() => (f64::from(got) - f64::from(want)).abs(),
        _ => f64::INFINITY,
    };
    let pairs = || got.iter().zip(&expected.data).map(|(&got, &want)| (got, want, off(got, want)));
    let bad = |&(_, want, off): &(f32, f32, f64)| off > allowed(want);
    if let Some((i, (got, want, _))) = pairs().enumerate().find(|(_, pair)| bad(pair)) {
        let strides = Shape::from(expected.shape.clone()).strides();
        let index: Vec<usize> = strides.iter().zip(&expected.shape).map(|(stride, size)| i / stride % size).collect();
        let (of, many) = (&expected.shape, pairs().filter(bad).count());
        return Err(format!(
            "at {index:?} of {of:?} got {got}, wanted {want} (within {:.3e}); {many} such elements",
            allowed(want)
        ));
    }
    Ok(pairs().map(|(_, want, off)| if off > 0.0 { off / allowed(want) } else { 0.0 }).fold(0.0, f64::max))
}
