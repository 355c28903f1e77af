//! Cases of padding: every mode, crops, constants, any rank.

use crate::ops::{Pad1d, Pad2d, PaddingMode};
use crate::selftest::cases::{graph, graph_between_images, halves, random};
use crate::selftest::reference::{Tensor, pad};
use crate::selftest::{Suite, Tolerance};

/// Runs the cases.
pub fn cases(t: &Suite) {
    every_mode(t);
    as_much_as_a_mode_can(t);
    cropped(t);
    signals(t);
    constants(t);
    any_rank(t);
    between_operations(t);
    not_finite(t);
    t.in_halves(stored_as_halves);
}

fn stored_as_halves(t: &Suite) {
    let x = halves(&random(1, [2, 3, 5, 7]));
    let graph = graph(&[&x], |graph, x| graph.pad2d(x[0], [1, 2, 0, 3], PaddingMode::Zeros));
    t.check("halves", &graph, &[&x], &pad(&x, &[[1, 2], [0, 3]], PaddingMode::Zeros, 0.0), Tolerance::Exact);
}

pub const MODES: [PaddingMode; 4] =
    [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Circular];

/// Checks all of these modes.
fn check_2d(t: &Suite, case: &str, shape: [usize; 4], padding: [isize; 4], modes: &[PaddingMode]) {
    let x = random(1, shape);
    let [top, bottom, left, right] = padding;
    for &mode in modes {
        let graph = graph(&[&x], |graph, x| graph.pad2d(x[0], padding, mode));
        let expected = pad(&x, &[[top, bottom], [left, right]], mode, 0.0);
        t.check(&format!("{case}: {mode:?} {padding:?} about {shape:?}"), &graph, &[&x], &expected, Tolerance::Exact);
    }
}

fn every_mode(t: &Suite) {
    for (shape, padding) in [
        ([1, 1, 2, 2], [1, 1, 1, 1]),
        ([2, 5, 6, 7], [1, 2, 3, 4]),
        ([2, 4, 5, 3], [4, 0, 0, 2]),
        ([1, 9, 4, 13], [0, 3, 12, 0]),
        ([1, 3, 4, 4], [0; 4]),
    ] {
        check_2d(t, "padded", shape, padding, &MODES);
    }
}

fn as_much_as_a_mode_can(t: &Suite) {
    // Circular padding goes round once at most; zeros and replication have no limit.
    let shape = [1, 5, 3, 4];
    check_2d(t, "most", shape, [3, 3, 4, 4], &[PaddingMode::Circular]);
    check_2d(t, "most", shape, [7, 0, 0, 9], &[PaddingMode::Replicate, PaddingMode::Zeros]);
    check_2d(t, "most", shape, [2, 2, 3, 3], &[PaddingMode::Reflect]);
}

pub fn cropped(t: &Suite) {
    for padding in [[-1, 0, 0, -2], [-1, -1, -2, -2], [-2, 2, 1, -1], [1, -3, -3, 2], [0, -4, 0, -5]] {
        check_2d(t, "cropped", [2, 5, 5, 6], padding, &MODES);
    }
    // A reflection shows elements that the other side crops; circular padding repeats the elements that remain.
    check_2d(t, "most", [1, 5, 5, 6], [-3, 4, 5, -4], &[PaddingMode::Reflect]);
    check_2d(t, "most", [1, 5, 5, 6], [-2, 3, 2, -4], &[PaddingMode::Circular]);
    check_2d(t, "nothing is left but padding", [1, 5, 5, 6], [-5, 3, 2, -6], &[PaddingMode::Zeros]);
}

fn signals(t: &Suite) {
    for mode in MODES {
        for (shape, padding) in [([1, 1, 2], [1, 1]), ([2, 5, 7], [3, 6]), ([3, 4, 5], [-2, 3]), ([1, 9, 70], [0, -1])]
        {
            let x = random(1, shape);
            let graph = graph(&[&x], |graph, x| graph.pad1d(x[0], padding, mode));
            let expected = pad(&x, &[padding], mode, 0.0);
            t.check(&format!("{mode:?} {padding:?} about {shape:?}"), &graph, &[&x], &expected, Tolerance::Exact);
        }
    }
}

fn constants(t: &Suite) {
    let x = random(1, [2, 5, 6, 7]);
    let image = graph(&[&x], |graph, x| graph.push(Pad2d::constant([1, -2, 3, 4], -2.5), x));
    t.check("image", &image, &[&x], &pad(&x, &[[1, -2], [3, 4]], PaddingMode::Zeros, -2.5), Tolerance::Exact);
    let x = random(1, [2, 5, 7]);
    let signal = graph(&[&x], |graph, x| graph.push(Pad1d::constant([3, -1], 7.0), x));
    t.check("signal", &signal, &[&x], &pad(&x, &[[3, -1]], PaddingMode::Zeros, 7.0), Tolerance::Exact);
}

fn any_rank(t: &Suite) {
    let cases: [(&[usize], &[[isize; 2]]); 13] = [
        (&[], &[]),
        (&[1], &[[0, 1]]),
        (&[7], &[[2, -3]]),
        (&[3, 5], &[[1, 0], [0, 2]]),
        (&[3, 63], &[[0, 1]]),
        (&[3, 64], &[[1, -1], [0, 0]]),
        (&[2, 3, 5], &[[1, 1], [0, 0], [-1, 2]]),
        (&[2, 3, 5], &[[2, 1]]),
        (&[2, 6, 5, 4], &[[1, -2], [3, 1]]),
        (&[2, 3, 5, 4], &[[1, 0], [0, 2], [0, 0], [0, 0]]),
        (&[2, 3, 2, 3, 2], &[[0, 1], [0, 0], [1, -1], [0, 0], [2, 0]]),
        (&[2, 1, 3, 1, 2, 1, 2, 3], &[[1, 0], [0, 1], [-1, 0], [1, 0], [0, 1], [1, 0], [0, -1], [1, 1]]),
        (&[3, 5], &[[-3, 2], [0, 0]]),
    ];
    for (shape, padding) in cases {
        let x = random(1, shape);
        let graph = graph(&[&x], |graph, x| graph.pad(x[0], padding, 0.25));
        let expected = pad(&x, padding, PaddingMode::Zeros, 0.25);
        t.check(&format!("{padding:?} about {shape:?}"), &graph, &[&x], &expected, Tolerance::Exact);
    }
}

fn between_operations(t: &Suite) {
    let x = random(1, [2, 6, 5, 4]);
    let graph = graph_between_images(&[&x], |graph, x| graph.pad(x[0], [[1, 1], [2, -1]], 1.0));
    let expected = pad(&x, &[[1, 1], [2, -1]], PaddingMode::Zeros, 1.0);
    t.check("between images", &graph, &[&x], &expected, Tolerance::Exact);
}

fn not_finite(t: &Suite) {
    let x = random(1, [1, 5, 3, 4]);
    for mode in MODES {
        let graph = graph(&[&x], |graph, x| graph.pad2d(x[0], [1, 1, 2, -1], mode));
        let reference = |x: &[&Tensor]| pad(x[0], &[[1, 1], [2, -1]], mode, 0.0);
        t.check_not_finite(&format!("{mode:?}"), &graph, &[&x], reference, Tolerance::Exact);
    }
    let graph = graph(&[&x], |graph, x| graph.pad(x[0], [[1, 0], [0, 2]], f32::NEG_INFINITY));
    let reference = |x: &[&Tensor]| pad(x[0], &[[1, 0], [0, 2]], PaddingMode::Zeros, f64::NEG_INFINITY);
    t.check_not_finite("minus infinity", &graph, &[&x], reference, Tolerance::Exact);
}
