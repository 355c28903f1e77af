use crate::harness::{refused, tiers};
use shadernet::Model;
use shadernet::ops::TopK;
use shadernet::selftest::cases::graph;
use shadernet::selftest::reference::Tensor;

#[test]
fn nan_is_larger_than_any_number() {
    let x = [3.0, f32::NAN, f32::INFINITY, -f32::NAN, -f32::INFINITY];
    for (largest, want) in [(true, [1, 3, 2, 0, 4]), (false, [4, 0, 2, 1, 3])] {
        let op = TopK::new(5, 0).largest(largest);
        let graph = graph(&[&Tensor::new([5], x.to_vec())], |graph, x| Ok(graph.topk(x[0], op)?[1]));
        for tier in tiers() {
            let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).unwrap();
            assert_eq!(session.run_blocking(&[x]).unwrap()[0], want, "largest {largest}, tier {}", tier.name);
        }
    }
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[2, 3]], TopK::new(1, 2)).contains("axis: wanted a dimension of [2, 3], got 2"));
    assert!(refused(&[&[2, 3]], TopK::new(4, 1)).contains("k: wanted 1 to 3, the axis' size, got 4"));
    assert!(refused(&[&[2, 3]], TopK::new(0, 1)).contains("k: wanted 1 to 3"));
    assert!(refused(&[], TopK::new(1, 0)).contains("inputs"));
}
