use crate::harness::refused;
use shadernet::ops::{FloatFormat, ReducePrecision};
use shadernet::{DType, Graph};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[1], &[1]], ReducePrecision::new(FloatFormat::F16)).contains("inputs"));
    let mut graph = Graph::new();
    let x = graph.typed_input("x", DType::I32, [3]);
    let error =
        graph.reduce_precision(x, ReducePrecision::new(FloatFormat::Bf16)).expect_err("of f32s only").to_string();
    assert!(
        error.contains("reduce_precision") && error.contains("the elements of input 0: wanted f32, got i32"),
        "{error}"
    );
}
