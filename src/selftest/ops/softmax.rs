//! Cases of softmax and its logarithm: axes, long lines, large values.

use crate::selftest::cases::{graph, graph_between_images, halves, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    over_each_axis(t);
    lines_whose_elements_are_apart(t);
    lines_kept_and_read_again(t);
    large_values(t);
    more_workgroups_than_a_dimension_has(t);
    of_an_image(t);
    long_loops(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    for (shape, axis) in [([2, 3, 64], 2), ([2, 3, 65], 2), ([2, 64, 3], 1), ([1, 2, 5000], 2)] {
        check_both(t, "halves", &halves(&random(1, shape)), axis);
    }
}

/// Checks both operations.
fn check_both(t: &Suite, case: &str, x: &Tensor, axis: usize) {
    let softmax = graph(&[x], |graph, x| graph.softmax(x[0], axis));
    t.check(case, &softmax, &[x], &reference::softmax(x, axis), Tolerance::Transcendental);
    let log_softmax = graph(&[x], |graph, x| graph.log_softmax(x[0], axis));
    t.check(case, &log_softmax, &[x], &reference::log_softmax(x, axis), Tolerance::Transcendental);
}

fn scaled(by: f64, shape: &[usize]) -> Tensor {
    random(1, shape).map(|x| by * x)
}

fn over_each_axis(t: &Suite) {
    let cases: [(&[usize], usize); 10] = [
        (&[1], 0),
        (&[5], 0),
        (&[2, 3, 5], 0),
        (&[2, 3, 5], 1),
        (&[2, 3, 5], 2),
        (&[3, 63], 1),
        (&[3, 64], 1),
        (&[3, 65], 1),
        (&[2, 7, 3, 4], 1),
        (&[2, 1000], 1),
    ];
    for (shape, axis) in cases {
        let x = scaled(5.0, shape);
        check_both(t, &format!("axis {axis} of {shape:?}"), &x, axis);
    }
}

fn lines_whose_elements_are_apart(t: &Suite) {
    // Neighbouring lines share a workgroup: fewer lines than it takes, as many, more; short lines and long ones.
    let cases: [(&[usize], usize); 9] = [
        (&[65, 2], 0),
        (&[2, 64, 3], 1),
        (&[1, 63, 16], 1),
        (&[3, 66, 17], 1),
        (&[5, 3, 15], 1),
        (&[2, 257, 5], 1),
        (&[2100, 1, 3], 0),
        (&[2, 130, 3, 7], 1),
        (&[2, 3, 20, 16], 2),
    ];
    for (shape, axis) in cases {
        check_both(t, &format!("axis {axis} of {shape:?}"), &scaled(5.0, shape), axis);
    }
}

fn lines_kept_and_read_again(t: &Suite) {
    // Limits of a block: an llvmpipe vector's, those of 64 and 256 invocations with 1, 4 and 16 texels each.
    for around in [64, 256, 1024, 4096, 16384] {
        for length in [around - 1, around, around + 1] {
            check_both(t, &format!("{length} in a line"), &scaled(30.0, &[2, length]), 1);
        }
    }
    // The same limits hold for 16 and for 4 lines together.
    for (columns, stride, around) in [(16, 17, [16, 64, 256]), (4, 3, [64, 256, 1024])] {
        for around in around {
            for length in [around - 1, around, around + 1] {
                check_both(t, &format!("{length} in {columns} lines"), &scaled(30.0, &[length, stride]), 0);
            }
        }
    }
    // The largest element comes last, then first: the partial sum vanishes beside it, or all later terms do.
    for way in [1.0, -1.0] {
        let ramp = (0..5000).map(|i| way * 0.05 * i as f32).collect();
        check_both(t, &format!("a slope of {way}"), &Tensor::new([1, 5000], ramp), 1);
    }
}

fn large_values(t: &Suite) {
    // exp(500) overflows unless the largest value is subtracted first.
    for shift in [0.0, 500.0, -500.0] {
        let x = scaled(500.0, &[4, 9]).map(|x| x + shift);
        check_both(t, &format!("±500 {shift:+}"), &x, 1);
    }
    for value in [-500.0, 500.0, -88.0, 88.0, 0.0, 1e-30] {
        check_both(t, &format!("all {value}"), &Tensor::new([2, 3], vec![value; 6]), 1);
    }
    check_both(t, "corners", &Tensor::new([1, 8], vec![500.0, -500.0, 88.0, -88.0, 0.0, -0.0, 1e-30, -1e-30]), 1);
}

fn more_workgroups_than_a_dimension_has(t: &Suite) {
    // Each line takes a workgroup, and WebGPU allows 65,535 workgroups in each dimension of a dispatch.
    check_both(t, "70,000 lines", &scaled(3.0, &[70_000, 3]), 1);
}

fn of_an_image(t: &Suite) {
    let x = scaled(4.0, &[2, 6, 3, 5]);
    let graph = graph_between_images(&[&x], |graph, x| graph.softmax(x[0], 1));
    t.check("between images", &graph, &[&x], &reference::softmax(&x, 1), Tolerance::Transcendental);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    // All elements are about equally likely; then the last is by far the likeliest.
    let mut x = random(1, [1, 600_000]);
    check_both(t, "600,000 in a line", &x, 1);
    x.data[599_999] = 30.0;
    check_both(t, "600,000 in a line, the last counts", &x, 1);
    check_both(t, "90,000 in eight lines", &random(1, [90_000, 8]), 0);
}

fn not_finite(t: &Suite) {
    for (shape, axis) in [(&[3, 7][..], 1), (&[2, 70, 3], 1), (&[2, 1100], 1)] {
        let x = scaled(5.0, shape);
        let softmax = graph(&[&x], |graph, x| graph.softmax(x[0], axis));
        let log_softmax = graph(&[&x], |graph, x| graph.log_softmax(x[0], axis));
        let case = format!("axis {axis} of {shape:?}");
        let references: [fn(&Tensor, usize) -> Tensor; 2] = [reference::softmax, reference::log_softmax];
        for (graph, reference) in [softmax, log_softmax].iter().zip(references) {
            t.check_not_finite(&case, graph, &[&x], |x| reference(x[0], axis), Tolerance::Transcendental);
        }
    }
    // A line of minus infinities, and a line with one finite number.
    let inf = f32::INFINITY;
    check_both(t, "infinities", &Tensor::new([3, 3], vec![-inf, -inf, -inf, -inf, 2.0, -inf, inf, inf, 0.0]), 1);
}
