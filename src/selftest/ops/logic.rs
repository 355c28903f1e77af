//! Cases of comparisons, logical operations and `where`, and their references.

use crate::DType;
use crate::ops::{Compare, Logical, Where};
use crate::selftest::cases::{graph, graph_between_images, halves, random};
use crate::selftest::reference::{Tensor, binary, broadcast};
use crate::selftest::{Suite, Tolerance};

/// Returns true where the comparison holds.
pub fn compare(kind: Compare, a: &Tensor, b: &Tensor) -> Tensor {
    let holds = |a: f64, b: f64| match kind {
        Compare::Eq => a == b,
        Compare::Ne => a != b,
        Compare::Lt => a < b,
        Compare::Le => a <= b,
        Compare::Gt => a > b,
        Compare::Ge => a >= b,
    };
    binary(a, b, |a, b| f64::from(holds(a, b))).with_dtype(DType::Bool)
}

/// Combines truth values; [`Logical::Not`] reads `a` alone.
pub fn logical(kind: Logical, a: &Tensor, b: &Tensor) -> Tensor {
    let holds = |a: bool, b: bool| match kind {
        Logical::And => a && b,
        Logical::Or => a || b,
        Logical::Xor => a != b,
        Logical::Not => !a,
    };
    binary(a, b, |a, b| f64::from(holds(a != 0.0, b != 0.0))).with_dtype(DType::Bool)
}

/// Returns `a` where the condition is true, else `b`.
pub fn where_(condition: &Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    let shape = broadcast(&condition.shape, &broadcast(&a.shape, &b.shape));
    let at = |i: &[usize]| if condition.broadcast_at(i) != 0.0 { a.broadcast_at(i) } else { b.broadcast_at(i) };
    Tensor::build(shape, at).with_dtype(a.dtype)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    numbers_that_are_hard_to_compare(t);
    comparisons_broadcast(t);
    every_pair_of_truth_values(t);
    joining_broadcasts(t);
    choices(t);
    a_mask_between_images(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    let (condition, a, b) = (truth(1, &[5, 1]), halves(&random(2, [5, 7])), halves(&random(3, [7])));
    let chosen = graph(&[&condition, &a, &b], |graph, x| graph.push(Where, x));
    t.check("halves", &chosen, &[&condition, &a, &b], &where_(&condition, &a, &b), Tolerance::Exact);
    let compared = graph(&[&a, &b], |graph, x| graph.compare(x[0], Compare::Lt, x[1]));
    t.check("halves compared", &compared, &[&a, &b], &compare(Compare::Lt, &a, &b), Tolerance::Exact);
}

const COMPARISONS: [Compare; 6] = [Compare::Eq, Compare::Ne, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge];

/// Returns small integers, many of them equal.
fn whole(seed: u64, shape: &[usize]) -> Tensor {
    random(seed, shape).map(|x| (3.0 * x).round())
}

fn truth(seed: u64, shape: &[usize]) -> Tensor {
    random(seed, shape).map(|x| f64::from(x > 0.0)).with_dtype(DType::Bool)
}

/// Returns a column and a row of these numbers, which broadcast to all pairs of them.
fn all_pairs(numbers: &[f32], dtype: DType) -> [Tensor; 2] {
    [vec![numbers.len(), 1], vec![numbers.len()]].map(|shape| Tensor::new(shape, numbers.to_vec()).with_dtype(dtype))
}

fn numbers_that_are_hard_to_compare(t: &Suite) {
    let (tiny, infinite) = (f32::from_bits(1), f32::INFINITY);
    let numbers =
        [0.0, -0.0, 1.0, -1.0, 1.000_000_1, tiny, -tiny, f32::MAX, f32::MIN, infinite, -infinite, f32::NAN, -f32::NAN];
    let whole = [0.0, 1.0, -1.0, -2.0, 65_536.0, -16_777_216.0, i32::MIN as f32];
    let all = [all_pairs(&numbers, DType::F32), all_pairs(&whole, DType::I32), all_pairs(&[0.0, 1.0], DType::Bool)];
    for kind in COMPARISONS {
        for [a, b] in &all {
            let graph = graph(&[a, b], |graph, x| graph.compare(x[0], kind, x[1]));
            t.check(&format!("{kind:?} of {}", a.dtype), &graph, &[a, b], &compare(kind, a, b), Tolerance::Exact);
        }
    }
}

/// The shapes of two operands.
const SHAPES: [[&[usize]; 2]; 7] = [
    [&[1], &[1]],
    [&[65, 3], &[65, 3]],
    [&[5, 7], &[7]],
    [&[2, 1, 3], &[4, 1]],
    [&[2, 3, 4, 5], &[1, 3, 1, 1]],
    [&[2, 5, 3, 3], &[2, 5, 3, 3]],
    [&[2, 1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2, 1, 3]],
];

fn comparisons_broadcast(t: &Suite) {
    for [a, b] in SHAPES {
        for dtype in [DType::F32, DType::I32] {
            let case = format!("{a:?} <= {b:?} of {dtype}");
            let (a, b) = (whole(1, a).with_dtype(dtype), whole(2, b).with_dtype(dtype));
            let graph = graph(&[&a, &b], |graph, x| graph.compare(x[0], Compare::Le, x[1]));
            t.check(&case, &graph, &[&a, &b], &compare(Compare::Le, &a, &b), Tolerance::Exact);
        }
    }
}

fn every_pair_of_truth_values(t: &Suite) {
    let [a, b] = all_pairs(&[0.0, 1.0], DType::Bool);
    for kind in [Logical::And, Logical::Or, Logical::Xor] {
        let graph = graph(&[&a, &b], |graph, x| graph.push(kind, x));
        t.check(&format!("{kind:?}"), &graph, &[&a, &b], &logical(kind, &a, &b), Tolerance::Exact);
    }
    for shape in [&[2][..], &[65, 3]] {
        let x = truth(1, shape);
        let graph = graph(&[&x], |graph, x| graph.logical_not(x[0]));
        t.check("Not", &graph, &[&x], &logical(Logical::Not, &x, &x), Tolerance::Exact);
    }
}

fn joining_broadcasts(t: &Suite) {
    for [a, b] in SHAPES {
        let case = format!("{a:?} and {b:?}");
        let (a, b) = (truth(1, a), truth(2, b));
        let both = graph(&[&a, &b], |graph, x| graph.logical_and(x[0], x[1]));
        t.check(&case, &both, &[&a, &b], &logical(Logical::And, &a, &b), Tolerance::Exact);
    }
    let (a, b) = (truth(1, &[3, 4]), truth(2, &[4]));
    let several = graph(&[&a, &b], |graph, x| {
        let either = graph.logical_or(x[0], x[1])?;
        let one = graph.logical_xor(either, x[1])?;
        graph.logical_not(one)
    });
    let either = logical(Logical::Or, &a, &b);
    let one = logical(Logical::Xor, &either, &b);
    t.check("one after the other", &several, &[&a, &b], &logical(Logical::Not, &one, &one), Tolerance::Exact);
}

fn choices(t: &Suite) {
    let shapes: [[&[usize]; 3]; 7] = [
        [&[1], &[1], &[1]],
        [&[65, 3], &[65, 3], &[65, 3]],
        [&[5, 7], &[1], &[5, 7]],
        [&[7], &[5, 1], &[1, 7]],
        [&[2, 1, 3], &[4, 1], &[1]],
        [&[1, 1, 4, 4], &[2, 3, 4, 4], &[1]],
        [&[2, 1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2, 1, 3], &[2, 1, 1]],
    ];
    for dtype in [DType::F32, DType::I32, DType::Bool] {
        for [condition, a, b] in shapes {
            let case = format!("{condition:?} of {a:?} and {b:?}, {dtype}");
            let of = |seed: u64, shape: &[usize]| match dtype {
                DType::Bool => truth(seed, shape),
                _ => whole(seed, shape).with_dtype(dtype),
            };
            let (condition, a, b) = (truth(1, condition), of(2, a), of(3, b));
            let graph = graph(&[&condition, &a, &b], |graph, x| graph.push(Where, x));
            t.check(&case, &graph, &[&condition, &a, &b], &where_(&condition, &a, &b), Tolerance::Exact);
        }
    }
}

/// Replaces the negative elements of an image.
fn a_mask_between_images(t: &Suite) {
    let (x, zero) = (random(1, [2, 5, 3, 4]), Tensor::new([1], vec![0.0]));
    let graph = graph_between_images(&[&x, &zero], |graph, x| {
        let negative = graph.compare(x[0], Compare::Lt, x[1])?;
        graph.where_(negative, x[1], x[0])
    });
    t.check("between images", &graph, &[&x, &zero], &x.map(|x| x.max(0.0)), Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let (a, b, condition) = (whole(1, &[5, 7]), whole(2, &[7]), truth(3, &[5, 1]));
    for kind in COMPARISONS {
        let graph = graph(&[&a, &b], |graph, x| graph.compare(x[0], kind, x[1]));
        let reference = |x: &[&Tensor]| compare(kind, x[0], x[1]);
        t.check_not_finite(&format!("{kind:?}"), &graph, &[&a, &b], reference, Tolerance::Exact);
    }
    let inputs = [&condition, &a, &b];
    let graph = graph(&inputs, |graph, x| graph.push(Where, x));
    t.check_not_finite("where", &graph, &inputs, |x| where_(x[0], x[1], x[2]), Tolerance::Exact);
}
