use crate::ops::{Activation, Conv1d, PaddingMode};
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{constant, graph, outliers, random};
use crate::selftest::ops::conv2d::norm;
use crate::selftest::reference::{self, Tensor};
use crate::{Graph, Result, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    lines(t);
    one_channel(t);
    depthwise(t);
    padding_modes(t);
    takes_in_batch_norm_residual_and_activation(t);
    one_after_the_other(t);
    long_loops(t);
    not_finite(t);
}

#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub stride: usize,
    /// `[left, right]`
    pub padding: [usize; 2],
    pub dilation: usize,
    pub groups: usize,
    pub mode: PaddingMode,
}

/// Returns the element at a position; outside of the line, the element that the padding mode puts there.
fn padded(at: isize, length: usize, mode: PaddingMode, element: impl Fn(usize) -> f64) -> f64 {
    let length = length as isize;
    let inside = (0..length).contains(&at);
    element(match mode {
        PaddingMode::Zeros if !inside => return 0.0,
        PaddingMode::Reflect if at < 0 => -at,
        PaddingMode::Reflect if at >= length => 2 * (length - 1) - at,
        PaddingMode::Replicate => at.clamp(0, length - 1),
        PaddingMode::Circular => at.rem_euclid(length),
        _ => at,
    } as usize)
}

pub fn conv1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv) -> Tensor {
    let ([n, _, length], [out, channels, taps]) = (x.dims(), weight.dims());
    let positions = (length + conv.padding[0] + conv.padding[1] - conv.dilation * (taps - 1) - 1) / conv.stride + 1;
    Tensor::build([n, out, positions], |i| {
        let first = i[1] / (out / conv.groups) * channels;
        let mut sum = bias.map_or(0.0, |bias| bias.at(&[i[1]]));
        for c in 0..channels {
            for tap in 0..taps {
                let at = (i[2] * conv.stride + tap * conv.dilation) as isize - conv.padding[0] as isize;
                let value = padded(at, length, conv.mode, |at| x.at(&[i[0], first + c, at]));
                sum += value * weight.at(&[i[1], c, tap]);
            }
        }
        sum
    })
}

#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub x: [usize; 3],
    pub out: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: [usize; 2],
    pub dilation: usize,
    pub groups: usize,
    pub mode: PaddingMode,
}

const PLAIN: Case = Case {
    name: "",
    x: [1; 3],
    out: 1,
    kernel: 1,
    stride: 1,
    padding: [0; 2],
    dilation: 1,
    groups: 1,
    mode: PaddingMode::Zeros,
};

/// Three taps that keep the line's length.
pub const SAME: Case = Case { kernel: 3, padding: [1; 2], ..PLAIN };

impl Case {
    pub fn terms(&self) -> usize {
        self.x[1] / self.groups * self.kernel
    }

    pub fn weight(&self) -> Tensor {
        random(2, [self.out, self.x[1] / self.groups, self.kernel])
    }

    pub fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    pub fn op(&self, bias: bool) -> Conv1d {
        let bias = bias.then(|| constant(&self.bias()));
        let conv = Conv1d::new(constant(&self.weight()), bias).stride(self.stride).paddings(self.padding);
        conv.dilation(self.dilation).groups(self.groups).padding_mode(self.mode)
    }

    pub fn reference(&self, x: &Tensor, bias: bool) -> Tensor {
        let &Case { stride, padding, dilation, groups, mode, .. } = self;
        let conv = Conv { stride, padding, dilation, groups, mode };
        conv1d(x, &self.weight(), bias.then(|| self.bias()).as_ref(), &conv)
    }

    pub fn check(&self, t: &Suite) {
        for bias in [true, false] {
            let x = if bias { random(1, self.x) } else { outliers(1, self.x) };
            let graph = graph(&[&x], |graph, x| graph.conv1d(x[0], self.op(bias)));
            t.check(self.name, &graph, &[&x], &self.reference(&x, bias), Tolerance::Reduction(self.terms()));
        }
    }
}

fn lines(t: &Suite) {
    let cases = [
        Case { name: "one of everything", ..PLAIN },
        Case { name: "one pixel under three taps", x: [1, 3, 1], out: 2, ..SAME },
        Case { name: "primes", x: [2, 7, 13], out: 5, ..SAME },
        Case { name: "pointwise, 65 pixels, 65 channels", x: [1, 5, 65], out: 65, ..PLAIN },
        Case { name: "63 pixels, 31 channels", x: [1, 9, 63], out: 31, ..SAME },
        Case { name: "stride 2", x: [2, 5, 12], out: 6, stride: 2, ..SAME },
        Case { name: "stride beyond the kernel", x: [1, 5, 12], out: 6, stride: 3, ..PLAIN },
        Case { name: "dilation 3", x: [2, 4, 14], out: 6, dilation: 3, ..SAME },
        Case { name: "causal", x: [1, 4, 11], out: 3, kernel: 4, dilation: 2, padding: [6, 0], ..PLAIN },
        Case { name: "padding [0, 3]", x: [1, 4, 11], out: 3, kernel: 4, padding: [0, 3], ..PLAIN },
        Case {
            name: "a waveform's frames",
            x: [2, 1, 200],
            out: 20,
            kernel: 40,
            stride: 16,
            padding: [20; 2],
            ..PLAIN
        },
        Case { name: "as long as the line", x: [2, 6, 7], out: 9, kernel: 7, ..PLAIN },
        Case { name: "two groups", x: [2, 6, 9], out: 8, groups: 2, ..SAME },
        Case { name: "five groups, one channel in, two out", x: [1, 5, 9], out: 10, groups: 5, ..SAME },
    ];
    cases.iter().for_each(|case| case.check(t));
}

/// Lines of one channel: their kernels read texels of four samples, and compute several neighbours as one pixel.
const ONE_CHANNEL: [Case; 11] = [
    Case { name: "frames, padding 3", x: [2, 1, 203], out: 33, kernel: 30, stride: 12, padding: [3, 9], ..PLAIN },
    Case { name: "frames, odd stride", x: [2, 1, 120], out: 6, kernel: 17, stride: 5, padding: [8; 2], ..PLAIN },
    Case {
        name: "frames, even stride, texels",
        x: [1, 1, 90],
        out: 40,
        kernel: 12,
        stride: 6,
        padding: [2, 0],
        ..PLAIN
    },
    Case { name: "one frame, all of the line", x: [3, 1, 21], out: 5, kernel: 21, stride: 4, ..PLAIN },
    Case { name: "two taps", x: [2, 1, 14], out: 12, kernel: 2, stride: 4, padding: [1; 2], ..PLAIN },
    Case { name: "filter", x: [2, 1, 150], kernel: 31, padding: [15; 2], ..PLAIN },
    Case { name: "filter, whole texels", x: [2, 1, 128], kernel: 8, padding: [4, 3], ..PLAIN },
    Case { name: "filter, stride 2, a single line", x: [1, 1, 355], kernel: 64, stride: 2, padding: [1, 2], ..PLAIN },
    Case { name: "filter, stride 3", x: [3, 1, 77], kernel: 9, stride: 3, padding: [0, 8], ..PLAIN },
    Case { name: "filter, fewer outputs than phases", x: [2, 1, 12], kernel: 10, padding: [0, 1], ..PLAIN },
    Case { name: "filter beyond a texture's width", x: [1, 1, 70_001], kernel: 5, padding: [4, 0], ..PLAIN },
];

fn one_channel(t: &Suite) {
    ONE_CHANNEL.iter().for_each(|case| case.check(t));
    let dilated = Case { name: "dilated", x: [1, 1, 60], kernel: 9, dilation: 2, padding: [8; 2], ..PLAIN };
    dilated.check(t);
    // One filter after the other: the second also reads what the first pads its last texel with.
    let [first, second] = [ONE_CHANNEL[5], Case { x: [2, 1, 150], kernel: 7, padding: [3; 2], ..PLAIN }];
    let x = random(1, first.x);
    let chain = graph(&[&x], |graph, x| {
        let y = graph.conv1d(x[0], first.op(true))?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        graph.conv1d(y, second.op(true))
    });
    let reference = |x: &[&Tensor]| second.reference(&reference::sigmoid(&first.reference(x[0], true)), true);
    t.check("filters", &chain, &[&x], &reference(&[&x]), Tolerance::Transcendental);
    t.check_not_finite("filters", &chain, &[&x], reference, Tolerance::Transcendental);
}

fn depthwise(t: &Suite) {
    let each = |name, x: [usize; 3]| Case { name, x, out: x[1], groups: x[1], ..SAME };
    let cases = [
        each("one pixel", [1, 2, 1]),
        each("7 pixels", [2, 7, 7]),
        each("8 pixels", [1, 4, 8]),
        each("17 pixels", [2, 9, 17]),
        Case { stride: 2, ..each("stride 2", [1, 5, 13]) },
        Case { stride: 6, ..each("stride 6", [1, 5, 23]) },
        Case { kernel: 5, dilation: 1, padding: [4, 0], ..each("causal, 5 taps", [1, 5, 9]) },
        Case { dilation: 9, padding: [9; 2], ..each("dilation 9", [2, 6, 20]) },
        Case { kernel: 31, padding: [15; 2], ..each("31 taps", [1, 5, 40]) },
        Case { kernel: 51, padding: [25; 2], ..each("51 taps", [1, 5, 30]) },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn padding_modes(t: &Suite) {
    for (name, mode) in
        [("reflect", PaddingMode::Reflect), ("replicate", PaddingMode::Replicate), ("circular", PaddingMode::Circular)]
    {
        Case { name, x: [2, 5, 7], out: 6, mode, ..SAME }.check(t);
        Case { name, x: [1, 3, 6], out: 3, kernel: 5, padding: [4, 3], mode, ..PLAIN }.check(t);
        Case { name, x: [1, 6, 6], out: 6, groups: 6, mode, ..SAME }.check(t);
    }
}

pub const FUSED: [Case; 5] = [
    Case { name: "dense", x: [2, 6, 9], out: 10, ..SAME },
    Case { name: "depthwise", x: [2, 6, 9], out: 6, groups: 6, ..SAME },
    Case { name: "one channel to ten", x: [2, 1, 38], out: 10, kernel: 7, padding: [3; 2], ..PLAIN },
    Case { name: "one channel", x: [2, 1, 38], kernel: 7, padding: [3; 2], ..PLAIN },
    Case { name: "one channel, one line", x: [1, 1, 43], kernel: 7, padding: [3; 2], ..PLAIN },
];

/// Builds the convolution, a batch norm, a residual and a ReLU.
pub fn block(case: Case) -> impl Fn(&mut Graph, &[Value]) -> Result<Value> {
    move |graph, x| {
        let y = graph.conv1d(x[0], case.op(true))?;
        let y = graph.batch_norm(y, norm(case.out).0)?;
        let y = graph.sum(x[1], y)?;
        graph.relu(y)
    }
}

fn takes_in_batch_norm_residual_and_activation(t: &Suite) {
    for case in FUSED {
        let x = random(1, case.x);
        let y = norm(case.out).1(&case.reference(&x, true));
        let residual = random(4, y.shape.clone());
        let expected = reference::relu(&reference::add(&residual, &y));
        let graph = graph(&[&x, &residual], block(case));
        t.check(case.name, &graph, &[&x, &residual], &expected, Tolerance::Reduction(2 * case.terms()));
    }
}

fn one_after_the_other(t: &Suite) {
    // A dilated residual block, as in temporal convolutional networks: no step needs another layout.
    let first = Case { x: [2, 5, 11], out: 12, ..SAME };
    let second = Case { x: [2, 12, 11], out: 12, groups: 12, dilation: 4, padding: [4; 2], ..SAME };
    let third = Case { x: [2, 12, 11], out: 5, ..PLAIN };
    let x = random(1, first.x);
    let y = graph(&[&x], |graph, x| {
        let y = graph.conv1d(x[0], first.op(true))?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        let y = graph.conv1d(y, second.op(true))?;
        let y = graph.conv1d(y, third.op(true))?;
        graph.sum(y, x[0])
    });
    let expected = reference::sigmoid(&first.reference(&x, true));
    let expected = reference::add(&third.reference(&second.reference(&expected, true), true), &x);
    t.check("a chain", &y, &[&x], &expected, Tolerance::Transcendental);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    Case { name: "70,000 taps", x: [1, 1, 70_002], out: 2, kernel: 70_000, ..PLAIN }.check(t);
    Case { name: "9,000 channels of eight taps", x: [1, 9000, 10], out: 2, kernel: 8, ..PLAIN }.check(t);
}

fn not_finite(t: &Suite) {
    for case in [
        Case { name: "dense", x: [2, 6, 9], out: 10, ..SAME },
        Case { name: "depthwise", x: [2, 6, 9], out: 6, groups: 6, ..SAME },
        Case { name: "Winograd", x: [4, 6, 32], out: 10, ..SAME },
    ]
    .iter()
    .chain(&ONE_CHANNEL[..10])
    {
        let x = random(1, case.x);
        let plain = graph(&[&x], |graph, x| graph.conv1d(x[0], case.op(true)));
        let tolerance = Tolerance::Reduction(case.terms());
        t.check_not_finite(case.name, &plain, &[&x], |x| case.reference(x[0], true), tolerance);
        let residual = random(4, case.reference(&x, true).shape);
        let added = graph(&[&x, &residual], |graph, x| {
            let y = graph.conv1d(x[0], case.op(true))?;
            let y = graph.sum(y, x[1])?;
            graph.relu(y)
        });
        let reference = |x: &[&Tensor]| reference::relu(&reference::add(&case.reference(x[0], true), x[1]));
        t.check_not_finite(&format!("{}, added to", case.name), &added, &[&x, &residual], reference, tolerance);
    }
}
