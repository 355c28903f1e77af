//! Convolutions of images: what their several families of kernels distinguish.

use super::{joined, norm, not_finite};
use crate::ops::{Activation, Conv2d, Pool2d, PoolKind};
use crate::selftest::cases::{as_image, constant, graph, halves, random};
use crate::selftest::ops::activation::ALL;
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Constant, Graph, Result, Value};

pub(super) fn cases(t: &Suite) {
    sizes_about_the_tiles(t);
    t.by_all_variants(variants);
    windows(t);
    as_large_as_the_image(t);
    rows_of_weights_beyond_a_texture(t);
    groups(t);
    depthwise(t);
    FAMILIES.iter().for_each(|case| case.check_both(t));
    FAMILIES.iter().for_each(|case| case.check_fused(t));
    takes_in_every_activation(t);
    does_not_take_in_what_it_can_not(t);
    adds_its_own_input(t);
    one_after_the_other(t);
    joined::cases(t);
    not_finite::cases(t);
    too_large_for_a_texture(t);
    shared_weights(t);
    long_loops(t);
    t.in_halves(stored_as_halves);
}

pub(super) type Case = super::Case<2, 4>;
pub(super) const PLAIN: Case = Case::PLAIN;
pub(super) const SAME: Case = Case::SAME;

/// Rows of one channel, whose kernels read texels of four pixels.
pub(super) const LINES: [Case; 3] = [
    Case { name: "one channel, 5x5", x: [2, 1, 9, 18], out: 33, kernel: [5; 2], padding: [[2; 2]; 2], ..PLAIN },
    Case {
        name: "one channel, 3x7",
        x: [1, 1, 14, 41],
        out: 6,
        kernel: [3, 7],
        stride: [2, 3],
        dilation: [2, 1],
        padding: [[2, 1], [5, 0]],
        ..PLAIN
    },
    Case { name: "one channel to one, 6x6", x: [2, 1, 8, 38], kernel: [6; 2], padding: [[3; 2]; 2], ..PLAIN },
];

fn stored_as_halves(t: &Suite) {
    for case in [
        Case { name: "65 pixels, 65 channels of halves", x: [1, 5, 5, 13], out: 65, ..PLAIN },
        Case { name: "one tap of 36 channels of halves", x: [1, 36, 9, 8], out: 66, ..PLAIN },
        Case { name: "3x3 of halves", x: [2, 20, 9, 7], out: 40, ..SAME },
        Case { name: "3x3 of 32 channels of halves", x: [2, 32, 9, 7], out: 40, ..SAME },
        Case { name: "depthwise 3x3 of halves", x: [2, 7, 13, 11], out: 7, groups: 7, ..SAME },
    ] {
        let x = halves(&random(1, case.x));
        let (weight, bias) = (halves(&case.weight()), halves(&case.bias()));
        let graph = graph(&[&x], |graph, x| graph.conv2d(x[0], case.op_of(&weight, Some(&bias))));
        let expected = case.reference_of(&x, &weight, Some(&bias));
        t.check(case.name, &graph, &[&x], &expected, case.tolerance());
    }
}

fn sizes_about_the_tiles(t: &Suite) {
    // Tiles: 64 pixels x 64 channels, or 16, 13, 4 or 1 pixels x 32 channels; four channels per texel.
    let point = |name, x, out| Case { name, x, out, ..PLAIN };
    let cases = [
        point("63 pixels, 63 channels", [1, 5, 7, 9], 63),
        point("64 pixels, 64 channels", [1, 5, 8, 8], 64),
        point("65 pixels, 65 channels", [1, 5, 5, 13], 65),
        point("127 pixels, 129 channels", [1, 3, 127, 1], 129),
        point("4 pixels, 31 channels", [1, 4, 2, 2], 31),
        point("5 pixels, 32 channels", [1, 4, 1, 5], 32),
        point("12 pixels, 33 channels", [1, 9, 3, 4], 33),
        point("13 pixels, 3 channels", [1, 2, 1, 13], 3),
        point("14 pixels, 4 channels", [1, 16, 7, 2], 4),
        point("15 pixels", [1, 17, 15, 1], 5),
        point("16 pixels", [1, 15, 4, 4], 6),
        point("17 pixels", [1, 8, 1, 17], 7),
        Case { name: "26 pixels of two images", x: [2, 6, 13, 1], out: 8, ..SAME },
        Case { name: "two images share a tile", x: [3, 10, 3, 3], out: 12, ..SAME },
        Case { name: "several blocks and tiles, large weights", x: [2, 150, 5, 9], out: 70, ..SAME },
    ];
    cases.iter().for_each(|case| case.check(t));
}

/// Checks every tile of the GEMM: whole, at its edges along pixels, channels and k, and with k shared by workgroups.
fn variants(t: &Suite) {
    let cases = [
        Case { name: "tapped", x: [2, 22, 9, 15], out: 133, ..SAME },
        Case { name: "strided, dilated", x: [1, 9, 30, 25], out: 70, stride: [2, 1], dilation: [1, 2], ..SAME },
        Case { name: "grouped", x: [1, 108, 9, 8], out: 144, groups: 3, ..SAME },
        Case { name: "point", x: [2, 26, 9, 15], out: 133, ..PLAIN },
        Case { name: "of a network's input", x: [1, 3, 18, 17], out: 33, stride: [2; 2], kernel: [5; 2], ..SAME },
        Case { name: "k shared", x: [1, 67, 5, 4], out: 33, ..SAME },
        Case { name: "k fills tiles", x: [2, 32, 9, 7], out: 70, ..SAME },
        Case { name: "grouped, k fills tiles", x: [1, 64, 9, 8], out: 128, groups: 2, ..SAME },
        Case { name: "grouped, k shared", x: [1, 120, 5, 4], out: 72, groups: 2, ..SAME },
    ];
    for case in cases {
        let x = random(1, case.x);
        let y = case.reference(&x, true);
        let residual = random(4, y.shape.clone());
        let graph = graph(&[&x, &residual], |graph, x| {
            let y = graph.conv2d(x[0], case.op(true))?;
            let y = graph.add(y, x[1])?;
            graph.activation(y, Activation::LeakyRelu(0.5))
        });
        let expected = reference::leaky_relu(&reference::add(&y, &residual), 0.5);
        t.check(case.name, &graph, &[&x, &residual], &expected, case.tolerance());
    }
}

fn windows(t: &Suite) {
    let x = [2, 5, 11, 10];
    let cases = [
        Case { name: "padding [0, 1, 2, 1]", x, out: 3, padding: [[0, 1], [2, 1]], ..SAME },
        Case { name: "2x5", x, out: 3, kernel: [2, 5], padding: [[1, 1], [2, 2]], ..PLAIN },
        Case { name: "1x7", x, out: 3, kernel: [1, 7], ..PLAIN },
        Case { name: "7x1", x, out: 3, kernel: [7, 1], ..PLAIN },
        Case { name: "9x6", x, out: 3, kernel: [9, 6], padding: [[4; 2]; 2], ..PLAIN },
        LINES[0],
        LINES[1],
        LINES[2],
        Case {
            name: "ResNet's stem",
            x: [1, 3, 21, 19],
            out: 9,
            kernel: [7; 2],
            stride: [2; 2],
            padding: [[3; 2]; 2],
            ..PLAIN
        },
        Case {
            name: "AlexNet's stem",
            x: [1, 3, 35, 31],
            out: 9,
            kernel: [11; 2],
            stride: [4; 2],
            padding: [[2; 2]; 2],
            ..PLAIN
        },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn as_large_as_the_image(t: &Suite) {
    // A linear layer on an image that wasn't flattened: some kernels serve only this case, up to eight images.
    let whole = |name, x: [usize; 4], out| Case { name, x, out, kernel: [x[2], x[3]], ..PLAIN };
    let cases = [
        whole("one image", [1, 5, 3, 2], 7),
        whole("eight images", [8, 6, 3, 3], 65),
        whole("nine images", [9, 6, 3, 3], 10),
        Case { name: "dilated", x: [1, 4, 5, 5], out: 3, kernel: [3; 2], dilation: [2; 2], ..PLAIN },
        Case { name: "in groups", x: [2, 6, 3, 3], out: 4, kernel: [3; 2], groups: 2, ..PLAIN },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn rows_of_weights_beyond_a_texture(t: &Suite) {
    // llvmpipe's textures hold 512 texels of k per row; longer rows take several runs, or the portable kernels.
    let cases = [
        Case { name: "a run for each tap", x: [1, 700, 3, 4], out: 5, ..SAME },
        Case { name: "pieces of a tap", x: [1, 2100, 2, 2], out: 5, ..PLAIN },
        Case { name: "portable", x: [1, 2052, 2, 3], out: 5, ..SAME },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn groups(t: &Suite) {
    let cases = [
        Case { name: "three of two channels", x: [1, 6, 5, 6], out: 9, groups: 3, ..SAME },
        Case { name: "five of three channels", x: [1, 15, 4, 5], out: 10, groups: 5, stride: [2; 2], ..SAME },
        Case { name: "three across blocks of channels", x: [1, 18, 4, 5], out: 3 * 24, groups: 3, ..SAME },
        Case { name: "ResNeXt: 32 of four channels", x: [1, 128, 4, 3], out: 128, groups: 32, ..SAME },
        Case { name: "dilated", x: [1, 8, 6, 7], out: 8, groups: 2, dilation: [2; 2], ..SAME },
    ];
    cases.iter().for_each(|case| case.check(t));
}

fn depthwise(t: &Suite) {
    let each = |name, x: [usize; 4]| Case { name, x, out: x[1], groups: x[1], ..SAME };
    let cases = [
        each("3x3, one pixel", [1, 2, 1, 1]),
        each("3x3", [2, 7, 9, 12]),
        each("3x3, seven pixels wide", [1, 33, 7, 7]),
        Case { stride: [2; 2], ..each("3x3, stride 2", [2, 8, 9, 11]) },
        Case { dilation: [2; 2], padding: [[2; 2]; 2], ..each("3x3, dilation 2", [1, 5, 8, 8]) },
        Case { dilation: [3, 1], ..each("3x3, dilation 3x1", [1, 4, 9, 5]) },
        Case { dilation: [2, 4], padding: [[1, 2], [4, 3]], stride: [2, 1], ..each("3x3, dilation 2x4", [2, 5, 8, 9]) },
        Case { stride: [5, 7], ..each("3x3, stride 5x7", [1, 5, 8, 17]) },
        each("3x3, one row", [2, 5, 1, 9]),
        Case { padding: [[0, 1], [2, 1]], ..each("3x3, padding [0, 1, 2, 1]", [1, 5, 6, 7]) },
        Case { kernel: [5; 2], padding: [[2; 2]; 2], ..each("5x5", [1, 6, 8, 9]) },
        Case { kernel: [5; 2], padding: [[2; 2]; 2], stride: [2; 2], ..each("5x5, stride 2", [1, 6, 8, 9]) },
        Case { kernel: [7, 2], padding: [[3, 3], [1, 0]], stride: [1, 2], ..each("7x2, stride 1x2", [1, 3, 8, 9]) },
        Case { kernel: [4; 2], padding: [[0; 2]; 2], ..each("as large as the image", [3, 10, 4, 4]) },
        // More taps than registers: computed as any grouped convolution.
        Case { kernel: [9; 2], padding: [[4; 2]; 2], ..each("9x9", [1, 5, 10, 9]) },
    ];
    cases.iter().for_each(|case| case.check(t));
}

/// One case of each family of kernels: dense, dense from a network's input, as large as the image, depthwise.
pub const FAMILIES: [Case; 4] = [
    Case { name: "dense", x: [2, 6, 5, 7], out: 10, ..SAME },
    Case { name: "few channels", x: [2, 3, 5, 7], out: 5, ..SAME },
    Case { name: "whole image", x: [2, 6, 3, 3], out: 10, kernel: [3; 2], ..PLAIN },
    Case { name: "depthwise", x: [2, 6, 5, 7], out: 6, groups: 6, ..SAME },
];

fn takes_in_every_activation(t: &Suite) {
    for (i, (activation, reference, _)) in ALL.into_iter().enumerate() {
        // Activations with parameters run in every family, the others in the first.
        for case in &FAMILIES[..if i < 6 { 4 } else { 1 }] {
            let mut x = random(1, case.x);
            x.data.iter_mut().for_each(|value| *value *= 4.0);
            let graph = graph(&[&x], |graph, x| {
                let y = graph.conv2d(x[0], case.op(true))?;
                graph.activation(y, activation)
            });
            let expected = reference(&case.reference(&x, true));
            t.expect_fused(&graph, 1);
            // The sum's error passes through the activation, and no activation is steep.
            t.check(case.name, &graph, &[&x], &expected, Tolerance::Transcendental);
        }
    }
}

fn adds_its_own_input(t: &Suite) {
    let case = Case { name: "x + conv(x)", x: [2, 6, 5, 7], out: 6, ..SAME };
    for case in [case, Case { groups: 6, ..case }] {
        let x = random(1, case.x);
        let graph = graph(&[&x], |graph, x| {
            let y = graph.conv2d(x[0], case.op(true))?;
            graph.add(y, x[0])
        });
        t.expect_fused(&graph, 1);
        t.check(case.name, &graph, &[&x], &reference::add(&case.reference(&x, true), &x), case.tolerance());
    }
}

/// Max pooling, 2x2 with a stride of 2.
pub(super) const HALVED: reference::Pool = reference::Pool { size: [2; 2], ..reference::Pool::MAX };

fn one_after_the_other(t: &Suite) {
    // Layouts change from row-major to channels last and back only at the ends. No convolution may read its
    // predecessor's texel padding, or beyond the edges of its texture.
    let [first, second, third] = [
        Case { x: [2, 3, 9, 10], out: 5, stride: [2; 2], ..SAME },
        Case { x: [2, 5, 5, 5], out: 6, ..SAME },
        Case { x: [2, 6, 5, 5], out: 6, groups: 6, ..SAME },
    ];
    let x = random(1, first.x);
    let graph = graph(&[&x], |graph, x| {
        let y = graph.conv2d(x[0], first.op(true))?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        let y = graph.conv2d(y, second.op(true))?;
        let y = graph.conv2d(y, third.op(true))?;
        let y = graph.pool2d(y, Pool2d::new(PoolKind::Max, 2))?;
        as_image(graph, y)
    });
    let y = reference::sigmoid(&first.reference(&x, true));
    let y = third.reference(&second.reference(&y, true), true);
    t.check("a chain", &graph, &[&x], &reference::pool(&y, &HALVED), Tolerance::Transcendental);
}

fn too_large_for_a_texture(t: &Suite) {
    // llvmpipe's textures have at most 16,384 texels per side: larger images are computed in buffers.
    let wide = Case { name: "17,000 texels wide", x: [1, 6, 1, 8500], out: 3, kernel: [1, 3], ..PLAIN };
    let tall = Case { name: "17,000 rows", x: [2, 3, 8500, 1], out: 2, kernel: [3, 1], ..PLAIN };
    let grown = Case { name: "out of a texture", x: [1, 4, 1, 3000], out: 24, kernel: [1, 3], ..PLAIN };
    let groups = Case { name: "17,000 texels wide, groups", x: [1, 20, 1, 3400], out: 40, groups: 5, ..wide };
    let dilated = Case { dilation: [1, 9], stride: [1, 2], padding: [[0; 2], [9, 7]], ..groups };
    dilated.check_not_finite(t);
    for case in [wide, tall, grown, groups, dilated] {
        case.check(t);
        let x = random(1, case.x);
        let y = case.reference(&x, true);
        let residual = random(4, y.shape.clone());
        let graph = graph(&[&x, &residual], |graph, x| {
            let y = graph.conv2d(x[0], case.op(true))?;
            let y = graph.add(y, x[1])?;
            graph.conv2d(y, Case { x: [1, case.out, 1, 1], out: case.out, groups: case.out, ..PLAIN }.op(false))
        });
        let scale = Case { out: case.out, groups: case.out, x: [1, case.out, 1, 1], ..PLAIN };
        let expected = scale.reference(&reference::add(&y, &residual), false);
        t.check(case.name, &graph, &[&x, &residual], &expected, case.tolerance());
    }
}

/// Checks two layers that share one weight: the prepacked weight of one serves the other only if both prepack it alike.
fn shared_weights(t: &Suite) {
    let share = |name: &str, shape: [usize; 4], first: Case, second: Case| {
        let values = random(2, shape);
        let weight: Constant = constant(&values);
        let conv = |case: &Case| Conv2d::new(weight.clone(), None).groups(case.groups).padding_per_side(case.padding);
        let xs = [random(1, first.x), random(5, second.x)];
        let built = graph(&[&xs[0], &xs[1]], |graph: &mut Graph, x: &[Value]| -> Result<Value> {
            let a = graph.conv2d(x[0], conv(&first))?;
            let b = graph.conv2d(x[1], conv(&second))?;
            graph.concat(&[a, b], 3)
        });
        let reference = |x: &Tensor, case: &Case| {
            let &Case { padding, groups, .. } = case;
            reference::conv(x, &values, None, &reference::Conv { padding, groups, ..reference::Conv::ONE })
        };
        let expected = reference::concat(&[&reference(&xs[0], &first), &reference(&xs[1], &second)], 3);
        t.check(name, &built, &[&xs[0], &xs[1]], &expected, Tolerance::Reduction(first.terms()));
    };
    let dense = Case { x: [1, 2, 3, 4], out: 64, ..PLAIN };
    share("in one group and in two", [64, 2, 1, 1], dense, Case { x: [1, 4, 3, 4], groups: 2, ..dense });
    let padded = Case { padding: [[1; 2]; 2], x: [1, 2, 1, 2], ..dense };
    share("with padding and without", [64, 2, 1, 1], dense, padded);
}

fn does_not_take_in_what_it_can_not(t: &Suite) {
    let case = FAMILIES[0];
    let x = random(1, case.x);
    let y = case.reference(&x, true);
    let terms = case.tolerance();

    // The residual broadcasts.
    let small = random(5, [1, case.out, 1, 1]);
    let broadcast = graph(&[&x, &small], |graph, x| {
        let y = graph.conv2d(x[0], case.op(true))?;
        graph.add(y, x[1])
    });
    t.expect_fused(&broadcast, 2);
    t.check("broadcast residual", &broadcast, &[&x, &small], &reference::add(&y, &small), terms);

    // Another operation reads the value too.
    let twice = graph(&[&x], |graph, x| {
        let y = graph.conv2d(x[0], case.op(true))?;
        let z = graph.relu(y)?;
        graph.add(y, z)
    });
    t.expect_fused(&twice, 3);
    t.check("read twice", &twice, &[&x], &reference::add(&y, &reference::relu(&y)), terms);

    let doubled = graph(&[&x], |graph, x| {
        let y = graph.conv2d(x[0], case.op(true))?;
        graph.add(y, y)
    });
    t.check("added to itself", &doubled, &[&x], &reference::add(&y, &y), terms);

    // The value is an output too.
    let mut seen = graph(&[&x], |graph, x| graph.conv2d(x[0], case.op(true)));
    let relu = seen.relu(seen.outputs()[0].1).expect("any shape serves");
    seen.output("z", relu);
    t.expect_fused(&seen, 2);
    t.check_outputs("output and read", &seen, &[&x], &[&y, &reference::relu(&y)], terms);

    // A batch norm follows an activation, then a residual.
    let (op, normalised) = norm(case.out);
    let after = graph(&[&x], |graph, x| {
        let y = graph.conv2d(x[0], case.op(true))?;
        let y = graph.relu(y)?;
        graph.batch_norm(y, op)
    });
    t.expect_fused(&after, 2);
    t.check("batch norm after ReLU", &after, &[&x], &normalised(&reference::relu(&y)), terms);
    let (op, normalised) = norm(case.out);
    let residual = random(4, y.shape.clone());
    let after = graph(&[&x, &residual], |graph, x| {
        let y = graph.conv2d(x[0], case.op(true))?;
        let y = graph.add(y, x[1])?;
        graph.batch_norm(y, op)
    });
    t.expect_fused(&after, 2);
    let expected = normalised(&reference::add(&y, &residual));
    t.check("batch norm after a residual", &after, &[&x, &residual], &expected, terms);
}

/// Checks more than 65,535 iterations in one invocation: llvmpipe ends longer loops without an error.
fn long_loops(t: &Suite) {
    let cases = [
        Case { name: "a kernel of 279x279", x: [1, 1, 280, 280], kernel: [279; 2], out: 3, ..PLAIN },
        Case { name: "1,500 channels of 7x7", x: [1, 1500, 8, 8], kernel: [7; 2], out: 3, ..PLAIN },
        Case { name: "70,000 channels", x: [1, 70_000, 1, 2], out: 3, ..PLAIN },
        Case { name: "depthwise, 269x269", x: [1, 2, 270, 270], kernel: [269; 2], out: 2, groups: 2, ..PLAIN },
    ];
    cases.iter().for_each(|case| case.check(t));
}
