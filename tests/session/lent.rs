//! Buffers and encoders that a host lends, and refusals of unfit ones.

use super::{Buffers, alone, argument, context, digits, encoder, portable, run, two_in_three_out};
use shadernet::{Model, seeded_input};

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
