use crate::harness::refused;
use shadernet::ops::Slice;

#[test]
fn what_it_refuses() {
    let along = |axis, start, end, step| refused(&[&[3, 5]], Slice::new().along(axis, start, end, step));
    assert!(along(2, 0, 1, 1).contains("axis: wanted a dimension of [3, 5], got 2"));
    assert!(along(1, 0, 1, 0).contains("step: wanted other than 0"));
    // No element would be left.
    for (start, end, step) in [(2, 2, 1), (3, 2, 1), (5, 9, 1), (-1, -9, 1), (1, 3, -1), (0, -1, -1)] {
        assert!(
            along(1, start, end, step).contains("start, end: wanted an element of dimension 1 of [3, 5]"),
            "{start} {end}"
        );
    }
    let twice = Slice::new().along(1, 0, 5, 1).along(1, 0, 2, 1);
    assert!(refused(&[&[3, 5]], twice).contains("each dimension once"));
    assert!(refused(&[&[3, 5], &[3]], Slice::new()).contains("inputs"));
    assert!(refused(&[&[1; 9]], Slice::new()).contains("9 dimensions"));
}
