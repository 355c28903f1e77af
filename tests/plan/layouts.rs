//! Layouts: their sizes, and conversions between them.

use super::{caps, graph, plan, zeros};
use shadernet::kernel::{Caps, Layout, Storage};
use shadernet::ops::{Activation, Conv2d, GroupNorm, Pool2d, PoolKind};
use shadernet::{BATCH, Constant, Graph};

#[test]
fn a_chain_of_images_is_converted_at_its_ends_only() {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 16, 9, 9]);
    let mut y = x;
    for _ in 0..4 {
        y = graph.conv2d(y, Conv2d::new(zeros([16, 16, 3, 3]), None).padding(1)).expect("16 channels");
        y = graph.pool2d(y, Pool2d::new(PoolKind::Average, 3).stride(1).padding(1)).expect("an image");
    }
    graph.output("y", y);
    for (profile, caps) in caps() {
        let plan = plan(&graph.fused(), 2, &caps);
        let converts = |name: &&str| ["pack", "unpack", "copy"].contains(name);
        let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches);
        let conversions: Vec<&str> = dispatches.map(|(dispatch, _)| dispatch.shader.name()).filter(converts).collect();
        assert_eq!(conversions, ["pack", "unpack"], "{profile}\n{plan}");
    }
}

#[test]
fn what_lies_as_rows_do_is_converted_as_rows() {
    let mut graph = Graph::new();
    let x = graph.input("x", [4, 8]);
    let x = graph.activation(x, Activation::Hardswish).unwrap();
    let turned = graph.transpose(x, [1, 0]).unwrap();
    let x = graph.matmul(x, turned).unwrap();
    let column = graph.linear(x, zeros([1, 4]), Some(zeros([1]))).unwrap();
    // A row of four has the bytes of rows, as a linear layer writes them, not the texture layout that a product reads.
    let row = graph.reshape(column, [1, 4]).unwrap();
    let square = graph.matmul(column, row).unwrap();
    graph.output("y", square);
    for (_, caps) in caps() {
        assert_eq!(plan(&graph, 1, &caps).outputs[0].shape[..], [4, 4]);
    }
}

#[test]
fn channels_move_last_for_nothing() {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 3, 8, 8]);
    let y = graph.conv2d(x, Conv2d::new(zeros([12, 3, 4, 4]), None).stride(4)).expect("3 channels");
    let y = graph.transpose(y, [0, 2, 3, 1]).expect("four dimensions");
    let y = graph.reshape(y, [0, 4, 12]).expect("2 by 2 patches");
    let y = graph.linear(y, zeros([8, 12]), None).expect("12 features");
    graph.output("y", y);
    let plan = plan(&graph.fused(), 2, &Caps::portable());
    assert_eq!(plan.dispatches(), 2, "a convolution and a linear layer\n{plan}");
}

/// A row that ends within a `vec4` has the bytes of rows, and padding after them; several such rows don't.
#[test]
fn one_row_is_written_where_it_is_wanted() {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 12]);
    let y = graph.linear(x, zeros([5, 12]), None).expect("12 features");
    graph.output("y", y);
    for (batch, shaders) in [(1, &["gemv"][..]), (2, &["gemv", "unpack"])] {
        let plan = plan(&graph, batch, &Caps::portable());
        let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches);
        assert_eq!(dispatches.map(|(dispatch, _)| dispatch.shader.name()).collect::<Vec<_>>(), shaders);
    }
    // Padding is no number that the other layout may rely on: 6 numbers of a row are packed before they are 2 vec4s.
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 6]);
    let y = graph.linear(x, zeros([8, 6]), None).expect("6 features");
    graph.output("y", y);
    assert_eq!(plan(&graph, 1, &Caps::portable()).dispatches(), 2);
}

/// Squeeze-excitation multiplies images by their gates in the image layout.
#[test]
fn gated_images_are_never_rows() {
    // Convolutions and linear layers with their fused successors, and a mean; for each gate a mean, two convolutions, a
    // product. Some depthwise convolutions take in the 1x1 after them.
    for (name, steps, joined) in
        [("mobilenet_v3_large", 46 + 2 + 1 + 8 * 4, [7, 3]), ("mobilenet_v3_small", 34 + 2 + 1 + 9 * 4, [2; 2])]
    {
        for ((profile, caps), joined) in caps().into_iter().zip(joined) {
            let steps = steps - joined;
            let plan = plan(&graph(name), 2, &caps);
            assert_eq!(plan.steps.len(), steps, "{name}, {profile}\n{plan}");
            let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches);
            let names: Vec<&str> = dispatches.map(|(dispatch, _)| dispatch.shader.name()).collect();
            // Only llvmpipe reorders the input: none of its own convolutions reads rows.
            assert_eq!(names.len() - steps, usize::from(caps.fast_textures), "{name}, {profile}\n{plan}");
            assert!(!names.contains(&"broadcast"), "{name}, {profile}\n{plan}");
        }
    }
}

#[test]
fn layouts_say_how_much_memory_they_take() {
    let image = [2, 5, 3, 7].into();
    let channels = Layout::channels(Storage::Texture);
    assert_eq!((channels.texels(&image), channels.bytes(&image)), ((6, 14), 6 * 14 * 16));
    assert_eq!(Layout::rows_vec4(Storage::Buffer).texels(&image), (30, 2));
    assert_eq!(Layout::ROWS.bytes(&image), (2usize * 5 * 3 * 7).next_multiple_of(4) as u64 * 4);
    let same = |a: Layout, b: Layout, shape: &[usize]| {
        assert_eq!(a.same_bytes(b, &shape.into()), b.same_bytes(a, &shape.into()), "{a:?} and {b:?}");
        a.same_bytes(b, &shape.into())
    };
    let (packed, channels) = (Layout::rows_vec4(Storage::Buffer), Layout::channels(Storage::Buffer));
    assert!(same(Layout::ROWS, packed, &[3, 8]) && !same(Layout::ROWS, packed, &[3, 7]));
    assert!(same(Layout::ROWS, channels, &[3, 8, 1, 1]) && !same(Layout::ROWS, channels, &[3, 7, 1, 1]));
    assert!(!same(Layout::ROWS, channels, &[3, 8, 1, 2]));
    assert!(same(packed, channels, &[3, 7]) && !same(packed, channels, &[3, 8, 8]));
    assert!(!same(channels, Layout::channels(Storage::Texture), &[3, 8]));
}

/// Between convolutions, groups of whole texels or of one channel are normalised channels last.
#[test]
fn group_and_instance_norm_stay_channels_last() {
    let weight = |out: usize| Constant::new("w", [out, 8, 3, 3], vec![0.1; out * 72]).unwrap();
    for groups in [1, 2, 8] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 8, 9, 9]);
        let x = graph.conv2d(x, Conv2d::new(weight(8), None).padding(1)).expect("it fits");
        let x = graph.group_norm(x, GroupNorm::new(groups, None, None)).expect("they divide 8");
        let x = graph.conv2d(x, Conv2d::new(weight(8), None).padding(1)).expect("it fits");
        graph.output("y", x);
        let plan = plan(&graph.fused(), 1, &Caps::portable());
        let shaders: Vec<&str> =
            plan.steps.iter().flat_map(|step| &step.dispatches).map(|(dispatch, _)| dispatch.shader.name()).collect();
        assert_eq!(shaders, ["pack", "gemm", "norm_image", "gemm", "unpack"], "{plan}");
    }
}
