use crate::harness::refused;
use shadernet::ops::GridSample;

#[test]
fn what_it_refuses() {
    let sample = GridSample::new;
    assert!(refused(&[&[2, 3, 4], &[2, 1, 1, 2]], sample()).contains("4 dimensions"));
    assert!(refused(&[&[2, 3, 4, 4], &[1, 1, 1, 2]], sample()).contains("grid: wanted [2, H, W, 2], got [1, 1, 1, 2]"));
    assert!(refused(&[&[2, 3, 4, 4], &[2, 1, 1, 3]], sample()).contains("grid"));
    assert!(refused(&[&[2, 3, 4, 4], &[2, 1, 2]], sample()).contains("grid"));
    assert!(refused(&[&[2, 3, 4, 4], &[2, 1 << 20, 1 << 20, 2]], sample()).contains("less than 2^31 elements"));
    assert!(refused(&[&[2, 3, 4, 4]], sample()).contains("inputs"));
}
