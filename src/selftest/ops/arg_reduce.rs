//! Cases of `argmax` and `argmin`: axes, lengths about a workgroup's capacity, equal elements.

use crate::DType;
use crate::ops::ArgReduce;
use crate::selftest::cases::{as_image, graph, halves, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    lengths(t);
    of_equal_ones_the_first(t);
    nasty_values(t);
    integers(t);
    long_loops(t);
    of_an_image(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    check_both(t, "halves", &halves(&random(1, [3, 65])), Some(1));
}

/// Returns the index of the first largest (or smallest) element along `axis`, or among all elements.
pub fn arg_reduce(x: &Tensor, smallest: bool, axis: Option<usize>, keepdim: bool) -> Tensor {
    let (length, stride) = match axis {
        Some(axis) => (x.shape[axis], x.shape[axis + 1..].iter().product()),
        None => (x.data.len(), 1),
    };
    let place = |line: usize| {
        let at = |i: usize| x.data[line / stride * stride * length + line % stride + i * stride];
        let better = |a: f32, b: f32| if smallest { a < b } else { a > b } || a.is_nan() && !b.is_nan();
        (1..length).fold(0, |best, i| if better(at(i), at(best)) { i } else { best }) as f32
    };
    let kept = |(d, &size): (usize, &usize)| match axis.is_none_or(|axis| axis == d) {
        true => keepdim.then_some(1),
        false => Some(size),
    };
    let shape: Vec<usize> = x.shape.iter().enumerate().filter_map(kept).collect();
    Tensor::new(shape, (0..x.data.len() / length).map(place).collect()).with_dtype(DType::I32)
}

fn check_both(t: &Suite, case: &str, x: &Tensor, axis: Option<usize>) {
    for (smallest, keepdim) in [(false, false), (true, false), (false, true)] {
        let op = if smallest { ArgReduce::argmin(axis) } else { ArgReduce::argmax(axis) }.keepdim(keepdim);
        let graph = graph(&[x], |graph, x| graph.push(op.clone(), &[x[0]]));
        let case = format!("{case}, {op:?} of {:?}", x.shape);
        t.check(&case, &graph, &[x], &arg_reduce(x, smallest, axis, keepdim), Tolerance::Exact);
    }
}

fn along_each_axis(t: &Suite) {
    let cases: [(&[usize], Option<usize>); 10] = [
        (&[1], Some(0)),
        (&[7], None),
        (&[3, 65], Some(1)),
        (&[65, 3], Some(0)),
        (&[130, 5], Some(1)),
        (&[5, 130], Some(0)),
        (&[2, 3, 5, 7], None),
        (&[2, 3, 5, 7], Some(1)),
        (&[2, 3, 5, 7], Some(2)),
        (&[2, 1, 3, 2, 1, 3, 2, 3], Some(3)),
    ];
    for (shape, axis) in cases {
        check_both(t, "random", &random(1, shape), axis);
    }
}

/// Checks lengths one below, at and above a workgroup's capacity.
fn lengths(t: &Suite) {
    for length in [2, 3, 4, 5, 255, 256, 257, 1023, 1024, 1025, 4099] {
        check_both(t, "inner", &random(1, [2, length]), Some(1));
        check_both(t, "outer", &random(1, [length, 2]), Some(0));
    }
}

fn of_equal_ones_the_first(t: &Suite) {
    for length in [5, 300, 2000] {
        let mut x = Tensor::new([2, length], vec![0.0; 2 * length]);
        check_both(t, "all the same", &x, Some(1));
        x.data.iter_mut().skip(length / 3).step_by(7).for_each(|value| *value = 2.0);
        x.data.iter_mut().skip(length / 3 + 1).step_by(5).for_each(|value| *value = -2.0);
        check_both(t, "several", &x, Some(1));
        check_both(t, "several among all", &x, None);
    }
    let zeros = Tensor::new([2, 3], vec![-0.0, 0.0, -0.0, 0.0, -0.0, 0.0]);
    check_both(t, "two zeros", &zeros, Some(1));
}

fn nasty_values(t: &Suite) {
    let inf = f32::INFINITY;
    let x = Tensor::new([3, 4], vec![-1e38, -3e38, -inf, -1.0, 1e-30, inf, 3e38, inf, -1e-30, 1e-30, 0.0, -1e-20]);
    check_both(t, "far apart", &x, Some(1));
}

fn of_an_image(t: &Suite) {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        graph.argmax(x, 1)
    });
    t.check("classes of pixels", &graph, &[&x], &arg_reduce(&x, false, Some(1), false), Tolerance::Exact);
}

/// Checks integers of either sign, several of them equal; as `f32`, some have the bits of NaN.
fn integers(t: &Suite) {
    for (shape, axis) in [(&[7][..], 0), (&[3, 65], 1), (&[600, 2], 0)] {
        let x = random(1, shape).map(|x| (50.0 * x).round() + 0.0).with_dtype(DType::I32);
        check_both(t, "i32s", &x, Some(axis));
    }
    let ends =
        Tensor::new([5], vec![2_139_095_296.0, i32::MIN as f32, 2_147_483_520.0, -1.0, 0.0]).with_dtype(DType::I32);
    check_both(t, "i32s", &ends, Some(0));
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let mut x = random(1, [70_001]);
    x.data[70_000] = 2.0;
    check_both(t, "long", &x, None);
    check_both(t, "long", &random(1, [70_001, 3]), Some(0));
}

/// Checks that NaN counts as the most extreme element, both for the largest and for the smallest.
fn not_finite(t: &Suite) {
    for (shape, axis) in [(&[3, 5][..], Some(1)), (&[300, 2], Some(0)), (&[7, 43], None)] {
        let x = random(1, shape);
        for smallest in [false, true] {
            let op = if smallest { ArgReduce::argmin(axis) } else { ArgReduce::argmax(axis) };
            let graph = graph(&[&x], |graph, x| graph.push(op.clone(), &[x[0]]));
            let reference = |x: &[&Tensor]| arg_reduce(x[0], smallest, axis, false);
            t.check_not_finite(&format!("{op:?} of {shape:?}"), &graph, &[&x], reference, Tolerance::Exact);
        }
    }
}
