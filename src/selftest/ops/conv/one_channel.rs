//! Lines of one channel: their kernels read texels of four samples, and compute several neighbours as one pixel.

use super::Case;
use crate::ops::Activation;
use crate::selftest::cases::{graph, random};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};

type Line = Case<1, 3>;

const PLAIN: Line = Case::PLAIN;

/// The last is too long to be checked with each of its samples not finite.
const CASES: [Line; 11] = [
    Case { name: "frames, padding 3", x: [2, 1, 203], out: 33, kernel: [30], stride: [12], padding: [[3, 9]], ..PLAIN },
    Case { name: "frames, odd stride", x: [2, 1, 120], out: 6, kernel: [17], stride: [5], padding: [[8; 2]], ..PLAIN },
    Case {
        name: "frames, even stride, texels",
        x: [1, 1, 90],
        out: 40,
        kernel: [12],
        stride: [6],
        padding: [[2, 0]],
        ..PLAIN
    },
    Case { name: "one frame, all of the line", x: [3, 1, 21], out: 5, kernel: [21], stride: [4], ..PLAIN },
    Case { name: "two taps", x: [2, 1, 14], out: 12, kernel: [2], stride: [4], padding: [[1; 2]], ..PLAIN },
    Case { name: "filter", x: [2, 1, 150], kernel: [31], padding: [[15; 2]], ..PLAIN },
    Case { name: "filter, whole texels", x: [2, 1, 128], kernel: [8], padding: [[4, 3]], ..PLAIN },
    Case {
        name: "filter, stride 2, a single line",
        x: [1, 1, 355],
        kernel: [64],
        stride: [2],
        padding: [[1, 2]],
        ..PLAIN
    },
    Case { name: "filter, stride 3", x: [3, 1, 77], kernel: [9], stride: [3], padding: [[0, 8]], ..PLAIN },
    Case { name: "filter, fewer outputs than phases", x: [2, 1, 12], kernel: [10], padding: [[0, 1]], ..PLAIN },
    Case { name: "filter beyond a texture's width", x: [1, 1, 70_001], kernel: [5], padding: [[4, 0]], ..PLAIN },
];

/// Runs the cases.
pub(super) fn cases(t: &Suite) {
    CASES.iter().for_each(|case| case.check(t));
    Case { name: "dilated", x: [1, 1, 60], kernel: [9], dilation: [2], padding: [[8; 2]], ..PLAIN }.check(t);
    let same = Case { x: [2, 1, 38], kernel: [7], padding: [[3; 2]], ..PLAIN };
    for case in [
        Case { name: "one channel to ten", out: 10, ..same },
        Case { name: "one channel", ..same },
        Case { name: "one channel, one line", x: [1, 1, 43], ..same },
    ] {
        case.check_fused(t);
    }
    // One filter after the other: the second also reads what the first pads its last texel with.
    let [first, second] = [CASES[5], Case { x: [2, 1, 150], kernel: [7], padding: [[3; 2]], ..PLAIN }];
    let x = random(1, first.x);
    let chain = graph(&[&x], |graph, x| {
        let y = first.push(graph, x[0], true)?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        second.push(graph, y, true)
    });
    let reference = |x: &[&Tensor]| second.reference(&reference::sigmoid(&first.reference(x[0], true)), true);
    t.check("filters", &chain, &[&x], &reference(&[&x]), Tolerance::Transcendental);
    t.check_not_finite("filters", &chain, &[&x], reference, Tolerance::Transcendental);
    for case in &CASES[..10] {
        case.check_not_finite(t);
        case.check_not_finite_added(t);
    }
}
