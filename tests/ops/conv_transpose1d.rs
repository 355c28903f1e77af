use crate::harness::refused;
use shadernet::ops::ConvTranspose1d;
use shadernet::selftest::cases::{graph, random};
use shadernet::selftest::ops::conv_transpose1d::{BLOCK, block};
use shadernet::{Constant, Cost, DType, Io, Op, Shape};

#[test]
fn steps() {
    let (x, residual) = (random(1, BLOCK.x), random(4, [2, 6, 36]));
    assert_eq!(graph(&[&x, &residual], block).fused().nodes().len(), 1);
}

#[test]
fn costs() {
    let (input, output) = ([Shape::from(BLOCK.x)], [Shape::from([2, 6, 36])]);
    let cost = BLOCK.op(false).cost(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] });
    let weights = 10 * 6 * 8;
    let macs = weights * 9 * 2;
    assert_eq!(cost, Cost { weights, parameters: weights, macs, other: 0, moves: None, activations: true });
}

#[test]
fn what_it_refuses() {
    let weight = |shape: [usize; 3]| Constant::new("w", shape, vec![0.0; shape.iter().product()]);
    let conv = |shape| ConvTranspose1d::new(weight(shape), None);
    let line: &[usize] = &[1, 4, 5];
    assert!(refused(&[&[1, 4, 5, 5]], conv([4, 2, 3])).contains("input: wanted 3 dimensions"));
    assert!(refused(&[line], conv([3, 2, 3])).contains("[N, 3, L]"));
    assert!(refused(&[line], conv([4, 2, 3]).groups(3)).contains("divisor"));
    assert!(refused(&[line], conv([4, 2, 3]).stride(0)).contains("stride"));
    assert!(refused(&[line], conv([4, 2, 3]).dilation(0)).contains("dilation"));
    assert!(refused(&[line], conv([4, 2, 0])).contains("kernel_size"));
    assert!(refused(&[line], conv([4, 2, 3]).padding(4)).contains("padding"));
    assert!(refused(&[line], conv([4, 2, 3]).stride(2).output_padding(2)).contains("output_padding"));
    let image = Constant::new("w", [4, 2, 1, 3], vec![0.0; 24]);
    assert!(refused(&[line], ConvTranspose1d::new(image, None)).contains("weight: wanted 3 dimensions"));
    let bias = Constant::new("b", [3], vec![0.0; 3]);
    assert!(
        refused(&[line], ConvTranspose1d::new(weight([4, 2, 3]), Some(bias))).contains("bias: wanted [2], got [3]")
    );
}
