use crate::harness::{refused, tiers};
use shadernet::ops::{Bitcast, Cast};
use shadernet::plan::Plan;
use shadernet::{BATCH, DType, Graph};

#[test]
fn what_it_refuses() {
    assert!(refused(&[], Cast::new(DType::I32)).contains("inputs"));
    assert!(refused(&[&[1], &[1]], Cast::new(DType::I32)).contains("inputs"));
    assert!(refused(&[], Bitcast::new(DType::I32)).contains("inputs"));
    assert!(refused(&[&[1]], Bitcast::new(DType::Bool)).contains("dtype: wanted f32 or i32, got bool"));
    let mut graph = Graph::new();
    let truth = graph.typed_input("truth", DType::Bool, [1]);
    let error = graph.bitcast(truth, DType::I32).expect_err("it isn't a number").to_string();
    assert!(error.contains("the elements of input 0: wanted f32 or i32, got bool"), "{error}");
}

/// A cast that leaves the bytes on the device unchanged dispatches nothing.
#[test]
fn what_costs_nothing() {
    for (from, to, dispatches) in [
        (DType::F32, DType::F32, 0),
        (DType::I32, DType::I32, 0),
        (DType::Bool, DType::Bool, 0),
        (DType::Bool, DType::I32, 0),
        (DType::I32, DType::Bool, 1),
        (DType::Bool, DType::F32, 1),
    ] {
        let mut graph = Graph::new();
        let x = graph.typed_input("x", from, [BATCH, 3]);
        let x = graph.slice(x, 1, 1, isize::MAX).expect("within");
        let y = graph.cast(x, to).expect("any type will do");
        assert_eq!(graph.dtype(y).expect("its own value"), to);
        graph.output("y", y);
        let plan = Plan::new(&graph.fused(), 2, tiers()[0].context.caps()).expect("it is small");
        // The slice is a view, and the cast is under test; a view is copied to the output's location.
        let casts =
            plan.steps.iter().filter(|step| step.dispatches.iter().any(|(d, _)| d.shader.name() == "cast")).count();
        assert_eq!(casts, dispatches, "{from} to {to}: {plan}");
    }
}
