use crate::ops::{Activation, Conv3d};
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{constant, graph, outliers, random};
use crate::selftest::ops::conv2d::norm;
use crate::selftest::reference::{self, Tensor};
use crate::{Graph, Result, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes_about_the_tiles(t);
    windows(t);
    groups(t);
    takes_in_batch_norm_residual_and_activation(t);
    one_after_the_other(t);
    padding_by_side(t);
    long_loops(t);
    not_finite(t);
}

/// Checks padding per side against a volume padded beforehand.
fn padding_by_side(t: &Suite) {
    let case = Case { name: "padding by side", x: [2, 3, 3, 4, 5], out: 4, kernel: [3, 2, 3], ..PLAIN };
    let (x, [[above, below], [top, bottom], [left, right]]) = (random(1, case.x), [[1, 0], [0, 2], [2, 1]]);
    let [n, c, d, h, w] = case.x;
    let padded = Tensor::build([n, c, above + d + below, top + h + bottom, left + w + right], |i| {
        let at = [i[2].wrapping_sub(above), i[3].wrapping_sub(top), i[4].wrapping_sub(left)];
        let inside = at[0] < d && at[1] < h && at[2] < w;
        if inside { x.at(&[i[0], i[1], at[0], at[1], at[2]]) } else { 0.0 }
    });
    let conv = case.op(true).pads([[above, below], [top, bottom], [left, right]]);
    let graph = graph(&[&x], |graph, x| graph.conv3d(x[0], conv));
    t.check(case.name, &graph, &[&x], &case.reference(&padded, true), Tolerance::Reduction(case.terms()));
}

/// The attributes, `[depth, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub stride: [usize; 3],
    pub padding: [usize; 3],
    pub dilation: [usize; 3],
    pub groups: usize,
}

pub fn conv3d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv) -> Tensor {
    let ([n, _, d, h, w], [out, channels, kd, kh, kw]) = (x.dims(), weight.dims());
    let (sizes, kernel) = ([d, h, w], [kd, kh, kw]);
    let positions = [0, 1, 2]
        .map(|a| (sizes[a] + 2 * conv.padding[a] - conv.dilation[a] * (kernel[a] - 1) - 1) / conv.stride[a] + 1);
    Tensor::build([n, out, positions[0], positions[1], positions[2]], |i| {
        let first = i[1] / (out / conv.groups) * channels;
        let mut sum = bias.map_or(0.0, |bias| bias.at(&[i[1]]));
        for tap in 0..kd * kh * kw {
            let tap = [tap / kw / kh, tap / kw % kh, tap % kw];
            let at = [0, 1, 2]
                .map(|a| (i[2 + a] * conv.stride[a] + tap[a] * conv.dilation[a]).wrapping_sub(conv.padding[a]));
            if (0..3).all(|a| at[a] < sizes[a]) {
                for c in 0..channels {
                    sum +=
                        x.at(&[i[0], first + c, at[0], at[1], at[2]]) * weight.at(&[i[1], c, tap[0], tap[1], tap[2]]);
                }
            }
        }
        sum
    })
}

#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub x: [usize; 5],
    pub out: usize,
    pub kernel: [usize; 3],
    pub conv: Conv,
}

const ONE: Conv = Conv { stride: [1; 3], padding: [0; 3], dilation: [1; 3], groups: 1 };

const PLAIN: Case = Case { name: "", x: [1; 5], out: 1, kernel: [1; 3], conv: ONE };

/// A 3x3x3 convolution that keeps the volume's size.
pub const SAME: Case = Case { kernel: [3; 3], conv: Conv { padding: [1; 3], ..ONE }, ..PLAIN };

impl Case {
    pub fn in_group(&self) -> usize {
        self.x[1] / self.conv.groups
    }

    pub fn terms(&self) -> usize {
        self.in_group() * self.kernel.iter().product::<usize>()
    }

    pub fn weight(&self) -> Tensor {
        let [d, h, w] = self.kernel;
        random(2, [self.out, self.in_group(), d, h, w])
    }

    pub fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    pub fn op(&self, bias: bool) -> Conv3d {
        let bias = bias.then(|| constant(&self.bias()));
        let conv = Conv3d::new(constant(&self.weight()), bias).strides(self.conv.stride).paddings(self.conv.padding);
        conv.dilations(self.conv.dilation).groups(self.conv.groups)
    }

    pub fn reference(&self, x: &Tensor, bias: bool) -> Tensor {
        conv3d(x, &self.weight(), bias.then(|| self.bias()).as_ref(), &self.conv)
    }

    pub fn check(&self, t: &Suite) {
        for bias in [true, false] {
            let x = if bias { random(1, self.x) } else { outliers(1, self.x) };
            let graph = graph(&[&x], |graph, x| graph.conv3d(x[0], self.op(bias)));
            t.check(self.name, &graph, &[&x], &self.reference(&x, bias), Tolerance::Reduction(self.terms()));
        }
    }
}

fn sizes_about_the_tiles(t: &Suite) {
    // A workgroup computes 64, 128, 192 or 256 pixels of 4, 8 or 16 channels: more pixels if there are more workgroups.
    let point = |name, x, out| Case { name, x, out, ..PLAIN };
    let cases = [
        point("one of everything", [1; 5], 1),
        Case { name: "one pixel under 3x3x3", x: [1, 3, 1, 1, 1], out: 2, ..SAME },
        Case { name: "primes", x: [2, 3, 5, 7, 3], out: 5, ..SAME },
        point("63 pixels, 3 channels", [1, 5, 3, 7, 3], 3),
        point("64 pixels, 4 channels", [1, 2, 4, 4, 4], 4),
        point("65 pixels, 5 channels", [1, 2, 5, 13, 1], 5),
        point("129 pixels of three images", [3, 2, 1, 1, 43], 2),
        point("255 pixels", [1, 2, 3, 5, 17], 2),
        point("257 pixels", [1, 2, 1, 1, 257], 1),
        point("8 channels a pixel", [1, 2, 1, 2, 2], 2056),
        point("16 channels a pixel", [1, 2, 1, 1, 3], 4096),
        point("16 channels of many pixels", [1, 1, 8, 16, 128], 16),
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn windows(t: &Suite) {
    let with = |name, kernel, conv| Case { name, x: [2, 3, 6, 7, 8], out: 5, kernel, conv };
    let cases = [
        with("stride 2", [3; 3], Conv { stride: [2; 3], padding: [1; 3], ..ONE }),
        with("stride 1x2x3", [3; 3], Conv { stride: [1, 2, 3], ..ONE }),
        with("stride 3x1x2", [1; 3], Conv { stride: [3, 1, 2], ..ONE }),
        with("padding 0x1x2", [3; 3], Conv { padding: [0, 1, 2], ..ONE }),
        with("padding 2x0x1 about 1x1x1", [1; 3], Conv { padding: [2, 0, 1], ..ONE }),
        with("dilation 1x2x3", [3; 3], Conv { dilation: [1, 2, 3], padding: [1; 3], ..ONE }),
        with("dilation 2x1x1, stride 2", [3; 3], Conv { dilation: [2, 1, 1], stride: [2; 3], ..ONE }),
        with("2x3x4", [2, 3, 4], Conv { padding: [1; 3], ..ONE }),
        with("3x1x1", [3, 1, 1], Conv { padding: [1, 0, 0], ..ONE }),
        with("1x3x1", [1, 3, 1], Conv { padding: [0, 1, 0], ..ONE }),
        with("as large as the image", [6, 7, 8], ONE),
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn groups(t: &Suite) {
    let with = |name, channels, out, groups| {
        let conv = Conv { groups, ..SAME.conv };
        Case { name, x: [2, channels, 3, 4, 5], out, conv, ..SAME }
    };
    let cases = [
        with("two", 6, 8, 2),
        with("three of two channels, five out", 6, 15, 3),
        with("two of eight channels out", 2, 16, 2),
        with("one channel in, two out", 5, 10, 5),
        with("two channels in, one out", 10, 5, 5),
        with("depthwise", 7, 7, 7),
        Case { x: [1, 128, 1, 1, 2], kernel: [1; 3], conv: Conv { groups: 64, ..ONE }, ..with("many", 0, 2048, 0) },
    ];
    cases.iter().for_each(|case| case.check(t));
}

pub const BLOCK: Case = Case { name: "residual", x: [2, 3, 4, 5, 3], out: 6, ..SAME };

/// Builds the convolution, a batch norm, a residual and a sigmoid.
pub fn block(graph: &mut Graph, x: &[Value]) -> Result<Value> {
    let y = graph.conv3d(x[0], BLOCK.op(true))?;
    let y = graph.batch_norm(y, norm(BLOCK.out).0)?;
    let y = graph.sum(y, x[1])?;
    graph.activation(y, Activation::Sigmoid)
}

fn takes_in_batch_norm_residual_and_activation(t: &Suite) {
    let x = random(1, BLOCK.x);
    let y = norm(BLOCK.out).1(&BLOCK.reference(&x, true));
    let residual = random(4, y.shape.clone());
    let both = graph(&[&x, &residual], block);
    let expected = reference::sigmoid(&reference::add(&y, &residual));
    t.check("all of them", &both, &[&x, &residual], &expected, Tolerance::Transcendental);
    let relu = graph(&[&x], |graph, x| {
        let y = graph.conv3d(x[0], BLOCK.op(false))?;
        graph.relu(y)
    });
    let expected = reference::relu(&BLOCK.reference(&x, false));
    t.check("ReLU", &relu, &[&x], &expected, Tolerance::Reduction(BLOCK.terms()));
}

fn one_after_the_other(t: &Suite) {
    let first = Case { x: [2, 3, 4, 5, 3], out: 5, ..SAME };
    let second = Case { x: [2, 5, 4, 5, 3], out: 2, conv: Conv { stride: [2; 3], ..SAME.conv }, ..SAME };
    let x = random(1, first.x);
    let graph = graph(&[&x], |graph, x| {
        let y = graph.conv3d(x[0], first.op(true))?;
        graph.conv3d(y, second.op(true))
    });
    let expected = second.reference(&first.reference(&x, true), true);
    t.check("a chain", &graph, &[&x], &expected, Tolerance::Reduction(first.terms() * second.terms()));
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let cases = [
        Case { name: "a kernel of 41x41x41", x: [1, 1, 42, 42, 42], out: 2, kernel: [41; 3], ..PLAIN },
        Case { name: "9,000 channels of 2x2x2", x: [1, 9000, 2, 2, 3], out: 5, kernel: [2; 3], ..PLAIN },
        Case { name: "70,000 channels", x: [1, 70_000, 1, 1, 2], out: 2, ..PLAIN },
    ];
    cases.iter().for_each(|case| case.check(t));
    // The residual is added once, and the activation is applied after the last part of the sum.
    let case = cases[1];
    let (x, residual) = (random(1, case.x), random(4, [1, 5, 1, 1, 2]));
    let graph = graph(&[&x, &residual], |graph, x| {
        let y = graph.conv3d(x[0], case.op(true))?;
        let y = graph.sum(y, x[1])?;
        graph.relu(y)
    });
    let expected = reference::relu(&reference::add(&case.reference(&x, true), &residual));
    t.check("9,000 channels and what follows", &graph, &[&x, &residual], &expected, Tolerance::Reduction(case.terms()));
}

fn not_finite(t: &Suite) {
    for case in [Case { name: "dense", x: [1, 3, 4, 5, 3], out: 6, ..SAME }, BLOCK] {
        let x = random(1, case.x);
        let graph = graph(&[&x], |graph, x| graph.conv3d(x[0], case.op(true)));
        let tolerance = Tolerance::Reduction(case.terms());
        t.check_not_finite(case.name, &graph, &[&x], |x| case.reference(x[0], true), tolerance);
    }
}
