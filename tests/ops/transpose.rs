use crate::harness::refused;
use shadernet::ops::Transpose;

#[test]
fn what_it_refuses() {
    for order in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
        assert!(refused(&[&[2, 3]], Transpose::new(order)).contains("a permutation of the 2 dimensions"), "{order:?}");
    }
    assert!(refused(&[&[1; 9]], Transpose::new([8, 0, 1, 2, 3, 4, 5, 6, 7])).contains("9 dimensions"));
}
