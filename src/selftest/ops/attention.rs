//! Cases of attention, and its reference: few and many queries, masks, windows, caches.

use crate::ops::Attention;
use crate::selftest::cases::{constant, graph, halves, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Constant, DType};

/// Runs the cases.
pub fn cases(t: &Suite) {
    few_queries(t);
    many_queries(t);
    causal(t);
    masks(t);
    masks_that_exclude_all(t);
    great_scores(t);
    caches(t);
    unchecked_positions(t);
    weights_too_small_for_a_number(t);
    long_loops(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
    t.by_all_variants(tiles);
}

fn stored_as_halves(t: &Suite) {
    for (sizes, causal) in [([1, 2, 2, 20, 20, 16, 16], true), ([2, 4, 2, 1, 70, 8, 8], false)] {
        let each = tensors(sizes).map(|tensor| halves(&tensor));
        check_tensors(t, "halves", each.each_ref(), None, &Sight { causal, ..Sight::default() });
    }
}

/// Checks every tile: tiles that are partly filled, shared heads, heads of other lengths than a tile's; and scores that
/// become greater from key to key, so that sums are rescaled. Still greater ones would magnify the rounding of `f32`s.
fn tiles(t: &Suite) {
    for (sizes, causal) in [
        ([1, 3, 3, 70, 70, 64, 64], false),
        ([1, 4, 2, 40, 75, 32, 32], true),
        ([2, 2, 1, 20, 33, 80, 80], false),
        ([1, 1, 1, 65, 65, 128, 128], true),
        ([1, 2, 2, 9, 300, 12, 20], false),
    ] {
        let [q, mut k, v] = tensors(sizes).map(|tensor| halves(&tensor));
        let sight = Sight { causal, ..Sight::default() };
        check_tensors(t, &format!("tiles, {sizes:?}"), [&q, &k, &v], None, &sight);
        k.data.iter_mut().enumerate().for_each(|(i, value)| *value *= (i / sizes[5] % sizes[4]).min(24) as f32);
        let k = halves(&k);
        check_tensors(t, &format!("tiles, greater and greater, {sizes:?}"), [&q, &k, &v], None, &sight);
    }
}

/// The part of the keys that a query sees, and the scale of its scores.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub scale: Option<f64>,
    pub causal: bool,
    pub window: Option<usize>,
    /// The position of the first query among the keys, of each sequence or of all.
    pub starts: Vec<usize>,
}

/// Computes `softmax(q kᵀ scale + mask) v` for q `[N, Hq, Lq, D]`, k `[N, Hkv, Lk, D]` and v `[N, Hkv, Lk, Dv]`; 0 for
/// a query that sees no key.
pub fn attention([q, k, v]: [&Tensor; 3], mask: Option<&Tensor>, sight: &Sight) -> Tensor {
    let ([n, heads, rows, d], [_, kv_heads, keys, dv]) = (q.dims(), v.dims());
    let scale = sight.scale.unwrap_or(1.0 / (d as f64).sqrt());
    let bias = |i: [usize; 4]| {
        mask.map_or(0.0, |mask| {
            let own = i[4 - mask.shape.len()..].iter().zip(&mask.shape).map(|(&i, &size)| i.min(size - 1));
            mask.at(&own.collect::<Vec<_>>())
        })
    };
    let seen = |n: usize, row: usize, key: usize| {
        let at = row + if sight.starts.is_empty() { 0 } else { sight.starts[n % sight.starts.len()] };
        (!sight.causal || key <= at) && sight.window.is_none_or(|window| key <= at && at - key < window)
    };
    // A row of weights serves all of dv.
    let mut weights = Vec::new();
    for (n, h, row) in (0..n * heads * rows).map(|i| (i / rows / heads, i / rows % heads, i % rows)) {
        let score = |key: usize| {
            let dot: f64 = (0..d).map(|c| q.at(&[n, h, row, c]) * k.at(&[n, h * kv_heads / heads, key, c])).sum();
            if seen(n, row, key) { dot * scale + bias([n, h, row, key]) } else { f64::NEG_INFINITY }
        };
        let scores: Vec<f64> = (0..keys).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> =
            scores.iter().map(|s| if *s == f64::NEG_INFINITY { 0.0 } else { (s - largest).exp() }).collect();
        let sum: f64 = exps.iter().sum();
        weights.push(exps.iter().map(|exp| if sum == 0.0 { 0.0 } else { exp / sum }).collect::<Vec<f64>>());
    }
    Tensor::build([n, heads, rows, dv], |i| {
        let weights = &weights[(i[0] * heads + i[1]) * rows + i[2]];
        (0..keys).map(|key| weights[key] * v.at(&[i[0], i[1] * kv_heads / heads, key, i[3]])).sum()
    })
}

/// Puts the heads side by side in the last dimension.
pub fn inner(x: &Tensor) -> Tensor {
    let [n, heads, rows, d] = x.dims();
    Tensor::new([n, rows, heads * d], reference::transpose(x, &[0, 2, 1, 3]).data)
}

/// The sizes of a case: N, heads of queries and of keys, Lq, Lk, D, Dv.
type Sizes = [usize; 7];

pub fn tensors([n, heads, kv_heads, rows, keys, d, dv]: Sizes) -> [Tensor; 3] {
    [random(1, [n, heads, rows, d]), random(2, [n, kv_heads, keys, d]), random(3, [n, kv_heads, keys, dv])]
}

/// Builds the operation that `sight` describes.
pub fn op(mask: bool, sight: &Sight) -> Attention {
    let mut op = Attention::new().is_causal(sight.causal && sight.starts.is_empty());
    if let Some(scale) = sight.scale {
        op = op.scale(scale);
    }
    if let Some(window) = sight.window {
        op = op.window(window);
    }
    if mask {
        op = op.masked();
    }
    if sight.starts.is_empty() { op } else { op.cached() }
}

/// Checks the tensors in each form that the operation takes.
fn check_tensors(t: &Suite, case: &str, [q, k, v]: [&Tensor; 3], mask: Option<&Tensor>, sight: &Sight) {
    let (heads, kv_heads) = (q.shape[1], k.shape[1]);
    let expected = attention([q, k, v], mask, sight);
    let starts = sight.starts.iter().map(|&start| start as f32).collect::<Vec<f32>>();
    let starts = Tensor::new([starts.len()], starts).with_dtype(DType::I32);
    let others: Vec<&Tensor> = mask.into_iter().chain(Some(&starts).filter(|starts| !starts.data.is_empty())).collect();
    let form = |form: &str, op: Attention, inputs: &[&Tensor], expected: &Tensor| {
        let inputs = [inputs, &others].concat();
        let graph = graph(&inputs, |graph, x| graph.attention(x, op));
        t.check(&format!("{case}, {form}"), &graph, &inputs, expected, Tolerance::Transcendental);
    };
    let op = op(mask.is_some(), sight);
    form("heads outside", op.clone(), &[q, k, v], &expected);
    let (expected, [q, k, v]) = (inner(&expected), [q, k, v].map(inner));
    form("heads inside", op.clone().heads(heads, kv_heads), &[&q, &k, &v], &expected);
    if q.shape[1] == k.shape[1] && k.shape == v.shape && sight.starts.is_empty() {
        let packed = reference::concat(&[&q, &k, &v], 2);
        form("packed", op.packed(heads, kv_heads), &[&packed], &expected);
    }
}

fn check_sizes(t: &Suite, sizes: Sizes, mask: Option<&[usize]>, sight: &Sight) {
    let [q, k, v] = tensors(sizes);
    let mask = mask.map(|shape| {
        let mut mask = random(4, shape);
        mask.data.iter_mut().step_by(3).for_each(|value| *value = f32::NEG_INFINITY);
        mask
    });
    check_tensors(t, &format!("{sizes:?}, {sight:?}"), [&q, &k, &v], mask.as_ref(), sight);
}

fn few_queries(t: &Suite) {
    for sizes in [
        [1, 1, 1, 1, 1, 1, 1],
        [2, 1, 1, 1, 2, 3, 3],
        [1, 4, 4, 2, 15, 8, 8],
        [2, 4, 1, 1, 16, 8, 4],
        [1, 6, 2, 2, 17, 3, 5],
        [1, 4, 1, 2, 63, 64, 64],
        [2, 4, 2, 1, 65, 80, 8],
        [1, 2, 1, 2, 9, 128, 127],
        [1, 2, 1, 2, 130, 129, 256],
    ] {
        check_sizes(t, sizes, None, &Sight::default());
    }
}

fn many_queries(t: &Suite) {
    for sizes in [
        [1, 4, 4, 15, 2, 1, 1],
        [2, 6, 2, 16, 16, 3, 3],
        [1, 4, 1, 17, 63, 8, 4],
        [1, 1, 1, 63, 65, 5, 12],
        [1, 2, 2, 65, 17, 64, 64],
        [1, 1, 1, 130, 130, 8, 8],
        [1, 1, 1, 9, 15, 80, 80],
        [1, 1, 1, 9, 33, 256, 250],
        // The keys fill two workgroups; then the elements of values, too.
        [1, 1, 1, 9, 600, 4, 6],
        [1, 2, 1, 9, 600, 4, 136],
    ] {
        check_sizes(t, sizes, None, &Sight::default());
    }
}

fn causal(t: &Suite) {
    let causal = Sight { causal: true, ..Sight::default() };
    for sizes in [[2, 4, 2, 1, 1, 8, 8], [1, 6, 2, 2, 65, 8, 8], [1, 4, 1, 130, 130, 8, 8], [1, 1, 1, 65, 17, 3, 3]] {
        check_sizes(t, sizes, None, &causal);
    }
    for window in [1, 2, 33, 1000, usize::MAX] {
        let sight = Sight { window: Some(window), ..causal.clone() };
        for sizes in [[1, 2, 1, 3, 3, 8, 8], [1, 4, 2, 70, 70, 8, 8], [1, 1, 1, 70, 17, 8, 8]] {
            check_sizes(t, sizes, None, &sight);
        }
    }
}

fn masks(t: &Suite) {
    let few: [&[usize]; 4] = [&[2, 4, 2, 9], &[2, 1, 1, 9], &[4, 1, 9], &[1, 1]];
    for mask in few {
        check_sizes(t, [2, 4, 2, 2, 9, 8, 8], Some(mask), &Sight::default());
    }
    let many: [&[usize]; 4] = [&[2, 4, 33, 40], &[4, 1, 40], &[33, 40], &[33, 1]];
    for mask in many {
        check_sizes(t, [2, 4, 2, 33, 40, 8, 8], Some(mask), &Sight::default());
    }
    let sight = Sight { causal: true, scale: Some(-2.0), window: Some(5), ..Sight::default() };
    check_sizes(t, [2, 4, 2, 33, 33, 8, 8], Some(&[33, 33]), &sight);
}

/// Checks the extreme masks: rows that exclude all keys, and numbers so large that scores vanish beside them.
fn masks_that_exclude_all(t: &Suite) {
    let lowest = f32::MIN;
    let rows: [&[f32]; 4] = [&[f32::NEG_INFINITY], &[lowest], &[lowest, 0.0], &[f32::NEG_INFINITY, lowest]];
    for queries in [2, 20] {
        for keys in [5, 70, 600] {
            let [q, k, v] = tensors([1, 2, 1, queries, keys, 4, 4]);
            let mask = Tensor::build([queries, keys], |i| {
                let row = rows[i[0] % rows.len()];
                f64::from(row[i[1] % row.len()])
            });
            check_tensors(t, &format!("{queries} by {keys}"), [&q, &k, &v], Some(&mask), &Sight::default());
        }
    }
}

/// Checks scores of ten thousand; they are exact, since queries and keys are integers.
fn great_scores(t: &Suite) {
    let sight = Sight { scale: Some(4.0), ..Sight::default() };
    for sizes in [[1, 2, 1, 2, 70, 8, 8], [1, 2, 1, 20, 70, 8, 8], [1, 1, 1, 9, 600, 8, 8]] {
        let [q, k, v] = tensors(sizes);
        let [mut q, mut k] = [q, k].map(|x| x.map(|x| (20.0 * x).round()));
        check_tensors(t, &format!("{sizes:?}"), [&q, &k, &v], None, &sight);
        q.data.fill(25.0);
        k.data.fill(-12.0);
        check_tensors(t, &format!("{sizes:?}, all alike"), [&q, &k, &v], None, &sight);
    }
}

/// Checks tiny weights: a weight below the smallest normal f32 is 0, and 0 times an infinity is NaN.
fn weights_too_small_for_a_number(t: &Suite) {
    for (queries, keys) in [(2, 5), (20, 70), (2, 600)] {
        let [mut q, mut k, mut v] = tensors([1, 2, 1, queries, keys, 4, 4]);
        q.data.fill(1.0);
        k.data.iter_mut().enumerate().for_each(|(i, value)| *value = if i / 4 % 3 == 0 { 0.0 } else { -100.0 });
        // One infinity is at a key of large weight, the other at a key of zero weight.
        v.data[0] = f32::INFINITY;
        v.data[4 * 4 + 1] = f32::INFINITY;
        let graph = graph(&[&q, &k, &v], |graph, x| graph.attention(x, op(false, &Sight::default())));
        let mut expected = attention([&q, &k, &v], None, &Sight::default());
        expected.data.iter_mut().skip(1).step_by(4).for_each(|value| *value = f32::NAN);
        t.check(&format!("{queries} by {keys}"), &graph, &[&q, &k, &v], &expected, Tolerance::Transcendental);
    }
}

fn caches(t: &Suite) {
    let at = |starts: &[usize]| Sight { causal: true, starts: starts.to_vec(), ..Sight::default() };
    for start in [0, 1, 64, 129] {
        check_sizes(t, [1, 4, 2, 1, 130, 8, 8], None, &at(&[start]));
    }
    check_sizes(t, [3, 2, 1, 2, 40, 8, 4], None, &at(&[0, 38, 17]));
    check_sizes(t, [2, 4, 2, 20, 70, 8, 8], None, &at(&[50]));
    check_sizes(t, [2, 4, 2, 20, 70, 8, 8], Some(&[2, 1, 1, 70]), &at(&[0, 50]));
    check_sizes(t, [2, 2, 2, 9, 600, 4, 4], None, &at(&[591, 3]));
    let sight = Sight { window: Some(40), ..at(&[100, 7]) };
    check_sizes(t, [2, 4, 2, 1, 130, 8, 8], None, &sight);
    check_sizes(t, [2, 4, 2, 30, 130, 8, 8], Some(&[30, 130]), &sight);
}

/// Checks positions beyond the cache, which the device doesn't check: they count as positions within it.
fn unchecked_positions(t: &Suite) {
    let [q, k, v] = tensors([1, 2, 1, 1, 40, 8, 8]);
    for (position, sight) in
        [(-5, Sight { causal: true, ..Sight::default() }), (1000, Sight::default()), (i32::MAX, Sight::default())]
    {
        let graph = graph(&[&q, &k, &v], |graph, x| {
            let position = graph.constant(Constant::known("position", [1], vec![position]));
            graph.attention(&[x[0], x[1], x[2], position], Attention::new().cached())
        });
        let expected = attention([&q, &k, &v], None, &sight);
        t.check(&format!("at {position}"), &graph, &[&q, &k, &v], &expected, Tolerance::Transcendental);
    }
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    check_sizes(t, [1, 1, 1, 9, 70_000, 4, 4], None, &Sight::default());
    check_sizes(t, [1, 1, 1, 1, 70_000, 4, 4], None, &Sight::default());
}

/// Checks NaN and infinities in queries, keys, values and a mask, and infinite scores. A masked key has no effect.
fn not_finite(t: &Suite) {
    for sizes in [[1, 2, 1, 2, 5, 4, 4], [1, 2, 2, 9, 70, 8, 8], [1, 1, 1, 9, 600, 4, 6], [2, 4, 2, 3, 300, 5, 3]] {
        let [q, k, v] = tensors(sizes);
        let mask = random(4, [sizes[3], sizes[4]]);
        let plain = |x: &[&Tensor]| attention([x[0], x[1], x[2]], x.get(3).copied(), &Sight::default());
        for inputs in [vec![&q, &k, &v], vec![&q, &k, &v, &mask]] {
            let op = op(inputs.len() > 3, &Sight::default());
            let graph = graph(&inputs, |graph, x| graph.attention(x, op));
            let case = format!("{sizes:?}, {} inputs", inputs.len());
            t.check_not_finite(&case, &graph, &inputs, plain, Tolerance::Transcendental);
        }
        // With a causal mask, NaN in a later key has no effect.
        let causal = Sight { causal: true, ..Sight::default() };
        let later = graph(&[&q, &k], |graph, x| {
            let v = graph.constant(constant(&v));
            graph.attention(&[x[0], x[1], v], op(false, &causal))
        });
        let reference = |x: &[&Tensor]| attention([x[0], x[1], &v], None, &causal);
        t.check_not_finite(&format!("{sizes:?}, causal"), &later, &[&q, &k], reference, Tolerance::Transcendental);
    }
}
