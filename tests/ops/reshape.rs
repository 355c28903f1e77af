use crate::harness::refused;
use shadernet::ops::{Flatten, Reshape};

#[test]
fn what_it_refuses() {
    for sizes in [&[5][..], &[-1, 4], &[-1, -1], &[-2, 3], &[2, 3, 0], &[4, 2]] {
        assert!(refused(&[&[2, 3]], Reshape::new(sizes)).contains("as many elements as [2, 3]"), "{sizes:?}");
    }
    assert!(refused(&[&[]], Flatten).contains("at least one dimension"));
    assert!(refused(&[], Flatten).contains("inputs"));
}
