//! Cases of reductions: every kind, any axes, lengths about a workgroup's capacity, integers.

use crate::DType;
use crate::ops::{PoolKind, Reduce, ReduceKind};
use crate::selftest::cases::{far_from_zero, graph, graph_between_images, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    every_kind(t);
    lengths(t);
    any_axes(t);
    magnitudes(t);
    a_long_sum_keeps_its_digits(t);
    of_an_image(t);
    integers(t);
    not_finite(t);
}

/// Reduces the elements of `x` along `axes` (along all axes if none is given) by `kind`.
pub fn reduce(x: &Tensor, kind: ReduceKind, axes: &[usize], keepdim: bool) -> Tensor {
    let rank = x.shape.len();
    let reduced = |axis: usize| axes.is_empty() || axes.contains(&axis);
    let kept: Vec<usize> = (0..rank).map(|axis| if reduced(axis) { 1 } else { x.shape[axis] }).collect();
    let mut groups: Vec<Vec<f64>> = vec![Vec::new(); kept.iter().product()];
    for (i, &value) in x.data.iter().enumerate() {
        let (mut rest, mut to, mut stride) = (i, 0, 1);
        for axis in (0..rank).rev() {
            to += if reduced(axis) { 0 } else { rest % x.shape[axis] * stride };
            rest /= x.shape[axis];
            stride *= kept[axis];
        }
        groups[to].push(f64::from(value));
    }
    let data = groups.iter().map(|group| of_all(group, kind) as f32).collect();
    let shape = (0..rank).filter(|&axis| keepdim || !reduced(axis)).map(|axis| kept[axis]);
    Tensor::new(shape.collect::<Vec<_>>(), data)
}

fn of_all(group: &[f64], kind: ReduceKind) -> f64 {
    let largest = group.iter().copied().fold(f64::NEG_INFINITY, reference::maximum);
    match kind {
        ReduceKind::Sum => group.iter().sum(),
        ReduceKind::Mean => group.iter().sum::<f64>() / group.len() as f64,
        ReduceKind::Max => largest,
        ReduceKind::Min => group.iter().copied().fold(f64::INFINITY, reference::minimum),
        ReduceKind::Prod => group.iter().product(),
        ReduceKind::L1 => group.iter().map(|x| x.abs()).sum(),
        ReduceKind::L2 => group.iter().map(|x| x * x).sum::<f64>().sqrt(),
        // The difference of two infinities is NaN.
        ReduceKind::LogSumExp if largest.is_infinite() => largest,
        ReduceKind::LogSumExp => largest + group.iter().map(|x| (x - largest).exp()).sum::<f64>().ln(),
    }
}

pub const KINDS: [ReduceKind; 8] = [
    ReduceKind::Sum,
    ReduceKind::Mean,
    ReduceKind::Max,
    ReduceKind::Min,
    ReduceKind::Prod,
    ReduceKind::L1,
    ReduceKind::L2,
    ReduceKind::LogSumExp,
];

fn check_kind(t: &Suite, case: &str, x: &Tensor, kind: ReduceKind, axes: &[usize], keepdim: bool) {
    let graph = graph(&[x], |graph, x| graph.reduce(x[0], Reduce::new(kind, axes).keepdim(keepdim)));
    let tolerance = match kind {
        ReduceKind::Max | ReduceKind::Min => Tolerance::Exact,
        ReduceKind::LogSumExp => Tolerance::Transcendental,
        _ => Tolerance::Reduction(x.data.len()),
    };
    let case = format!("{case}, {kind:?} over {axes:?} of {:?}", x.shape);
    t.check(&case, &graph, &[x], &reduce(x, kind, axes, keepdim), tolerance);
}

/// Returns numbers about 1: their sums and products are far from both 0 and infinity.
fn about_one(shape: &[usize]) -> Tensor {
    let mut x = random(1, shape);
    x.data.iter_mut().for_each(|value| *value = 1.0 + 0.2 * *value);
    x
}

fn every_kind(t: &Suite) {
    let cases: [(&[usize], &[usize]); 7] = [
        (&[1], &[0]),
        (&[7], &[]),
        (&[3, 65], &[1]),
        (&[65, 3], &[0]),
        (&[2, 3, 5, 7], &[0, 2]),
        (&[2, 3, 5, 7], &[1, 3]),
        (&[3, 1, 5], &[1]),
    ];
    for (shape, axes) in cases {
        for kind in KINDS {
            check_kind(t, "about one", &about_one(shape), kind, axes, false);
            check_kind(t, "about one, keepdim", &about_one(shape), kind, axes, true);
        }
    }
    // The numbers have either sign.
    for kind in KINDS {
        check_kind(t, "any", &random(1, [3, 5, 7]), kind, &[1], false);
    }
}

/// Checks lengths one below, at and above the capacity of a workgroup and of its blocks.
fn lengths(t: &Suite) {
    for length in [2, 3, 4, 5, 15, 16, 17, 255, 256, 257, 1023, 1024, 1025, 4099] {
        for kind in [ReduceKind::Sum, ReduceKind::Max, ReduceKind::LogSumExp] {
            check_kind(t, "inner", &about_one(&[3, length]), kind, &[1], false);
            check_kind(t, "outer", &about_one(&[length, 3]), kind, &[0], false);
        }
    }
    for outputs in [31, 33, 63, 64, 65, 130] {
        check_kind(t, "columns", &about_one(&[2, 9, outputs]), ReduceKind::Sum, &[1], false);
        check_kind(t, "lines", &about_one(&[outputs, 9]), ReduceKind::Sum, &[1], false);
    }
    // An invocation sums blocks of 256 elements.
    for length in [65_536, 70_001] {
        check_kind(t, "long", &about_one(&[length]), ReduceKind::Mean, &[], false);
        check_kind(t, "long", &about_one(&[length]), ReduceKind::Min, &[], false);
    }
}

fn any_axes(t: &Suite) {
    let shape = [2, 3, 2, 1, 3, 2, 2, 3];
    for axes in [&[0, 2, 4, 6][..], &[1, 3, 5, 7], &[7, 0], &[6, 1, 2], &[4], &[]] {
        check_kind(t, "8 dimensions", &about_one(&shape), ReduceKind::Sum, axes, true);
        check_kind(t, "8 dimensions", &about_one(&shape), ReduceKind::Max, axes, false);
    }
}

fn magnitudes(t: &Suite) {
    for kind in KINDS.into_iter().filter(|&kind| kind != ReduceKind::Prod) {
        check_kind(t, "outliers", &outliers(1, [3, 1000]), kind, &[1], false);
        check_kind(t, "far from zero", &far_from_zero([3, 1000]), kind, &[1], false);
    }
    for value in [-500.0, -88.0, 0.0, 88.0, 500.0, 3e38] {
        let x = Tensor::new([2, 5], vec![value; 10]);
        check_kind(t, "all the same", &x, ReduceKind::LogSumExp, &[1], false);
    }
    let ends = Tensor::new([2, 3], vec![-3.4e38, 0.0, 3.4e38, -500.0, -1000.0, -3e38]);
    check_kind(t, "both ends", &ends, ReduceKind::LogSumExp, &[1], false);
}

fn a_long_sum_keeps_its_digits(t: &Suite) {
    // A sequential sum in f32 would lose 4 %: a large sum absorbs the low digits of each tenth.
    let x = Tensor::new([1 << 20], vec![0.1; 1 << 20]);
    let graph = graph(&[&x], |graph, x| graph.reduce(x[0], Reduce::new(ReduceKind::Sum, [])));
    t.check("a million tenths", &graph, &[&x], &reduce(&x, ReduceKind::Sum, &[], false), Tolerance::Transcendental);
}

fn of_an_image(t: &Suite) {
    let x = random(1, [2, 6, 3, 5]);
    let graph =
        graph_between_images(&[&x], |graph, x| graph.reduce(x[0], Reduce::new(ReduceKind::Mean, [2, 3]).keepdim(true)));
    let expected = reference::adaptive_pool(&x, PoolKind::Average, &[1, 1]);
    t.check("between images", &graph, &[&x], &expected, Tolerance::Reduction(15));
}

/// Checks integer sums that an f32 would round, and a mean that it would not round. Sums wrap around.
fn integers(t: &Suite) {
    let kinds = [ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min, ReduceKind::L1, ReduceKind::Prod, ReduceKind::Mean];
    for (shape, axes) in [(&[2, 9, 5][..], &[1][..]), (&[3, 4099], &[1]), (&[1025, 3], &[0]), (&[2, 3, 5, 7], &[])] {
        for kind in kinds {
            let scale = if kind == ReduceKind::Prod { 1.4 } else { 1000.0 };
            let x = random(1, shape).map(|x| (scale * x).round()).with_dtype(DType::I32);
            let expected = reduce(&x, kind, axes, false).map(f64::trunc).with_dtype(DType::I32);
            let graph = graph(&[&x], |graph, x| graph.reduce(x[0], Reduce::new(kind, axes)));
            t.check(&format!("i32s, {kind:?} of {shape:?}"), &graph, &[&x], &expected, Tolerance::Exact);
        }
    }
    let (least, large) = (i32::MIN as f32, 1_073_741_824.0);
    let x = Tensor::new([3, 4], vec![large, 3.0, -large, -2.0, large, large, 5.0, large, least, -5.0, least, 0.0]);
    let x = x.with_dtype(DType::I32);
    for (kind, wanted) in [
        (ReduceKind::Sum, [1.0, 5.0 - large, -5.0]),
        (ReduceKind::Max, [large, large, 0.0]),
        (ReduceKind::Min, [-large, 5.0, least]),
    ] {
        let wanted = Tensor::new([3], wanted.to_vec()).with_dtype(DType::I32);
        let graph = graph(&[&x], |graph, x| graph.reduce(x[0], Reduce::new(kind, [1])));
        t.check(&format!("large i32s, {kind:?}"), &graph, &[&x], &wanted, Tolerance::Exact);
    }
}

fn not_finite(t: &Suite) {
    for kind in KINDS {
        for (shape, axes) in [(&[3, 7][..], &[1][..]), (&[300, 2], &[0]), (&[2, 3, 400], &[]), (&[1], &[0])] {
            let x = about_one(shape);
            let graph = graph(&[&x], |graph, x| graph.reduce(x[0], Reduce::new(kind, axes)));
            let tolerance = match kind {
                ReduceKind::LogSumExp => Tolerance::Transcendental,
                _ => Tolerance::Reduction(x.data.len()),
            };
            let reference = |x: &[&Tensor]| reduce(x[0], kind, axes, false);
            t.check_not_finite(&format!("{kind:?} of {shape:?}"), &graph, &[&x], reference, tolerance);
        }
        for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            check_kind(t, "all the same", &Tensor::new([2, 9], vec![value; 18]), kind, &[1], false);
        }
    }
}
