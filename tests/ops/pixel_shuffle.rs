use crate::harness::refused;
use shadernet::ops::{PixelShuffle, PixelUnshuffle};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[1, 6, 2, 2]], PixelShuffle::new(2)).contains("a multiple of 4 channels"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelShuffle::new(0)).contains("channels"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelShuffle::new(usize::MAX)).contains("channels"));
    assert!(refused(&[&[4, 2, 2]], PixelShuffle::new(2)).contains("4 dimensions"));
    assert!(refused(&[&[1, 4, 3, 2]], PixelUnshuffle::new(2)).contains("multiples of 2"));
    assert!(refused(&[&[1, 4, 2, 3]], PixelUnshuffle::new(2)).contains("multiples of 2"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelUnshuffle::new(0)).contains("not of 0"));
    assert!(refused(&[&[4, 2, 2]], PixelUnshuffle::new(2)).contains("4 dimensions"));
}
