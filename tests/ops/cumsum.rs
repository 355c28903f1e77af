use crate::harness::refused;
use shadernet::ops::CumSum;

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3]], CumSum::new(2)).contains("axis: wanted a dimension of [2, 3], got 2"));
    assert!(refused(&[], CumSum::new(0)).contains("inputs"));
}
