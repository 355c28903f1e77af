use crate::harness::refused;
use shadernet::Graph;
use shadernet::ops::Split;

#[test]
fn what_it_refuses() {
    for sizes in [&[2, 2][..], &[], &[5, 0], &[6], &[usize::MAX, 6]] {
        assert!(
            refused(&[&[3, 5]], Split::new(sizes, 1)).contains("that add up to 5, dimension 1 of [3, 5]"),
            "{sizes:?}"
        );
    }
    assert!(refused(&[&[3, 5]], Split::new([1, 2], 2)).contains("axis: wanted a dimension of [3, 5], got 2"));
    assert!(refused(&[], Split::new([1], 0)).contains("inputs"));
    assert!(refused(&[&[1; 9]], Split::new([1], 0)).contains("9 dimensions"));
    let mut graph = Graph::new();
    let x = graph.input("x", [3, 5]);
    assert!(graph.chunk(x, 0, 1).expect_err("no chunk").to_string().contains("chunks: wanted 1 or more"));
    assert!(graph.chunk(x, 2, 2).expect_err("no axis").to_string().contains("axis: wanted a dimension of [3, 5]"));
}
