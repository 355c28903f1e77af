//! U-Nets: images that are doubled and concatenated, and poolings after convolutions, take no dispatches of their own on GPUs.

use super::{caps, plan, zeros};
use shadernet::kernel::Caps;
use shadernet::ops::{Conv2d, Pool2d, PoolKind, Resize, ResizeMode};
use shadernet::plan::{Choices, Plan};
use shadernet::{Graph, Precision, Result, Value};

fn shaders(plan: &Plan) -> Vec<String> {
    let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches);
    dispatches.map(|(dispatch, _)| dispatch.shader.to_string()).collect()
}

fn conv(graph: &mut Graph, x: Value, [from, to]: [usize; 2]) -> Result<Value> {
    let y = graph.conv2d(x, Conv2d::new(zeros([to, from, 3, 3]), Some(zeros([to]))).padding(1))?;
    graph.relu(y)
}

/// Returns a convolution, its pooling, one of that, doubled and concatenated with the first image, and a convolution of both.
fn unet(side: usize) -> Result<Graph> {
    let mut graph = Graph::new();
    let x = graph.input("x", [1, 8, side, side]);
    let first = conv(&mut graph, x, [8, 32])?;
    let y = conv(&mut graph, first, [32, 64])?;
    let y = graph.pool2d(y, Pool2d::new(PoolKind::Max, 2))?;
    let y = conv(&mut graph, y, [64, 64])?;
    let y = graph.upsample(y, 2.0, ResizeMode::Nearest)?;
    let y = graph.concat(&[y, first], 1)?;
    let y = conv(&mut graph, y, [96, 32])?;
    graph.output("y", y);
    Ok(graph.fused())
}

#[test]
fn poolings_and_doubled_images_take_no_dispatch_of_a_gpu() {
    let graph = unet(64).unwrap();
    let portable = shaders(&plan(&graph, 1, &Caps::portable()));
    let products = portable.iter().filter(|shader| shader.starts_with("gemm ")).count();
    // The input and the output are in rows.
    assert_eq!((products, portable.len()), (4, 6), "{portable:?}");
    let caps = Caps::matrix_units(16);
    let matrix = Plan::with_precision(&graph, 1, &caps, &Choices::new(), Precision::F16).unwrap();
    for shaders in [portable, shaders(&matrix)] {
        let with = |what: &str| shaders.iter().filter(|shader| shader.contains(what)).count();
        assert_eq!([with("POOL=4"), with("PARTS=2 DOUBLED=1"), with("resize"), with("pool ")], [1, 1, 0, 0]);
    }
    // Elsewhere the concatenation doubles what it copies.
    let llvmpipe = shaders(&plan(&graph, 1, &Caps::llvmpipe()));
    let with = |what: &str| llvmpipe.iter().filter(|shader| shader.starts_with(what)).count();
    assert_eq!([with("channels"), with("resize"), with("pool ")], [2, 0, 1], "{llvmpipe:?}");
}

#[test]
fn other_poolings_stay() {
    for (pool, joined) in [
        (Pool2d::new(PoolKind::Max, 2), true),
        (Pool2d::new(PoolKind::Max, 2).ceil_mode(true), false),
        (Pool2d::new(PoolKind::Max, 2).stride(1), false),
        (Pool2d::new(PoolKind::Max, 3).stride(2), false),
        (Pool2d::new(PoolKind::Max, 2).padding(1), false),
        (Pool2d::new(PoolKind::Average, 2), false),
    ] {
        let mut graph = Graph::new();
        let x = graph.input("x", [1, 8, 65, 65]);
        let y = conv(&mut graph, x, [8, 32]).unwrap();
        let y = graph.pool2d(y, pool).unwrap();
        graph.output("y", y);
        let plan = plan(&graph.fused(), 1, &Caps::portable());
        assert_eq!(plan.steps.len(), if joined { 1 } else { 2 }, "{plan}");
    }
    // What something else reads is stored.
    let mut graph = Graph::new();
    let x = graph.input("x", [1, 8, 64, 64]);
    let y = conv(&mut graph, x, [8, 32]).unwrap();
    let pooled = graph.pool2d(y, Pool2d::new(PoolKind::Max, 2)).unwrap();
    graph.output("y", y);
    graph.output("pooled", pooled);
    assert_eq!(plan(&graph.fused(), 1, &Caps::portable()).steps.len(), 2);
}

#[test]
fn only_exact_doublings_are_read_in_place() {
    let doubled = Resize::by(ResizeMode::Nearest, [2.0; 2]);
    for (resize, side, joined) in [
        (doubled.clone(), 32, true),
        (Resize::new(ResizeMode::NearestExact, [64, 64]), 32, true),
        (Resize::new(ResizeMode::Linear, [64, 64]), 32, false),
        (Resize::by(ResizeMode::Nearest, [2.01; 2]), 32, false),
        (Resize::new(ResizeMode::Nearest, [64, 64]), 31, false),
    ] {
        for concatenated in [true, false] {
            for (profile, caps) in caps() {
                let mut graph = Graph::new();
                let (x, other) = (graph.input("x", [1, 8, side, side]), graph.input("other", [1, 8, 64, 64]));
                let mut y = graph.resize(x, resize.clone()).unwrap();
                if concatenated {
                    y = graph.concat(&[y, other], 1).unwrap();
                }
                let y = conv(&mut graph, y, [if concatenated { 16 } else { 8 }, 32]).unwrap();
                graph.output("y", y);
                let shaders = shaders(&plan(&graph.fused(), 1, &caps));
                let apart = shaders.iter().any(|shader| shader.starts_with("resize"));
                // llvmpipe's kernels read one image as it is.
                let stays = !joined || (!concatenated && profile == "llvmpipe");
                assert_eq!(apart, stays, "{resize:?}, {concatenated}, {profile}: {shaders:?}");
            }
        }
    }
    // An image that something else reads stays, and so do channels that end within a texel.
    for (channels, read_twice) in [(8, true), (6, false)] {
        let mut graph = Graph::new();
        let (x, other) = (graph.input("x", [1, channels, 32, 32]), graph.input("other", [1, 8, 64, 64]));
        let y = graph.resize(x, doubled.clone()).unwrap();
        if read_twice {
            graph.output("doubled", y);
        }
        let y = graph.concat(&[y, other], 1).unwrap();
        graph.output("y", y);
        let fused = graph.fused();
        assert!(fused.nodes().len() == 2, "{channels} channels");
    }
}
