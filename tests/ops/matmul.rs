use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::MatMul;
use shadernet::plan::Plan;
use shadernet::selftest::cases::{constant, graph, random};
use shadernet::selftest::reference::{self, Tensor};

#[test]
fn bias_residual_and_activation_are_one_operation() {
    let (a, b, bias) = (random(1, [3, 4]), random(2, [5, 4]), random(3, [5]));
    let graph = graph(&[&a, &b], |graph, x| {
        let y = graph.push(MatMul::new().transpose_b().bias(constant(&bias)), x)?;
        let residual = graph.push(MatMul::new().transpose_b(), x)?;
        let y = graph.add(y, residual)?;
        graph.relu(y)
    });
    assert_eq!(graph.fused().nodes().len(), 2);
}

#[test]
fn a_transposed_operand_is_not_copied() {
    let (q, k) = (random(1, [2, 5, 8]), random(2, [2, 7, 8]));
    for caps in [Caps::portable(), Caps::llvmpipe()] {
        let dispatches = |op: MatMul, a: &Tensor, b: &Tensor| {
            let graph = graph(&[a, b], |graph, x| graph.push(op, x));
            Plan::new(&graph, 1, &caps).expect("it can be planned").dispatches()
        };
        let kt = reference::transpose(&k, &[0, 2, 1]);
        assert!(dispatches(MatMul::new().transpose_b(), &q, &k) <= dispatches(MatMul::new(), &q, &kt));
    }
}

#[test]
fn what_it_refuses() {
    assert!(refused(&[&[3, 4], &[5, 6]], MatMul::new()).contains("[.., 4, N]"));
    assert!(refused(&[&[3, 4], &[5, 6]], MatMul::new().transpose_b()).contains("[.., N, 4]"));
    assert!(refused(&[&[3, 4], &[5, 6]], MatMul::new().transpose_a()).contains("[.., 3, N]"));
    assert!(refused(&[&[3, 4], &[5]], MatMul::new()).contains("b: wanted [4] for a's [3, 4], got [5]"));
    assert!(refused(&[&[2, 3, 4], &[3, 4, 6]], MatMul::new()).contains("broadcast"));
    assert!(refused(&[&[], &[4, 6]], MatMul::new()).contains("a: wanted 1 dimension or more, got []"));
    assert!(refused(&[&[4], &[4, 6]], MatMul::new().transpose_a()).contains("a: wanted 2 dimensions or more, got [4]"));
    let turns: [&[usize]; 2] = [&[2, 1, 2, 1, 2, 3, 4], &[1, 2, 1, 2, 1, 4, 5]];
    assert!(refused(&turns, MatMul::new()).contains("broadcast in more than four turns"));
    assert!(refused(&[&[3, 4]], MatMul::new()).contains("inputs"));
    let bias = |size: usize| MatMul::new().bias(constant(&random(1, [size])));
    assert!(refused(&[&[3, 4], &[4, 6]], bias(3)).contains("bias: wanted the last dimension of [3, 6], got [3]"));
    assert!(refused(&[&[4], &[4]], bias(1)).contains("bias"));
}
