//! One buffer in several bindings: allowed uses, and errors before anything is created.

use super::{Buffers, alone, argument, context, encoder, portable, run, two_in_three_out};
use shadernet::{BATCH, Constant, Context, Graph, Model, Result, Session, Value, seeded_input};

fn storage(context: &Context, size: u64) -> wgpu::Buffer {
    use wgpu::BufferUsages as Usage;
    let usage = Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
    context.device().create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
}

fn at(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}

fn network(context: &Context, build: impl Fn(&mut Graph, Value) -> Result<Value>) -> Session {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 8]);
    let y = build(&mut graph, x).unwrap_or_else(|error| panic!("{error}"));
    graph.output("y", y);
    Model::new(context, &graph).and_then(|model| model.session(1)).unwrap_or_else(|error| panic!("{error}"))
}

fn plus(graph: &mut Graph, x: Value, number: f32) -> Result<Value> {
    let number = graph.constant(Constant::new("number", [1], vec![number]).unwrap());
    graph.add(x, number)
}

/// Inputs are only read: their ranges may be adjacent or overlap.
#[test]
fn inputs_share_a_buffer() {
    let _alone = alone();
    for context in [context(), portable()] {
        let session = Model::new(&context, &two_in_three_out()).and_then(|model| model.session(1)).expect("it fits");
        let [a, b] = [(1, [3, 6, 7]), (2, [5, 6, 7])].map(|(seed, shape)| seeded_input(seed, &shape.into()));
        let alignment = u64::from(context.device().limits().min_storage_buffer_offset_alignment);
        let behind = session.inputs()[0].bytes().next_multiple_of(alignment);
        let shared = storage(&context, behind + session.inputs()[1].bytes());
        let buffers = Buffers::new(&session, 0);
        for (second, inputs) in [(behind, [a.clone(), b.clone()]), (0, [b[..a.len()].to_vec(), b.clone()])] {
            context.queue().write_buffer(&shared, 0, bytemuck::cast_slice(&inputs[0]));
            context.queue().write_buffer(&shared, second, bytemuck::cast_slice(&inputs[1]));
            let lent = [at(&shared, 0, behind), at(&shared, second, session.inputs()[1].bytes())];
            let bound = session.bind(&lent, &buffers.bindings(&buffers.outputs)).expect("both are read");
            let mut encoder = encoder(&context);
            session.encode(&mut encoder, &bound).expect("it is this session's");
            assert_eq!(buffers.read(&session, encoder), run(&session, &inputs));
        }
    }
}

/// WebGPU tracks a whole buffer, not ranges: an output's buffer has no other binding.
#[test]
fn ranges_of_one_buffer_for_an_output_and_something_else_are_refused() {
    let _alone = alone();
    let context = context();
    let session = Model::new(&context, &two_in_three_out()).and_then(|model| model.session(1)).expect("it fits");
    let buffers = Buffers::new(&session, 0);
    let large = storage(&context, 1 << 20);
    let part = |i: u64| at(&large, i << 16, 1 << 16);
    let refused = |inputs: &[wgpu::BufferBinding], outputs: &[wgpu::BufferBinding], argument_: &str| {
        let created = context.created();
        let error = session.bind(inputs, outputs).map(drop).expect_err("one buffer for two");
        assert_eq!(argument(&error), argument_);
        assert!(error.to_string().contains("wanted a buffer that isn't an input or another output too"), "{error}");
        assert_eq!(context.created(), created);
    };
    let (inputs, outputs) = (buffers.bindings(&buffers.inputs), buffers.bindings(&buffers.outputs));
    refused(&[part(0), inputs[1].clone()], &[part(1), outputs[1].clone(), outputs[2].clone()], "output \"sum\"");
    refused(&[inputs[0].clone(), part(2)], &[outputs[0].clone(), outputs[1].clone(), part(1)], "output \"b\"");
    refused(&inputs, &[outputs[0].clone(), part(0), part(1)], "output \"b\"");
    refused(&inputs, &[part(3), part(0), outputs[2].clone()], "output \"pooled\"");
    // An output that is a view of an input is written too.
    let session = network(&context, |graph, x| graph.reshape(x, [2, 4]));
    let error = session.bind(&[part(0)], &[part(0)]).map(drop).expect_err("one buffer for two");
    assert_eq!(argument(&error), "output \"y\"");
}

/// A session's outputs are the other's inputs, there and back, in one encoder.
#[test]
fn sessions_pass_buffers_to_each_other() {
    let _alone = alone();
    for context in [context(), portable()] {
        let double = network(&context, |graph, x| graph.add(x, x));
        let more = network(&context, |graph, x| plus(graph, x, 1.0));
        let view = network(&context, |graph, x| graph.reshape(x, [4, 2]));
        let [a, b] = [(); 2].map(|()| storage(&context, 32));
        let bind = |session: &Session, from: &wgpu::Buffer, to: &wgpu::Buffer| {
            session.bind(&[at(from, 0, 32)], &[at(to, 0, 32)]).unwrap_or_else(|error| panic!("{error}"))
        };
        let there = bind(&double, &a, &b);
        let back = bind(&more, &b, &a);
        let copied = bind(&view, &a, &b);
        context.queue().write_buffer(&a, 0, bytemuck::cast_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]));
        let mut encoder = encoder(&context);
        for _ in 0..2 {
            double.encode(&mut encoder, &there).expect("it is this session's");
            more.encode(&mut encoder, &back).expect("it is this session's");
        }
        view.encode(&mut encoder, &copied).expect("it is this session's");
        let read = Buffers { shift: 0, inputs: vec![a], outputs: vec![b] };
        let wanted: Vec<f32> = (1..=8).map(|x| (x as f32 * 2.0 + 1.0) * 2.0 + 1.0).collect();
        assert_eq!(read.read(&view, encoder), [wanted]);
    }
}

/// Sessions that share a state run one after the other in one encoder.
#[test]
fn sessions_that_share_a_state_run_in_one_encoder() {
    let _alone = alone();
    for context in [context(), portable()] {
        let model = |more: f32| {
            let mut graph = Graph::new();
            let x = graph.input("x", [BATCH, 8]);
            let state = graph.state("state", [BATCH, 8]);
            graph.output("before", state.value());
            let sum = graph.add(state.value(), x).expect("they fit");
            let sum = plus(&mut graph, sum, more).expect("they fit");
            graph.assign(state, sum).expect("it fits");
            Model::new(&context, &graph).expect("it has an output")
        };
        let one = model(0.0).session(1).expect("it fits");
        let other = model(10.0).session_sharing(1, &one).expect("they have the same states");
        let buffers = [&one, &other].map(|session| Buffers::new(session, 0));
        // Both sessions read the same input.
        let inputs = buffers[0].bindings(&buffers[0].inputs);
        let bound = [(&one, 0), (&other, 1)]
            .map(|(session, i)| session.bind(&inputs, &buffers[i].bindings(&buffers[i].outputs)).expect("they serve"));
        buffers[0].write(&one, &[vec![1.0; 8]]);
        for turn in [0.0, 12.0] {
            let mut both = encoder(&context);
            one.encode(&mut both, &bound[0]).expect("it is this session's");
            other.encode(&mut both, &bound[1]).expect("it is this session's");
            assert_eq!(buffers[0].read(&one, both), [vec![turn; 8]]);
            assert_eq!(buffers[1].read(&other, encoder(&context)), [vec![turn + 1.0; 8]]);
        }
    }
}
