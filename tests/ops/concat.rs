use crate::harness::{Tolerance, as_image, check, graph, random, refused};
use crate::reference::{self, Tensor};
use shadernet::ops::Concat;

#[test]
fn along_each_axis() {
    let cases: [(usize, &[&[usize]]); 9] = [
        (0, &[&[3], &[5], &[1]]),
        (0, &[&[2, 3], &[1, 3]]),
        (1, &[&[2, 3], &[2, 4]]),
        (1, &[&[2, 4, 3, 3], &[2, 8, 3, 3]]),
        (1, &[&[2, 5, 3, 3], &[2, 1, 3, 3], &[2, 6, 3, 3], &[2, 2, 3, 3]]),
        (2, &[&[2, 5, 3, 3], &[2, 5, 4, 3]]),
        (3, &[&[2, 5, 3, 1], &[2, 5, 3, 4]]),
        (0, &[&[1, 5, 3, 4], &[3, 5, 3, 4]]),
        (1, &[&[2, 7, 9]]),
    ];
    for (axis, shapes) in cases {
        let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(&shape, seed)| random(seed, shape)).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let graph = graph(&inputs, |graph, x| graph.concat(x, axis));
        let case = format!("axis {axis} of {shapes:?}");
        check(&case, &graph, &inputs, &reference::concat(&inputs, axis), Tolerance::Exact);
    }
}

#[test]
fn of_images_and_of_one_value_twice() {
    let (a, b) = (random(1, [2, 5, 3, 4]), random(2, [2, 2, 3, 4]));
    let graph = graph(&[&a, &b], |graph, x| {
        let (a, b) = (as_image(graph, x[0])?, as_image(graph, x[1])?);
        let y = graph.concat(&[a, b, a], 1)?;
        as_image(graph, y)
    });
    check("between images", &graph, &[&a, &b], &reference::concat(&[&a, &b, &a], 1), Tolerance::Exact);
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[], Concat::new(0)).contains("at least one"));
    assert!(refused(&[&[2, 3]], Concat::new(2)).contains("a dimension of [2, 3]"));
    assert!(refused(&[&[2, 3], &[2, 4]], Concat::new(0)).contains("input 1"));
    assert!(refused(&[&[2, 3], &[2, 3, 1]], Concat::new(0)).contains("input 1"));
    assert!(refused(&[&[1; 9], &[1; 9]], Concat::new(0)).contains("9 dimensions"));
}
