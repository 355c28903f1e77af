//! Cases of integer matrix products, and their reference: zero points, packed weights, requantisation.

use super::matmul::product;
use crate::ops::{IntegerMatMul, Requantize};
use crate::selftest::cases::{constant, graph, packed, random, whole};
use crate::selftest::reference::Tensor;
use crate::selftest::{Suite, Tolerance};
use crate::{DType, IntType};

/// Computes `(a - a_zero) (b - b_zero)` of integers, exactly in f64. Zero points follow a's rows and b's columns.
pub fn integer_matmul(a: &Tensor, b: &Tensor, a_zero: &Tensor, b_zero: &Tensor) -> Tensor {
    let rows = if a.shape.len() > 1 { a.shape[a.shape.len() - 2] } else { 1 };
    let row = |i: &[usize]| if i.len() > 1 { i[i.len() - 2] % rows } else { 0 };
    let one = |zero: &Tensor, at: usize| f64::from(zero.data[if zero.data.len() == 1 { 0 } else { at }]);
    let a = Tensor::build(a.shape.clone(), |i| a.at(i) - one(a_zero, row(i)));
    let b = Tensor::build(b.shape.clone(), |i| b.at(i) - one(b_zero, if i.len() > 1 { i[i.len() - 1] } else { 0 }));
    product(&a, &b, [false; 2]).with_dtype(DType::I32)
}

/// The requantisation of the sums.
#[derive(Clone, Debug)]
pub struct End {
    pub x_scale: f32,
    pub w_scale: Tensor,
    pub y_scale: f32,
    pub zero: i32,
    pub to: IntType,
}

impl End {
    /// Returns parameters that spread such sums over about twice the range of the type.
    pub fn for_sums(sums: &Tensor, w_scale: Tensor, zero: i32, to: IntType) -> End {
        let largest = sums.data.iter().fold(1.0, |most: f32, sum| most.max(sum.abs()));
        let [least, greatest] = to.range();
        End { x_scale: 0.03, w_scale, y_scale: 0.03 * largest / (greatest - least) as f32, zero, to }
    }

    pub fn op(&self) -> Requantize {
        Requantize::new(self.x_scale, constant(&self.w_scale), self.y_scale, self.zero, self.to)
    }

    /// Requantises with f32s in the order of the definition; the channels are along `axis`.
    pub fn reference(&self, sums: &Tensor, axis: usize) -> Tensor {
        let [least, greatest] = self.to.range().map(f64::from);
        let y = Tensor::build(sums.shape.clone(), |i| {
            let w_scale = self.w_scale.data[if self.w_scale.data.len() == 1 { 0 } else { i[axis] }];
            let value = sums.at(i) as f32 * (self.x_scale * w_scale / self.y_scale);
            (f64::from(value.round_ties_even()) + f64::from(self.zero)).clamp(least, greatest)
        });
        y.with_dtype(DType::I32)
    }
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    of_values(t);
    zero_points(t);
    of_packed_weights(t);
    requantised(t);
    long_loops(t);
}

fn zero(value: i32) -> Tensor {
    Tensor::new([1], vec![value as f32]).with_dtype(DType::I32)
}

fn of_values(t: &Suite) {
    let cases: [(&[usize], &[usize]); 15] = [
        (&[1, 1], &[1, 1]),
        (&[3, 5], &[5, 7]),
        (&[1, 300], &[300, 5]),
        (&[2, 64], &[64, 15]),
        (&[7, 65], &[65, 16]),
        (&[8, 63], &[63, 17]),
        (&[9, 4], &[4, 65]),
        (&[17, 3], &[3, 256]),
        (&[5], &[5, 7]),
        (&[3, 5], &[5]),
        (&[5], &[5]),
        (&[2, 3, 5], &[5, 4]),
        (&[2, 3, 5], &[2, 5, 4]),
        (&[2, 1, 3, 5], &[4, 5, 9]),
        (&[3, 1, 2, 1, 4], &[1, 2, 2, 4, 6]),
    ];
    for (a, b) in cases {
        let case = format!("{a:?} by {b:?}");
        let (a, b) = (whole(1, a, IntType::U8), whole(2, b, IntType::I8));
        let (a_zero, b_zero) = (zero(113), zero(-3));
        let inputs = [&a, &b, &a_zero, &b_zero];
        let graph = graph(&inputs, |graph, x| graph.integer_matmul([x[0], x[1]], [Some(x[2]), Some(x[3])], None));
        t.check(&case, &graph, &inputs, &integer_matmul(&a, &b, &a_zero, &b_zero), Tolerance::Exact);
    }
}

fn zero_points(t: &Suite) {
    let (a, b) = (whole(1, [2, 5, 7], IntType::U8), whole(2, [7, 6], IntType::I8));
    for (a_shape, b_shape) in [(&[1][..], &[6][..]), (&[5], &[1]), (&[1, 5, 1], &[1, 6]), (&[5, 1], &[6])] {
        let (a_zero, b_zero) = (whole(3, a_shape, IntType::U8), whole(4, b_shape, IntType::I8));
        let inputs = [&a, &b, &a_zero, &b_zero];
        let expected = integer_matmul(&a, &b, &a_zero, &b_zero);
        let case = format!("zero points {a_shape:?} and {b_shape:?}");
        let values = graph(&inputs, |graph, x| graph.push(IntegerMatMul::new(), x));
        t.check(&case, &values, &inputs, &expected, Tolerance::Exact);
        let inputs = [&a, &a_zero, &b_zero];
        let weight = graph(&inputs, |graph, x| graph.push(IntegerMatMul::with(packed(&b, IntType::I8)), x));
        t.check(&format!("{case}, packed"), &weight, &inputs, &expected, Tolerance::Exact);
    }
    let (none, expected) = (zero(0), |b: &Tensor| integer_matmul(&a, b, &zero(0), &zero(0)));
    let without = graph(&[&a, &b], |graph, x| graph.integer_matmul([x[0], x[1]], [None; 2], None));
    t.check("none", &without, &[&a, &b], &expected(&b), Tolerance::Exact);
    let one =
        graph(&[&a, &none], |graph, x| graph.integer_linear(x[0], packed(&b, IntType::I8), [None, Some(x[1])], None));
    t.check("none, packed", &one, &[&a, &none], &expected(&b), Tolerance::Exact);
}

fn of_packed_weights(t: &Suite) {
    let cases = [
        (IntType::U8, &[1, 1][..], 1),
        (IntType::I8, &[3, 5], 7),
        (IntType::U8, &[1, 4096], 5),
        (IntType::I8, &[1, 257], 300),
        (IntType::U8, &[4, 64], 64),
        (IntType::I8, &[9, 31], 63),
        (IntType::U8, &[70, 9], 257),
        (IntType::I4, &[2, 10], 6),
        (IntType::U4, &[2, 3, 4, 5], 9),
        (IntType::I8, &[6], 10),
    ];
    for (of, shape, n) in cases {
        let (a, b) = (whole(1, shape, IntType::U8), whole(2, [shape[shape.len() - 1], n], of));
        let (a_zero, b_zero) = (zero(128), whole(3, [n], of));
        let inputs = [&a, &a_zero, &b_zero];
        let graph = graph(&inputs, |graph, x| graph.push(IntegerMatMul::with(packed(&b, of)), x));
        let case = format!("{shape:?} by packed {of} for {n}");
        t.check(&case, &graph, &inputs, &integer_matmul(&a, &b, &a_zero, &b_zero), Tolerance::Exact);
    }
}

fn requantised(t: &Suite) {
    for (shape, n, to) in [(&[3, 20][..], 7, IntType::U8), (&[2, 9, 33], 68, IntType::I8), (&[1, 500], 12, IntType::I4)]
    {
        let (a, b) = (whole(1, shape, IntType::U8), whole(2, [shape[shape.len() - 1], n], IntType::I8));
        let (a_zero, b_zero) = (zero(120), zero(2));
        let sums = integer_matmul(&a, &b, &a_zero, &b_zero);
        for w_scale in [Tensor::new([], vec![1.0]), random(4, [n]).map(|x| 1.0 + x / 2.0)] {
            let end = End::for_sums(&sums, w_scale, 3, to);
            let expected = end.reference(&sums, shape.len() - 1);
            let inputs = [&a, &b, &a_zero, &b_zero];
            let values =
                graph(&inputs, |graph, x| graph.integer_matmul([x[0], x[1]], [Some(x[2]), Some(x[3])], Some(end.op())));
            let case = format!("{shape:?} for {n} to {to}");
            t.check(&case, &values, &inputs, &expected, Tolerance::Exact);
            let inputs = [&a, &a_zero, &b_zero];
            let weight = IntegerMatMul::with(packed(&b, IntType::I8)).requantize(end.op());
            let weight = graph(&inputs, |graph, x| graph.push(weight, x));
            t.check(&format!("{case}, packed"), &weight, &inputs, &expected, Tolerance::Exact);
        }
    }
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let (a, b) = (whole(1, [1, 300_000], IntType::U8), whole(2, [300_000, 2], IntType::I8));
    let (a_zero, b_zero) = (zero(113), zero(-3));
    let inputs = [&a, &b, &a_zero, &b_zero];
    let graph = graph(&inputs, |graph, x| graph.integer_matmul([x[0], x[1]], [Some(x[2]), Some(x[3])], None));
    t.check("300,000 products", &graph, &inputs, &integer_matmul(&a, &b, &a_zero, &b_zero), Tolerance::Exact);
}
