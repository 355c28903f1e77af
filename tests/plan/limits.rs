//! A device's limits: errors that name them, and plans within them.

use super::{graph, plan, zeros};
use shadernet::kernel::Caps;
use shadernet::ops::{Conv2d, Pad2d, PaddingMode, Pool2d, PoolKind};
use shadernet::plan::Plan;
use shadernet::plan::memory::SlotKind;
use shadernet::{ErrorKind, Graph};

/// Results are found by name, so a second output of a name would be lost.
#[test]
fn two_outputs_of_one_name_are_refused() {
    let mut graph = Graph::new();
    let x = graph.input("x", [4]);
    let y = graph.relu(x).expect("any shape serves");
    for name in ["y", "x", "y"] {
        graph.output(name, y);
    }
    let error = Plan::new(&graph, 1, &Caps::portable()).expect_err("two have one name").to_string();
    assert_eq!(error, "output \"y\": wanted one of that name, got several");
}

#[test]
fn limits_are_named_before_anything_is_created() {
    let limit = |graph: &Graph, caps: &Caps| {
        let error = Plan::new(graph, 1, caps).expect_err("it shouldn't fit");
        match &error.kind {
            ErrorKind::Limit { limit, need, have, .. } => {
                assert!(need > have, "{error}");
                let text = error.to_string();
                assert!(text.contains(limit) && text.contains(&need.to_string()), "{text}");
                (error.at.clone().map_or(String::new(), |(_, node)| node), *limit)
            }
            _ => panic!("{error}"),
        }
    };
    let digits = graph("digits");
    let tiny = Caps { max_binding: 64, ..Caps::portable() };
    assert_eq!(limit(&digits, &tiny).1, "max_storage_buffer_binding_size");

    // AlexNet's first linear layer: a block of 64 outputs of 9216 features takes 2.25 MiB.
    let alexnet = graph("alexnet");
    let two = Caps { max_binding: 2 << 20, ..Caps::portable() };
    assert_eq!(limit(&alexnet, &two), ("classifier.1".into(), "max_storage_buffer_binding_size"));
    let two = Caps { max_buffer: 2 << 20, ..Caps::portable() };
    assert_eq!(limit(&alexnet, &two), ("classifier.1".into(), "max_buffer_size"));
    let three = Caps { max_binding: 3 << 20, ..Caps::portable() };
    let split = plan(&alexnet, 1, &three);
    assert_eq!(split.steps.len(), plan(&alexnet, 1, &Caps::portable()).steps.len());
    assert!(split.dispatches() > 64, "4096 outputs, 64 at a time\n{split}");

    // A convolution binds x, weights, bias, residual and y.
    let four = Caps { max_storage_buffers: 4, ..Caps::portable() };
    assert_eq!(limit(&digits, &four).1, "max_storage_buffers_per_shader_stage");

    // The activation exceeds a binding; then the dispatch exceeds 100 workgroups, a limit below any real device's.
    let mut large = Graph::new();
    let x = large.input("x", [1, 4, 1000, 1000]);
    let y = large.push(Pad2d::new([1; 4], PaddingMode::Zeros), &[x]).expect("an image");
    large.output("y", y);
    let small = Caps { max_binding: 15 << 20, ..Caps::portable() };
    assert_eq!(limit(&large, &small).1, "max_storage_buffer_binding_size");
    let few = Caps { max_workgroups: 100, ..Caps::portable() };
    assert_eq!(limit(&large, &few).1, "max_compute_workgroups_per_dimension");
}

#[test]
fn textures_are_only_as_large_as_the_device_has_them() {
    let mut net = Graph::new();
    let x = net.input("x", [1, 8, 300, 300]);
    let y = net.pool2d(x, Pool2d::new(PoolKind::Max, 3).padding(1).stride(1)).expect("an image");
    let y = net.conv2d(y, Conv2d::new(zeros([8, 8, 3, 3]), None).padding(1)).expect("8 channels");
    let y = net.conv2d(y, Conv2d::new(zeros([8, 1, 3, 3]), None).padding(1).groups(8)).expect("8 channels");
    net.output("y", y);
    let textures = |plan: &Plan| plan.slots.iter().filter(|slot| matches!(slot, SlotKind::Texture(..))).count();
    let fits = plan(&net, 1, &Caps::llvmpipe());
    assert!(textures(&fits) > 0, "llvmpipe is best with textures\n{fits}");
    let small = Caps { max_texture: 599, ..Caps::llvmpipe() };
    let buffers = plan(&net, 1, &small);
    assert_eq!(textures(&buffers), 0, "a row takes 600 texels\n{buffers}");
    // Operations aren't fused if the fused kernel needs larger textures: the first pairs' images are 896 texels wide.
    let pairs = |caps: &Caps| plan(&graph("mobilenet_v2"), 1, caps).to_string().matches("separable_lanes").count();
    assert_eq!([pairs(&Caps::llvmpipe()), pairs(&small)], [6, 0]);
}
