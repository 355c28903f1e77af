//! Small attentions for the check of a device's matrix units.

use super::matrix::{DEPTHS, Variant};
use super::{Attention, Lowering};
use crate::Shape;
use crate::error::ErrorKind;
use crate::kernel::{Caps, Scalar};
use crate::ops::trial::{Trial, numbers, rounded};

/// The tokens, and the heads of queries and of keys: multiples of no tile.
const TOKENS: usize = 75;
const HEADS: [usize; 2] = [4, 2];

/// A key that raises the greatest score of most queries, once their sums are under way.
const GREAT: usize = 60;

/// Returns trials of every kernel for such a device's matrix units, with either stored form of values in turn, and with a
/// causal mask in turn.
///
/// Queries, keys and values lie in one tensor, and the elements of a head fill no tile. One value is beyond the range of an
/// `f16`, one element of a query is NaN.
pub(crate) fn trials(caps: &Caps) -> Result<Vec<Trial>, ErrorKind> {
    let mut trials = Vec::new();
    for depth in DEPTHS {
        let d = depth - 4;
        for variant in Variant::all(d, caps) {
            let narrow = trials.len() % 2 == 1;
            let scalar = if narrow { Scalar::F16 } else { Scalar::F32 };
            let op = Attention::new().packed(HEADS[0], HEADS[1]).is_causal(narrow);
            let shapes: [Shape; 1] = [[1, TOKENS, width(d)].into()];
            let kernel = Lowering::new(&op, op.sizes(&shapes)?, &shapes).in_matrices(variant, caps);
            let Some(kernel) = kernel.stored_as(&[scalar], scalar, Scalar::F32) else { continue };
            let x = input(d);
            let y = expected(&rounded(&x), d, narrow);
            // Weights are rounded, products and sums hardly.
            trials.push(Trial { kernel, inputs: vec![x], y, scalar, tolerance: 1e-3 });
        }
    }
    Ok(trials)
}

/// Returns the elements of a token: the heads of queries, of keys, of values.
fn width(d: usize) -> usize {
    (HEADS[0] + 2 * HEADS[1]) * d
}

fn input(d: usize) -> Vec<f32> {
    let mut x = numbers(4, TOKENS * width(d));
    for (token, row) in x.chunks_exact_mut(width(d)).enumerate() {
        let (keys, values) = row[HEADS[0] * d..].split_at_mut(HEADS[1] * d);
        keys[..d].iter_mut().filter(|_| token == GREAT).for_each(|key| *key *= 32.0);
        values.iter_mut().for_each(|value| *value *= 8.0);
        if token == 0 {
            values[d] = 1e5;
        }
    }
    x[(TOKENS - 1) * width(d) + HEADS[0] * d - 1] = f32::NAN;
    x
}

fn expected(x: &[f64], d: usize, causal: bool) -> Vec<f32> {
    let head = |token: usize, head: usize| &x[token * width(d) + head * d..][..d];
    let mut y = Vec::new();
    for (token, own) in (0..TOKENS * HEADS[0]).map(|i| (i / HEADS[0], i % HEADS[0])) {
        let of = own * HEADS[1] / HEADS[0];
        let score = |key: usize| {
            let dot: f64 = head(token, own).iter().zip(head(key, HEADS[0] + of)).map(|(q, k)| q * k).sum();
            if causal && key > token { f64::NEG_INFINITY } else { dot / (d as f64).sqrt() }
        };
        let scores: Vec<f64> = (0..TOKENS).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut sums = vec![0.0; d];
        for (key, weight) in weights.iter().enumerate() {
            let values = head(key, HEADS[0] + HEADS[1] + of);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        y.extend(sums.iter().map(|sum| (sum / total) as f32));
    }
    y
}
