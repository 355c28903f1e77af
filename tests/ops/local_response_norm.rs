use crate::harness::refused;
use shadernet::ops::LocalResponseNorm;

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[1, 4, 2, 2]], LocalResponseNorm::new(0)).contains("1 or more"));
    assert!(refused(&[&[4, 2, 2]], LocalResponseNorm::new(5)).contains("4 dimensions"));
}
