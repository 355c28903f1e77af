//! Cases of `topk`: axes, lengths about the kernel's capacity, equal elements.

use crate::DType;
use crate::ops::TopK;
use crate::selftest::cases::{graph, random};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    along_each_axis(t);
    lengths(t);
    of_equal_ones_the_first(t);
    nasty_values(t);
    integers(t);
    long_loops(t);
    not_finite(t);
}

/// Returns values and indices of the `k` largest (or smallest) elements along `axis`; of equal ones, the first first.
pub fn top_k(x: &Tensor, k: usize, axis: usize, largest: bool) -> [Tensor; 2] {
    let (length, stride) = (x.shape[axis], x.shape[axis + 1..].iter().product::<usize>());
    let mut shape = x.shape.clone();
    shape[axis] = k;
    let mut outputs = [0.0, 0.0].map(|fill| Tensor::new(shape.clone(), vec![fill; x.data.len() / length * k]));
    for line in 0..x.data.len() / length {
        let (outer, inner) = (line / stride, line % stride);
        let at = |i: usize| x.data[(outer * length + i) * stride + inner];
        let mut order: Vec<usize> = (0..length).collect();
        // The sort is stable, and NaN of either sign is the largest.
        let key = |i: usize| if at(i).is_nan() { f32::NAN.abs() } else { at(i) };
        order.sort_by(|&a, &b| if largest { key(b).total_cmp(&key(a)) } else { key(a).total_cmp(&key(b)) });
        for (rank, &i) in order[..k].iter().enumerate() {
            let to = (outer * k + rank) * stride + inner;
            (outputs[0].data[to], outputs[1].data[to]) = (at(i), i as f32);
        }
    }
    let [values, places] = outputs;
    [values.with_dtype(x.dtype), places.with_dtype(DType::I32)]
}

fn check_all(t: &Suite, case: &str, x: &Tensor, k: usize, axis: usize) {
    for largest in [true, false] {
        let op = TopK::new(k, axis).largest(largest);
        for (output, expected) in top_k(x, k, axis, largest).iter().enumerate() {
            let graph = graph(&[x], |graph, x| Ok(graph.topk(x[0], op.clone())?[output]));
            let case = format!("{case}, output {output} of {op:?} of {:?}", x.shape);
            t.check(&case, &graph, &[x], expected, Tolerance::Exact);
        }
    }
}

fn along_each_axis(t: &Suite) {
    let cases: [(&[usize], usize, usize); 8] = [
        (&[1], 1, 0),
        (&[7], 7, 0),
        (&[3, 65], 5, 1),
        (&[65, 3], 5, 0),
        (&[3, 64], 64, 1),
        (&[2, 3, 5, 7], 2, 1),
        (&[2, 3, 5, 7], 5, 2),
        (&[2, 1000], 10, 1),
    ];
    for (shape, k, axis) in cases {
        check_all(t, "random", &random(1, shape), k, axis);
    }
}

/// Checks lengths below, at and above the capacity of one pass, and of the buffer that is collected before a sort.
fn lengths(t: &Suite) {
    for (length, k) in [(257, 1), (255, 255), (256, 256), (600, 512), (600, 513), (1100, 1100), (5000, 3)] {
        check_all(t, "random", &random(1, [2, length]), k, 1);
    }
    // The elements ascend, so every chunk replaces all earlier candidates.
    let ascending = Tensor::new([1500], (0..1500).map(|i| i as f32).collect());
    check_all(t, "ascending", &ascending, 5, 0);
    check_all(t, "ascending", &ascending, 520, 0);
}

fn of_equal_ones_the_first(t: &Suite) {
    for (length, k) in [(10, 4), (700, 4), (700, 600)] {
        check_all(t, "all the same", &Tensor::new([2, length], vec![-1.0; 2 * length]), k, 1);
        let x = Tensor::new([2, length], (0..2 * length).map(|i| (i * 7 % 5) as f32).collect());
        check_all(t, "many the same", &x, k, 1);
    }
}

fn nasty_values(t: &Suite) {
    let inf = f32::INFINITY;
    let x = Tensor::new([2, 5], vec![-1e38, -inf, -3e38, -1.0, inf, 1e-30, 3e38, 1e-20, -1e-30, 0.0]);
    check_all(t, "far apart", &x, 5, 1);
}

/// Checks integers of either sign, several of them equal; as `f32`, some have the bits of NaN.
fn integers(t: &Suite) {
    for (shape, k, axis) in [(&[7][..], 3, 0), (&[3, 65], 65, 1), (&[600, 2], 520, 0)] {
        let x = random(1, shape).map(|x| (50.0 * x).round() + 0.0).with_dtype(DType::I32);
        check_all(t, "i32s", &x, k, axis);
    }
    let ends =
        Tensor::new([5], vec![2_139_095_296.0, i32::MIN as f32, 2_147_483_520.0, -1.0, 0.0]).with_dtype(DType::I32);
    check_all(t, "i32s", &ends, 4, 0);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    // The elements ascend, so every chunk replaces all earlier candidates, and is sorted.
    let ascending = Tensor::new([400_000], (0..400_000).map(|i| i as f32).collect());
    check_all(t, "long, ascending", &ascending, 5, 0);
    check_all(t, "long, ascending", &ascending, 600, 0);
    check_all(t, "long, random", &random(1, [1, 250_000, 3]), 70, 1);
    let same = Tensor::new([300_001], (0..300_001).map(|i| (i % 3) as f32).collect());
    check_all(t, "long, many the same", &same, 9, 0);
    let ascending = Tensor::new([150_000], (0..150_000).map(|i| i as f32).collect());
    check_all(t, "many of them", &ascending, 3000, 0);
}

fn not_finite(t: &Suite) {
    let x = random(1, [3, 70]);
    for largest in [true, false] {
        for output in 0..2 {
            let op = TopK::new(5, 1).largest(largest);
            let graph = graph(&[&x], |graph, x| Ok(graph.topk(x[0], op)?[output]));
            let reference = |x: &[&Tensor]| top_k(x[0], 5, 1, largest)[output].clone();
            t.check_not_finite(&format!("output {output}, {largest}"), &graph, &[&x], reference, Tolerance::Exact);
        }
    }
}
