use crate::harness::{check, refused};
use shadernet::ops::{Pad2d, PaddingMode};
use shadernet::selftest::Tolerance;
use shadernet::selftest::cases::{graph, random};
use shadernet::selftest::reference;

const MODES: [PaddingMode; 4] =
    [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Circular];

#[test]
fn every_mode() {
    for mode in MODES {
        let cases = [
            ([1, 1, 2, 2], [1, 1, 1, 1]),
            ([2, 5, 6, 7], [1, 2, 3, 4]),
            ([2, 4, 5, 3], [4, 0, 0, 2]),
            ([1, 9, 4, 13], [0, 3, 12, 0]),
            ([1, 3, 4, 4], [0; 4]),
        ];
        for (shape, padding) in cases {
            let x = random(1, shape);
            let graph = graph(&[&x], |graph, x| graph.pad2d(x[0], padding, mode));
            let case = format!("{mode:?} {padding:?} about {shape:?}");
            check(&case, &graph, &[&x], &reference::pad2d(&x, padding, mode), Tolerance::Exact);
        }
    }
}

#[test]
fn what_it_refuses() {
    let pad = |mode| Pad2d::new([3, 0, 0, 0], mode);
    assert!(refused(&[&[1, 1, 3, 5]], pad(PaddingMode::Reflect)).contains("less than the image's size, 3"));
    assert!(refused(&[&[1, 1, 2, 5]], pad(PaddingMode::Circular)).contains("at most the image's size, 2"));
    assert!(refused(&[&[1, 3, 5]], pad(PaddingMode::Zeros)).contains("4 dimensions"));
}
