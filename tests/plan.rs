//! The planner's decisions, without a GPU: the number of steps, their memory, the limits.

use shadernet::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, Storage};
use shadernet::models::{all, find};
use shadernet::ops::{Activation, BatchNorm2d, Conv2d, GroupNorm, Pad2d, PaddingMode, Pool2d, PoolKind};
use shadernet::plan::Plan;
use shadernet::plan::memory::{Location, SlotKind};
use shadernet::plan::{Choices, PlannedValue, Resource, Variants};
use shadernet::{BATCH, Constant, ErrorKind, Graph, Io, Node, Op, Result, Shape, Value, Weights};
use std::collections::{BTreeMap, BTreeSet, HashMap};

fn caps() -> [(&'static str, Caps); 2] {
    [("portable", Caps::portable()), ("llvmpipe", Caps::llvmpipe())]
}

fn graph(name: &str) -> Graph {
    let graph = find(name).and_then(|network| network.graph(&Weights::seeded(0), None));
    graph.unwrap_or_else(|error| panic!("{name}: {error}")).fused()
}

fn plan(graph: &Graph, batch: usize, caps: &Caps) -> Plan {
    Plan::new(graph, batch, caps).unwrap_or_else(|error| panic!("{error}"))
}

/// Plans every network of the crate, at batch 1 and 3, for both profiles.
fn each_plan(mut f: impl FnMut(&str, &Plan)) {
    for network in all() {
        let graph = graph(network.name);
        for batch in [1, 3] {
            for (profile, caps) in caps() {
                f(&format!("{}, batch {batch}, {profile}", network.name), &plan(&graph, batch, &caps));
            }
        }
    }
}

/// Returns true if a dispatch overwrites an operand of its sum.
fn overwrites(dispatch: &Dispatch) -> bool {
    dispatch.shader.to_string().ends_with(" in place")
}

fn zeros(shape: impl Into<shadernet::Shape>) -> Constant {
    let shape = shape.into();
    Constant::lazy("zeros", shape.clone(), move || vec![0.0; shape.elements()])
}

#[test]
fn as_few_steps_as_a_network_needs() {
    // ResNet-50: 53 convolutions with their fused successors, two pools, a linear layer. On llvmpipe, a convolution
    // takes in its max pooling, and a depthwise one takes in a 1x1 convolution with at most 32 outputs. A residual
    // block that shrinks images is one sum of two products there, except for the smallest images.
    for (name, most) in [("resnet50", [56, 52]), ("mobilenet_v2", [54, 48])] {
        for ((profile, caps), most) in caps().into_iter().zip(most) {
            let plan = plan(&graph(name), 1, &caps);
            assert_eq!(plan.steps.len(), most, "{name}, {profile}\n{plan}");
        }
    }
}

/// A product whose k workgroups share takes a second dispatch. No network needs one on a device of ordinary size.
#[test]
fn workgroups_share_k_only_where_a_device_would_idle() {
    let joins = |name: &str, units: u32| {
        let plan = plan(&graph(name), 1, &Caps { units, ..Caps::portable() });
        let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches);
        dispatches.filter(|(dispatch, _)| dispatch.shader.name() == "gemm_join").count()
    };
    for network in all() {
        assert_eq!(joins(network.name, Caps::portable().units), 0, "{}", network.name);
    }
    // The images have 7x7 pixels, and k is 4608.
    assert!(joins("resnet18", 132) > 0);
}

#[test]
fn no_two_living_values_share_memory() {
    each_plan(|which, plan| {
        for (i, a) in plan.values.iter().enumerate() {
            assert!(a.alive.0 <= a.alive.1, "{which}: {a:?}");
            let Location { slot, offset } = a.location;
            assert!(offset + a.bytes <= plan.slots[slot].bytes(), "{which}: {a:?} in {:?}", plan.slots[slot]);
            assert!(offset % 256 == 0, "{which}: {a:?} begins where no device must let a binding begin");
            assert!(plan.values[..i].iter().all(|b| apart(a, b)), "{which}: {a:?}\n{plan}");
        }
    });
}

/// Returns true if two values never hold the same byte at once.
fn apart(a: &PlannedValue, b: &PlannedValue) -> bool {
    let end = |value: &PlannedValue| value.location.offset + value.bytes;
    let in_time = a.alive.1 < b.alive.0 || b.alive.1 < a.alive.0;
    let in_space = a.location.offset >= end(b) || b.location.offset >= end(a);
    in_time || in_space || a.location.slot != b.location.slot
}

/// No plan takes less than the values alive at once, and in buffers at most a tenth more. Only the smallest network
/// takes more: its second block reads two values and writes a third, and two of the three buffers held twice as much.
#[test]
fn memory_is_what_is_alive_and_a_tenth() {
    let in_hundredths = |name: &str| if name == "digits" { 125 } else { 110 };
    for network in all() {
        let graph = graph(network.name);
        for batch in [1, 8] {
            let Ok(plan) = Plan::new(&graph, batch, &Caps::portable()) else { continue };
            let (alive, allocated) = (plan.alive_bytes().into_iter().max().unwrap_or(0), plan.peak_bytes());
            let most = in_hundredths(network.name) * alive / 100;
            assert!(
                (alive..=most).contains(&allocated),
                "{}, batch {batch}: {allocated} for {alive}\n{plan}",
                network.name
            );
        }
    }
}

/// The dispatches' accesses agree with the lifetimes. Too short a lifetime would share memory wrongly and look right.
#[test]
fn what_is_read_was_written_and_lives() {
    each_plan(|which, plan| {
        let living = |location: Location, step: usize| {
            plan.values.iter().position(|v| v.location == location && (v.alive.0..=v.alive.1).contains(&step))
        };
        // The value that each location holds.
        let mut holds: HashMap<(usize, u64), usize> = HashMap::new();
        let mut used: Vec<Option<(usize, usize)>> = vec![None; plan.values.len()];
        for (i, step) in plan.steps.iter().enumerate() {
            for (dispatch, resources) in &step.dispatches {
                for resource in resources {
                    let &Resource::Slot { slot, offset, bytes, write } = resource else { continue };
                    let value = living(Location { slot, offset }, i);
                    let value = value.unwrap_or_else(|| panic!("{which}: nothing lives in slot {slot}, step {i}"));
                    assert!(bytes <= plan.values[value].bytes, "{which}: step {i} binds {bytes} bytes of slot {slot}");
                    let held = holds.insert((slot, offset), value);
                    if write && overwrites(dispatch) && held != Some(value) {
                        // The operand of the sum waited in this slot for the overwrite.
                        let over =
                            held.unwrap_or_else(|| panic!("{which}: nothing was written to slot {slot}, step {i}"));
                        assert_eq!(plan.values[over].bytes, bytes, "{which}: slot {slot} in step {i}\n{plan}");
                        used[over] = used[over].map(|(first, _)| (first, i - 1));
                    }
                    assert!(write || held == Some(value), "{which}: slot {slot} in step {i}\n{plan}");
                    let (first, _) = used[value].unwrap_or((i, i));
                    used[value] = Some((first, i));
                }
            }
        }
        let lives: Vec<_> = plan.values.iter().map(|PlannedValue { alive, .. }| Some(*alive)).collect();
        assert_eq!(used, lives, "{which}: from the first to the last use of each value\n{plan}");
    });
}

/// Adds a linear layer or a convolution that keeps the shape.
fn layer(graph: &mut Graph, x: Value) -> Result<Value> {
    let shape = graph.shape(x, 1)?;
    match shape.len() {
        2 => graph.linear(x, zeros([shape[1]; 2]), None),
        _ => graph.conv2d(x, Conv2d::new(zeros([shape[1], shape[1], 3, 3]), None).padding(1)),
    }
}

/// Returns the number of sums that overwrite an operand in a residual block. `more` appends operations to it, and gets
/// the residual, a view of the residual, and the sum.
fn overwriting(shape: &[usize], caps: &Caps, more: impl Fn(&mut Graph, [Value; 3]) -> Result<Value>) -> usize {
    let build = || {
        let mut graph = Graph::new();
        let x = graph.input("x", shape.to_vec());
        let x = layer(&mut graph, x)?;
        let view = graph.reshape(x, [0, 2, -1])?;
        let inner = layer(&mut graph, x)?;
        let y = layer(&mut graph, inner)?;
        let sum = graph.sum(y, x)?;
        let y = more(&mut graph, [x, view, sum])?;
        let y = layer(&mut graph, y)?;
        graph.output("y", y);
        Plan::new(&graph.fused(), 2, caps)
    };
    let plan = build().unwrap_or_else(|error| panic!("{error}"));
    plan.steps.iter().flat_map(|step| &step.dispatches).filter(|(dispatch, _)| overwrites(dispatch)).count()
}

#[test]
fn a_sum_overwrites_what_nobody_reads_any_more() {
    let (row, image, caps) = (&[BATCH, 8][..], &[BATCH, 8, 9, 9][..], Caps::portable());
    for shape in [row, image] {
        assert_eq!(overwriting(shape, &caps, |_, [_, _, sum]| Ok(sum)), 1, "{shape:?}");
        assert_eq!(overwriting(shape, &caps, |graph, [x, _, sum]| graph.product(sum, x)), 0, "{shape:?}: read later");
        let twice = |graph: &mut Graph, [_, _, sum]: [Value; 3]| {
            let y = layer(graph, sum)?;
            graph.sum(y, sum)
        };
        assert_eq!(overwriting(shape, &caps, twice), 1, "{shape:?}: the second step reads one value twice");
    }
    let by_view = |graph: &mut Graph, [_, view, sum]: [Value; 3]| {
        let x = graph.reshape(view, [0, 8])?;
        graph.product(sum, x)
    };
    assert_eq!(overwriting(row, &caps, by_view), 0, "a view of it is read later");
    // Rows are written directly to the caller's buffer; an image is written channels last first.
    let given = |graph: &mut Graph, [_, _, sum]: [Value; 3]| {
        graph.output("sum", sum);
        Ok(sum)
    };
    assert_eq!([row, image].map(|shape| overwriting(shape, &caps, given)), [0, 1]);
    assert_eq!(overwriting(image, &Caps::llvmpipe(), |_, [_, _, sum]| Ok(sum)), 0, "they lie in textures");
}

/// ResNet-18's independent branches follow each other in different buffers, without a barrier between them.
/// (ResNet-50's branches would take a fourth buffer, and a fifth more memory.)
#[test]
fn branches_may_overlap() {
    let plan = plan(&graph("resnet18"), 1, &Caps::portable());
    let slots = |step: usize, written: bool| -> BTreeSet<usize> {
        let resources = plan.steps[step].dispatches.iter().flat_map(|(_, resources)| resources);
        let slot = |resource: &Resource| match *resource {
            Resource::Slot { slot, write, .. } if write || !written => Some(slot),
            _ => None,
        };
        resources.filter_map(slot).collect()
    };
    let shorter = (0..plan.steps.len()).filter(|&i| plan.steps[i].node.ends_with("downsample.0"));
    let free = shorter.filter(|&i| {
        let (writes, before) = (slots(i, true), slots(i - 1, true));
        writes.is_disjoint(&slots(i - 1, false)) && before.is_disjoint(&slots(i, false))
    });
    assert_eq!(free.count(), 3, "{plan}");
}

#[test]
fn no_dispatch_reads_what_it_writes() {
    // WebGPU forbids it for buffers and textures alike.
    each_plan(|which, plan| {
        for step in &plan.steps {
            for (dispatch, resources) in &step.dispatches {
                assert_eq!(dispatch.bindings.len(), resources.len(), "{which}: {}", dispatch.shader);
                let place = |resource: &Resource| match resource {
                    Resource::Slot { slot, write, .. } => Some((("slot", *slot), *write)),
                    Resource::Output { output, write } => Some((("output", *output), *write)),
                    Resource::State { state, write } => Some((("state", *state), *write)),
                    Resource::Input(input) => Some((("input", *input), false)),
                    Resource::Weight(_) => None,
                };
                let places: Vec<_> = resources.iter().filter_map(place).collect();
                let written: Vec<_> = places.iter().filter(|(_, write)| *write).collect();
                assert_eq!(written.len(), 1, "{which}: {} writes one thing", dispatch.shader);
                let (target, _) = written[0];
                let clash = places.iter().any(|(place, write)| !write && place == target);
                assert!(!clash, "{which}: {} {} reads and writes {target:?}\n{plan}", step.node, dispatch.shader);
            }
        }
    });
}

#[test]
fn memory_is_used_again() {
    each_plan(|which, plan| {
        // The shallow networks have no two values of equal size and disjoint lifetimes, as textures need them.
        let deep = !["digits", "upscale", "alexnet"].iter().any(|name| which.starts_with(name));
        let (peak, total) = (plan.peak_bytes(), plan.total_bytes());
        assert!(peak < total || (!deep && peak == total), "{which}: {peak} bytes instead of {total}\n{plan}");
    });
    let plan = plan(&graph("resnet152"), 1, &Caps::portable());
    assert!(plan.peak_bytes() * 10 < plan.total_bytes(), "of 152 layers few live at once\n{plan}");
}

#[test]
fn what_is_alive_fits_what_is_allocated() {
    each_plan(|which, plan| {
        let alive = plan.alive_bytes();
        assert_eq!(alive.len(), plan.steps.len(), "{which}");
        let most = alive.iter().max().copied().unwrap_or(0);
        assert!(most <= plan.peak_bytes(), "{which}: {most} bytes alive\n{plan}");
    });
    // Three steps: the first value lives until the third step adds it.
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 4, 8, 8]);
    let pool =
        |graph: &mut Graph, x| graph.pool2d(x, Pool2d::new(PoolKind::Max, 3).stride(1).padding(1)).expect("fits");
    let a = pool(&mut graph, x);
    let b = pool(&mut graph, a);
    let c = graph.sum(a, b).expect("one shape");
    let d = pool(&mut graph, c);
    graph.output("y", d);
    let alive = plan(&graph.fused(), 2, &Caps::portable()).alive_bytes();
    let value = 4 * 2 * 4 * 8 * 8;
    // The first step reorders the input, the last one the output.
    assert_eq!(alive, [2, 2, 3, 2].map(|values| values * value));
}

#[test]
fn steps_know_what_they_cost() {
    for network in all() {
        let (fused, mut wanted) = (graph(network.name), BTreeMap::new());
        let cost = |node: &Node, io: &Io| {
            let cost = node.op.metrics(io).cost;
            wanted.insert(node.name.clone(), (cost, cost.bytes(io)));
            Ok(())
        };
        fused.visit(3, cost).expect("any batch");
        for step in plan(&fused, 3, &Caps::portable()).steps {
            assert_eq!(Some((step.cost, step.bytes)), wanted.remove(&step.node), "{} {}", network.name, step.node);
        }
        // Views are no steps.
        assert!(wanted.values().all(|(cost, _)| cost.flops() == 0), "{}: {wanted:?}", network.name);
    }
}

#[test]
fn copies_cost_what_they_copy() {
    // One output is an input, the other a view of the input.
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 6]);
    let y = graph.reshape(x, [0, 2, 3]).expect("6 elements");
    graph.output("same", x);
    graph.output("view", y);
    let steps = plan(&graph.fused(), 2, &Caps::portable()).steps;
    let mut costs: Vec<_> = steps.iter().map(|step| (step.op, step.cost.flops(), step.bytes)).collect();
    costs.sort_unstable();
    assert_eq!(costs, [("output", 0, 2 * 4 * 12), ("reshape", 0, 2 * 4 * 12)]);
}

#[test]
fn an_empty_batch_is_planned_as_nothing() {
    let graph = graph("digits");
    let plan = plan(&graph, 0, &Caps::portable());
    assert_eq!((plan.dispatches(), plan.slots.len(), &plan.outputs[0].shape[..]), (0, 0, &[0, 10][..]));
    let error = Plan::new(&graph, BATCH, &Caps::portable()).expect_err("that stands for a batch");
    assert!(matches!(&error.kind, ErrorKind::Argument { argument, .. } if argument == "batch"), "{error}");
}

#[test]
fn no_output_is_an_error() {
    let mut graph = Graph::new();
    graph.input("x", [BATCH, 4]);
    let error = Plan::new(&graph, 1, &Caps::portable()).expect_err("there is nothing to compute");
    assert!(matches!(&error.kind, ErrorKind::Argument { argument, .. } if argument == "outputs"), "{error}");
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

#[test]
fn a_transformer_takes_seven_dispatches_a_block() {
    // A block has two norms, attention, and four linear layers with their fused successors. Patches, class token and
    // positions precede the blocks; the class token's slice, a norm and a linear layer follow. Nothing is converted.
    let plan = plan(&graph("vit_b_16"), 2, &Caps::portable());
    assert_eq!(plan.dispatches(), 3 + 12 * 7 + 3, "{plan}");
}

/// Squeeze-excitation multiplies images by their gates in the image layout.
#[test]
fn gated_images_are_never_rows() {
    // Convolutions and linear layers with their fused successors, and a mean; for each gate a mean, two convolutions, a
    // product. On llvmpipe, three depthwise convolutions take in the 1x1 after them.
    for (name, steps, joined) in
        [("mobilenet_v3_large", 46 + 2 + 1 + 8 * 4, 3), ("mobilenet_v3_small", 34 + 2 + 1 + 9 * 4, 2)]
    {
        for (profile, caps) in caps() {
            let steps = if caps.fast_textures { steps - joined } else { steps };
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
fn what_no_output_needs_is_not_planned() {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 3, 8, 8]);
    let conv = |graph: &mut Graph, x| graph.conv2d(x, Conv2d::new(zeros([3, 3, 3, 3]), None).padding(1)).expect("fits");
    let y = conv(&mut graph, x);
    let unused = conv(&mut graph, y);
    conv(&mut graph, unused);
    graph.output("y", y);
    assert_eq!(graph.fused().nodes().len(), 1);
    assert_eq!(plan(&graph.fused(), 1, &Caps::portable()).steps.len(), 1);
}

#[test]
fn fusion_keeps_every_shape() {
    // A batch norm of other channels than the convolution's can't be built; a fused node must keep the outputs.
    for network in all() {
        let graph = network.graph(&Weights::seeded(0), None).unwrap_or_else(|error| panic!("{error}"));
        let fused = graph.fused();
        assert!(fused.nodes().len() < graph.nodes().len(), "{} has something to fuse", network.name);
        for batch in [1, 3] {
            for (name, value) in graph.outputs() {
                let [before, after] = [&graph, &fused].map(|graph| graph.shape(*value, batch).expect("any batch"));
                assert_eq!(before, after, "{} {name}", network.name);
            }
        }
        let alone = fused.nodes().iter().find(|node| node.op.downcast_ref::<BatchNorm2d>().is_some());
        assert!(alone.is_none(), "{}: {alone:?} follows a convolution", network.name);
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

/// The printed plan of ResNet-18: a review shows its changes. `UPDATE_GOLDENS=1` rewrites it.
#[test]
fn the_plan_of_resnet18() {
    let got = plan(&graph("resnet18"), 1, &Caps::portable()).to_string();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/plan_resnet18.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, &got).expect("the repository can be written");
    }
    let want = std::fs::read_to_string(path).expect("tests/goldens/plan_resnet18.txt is in the repository");
    for (i, (got, want)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "line {} of the plan; UPDATE_GOLDENS=1 accepts it", i + 1);
    }
    assert_eq!(got.lines().count(), want.lines().count());
}

/// An operation of two dispatches; the second reads the scratch memory of the first.
#[derive(Debug)]
struct TwoPasses;

impl Op for TwoPasses {
    fn name(&self) -> &'static str {
        "two_passes"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let pass = |bindings| Dispatch::new(Shader::new("pass", "", &[]), &0u32, bindings, 1);
        let scratch = |bytes, write| Binding::Scratch { index: 7, bytes, write };
        let first = pass(vec![Binding::Input(0), scratch(100, true)]);
        let second = pass(vec![scratch(64, false), Binding::Output(0)]);
        let mut kernel = Kernel::new(vec![Layout::ROWS], Layout::ROWS, first);
        kernel.dispatches.push(second);
        Ok(vec![kernel])
    }
}

#[test]
fn scratch_lives_for_its_step() {
    let mut graph = Graph::new();
    let mut x = graph.input("x", [1, 8]);
    for _ in 0..3 {
        x = graph.push(TwoPasses, &[x]).expect("any shape will do");
    }
    graph.output("y", x);
    let plan = plan(&graph, 1, &Caps::portable());
    for (i, step) in plan.steps.iter().enumerate() {
        let [(_, first), (_, second)] = &step.dispatches[..] else { panic!("two dispatches\n{plan}") };
        let Resource::Slot { slot, offset, bytes: 100, write: true } = first[1] else { panic!("{first:?}") };
        let written = Location { slot, offset };
        let Resource::Slot { slot, offset, bytes: 64, write: false } = second[0] else { panic!("{second:?}") };
        assert_eq!(written, Location { slot, offset }, "step {i}\n{plan}");
        let here = move |v: &&PlannedValue| v.location == written;
        let of = |alive| plan.values.iter().filter(here).filter(move |v| v.alive == alive).collect::<Vec<_>>();
        assert!(matches!(of((i, i))[..], [PlannedValue { bytes: 100, .. }]), "step {i}: {:?}\n{plan}", plan.values);
    }
    // Two values lie between three steps, and each step has scratch memory: 100 bytes and two values are alive at once.
    assert_eq!(plan.values.len(), 2 + 3);
    for (i, a) in plan.values.iter().enumerate() {
        assert!(plan.values[..i].iter().all(|b| apart(a, b)), "{:?}\n{plan}", plan.values);
    }
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

/// An operation of an elementwise shader in several variants. Some variants differ in priority, layout or kind.
#[derive(Debug)]
struct Ways {
    /// The content of the shader's `Params`.
    param: u32,
}

impl Op for Ways {
    fn name(&self) -> &'static str {
        "ways"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let way = |way: u32, layout: Layout| {
            let shader = Shader::new("ways", "", &[]).set("WAY", way);
            let dispatch = Dispatch::new(shader, &self.param, vec![Binding::Input(0), Binding::Output(0)], 1);
            Kernel::new(vec![layout], layout, dispatch)
        };
        let rows = Layout::ROWS;
        let view = Kernel::view(rows, rows);
        Ok(vec![
            way(9, rows).priority(1),
            way(0, rows),
            way(1, Layout::rows_vec4(Storage::Buffer)),
            way(2, rows),
            view,
            way(3, rows),
        ])
    }
}

fn ways(params: &[u32], width: usize) -> Graph {
    let mut graph = Graph::new();
    let mut x = graph.input("x", [BATCH, width]);
    for &param in params {
        x = graph.push(Ways { param }, &[x]).expect("it takes anything");
    }
    graph.output("y", x);
    graph
}

/// Returns each step's chosen shader.
fn taken(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.dispatches[0].0.shader.to_string()).collect()
}

#[test]
fn a_choice_counts_among_kernels_that_could_serve_alike() {
    let (graph, caps) = (ways(&[5, 6], 3), Caps::portable());
    let plain = plan(&graph, 1, &caps);
    assert_eq!((taken(&plain), plain.tuned()), (vec!["ways WAY=0".to_owned(); 2], 0));
    let variants: Vec<&Variants> = plain.steps.iter().filter_map(|step| step.variants.as_ref()).collect();
    for variants in &variants {
        // Variants of another priority, of another layout, and views are left out.
        assert_eq!(
            (&variants.kernels[..], variants.taken),
            (&["WAY=0", "WAY=2", "WAY=3"].map(|way| format!("ways {way}"))[..], 0)
        );
    }
    let with = |problem: &str, kernel: &str| {
        let mut choices = Choices::new();
        choices.set(problem, kernel);
        Plan::with_choices(&graph, 1, &caps, &choices).expect("it fits")
    };
    let first = &variants[0].problem;
    let tuned = with(first, "ways WAY=3");
    assert_eq!((taken(&tuned), tuned.tuned()), (vec!["ways WAY=3".to_owned(), "ways WAY=0".to_owned()], 1));
    // The problem stays the same, whichever variant serves it.
    assert_eq!(tuned.steps[0].variants.as_ref().map(|variants| (&variants.problem, variants.taken)), Some((first, 2)));
    let lines = |plan: &Plan| plan.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&tuned).iter().filter(|line| line.ends_with(" | tuned")).count(), 1, "{tuned}");
    assert_eq!(lines(&tuned)[2], lines(&plain)[2]);
    // Unknown kernels, and choices for another problem, are ignored.
    for (problem, kernel) in
        [(first.as_str(), "ways WAY=9"), (first, "ways WAY=1"), (first, ""), (first, "ways"), ("ways", "ways WAY=3")]
    {
        let same = with(problem, kernel);
        assert_eq!((lines(&same), same.tuned()), (lines(&plain), 0), "{problem}: {kernel}");
    }
    // The count is that of problems, not of steps.
    let graph = ways(&[5, 5], 3);
    let mut choices = Choices::new();
    choices.set(first, "ways WAY=2");
    let tuned = Plan::with_choices(&graph, 1, &caps, &choices).expect("it fits");
    assert_eq!((taken(&tuned), tuned.tuned()), (vec!["ways WAY=2".to_owned(); 2], 1));
}

#[test]
fn a_kernel_is_known_by_its_shaders() {
    let dispatch = |way: u32| Dispatch::new(Shader::new("ways", "", &[]).set("WAY", way), &way, Vec::new(), 1);
    let of = |ways: &[u32]| {
        let dispatches = ways.iter().map(|&way| dispatch(way)).collect();
        Kernel::several(Vec::new(), Vec::new(), dispatches).identity()
    };
    assert_eq!((of(&[7]), of(&[])), ("ways WAY=7".to_owned(), String::new()));
    // Weights may be split over as many dispatches as the device's bindings require.
    assert_eq!((of(&[1, 1, 1]), of(&[1, 2, 2, 1])), (of(&[1]), "ways WAY=1 + ways WAY=2 + ways WAY=1".to_owned()));
}

#[test]
fn a_problem_has_a_name_of_its_own_and_keeps_it() {
    let problems = |graph: &Graph, batch: usize, caps: &Caps| -> Vec<String> {
        let plan = plan(graph, batch, caps);
        plan.steps.iter().filter_map(|step| Some(step.variants.as_ref()?.problem.clone())).collect()
    };
    let caps = Caps::portable();
    // The names are the same in every process and version: files hold them.
    assert_eq!(problems(&ways(&[5], 3), 2, &caps), ["ways [2, 3] -> [2, 3] 1662e0adb3306477"]);
    let different =
        [problems(&ways(&[5, 6], 3), 1, &caps), problems(&ways(&[5], 4), 1, &caps), problems(&ways(&[5], 3), 2, &caps)]
            .concat();
    assert_eq!(different.iter().collect::<BTreeSet<_>>().len(), 4, "{different:?}");
    // In all networks, a name stands for one problem.
    let mut known: HashMap<String, String> = HashMap::new();
    each_plan(|which, plan| {
        for step in &plan.steps {
            let Some(variants) = &step.variants else { continue };
            let of = |(dispatch, _): &(Dispatch, _)| {
                // Overwriting an operand makes no other problem.
                let shader = dispatch.shader.to_string().replace(" in place", "");
                format!("{shader} {:?} {:?}", dispatch.params, dispatch.workgroups)
            };
            let problem = step.dispatches.iter().map(of).collect::<String>();
            let same = known.entry(variants.problem.clone()).or_insert_with(|| problem.clone());
            assert_eq!(*same, problem, "{which}: {}", variants.problem);
        }
    });
    assert!(known.len() > 10, "{known:?}");
}
