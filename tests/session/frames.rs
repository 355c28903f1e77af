//! Frames: their objects, their order, their inputs and outputs, several threads.

use super::{Buffers, alone, argument, context, digits, images, portable, run, two_in_three_out};
use futures::{StreamExt, TryStreamExt, stream};
use pollster::block_on;
use shadernet::{BATCH, Constant, DType, Graph, Model, Session, Shape, Tensor, seeded_input};

#[test]
fn a_steady_state_creates_nothing() {
    let _alone = alone();
    let context = context();
    let session = Model::new(&context, &digits()).and_then(|model| model.session(2)).expect("it fits");
    let before = context.created();
    let first = run(&session, &[images(0, 2)]);
    let warm = context.created();
    assert!(warm > before, "the first frame makes its buffers, and that is counted");
    for _ in 0..5 {
        assert_eq!(run(&session, &[images(0, 2)]), first);
        assert_eq!(context.created(), warm);
    }
    // Three frames in flight take buffers for three.
    let frames = |count| stream::iter((0..count).map(|seed| [images(seed, 2)]));
    let outputs: Vec<_> = block_on(session.stream(frames(4), 3).try_collect()).expect("four frames");
    assert_eq!(outputs.len(), 4);
    let warm = context.created();
    let outputs: Vec<_> = block_on(session.stream(frames(9), 3).try_collect()).expect("nine frames");
    assert_eq!(outputs.len(), 9);
    assert_eq!(context.created(), warm);
    // The host brings its own buffers.
    let buffers = Buffers::new(&session, 0);
    let bound = buffers.bind(&session).expect("they are large enough");
    let warm = context.created();
    for _ in 0..3 {
        buffers.run(&session, &bound, &[images(0, 2)]);
    }
    assert_eq!(context.created(), warm);
}

#[test]
fn a_stream_keeps_the_order() {
    let _alone = alone();
    let session = Model::new(&context(), &digits()).and_then(|model| model.session(1)).expect("it fits");
    let single: Vec<_> = (0..7).map(|seed| run(&session, &[images(seed, 1)])).collect();
    assert_ne!(single[0], single[1]);
    for in_flight in [0, 1, 2, 3, 20] {
        let frames = stream::iter((0..7).map(|seed| [images(seed, 1)]));
        let outputs: Vec<_> = block_on(session.stream(frames, in_flight).try_collect()).expect("seven frames");
        assert_eq!(outputs, single, "{in_flight} in flight");
    }
}

#[test]
fn a_wrong_frame_in_a_stream_is_an_error_in_its_place() {
    let _alone = alone();
    let session = Model::new(&context(), &digits()).and_then(|model| model.session(1)).expect("it fits");
    let frames = stream::iter([vec![images(0, 1)], vec![vec![0.0; 3]], vec![images(1, 1)]]);
    let outputs: Vec<_> = block_on(session.stream(frames, 2).collect());
    assert_eq!(argument(outputs[1].as_ref().expect_err("3 values aren't an image")), "input \"image\"");
    for (i, seed) in [(0, 0), (2, 1)] {
        let output = outputs[i].as_ref().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(*output, run(&session, &[images(seed, 1)]));
    }
}

#[test]
fn sessions_of_a_model_share_weights() {
    let _alone = alone();
    for context in [context(), portable()] {
        let model = Model::new(&context, &digits()).expect("the graph has an output");
        let start = context.created();
        let four = model.session(4).expect("it fits");
        let first = context.created() - start;
        // A separate model finds the pipelines, but uploads the weights again.
        let start = context.created();
        let other = Model::new(&context, &digits()).and_then(|model| model.session(4)).expect("it fits");
        let with_weights = context.created() - start;
        let start = context.created();
        let again = model.session(4).expect("it fits");
        let without = context.created() - start;
        assert!(without < with_weights && with_weights < first, "{without}, {with_weights}, {first} objects");
        let weights = |session: &Session| {
            let resources = session.plan().steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, r)| r);
            let keys = resources.filter_map(|resource| match resource {
                shadernet::plan::Resource::Weight(packed) => Some((packed.key.clone(), packed.texels)),
                _ => None,
            });
            keys.collect::<std::collections::HashSet<_>>()
        };
        assert_eq!(with_weights - without, weights(&four).len(), "each weight is one object, made once");

        let one = model.session(1).expect("it fits");
        let batch = images(7, 4);
        let together = run(&four, std::slice::from_ref(&batch)).swap_remove(0);
        assert_eq!(run(&again, std::slice::from_ref(&batch))[0], together);
        assert_eq!(run(&other, std::slice::from_ref(&batch))[0], together);
        for (image, want) in batch.chunks(64).zip(together.chunks(10)) {
            let got = run(&one, &[image.to_vec()]).swap_remove(0);
            let off = got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4, "an image alone and among four: {got:?} and {want:?}");
        }
    }
}

#[test]
fn several_inputs_and_outputs() {
    let _alone = alone();
    for context in [context(), portable()] {
        let session = Model::new(&context, &two_in_three_out()).and_then(|model| model.session(2)).expect("it fits");
        let names = |ports: &[shadernet::plan::Port]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(session.inputs()), ["a", "b"]);
        assert_eq!(names(session.outputs()), ["sum", "pooled", "b"]);
        let [a, b] = [(1, [2, 3, 6, 7]), (2, [2, 5, 6, 7])].map(|(seed, shape)| seeded_input(seed, &shape.into()));
        let outputs = run(&session, &[a.clone(), b.clone()]);
        assert_eq!(outputs[2], b);
        // The residual is added last: a frame without it gives the convolution of the same input.
        let without = run(&session, &[a, vec![0.0; b.len()]]);
        let off = outputs[0].iter().zip(&without[0]).zip(&b).map(|((with, without), b)| (with - without - b).abs());
        assert!(off.fold(0.0, f32::max) < 1e-5);
        for (plane, pooled) in outputs[0].chunks(6 * 7).zip(outputs[1].chunks(3 * 3)) {
            for (i, &got) in pooled.iter().enumerate() {
                let corner = i / 3 * 2 * 7 + i % 3 * 2;
                let want = [0, 1, 7, 8].map(|at| plane[corner + at]).into_iter().fold(f32::MIN, f32::max);
                assert_eq!(got, want);
            }
        }
    }
}

#[test]
fn outputs_that_nothing_computes() {
    let _alone = alone();
    for context in [context(), portable()] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 5]);
        let constant = graph.constant(Constant::new("c", [3], vec![1.0, 2.0, 3.0]).unwrap());
        let relu = graph.relu(x).expect("any shape serves");
        let view = graph.reshape(relu, [-1]).expect("one dimension");
        for (name, value) in
            [("x", x), ("x again", x), ("constant", constant), ("relu", relu), ("view", view), ("relu again", relu)]
        {
            graph.output(name, value);
        }
        let session = Model::new(&context, &graph).and_then(|model| model.session(2)).expect("it fits");
        let x = vec![-1.0, 2.0, -3.0, 4.0, -5.0, 6.0, -7.0, 8.0, -9.0, 10.0];
        let relu: Vec<f32> = x.iter().map(|x: &f32| x.max(0.0)).collect();
        let expected = [&x, &x, &vec![1.0, 2.0, 3.0], &relu, &relu, &relu];
        let outputs = run(&session, std::slice::from_ref(&x));
        assert_eq!(outputs.iter().collect::<Vec<_>>(), expected, "{}", session.plan());
    }
}

#[test]
fn what_runs_is_checked() {
    let _alone = alone();
    let context = context();
    let model = Model::new(&context, &digits()).expect("the graph has an output");
    let session = model.session(2).expect("it fits");
    let refused = |inputs: &[Vec<f32>]| session.run_blocking(inputs).expect_err("it should be refused");
    assert_eq!(argument(&refused(&[])), "inputs");
    assert_eq!(argument(&refused(&[images(0, 2), images(0, 2)])), "inputs");
    for length in [0, 64, 127, 129] {
        let error = refused(&[vec![0.0; length]]);
        assert_eq!(argument(&error), "input \"image\"");
        assert!(error.to_string().contains("128 values for [2, 1, 8, 8]"), "{error}");
    }
    run(&session, &[images(0, 2)]);
    assert_eq!(argument(&model.session(BATCH).expect_err("no number")), "batch");
    let mut nothing = Graph::new();
    nothing.input("x", [BATCH, 3]);
    assert_eq!(argument(&Model::new(&context, &nothing).expect_err("no output")), "outputs of the graph");
}

#[test]
fn inputs_and_outputs_go_by_name() {
    let _alone = alone();
    let session = Model::new(&context(), &two_in_three_out()).and_then(|model| model.session(1)).expect("it fits");
    let [a, b] = [3, 5].map(|channels| {
        let shape = Shape::from([1, channels, 6, 7]);
        Tensor::new(shape.clone(), seeded_input(channels as u64, &shape)).expect("as many values")
    });
    let expected = session.run_blocking(&[&a, &b]).expect("they are in order");
    let outputs = session.run_blocking(&[("b", &b), ("a", &a)]).expect("their names tell");
    assert_eq!(outputs, expected);
    assert_eq!(outputs.names(), ["sum", "pooled", "b"]);
    assert_eq!((outputs["pooled"].shape().to_string(), outputs["pooled"].dtype()), ("[1, 5, 3, 3]".into(), DType::F32));
    assert_eq!((&outputs[2], outputs.get("c")), (&b, None));
    assert_eq!(expected.take("b").expect("it is one"), b);
    assert_eq!(outputs.take("c").expect_err("none").to_string(), "output: wanted sum, pooled, b, got c");

    let refused = |inputs: &[(&str, &Tensor)]| session.run_blocking(inputs).expect_err("they don't fit").to_string();
    assert_eq!(refused(&[("a", &a), ("c", &b)]), "the name of an input: wanted a, b, got c");
    assert_eq!(refused(&[("a", &a), ("a", &a)]), "input \"a\": wanted one of that name, got 2");
    assert_eq!(refused(&[("a", &a)]), "inputs: wanted 2 (a, b), got 1");
    let turned = Tensor::new([1, 6, 7, 3], a.to_f32()).expect("as many values");
    assert_eq!(refused(&[("a", &turned), ("b", &b)]), "input \"a\": wanted [1, 3, 6, 7], got [1, 6, 7, 3]");
}

/// PyTorch's networks take an empty batch, and return one.
#[test]
fn an_empty_batch_gives_empty_outputs() {
    let _alone = alone();
    let context = context();
    let nothing = [Vec::<f32>::new()];
    let [empty] = nothing.clone();
    let session = Model::new(&context, &digits()).and_then(|model| model.session(0)).expect("it computes nothing");
    assert_eq!(session.outputs()[0].shape[..], [0, 10]);
    for _ in 0..2 {
        assert_eq!(run(&session, &nothing), nothing);
    }
    let session = Model::new(&context, &two_in_three_out()).and_then(|model| model.session(0)).expect("nothing either");
    assert_eq!(run(&session, &[empty.clone(), empty.clone()]), [empty.clone(), empty.clone(), empty.clone()]);
    assert_eq!(argument(&session.run_blocking(&[vec![1.0f32], empty]).expect_err("one value too many")), "input \"a\"");
    // A mean of no elements is NaN.
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 3]);
    let y = graph.mean(x, [0]).expect("it has that axis");
    graph.output("y", y);
    let error = Model::new(&context, &graph).and_then(|model| model.session(0)).expect_err("its output isn't empty");
    assert!(error.to_string().contains("a batch of 0 for the output \"y\", which would still be [3]"), "{error}");
}

#[test]
fn two_threads_use_one_session() {
    let _alone = alone();
    let session = Model::new(&context(), &digits()).and_then(|model| model.session(1)).expect("it fits");
    let expected: Vec<_> = (0..4).map(|seed| run(&session, &[images(seed, 1)])).collect();
    std::thread::scope(|scope| {
        let runs = |seeds: [u64; 2], asynchronous: bool| {
            let (session, expected) = (&session, &expected);
            scope.spawn(move || {
                for seed in seeds.into_iter().cycle().take(20) {
                    let inputs = [images(seed, 1)];
                    let outputs =
                        if asynchronous { block_on(session.run(&inputs)) } else { session.run_blocking(&inputs) };
                    let outputs = outputs.unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(outputs, expected[seed as usize], "seed {seed}");
                }
            })
        };
        for thread in [runs([0, 1], false), runs([2, 3], false), runs([1, 2], true)] {
            thread.join().expect("no frame took another's numbers");
        }
    });
}

#[test]
fn frames_can_be_awaited_in_any_order_or_not_at_all() {
    let _alone = alone();
    let session = Model::new(&context(), &digits()).and_then(|model| model.session(1)).expect("it fits");
    let expected: Vec<_> = (0..3).map(|seed| run(&session, &[images(seed, 1)])).collect();
    let mut pending: Vec<_> = (0..3).map(|seed| session.submit(&[images(seed, 1)]).expect("it is an image")).collect();
    let (last, middle, first) = (pending.pop(), pending.pop(), pending.pop());
    assert_eq!(block_on(last.expect("three")).expect("it runs"), expected[2]);
    drop(middle);
    assert_eq!(first.expect("three").wait().expect("it runs"), expected[0]);
    assert_eq!(block_on(session.run(&[images(1, 1)])).expect("it runs"), expected[1]);
}
