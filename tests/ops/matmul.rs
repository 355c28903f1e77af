use crate::harness::refused;
use shadernet::ops::MatMul;

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[3, 4], &[5, 6]], MatMul::new()).contains("[.., 4, N]"));
    assert!(refused(&[&[2, 3, 4], &[3, 4, 6]], MatMul::new()).contains("broadcast"));
    assert!(refused(&[&[4], &[4, 6]], MatMul::new()).contains("2 to 6 dimensions"));
    assert!(refused(&[&[3, 4]], MatMul::new()).contains("inputs"));
}
