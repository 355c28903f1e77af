use crate::harness::refused;
use shadernet::ops::Slice;
use shadernet::{BATCH, Graph, Result, Value};

#[test]
fn what_it_refuses() {
    let along = |axis, start, end, step| refused(&[&[3, 5]], Slice::new().along(axis, start, end, step));
    assert!(along(2, 0, 1, 1).contains("axis: wanted a dimension of [3, 5], got 2"));
    assert!(along(1, 0, 1, 0).contains("step: wanted other than 0"));
    // No element would be left.
    for (start, end, step) in [(2, 2, 1), (3, 2, 1), (5, 9, 1), (-1, -9, 1), (1, 3, -1), (0, -1, -1)] {
        assert!(
            along(1, start, end, step).contains("start, end: wanted an element of dimension 1 of [3, 5]"),
            "{start} {end}"
        );
    }
    let twice = Slice::new().along(1, 0, 5, 1).along(1, 0, 2, 1);
    assert!(refused(&[&[3, 5]], twice).contains("each dimension once"));
    assert!(refused(&[&[3, 5], &[3]], Slice::new()).contains("inputs"));
    assert!(refused(&[&[1; 9]], Slice::new()).contains("9 dimensions"));
}

#[test]
fn parts_that_are_none() {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 5]);
    for sizes in [&[2, 2][..], &[], &[5, 0], &[6], &[usize::MAX, 6]] {
        let error = graph.split(x, sizes, 1).expect_err("wrong sizes").to_string();
        assert!(error.starts_with("split \"split_0\": sizes: wanted sizes of 1 or more that add up to 5"), "{error}");
    }
    let mut refused = |parts: fn(&mut Graph, Value) -> Result<Vec<Value>>| {
        parts(&mut graph, x).expect_err("it should be refused").to_string()
    };
    assert!(refused(|graph, x| graph.split(x, &[1, 2], 2)).contains("axis: wanted a dimension of [1, 5], got 2"));
    assert!(refused(|graph, x| graph.split(x, &[1], 0)).contains("doesn't depend on the batch, got 0"));
    assert!(refused(|graph, x| graph.chunk(x, 0, 1)).contains("chunks: wanted 1 or more"));
    let empty = |graph: &mut Graph, _: Value| {
        let x = graph.input("empty", [BATCH, 0]);
        graph.chunk(x, 2, 1)
    };
    assert!(refused(empty).contains("axis: wanted a dimension with elements, got 1 of [1, 0]"));
    assert!(refused(|graph, x| graph.chunk(x, 2, 2)).contains("axis: wanted a dimension of [1, 5]"));
}
