//! Sessions: their GPU objects, their order of frames, hosts' buffers and encoders, and refusals.

mod buffers;
mod hosts;
mod slices;
mod states;

use futures::{StreamExt, TryStreamExt, stream};
use pollster::block_on;
use shadernet::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader};
use shadernet::models::{digits_weights, find};
use shadernet::ops::{Conv2d, Pool2d, PoolKind};

use shadernet::{
    BATCH, Constant, Context, ContextOptions, DType, ErrorKind, Graph, Io, Model, Op, Session, Shape, Tensor, Weights,
    seeded_input,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Opens a context of the test's own on the adapter that the environment names: the test counts only its own objects.
fn context() -> Context {
    let context = block_on(Context::with(&ContextOptions::from_env()));
    context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
}

/// Opens a context of the portable kernels, whose plans have no textures.
fn portable() -> Context {
    let context = block_on(Context::with(&ContextOptions::from_env().portable()));
    context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
}

/// Runs one test at a time: llvmpipe uses all processors for each anyway.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digits() -> Graph {
    let weights = digits_weights().expect("the crate ships them");
    find("digits").and_then(|network| network.graph(&weights, None)).expect("they fit")
}

/// Returns a batch of pictures, different for each seed.
fn images(seed: u64, batch: usize) -> Vec<f32> {
    seeded_input(seed, &[batch, 1, 8, 8].into())
}

/// Builds a graph of two inputs and three outputs: one of both inputs, one that is read again, one that is an input.
fn two_in_three_out() -> Graph {
    let build = || -> shadernet::Result<Graph> {
        let mut graph = Graph::new();
        let a = graph.input("a", [BATCH, 3, 6, 7]);
        let b = graph.input("b", [BATCH, 5, 6, 7]);
        let weight = Weights::seeded(0).get("weight", [5, 3, 3, 3])?;
        let y = graph.conv2d(a, Conv2d::new(weight, None).padding(1))?;
        let sum = graph.sum(y, b)?;
        let pooled = graph.pool2d(sum, Pool2d::new(PoolKind::Max, 2))?;
        graph.output("sum", sum);
        graph.output("pooled", pooled);
        graph.output("b", b);
        Ok(graph)
    };
    build().unwrap_or_else(|error| panic!("{error}"))
}

fn run(session: &Session, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let outputs = session.run_blocking(inputs).unwrap_or_else(|error| panic!("{error}"));
    outputs.into_iter().map(|output| output.into_f32().expect("its outputs are f32s")).collect()
}

fn argument(error: &shadernet::Error) -> &str {
    match &error.kind {
        ErrorKind::Argument { argument, .. } => argument,
        _ => panic!("{error}"),
    }
}

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

fn encoder(context: &Context) -> wgpu::CommandEncoder {
    context.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// A host's own buffers for a session, `shift` bytes into larger ones.
struct Buffers {
    shift: u64,
    inputs: Vec<wgpu::Buffer>,
    outputs: Vec<wgpu::Buffer>,
}

impl Buffers {
    fn new(session: &Session, shift: u64) -> Buffers {
        use wgpu::BufferUsages as Usage;
        let make = |port: &shadernet::plan::Port| {
            let usage = Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
            let descriptor =
                wgpu::BufferDescriptor { label: None, size: shift + port.bytes(), usage, mapped_at_creation: false };
            session.context().device().create_buffer(&descriptor)
        };
        let (inputs, outputs) = (session.inputs(), session.outputs());
        Buffers { shift, inputs: inputs.iter().map(make).collect(), outputs: outputs.iter().map(make).collect() }
    }

    fn bindings<'a>(&self, buffers: &'a [wgpu::Buffer]) -> Vec<wgpu::BufferBinding<'a>> {
        buffers.iter().map(|buffer| wgpu::BufferBinding { buffer, offset: self.shift, size: None }).collect()
    }

    fn bind(&self, session: &Session) -> shadernet::Result<shadernet::BoundBuffers> {
        session.bind(&self.bindings(&self.inputs), &self.bindings(&self.outputs))
    }

    fn write(&self, session: &Session, inputs: &[Vec<f32>]) {
        for (buffer, values) in self.inputs.iter().zip(inputs) {
            session.context().queue().write_buffer(buffer, self.shift, bytemuck::cast_slice(values));
        }
    }

    /// Runs a frame as a host does: with its own writes, encoder, submission and readback.
    fn run(&self, session: &Session, bound: &shadernet::BoundBuffers, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
        self.write(session, inputs);
        let mut encoder = encoder(session.context());
        session.encode(&mut encoder, bound).expect("it is this session's");
        self.read(session, encoder)
    }

    /// Submits the recorded commands and reads the outputs.
    fn read(&self, session: &Session, mut encoder: wgpu::CommandEncoder) -> Vec<Vec<f32>> {
        let (device, queue) = (session.context().device(), session.context().queue());
        let downloads: Vec<wgpu::Buffer> = session
            .outputs()
            .iter()
            .zip(&self.outputs)
            .map(|(port, output)| {
                let descriptor = wgpu::BufferDescriptor {
                    label: None,
                    size: port.bytes(),
                    usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                    mapped_at_creation: false,
                };
                let download = device.create_buffer(&descriptor);
                encoder.copy_buffer_to_buffer(output, self.shift, &download, 0, port.bytes());
                download
            })
            .collect();
        queue.submit([encoder.finish()]);
        let read = |(port, download): (&shadernet::plan::Port, &wgpu::Buffer)| {
            download.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("the device is there"));
            device.poll(wgpu::PollType::wait_indefinitely()).expect("the device is there");
            let view = download.get_mapped_range(..4 * port.shape.elements() as u64).expect("it is mapped");
            bytemuck::pod_collect_to_vec(&view)
        };
        session.outputs().iter().zip(&downloads).map(read).collect()
    }
}

#[test]
fn a_host_lends_its_buffers_and_encoder() {
    let _alone = alone();
    for context in [context(), portable()] {
        let session = Model::new(&context, &two_in_three_out()).and_then(|model| model.session(1)).expect("it fits");
        let alignment = u64::from(context.device().limits().min_storage_buffer_offset_alignment);
        let frame = |seed| vec![seeded_input(seed, &[3, 6, 7].into()), seeded_input(seed + 1, &[5, 6, 7].into())];
        let [first, second] = [Buffers::new(&session, 0), Buffers::new(&session, alignment)];
        let bound = [&first, &second].map(|buffers| buffers.bind(&session).unwrap_or_else(|error| panic!("{error}")));
        for seed in [0, 10] {
            assert_eq!(first.run(&session, &bound[0], &frame(seed)), run(&session, &frame(seed)));
            assert_eq!(second.run(&session, &bound[1], &frame(seed + 5)), run(&session, &frame(seed + 5)));
        }

        // Two frames in one encoder and one submission use separate buffers.
        let mut encoder = encoder(&context);
        for (buffers, bound) in [(&first, &bound[0]), (&second, &bound[1])] {
            for (buffer, values) in buffers.inputs.iter().zip(frame(20 + buffers.shift)) {
                context.queue().write_buffer(buffer, buffers.shift, bytemuck::cast_slice(&values));
            }
            session.encode(&mut encoder, bound).expect("it is this session's");
        }
        // Recorded frames run only when the host submits them.
        context.queue().submit([encoder.finish()]);
        for (buffers, bound) in [(&first, &bound[0]), (&second, &bound[1])] {
            let inputs = frame(20 + buffers.shift);
            let expected = run(&session, &inputs);
            assert_eq!(buffers.run(&session, bound, &inputs), expected);
        }
    }
}

#[test]
fn buffers_that_another_session_bound_are_refused() {
    let _alone = alone();
    let context = context();
    let model = Model::new(&context, &digits()).expect("it has an output");
    let [one, other] = [model.session(1), model.session(1)].map(|session| session.expect("it fits"));
    let bound = Buffers::new(&one, 0).bind(&one).expect("they serve");
    let mut encoder = encoder(&context);
    let error = other.encode(&mut encoder, &bound).expect_err("they are the first session's");
    assert_eq!(argument(&error), "bound");
    one.encode(&mut encoder, &bound).expect("it is this session's");
}

#[test]
fn what_a_host_lends_is_checked() {
    let _alone = alone();
    let context = context();
    let session = Model::new(&context, &digits()).and_then(|model| model.session(1)).expect("it fits");
    let buffer = |size: u64, usage: wgpu::BufferUsages| {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        context.device().create_buffer(&descriptor)
    };
    let storage = wgpu::BufferUsages::STORAGE;
    let (input, output) = (buffer(256, storage), buffer(48, storage));
    assert_eq!(
        (session.inputs()[0].bytes(), session.outputs()[0].bytes()),
        (256, 48),
        "64 pixels, ten digits and padding"
    );
    let whole = |buffer| wgpu::BufferBinding { buffer, offset: 0, size: None };
    let bind =
        |inputs: &[wgpu::BufferBinding], outputs: &[wgpu::BufferBinding]| session.bind(inputs, outputs).map(drop);
    bind(&[whole(&input)], &[whole(&output)]).expect("they serve");

    let refused = |inputs: &[wgpu::BufferBinding], outputs: &[wgpu::BufferBinding], argument_: &str, wanted_: &str| {
        let created = context.created();
        let error = bind(inputs, outputs).expect_err("it should be refused");
        assert_eq!(argument(&error), argument_);
        assert!(error.to_string().contains(wanted_), "{error}");
        assert_eq!(context.created(), created, "it is known before anything is created");
    };
    refused(&[], &[whole(&output)], "inputs", "1 buffers");
    refused(&[whole(&input)], &[], "outputs", "1 buffers");
    let small = buffer(252, storage);
    refused(&[whole(&small)], &[whole(&output)], "the buffer of \"image\"", "at least 256 bytes");
    let small = buffer(40, storage);
    refused(&[whole(&input)], &[whole(&small)], "the buffer of \"logits\"", "at least 48 bytes");
    let part = |size| wgpu::BufferBinding { size: wgpu::BufferSize::new(size), ..whole(&input) };
    refused(&[part(128)], &[whole(&output)], "the buffer of \"image\"", "at least 256 bytes");
    let beyond = wgpu::BufferBinding { size: wgpu::BufferSize::new(512), ..whole(&input) };
    refused(&[beyond], &[whole(&output)], "the buffer of \"image\"", "at least 256 bytes");
    let large = buffer(1024, storage);
    let shifted = |offset| wgpu::BufferBinding { offset, ..whole(&large) };
    refused(&[shifted(4)], &[whole(&output)], "the buffer of \"image\"", "an offset that is a multiple of");
    refused(&[shifted(1024)], &[whole(&output)], "the buffer of \"image\"", "at least 256 bytes");
    refused(&[shifted(2048)], &[whole(&output)], "the buffer of \"image\"", "at least 256 bytes");
    let uniform = buffer(256, wgpu::BufferUsages::UNIFORM);
    refused(&[whole(&uniform)], &[whole(&output)], "the buffer of \"image\"", "usage STORAGE");
    refused(&[whole(&large)], &[whole(&large)], "output \"logits\"", "isn't an input or another output too");
}

#[test]
fn one_buffer_for_two_outputs_is_refused() {
    let _alone = alone();
    let session = Model::new(&context(), &two_in_three_out()).and_then(|model| model.session(1)).expect("it fits");
    let buffers = Buffers::new(&session, 0);
    let mut outputs = buffers.bindings(&buffers.outputs);
    outputs[2] = outputs[0].clone();
    let error =
        session.bind(&buffers.bindings(&buffers.inputs), &outputs).map(drop).expect_err("one would overwrite another");
    assert_eq!(argument(&error), "output \"b\"");
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
    assert_eq!(refused(&[("a", &a), ("a", &a)]), "input \"b\": wanted one of that name, got none");
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

/// An operation from outside the crate, with its own WGSL.
#[derive(Debug)]
struct Affine {
    scale: u32,
}

const AFFINE: &str = "
override SHIFT: u32 = 0u;
struct Params { count: u32, scale: u32, pad_a: u32, pad_b: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.count { y[id.x] = x[id.x] * f32(params.scale) + f32(SHIFT); }
}";

impl Op for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let count = io.outputs[0].elements();
        let shader = Shader::new("affine", AFFINE, &[]).set("SHIFT", 3u32);
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let dispatch = Dispatch::new(shader, &[count as u32, self.scale, 0, 0], bindings, count.div_ceil(64));
        Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
    }
}

#[test]
fn an_operation_of_ones_own_runs_among_the_others() {
    let _alone = alone();
    for context in [context(), portable()] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 3, 5, 6]);
        let y = graph.pool2d(x, Pool2d::new(PoolKind::Max, 1)).expect("an image");
        let y = graph.push(Affine { scale: 2 }, &[y]).expect("any shape serves");
        let y = graph.relu(y).expect("any shape serves");
        graph.output("y", y);
        let session = Model::new(&context, &graph).and_then(|model| model.session(2)).expect("it fits");
        let x = seeded_input(0, &[2, 3, 5, 6].into()).iter().map(|x| 4.0 * x).collect::<Vec<_>>();
        let want: Vec<f32> = x.iter().map(|x| (2.0 * x + 3.0).max(0.0)).collect();
        assert_eq!(run(&session, &[x])[0], want, "{}", session.plan());
    }
}

#[test]
fn an_operation_whose_shader_is_wrong_is_an_error() {
    #[derive(Debug)]
    struct Wrong(&'static str);

    impl Op for Wrong {
        fn name(&self) -> &'static str {
            "wrong"
        }

        fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
            Ok(inputs.to_vec())
        }

        fn kernels(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
            let shader = Shader::new("wrong", self.0, &[]);
            let dispatch = Dispatch::new(shader, &[0u32; 4], vec![Binding::Input(0), Binding::Output(0)], 1);
            Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
        }
    }

    // The first text isn't WGSL; the second declares 32 bytes of parameters, but the dispatch has 16.
    const NONSENSE: &str = "@compute @workgroup_size(1) fn main() { nonsense(); }";
    const GREEDY: &str = "
@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 2>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = x[params[1].x]; }";
    let _alone = alone();
    for (shader, said) in [(NONSENSE, "nonsense"), (GREEDY, "32")] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 4]);
        let y = graph.push(Wrong(shader), &[x]).expect("any shape serves");
        graph.output("y", y);
        let error = Model::new(&context(), &graph).and_then(|model| model.session(1)).expect_err("it doesn't compile");
        assert!(matches!(error.kind, ErrorKind::Device(_)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn an_adapter_that_is_not_there_is_an_error() {
    let error = block_on(Context::with(&ContextOptions::new().adapter("no such adapter"))).expect_err("there is none");
    assert!(matches!(error.kind, ErrorKind::NoAdapter { .. }), "{error}");
    assert!(error.to_string().contains("\"no such adapter\""), "{error}");
}
