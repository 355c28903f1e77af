use crate::harness::{refused, tiers};
use shadernet::ops::GatherNd;
use shadernet::{Constant, Graph, Model};

#[test]
fn what_it_refuses() {
    for index in [&[4, 3][..], &[]] {
        let error = refused(&[&[3, 5], index], GatherNd::new(0));
        assert!(error.contains("index: wanted tuples") || error.contains("batch_dims"), "{error}");
    }
    for (index, batch_dims) in [(&[4, 1][..], 1), (&[3, 5, 1], 2), (&[3], 1)] {
        let error = refused(&[&[3, 5], index], GatherNd::new(batch_dims));
        assert!(error.contains("batch_dims: wanted dimensions that x [3, 5] and the indices"), "{error}");
    }
    assert!(refused(&[&[3, 5], &[4, 1]], GatherNd::new(0)).contains("the elements of input 1: wanted i32, got f32"));
    assert!(refused(&[&[3, 5]], GatherNd::new(0)).contains("inputs"));
    assert!(refused(&[&[1; 9], &[2, 9]], GatherNd::new(0)).contains("9 dimensions"));
}

/// The device doesn't check indices: an index out of range is clamped.
#[test]
fn unchecked_indices_are_brought_into_range() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3]);
    let index = vec![0, 3, 2, 0, 1, -4, i32::MIN, i32::MAX];
    let index = graph.constant(Constant::new("index", [4, 2], index).unwrap());
    let y = graph.gather_nd(x, index, 0).expect("they fit");
    graph.output("y", y);
    let session = Model::new(&tiers()[0].context, &graph).and_then(|model| model.session(1)).expect("it is small");
    let x = vec![0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(session.run_blocking(&[x]).expect("it runs")[0], [2.0f32, 3.0, 3.0, 2.0]);
}
