use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{as_image, graph, random};
use crate::selftest::reference;

/// The cases.
pub fn cases(t: &Suite) {
    factors(t);
    before_another_operation(t);
}

fn factors(t: &Suite) {
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
        t.check(&case, &graph, &[&x], &reference::pixel_shuffle(&x, factor), Tolerance::Exact);
    }
}

fn before_another_operation(t: &Suite) {
    let x = random(1, [2, 12, 3, 4]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.pixel_shuffle(x, 2)?;
        as_image(graph, y)
    });
    t.check("between images", &graph, &[&x], &reference::pixel_shuffle(&x, 2), Tolerance::Exact);
}
