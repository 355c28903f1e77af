use crate::harness::{refused, tiers};
use shadernet::ops::Gather;
use shadernet::{Constant, DType, Data, Graph, Model};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[3, 5], &[3, 5]], Gather::new(2)).contains("axis: wanted a dimension of [3, 5], got 2"));
    for index in [&[4, 5][..], &[3], &[3, 5, 1]] {
        let error = refused(&[&[3, 5], index], Gather::new(1));
        assert!(error.contains("index: wanted at most [3, 5], but for dimension 1"), "{error}");
    }
    assert!(refused(&[&[3, 5], &[3, 9]], Gather::new(1)).contains("the elements of input 1: wanted i32, got f32"));
    assert!(refused(&[&[3, 5]], Gather::new(1)).contains("inputs"));
    assert!(refused(&[&[1; 9], &[1; 9]], Gather::new(1)).contains("9 dimensions"));
}

#[test]
fn a_session_refuses_what_is_not_there() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 5]);
    let index = graph.typed_input("index", DType::I32, [2, 1]);
    let y = graph.gather(x, 1, index).expect("they fit");
    graph.output("y", y);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let at = |index: i32| session.run_blocking(&[Data::F32(vec![0.0; 10]), Data::I32(vec![0, index])]);
    assert!(at(4).is_ok());
    for index in [5, -1] {
        let error = at(index).expect_err("it isn't there").to_string();
        assert!(error.contains("input \"index\": wanted 0 to 4 for gather"), "{error}");
    }
}

/// The device doesn't check indices: an index out of range is clamped.
#[test]
fn unchecked_indices_are_brought_into_range() {
    let mut graph = Graph::new();
    let x = graph.input("x", [3, 2]);
    let index = [i32::MIN, -1, 1, 3, i32::MAX, 2].to_vec();
    let index = graph.constant(Constant::new("index", [3, 2], index).unwrap());
    let y = graph.gather(x, 0, index).expect("they fit");
    graph.output("y", y);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let x = vec![0.0f32, 1.0, 10.0, 11.0, 20.0, 21.0];
    assert_eq!(session.run_blocking(&[x]).expect("it runs")[0], [0.0f32, 1.0, 10.0, 21.0, 20.0, 21.0]);
}
