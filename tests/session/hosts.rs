//! Hosts' devices: with few features and many, lost and made again.

use super::{Buffers, alone, digits, encoder, images, run, two_in_three_out};
use pollster::block_on;
use shadernet::{Context, ErrorKind, Model, seeded_input};
use std::fmt::Debug;

fn adapter() -> wgpu::Adapter {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).expect("an adapter")
}

fn device(adapter: &wgpu::Adapter, features: wgpu::Features, limits: wgpu::Limits) -> Context {
    let descriptor =
        wgpu::DeviceDescriptor { required_features: features, required_limits: limits, ..Default::default() };
    let (device, queue) = block_on(adapter.request_device(&descriptor)).expect("a device that the adapter has");
    Context::from_wgpu(adapter, &device, &queue).expect("it has the default limits")
}

/// Opens a device with WebGPU's default limits and no optional feature.
fn host() -> Context {
    device(&adapter(), wgpu::Features::empty(), wgpu::Limits::default())
}

#[test]
fn no_feature_is_needed_and_each_serves_alone() {
    let _alone = alone();
    let adapter = adapter();
    let there = Context::required_features(&adapter);
    assert!(adapter.features().contains(there));
    let limits = Context::required_limits(&adapter, wgpu::Limits::default());
    assert!(limits.check_limits(&adapter.limits()), "the adapter has them");
    assert!(wgpu::Limits::default().check_limits(&limits), "and they are no lower than the host's");
    let each = Context::optional_features().map(|(feature, buys)| {
        assert!(!buys.is_empty(), "{feature:?}");
        feature & there
    });
    let frame = |context: &Context| {
        let session = Model::new(context, &digits()).and_then(|model| model.session(2)).expect("it fits");
        run(&session, &[images(0, 2)])
    };
    let expected = frame(&host());
    for features in each.into_iter().chain([there]) {
        // Timestamps inside passes require timestamps at passes.
        let needed = wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS;
        let with = if features.intersects(needed) { wgpu::Features::TIMESTAMP_QUERY } else { features };
        let context = device(&adapter, features | with, limits.clone());
        assert_eq!(frame(&context), expected, "{features:?}");
        assert_eq!(context.device().features() & there, features | with, "{features:?}");
    }
}

/// Two threads each record a network on one device; the host submits both at once.
#[test]
fn threads_record_and_the_host_submits() {
    let _alone = alone();
    let context = host();
    let sessions = [digits(), two_in_three_out()]
        .map(|graph| Model::new(&context, &graph).and_then(|model| model.session(1)).expect("it fits"));
    let inputs = sessions.each_ref().map(|session| {
        let each = session.inputs().iter().enumerate();
        each.map(|(i, port)| seeded_input(i as u64, &port.shape)).collect::<Vec<_>>()
    });
    let expected = [0, 1].map(|i| run(&sessions[i], &inputs[i]));
    let lent = sessions.each_ref().map(|session| Buffers::new(session, 0));
    let recorded: Vec<wgpu::CommandBuffer> = std::thread::scope(|scope| {
        let threads = [0, 1].map(|i| {
            let (session, lent, inputs) = (&sessions[i], &lent[i], &inputs[i]);
            scope.spawn(move || {
                let bound = lent.bind(session).expect("they serve");
                lent.write(session, inputs);
                let mut encoder = encoder(session.context());
                session.encode(&mut encoder, &bound).expect("it is this session's");
                encoder.finish()
            })
        });
        threads.map(|thread| thread.join().expect("it records")).into()
    });
    context.queue().submit(recorded);
    for i in 0..2 {
        assert_eq!(lent[i].read(&sessions[i], encoder(&context)), expected[i]);
    }
}

fn expect_lost<T: Debug>(what: &str, result: shadernet::Result<T>) {
    let error = result.expect_err(what);
    assert!(matches!(error.kind, ErrorKind::DeviceLost(_)), "{what}: {error}");
}

#[test]
fn a_lost_device_is_an_error_and_a_new_one_goes_on() {
    let _alone = alone();
    let context = host();
    let model = Model::new(&context, &digits()).expect("it has an output");
    let session = model.session(1).expect("it fits");
    let expected = run(&session, &[images(0, 1)]);
    let buffers = Buffers::new(&session, 0);
    let bound = buffers.bind(&session).expect("they serve");
    let [waited, awaited] = [(); 2].map(|()| session.submit(&[images(0, 1)]).expect("it is there"));
    context.device().destroy();

    // Frames in flight are lost, or were just done.
    for (what, outputs) in [("waited for", waited.wait()), ("awaited", block_on(awaited))] {
        match outputs {
            Ok(outputs) => assert_eq!(outputs[0].f32().expect("its outputs are f32s"), expected[0], "{what}"),
            lost => expect_lost(what, lost),
        }
    }
    expect_lost("run", block_on(session.run(&[images(0, 1)])));
    expect_lost("run_blocking", session.run_blocking(&[images(0, 1)]));
    expect_lost("a session", model.session(1));
    expect_lost("a session for a batch that needs new memory", model.session(5));
    // As in wgpu itself, commands recorded and submitted there are ignored.
    let mut encoder = encoder(&context);
    session.encode(&mut encoder, &bound).expect("it is this session's");
    context.queue().submit([encoder.finish()]);
    expect_lost("run, later", session.run_blocking(&[images(0, 1)]));

    let again = model.on(&host()).session(1).expect("it fits");
    assert_eq!(run(&again, &[images(0, 1)]), expected);
}

/// Devices are dropped with all their objects.
#[test]
fn a_thousand_rebuilds_leave_nothing_behind() {
    let _alone = alone();
    let mut context = host();
    let model = Model::new(&context, &digits()).expect("it has an output");
    let expected = run(&model.session(1).expect("it fits"), &[images(0, 1)]);
    let mut before = None;
    for i in 1..=1000 {
        let session = model.on(&context).session(1).expect("it fits");
        assert_eq!(run(&session, &[images(0, 1)]), expected);
        if i % 25 == 0 {
            context.device().destroy();
            expect_lost("run", session.run_blocking(&[images(0, 1)]));
            context = host();
        }
        if i == 200 {
            before = resident();
        }
    }
    // Memory varies by some 10 MiB; a session holds about 1 MiB, a device with its pipelines several.
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after < before + (64 << 20), "{before} bytes after 200 rebuilds, {after} after 1000");
    }
}

/// Returns this process's resident memory in bytes, if the system reports it.
fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<u64>().ok()?;
    Some(pages * 4096)
}

/// An error names objects of another device. wgpu hides an encoder's device, but refuses to finish such an encoder.
#[test]
fn what_belongs_to_another_device_is_refused() {
    let _alone = alone();
    // Both devices are of one instance: wgpu panics at objects of another instance.
    let adapter = adapter();
    let [ours, theirs] = [(); 2].map(|()| device(&adapter, wgpu::Features::empty(), wgpu::Limits::default()));
    let of = |context: &Context| Model::new(context, &digits()).and_then(|model| model.session(1)).expect("it fits");
    let (session, other) = (of(&ours), of(&theirs));
    let error = Buffers::new(&other, 0).bind(&session).map(|_| ()).expect_err("they are another device's");
    assert!(matches!(error.kind, ErrorKind::Device(_)) && error.to_string().contains("device"), "{error}");
    let descriptor = wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: 8, height: 8, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    };
    let sampling = shadernet::texture::Sampling::new();
    let input = shadernet::texture::TextureInput::new(&ours, &session.inputs()[0], descriptor.format, sampling);
    let texture = theirs.device().create_texture(&descriptor);
    let error = input.and_then(|input| input.bind(&texture).map(|_| ())).expect_err("it is another device's");
    assert!(matches!(error.kind, ErrorKind::Device(_)) && error.to_string().contains("device"), "{error}");

    let bound = Buffers::new(&session, 0).bind(&session).expect("they serve");
    let scope = theirs.device().push_error_scope(wgpu::ErrorFilter::Validation);
    let mut encoder = encoder(&theirs);
    session.encode(&mut encoder, &bound).expect("nothing tells whose encoder it is");
    drop(encoder.finish());
    let error = block_on(scope.pop()).expect("the encoder is another device's");
    assert!(error.to_string().contains("Device"), "{error}");
}

#[test]
fn a_device_that_lacks_a_needed_limit_is_named() {
    let adapter = adapter();
    let lacking = |limits: wgpu::Limits| {
        let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
        let (device, queue) = block_on(adapter.request_device(&descriptor)).expect("a device with less");
        let error = Context::from_wgpu(&adapter, &device, &queue).expect_err("the kernels need more");
        match error.kind {
            ErrorKind::Limit { limit, need, have, .. } if need > have => limit,
            _ => panic!("{error}"),
        }
    };
    let all = wgpu::Limits::default();
    let limits = wgpu::Limits { max_compute_invocations_per_workgroup: 128, ..all.clone() };
    assert_eq!(lacking(limits), "max_compute_invocations_per_workgroup");
    let limits = wgpu::Limits { max_compute_workgroup_storage_size: 8 << 10, ..all.clone() };
    assert_eq!(lacking(limits), "max_compute_workgroup_storage_size");
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 7, ..all };
    assert_eq!(lacking(limits), "max_storage_buffers_per_shader_stage");
}
