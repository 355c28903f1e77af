use crate::harness::refused;
use shadernet::ops::PixelShuffle;

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[1, 6, 2, 2]], PixelShuffle::new(2)).contains("a multiple of 4 channels"));
    assert!(refused(&[&[1, 4, 2, 2]], PixelShuffle::new(0)).contains("channels"));
    assert!(refused(&[&[4, 2, 2]], PixelShuffle::new(2)).contains("4 dimensions"));
}
