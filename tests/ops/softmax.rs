use crate::harness::refused;
use shadernet::ops::{LogSoftmax, Softmax};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3]], Softmax::new(2)).contains("a dimension of [2, 3]"));
    assert!(refused(&[], Softmax::new(0)).contains("inputs"));
    assert!(refused(&[&[2, 3]], LogSoftmax::new(2)).contains("a dimension of [2, 3]"));
    assert!(refused(&[], LogSoftmax::new(0)).contains("inputs"));
}
