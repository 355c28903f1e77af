use crate::ops::PaddingMode;
use crate::selftest::Suite;
use crate::selftest::Tolerance;
use crate::selftest::cases::{graph, random};
use crate::selftest::reference;

/// The cases.
pub fn cases(t: &Suite) {
    as_much_as_a_mode_can(t);
}

fn as_much_as_a_mode_can(t: &Suite) {
    // Once around; for zeros and the edge pixel any number.
    let cases = [
        (PaddingMode::Circular, [3, 3, 4, 4]),
        (PaddingMode::Replicate, [7, 0, 0, 9]),
        (PaddingMode::Zeros, [7, 0, 0, 9]),
        (PaddingMode::Reflect, [2, 2, 3, 3]),
    ];
    for (mode, padding) in cases {
        let x = random(1, [1, 5, 3, 4]);
        let graph = graph(&[&x], |graph, x| graph.pad2d(x[0], padding, mode));
        t.check(&format!("{mode:?}"), &graph, &[&x], &reference::pad2d(&x, padding, mode), Tolerance::Exact);
    }
}
