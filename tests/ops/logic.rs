use crate::harness::refused;
use shadernet::ops::{Compare, Logical, Where};
use shadernet::{DType, Graph};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3], &[2, 4]], Compare::Lt).contains("broadcasts"));
    assert!(refused(&[&[2, 3]], Compare::Lt).contains("inputs"));
    assert!(refused(&[&[1; 9], &[1; 9]], Compare::Lt).contains("9 dimensions"));
    assert!(refused(&[&[2], &[2]], Logical::And).contains("the elements of input 0: wanted bool, got f32"));
    assert!(refused(&[&[2]], Logical::And).contains("inputs"));
    assert!(refused(&[&[2], &[2]], Logical::Not).contains("inputs"));
    assert!(refused(&[&[1; 9]], Logical::Not).contains("9 dimensions"));
    assert!(refused(&[&[2], &[2], &[2]], Where).contains("the elements of input 0: wanted bool, got f32"));
    assert!(refused(&[&[2, 3], &[4], &[1]], Where).contains("condition: wanted a shape that broadcasts with [4]"));
    assert!(refused(&[&[2, 3], &[4], &[3]], Where).contains("b: wanted a shape that broadcasts"));
    assert!(refused(&[&[1; 9], &[1], &[1]], Where).contains("9 dimensions"));
    assert!(refused(&[&[1], &[1]], Where).contains("inputs"));
}

#[test]
fn elements_of_two_types() {
    let mut graph = Graph::new();
    let (x, i) = (graph.input("x", [3]), graph.typed_input("i", DType::I32, [3]));
    let truth = graph.compare(x, Compare::Lt, x).expect("of one type");
    assert_eq!(graph.dtype(truth).expect("its own value"), DType::Bool);
    let mixed = graph.compare(x, Compare::Lt, i).expect_err("of two").to_string();
    assert!(mixed.contains("lt") && mixed.contains("the elements of input 1: wanted f32, got i32"), "{mixed}");
    let mixed = graph.where_(truth, x, i).expect_err("of two").to_string();
    assert!(mixed.contains("where") && mixed.contains("the elements of input 2: wanted f32, got i32"), "{mixed}");
}
