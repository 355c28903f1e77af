use crate::harness::{Tolerance, as_image, check, graph, random, refused};
use crate::reference::Tensor;
use shadernet::ops::{Flatten, Reshape};

/// The same elements under another shape.
fn reshaped(x: &Tensor, shape: &[usize]) -> Tensor {
    Tensor::new(shape, x.data.clone())
}

#[test]
fn shapes() {
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
        check(&case, &alone, &[&x], &reshaped(&x, to), Tolerance::Exact);
        // With a computed value before it, the output is the value's own memory.
        let after = graph(&[&x], |graph, x| {
            let x = graph.sum(x[0], x[0])?;
            graph.reshape(x, sizes)
        });
        let doubled = Tensor::new(to, x.data.iter().map(|value| 2.0 * value).collect());
        check(&case, &after, &[&x], &doubled, Tolerance::Exact);
    }
}

#[test]
fn of_images() {
    // Channels last isn't row-major: only a pixel's channels can stay where they are.
    for shape in [[2, 5, 3, 4], [2, 5, 1, 1], [2, 8, 1, 1]] {
        let x = random(1, shape);
        let elements = shape.iter().product::<usize>() / shape[0];
        let flat = reshaped(&x, &[shape[0], elements]);
        let flatten = graph(&[&x], |graph, x| {
            let x = as_image(graph, x[0])?;
            graph.flatten(x)
        });
        check(&format!("flatten {shape:?}"), &flatten, &[&x], &flat, Tolerance::Exact);
        let there_and_back = graph(&[&x], |graph, x| {
            let x = as_image(graph, x[0])?;
            let flat = graph.reshape(x, [0, -1])?;
            let flat = as_image(graph, flat)?;
            let x = graph.reshape(flat, shape.map(|size| size as isize))?;
            as_image(graph, x)
        });
        check(&format!("{shape:?} and back"), &there_and_back, &[&x], &x, Tolerance::Exact);
    }
}

#[test]
fn what_it_refuses() {
    for sizes in [&[5][..], &[-1, 4], &[-1, -1], &[-2, 3], &[2, 3, 0], &[4, 2]] {
        assert!(refused(&[&[2, 3]], Reshape::new(sizes)).contains("as many elements as [2, 3]"), "{sizes:?}");
    }
    assert!(refused(&[&[]], Flatten).contains("at least one dimension"));
    assert!(refused(&[], Flatten).contains("inputs"));
}
