//! Convolutions along one to three axes. Transposed convolutions share the cases' type and the general cases.

pub mod images;
mod joined;
mod not_finite;
mod one_channel;

use crate::ops::{Activation, BatchNorm2d, Conv, ConvTranspose, PaddingMode};
use crate::selftest::cases::{check_finished, constant, finished, graph, outliers, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Graph, Result, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    windows::<1, 3>(t);
    windows::<2, 4>(t);
    windows::<3, 5>(t);
    groups::<1, 3>(t, Case::SAME);
    groups::<2, 4>(t, Case::SAME);
    groups::<3, 5>(t, Case::SAME);
    padding_modes::<1, 3>(t);
    padding_modes::<2, 4>(t);
    one_after_the_other::<1, 3>(t);
    one_after_the_other::<3, 5>(t);
    lines(t);
    one_channel::cases(t);
    images::cases(t);
    volumes(t);
}

/// A convolution along `D` axes, or a transposed one, of a tensor of `R` dimensions, two more.
#[derive(Clone, Copy, Debug)]
pub struct Case<const D: usize, const R: usize> {
    pub name: &'static str,
    pub x: [usize; R],
    pub out: usize,
    pub kernel: [usize; D],
    pub stride: [usize; D],
    pub padding: [[usize; 2]; D],
    pub output_padding: [usize; D],
    pub dilation: [usize; D],
    pub groups: usize,
    pub mode: PaddingMode,
    pub transposed: bool,
}

impl<const D: usize, const R: usize> Case<D, R> {
    pub const PLAIN: Self = Case {
        name: "one of everything",
        x: [1; R],
        out: 1,
        kernel: [1; D],
        stride: [1; D],
        padding: [[0; 2]; D],
        output_padding: [0; D],
        dilation: [1; D],
        groups: 1,
        mode: PaddingMode::Zeros,
        transposed: false,
    };

    /// Three taps along each axis that keep the size.
    pub const SAME: Self = Case { kernel: [3; D], padding: [[1; 2]; D], ..Case::PLAIN };

    pub const TRANSPOSED: Self = Case { transposed: true, ..Case::PLAIN };

    /// Four taps along each axis that double the size.
    pub const DOUBLE: Self = Case { kernel: [4; D], stride: [2; D], padding: [[1; 2]; D], ..Case::TRANSPOSED };

    /// Returns the most products that a pixel sums.
    pub fn terms(&self) -> usize {
        self.x[1] / self.groups * self.kernel.iter().product::<usize>()
    }

    pub fn tolerance(&self) -> Tolerance {
        Tolerance::Reduction(self.terms())
    }

    pub fn weight(&self) -> Tensor {
        let (c, o) = (self.x[1], self.out);
        let channels = if self.transposed { [c, o / self.groups] } else { [o, c / self.groups] };
        random(2, [&channels[..], &self.kernel].concat())
    }

    pub fn bias(&self) -> Tensor {
        random(3, [self.out])
    }

    pub fn op(&self, bias: bool) -> Conv<D> {
        self.op_of(&self.weight(), bias.then(|| self.bias()).as_ref())
    }

    pub fn op_of(&self, weight: &Tensor, bias: Option<&Tensor>) -> Conv<D> {
        let op = Conv::new(constant(weight), bias.map(constant)).padding_mode(self.mode);
        op.stride(self.stride).padding_per_side(self.padding).dilation(self.dilation).groups(self.groups)
    }

    pub fn transposed_op(&self, bias: bool) -> ConvTranspose<D> {
        let op = ConvTranspose::new(constant(&self.weight()), bias.then(|| constant(&self.bias())));
        let op = op.stride(self.stride).padding_per_side(self.padding).dilation(self.dilation).groups(self.groups);
        op.output_padding(self.output_padding)
    }

    pub fn push(&self, graph: &mut Graph, x: Value, bias: bool) -> Result<Value> {
        if self.transposed { graph.push(self.transposed_op(bias), &[x]) } else { graph.conv(x, self.op(bias)) }
    }

    pub fn reference(&self, x: &Tensor, bias: bool) -> Tensor {
        self.reference_of(x, &self.weight(), bias.then(|| self.bias()).as_ref())
    }

    pub fn reference_of(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let &Case { stride, padding, output_padding, dilation, groups, mode, .. } = self;
        let conv = reference::Conv { stride, padding, output_padding, dilation, groups, mode };
        let compute = if self.transposed { reference::conv_transpose } else { reference::conv };
        compute(x, weight, bias, &conv)
    }

    fn check_one(&self, t: &Suite, x: &Tensor, bias: bool) {
        let graph = graph(&[x], |graph, x| self.push(graph, x[0], bias));
        t.check(self.name, &graph, &[x], &self.reference(x, bias), self.tolerance());
    }

    /// Checks the case with a bias.
    pub fn check(&self, t: &Suite) {
        self.check_one(t, &random(1, self.x), true);
    }

    /// Checks the case with a bias and without.
    pub fn check_both(&self, t: &Suite) {
        self.check(t);
        self.check_one(t, &outliers(1, self.x), false);
    }

    /// Adds the convolution, a batch norm, a residual and a ReLU.
    pub fn block(&self, graph: &mut Graph, x: Value, residual: Value) -> Result<Value> {
        let y = self.push(graph, x, true)?;
        let y = graph.batch_norm(y, norm(self.out).0)?;
        let y = graph.add(residual, y)?;
        graph.relu(y)
    }

    /// Checks that the convolution takes in what follows it: a batch norm, a residual, an activation.
    pub fn check_fused(&self, t: &Suite) {
        let x = random(1, self.x);
        let y = norm(self.out).1(&self.reference(&x, true));
        let residual = random(4, y.shape.clone());
        let block = graph(&[&x, &residual], |graph, x| self.block(graph, x[0], x[1]));
        t.expect_fused(&block, 1);
        let expected = reference::relu(&reference::add(&residual, &y));
        t.check(self.name, &block, &[&x, &residual], &expected, Tolerance::Reduction(2 * self.terms()));
        self.check_added(t);
        let activated = graph(&[&x], |graph, x| {
            let y = self.push(graph, x[0], false)?;
            graph.activation(y, Activation::Tanh)
        });
        t.expect_fused(&activated, 1);
        let expected = reference::tanh(&self.reference(&x, false));
        t.check(self.name, &activated, &[&x], &expected, Tolerance::Transcendental);
    }

    /// Checks the convolution with a residual and an activation after it, in either order.
    pub fn check_added(&self, t: &Suite) {
        let x = random(1, self.x);
        let push = |graph: &mut Graph, x: &[Value]| self.push(graph, x[0], true);
        check_finished(t, self.name, &[&x], &self.reference(&x, true), push, self.tolerance());
    }

    pub fn check_not_finite(&self, t: &Suite) {
        let x = random(1, self.x);
        let graph = graph(&[&x], |graph, x| self.push(graph, x[0], true));
        t.check_not_finite(self.name, &graph, &[&x], |x| self.reference(x[0], true), self.tolerance());
    }

    /// Checks NaN and infinities, with a residual and an activation after the convolution, in either order.
    fn check_not_finite_added(&self, t: &Suite) {
        let x = random(1, self.x);
        let residual = random(4, self.reference(&x, true).shape);
        for last in [false, true] {
            let added = graph(&[&x, &residual], |graph, x| {
                let y = self.push(graph, x[0], true)?;
                finished(graph, y, x[1], last)
            });
            let reference = |x: &[&Tensor]| reference::finished(&self.reference(x[0], true), x[1], last);
            let name = format!("{}, added to{}", self.name, if last { " at last" } else { "" });
            t.check_not_finite(&name, &added, &[&x, &residual], reference, self.tolerance());
        }
    }
}

impl Case<3, 5> {
    /// Returns the case along the last axes of this one.
    pub fn along<const D: usize, const R: usize>(&self) -> Case<D, R> {
        fn last<T: Copy, const D: usize>(axes: [T; 3]) -> [T; D] {
            std::array::from_fn(|axis| axes[3 - D + axis])
        }
        Case {
            name: self.name,
            x: std::array::from_fn(|d| if d < 2 { self.x[d] } else { self.x[5 - R + d] }),
            out: self.out,
            kernel: last(self.kernel),
            stride: last(self.stride),
            padding: last(self.padding),
            output_padding: last(self.output_padding),
            dilation: last(self.dilation),
            groups: self.groups,
            mode: self.mode,
            transposed: self.transposed,
        }
    }
}

const PLAIN: Case<3, 5> = Case::PLAIN;

fn windows<const D: usize, const R: usize>(t: &Suite) {
    let three = Case { x: [2, 5, 6, 7, 8], out: 6, kernel: [3; 3], ..PLAIN };
    let one = Case { kernel: [1; 3], ..three };
    let same = Case { padding: [[1; 2]; 3], ..three };
    let cases = [
        PLAIN,
        Case { name: "one pixel under three taps", x: [1, 3, 1, 1, 1], out: 2, ..Case::SAME },
        Case { name: "primes", x: [2, 7, 5, 7, 13], out: 5, ..Case::SAME },
        Case { name: "stride 2", stride: [2; 3], ..same },
        Case { name: "a stride by axis", stride: [1, 2, 3], ..three },
        Case { name: "a stride beyond the kernel", stride: [3, 1, 2], ..one },
        Case { name: "a padding by axis", padding: [[0; 2], [1; 2], [2; 2]], ..three },
        Case { name: "padding about one tap", padding: [[2; 2], [0; 2], [1; 2]], ..one },
        Case { name: "padding per side", kernel: [3, 2, 3], padding: [[1, 0], [0, 2], [2, 1]], ..three },
        Case { name: "causal", padding: [[2, 0]; 3], ..three },
        Case { name: "a dilation by axis", dilation: [1, 2, 3], ..same },
        Case { name: "dilation and stride", dilation: [2, 1, 2], stride: [2; 3], ..same },
        Case { name: "a kernel by axis", kernel: [2, 3, 4], ..same },
        // With three taps and outliers, Winograd's sums of 15 products are off by 1.4 times the tolerance.
        Case { name: "a kernel along one axis", kernel: [1, 1, 5], padding: [[0; 2], [0; 2], [2; 2]], ..three },
        Case { name: "a kernel along another", kernel: [1, 3, 1], padding: [[0; 2], [1; 2], [0; 2]], ..three },
        Case { name: "as large as the image", kernel: [6, 7, 8], ..three },
    ];
    cases.iter().for_each(|case| case.along::<D, R>().check_both(t));
}

/// Checks groups of a convolution with the kernel of `base`.
pub fn groups<const D: usize, const R: usize>(t: &Suite, base: Case<D, R>) {
    for (name, channels, out, groups) in [
        ("two groups", 6, 8, 2),
        ("three of two channels, five out", 6, 15, 3),
        ("five of three channels, two out", 15, 10, 5),
        ("two of nine channels, one out", 18, 2, 2),
        ("two of one channel, eight out", 2, 16, 2),
        ("one channel in, two out", 5, 10, 5),
        ("two channels in, one out", 10, 5, 5),
        ("depthwise", 7, 7, 7),
        ("depthwise, whole texels", 8, 8, 8),
    ] {
        let x = Case { x: [2, channels, 3, 4, 5], ..PLAIN }.along::<D, R>().x;
        Case { name, x, out, groups, ..base }.check_both(t);
    }
}

fn padding_modes<const D: usize, const R: usize>(t: &Suite) {
    for (name, mode) in
        [("reflect", PaddingMode::Reflect), ("replicate", PaddingMode::Replicate), ("circular", PaddingMode::Circular)]
    {
        let same = Case { name, x: [2, 5, 1, 6, 7], out: 6, mode, ..Case::SAME };
        let uneven = Case { kernel: [5; 3], padding: [[0; 2], [2, 1], [4, 3]], ..same };
        for case in [same, uneven, Case { x: [1, 6, 1, 5, 6], groups: 6, ..same }] {
            case.along::<D, R>().check_both(t);
        }
    }
}

/// Checks a dilated residual block, as in temporal convolutional networks: no step needs another layout.
fn one_after_the_other<const D: usize, const R: usize>(t: &Suite) {
    let first = Case { x: [2, 5, 5, 4, 11], out: 12, ..Case::SAME };
    let second = Case { x: [2, 12, 5, 4, 11], groups: 12, dilation: [4; 3], padding: [[4; 2]; 3], ..first };
    let third = Case { x: [2, 12, 5, 4, 11], out: 5, ..PLAIN };
    let [first, second, third] = [first, second, third].map(|case| case.along::<D, R>());
    let x = random(1, first.x);
    let y = graph(&[&x], |graph, x| {
        let y = first.push(graph, x[0], true)?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        let y = second.push(graph, y, true)?;
        let y = third.push(graph, y, true)?;
        graph.add(y, x[0])
    });
    let expected = reference::sigmoid(&first.reference(&x, true));
    let expected = reference::add(&third.reference(&second.reference(&expected, true), true), &x);
    t.check("a chain", &y, &[&x], &expected, Tolerance::Transcendental);
}

pub const DENSE_LINE: Case<1, 3> = Case { name: "dense", x: [2, 6, 9], out: 10, ..Case::SAME };
pub const DEPTHWISE_LINE: Case<1, 3> = Case { name: "depthwise", out: 6, groups: 6, ..DENSE_LINE };
pub const VOLUME: Case<3, 5> = Case { name: "a volume", x: [2, 3, 4, 5, 3], out: 6, ..Case::SAME };

fn lines(t: &Suite) {
    let (plain, same) = (Case::PLAIN, Case::SAME);
    let each = |name, x: [usize; 3]| Case { name, x, out: x[1], groups: x[1], ..same };
    let cases: [Case<1, 3>; 15] = [
        Case { name: "pointwise, 65 pixels, 65 channels", x: [1, 5, 65], out: 65, ..plain },
        Case { name: "63 pixels, 31 channels", x: [1, 9, 63], out: 31, ..same },
        Case { name: "frames", x: [2, 1, 200], out: 20, kernel: [40], stride: [16], padding: [[20; 2]], ..plain },
        each("one pixel", [1, 2, 1]),
        each("7 pixels", [2, 7, 7]),
        each("8 pixels", [1, 4, 8]),
        each("17 pixels", [2, 9, 17]),
        Case { stride: [2], ..each("stride 2", [1, 5, 13]) },
        Case { stride: [6], ..each("stride 6", [1, 5, 23]) },
        Case { kernel: [5], padding: [[4, 0]], ..each("causal, 5 taps", [1, 5, 9]) },
        Case { dilation: [9], padding: [[9; 2]], ..each("dilation 9", [2, 6, 20]) },
        Case { kernel: [31], padding: [[15; 2]], ..each("31 taps", [1, 5, 40]) },
        Case { kernel: [51], padding: [[25; 2]], ..each("51 taps", [1, 5, 30]) },
        // More than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
        Case { name: "70,000 taps", x: [1, 1, 70_002], out: 2, kernel: [70_000], ..plain },
        Case { name: "9,000 channels of eight taps", x: [1, 9000, 10], out: 2, kernel: [8], ..plain },
    ];
    cases.iter().for_each(|case| case.check_both(t));
    for case in [DENSE_LINE, DEPTHWISE_LINE] {
        case.check_fused(t);
        case.check_not_finite(t);
    }
    Case { name: "Winograd", x: [4, 6, 32], ..DENSE_LINE }.check_not_finite(t);
}

fn volumes(t: &Suite) {
    // A workgroup computes 64, 128, 192 or 256 pixels of 4, 8 or 16 channels: more pixels if there are more workgroups.
    let point = |name, x, out| Case { name, x, out, ..PLAIN };
    let many = Case { groups: 64, ..point("64 groups", [1, 128, 1, 1, 2], 2048) };
    let long = Case { kernel: [2; 3], ..point("9,000 channels of 2x2x2", [1, 9000, 2, 2, 3], 5) };
    let cases = [
        point("63 pixels, 3 channels", [1, 5, 3, 7, 3], 3),
        point("64 pixels, 4 channels", [1, 2, 4, 4, 4], 4),
        point("65 pixels, 5 channels", [1, 2, 5, 13, 1], 5),
        point("129 pixels of three images", [3, 2, 1, 1, 43], 2),
        point("255 pixels", [1, 2, 3, 5, 17], 2),
        point("257 pixels", [1, 2, 1, 1, 257], 1),
        point("8 channels a pixel", [1, 2, 1, 2, 2], 2056),
        point("16 channels a pixel", [1, 2, 1, 1, 3], 4096),
        point("16 channels of many pixels", [1, 1, 8, 16, 128], 16),
        many,
        // More than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
        Case { kernel: [41; 3], ..point("a kernel of 41x41x41", [1, 1, 42, 42, 42], 2) },
        long,
        point("70,000 channels", [1, 70_000, 1, 1, 2], 2),
    ];
    cases.iter().for_each(|case| case.check_both(t));
    // The residual is added once, and the activation is applied after the last part of the sum.
    long.check_added(t);
    VOLUME.check_fused(t);
    VOLUME.check_not_finite(t);
}

/// Returns a batch norm of seeded parameters, and its reference.
pub fn norm(channels: usize) -> (BatchNorm2d, impl Fn(&Tensor) -> Tensor) {
    let mut parameters = [10, 11, 12, 13].map(|seed| random(seed, [channels]));
    parameters[3].data.iter_mut().for_each(|var| *var += 1.5);
    let [weight, bias, mean, var] = parameters.each_ref().map(constant);
    (BatchNorm2d::new(weight, bias, mean, var), move |x| reference::batch_norm(x, parameters.each_ref(), 1e-5))
}
