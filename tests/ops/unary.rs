use crate::harness::refused;
use shadernet::ops::Unary;
use shadernet::{DType, Graph};

#[test]
fn what_it_refuses() {
    assert!(refused(&[], Unary::Exp).contains("inputs"));
    assert!(refused(&[&[1], &[1]], Unary::Exp).contains("inputs"));
    let mut graph = Graph::new();
    let x = graph.typed_input("x", DType::I32, [3]);
    let error = graph.unary(x, Unary::Exp).expect_err("of f32s only").to_string();
    assert!(error.contains("exp") && error.contains("the elements of input 0: wanted f32, got i32"), "{error}");
}
