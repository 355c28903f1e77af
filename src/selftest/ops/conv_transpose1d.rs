use crate::ops::ConvTranspose1d;
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{constant, graph, outliers, random};
use crate::selftest::ops::conv_transpose2d::{Conv, conv_transpose2d};
use crate::selftest::ops::conv2d::norm;
use crate::selftest::reference::{self, Tensor};
use crate::{Graph, Result, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    lines(t);
    takes_in_batch_norm_residual_and_activation(t);
    long_loops(t);
    cut_by_side(t);
    not_finite(t);
}

/// Checks padding per side against a slice of the uncropped line.
fn cut_by_side(t: &Suite) {
    let case = Case { name: "cut by side", padding: 0, ..BLOCK };
    let x = random(1, case.x);
    let all = case.reference(&x, true);
    let [n, c, l] = all.dims();
    let expected = Tensor::build([n, c, l - 4], |i| all.at(&[i[0], i[1], i[2] + 1]));
    let op = case.op(true).pads([1, 3]);
    let graph = graph(&[&x], |graph, x| graph.conv_transpose1d(x[0], op));
    t.check(case.name, &graph, &[&x], &expected, Tolerance::Reduction(case.terms()));
}

/// Computes the transposed convolution over images one pixel high; the attributes are `[1 or 0, horizontal]`.
pub fn conv_transpose1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv) -> Tensor {
    let high = |line: &Tensor| {
        let [a, b, length] = line.dims();
        Tensor::new([a, b, 1, length], line.data.clone())
    };
    let y = conv_transpose2d(&high(x), &high(weight), bias, conv);
    let [n, c, _, length] = y.dims();
    Tensor::new([n, c, length], y.data)
}

#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub x: [usize; 3],
    pub out: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub output_padding: usize,
    pub dilation: usize,
    pub groups: usize,
}

const PLAIN: Case =
    Case { name: "", x: [1; 3], out: 1, kernel: 1, stride: 1, padding: 0, output_padding: 0, dilation: 1, groups: 1 };

impl Case {
    pub fn terms(&self) -> usize {
        self.x[1] / self.groups * self.kernel
    }

    pub fn weight(&self) -> Tensor {
        random(2, [self.x[1], self.out / self.groups, self.kernel])
    }

    pub fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    pub fn op(&self, bias: bool) -> ConvTranspose1d {
        let bias = bias.then(|| constant(&self.bias()));
        let conv = ConvTranspose1d::new(constant(&self.weight()), bias).stride(self.stride).padding(self.padding);
        conv.output_padding(self.output_padding).dilation(self.dilation).groups(self.groups)
    }

    pub fn reference(&self, x: &Tensor, bias: bool) -> Tensor {
        let conv = Conv {
            stride: [1, self.stride],
            padding: [0, self.padding],
            output_padding: [0, self.output_padding],
            dilation: [1, self.dilation],
            groups: self.groups,
        };
        conv_transpose1d(x, &self.weight(), bias.then(|| self.bias()).as_ref(), &conv)
    }

    pub fn check(&self, t: &Suite) {
        for bias in [true, false] {
            let x = if bias { random(1, self.x) } else { outliers(1, self.x) };
            let graph = graph(&[&x], |graph, x| graph.conv_transpose1d(x[0], self.op(bias)));
            t.check(self.name, &graph, &[&x], &self.reference(&x, bias), Tolerance::Reduction(self.terms()));
        }
    }
}

/// A smaller version of HiFi-GAN's upsampling.
pub const BLOCK: Case = Case { name: "a vocoder's", x: [2, 10, 9], out: 6, kernel: 8, stride: 4, padding: 2, ..PLAIN };

fn lines(t: &Suite) {
    let x = [2, 5, 7];
    let cases = [
        Case { name: "one of everything", ..PLAIN },
        Case { name: "three taps", x, out: 6, kernel: 3, padding: 1, ..PLAIN },
        Case { name: "stride 2, output padding 1", x, out: 3, kernel: 3, stride: 2, output_padding: 1, ..PLAIN },
        Case { name: "dilation 3", x, out: 6, kernel: 3, dilation: 3, output_padding: 2, ..PLAIN },
        Case { name: "dilation 2, stride 3", x, out: 6, kernel: 3, dilation: 2, stride: 3, ..PLAIN },
        Case { name: "two groups", x: [1, 6, 5], out: 8, kernel: 4, stride: 2, groups: 2, ..PLAIN },
        Case { name: "depthwise", x, out: 5, kernel: 4, stride: 2, padding: 1, groups: 5, ..PLAIN },
        BLOCK,
    ];
    cases.iter().for_each(|case| case.check(t));
}

/// Builds the transposed convolution, a batch norm, a residual and a ReLU.
pub fn block(graph: &mut Graph, x: &[Value]) -> Result<Value> {
    let y = graph.conv_transpose1d(x[0], BLOCK.op(true))?;
    let y = graph.batch_norm(y, norm(BLOCK.out).0)?;
    let y = graph.sum(x[1], y)?;
    graph.relu(y)
}

fn takes_in_batch_norm_residual_and_activation(t: &Suite) {
    let x = random(1, BLOCK.x);
    let y = norm(BLOCK.out).1(&BLOCK.reference(&x, true));
    let residual = random(4, y.shape.clone());
    let expected = reference::relu(&reference::add(&residual, &y));
    let graph = graph(&[&x, &residual], block);
    t.check(BLOCK.name, &graph, &[&x, &residual], &expected, Tolerance::Reduction(2 * BLOCK.terms()));
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    Case { name: "28,000 channels of ten taps", x: [1, 28_000, 11], out: 2, kernel: 10, ..PLAIN }.check(t);
}

fn not_finite(t: &Suite) {
    let x = random(1, BLOCK.x);
    let graph = graph(&[&x], |graph, x| graph.conv_transpose1d(x[0], BLOCK.op(true)));
    let tolerance = Tolerance::Reduction(BLOCK.terms());
    t.check_not_finite(BLOCK.name, &graph, &[&x], |x| BLOCK.reference(x[0], true), tolerance);
}
