//! Cases of transposed convolutions: windows, tiles, groups, between convolutions.

use super::conv::{Case, groups};
use crate::ops::Conv2d;
use crate::selftest::cases::{as_image, constant, graph, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Graph, Result, Value};

/// Runs the cases.
pub fn cases(t: &Suite) {
    windows::<1, 3>(t);
    windows::<2, 4>(t);
    windows::<3, 5>(t);
    groups::<1, 3>(t, Case::DOUBLE);
    groups::<2, 4>(t, Case::DOUBLE);
    groups::<3, 5>(t, Case::DOUBLE);
    sizes_about_the_tiles(t);
    too_large_for_a_texture(t);
    between_convolutions(t);
    long_loops(t);
    fused_and_not_finite(t, [VOCODER]);
    fused_and_not_finite(t, BLOCKS);
    fused_and_not_finite(t, [VOLUME]);
}

const DOUBLE: Case<2, 4> = Case::DOUBLE;

fn windows<const D: usize, const R: usize>(t: &Suite) {
    let double = Case { x: [2, 5, 3, 4, 6], out: 6, ..Case::<3, 5>::DOUBLE };
    let three = Case { kernel: [3; 3], stride: [1; 3], padding: [[0; 2]; 3], ..double };
    let (two, one) = (Case { kernel: [2; 3], ..three }, Case { kernel: [1; 3], ..three });
    let cases = [
        Case { name: "one of everything", ..Case::TRANSPOSED },
        Case { name: "one pixel, doubled", x: [1, 3, 1, 1, 1], out: 2, ..double },
        Case { name: "primes", x: [2, 7, 3, 5, 3], out: 5, ..double },
        Case { name: "stride 1", padding: [[1; 2]; 3], ..three },
        Case { name: "two taps, stride 2", stride: [2; 3], ..two },
        Case { name: "output padding", kernel: [3; 3], output_padding: [1; 3], ..double },
        Case { name: "a stride by axis", stride: [2, 1, 3], ..three },
        Case {
            name: "all by axis",
            kernel: [3, 5, 2],
            stride: [4, 3, 2],
            padding: [[1; 2], [2; 2], [0; 2]],
            output_padding: [0, 2, 1],
            ..three
        },
        Case { name: "cut per side", stride: [1, 2, 3], padding: [[0, 3], [1, 0], [4, 1]], ..three },
        Case { name: "a stride beyond the kernel", stride: [3, 4, 5], output_padding: [2, 3, 0], ..two },
        Case { name: "a stride beyond the output", stride: [7; 3], padding: [[5; 2], [3; 2], [16; 2]], ..one },
        Case { name: "dilation 2", dilation: [2; 3], padding: [[2; 2]; 3], ..three },
        Case { name: "dilation 3, output padding", dilation: [3; 3], output_padding: [2; 3], ..three },
        Case { name: "dilation 2, stride 2", dilation: [2; 3], stride: [2; 3], ..three },
        Case { name: "a dilation by axis", dilation: [1, 3, 2], stride: [4, 2, 3], ..three },
        Case {
            name: "a common divisor",
            kernel: [2, 4, 3],
            dilation: [4, 4, 2],
            stride: [6, 6, 4],
            padding: [[0, 3], [3; 2], [1; 2]],
            ..three
        },
        Case { name: "output padding below the dilation", dilation: [3; 3], output_padding: [0, 2, 1], ..two },
        Case { name: "a kernel along one axis", kernel: [1, 1, 5], stride: [1, 1, 2], ..three },
        Case { name: "cut to one pixel", stride: [2; 3], padding: [[2; 2], [3; 2], [5; 2]], ..one },
    ];
    cases.iter().for_each(|case| case.along::<D, R>().check_both(t));
}

fn sizes_about_the_tiles(t: &Suite) {
    // An invocation computes four pixels of a row, one stride apart; four channels per texel.
    let plain = Case::<2, 4>::TRANSPOSED;
    let cases = [
        Case { name: "3 pixels wide", x: [1, 4, 2, 3], out: 4, ..plain },
        Case { name: "4 pixels wide", x: [1, 5, 2, 4], out: 3, ..plain },
        Case { name: "5 pixels wide", x: [1, 8, 2, 5], out: 8, ..plain },
        Case { name: "7 pixels, doubled", x: [1, 3, 2, 7], out: 9, ..DOUBLE },
        Case { name: "8 pixels, doubled", x: [1, 2, 2, 8], out: 4, ..DOUBLE },
        Case { name: "9 pixels, doubled", x: [1, 2, 2, 9], out: 5, ..DOUBLE },
        Case { name: "many channels", x: [1, 66, 3, 4], out: 65, ..DOUBLE },
        Case { name: "several workgroups", x: [2, 3, 9, 10], out: 17, ..DOUBLE },
        Case { name: "depthwise, 3x5", x: [2, 5, 3, 4], out: 5, groups: 5, kernel: [3, 5], ..DOUBLE },
    ];
    cases.iter().for_each(|case| case.check_both(t));
}

fn too_large_for_a_texture(t: &Suite) {
    // llvmpipe's textures have at most 16,384 texels per side: larger values or weights are in buffers.
    let plain = Case::<2, 4>::TRANSPOSED;
    let wide = Case { name: "17,000 texels wide", x: [1, 2, 1, 8500], out: 3, kernel: [1, 2], stride: [1, 2], ..plain };
    let weights = Case { name: "weights of 16,400 columns", x: [1, 2, 1, 1], out: 16_400, ..plain };
    [wide, weights].iter().for_each(|case| case.check_both(t));
}

/// A smaller version of HiFi-GAN's upsampling.
pub const VOCODER: Case<1, 3> = Case {
    name: "a vocoder's",
    x: [2, 10, 9],
    out: 6,
    kernel: [8],
    stride: [4],
    padding: [[2; 2]],
    ..Case::TRANSPOSED
};

pub const BLOCKS: [Case<2, 4>; 3] = [
    Case { name: "dense", x: [2, 6, 3, 4], out: 10, ..DOUBLE },
    Case { name: "groups in one texel", x: [2, 6, 3, 4], out: 10, groups: 2, ..DOUBLE },
    Case { name: "depthwise", x: [2, 6, 3, 4], out: 6, groups: 6, ..DOUBLE },
];

const VOLUME: Case<3, 5> = Case { name: "a volume", x: [2, 4, 2, 3, 3], out: 6, groups: 2, ..Case::DOUBLE };

fn fused_and_not_finite<const D: usize, const R: usize, const N: usize>(t: &Suite, cases: [Case<D, R>; N]) {
    for case in cases {
        case.check_fused(t);
        case.check_not_finite(t);
    }
}

/// Builds transposed convolutions between convolutions, as in an autoencoder.
pub fn autoencoder(graph: &mut Graph, x: Value) -> Result<Value> {
    let conv = |seed, shape: [usize; 4]| Conv2d::new(constant(&random(seed, shape)), None);
    let y = graph.conv2d(x, conv(5, [5, 3, 1, 1]))?;
    let y = Case { x: [2, 5, 3, 4], out: 6, ..DOUBLE }.push(graph, y, true)?;
    graph.conv2d(y, conv(6, [7, 6, 1, 1]))
}

fn between_convolutions(t: &Suite) {
    let x = random(1, [2, 3, 3, 4]);
    let pointwise = |x: &Tensor, seed, shape: [usize; 4]| {
        reference::conv(x, &random(seed, shape), None, &reference::Conv::<2>::ONE)
    };
    let y = pointwise(&x, 5, [5, 3, 1, 1]);
    let y = Case { x: [2, 5, 3, 4], out: 6, ..DOUBLE }.reference(&y, true);
    let expected = pointwise(&y, 6, [7, 6, 1, 1]);
    let graph = graph(&[&x], |graph, x| {
        let y = autoencoder(graph, x[0])?;
        as_image(graph, y)
    });
    t.check("an autoencoder", &graph, &[&x], &expected, Tolerance::Reduction(200));
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let image =
        Case { name: "30,000 channels of 3x3", x: [1, 30_000, 3, 3], out: 2, kernel: [3; 2], ..Case::TRANSPOSED };
    image.check_both(t);
    image.check_added(t);
    let line = Case { name: "28,000 channels of ten taps", kernel: [10], out: 2, ..Case::TRANSPOSED };
    Case { x: [1, 28_000, 11], ..line }.check_both(t);
    let volume = Case { name: "9,000 channels of 2x2x2", kernel: [2; 3], out: 2, ..Case::TRANSPOSED };
    Case { x: [1, 9000, 2, 2, 2], ..volume }.check_both(t);
}
