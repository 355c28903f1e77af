use crate::harness::{refused, tiers};
use shadernet::ops::Append;
use shadernet::selftest::cases::{constant, random};
use shadernet::{DType, Data, Graph, Model};

/// A session checks its inputs before it uploads them.
#[test]
fn a_cache_that_overflows() {
    let mut graph = Graph::new();
    let rows = graph.input("rows", [1, 2, 3]);
    let position = graph.typed_input("position", DType::I32, [1]);
    let state = graph.state("layer 0 keys", [1, 8, 3]);
    let all = graph.append(state, rows, position).expect("they fit");
    graph.output("all", all);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let at = |position: i32| session.run_blocking(&[Data::F32(vec![0.0; 6]), Data::I32(vec![position])]);
    assert!(at(0).is_ok() && at(6).is_ok());
    for position in [7, 8, -1, i32::MAX] {
        let error = at(position).expect_err("there is no room").to_string();
        let wanted = format!("input \"position\": wanted 0 to 6 for append \"layer 0 keys\", got {position}");
        assert_eq!(error, wanted);
    }
}

/// The device doesn't check positions: rows without room are dropped, and no other row changes.
#[test]
fn unchecked_rows_are_dropped() {
    for (position, kept) in [(7, 1), (8, 0), (-1, 0), (i32::MAX, 0)] {
        let mut graph = Graph::new();
        let rows = graph.input("rows", [1, 2, 3]);
        let position = graph.constant(shadernet::Constant::new("position", [1], vec![position]).unwrap());
        let state = graph.state("cache", [1, 8, 3]);
        let all = graph.append(state, rows, position).expect("they fit");
        graph.output("all", all);
        let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
        let outputs = session.run_blocking(&[[1.0f32; 6]]).expect("it runs");
        let mut expected = vec![0.0; 24];
        expected[24 - 3 * kept..].fill(1.0);
        assert_eq!(outputs[0], expected);
    }
}

#[test]
fn what_it_refuses() {
    let i32s = |graph: &mut Graph, n: usize| graph.typed_input("position", DType::I32, [n]);
    let refusal = |rows: &[usize], positions: usize| {
        let mut graph = Graph::new();
        let rows = graph.input("rows", rows.to_vec());
        let position = i32s(&mut graph, positions);
        let state = graph.state("keys", [2, 8, 3]);
        graph.append(state, rows, position).expect_err("it should be refused").to_string()
    };
    assert!(
        refusal(&[2, 9, 3], 1).contains("append \"keys\": rows: wanted at most 8 rows, the cache's capacity, got 9")
    );
    assert!(refusal(&[2, 1, 4], 1).contains("rows: wanted [2, L, 3]"));
    assert!(refusal(&[1, 1, 3], 1).contains("rows: wanted [2, L, 3]"));
    assert!(refusal(&[2, 1], 1).contains("rows"));
    assert!(refusal(&[2, 1, 3], 3).contains("position: wanted [1] or [2], got [3]"));
    // Positions are integers, and the operation takes three inputs.
    assert!(refused(&[&[2, 8, 3], &[2, 1, 3], &[1]], Append).contains("the elements of input 2: wanted i32, got f32"));
    assert!(refused(&[&[2, 8, 3]], Append).contains("inputs"));
    // A state belongs to its graph.
    let mut graph = Graph::new();
    let mut other = Graph::new();
    let state = other.state("keys", [2, 8, 3]);
    let rows = graph.constant(constant(&random(0, [2, 1, 3])));
    let position = i32s(&mut graph, 1);
    assert!(graph.append(state, rows, position).is_err());
}
