//! Cases of slices, and their reference: every kind of range, every type.

use crate::DType;
use crate::ops::Slice;
use crate::selftest::cases::{as_image, graph, graph_between_images, graph_of, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Computes Python's `x[.., start:end:step]` along one dimension.
pub fn slice(x: &Tensor, axis: usize, start: Option<isize>, end: Option<isize>, step: isize) -> Tensor {
    let size = x.shape[axis] as isize;
    let from_front = |i: isize| if i < 0 { i + size } else { i };
    let mut at = match (start, step > 0) {
        (None, true) => 0,
        (None, false) => size - 1,
        (Some(i), true) => from_front(i).max(0),
        (Some(i), false) => from_front(i).min(size - 1),
    };
    let before = |i: isize| end.is_none_or(|end| if step > 0 { i < from_front(end) } else { i > from_front(end) });
    let mut taken = Vec::new();
    while (0..size).contains(&at) && before(at) {
        taken.push(at as usize);
        at += step;
    }
    let mut shape = x.shape.clone();
    shape[axis] = taken.len();
    let at = |i: &[usize]| x.at(&[&i[..axis], &[taken[i[axis]]], &i[axis + 1..]].concat());
    Tensor::build(shape, at).with_dtype(x.dtype)
}

/// Splits the tensor into parts of these sizes.
pub fn split(x: &Tensor, sizes: &[usize], axis: usize) -> Vec<Tensor> {
    let mut first = 0;
    let part = |&size: &usize| {
        first += size as isize;
        slice(x, axis, Some(first - size as isize), Some(first), 1)
    };
    sizes.iter().map(part).collect()
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    every_kind_of_range(t);
    along_several_dimensions(t);
    of_every_type(t);
    between_images(t);
    shorthands(t);
    splits(t);
    not_finite(t);
}

fn every_kind_of_range(t: &Suite) {
    let some = |start, end, step| (Some(start), Some(end), step);
    let ranges: [(Option<isize>, Option<isize>, isize); 14] = [
        (None, None, 1),
        (None, None, -1),
        (None, None, 3),
        (None, None, -2),
        (Some(2), None, 1),
        (None, Some(-1), 1),
        (Some(-3), None, 2),
        some(1, 5, 2),
        some(5, 1, -1),
        some(-1, -6, -2),
        some(4, 5, 7),
        some(-100, 100, 1),
        some(100, -100, -3),
        some(isize::MIN, isize::MAX, isize::MAX),
    ];
    for (start, end, step) in ranges {
        for (shape, axis) in [(&[7][..], 0), (&[3, 7, 2], 1), (&[2, 5, 7], 2)] {
            let x = random(1, shape);
            let ends = if step > 0 { [isize::MIN, isize::MAX] } else { [isize::MAX, isize::MIN] };
            let (from, to) = (start.unwrap_or(ends[0]), end.unwrap_or(ends[1]));
            let graph = graph(&[&x], |graph, x| graph.push(Slice::new().along(axis, from, to, step), x));
            let case = format!("{start:?} to {end:?} by {step} along {axis} of {shape:?}");
            let step = step.min(100);
            let (start, end) = (start.map(|i| i.clamp(-100, 100)), end.map(|i| i.clamp(-100, 100)));
            t.check(&case, &graph, &[&x], &slice(&x, axis, start, end, step), Tolerance::Exact);
        }
    }
}

fn along_several_dimensions(t: &Suite) {
    let x = random(1, [65, 5, 4, 3]);
    let several = Slice::new().along(3, 1, 3, 1).along(0, -1, isize::MIN, -1).along(1, 0, -1, 2);
    let expected = slice(&slice(&slice(&x, 3, Some(1), None, 1), 0, None, None, -1), 1, None, Some(-1), 2);
    let graph_of = |x: &Tensor, op: Slice| graph(&[x], |graph, x| graph.push(op, x));
    t.check("three dimensions", &graph_of(&x, several), &[&x], &expected, Tolerance::Exact);
    t.check("none", &graph_of(&x, Slice::new()), &[&x], &x, Tolerance::Exact);
    // No two of the eight neighbouring dimensions can merge into one.
    let x = random(1, [3; 8]);
    let all = (0..8).fold(Slice::new(), |slice, axis| slice.along(axis, 1, isize::MAX, 1));
    let expected = (0..8).fold(x.clone(), |x, axis| slice(&x, axis, Some(1), None, 1));
    t.check("eight dimensions", &graph_of(&x, all), &[&x], &expected, Tolerance::Exact);
}

fn of_every_type(t: &Suite) {
    for dtype in [DType::I32, DType::Bool] {
        let x = Tensor::new(
            [6, 2],
            (0..12).map(|i| if dtype == DType::I32 { i * 1000 - 5 } else { i % 3 / 2 } as f32).collect(),
        );
        let x = x.with_dtype(dtype);
        let graph = graph(&[&x], |graph, x| graph.slice(x[0], 0, 1, -1));
        t.check(&format!("{dtype}"), &graph, &[&x], &slice(&x, 0, Some(1), Some(-1), 1), Tolerance::Exact);
    }
}

/// Checks channels of images in whole texels, up to the last one, and within a texel.
fn between_images(t: &Suite) {
    let x = random(1, [2, 15, 3, 4]);
    for (start, end) in [(2, 7), (4, 12), (8, 15), (0, 4), (8, 11)] {
        let graph = graph_between_images(&[&x], |graph, x| graph.slice(x[0], 1, start, end));
        let y = |x: &Tensor| slice(x, 1, Some(start), Some(end), 1);
        t.check(&format!("{start}..{end} between images"), &graph, &[&x], &y(&x), Tolerance::Exact);
        t.check_not_finite("between images", &graph, &[&x], |x| y(x[0]), Tolerance::Exact);
    }
}

fn shorthands(t: &Suite) {
    let x = random(1, [4, 3, 5]);
    let flipped = graph(&[&x], |graph, x| graph.flip(x[0], &[0, 2]));
    let expected = slice(&slice(&x, 0, None, None, -1), 2, None, None, -1);
    t.check("flip", &flipped, &[&x], &expected, Tolerance::Exact);
    for (index, start) in [(2, 2), (-1, 4), (-5, 0)] {
        let selected = graph(&[&x], |graph, x| graph.select(x[0], 2, index));
        let mut expected = slice(&x, 2, Some(start), Some(start + 1), 1);
        expected.shape.pop();
        t.check(&format!("select {index}"), &selected, &[&x], &expected, Tolerance::Exact);
    }
}

fn splits(t: &Suite) {
    let x = random(1, [2, 12, 3, 3]);
    let parts = graph_of(&[&x], |graph, x| graph.split(x[0], &[1, 5, 2, 4], 1));
    let expected = split(&x, &[1, 5, 2, 4], 1);
    t.check_outputs("split", &parts, &[&x], &expected.iter().collect::<Vec<_>>(), Tolerance::Exact);
    // Four chunks, the last one smaller; three, although four were requested; one; two, although nine were requested.
    let cases: [(usize, usize, &[usize]); 4] =
        [(7, 4, &[2, 2, 2, 1]), (6, 4, &[2, 2, 2]), (6, 1, &[6]), (2, 9, &[1, 1])];
    for (size, chunks, sizes) in cases {
        let x = random(1, [3, size, 2]);
        let graph = graph_of(&[&x], |graph, x| graph.chunk(x[0], chunks, 1));
        let expected = split(&x, sizes, 1);
        let case = format!("{chunks} chunks of {size}");
        t.check_outputs(&case, &graph, &[&x], &expected.iter().collect::<Vec<_>>(), Tolerance::Exact);
    }
    let x = random(1, [2, 7, 3, 4]);
    let graph = graph_of(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let parts = graph.split(x, &[3, 4], 1)?;
        // The parts swap their order, and one is an output twice.
        Ok(vec![as_image(graph, parts[1])?, parts[0], parts[1]])
    });
    let parts = split(&x, &[3, 4], 1);
    t.check_outputs("split between images", &graph, &[&x], &[&parts[1], &parts[0], &parts[1]], Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let x = random(1, [5, 7]);
    let graph = graph(&[&x], |graph, x| graph.flip(x[0], &[1]));
    t.check_not_finite("flipped", &graph, &[&x], |x| slice(x[0], 1, None, None, -1), Tolerance::Exact);
}
