use crate::harness::refused;
use shadernet::ops::{Binary, BinaryKind};
use shadernet::{DType, Graph};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3], &[2, 4]], Binary::new(BinaryKind::Add)).contains("broadcasts"));
    assert!(refused(&[&[2, 3]], Binary::new(BinaryKind::Add)).contains("inputs"));
    assert!(refused(&[&[1; 9], &[1; 9]], Binary::new(BinaryKind::Add)).contains("9 dimensions"));
}

#[test]
fn elements_of_two_types() {
    let mut graph = Graph::new();
    let (x, i) = (graph.input("x", [3]), graph.typed_input("i", DType::I32, [3]));
    let truth = graph.typed_input("truth", DType::Bool, [3]);
    let both = graph.add(i, i).expect("of one type");
    assert_eq!(graph.dtype(both).expect("its own value"), DType::I32);
    let mixed = graph.add(x, i).expect_err("of two").to_string();
    assert!(mixed.contains("the elements of input 1: wanted f32, got i32"), "{mixed}");
    let truths = graph.add(truth, truth).expect_err("not numbers").to_string();
    assert!(truths.contains("the elements of input 0: wanted f32 or i32, got bool"), "{truths}");
    let power = graph.pow(i, i).expect("of one type");
    assert_eq!(graph.dtype(power).expect("its own value"), DType::I32);
    let bits = graph.binary(x, BinaryKind::BitAnd, x).expect_err("of i32s only").to_string();
    assert!(bits.contains("bitwise_and") && bits.contains("the elements of input 0: wanted i32, got f32"), "{bits}");
    assert!(graph.relu(both).is_err(), "an activation is of f32s");
}
