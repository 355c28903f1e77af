use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::ConvTranspose2d;
use shadernet::selftest::cases::{graph, random};
use shadernet::selftest::ops::conv_transpose2d::{BLOCKS, Case, Conv, DOUBLE, autoencoder, block};
use shadernet::{Constant, Cost, DType, Io, Op, Plan, Shape};

#[test]
fn steps() {
    for case in BLOCKS {
        let x = random(1, case.x);
        let residual = random(4, [2, case.out, 6, 8]);
        assert_eq!(graph(&[&x, &residual], block(case)).fused().nodes().len(), 1, "{}", case.name);
    }
    let x = random(1, [2, 3, 3, 4]);
    let graph = graph(&[&x], |graph, x| autoencoder(graph, x[0])).fused();
    // No step between them changes the layout: llvmpipe reorders the input, both reorder the output.
    for (caps, dispatches) in [(Caps::portable(), 4), (Caps::llvmpipe(), 5)] {
        let plan = Plan::new(&graph, 1, &caps).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.dispatches(), dispatches, "{plan}");
    }
}

#[test]
fn costs() {
    let case = Case { x: [2, 6, 3, 5], out: 8, conv: Conv { groups: 2, ..DOUBLE.conv }, ..DOUBLE };
    let (input, output) = ([Shape::from(case.x)], [Shape::from([2, 8, 6, 10])]);
    let cost = case.op(true).cost(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] });
    // Each weight is multiplied by each input pixel.
    let weights = 6 * 4 * 16;
    let (macs, other) = (weights * 3 * 5 * 2, output[0].elements() as u64);
    assert_eq!(cost, Cost { weights, parameters: weights + 8, macs, other, moves: None, activations: true });
}

#[test]
fn what_it_refuses() {
    let weight = |shape: [usize; 4]| Constant::new("w", shape, vec![0.0; shape.iter().product()]);
    let conv = |shape| ConvTranspose2d::new(weight(shape), None);
    let image: &[usize] = &[1, 4, 5, 6];
    assert!(refused(&[&[1, 4, 5]], conv([4, 2, 3, 3])).contains("input: wanted 4 dimensions"));
    assert!(refused(&[image, image], conv([4, 2, 3, 3])).contains("inputs"));
    let line = Constant::new("w", [4, 2, 3], vec![0.0; 24]);
    assert!(refused(&[image], ConvTranspose2d::new(line, None)).contains("weight: wanted 4 dimensions"));
    assert!(refused(&[image], conv([3, 4, 3, 3])).contains("[N, 3, H, W]"));
    assert!(refused(&[image], conv([4, 2, 3, 3]).groups(3)).contains("a divisor of 4 input channels"));
    assert!(refused(&[image], conv([4, 2, 3, 3]).groups(0)).contains("0 groups"));
    assert!(refused(&[image], conv([4, 2, 0, 3])).contains("kernel_size"));
    for axis in 0..2 {
        let mut attribute = [1; 2];
        for wrong in [0, 1 << 40, usize::MAX] {
            attribute[axis] = wrong;
            assert!(refused(&[image], conv([4, 2, 3, 3]).strides(attribute)).contains("stride"));
            assert!(refused(&[image], conv([4, 2, 3, 3]).dilations(attribute)).contains("dilation"));
            if wrong > 0 {
                assert!(refused(&[image], conv([4, 2, 3, 3]).paddings(attribute)).contains("padding"));
                let padded = conv([4, 2, 3, 3]).stride(2).output_paddings(attribute);
                assert!(refused(&[image], padded).contains("output_padding: wanted less than the stride"));
            }
        }
    }
    assert!(refused(&[image], conv([4, 2, 3, 3]).output_padding(1)).contains("at most 0, got 1"));
    assert!(
        refused(&[image], conv([4, 2, 3, 3]).padding(4)).contains("padding: wanted less than half of the 7 pixels")
    );
    assert!(refused(&[image], conv([4, 2, 3, 3]).stride(1 << 27)).contains("output: wanted"));
    assert!(refused(&[image], conv([4, 2, 3, 3]).stride(1 << 20)).contains("fewer than 2^31 elements"));
    let bias = Constant::new("b", [2], vec![0.0; 2]);
    let grouped = ConvTranspose2d::new(weight([4, 2, 3, 3]), Some(bias)).groups(2);
    assert!(refused(&[image], grouped).contains("bias: wanted [4], got [2]"));
}
