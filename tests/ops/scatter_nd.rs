use crate::harness::{refused, tiers};
use shadernet::ops::{ScatterKind, ScatterNd};
use shadernet::{Constant, Data, Graph, Model};

#[test]
fn what_it_refuses() {
    let scatter = || ScatterNd::new(ScatterKind::Replace);
    for index in [&[4, 3][..], &[]] {
        let error = refused(&[&[3, 5], index, &[4]], scatter());
        assert!(error.contains("index: wanted tuples of 1 to 2 indices, in its last dimension"), "{error}");
    }
    let error = refused(&[&[3, 5], &[4, 1], &[4]], scatter());
    assert!(error.contains("updates: wanted [4, 5], got [4]"), "{error}");
    assert!(refused(&[&[3, 5], &[4, 1], &[4, 5]], scatter()).contains("the elements of input 1: wanted i32, got f32"));
    assert!(refused(&[&[3, 5]], scatter()).contains("inputs"));
    assert!(refused(&[&[1; 9], &[2, 9], &[2]], scatter()).contains("9 dimensions"));
}

/// The device doesn't check indices: an update out of range is dropped.
#[test]
fn unchecked_updates_are_lost() {
    let mut graph = Graph::new();
    let (x, updates) = (graph.input("x", [2, 3]), graph.input("updates", [4]));
    let index = vec![0, 3, 2, 0, 1, -1, i32::MIN, i32::MAX];
    let index = graph.constant(Constant::new("index", [4, 2], index).unwrap());
    let y = graph.scatter_nd(x, index, updates, ScatterKind::Add).expect("they fit");
    graph.output("y", y);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let inputs = [Data::F32(vec![0.0; 6]), Data::F32(vec![1.0, 2.0, 3.0, 4.0])];
    assert_eq!(session.run_blocking(&inputs).expect("it runs")[0], [0.0f32, 0.0, 0.0, 0.0, 0.0, 3.0]);
}
