use crate::harness::refused;
use shadernet::ops::Linear;
use shadernet::selftest::cases::{constant, random};
use shadernet::selftest::reference::{self};
use shadernet::{BATCH, Constant, Graph, Model};

#[test]
fn one_graph_serves_any_batch() {
    let weight = random(2, [6, 20]);
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 5, 2, 2]);
    let x = graph.flatten(x).expect("an image");
    let y = graph.linear(x, constant(&weight), None).expect("20 features");
    graph.output("y", y);
    for tier in crate::harness::tiers() {
        let model = Model::new(&tier.context, &graph).expect("the graph has an output");
        for batch in [1, 3, 10] {
            let x = random(1, [batch, 20]);
            let got = model.session(batch).and_then(|session| session.run_blocking(&[&x.data])).expect("it runs");
            let want = reference::linear(&x, &weight, None);
            assert_eq!(got[0].to_f32().len(), want.data.len());
            for (got, want) in got[0].to_f32().iter().zip(&want.data) {
                assert!((got - want).abs() < 1e-5, "{}, batch {batch}: got {got}, wanted {want}", tier.name);
            }
        }
    }
}

#[test]
fn what_it_refuses() {
    let weight = |shape: &[usize]| Constant::new("w", shape, vec![0.0; shape.iter().product()]).unwrap();
    assert!(refused(&[&[2, 5]], Linear::new(weight(&[3, 4]), None)).contains("[.., 4]"));
    assert!(refused(&[&[2, 4]], Linear::new(weight(&[3, 4, 1]), None)).contains("[out, in]"));
    assert!(refused(&[&[2, 4]], Linear::new(weight(&[3, 4]), Some(weight(&[4])))).contains("bias"));
    assert!(refused(&[], Linear::new(weight(&[3, 4]), None)).contains("inputs"));
}
