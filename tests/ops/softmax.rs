use crate::harness::{Tolerance, as_image, check, graph, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::Softmax;

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
        let graph = graph(&[&x], |graph, x| graph.softmax(x[0], axis));
        let case = format!("axis {axis} of {shape:?}");
        check(&case, &graph, &[&x], &reference::softmax(&x, axis), Tolerance::Transcendental);
    }
}

#[test]
fn large_values() {
    // exp(500) overflows unless the largest value is subtracted first.
    for shift in [0.0, 500.0, -500.0] {
        let mut x = scaled(500.0, &[4, 9]);
        x.data.iter_mut().for_each(|value| *value += shift);
        let graph = graph(&[&x], |graph, x| graph.softmax(x[0], 1));
        check(&format!("±500 {shift:+}"), &graph, &[&x], &reference::softmax(&x, 1), Tolerance::Transcendental);
    }
    let equal = Tensor::new([2, 3], vec![-500.0; 6]);
    let graph = graph(&[&equal], |graph, x| graph.softmax(x[0], 1));
    let third = Tensor::new([2, 3], vec![1.0 / 3.0; 6]);
    check("all the same", &graph, &[&equal], &third, Tolerance::Transcendental);
}

#[test]
fn more_workgroups_than_a_dimension_has() {
    // One workgroup a line, and WebGPU's limit is 65,535 in each dimension of a dispatch.
    let x = scaled(3.0, &[70_000, 3]);
    let graph = graph(&[&x], |graph, x| graph.softmax(x[0], 1));
    check("70,000 lines", &graph, &[&x], &reference::softmax(&x, 1), Tolerance::Transcendental);
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
}
