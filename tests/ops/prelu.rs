use crate::harness::refused;
use shadernet::ops::PRelu;
use shadernet::selftest::cases::{constant, random};
use shadernet::{Constant, DType, Io, Op};

#[test]
fn counts_its_parameters() {
    let shape = [2, 3, 5].into();
    let io = Io { inputs: std::slice::from_ref(&shape), outputs: std::slice::from_ref(&shape), dtypes: &[DType::F32] };
    let parameters = |weights: usize| PRelu::new(constant(&random(1, [weights]))).metrics(&io).cost.parameters;
    assert_eq!([parameters(1), parameters(3)], [1, 3]);
}

#[test]
fn what_it_refuses() {
    let op = |shape: &[usize]| PRelu::new(Constant::new("w", shape, vec![0.25; shape.iter().product()]).unwrap());
    assert!(refused(&[&[2, 5, 3]], op(&[3])).contains("weight: wanted [1] or [5], got [3]"));
    assert!(refused(&[&[3]], op(&[3])).contains("weight: wanted [1], got [3]"));
    assert!(refused(&[&[2, 5]], op(&[5, 1])).contains("weight: wanted [1] or [5], got [5, 1]"));
    assert!(refused(&[&[2, 5]], op(&[])).contains("weight"));
    assert!(refused(&[], op(&[1])).contains("inputs"));
}
