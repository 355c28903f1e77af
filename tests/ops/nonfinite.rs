use crate::harness::refused;
use shadernet::ops::{IsInf, IsNan};
use shadernet::{DType, Graph};

#[test]
fn what_it_refuses() {
    assert!(refused(&[], IsNan).contains("inputs"));
    let mut graph = Graph::new();
    let x = graph.typed_input("x", DType::I32, [3]);
    let error = graph.is_inf(x, IsInf::default()).expect_err("of f32s only").to_string();
    assert!(error.contains("isinf") && error.contains("the elements of input 0: wanted f32, got i32"), "{error}");
}
