//! States that frames read and change, by the results of several frames.

// Long because its random graphs need a reference of their own, beside the tests of each use of a state.

use super::{Buffers, alone, argument, context, encoder, portable, run};
use futures::{TryStreamExt, stream};
use pollster::block_on;
use shadernet::ops::{Append, Binary, BinaryKind, Conv2d};
use shadernet::plan::Resource;
use shadernet::{BATCH, Constant, Context, Graph, Model, Result, Session, Value, Weights, seeded_input};
use std::time::Duration;

const SHAPE: [usize; 3] = [1, 4, 6];
const ELEMENTS: usize = 24;

fn session(context: &Context, batch: usize, build: impl Fn(&mut Graph) -> Result<()>) -> Session {
    let mut graph = Graph::new();
    let session = build(&mut graph).and_then(|()| Model::new(context, &graph)?.session(batch));
    session.unwrap_or_else(|error| panic!("{error}"))
}

fn number(graph: &mut Graph, number: f32) -> Value {
    graph.constant(Constant::new("number", [1], vec![number]).unwrap())
}

fn frame(seed: u64) -> Vec<f32> {
    seeded_input(seed, &SHAPE.into())
}

/// Returns the number of dispatches that copy.
fn copies(session: &Session) -> usize {
    let dispatches = session.plan().steps.iter().flat_map(|step| &step.dispatches);
    dispatches.filter(|(dispatch, _)| dispatch.shader.to_string().starts_with("copy")).count()
}

fn near(got: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let off = got.iter().zip(wanted).map(|(got, wanted)| (got - wanted).abs() / (1.0 + wanted.abs()));
    let off = off.fold(0.0, f32::max);
    assert!(off < 1e-5, "{what}: {got:?} instead of {wanted:?}");
}

#[test]
fn a_sum_over_frames() {
    let _alone = alone();
    for context in [context(), portable()] {
        let session = session(&context, 2, |graph| {
            let x = graph.input("x", [BATCH, 5]);
            let total = graph.state("total", [BATCH, 5]);
            let total = graph.update(total, Binary::new(BinaryKind::Add), &[x])?;
            graph.output("total", total);
            Ok(())
        });
        let mut total = vec![0.0; 10];
        for seed in 0..4 {
            let x = seeded_input(seed, &[2, 5].into());
            total.iter_mut().zip(&x).for_each(|(total, x)| *total += x);
            assert_eq!(run(&session, &[x]), [total.clone()], "{}", session.plan());
        }
        // Frames of a stream run one after the other too.
        let frames = stream::iter((4..9).map(|seed| [seeded_input(seed, &[2, 5].into())]));
        let outputs: Vec<_> = block_on(session.stream(frames, 3).try_collect()).expect("five frames");
        for (seed, output) in (4..9).zip(outputs) {
            let x = seeded_input(seed, &[2, 5].into());
            total.iter_mut().zip(&x).for_each(|(total, x)| *total += x);
            assert_eq!(output[0], total);
        }
    }
}

#[test]
fn a_moving_average() {
    let _alone = alone();
    for context in [context(), portable()] {
        let session = session(&context, 1, |graph| {
            let x = graph.input("x", SHAPE);
            let mean = graph.state("mean", SHAPE);
            let [old, new] = [0.9, 0.1].map(|share| number(graph, share));
            let (old, new) = (graph.mul(mean.value(), old)?, graph.mul(x, new)?);
            let moved = graph.add(old, new)?;
            graph.assign(mean, moved)?;
            graph.output("mean", moved);
            Ok(())
        });
        let mut mean = vec![0.0; ELEMENTS];
        for seed in 0..4 {
            mean.iter_mut().zip(frame(seed)).for_each(|(mean, x)| *mean = 0.9 * *mean + 0.1 * x);
            near(&run(&session, &[frame(seed)])[0], &mean, "the mean");
        }
    }
}

/// A convolution's output is added to the previous image, in the layouts that the kernels choose.
#[test]
fn an_image_that_stays() {
    let _alone = alone();
    for context in [context(), portable()] {
        let shape = [BATCH, 5, 7, 9];
        let weight = || Weights::seeded(0).get("weight", [5, 5, 3, 3]);
        let of = |graph: &mut Graph, image: Value| -> Result<Value> {
            let y = graph.conv2d(image, Conv2d::new(weight()?, None).padding(1))?;
            graph.relu(y)
        };
        let kept = session(&context, 2, |graph| {
            let (x, image) = (graph.input("x", shape), graph.state("image", shape));
            let sum = graph.add(x, image.value())?;
            let y = of(graph, sum)?;
            let y = graph.add(y, image.value())?;
            graph.assign(image, y)?;
            let after = of(graph, y)?;
            graph.output("after", after);
            Ok(())
        });
        // The reference has the image as an input and an output.
        let given = session(&context, 2, |graph| {
            let (x, image) = (graph.input("x", shape), graph.input("image", shape));
            let sum = graph.add(x, image)?;
            let y = of(graph, sum)?;
            let y = graph.add(y, image)?;
            let after = of(graph, y)?;
            graph.output("after", after);
            graph.output("image", y);
            Ok(())
        });
        let mut image = vec![0.0; 2 * 5 * 7 * 9];
        for seed in 0..3 {
            let x = seeded_input(seed, &[2, 5, 7, 9].into());
            let [after, next] = run(&given, &[x.clone(), image]).try_into().expect("two outputs");
            near(&run(&kept, &[x])[0], &after, "what is computed from the image");
            image = next;
        }
    }
}

/// Readers of the state see the old content, even after the update; readers of the update's output see the new.
#[test]
fn old_and_new_content() {
    let _alone = alone();
    for context in [context(), portable()] {
        // The update is in place, then separate from the state.
        for in_place in [true, false] {
            let session = session(&context, 1, |graph| {
                let (x, rows) = (graph.input("x", SHAPE), graph.input("rows", [1, 1, 6]));
                let state = graph.state("state", SHAPE);
                let old = state.value();
                let before = graph.add(old, x)?;
                let first = graph.constant(Constant::new("first", [1], vec![1]).unwrap());
                let new = match in_place {
                    true => graph.append(state, rows, first)?,
                    false => graph.update(state, Binary::new(BinaryKind::Add), &[x])?,
                };
                let behind = graph.sub(new, old)?;
                let view = graph.reshape(old, [24])?;
                let viewed = graph.relu(view)?;
                let outputs = [("before", before), ("new", new), ("behind", behind), ("old", old), ("view", view)];
                outputs.into_iter().chain([("viewed", viewed)]).for_each(|(name, value)| graph.output(name, value));
                Ok(())
            });
            let mut old = vec![0.0; ELEMENTS];
            for seed in 0..3 {
                let (x, rows) = (frame(seed), seeded_input(seed + 10, &[1, 1, 6].into()));
                let with = |a: &[f32], b: &[f32], f: fn(f32, f32) -> f32| -> Vec<f32> {
                    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
                };
                let new = match in_place {
                    true => [&old[..6], &rows[..], &old[12..]].concat(),
                    false => with(&old, &x, |a, b| a + b),
                };
                let expected = [
                    with(&old, &x, |a, b| a + b),
                    new.clone(),
                    with(&new, &old, |a, b| a - b),
                    old.clone(),
                    old.clone(),
                    old.iter().map(|x| x.max(0.0)).collect(),
                ];
                assert_eq!(run(&session, &[x, rows]), expected, "frame {seed}\n{}", session.plan());
                old = new;
            }
        }
    }
}

/// A state without further readers is overwritten, without a copy.
#[test]
fn states_are_written_in_place_where_they_can_be() {
    let _alone = alone();
    let context = portable();
    let build = |read_later: bool, in_place: bool| {
        session(&context, 1, |graph| {
            let (x, rows) = (graph.input("x", SHAPE), graph.input("rows", [1, 1, 6]));
            let state = graph.state("state", SHAPE);
            let old = state.value();
            let before = graph.relu(old)?;
            let new = graph.add(x, x)?;
            if in_place {
                let first = graph.constant(Constant::new("first", [1], vec![1]).unwrap());
                graph.append(state, rows, first)?;
            } else {
                graph.assign(state, new)?;
            }
            let last = if read_later { graph.add(new, old)? } else { graph.add(new, before)? };
            let last = graph.relu(last)?;
            graph.output("before", before);
            graph.output("last", last);
            Ok(())
        })
    };
    let counts = [[false, false], [false, true], [true, false], [true, true]].map(|[later, in_place]| {
        let session = build(later, in_place);
        let resources = session.plan().steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, uses)| uses);
        let writes = resources.filter(|resource| matches!(resource, Resource::State { write: true, .. }));
        assert_eq!(writes.count(), 1, "{}", session.plan());
        copies(&session)
    });
    assert_eq!(counts, [0, 0, 1, 1]);
}

/// Rows that are a view of their own cache, an in-place operation on no state, and its other inputs.
#[test]
fn rows_of_the_cache_itself() {
    let _alone = alone();
    for context in [context(), portable()] {
        let fill = session(&context, 1, |graph| {
            let (x, cache) = (graph.input("x", SHAPE), graph.state("cache", SHAPE));
            graph.assign(cache, x)?;
            graph.output("x", x);
            Ok(())
        });
        run(&fill, &[frame(0)]);
        let mut graph = Graph::new();
        let mut build = || {
            let x = graph.input("x", SHAPE);
            let cache = graph.state("cache", SHAPE);
            let old = cache.value();
            let position = graph.constant(Constant::new("position", [1], vec![0]).unwrap());
            let sum = graph.add(old, x)?;
            let view = graph.reshape(old, [4, 6])?;
            let view = graph.reshape(view, [1, 4, 6])?;
            let value = graph.push(Append, &[sum, view, position])?;
            let last = graph.slice(sum, 1, 3, 4)?;
            let again = graph.push(Append, &[x, last, position])?;
            let all = graph.append(cache, view, position)?;
            let sum = graph.add(all, x)?;
            for (name, value) in [("value", value), ("again", again), ("all", all), ("sum", sum)] {
                graph.output(name, value);
            }
            Ok::<(), shadernet::Error>(())
        };
        build().unwrap_or_else(|error| panic!("{error}"));
        let session = Model::new(&context, &graph).and_then(|model| model.session_sharing(1, &fill));
        let session = session.unwrap_or_else(|error| panic!("{error}"));
        let (old, x) = (frame(0), frame(1));
        let sum: Vec<f32> = old.iter().zip(&x).map(|(a, b)| a + b).collect();
        let again = [&sum[18..], &x[6..]].concat();
        for _ in 0..2 {
            let outputs = run(&session, std::slice::from_ref(&x));
            assert_eq!(outputs, [old.clone(), again.clone(), old.clone(), sum.clone()], "{}", session.plan());
        }
    }
}

/// States that hold each other's content, an input, a constant, or their own earlier content.
#[test]
fn states_of_states() {
    let _alone = alone();
    for context in [context(), portable()] {
        let states = |graph: &mut Graph| ["a", "b", "c", "d"].map(|name| graph.state(name, SHAPE));
        let graph = |swap: bool| {
            let mut graph = Graph::new();
            let x = graph.input("x", SHAPE);
            let states = states(&mut graph);
            let old = states.each_ref().map(shadernet::State::value);
            old.into_iter().zip(["a", "b", "c", "d"]).for_each(|(value, name)| graph.output(name, value));
            let [a, b, c, d] = states;
            if swap {
                let view = graph.reshape(old[3], [24]).and_then(|view| graph.reshape(view, [1, 4, 6]));
                graph.assign(d, view.expect("they fit")).expect("it fits");
                graph.assign(a, old[1]).expect("it fits");
                graph.assign(b, old[0]).expect("it fits");
            } else {
                let ones = graph.constant(Constant::new("ones", SHAPE, vec![1.0; ELEMENTS]).unwrap());
                // A delay line: each state takes its predecessor's old content.
                graph.assign(a, x).expect("it fits");
                graph.assign(b, old[0]).expect("it fits");
                graph.assign(c, old[1]).expect("it fits");
                graph.assign(d, ones).expect("it fits");
            }
            graph
        };
        let model = |swap: bool| Model::new(&context, &graph(swap)).expect("it has outputs");
        let line = model(false).session(1).expect("it fits");
        let mut held = [(); 4].map(|()| vec![0.0; ELEMENTS]);
        for seed in 0..3 {
            assert_eq!(run(&line, &[frame(seed)]), held);
            let [a, b, ..] = held;
            held = [frame(seed), a, b, vec![1.0; ELEMENTS]];
        }
        let swap = model(true).session_sharing(1, &line).expect("they have the same states");
        for _ in 0..3 {
            assert_eq!(run(&swap, &[frame(9)]), held, "{}", swap.plan());
            held.swap(0, 1);
        }
        assert_eq!(run(&line, &[frame(9)]), held);
    }
}

/// A step of a random graph.
enum Step {
    Sum(usize, usize),
    Difference(usize, usize),
    Half(usize),
    Relu(usize),
    View(usize),
    /// The first value, with the second value's first row as its third row.
    Append(usize, usize),
}

impl Step {
    fn add(&self, graph: &mut Graph, values: &[Value]) -> Result<Value> {
        match *self {
            Step::Sum(a, b) => graph.add(values[a], values[b]),
            Step::Difference(a, b) => graph.sub(values[a], values[b]),
            Step::Half(x) => {
                let half = number(graph, 0.5);
                graph.mul(values[x], half)
            }
            Step::Relu(x) => graph.relu(values[x]),
            Step::View(x) => {
                let flat = graph.reshape(values[x], [24])?;
                graph.reshape(flat, [1, 4, 6])
            }
            Step::Append(x, rows) => {
                let (row, position) = (graph.slice(values[rows], 1, 0, 1)?, vec![2]);
                let position = graph.constant(Constant::new("position", [1], position).unwrap());
                graph.push(Append, &[values[x], row, position])
            }
        }
    }

    fn compute(&self, values: &[Vec<f32>]) -> Vec<f32> {
        let each = |a: usize, b: usize, f: fn(f32, f32) -> f32| {
            values[a].iter().zip(&values[b]).map(|(&a, &b)| f(a, b)).collect::<Vec<_>>()
        };
        match *self {
            Step::Sum(a, b) => each(a, b, |a, b| a + b),
            Step::Difference(a, b) => each(a, b, |a, b| a - b),
            Step::Half(x) => each(x, x, |x, _| 0.5 * x),
            Step::Relu(x) => each(x, x, |x, _| x.max(0.0)),
            Step::View(x) => values[x].clone(),
            Step::Append(x, rows) => [&values[x][..12], &values[rows][..6], &values[x][18..]].concat(),
        }
    }
}

/// Random graphs that read and update their states anywhere, against the host.
#[test]
fn random_graphs_with_states() {
    let _alone = alone();
    let contexts = [context(), portable()];
    for seed in 0..60u64 {
        let numbers = seeded_input(seed, &[200].into());
        let mut numbers = numbers.iter().map(|number| number.to_bits() as usize >> 3);
        let mut below = |most: usize| numbers.next().expect("there are enough") % most;
        let mut graph = Graph::new();
        let x = graph.input("x", SHAPE);
        let mut states = ["a", "b", "c"].map(|name| Some(graph.state(name, SHAPE)));
        let mut values = vec![x];
        values.extend(states.iter().flatten().map(shadernet::State::value));
        let (mut steps, mut updates) = (Vec::new(), Vec::new());
        for _ in 0..4 + below(5) {
            let [a, b] = [(); 2].map(|()| below(values.len()));
            let step = match below(6) {
                0 => Step::Sum(a, b),
                1 => Step::Difference(a, b),
                2 => Step::Half(a),
                3 => Step::Relu(a),
                4 => Step::View(a),
                _ => Step::Append(a, b),
            };
            values.push(step.add(&mut graph, &values).unwrap_or_else(|error| panic!("{error}")));
            steps.push(step);
            // Usually the newest value, which could be written over its first operand.
            let to = if below(3) == 0 { below(values.len()) } else { values.len() - 1 };
            if let (Some(state), 0) = (states[below(3)].take(), below(2)) {
                updates.push((state.value(), to));
                graph.assign(state, values[to]).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let outputs: Vec<usize> = (0..1 + below(4)).map(|_| below(values.len())).collect();
        outputs.iter().enumerate().for_each(|(i, &output)| graph.output(format!("{i}: y{output}"), values[output]));
        for context in &contexts {
            let session = Model::new(context, &graph).and_then(|model| model.session(1));
            let session = session.unwrap_or_else(|error| panic!("graph {seed}: {error}"));
            let mut held = [(); 3].map(|()| vec![0.0; ELEMENTS]);
            for turn in 0..3 {
                let mut computed = vec![frame(turn)];
                computed.extend(held.clone());
                steps.iter().for_each(|step| computed.push(step.compute(&computed)));
                for (state, to) in &updates {
                    let index = values.iter().position(|value| value == state).expect("it is a value");
                    held[index - 1].clone_from(&computed[*to]);
                }
                for (&output, got) in outputs.iter().zip(run(&session, &[frame(turn)])) {
                    near(
                        &got,
                        &computed[output],
                        &format!("graph {seed}, y{output}, frame {turn}\n{}", session.plan()),
                    );
                }
            }
        }
    }
}

#[test]
fn a_frame_with_a_state_in_slices() {
    let _alone = alone();
    let context = portable();
    let session = session(&context, 1, |graph| {
        let x = graph.input("x", SHAPE);
        let state = graph.state("state", SHAPE);
        let old = state.value();
        let new = graph.add(old, x)?;
        graph.assign(state, new)?;
        let y = graph.sub(new, old)?;
        graph.output("x", y);
        graph.output("old", old);
        Ok(())
    });
    let buffers = Buffers::new(&session, 0);
    let bound = buffers.bind(&session).expect("they serve");
    let times = vec![Duration::from_millis(1); session.plan().steps.len()];
    let mut slices = session.slices(&times, Duration::from_millis(1)).expect("a time for each step");
    for turn in 0..3 {
        buffers.write(&session, &[vec![2.0; ELEMENTS]]);
        let mut encoder = encoder(&context);
        while !session.encode_within(&mut encoder, &bound, &mut slices, Duration::ZERO).expect("its own").finished {}
        let outputs = buffers.read(&session, encoder);
        assert_eq!(outputs, [vec![2.0; ELEMENTS], vec![2.0 * turn as f32; ELEMENTS]]);
    }
}

#[test]
fn what_states_refuse() {
    let _alone = alone();
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 4]);
    let state = graph.state("h", [1, 4]);
    let y = graph.update(state, Binary::new(BinaryKind::Add), &[x]).expect("it fits for a batch of 1");
    graph.output("y", y);
    let model = Model::new(&context(), &graph).expect("it has an output");
    assert!(model.session(1).is_ok());
    // For a batch of 2, the sum is larger than the state.
    let error = model.session(2).expect_err("it doesn't fit");
    assert_eq!(error.to_string(), "state \"h\": wanted [1, 4], got [2, 4]");

    let state = graph.state("h", [2, 4]);
    let error = graph.assign(state, x).expect_err("another shape");
    assert_eq!(error.to_string(), "state \"h\": wanted f32 [2, 4], got f32 [1, 4]");
    let state = graph.state("h", [3]);
    let wrong = graph.constant(Constant::new("three", [3], vec![1, 2, 3]).unwrap());
    assert_eq!(argument(&graph.assign(state, wrong).expect_err("integers")), "state \"h\"");
    let state = graph.state("h", [3]);
    let error = graph.update(state, Binary::new(BinaryKind::Add), &[x]).expect_err("no shape for both");
    assert!(error.to_string().starts_with("add \"h\": "), "{error}");
    let state = Graph::new().state("h", [BATCH, 4]);
    assert_eq!(argument(&graph.assign(state, x).expect_err("another graph's")), "state");
}
