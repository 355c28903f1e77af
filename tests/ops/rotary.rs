use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::RotaryEmbedding;
use shadernet::{DType, Io, Op};

#[test]
fn what_a_position_may_be() {
    let shapes = [[2, 3, 8].into(), [1].into()];
    let io = Io { inputs: &shapes, outputs: &shapes[..1], dtypes: &[DType::F32, DType::I32] };
    let op = RotaryEmbedding::new(10).heads(2).cached();
    let kernels = op.kernels(&io, &Caps::portable()).unwrap();
    assert!(kernels.iter().all(|kernel| kernel.ranges == [(1, [0, 7])]));
}

#[test]
fn what_it_refuses() {
    let op = || RotaryEmbedding::new(4);
    assert!(refused(&[&[1, 2, 8]], op()).contains("input: wanted 4 dimensions"));
    assert!(refused(&[&[1, 2, 4, 8]], op().heads(2)).contains("input: wanted 3 dimensions"));
    assert!(refused(&[&[1, 2, 8]], op().heads(3)).contains("heads: wanted a divisor of the 8 elements, got 3"));
    assert!(refused(&[&[1, 2, 8]], op().heads(0)).contains("heads"));
    assert!(refused(&[&[1, 1, 4, 7]], op()).contains("dimension: wanted an even number up to 7, got 7"));
    assert!(refused(&[&[1, 1, 4, 8]], op().dimension(10)).contains("dimension"));
    assert!(refused(&[&[1, 1, 4, 8]], op().dimension(0)).contains("dimension"));
    assert!(refused(&[&[1, 1, 5, 8]], op()).contains("max_length: wanted 5 tokens or more, got 4"));
    assert!(refused(&[&[1, 1, 4, 8]], RotaryEmbedding::new(usize::MAX)).contains("table"));
    for theta in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(refused(&[&[1, 1, 4, 8]], op().theta(theta)).contains("theta"));
    }
    assert!(refused(&[&[1, 1, 4, 8]], op().cached()).contains("inputs: wanted 2, got 1"));
    assert!(refused(&[&[2, 1, 4, 8], &[3]], op().cached()).contains("position: wanted [1] or [2], got [3]"));
    assert!(refused(&[&[2, 1, 4, 8], &[2]], op().cached()).contains("the elements of input 1: wanted i32"));
}
