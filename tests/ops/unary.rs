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
    let x32 = graph.input("x32", [3]);
    let bits = graph.unary(x32, Unary::BitNot).expect_err("of i32s only").to_string();
    assert!(bits.contains("bitwise_not") && bits.contains("the elements of input 0: wanted i32, got f32"), "{bits}");
    let truth = graph.typed_input("truth", DType::Bool, [3]);
    let truth = graph.unary(truth, Unary::Abs).expect_err("of numbers only").to_string();
    assert!(truth.contains("wanted f32 or i32, got bool"), "{truth}");
    assert!(error.contains("exp") && error.contains("the elements of input 0: wanted f32, got i32"), "{error}");
}
