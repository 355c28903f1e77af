use crate::harness::refused;
use shadernet::ops::{Resize, ResizeMode};
use shadernet::selftest::ops::resize::{MODES, picks};

#[test]
fn what_it_refuses() {
    let shape: &[usize] = &[1, 2, 4, 4];
    let size = |size: &[usize]| refused(&[shape], Resize::new(ResizeMode::Linear, size));
    assert!(size(&[3]).contains("size: wanted 2 numbers, 1 pixel or more each, got [3]"));
    assert!(size(&[3, 0]).contains("size"));
    assert!(size(&[1 << 40, 1 << 40]).contains("size: wanted an output of fewer than 2^31 elements"));
    let by = |factors: &[f64]| refused(&[shape], Resize::by(ResizeMode::Linear, factors));
    assert!(by(&[2.0]).contains("scale_factor: wanted 2 numbers"));
    for factor in [0.0, -2.0, 0.2, f64::NAN] {
        assert!(by(&[2.0, factor]).contains("scale_factor"), "{factor}");
    }
    assert!(by(&[2.0, f64::INFINITY]).contains("fewer than 2^31 elements"));
    for mode in MODES.into_iter().filter(|&mode| picks(mode)) {
        assert!(refused(&[shape], Resize::new(mode, [2, 2]).align_corners(true)).contains("align_corners"));
    }
    assert!(refused(&[&[2, 3]], Resize::new(ResizeMode::Nearest, [])).contains("input: wanted 3 or 4 dimensions"));
    assert!(refused(&[], Resize::new(ResizeMode::Nearest, [2, 2])).contains("inputs"));
}
