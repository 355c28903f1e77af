use crate::harness::{refused, tiers};
use shadernet::ops::{Expand, ExpandAs, Pad2d, PaddingMode};
use shadernet::plan::Plan;
use shadernet::{BATCH, Graph};

#[test]
fn what_it_refuses() {
    for sizes in [&[3][..], &[2, 5], &[-1, 3, 5], &[3, 0], &[3, -2], &[]] {
        assert!(
            refused(&[&[3, 1]], Expand::new(sizes)).contains("sizes: wanted what [3, 1] is repeated to"),
            "{sizes:?}"
        );
    }
    assert!(refused(&[&[1]], Expand::new([1; 9])).contains("9 dimensions"));
    assert!(refused(&[&[1, 5]], Expand::new([isize::MAX, 5])).contains("sizes: wanted fewer than 2^32 elements"));
    assert!(refused(&[&[3, 1], &[2, 5]], ExpandAs).contains("other: wanted what [3, 1] is repeated to, got [2, 5]"));
    assert!(refused(&[&[2, 3, 1], &[3, 5]], ExpandAs).contains("other"));
    assert!(refused(&[&[3, 1]], ExpandAs).contains("inputs"));
}

/// A value that only provides its shape isn't converted to rows.
#[test]
fn an_image_that_lends_its_shape_is_not_read() {
    for tier in tiers() {
        let mut graph = Graph::new();
        let row = graph.input("row", [1, 1, 1, 4]);
        let image = graph.input("image", [BATCH, 5, 3, 4]);
        let image = graph.pad2d(image, [0; 4], PaddingMode::Zeros).expect("an image");
        let rows = graph.expand_as(row, image).expect("they fit");
        let image = graph.push(Pad2d::new([0; 4], PaddingMode::Zeros), &[image]).expect("an image");
        graph.output("rows", rows);
        graph.output("image", image);
        let plan = Plan::new(&graph.fused(), 3, tier.context.caps()).expect("it is small");
        let step = plan.steps.iter().find(|step| step.op == "expand_as").expect("it is there");
        assert_eq!(step.dispatches.len(), 1, "{plan}");
    }
}
