use crate::harness::{refused, tiers};
use shadernet::ops::IndexSelect;
use shadernet::{Constant, DType, Data, Graph, Model};

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[3, 5], &[2]], IndexSelect::new(2)).contains("axis: wanted a dimension of [3, 5], got 2"));
    assert!(refused(&[&[3, 5], &[2]], IndexSelect::new(1)).contains("the elements of input 1: wanted i32, got f32"));
    assert!(refused(&[&[3, 5]], IndexSelect::new(1)).contains("inputs"));
}

#[test]
fn a_session_refuses_what_is_not_there() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 5]);
    let index = graph.typed_input("index", DType::I32, [1]);
    let y = graph.index_select(x, 1, index).expect("they fit");
    graph.output("y", y);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let at = |index: i32| session.run_blocking(&[Data::F32(vec![0.0; 10]), Data::I32(vec![index])]);
    assert!(at(0).is_ok() && at(4).is_ok());
    for index in [5, -1, i32::MIN, i32::MAX] {
        let error = at(index).expect_err("it isn't there").to_string();
        assert!(error.contains("input \"index\": wanted 0 to 4 for index_select"), "{error}");
    }
}

/// The device doesn't check indices: an index out of range is clamped.
#[test]
fn unchecked_indices_are_brought_into_range() {
    for width in [1, 4] {
        let mut graph = Graph::new();
        let x = graph.input("x", [3, width]);
        let index = graph.constant(Constant::new("index", [5], vec![i32::MIN, -1, 1, 3, i32::MAX]).unwrap());
        let y = graph.index_select(x, 0, index).expect("they fit");
        graph.output("y", y);
        let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
        let x: Vec<f32> = (0..3 * width).map(|i| (i / width) as f32).collect();
        let y: Vec<f32> = [0.0, 0.0, 1.0, 2.0, 2.0].iter().flat_map(|&row| vec![row; width]).collect();
        assert_eq!(session.run_blocking(&[x]).expect("it runs")[0], y);
    }
}
