use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::Conv3d;
use shadernet::selftest::cases::{graph, random};
use shadernet::selftest::ops::conv3d::{BLOCK, Case, Conv, SAME, block};
use shadernet::{Constant, Cost, DType, Io, Op, Plan, Shape};

#[test]
fn steps() {
    let x = random(1, BLOCK.x);
    let residual = random(4, [2, 6, 4, 5, 3]);
    let graph = graph(&[&x, &residual], block).fused();
    assert_eq!(graph.nodes().len(), 1);
    for caps in [Caps::portable(), Caps::llvmpipe()] {
        let plan = Plan::new(&graph, 1, &caps).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.dispatches(), 1, "{plan}");
    }
}

#[test]
fn a_block_of_weights_larger_than_a_binding_is_refused() {
    let (input, output) = ([Shape::from(BLOCK.x)], [Shape::from([2, 6, 4, 5, 3])]);
    let kernels = |max_binding| {
        let caps = Caps { max_binding, ..Caps::portable() };
        BLOCK.op(true).kernels(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] }, &caps)
    };
    // 3 * 27 weights and a bias for each of four channels.
    assert_eq!(kernels(1312).unwrap()[0].dispatches.len(), 2);
    let error = kernels(1311).unwrap_err().to_string();
    assert!(error.contains("the weights of 4 outputs needs 1312 bytes"), "{error}");
}

#[test]
fn costs() {
    let case = Case { x: [2, 6, 4, 5, 3], out: 8, conv: Conv { groups: 2, ..SAME.conv }, ..SAME };
    let (input, output) = ([Shape::from(case.x)], [Shape::from([2, 8, 4, 5, 3])]);
    let cost = case.op(true).cost(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] });
    let weights = 8 * 3 * 27;
    let (macs, other) = (weights * 4 * 5 * 3 * 2, 2 * 8 * 4 * 5 * 3);
    assert_eq!(cost, Cost { weights, parameters: weights + 8, macs, other, moves: None, activations: true });
}

#[test]
fn what_it_refuses() {
    let weight = |shape: [usize; 5]| Constant::new("w", shape, vec![0.0; shape.iter().product()]);
    let conv = |shape| Conv3d::new(weight(shape), None);
    let volume: &[usize] = &[1, 4, 5, 6, 7];
    assert!(refused(&[&[4, 5, 6, 7]], conv([2, 4, 3, 3, 3])).contains("input: wanted 5 dimensions"));
    assert!(refused(&[volume, volume], conv([2, 4, 3, 3, 3])).contains("inputs"));
    let image = Constant::new("w", [2, 4, 3, 3], vec![0.0; 72]);
    assert!(refused(&[volume], Conv3d::new(image, None)).contains("weight: wanted 5 dimensions"));
    assert!(refused(&[volume], conv([2, 3, 3, 3, 3])).contains("[N, 3, D, H, W]"));
    assert!(refused(&[volume], conv([3, 2, 3, 3, 3]).groups(2)).contains("divisor"));
    assert!(refused(&[volume], conv([2, 4, 3, 3, 3]).groups(0)).contains("groups"));
    assert!(refused(&[volume], conv([2, 4, 6, 1, 1])).contains("input depth: wanted at least 6 pixels"));
    assert!(refused(&[volume], conv([2, 4, 1, 7, 1])).contains("input height: wanted at least 7 pixels"));
    assert!(refused(&[volume], conv([2, 4, 1, 1, 8])).contains("input width: wanted at least 8 pixels"));
    assert!(refused(&[volume], conv([2, 4, 0, 3, 3])).contains("kernel_size"));
    for axis in 0..3 {
        let mut attribute = [1; 3];
        for wrong in [0, 1 << 40, usize::MAX] {
            attribute[axis] = wrong;
            assert!(refused(&[volume], conv([2, 4, 1, 1, 1]).strides(attribute)).contains("stride"));
            assert!(refused(&[volume], conv([2, 4, 1, 1, 1]).dilations(attribute)).contains("dilation"));
            if wrong > 0 {
                assert!(refused(&[volume], conv([2, 4, 1, 1, 1]).paddings(attribute)).contains("padding"));
            }
        }
    }
    assert!(refused(&[volume], conv([2, 4, 1, 1, 1]).padding(1 << 24)).contains("output: wanted fewer than 2^31"));
    let bias = Constant::new("b", [3], vec![0.0; 3]);
    assert!(refused(&[volume], Conv3d::new(weight([2, 4, 3, 3, 3]), Some(bias))).contains("bias: wanted [2], got [3]"));
}
