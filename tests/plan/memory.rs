//! Memory: lifetimes of values, shared and overwritten slots, scratch memory.

use super::{apart, each_plan, graph, overwrites, plan, zeros};
use shadernet::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader};
use shadernet::models::all;
use shadernet::ops::{Conv2d, Pool2d, PoolKind};
use shadernet::plan::memory::Location;
use shadernet::plan::{Plan, PlannedValue, Resource};
use shadernet::{BATCH, ErrorKind, Graph, Io, Op, Result, Shape, Value};
use std::collections::{BTreeSet, HashMap};

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
        let sum = graph.add(y, x)?;
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
        assert_eq!(overwriting(shape, &caps, |graph, [x, _, sum]| graph.mul(sum, x)), 0, "{shape:?}: read later");
        let twice = |graph: &mut Graph, [_, _, sum]: [Value; 3]| {
            let y = layer(graph, sum)?;
            graph.add(y, sum)
        };
        assert_eq!(overwriting(shape, &caps, twice), 1, "{shape:?}: the second step reads one value twice");
    }
    let by_view = |graph: &mut Graph, [_, view, sum]: [Value; 3]| {
        let x = graph.reshape(view, [0, 8])?;
        graph.mul(sum, x)
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
                let (written, read): (Vec<_>, Vec<_>) = places.into_iter().partition(|(_, write)| *write);
                assert!(!written.is_empty(), "{which}: {} writes something", dispatch.shader);
                for (i, (target, _)) in written.iter().enumerate() {
                    let clash = read.iter().chain(&written[..i]).any(|(place, _)| place == target);
                    assert!(!clash, "{which}: {} {} uses {target:?} twice\n{plan}", step.node, dispatch.shader);
                }
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
    let c = graph.add(a, b).expect("one shape");
    let d = pool(&mut graph, c);
    graph.output("y", d);
    let alive = plan(&graph.fused(), 2, &Caps::portable()).alive_bytes();
    let value = 4 * 2 * 4 * 8 * 8;
    // The first step reorders the input, the last one the output.
    assert_eq!(alive, [2, 2, 3, 2].map(|values| values * value));
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
