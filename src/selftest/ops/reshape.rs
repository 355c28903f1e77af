//! Cases of reshapes: shapes, images, dimensions of one.

use crate::DType;
use crate::selftest::cases::{as_image, graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    shapes(t);
    of_images(t);
    dimensions_of_one(t);
    of_every_type(t);
    not_finite(t);
}

/// Returns the same elements in another shape.
fn reshaped(x: &Tensor, shape: &[usize]) -> Tensor {
    Tensor::new(shape, x.data.clone())
}

fn shapes(t: &Suite) {
    let cases: [(&[usize], &[isize], &[usize]); 9] = [
        (&[6], &[2, 3], &[2, 3]),
        (&[2, 3], &[6], &[6]),
        (&[2, 3, 4], &[-1, 8], &[3, 8]),
        (&[2, 3, 4], &[0, -1], &[2, 12]),
        (&[2, 3, 4], &[0, 0, 2, -1], &[2, 3, 2, 2]),
        (&[2, 5, 3, 3], &[2, 45], &[2, 45]),
        (&[2, 5, 1, 1], &[2, 5], &[2, 5]),
        (&[2, 8], &[2, 8, 1, 1], &[2, 8, 1, 1]),
        (&[1], &[1, 1, 1], &[1, 1, 1]),
    ];
    for (shape, sizes, to) in cases {
        let x = random(1, shape);
        let case = format!("{shape:?} to {sizes:?}");
        let alone = graph(&[&x], |graph, x| graph.reshape(x[0], sizes));
        t.check(&case, &alone, &[&x], &reshaped(&x, to), Tolerance::Exact);
        // If a computed value precedes the reshape, the output is the value's own memory.
        let after = graph(&[&x], |graph, x| {
            let x = graph.add(x[0], x[0])?;
            graph.reshape(x, sizes)
        });
        let doubled = Tensor::new(to, x.data.iter().map(|value| 2.0 * value).collect());
        t.check(&case, &after, &[&x], &doubled, Tolerance::Exact);
    }
}

fn of_images(t: &Suite) {
    // Channels last isn't row-major: only the channels of a single pixel can stay in place.
    for shape in [[2, 5, 3, 4], [2, 5, 1, 1], [2, 8, 1, 1]] {
        let x = random(1, shape);
        let elements = shape.iter().product::<usize>() / shape[0];
        let flat = reshaped(&x, &[shape[0], elements]);
        let flatten = graph(&[&x], |graph, x| {
            let x = as_image(graph, x[0])?;
            graph.flatten(x)
        });
        t.check(&format!("flatten {shape:?}"), &flatten, &[&x], &flat, Tolerance::Exact);
        let there_and_back = graph(&[&x], |graph, x| {
            let x = as_image(graph, x[0])?;
            let flat = graph.reshape(x, [0, -1])?;
            let flat = as_image(graph, flat)?;
            let x = graph.reshape(flat, shape.map(|size| size as isize))?;
            as_image(graph, x)
        });
        t.check(&format!("{shape:?} and back"), &there_and_back, &[&x], &x, Tolerance::Exact);
    }
}

fn dimensions_of_one(t: &Suite) {
    for axis in 0..=3 {
        let x = random(1, [2, 3, 4]);
        let more = graph(&[&x], |graph, x| graph.unsqueeze(x[0], axis));
        let mut shape = x.shape.clone();
        shape.insert(axis, 1);
        t.check(&format!("unsqueeze {axis}"), &more, &[&x], &reshaped(&x, &shape), Tolerance::Exact);
        let x = reshaped(&x, &shape);
        let less = graph(&[&x], |graph, x| graph.squeeze(x[0], axis));
        t.check(&format!("squeeze {axis}"), &less, &[&x], &reshaped(&x, &[2, 3, 4]), Tolerance::Exact);
    }
    let x = random(1, [2, 5, 1, 1]);
    let pooled = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let x = graph.squeeze(x, 3)?;
        let x = graph.squeeze(x, 2)?;
        as_image(graph, x)
    });
    t.check("squeeze of an image", &pooled, &[&x], &reshaped(&x, &[2, 5]), Tolerance::Exact);
}

fn of_every_type(t: &Suite) {
    for dtype in [DType::I32, DType::Bool] {
        let x = Tensor::new([2, 1], vec![1.0, 0.0]).with_dtype(dtype);
        let graph = graph(&[&x], |graph, x| {
            let x = graph.squeeze(x[0], 1)?;
            let x = graph.unsqueeze(x, 0)?;
            graph.reshape(x, [2, 1])
        });
        t.check(&format!("{dtype}"), &graph, &[&x], &x, Tolerance::Exact);
    }
}

fn not_finite(t: &Suite) {
    let x = random(1, [2, 6]);
    let graph = graph(&[&x], |graph, x| graph.reshape(x[0], [3, 4]));
    t.check_not_finite("three rows", &graph, &[&x], |x| reshaped(x[0], &[3, 4]), Tolerance::Exact);
}
