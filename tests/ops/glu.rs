use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::{Glu, GluKind};
use shadernet::plan::Plan;
use shadernet::selftest::cases::{constant, graph, random};

#[test]
fn between_linear_layers_nothing_is_converted() {
    // Beside the three layers, the plan dispatches the unit, and converts only the network's input and output.
    for hidden in [5, 8] {
        let x = random(1, [2, 3, 8]);
        let layer = |out: usize, features: usize| constant(&random(2, [out, features]));
        let graph = graph(&[&x], |graph, x| {
            let y = graph.linear(x[0], layer(2 * hidden, 8), None)?;
            let y = graph.glu(y, GluKind::SwiGlu, 2)?;
            graph.linear(y, layer(8, hidden), None)
        });
        let plan = Plan::new(&graph.fused(), 1, &Caps::portable()).expect("it can be planned");
        assert_eq!(plan.dispatches(), 3, "{plan}");
    }
}

#[test]
fn what_it_refuses() {
    let halves = |axis| Glu::new(GluKind::Glu, axis);
    assert!(refused(&[&[2, 5]], halves(1)).contains("input: wanted an even size of dimension 1, got [2, 5]"));
    assert!(refused(&[&[2, 4]], halves(2)).contains("axis: wanted a dimension of [2, 4], got 2"));
    assert!(refused(&[&[2, 4], &[2, 4]], halves(1)).contains("inputs: wanted 1, got 2"));
    assert!(refused(&[&[2, 4], &[4]], Glu::pair(GluKind::SwiGlu)).contains("b: wanted a's shape, [2, 4], got [4]"));
    assert!(refused(&[&[2, 4]], Glu::pair(GluKind::SwiGlu)).contains("inputs: wanted 2, got 1"));
}
