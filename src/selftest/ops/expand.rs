//! Cases of `expand`, and its reference.

use crate::DType;
use crate::selftest::cases::{as_image, constant, graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Repeats the tensor to this shape.
pub fn expand(x: &Tensor, shape: &[usize]) -> Tensor {
    Tensor::build(shape, |i| x.broadcast_at(i)).with_dtype(x.dtype)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    to_sizes(t);
    to_the_shape_of_another(t);
    of_every_type(t);
    not_finite(t);
}

fn to_sizes(t: &Suite) {
    let cases: [(&[usize], &[isize], &[usize]); 8] = [
        (&[1], &[1], &[1]),
        (&[1], &[65], &[65]),
        (&[3], &[4, -1], &[4, 3]),
        (&[3, 1], &[3, 5], &[3, 5]),
        (&[1, 3, 1, 2], &[4, -1, 5, -1], &[4, 3, 5, 2]),
        (&[2, 1, 7], &[-1, 3, 7], &[2, 3, 7]),
        (&[1, 1], &[2, 1, 3, 7], &[2, 1, 3, 7]),
        (&[2, 1, 2, 1, 2, 1], &[3, 1, 2, 2, 2, 2, 2, 2], &[3, 1, 2, 2, 2, 2, 2, 2]),
    ];
    for (from, sizes, to) in cases {
        let x = random(1, from);
        let graph = graph(&[&x], |graph, x| graph.expand(x[0], sizes));
        t.check(&format!("{from:?} to {sizes:?}"), &graph, &[&x], &expand(&x, to), Tolerance::Exact);
    }
}

fn to_the_shape_of_another(t: &Suite) {
    let (x, like) = (random(1, [3, 1, 1]), random(2, [2, 3, 5, 7]));
    let expected = expand(&x, &like.shape);
    let alike = graph(&[&x, &like], |graph, x| graph.expand_as(x[0], x[1]));
    t.check("like another", &alike, &[&x, &like], &expected, Tolerance::Exact);
    // Each image gets a learned row.
    let each = graph(&[&like], |graph, inputs| {
        let x = graph.constant(constant(&x));
        let like = as_image(graph, inputs[0])?;
        graph.expand_as(x, like)
    });
    t.check("a constant like an image", &each, &[&like], &expected, Tolerance::Exact);
}

fn of_every_type(t: &Suite) {
    for dtype in [DType::I32, DType::Bool] {
        let x = Tensor::new([2, 1], vec![1.0, 0.0]).with_dtype(dtype);
        let graph = graph(&[&x], |graph, x| graph.expand(x[0], [2, 3]));
        t.check(&format!("{dtype}"), &graph, &[&x], &expand(&x, &[2, 3]), Tolerance::Exact);
    }
}

fn not_finite(t: &Suite) {
    let x = random(1, [3, 1, 2]);
    let graph = graph(&[&x], |graph, x| graph.expand(x[0], [3, 5, 2]));
    t.check_not_finite("repeated", &graph, &[&x], |x| expand(x[0], &[3, 5, 2]), Tolerance::Exact);
}
