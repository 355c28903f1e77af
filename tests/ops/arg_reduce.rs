use crate::harness::{Tolerance, as_image, check, graph, random, refused, tiers};
use crate::reference::Tensor;
use shadernet::ops::ArgReduce;
use shadernet::{DType, Model, Op};

/// Where the first of the largest (or smallest) elements along `axis` is, or among all.
pub fn arg_reduce(x: &Tensor, smallest: bool, axis: Option<usize>, keepdim: bool) -> Tensor {
    let (length, stride) = match axis {
        Some(axis) => (x.shape[axis], x.shape[axis + 1..].iter().product()),
        None => (x.data.len(), 1),
    };
    let place = |line: usize| {
        let at = |i: usize| x.data[line / stride * stride * length + line % stride + i * stride];
        let better = |a: f32, b: f32| if smallest { a < b } else { a > b };
        (1..length).fold(0, |best, i| if better(at(i), at(best)) { i } else { best }) as f32
    };
    let kept = |(d, &size): (usize, &usize)| match axis.is_none_or(|axis| axis == d) {
        true => keepdim.then_some(1),
        false => Some(size),
    };
    let shape: Vec<usize> = x.shape.iter().enumerate().filter_map(kept).collect();
    Tensor::new(shape, (0..x.data.len() / length).map(place).collect()).of(DType::I32)
}

fn check_both(case: &str, x: &Tensor, axis: Option<usize>) {
    for (smallest, keepdim) in [(false, false), (true, false), (false, true)] {
        let op = if smallest { ArgReduce::argmin(axis) } else { ArgReduce::argmax(axis) }.keepdim(keepdim);
        let graph = graph(&[x], |graph, x| graph.push(op.clone(), &[x[0]]));
        let case = format!("{case}, {op:?} of {:?}", x.shape);
        check(&case, &graph, &[x], &arg_reduce(x, smallest, axis, keepdim), Tolerance::Exact);
    }
}

#[test]
fn along_each_axis() {
    let cases: [(&[usize], Option<usize>); 10] = [
        (&[1], Some(0)),
        (&[7], None),
        (&[3, 65], Some(1)),
        (&[65, 3], Some(0)),
        (&[130, 5], Some(1)),
        (&[5, 130], Some(0)),
        (&[2, 3, 5, 7], None),
        (&[2, 3, 5, 7], Some(1)),
        (&[2, 3, 5, 7], Some(2)),
        (&[2, 1, 3, 2, 1, 3, 2, 3], Some(3)),
    ];
    for (shape, axis) in cases {
        check_both("random", &random(1, shape), axis);
    }
}

/// One below, at and above what a workgroup holds.
#[test]
fn lengths() {
    for length in [2, 3, 4, 5, 255, 256, 257, 1023, 1024, 1025, 4099] {
        check_both("inner", &random(1, [2, length]), Some(1));
        check_both("outer", &random(1, [length, 2]), Some(0));
    }
}

#[test]
fn of_equal_ones_the_first() {
    for length in [5, 300, 2000] {
        let mut x = Tensor::new([2, length], vec![0.0; 2 * length]);
        check_both("all the same", &x, Some(1));
        x.data.iter_mut().skip(length / 3).step_by(7).for_each(|value| *value = 2.0);
        x.data.iter_mut().skip(length / 3 + 1).step_by(5).for_each(|value| *value = -2.0);
        check_both("several", &x, Some(1));
        check_both("several among all", &x, None);
    }
    let zeros = Tensor::new([2, 3], vec![-0.0, 0.0, -0.0, 0.0, -0.0, 0.0]);
    check_both("two zeros", &zeros, Some(1));
}

#[test]
fn nasty_values() {
    let inf = f32::INFINITY;
    let x = Tensor::new([3, 4], vec![-1e38, -3e38, -inf, -1.0, 1e-30, inf, 3e38, inf, -1e-30, 1e-30, 0.0, -1e-20]);
    check_both("far apart", &x, Some(1));
}

#[test]
fn a_nan_is_taken_for_both() {
    let x = [3.0, -1.0, f32::NAN, 5.0, -f32::NAN, -7.0];
    for op in [ArgReduce::argmax(0), ArgReduce::argmin(0)] {
        let name = op.name();
        let graph = graph(&[&Tensor::new([6], x.to_vec())], |graph, x| graph.push(op, &[x[0]]));
        for tier in tiers() {
            let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).unwrap();
            assert_eq!(session.run_blocking(&[x]).unwrap()[0], [2i32], "{name}, tier {}", tier.name);
        }
    }
}

#[test]
fn of_an_image() {
    let x = random(1, [2, 6, 3, 5]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        graph.argmax(x, 1)
    });
    check("classes of pixels", &graph, &[&x], &arg_reduce(&x, false, Some(1), false), Tolerance::Exact);
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3]], ArgReduce::argmax(2)).contains("axes: wanted dimensions of [2, 3], got 2"));
    assert!(refused(&[&[1; 9]], ArgReduce::argmin(0)).contains("9 dimensions"));
    assert!(refused(&[], ArgReduce::argmax(None)).contains("inputs"));
}
