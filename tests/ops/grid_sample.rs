use crate::harness::refused;
use shadernet::ops::{GridSample, GridSampleMode};

#[test]
fn what_it_refuses() {
    let sample = GridSample::new;
    assert!(refused(&[&[2, 3, 4], &[2, 1, 1, 2]], sample()).contains("4 or 5 dimensions"));
    assert!(refused(&[&[2, 3, 4, 4], &[1, 1, 1, 2]], sample()).contains("grid: wanted [2, H, W, 2], got [1, 1, 1, 2]"));
    assert!(refused(&[&[2, 3, 4, 4], &[2, 1, 1, 3]], sample()).contains("grid"));
    assert!(refused(&[&[2, 3, 4, 4], &[2, 1, 2]], sample()).contains("grid"));
    assert!(refused(&[&[2, 3, 4, 4], &[2, 1 << 18, 1 << 18, 2]], sample()).contains("fewer than 2^31 elements"));
    let volume: &[usize] = &[2, 3, 4, 4, 4];
    assert!(refused(&[volume, &[2, 1, 1, 2]], sample()).contains("grid: wanted [2, D, H, W, 3], got [2, 1, 1, 2]"));
    assert!(refused(&[volume, &[2, 1, 1, 1, 2]], sample()).contains("grid"));
    let cubic = sample().mode(GridSampleMode::Bicubic);
    assert!(refused(&[volume, &[2, 1, 1, 1, 3]], cubic).contains("mode: wanted bilinear or nearest for volumes"));
    assert!(refused(&[&[2, 3, 4, 4]], sample()).contains("inputs"));
}
