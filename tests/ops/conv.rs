use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::{Conv, Conv1d, Conv2d, Conv3d, PaddingMode};
use shadernet::plan::Plan;
use shadernet::selftest::cases::{constant, graph, random};
use shadernet::selftest::ops::conv::{Case, DENSE_LINE, DEPTHWISE_LINE, VOLUME};
use shadernet::{Constant, Cost, DType, Graph, Io, Op, Shape};

#[test]
fn a_line_is_an_image_one_pixel_high() {
    // The dispatches and shaders are those of the 2-D convolution; the last one reorders at the network's end.
    let x = random(1, DENSE_LINE.x);
    let chain = graph(&[&x], |graph, x| {
        let y = graph.conv1d(x[0], Case { out: 6, ..DENSE_LINE }.op(true))?;
        graph.conv1d(y, DEPTHWISE_LINE.op(true))
    });
    let plan = Plan::new(&chain.fused(), 1, &Caps::portable()).unwrap_or_else(|error| panic!("{error}"));
    let shaders: Vec<&str> =
        plan.steps.iter().flat_map(|step| &step.dispatches).map(|(dispatch, _)| dispatch.shader.name()).collect();
    assert_eq!(shaders, ["pack", "gemm", "depthwise", "unpack"], "{plan}");
}

#[test]
fn the_planes_of_a_volume_are_images() {
    // A network's input may be read in rows; the last dispatch reorders at its end.
    let (x, residual) = (random(1, VOLUME.x), random(4, [2, 6, 4, 5, 3]));
    let graph = graph(&[&x, &residual], |graph, x| VOLUME.block(graph, x[0], x[1])).fused();
    for (caps, kernel) in [(Caps::portable(), "gemm"), (Caps::llvmpipe(), "gemm_lanes")] {
        let plan = Plan::new(&graph, 1, &caps).unwrap_or_else(|error| panic!("{error}"));
        let steps = plan.steps.iter().flat_map(|step| &step.dispatches).map(|(dispatch, _)| dispatch.shader.name());
        let steps: Vec<&str> = steps.filter(|name| !["pack", "unpack"].contains(name)).collect();
        assert_eq!(steps, [kernel], "{plan}");
    }
}

#[test]
fn a_window_of_one_plane_is_that_of_images() {
    let shaders = |size: [usize; 3]| {
        let x = random(1, [1, 16, 4, 20, 20]);
        let weight = random(2, [&[16, 16][..], &size].concat());
        let padding = size.map(|size| size / 2);
        let conv = Conv3d::new(constant(&weight), None).padding(padding);
        let graph = graph(&[&x], |graph, x| graph.conv3d(x[0], conv.clone()));
        let plan = Plan::new(&graph, 1, &Caps::llvmpipe()).unwrap_or_else(|error| panic!("{error}"));
        plan.to_string()
    };
    assert!(shaders([1, 3, 3]).contains("winograd_lanes"), "{}", shaders([1, 3, 3]));
    assert!(shaders([3, 3, 3]).contains("gemm_lanes"), "{}", shaders([3, 3, 3]));
}

#[test]
fn a_block_of_weights_larger_than_a_binding_is_refused() {
    let (input, output) = ([Shape::from(VOLUME.x)], [Shape::from([2, 6, 4, 5, 3])]);
    let kernels = |max_binding| {
        let caps = Caps { max_binding, ..Caps::portable() };
        VOLUME.op(true).kernels(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] }, &caps)
    };
    // 27 taps of four channels, for each of 64 channels.
    assert!(kernels(27_648).is_ok());
    let error = kernels(27_647).unwrap_err().to_string();
    assert!(error.contains("the weights of 64 outputs needs 27648 bytes"), "{error}");
}

#[test]
fn costs() {
    let costs = |op: &dyn Op, x: &[usize], y: &[usize], taps: u64| {
        let (input, output) = ([Shape::from(x)], [Shape::from(y)]);
        let cost = op.metrics(&Io { inputs: &input, outputs: &output, dtypes: &[DType::F32] }).cost;
        let pixels: usize = y[2..].iter().product();
        let (weights, other) = (8 * 3 * taps, output[0].elements() as u64);
        let macs = weights * 2 * pixels as u64;
        assert_eq!(cost, Cost { weights, parameters: weights + 8, macs, other, moves: None, activations: true });
    };
    let line = Case::<1, 3> { x: [2, 6, 9], out: 8, groups: 2, stride: [2], ..Case::SAME };
    costs(&line.op(true), &line.x, &[2, 8, 5], 3);
    let volume = Case { out: 8, groups: 2, x: [2, 6, 4, 5, 3], ..VOLUME };
    costs(&volume.op(true), &volume.x, &[2, 8, 4, 5, 3], 27);
}

/// Checks what a convolution along `D` axes refuses of a tensor of `R` dimensions, 4 channels of 5 pixels a side.
fn refusals<const D: usize, const R: usize>(axes: &str) {
    let weight = |o, c, size: usize| {
        let shape = [&[o, c][..], &[size; D]].concat();
        Constant::new("w", shape.clone(), vec![0.0; shape.iter().product()]).unwrap()
    };
    let conv = |o, c, size| Conv::<D>::new(weight(o, c, size), None);
    let image: &[usize] = &[&[1, 4][..], &[5; D]].concat();
    let fails = |conv: Conv<D>, text: &str| {
        let error = refused(&[image], conv);
        assert!(error.contains(text), "wanted \"{text}\" in: {error}");
    };
    let dimensions = format!("wanted {R} dimensions");
    assert!(refused(&[&image[..R - 1]], conv(2, 4, 3)).contains(&format!("input: {dimensions}")));
    assert!(refused(&[&[image, &[5]].concat()], conv(2, 4, 3)).contains(&format!("input: {dimensions}")));
    assert!(refused(&[image, image], conv(2, 4, 3)).contains("inputs"));
    fails(Conv::new(Constant::new("w", [2, 4], vec![0.0; 8]).unwrap(), None), &format!("weight: {dimensions}"));
    fails(conv(2, 3, 3), &format!("[N, 3, {axes}]"));
    fails(conv(3, 2, 3).groups(2), "divisor");
    fails(conv(2, 4, 3).groups(0), "groups");
    fails(conv(2, 4, 6), "at least 6 pixels");
    fails(conv(2, 4, 0), "kernel_size");
    for axis in 0..D {
        let mut attribute = [1; D];
        for wrong in [0, 1 << 40, usize::MAX] {
            attribute[axis] = wrong;
            fails(conv(2, 4, 1).stride(attribute), "stride");
            fails(conv(2, 4, 1).dilation(attribute), "dilation");
            if wrong > 0 {
                fails(conv(2, 4, 1).padding(attribute), "padding");
                fails(conv(2, 4, 1).groups(wrong), "groups");
            }
        }
    }
    let bias = Constant::new("b", [3], vec![0.0; 3]).unwrap();
    fails(Conv::new(weight(2, 4, 3), Some(bias)), "bias: wanted [2], got [3]");
    fails(conv(2, 4, 3).padding(1).padding_mode(PaddingMode::Reflect), "padding_mode");
}

#[test]
fn what_it_refuses() {
    refusals::<1, 3>("L");
    refusals::<2, 4>("H, W");
    refusals::<3, 5>("D, H, W");
    let weight = |shape: &[usize]| Constant::new("w", shape, vec![0.0; shape.iter().product()]).unwrap();
    let volume =
        |kernel: [usize; 3]| refused(&[&[1, 4, 5, 6, 7]], Conv3d::new(weight(&[&[2, 4], &kernel[..]].concat()), None));
    assert!(volume([6, 1, 1]).contains("input depth: wanted at least 6 pixels"));
    assert!(volume([1, 7, 1]).contains("input height: wanted at least 7 pixels"));
    assert!(volume([1, 1, 8]).contains("input width: wanted at least 8 pixels"));
    let huge = Conv2d::new(weight(&[2, 4, 1, 1]), None).padding(1 << 24);
    assert!(refused(&[&[1, 4, 5, 5]], huge).contains("one image: wanted an output of fewer than 2^31"));
    let image = Conv1d::new(weight(&[2, 4, 1, 3]), None);
    assert!(refused(&[&[1, 4, 5]], image).contains("weight: wanted 3 dimensions"));
}

#[test]
fn padding_that_can_not_be_is_refused_by_the_graph() {
    let case = Case::<1, 3> { x: [1, 2, 3], padding: [[3, 0]], mode: PaddingMode::Reflect, ..Case::SAME };
    let mut graph = Graph::new();
    let [line, image] = [&case.x[..], &[1, 2, 3, 3]].map(|shape| graph.input("x", shape));
    assert!(graph.conv1d(line, case.op(true)).unwrap_err().to_string().contains("less than the image's size, 3"));
    assert!(graph.conv1d(image, case.op(true)).unwrap_err().to_string().contains("wanted 3 dimensions"));
    let volume = graph.input("x", VOLUME.x);
    let reflecting = VOLUME.op(true).padding_mode(PaddingMode::Reflect);
    assert!(graph.conv3d(volume, reflecting).unwrap_err().to_string().contains("padding_mode: wanted zeros"));
}
