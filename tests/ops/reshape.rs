use crate::harness::refused;
use shadernet::ops::{Flatten, Reshape, Squeeze, Unsqueeze};

#[test]
fn what_it_refuses() {
    for sizes in [&[5][..], &[-1, 4], &[-1, -1], &[-2, 3], &[2, 3, 0], &[4, 2]] {
        assert!(refused(&[&[2, 3]], Reshape::new(sizes)).contains("as many elements as [2, 3]"), "{sizes:?}");
    }
    assert!(refused(&[&[]], Flatten).contains("at least one dimension"));
    assert!(refused(&[], Flatten).contains("inputs"));
    for axis in [0, 2] {
        assert!(refused(&[&[2, 1]], Squeeze::new(axis)).contains("axis: wanted a dimension of size 1 of [2, 1]"));
    }
    assert!(refused(&[&[2, 3]], Unsqueeze::new(3)).contains("axis: wanted a place before, in or after [2, 3], got 3"));
}
