use crate::harness::{refused, tiers};
use shadernet::ops::ArgReduce;
use shadernet::selftest::cases::graph;
use shadernet::selftest::reference::Tensor;
use shadernet::{Model, Op};

#[test]
fn a_nan_is_taken_for_both() {
    let x = [3.0, -1.0, f32::NAN, 5.0, -f32::NAN, -7.0];
    for op in [ArgReduce::argmax(0), ArgReduce::argmin(0)] {
        let name = op.name();
        let graph = graph(&[&Tensor::new([6], x.to_vec())], |graph, x| graph.push(op, &[x[0]]));
        for tier in tiers() {
            let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).unwrap();
            assert_eq!(session.run_blocking(&[x]).unwrap()[0], [2i32], "{name}, tier {}", tier.name);
        }
    }
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3]], ArgReduce::argmax(2)).contains("axes: wanted dimensions of [2, 3], got 2"));
    assert!(refused(&[&[1; 9]], ArgReduce::argmin(0)).contains("9 dimensions"));
    assert!(refused(&[], ArgReduce::argmax(None)).contains("inputs"));
}
