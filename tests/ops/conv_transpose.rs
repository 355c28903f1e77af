use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::{ConvTranspose, ConvTranspose2d, ConvTranspose3d};
use shadernet::plan::Plan;
use shadernet::selftest::cases::{graph, random};
use shadernet::selftest::ops::conv::Case;
use shadernet::selftest::ops::conv_transpose::{VOCODER, autoencoder};
use shadernet::{Constant, Cost, DType, Io, Op, Shape};

#[test]
fn no_step_of_an_autoencoder_changes_the_layout() {
    let x = random(1, [2, 3, 3, 4]);
    let graph = graph(&[&x], |graph, x| autoencoder(graph, x[0])).fused();
    // llvmpipe reorders the input, both reorder the output.
    for (caps, dispatches) in [(Caps::portable(), 4), (Caps::llvmpipe(), 5)] {
        let plan = Plan::new(&graph, 1, &caps).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.dispatches(), dispatches, "{plan}");
    }
}

#[test]
fn costs() {
    let case = Case::<2, 4> { x: [2, 6, 3, 5], out: 8, groups: 2, ..Case::DOUBLE };
    let (input, output) = ([Shape::from(case.x)], [Shape::from([2, 8, 6, 10])]);
    let cost = case.transposed_op(true).metrics(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] }).cost;
    // Each weight is multiplied by each input pixel.
    let weights = 6 * 4 * 16;
    let (macs, other) = (weights * 3 * 5 * 2, output[0].elements() as u64);
    assert_eq!(cost, Cost { weights, parameters: weights + 8, macs, other, moves: None, activations: true });
    let (input, output) = ([Shape::from(VOCODER.x)], [Shape::from([2, 6, 36])]);
    let cost =
        VOCODER.transposed_op(false).metrics(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] }).cost;
    let weights = 10 * 6 * 8;
    let macs = weights * 9 * 2;
    assert_eq!(cost, Cost { weights, parameters: weights, macs, other: 0, moves: None, activations: true });
}

/// Checks what a transposed convolution along `D` axes refuses of a tensor of `R` dimensions, 4 channels of 5 pixels a
/// side.
fn refusals<const D: usize, const R: usize>(axes: &str) {
    let weight = |c, o, size: usize| {
        let shape = [&[c, o][..], &[size; D]].concat();
        Constant::new("w", shape.clone(), vec![0.0; shape.iter().product()]).unwrap()
    };
    let conv = |c, o, size| ConvTranspose::<D>::new(weight(c, o, size), None);
    let image: &[usize] = &[&[1, 4][..], &[5; D]].concat();
    let fails = |conv: ConvTranspose<D>, text: &str| {
        let error = refused(&[image], conv);
        assert!(error.contains(text), "wanted \"{text}\" in: {error}");
    };
    let dimensions = format!("wanted {R} dimensions");
    assert!(refused(&[&image[..R - 1]], conv(4, 2, 3)).contains(&format!("input: {dimensions}")));
    assert!(refused(&[&[image, &[5]].concat()], conv(4, 2, 3)).contains(&format!("input: {dimensions}")));
    assert!(refused(&[image, image], conv(4, 2, 3)).contains("inputs"));
    fails(
        ConvTranspose::new(Constant::new("w", [4, 2], vec![0.0; 8]).unwrap(), None),
        &format!("weight: {dimensions}"),
    );
    fails(conv(3, 4, 3), &format!("[N, 3, {axes}]"));
    fails(conv(4, 2, 3).groups(3), "a divisor of 4 input channels");
    fails(conv(4, 2, 3).groups(0), "0 groups");
    fails(conv(4, 2, 0), "kernel_size");
    for axis in 0..D {
        let mut attribute = [1; D];
        for wrong in [0, 1 << 40, usize::MAX] {
            attribute[axis] = wrong;
            fails(conv(4, 2, 3).stride(attribute), "stride");
            fails(conv(4, 2, 3).dilation(attribute), "dilation");
            if wrong > 0 {
                fails(conv(4, 2, 3).padding(attribute), "padding");
                let padded = conv(4, 2, 3).stride(2).output_padding(attribute);
                fails(padded, "output_padding: wanted less than the stride");
            }
        }
    }
    fails(conv(4, 2, 3).output_padding(1), "at most 0, got 1");
    fails(conv(4, 2, 3).padding(4), "padding: wanted less than half of the 7 pixels");
    fails(conv(4, 2, 3).padding_per_side([[6, 1]; D]), "padding: wanted less than the 7 pixels that it cuts, got 7");
    fails(conv(4, 2, 3).stride(1 << 27), "output: wanted");
    let bias = Constant::new("b", [2], vec![0.0; 2]).unwrap();
    fails(ConvTranspose::new(weight(4, 2, 3), Some(bias)).groups(2), "bias: wanted [4], got [2]");
}

#[test]
fn what_it_refuses() {
    refusals::<1, 3>("L");
    refusals::<2, 4>("H, W");
    refusals::<3, 5>("D, H, W");
    let weight = |shape: &[usize]| Constant::new("w", shape, vec![0.0; shape.iter().product()]).unwrap();
    let huge = ConvTranspose2d::new(weight(&[4, 2, 3, 3]), None).stride(1 << 20);
    assert!(refused(&[&[1, 4, 5, 6]], huge).contains("fewer than 2^31 elements"));
    let padded = ConvTranspose3d::new(weight(&[4, 2, 2, 2, 2]), None).output_padding([0, 1, 0]);
    assert!(refused(&[&[1, 4, 3, 3, 3]], padded).contains("output_padding: wanted less than"));
}
