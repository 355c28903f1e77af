//! Frames in slices: each slice's content, and the same results as a frame in one go.

use super::{Buffers, alone, argument, context, digits, encoder, images, portable, run, two_in_three_out};
use shadernet::measure::{Effort, step_times};
use shadernet::ops::Conv2d;
use shadernet::{BATCH, FrameSlice, Graph, Model, Session, Weights, seeded_input};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Builds a residual block, which adds in place if the device can.
fn residual() -> Graph {
    let build = || -> shadernet::Result<Graph> {
        let (weights, mut graph) = (Weights::seeded(0), Graph::new());
        let weight = |i: usize| weights.get(&format!("conv{i}"), [40, 40, 3, 3]);
        let conv = |i| weight(i).map(|weight| Conv2d::new(weight, None).padding(1));
        let x = graph.input("x", [BATCH, 40, 13, 11]);
        let first = graph.conv2d(x, conv(0)?)?;
        let y = graph.conv2d(first, conv(1)?)?;
        let y = graph.relu(y)?;
        let y = graph.conv2d(y, conv(2)?)?;
        let y = graph.add(y, first)?;
        graph.output("y", y);
        Ok(graph)
    };
    build().unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a frame slice by slice, each slice in its own submission; each step counts as a millisecond.
fn sliced(
    session: &Session,
    inputs: &[Vec<f32>],
    longest: Duration,
    budget: Duration,
) -> (Vec<FrameSlice>, Vec<Vec<f32>>) {
    let times = vec![MS; session.plan().steps.len()];
    let mut slices = session.slices(&times, longest).unwrap_or_else(|error| panic!("{error}"));
    let buffers = Buffers::new(session, 0);
    let bound = buffers.bind(session).expect("they are large enough");
    buffers.write(session, inputs);
    let (context, mut seen) = (session.context(), Vec::new());
    let created = context.created();
    loop {
        let mut encoder = encoder(context);
        let slice = session.encode_within(&mut encoder, &bound, &mut slices, budget);
        seen.push(slice.unwrap_or_else(|error| panic!("{error}")));
        if seen.last().is_some_and(|slice| slice.finished) {
            assert_eq!(context.created(), created, "slices create nothing");
            // A dispatch of a single workgroup stays whole.
            assert_eq!(slices.pieces() > session.plan().dispatches(), longest < MS, "{slices:?}");
            for slice in &seen {
                assert!(slice.time <= budget.max(slices.longest()), "{slice:?} of {slices:?} in {budget:?}");
            }
            return (seen, buffers.read(session, encoder));
        }
        context.queue().submit([encoder.finish()]);
    }
}

#[test]
fn slices_give_what_a_frame_gives() {
    let _alone = alone();
    let frame = |graph: &Graph| {
        let inputs = graph.inputs().iter().enumerate();
        inputs.map(|(i, input)| seeded_input(i as u64, &graph.shape(input.value, 2).expect("it is an input"))).collect()
    };
    for context in [context(), portable()] {
        for graph in [digits(), two_in_three_out(), residual()] {
            let session = Model::new(&context, &graph).and_then(|model| model.session(2)).expect("it fits");
            let inputs: Vec<Vec<f32>> = frame(&graph);
            let expected = run(&session, &inputs);
            let steps = session.plan().steps.len();
            // Budgets: below a step, some steps, all. Dispatches: whole, in a few parts, in workgroups.
            for (longest, budget) in
                [(10 * MS, MS / 2), (10 * MS, 5 * MS / 2), (MS / 3, MS / 2), (MS / 100_000, 99 * MS)]
            {
                let (slices, outputs) = sliced(&session, &inputs, longest, budget);
                let which = format!("longest {longest:?}, budget {budget:?}: {slices:?}\n{}", session.plan());
                assert_eq!(outputs, expected, "{which}");
                assert_eq!(slices[0].steps.start, 0, "{which}");
                assert_eq!(slices.last().expect("one at least").steps.end, steps, "{which}");
                for pair in slices.windows(2) {
                    let (end, start) = (pair[0].steps.end, pair[1].steps.start);
                    assert!(start == end || start + 1 == end, "{which}");
                }
                let total: Duration = slices.iter().map(|slice| slice.time).sum();
                assert!(total.abs_diff(steps as u32 * MS) < MS / 100, "{which}");
                match (longest, budget) {
                    (_, budget) if budget == 99 * MS => assert_eq!(slices.len(), 1, "{which}"),
                    (longest, budget) if longest > MS && budget < MS => assert!(slices.len() >= steps, "{which}"),
                    _ => assert!(slices.len() > 1, "{which}"),
                }
            }
        }
    }
}

#[test]
fn a_restarted_frame_begins_anew() {
    let _alone = alone();
    let session = Model::new(&context(), &digits()).and_then(|model| model.session(1)).expect("it fits");
    let inputs: Vec<Vec<f32>> = session.inputs().iter().map(|input| seeded_input(0, &input.shape)).collect();
    let expected = run(&session, &inputs);
    let steps = session.plan().steps.len();
    let mut slices = session.slices(&vec![MS; steps], 10 * MS).expect("they are its steps'");
    let buffers = Buffers::new(&session, 0);
    let bound = buffers.bind(&session).expect("they are large enough");
    buffers.write(&session, &inputs);
    let mut encoder = encoder(session.context());
    let begun = session.encode_within(&mut encoder, &bound, &mut slices, MS / 2).expect("a step at least");
    assert!(begun.steps.start == 0 && !begun.finished, "{begun:?}");
    slices.restart();
    let whole = session.encode_within(&mut encoder, &bound, &mut slices, 999 * MS).expect("all steps");
    assert!(whole.steps == (0..steps) && whole.finished, "{whole:?}");
    assert_eq!(buffers.read(&session, encoder), expected);
}

#[test]
fn measured_times_keep_slices_within_their_budget() {
    let _alone = alone();
    let session = Model::new(&context(), &digits()).and_then(|model| model.session(8)).expect("it fits");
    let times = step_times(&session, Effort::Frames(5)).unwrap_or_else(|error| panic!("{error}"));
    let total: Duration = times.iter().sum();
    assert!(times.len() == session.plan().steps.len() && !total.is_zero(), "{times:?}");
    let longest = *times.iter().max().expect("it has steps");
    let budget = (total / 3).max(Duration::from_nanos(1));
    let mut slices = session.slices(&times, longest).expect("they are its steps'");
    let buffers = Buffers::new(&session, 0);
    let bound = buffers.bind(&session).expect("they are large enough");
    let (mut encoder, mut count) = (encoder(session.context()), 0);
    loop {
        let slice = session.encode_within(&mut encoder, &bound, &mut slices, budget).expect("nothing else uses it");
        assert!(slice.time <= budget.max(longest), "{slice:?} of {times:?}");
        count += 1;
        if slice.finished {
            break;
        }
    }
    assert!((2..=times.len()).contains(&count), "{count} slices of {times:?}");
}

#[test]
fn what_slices_refuse() {
    let _alone = alone();
    let context = context();
    let model = Model::new(&context, &digits()).expect("it has an output");
    let [session, other] = [model.session(1), model.session(1)].map(|session| session.expect("it fits"));
    let times = vec![MS; session.plan().steps.len()];
    let error = |times: &[Duration], longest| {
        let error = session.slices(times, longest).expect_err("they can't be");
        argument(&error).to_owned()
    };
    assert_eq!(error(&times[1..], MS), "times");
    assert_eq!(error(&times, Duration::ZERO), "longest");
    // Absurd times don't panic.
    let ages = vec![Duration::MAX; times.len()];
    assert!(session.slices(&ages, Duration::MAX).is_ok_and(|slices| slices.longest() > MS));

    let buffers = Buffers::new(&session, 0);
    let bound = buffers.bind(&session).expect("they serve");
    let mut slices = session.slices(&times, MS).expect("they are its steps'");
    let mut theirs = other.slices(&times, MS).expect("they are its steps'");
    let mut encoder = encoder(&context);
    let error = session.encode_within(&mut encoder, &bound, &mut theirs, MS).expect_err("they are the other's");
    assert_eq!(argument(&error), "slices");
    let error = other.encode_within(&mut encoder, &bound, &mut theirs, MS).expect_err("this one has bound them");
    assert_eq!(argument(&error), "bound");

    // Another frame runs between two slices.
    buffers.write(&session, &[images(0, 1)]);
    let mut next = |slices: &mut _, budget| session.encode_within(&mut encoder, &bound, slices, budget);
    assert!(!next(&mut slices, MS).expect("the first slice").finished);
    let expected = run(&session, &[images(1, 1)]);
    let error = next(&mut slices, MS).expect_err("another frame has run");
    assert_eq!(argument(&error), "slices");
    // The frame begins again.
    buffers.write(&session, &[images(1, 1)]);
    let slice = next(&mut slices, 99 * MS).expect("nothing else uses it");
    assert_eq!((slice.steps, slice.finished), (0..times.len(), true));
    assert_eq!(buffers.read(&session, encoder), expected);
}
