//! Small computations whose results tell if a device's matrix units, its driver and naga compute them right.

use super::{attention, gemm};
use crate::error::ErrorKind;
use crate::kernel::{Caps, Kernel, Scalar};
use half::f16;

/// A kernel, its inputs, and the output that it has to compute.
pub(crate) struct Trial {
    pub(crate) kernel: Kernel,
    pub(crate) inputs: Vec<Vec<f32>>,
    pub(crate) y: Vec<f32>,
    /// The stored form of the inputs and y.
    pub(crate) scalar: Scalar,
    /// The tolerated error, as a part of the largest output, before the output is rounded.
    pub(crate) tolerance: f32,
}

/// Returns trials of every kernel for such a device's matrix units.
pub(crate) fn matrix_trials(caps: &Caps) -> Result<Vec<Trial>, ErrorKind> {
    let mut trials = gemm::trials(caps)?;
    trials.extend(attention::trials(caps)?);
    Ok(trials)
}

/// Returns multiples of 1/64 in ±1, which an `f16` holds exactly.
pub(super) fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let number = |i: u32| (seed ^ i.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b) >> 25;
    (0..count as u32).map(|i| (number(i) as f32 - 64.0) / 64.0).collect()
}

/// Returns the numbers as matrix units see them.
pub(super) fn rounded(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&number| f16::from_f32(number).to_f64()).collect()
}
