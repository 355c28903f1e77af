use crate::harness::{refused, tiers};
use shadernet::ops::{Reduce, ReduceKind};
use shadernet::selftest::cases::graph;
use shadernet::selftest::ops::reduce::{KINDS, reduce};
use shadernet::selftest::reference::Tensor;
use shadernet::{DType, Graph, Model, Op};

#[test]
fn infinities_are_their_own_result() {
    let (inf, lines) = (f32::INFINITY, 4);
    let x = Tensor::new([lines, 3], [[inf, 1.0, 2.0], [-inf, 1.0, 2.0], [-inf; 3], [inf, -inf, 0.0]].concat());
    for kind in [ReduceKind::Max, ReduceKind::Min, ReduceKind::LogSumExp] {
        let graph = graph(&[&x], |graph, x| graph.reduce(x[0], Reduce::new(kind, [1])));
        let want = reduce(&x, kind, &[1], false).data;
        for tier in tiers() {
            let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).unwrap();
            let got = session.run_blocking(&[&x.data]).unwrap()[0].to_f32();
            let same = |(&got, &want): (&f32, &f32)| got == want || (got - want).abs() < 1e-5;
            assert!(got.iter().zip(&want).all(same), "{kind:?}, {}: {got:?}, wanted {want:?}", tier.name);
        }
    }
}

#[test]
fn names_are_pytorchs() {
    let names = KINDS.map(|kind| Reduce::new(kind, [0]).name());
    assert_eq!(names, ["sum", "mean", "amax", "amin", "prod", "norm", "norm", "logsumexp"]);
}

#[test]
fn what_it_refuses() {
    let sum = |axes: &[usize]| Reduce::new(ReduceKind::Sum, axes);
    assert!(refused(&[&[2, 3]], sum(&[2])).contains("axes: wanted dimensions of [2, 3], got 2"));
    assert!(refused(&[&[2, 3]], sum(&[1, 0, 1])).contains("axes: wanted each axis once, got [1, 0, 1]"));
    assert!(refused(&[&[1; 9]], sum(&[0])).contains("9 dimensions"));
    assert!(refused(&[], sum(&[0])).contains("inputs"));

    let mut graph = Graph::new();
    let (i, truth) = (graph.typed_input("i", DType::I32, [3]), graph.typed_input("truth", DType::Bool, [3]));
    let of =
        |graph: &mut Graph, x, kind| graph.reduce(x, Reduce::new(kind, [0])).expect_err("not of these").to_string();
    assert!(of(&mut graph, i, ReduceKind::L2).contains("input 0: wanted f32, got i32"));
    assert!(of(&mut graph, i, ReduceKind::LogSumExp).contains("input 0: wanted f32, got i32"));
    assert!(of(&mut graph, truth, ReduceKind::Sum).contains("input 0: wanted f32 or i32, got bool"));
}
