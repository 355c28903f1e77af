use crate::harness::{Tolerance, as_image, check, graph, random, refused};
use crate::reference;
use shadernet::ops::PixelShuffle;

#[test]
fn factors() {
    // Where the output is a multiple of four pixels wide, it may be written row-major.
    let cases = [
        (1, [2, 5, 3, 4]),
        (2, [1, 4, 1, 1]),
        (2, [2, 12, 5, 6]),
        (2, [2, 12, 3, 5]),
        (2, [3, 20, 4, 2]),
        (3, [2, 9, 4, 4]),
        (3, [1, 27, 2, 5]),
        (4, [2, 48, 3, 3]),
    ];
    for (factor, shape) in cases {
        let x = random(1, shape);
        let graph = graph(&[&x], |graph, x| graph.pixel_shuffle(x[0], factor));
        let case = format!("{shape:?} by {factor}");
        check(&case, &graph, &[&x], &reference::pixel_shuffle(&x, factor), Tolerance::Exact);
    }
}

#[test]
fn before_another_operation() {
    let x = random(1, [2, 12, 3, 4]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.pixel_shuffle(x, 2)?;
        as_image(graph, y)
    });
    check("between images", &graph, &[&x], &reference::pixel_shuffle(&x, 2), Tolerance::Exact);
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[1, 6, 2, 2]], PixelShuffle::new(2)).contains("a multiple of 4 channels"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelShuffle::new(0)).contains("channels"));
    assert!(refused(&[&[4, 2, 2]], PixelShuffle::new(2)).contains("4 dimensions"));
}
