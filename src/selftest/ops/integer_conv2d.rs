//! Cases of integer convolution, and its reference: tiles, windows, groups, requantisation.

use super::integer_matmul::End;
use crate::ops::IntegerConv2d;
use crate::selftest::cases::{constant, graph, packed, random, whole};
use crate::selftest::reference::{self, Conv, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{DType, IntType};

/// Convolves integers less their zero points. f64s hold them exactly.
pub fn integer_conv2d(x: &Tensor, weight: &Tensor, zeros: [&Tensor; 2], bias: Option<&Tensor>, conv: &Conv) -> Tensor {
    let [x_zero, w_zero] = zeros;
    let x = x.map(|x| x - f64::from(x_zero.data[0]));
    let of = |o: usize| f64::from(w_zero.data[if w_zero.data.len() == 1 { 0 } else { o }]);
    let weight = Tensor::build(weight.shape.clone(), |i| weight.at(i) - of(i[0]));
    reference::conv(&x, &weight, bias, conv).with_dtype(DType::I32)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes_about_the_tiles(t);
    windows(t);
    groups(t);
    requantised(t);
    long_loops(t);
}

pub const ONE: Conv = Conv::ONE;
pub const SAME: Conv = Conv { padding: [[1; 2]; 2], ..ONE };

#[derive(Clone, Copy)]
pub struct Case {
    pub x: [usize; 4],
    pub out: usize,
    pub kernel: [usize; 2],
    pub conv: Conv,
    pub of: IntType,
}

impl Case {
    pub fn weight(&self) -> Tensor {
        let [h, w] = self.kernel;
        whole(2, [self.out, self.x[1] / self.conv.groups, h, w], self.of)
    }

    pub fn op(&self, bias: Option<&Tensor>) -> IntegerConv2d {
        let op = IntegerConv2d::new(packed(&self.weight(), self.of), bias.map(constant));
        let Conv { stride, padding, dilation, groups, .. } = self.conv;
        op.stride(stride).padding_per_side(padding).dilation(dilation).groups(groups)
    }

    pub fn check(&self, t: &Suite, case: &str) {
        let x = whole(1, self.x, IntType::U8);
        let bias = random(5, [self.out]).map(|x| (1000.0 * x).round()).with_dtype(DType::I32);
        let x_zero = Tensor::new([1], vec![131.0]).with_dtype(DType::I32);
        for (w_zero, bias) in [(whole(4, [1], self.of), None), (whole(4, [self.out], self.of), Some(&bias))] {
            let inputs = [&x, &x_zero, &w_zero];
            let graph = graph(&inputs, |graph, x| graph.integer_conv2d(x[0], self.op(bias), [Some(x[1]), Some(x[2])]));
            let expected = integer_conv2d(&x, &self.weight(), [&x_zero, &w_zero], bias, &self.conv);
            t.check(case, &graph, &inputs, &expected, Tolerance::Exact);
        }
    }
}

fn sizes_about_the_tiles(t: &Suite) {
    // A workgroup computes 64, 128, 192 or 256 pixels of 1, 2, 4 or 8 channels; on llvmpipe, 1 or 16 of 32.
    let cases: [([usize; 4], usize, [usize; 2], Conv); 15] = [
        ([1; 4], 1, [1; 2], ONE),
        ([1, 3, 1, 1], 2, [3; 2], SAME),
        ([2, 3, 7, 5], 5, [3; 2], SAME),
        ([1, 5, 9, 7], 3, [1; 2], ONE),
        ([1, 2, 8, 8], 4, [1; 2], ONE),
        ([1, 2, 5, 13], 7, [1; 2], ONE),
        ([3, 2, 1, 43], 9, [1; 2], ONE),
        ([1, 2, 15, 17], 11, [1; 2], ONE),
        ([1, 2, 1, 257], 13, [1, 3], ONE),
        ([1, 2, 2, 2], 1028, [1; 2], ONE),
        ([1, 2, 1, 3], 2056, [1; 2], ONE),
        ([1, 1, 64, 64], 128, [1; 2], ONE),
        ([1, 40, 4, 4], 6, [3; 2], SAME),
        ([2, 7, 5, 9], 45, [3, 2], SAME),
        ([1, 33, 1, 1], 64, [1; 2], ONE),
    ];
    for (i, (x, out, kernel, conv)) in cases.into_iter().enumerate() {
        let of = [IntType::I8, IntType::U8, IntType::I4, IntType::U4][i % 4];
        Case { x, out, kernel, conv, of }.check(t, &format!("{x:?} to {out} channels, {of}"));
    }
}

fn windows(t: &Suite) {
    let cases = [
        ("stride 2", [3; 2], Conv { stride: [2; 2], ..SAME }),
        ("stride 1x3", [3; 2], Conv { stride: [1, 3], ..ONE }),
        ("stride 2 past the kernel", [1; 2], Conv { stride: [2, 3], ..ONE }),
        ("padding of each side", [3, 2], Conv { padding: [[2, 0], [1, 3]], ..ONE }),
        ("padding about 1x1", [1; 2], Conv { padding: [[0, 1], [2, 0]], ..ONE }),
        ("dilation 2x3", [3; 2], Conv { dilation: [2, 3], padding: [[2, 2], [3, 3]], ..ONE }),
        ("as large as the image", [6, 7], ONE),
    ];
    for (case, kernel, conv) in cases {
        Case { x: [2, 3, 6, 7], out: 5, kernel, conv, of: IntType::I8 }.check(t, case);
    }
}

fn groups(t: &Suite) {
    let cases =
        [("two", 6, 8, 2), ("three of five out", 6, 15, 3), ("one in, two out", 5, 10, 5), ("depthwise", 7, 7, 7)];
    for (case, channels, out, groups) in cases {
        let conv = Conv { groups, ..SAME };
        Case { x: [2, channels, 5, 6], out, kernel: [3; 2], conv, of: IntType::U8 }.check(t, case);
    }
    let depthwise: [(&str, [usize; 4], [usize; 2], Conv); 5] = [
        ("of stride 2", [2, 5, 9, 11], [3; 2], Conv { stride: [2; 2], ..SAME }),
        ("of stride 1x2", [1, 3, 6, 7], [2, 5], Conv { stride: [1, 2], padding: [[0, 1], [2, 0]], ..ONE }),
        ("of dilation 2", [1, 9, 8, 7], [3; 2], Conv { dilation: [2; 2], padding: [[2; 2]; 2], ..ONE }),
        ("of lines", [2, 3, 1, 37], [1, 5], Conv { padding: [[0; 2], [4, 0]], ..ONE }),
        ("of a large kernel", [1, 3, 9, 9], [7; 2], Conv { padding: [[3; 2]; 2], ..ONE }),
    ];
    for (case, x, kernel, conv) in depthwise {
        let conv = Conv { groups: x[1], ..conv };
        Case { x, out: x[1], kernel, conv, of: IntType::I8 }.check(t, &format!("depthwise {case}"));
    }
    let conv = Conv { groups: 300, ..SAME };
    Case { x: [1, 300, 3, 2], out: 600, kernel: [3; 2], conv, of: IntType::I8 }.check(t, "many");
}

fn requantised(t: &Suite) {
    let cases = [(IntType::U8, 6, 1), (IntType::I8, 9, 1), (IntType::I8, 35, 1), (IntType::U8, 6, 6)];
    for (to, out, groups) in cases {
        let case = Case { x: [2, 6, 7, 5], out, kernel: [3; 2], conv: Conv { groups, ..SAME }, of: IntType::I8 };
        let x = whole(1, case.x, IntType::U8);
        let bias = random(5, [out]).map(|x| (10_000.0 * x).round()).with_dtype(DType::I32);
        let (x_zero, w_zero) =
            (Tensor::new([], vec![100.0]).with_dtype(DType::I32), Tensor::new([], vec![0.0]).with_dtype(DType::I32));
        let sums = integer_conv2d(&x, &case.weight(), [&x_zero, &w_zero], Some(&bias), &case.conv);
        for w_scale in [Tensor::new([1], vec![0.5]), random(4, [out]).map(|x| 1.0 + x / 2.0)] {
            let end = End::for_sums(&sums, w_scale, 5, to);
            let op = case.op(Some(&bias)).requantize(end.op());
            let inputs = [&x, &x_zero];
            let graph = graph(&inputs, |graph, x| graph.integer_conv2d(x[0], op, [Some(x[1]), None]));
            t.check(&format!("{groups} groups to {to}"), &graph, &inputs, &end.reference(&sums, 1), Tolerance::Exact);
        }
    }
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let case = Case { x: [1, 5, 120, 120], out: 3, kernel: [119; 2], conv: ONE, of: IntType::I4 };
    case.check(t, "a kernel of 119x119, five channels");
}
