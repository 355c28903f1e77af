use crate::harness::{Tolerance, as_image, check, graph, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::{LogSoftmax, Softmax};

/// Checks both operations.
fn check_both(case: &str, x: &Tensor, axis: usize) {
    let softmax = graph(&[x], |graph, x| graph.softmax(x[0], axis));
    check(case, &softmax, &[x], &reference::softmax(x, axis), Tolerance::Transcendental);
    let log_softmax = graph(&[x], |graph, x| graph.log_softmax(x[0], axis));
    check(case, &log_softmax, &[x], &reference::log_softmax(x, axis), Tolerance::Transcendental);
}

fn scaled(by: f32, shape: &[usize]) -> Tensor {
    let mut x = random(1, shape);
    x.data.iter_mut().for_each(|value| *value *= by);
    x
}

#[test]
fn over_each_axis() {
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
        check_both(&format!("axis {axis} of {shape:?}"), &x, axis);
    }
}

#[test]
fn lines_whose_elements_are_apart() {
    // Neighbouring lines share a workgroup: fewer than it takes, as many, more; short lines and long ones.
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
        check_both(&format!("axis {axis} of {shape:?}"), &scaled(5.0, shape), axis);
    }
}

#[test]
fn large_values() {
    // exp(500) overflows unless the largest value is subtracted first.
    for shift in [0.0, 500.0, -500.0] {
        let mut x = scaled(500.0, &[4, 9]);
        x.data.iter_mut().for_each(|value| *value += shift);
        check_both(&format!("±500 {shift:+}"), &x, 1);
    }
    for value in [-500.0, 500.0, -88.0, 88.0, 0.0, 1e-30] {
        check_both(&format!("all {value}"), &Tensor::new([2, 3], vec![value; 6]), 1);
    }
    check_both("corners", &Tensor::new([1, 8], vec![500.0, -500.0, 88.0, -88.0, 0.0, -0.0, 1e-30, -1e-30]), 1);
}

#[test]
fn more_workgroups_than_a_dimension_has() {
    // One workgroup a line, and WebGPU's limit is 65,535 in each dimension of a dispatch.
    check_both("70,000 lines", &scaled(3.0, &[70_000, 3]), 1);
}

#[test]
fn of_an_image() {
    let x = scaled(4.0, &[2, 6, 3, 5]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.softmax(x, 1)?;
        as_image(graph, y)
    });
    check("between images", &graph, &[&x], &reference::softmax(&x, 1), Tolerance::Transcendental);
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3]], Softmax::new(2)).contains("a dimension of [2, 3]"));
    assert!(refused(&[], Softmax::new(0)).contains("inputs"));
    assert!(refused(&[&[2, 3]], LogSoftmax::new(2)).contains("a dimension of [2, 3]"));
    assert!(refused(&[], LogSoftmax::new(0)).contains("inputs"));
}
