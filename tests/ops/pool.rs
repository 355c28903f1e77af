use crate::harness::refused;
use shadernet::ops::{Pool2d, PoolKind};

#[test]
fn what_it_refuses() {
    let pool = |size| Pool2d::new(PoolKind::Max, size);
    let image: &[usize] = &[1, 3, 4, 4];
    assert!(refused(&[&[3, 4, 4]], pool(2)).contains("4 dimensions"));
    assert!(refused(&[image], pool(5)).contains("at least 5 pixels"));
    assert!(refused(&[image], pool(3).padding(2)).contains("at most half of 3"));
    assert!(refused(&[image], pool(0)).contains("kernel_size"));
    assert!(refused(&[image], pool(2).stride(0)).contains("stride"));
    assert!(refused(&[image], Pool2d::adaptive(PoolKind::Average, [0, 1])).contains("output_size"));
}
