//! Steps: their number, their costs, fused and unused nodes, the printed plan.

use super::{caps, graph, plan, zeros};
use shadernet::kernel::Caps;
use shadernet::models::all;
use shadernet::ops::{Activation, BatchNorm2d, Conv2d, RotaryEmbedding};
use shadernet::plan::Plan;
use shadernet::{BATCH, Constant, DType, ErrorKind, Graph, Io, Node, Value, Weights};
use std::collections::BTreeMap;

#[test]
fn as_few_steps_as_a_network_needs() {
    // ResNet-50: 53 convolutions with their fused successors, two pools, a linear layer. A depthwise convolution takes in
    // the 1x1 convolution after it: on llvmpipe six with at most 32 outputs. There a convolution also takes in its max
    // pooling, and a residual block that shrinks images is one sum of two products, except for the smallest images.
    for (name, most) in [("resnet50", [56, 52]), ("mobilenet_v2", [47, 48])] {
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
            // A step of several operations moves less than they do.
            let parts: Vec<_> = step.node.split(" + ").map(|part| wanted.remove(part).expect("a node")).collect();
            if let [own] = parts[..] {
                assert_eq!((step.cost, step.bytes), own, "{} {}", network.name, step.node);
                continue;
            }
            let flops: u64 = parts.iter().map(|(cost, _)| cost.flops()).sum();
            let bytes: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
            assert_eq!(step.cost.flops(), flops, "{} {}", network.name, step.node);
            assert!(step.bytes < bytes, "{} {}", network.name, step.node);
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
fn a_transformer_takes_seven_dispatches_a_block() {
    // A block has two norms, attention, and four linear layers with their fused successors. Patches, class token and
    // positions precede the blocks; the class token's slice follows, and a linear layer with the norm before it. Nothing
    // is converted.
    let plan = plan(&graph("vit_b_16"), 2, &Caps::portable());
    assert_eq!(plan.dispatches(), 3 + 12 * 7 + 2, "{plan}");
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

/// A block of YOLOv8's backbone: a 1x1 convolution whose halves go on apart, a residual block on the second half, whose
/// addition follows an activation, and a 1x1 convolution over all three.
#[test]
fn nothing_is_copied_where_a_detector_splits_and_joins_channels() {
    let mut graph = Graph::new();
    let weight = |name: &str, shape: [usize; 4]| Constant::lazy(name, shape, move || vec![0.1; shape.iter().product()]);
    let conv = |graph: &mut Graph, x: Value, shape: [usize; 4]| {
        let conv = Conv2d::new(weight("weight", shape), None).padding(shape[2] / 2);
        let y = graph.conv2d(x, conv)?;
        graph.activation(y, Activation::Silu)
    };
    let block = |graph: &mut Graph| -> shadernet::Result<()> {
        let x = graph.input("x", [BATCH, 64, 40, 40]);
        let x = conv(graph, x, [64, 64, 1, 1])?;
        let halves = graph.split(x, &[32, 32], 1)?;
        let y = conv(graph, halves[1], [32, 32, 3, 3])?;
        let y = conv(graph, y, [32, 32, 3, 3])?;
        let y = graph.add(halves[1], y)?;
        let all = graph.concat(&[halves[0], halves[1], y], 1)?;
        let y = conv(graph, all, [64, 96, 1, 1])?;
        graph.output("y", y);
        Ok(())
    };
    block(&mut graph).expect("a block");
    for caps in [Caps::portable(), Caps::phone()] {
        let plan = plan(&graph.fused(), 1, &caps);
        let steps: Vec<&str> = plan.steps.iter().map(|step| step.op).collect();
        assert_eq!(steps, ["conv2d"; 5], "{plan}");
        // The network's input and output are in rows.
        assert_eq!(plan.dispatches(), 7, "{plan}");
    }
}

/// A slice that a distant convolution read in place would keep all of its input in memory for the nodes between.
#[test]
fn a_slice_is_read_in_place_where_its_input_is_there_anyway() {
    let steps = |between: usize, late_reader: bool, of_input: bool| {
        let mut graph = Graph::new();
        let weight = Constant::lazy("weight", [16, 16, 3, 3], || vec![0.1; 16 * 16 * 9]);
        let x = graph.input("x", [BATCH, 32, 8, 8]);
        let x = if of_input { x } else { graph.relu(x).expect("any shape serves") };
        let part = graph.slice(x, 1, 0, 16).expect("channels");
        let mut trunk = x;
        for _ in 0..between {
            trunk = graph.softmax(trunk, 1).expect("any shape serves");
        }
        let y = graph.conv2d(part, Conv2d::new(weight, None)).expect("16 channels");
        graph.output("y", y);
        graph.output("trunk", trunk);
        if late_reader {
            let late = graph.relu(x).expect("any shape serves");
            graph.output("late", late);
        }
        plan(&graph.fused(), 1, &Caps::portable()).steps.iter().filter(|step| step.op == "slice").count()
    };
    assert_eq!([steps(0, false, false), steps(2, false, false), steps(2, true, false)], [0, 1, 0]);
    assert_eq!(steps(2, false, true), 0);
}

/// A rotation goes into the cache directly, unless somebody else reads it.
#[test]
fn a_rotation_is_appended_in_its_own_dispatch() {
    let shaders = |read: bool| {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 2, 12]);
        let position = graph.typed_input("position", DType::I32, [BATCH]);
        let cache = graph.state("cache", [BATCH, 5, 12]);
        let y = graph.rotary_embedding(&[x, position], RotaryEmbedding::new(9).heads(3).cached()).expect("it fits");
        let all = graph.append(cache, y, position).expect("it fits");
        graph.output("all", all);
        if read {
            graph.output("y", y);
        }
        let plan = plan(&graph.fused(), 2, &Caps::portable());
        let (range, of) = plan.inputs[1].range.clone().expect("positions have one");
        assert_eq!(range, [0, 3], "{of}");
        plan.steps.iter().map(|step| step.dispatches[0].0.shader.name()).collect::<Vec<_>>()
    };
    assert_eq!(shaders(false)[0], "rotary");
    assert!(!shaders(false).contains(&"append"), "{:?}", shaders(false));
    assert!(shaders(true).contains(&"append"), "{:?}", shaders(true));
}
