use crate::harness::refused;
use shadernet::ops::{Binary, BinaryKind};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3], &[2, 4]], Binary::new(BinaryKind::Add)).contains("broadcasts"));
    assert!(refused(&[&[2, 3]], Binary::new(BinaryKind::Add)).contains("inputs"));
    assert!(refused(&[&[1; 9], &[1; 9]], Binary::new(BinaryKind::Add)).contains("9 dimensions"));
}
