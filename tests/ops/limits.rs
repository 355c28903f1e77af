//! Problems beyond a device's limits: split if possible, otherwise refused with the limit's name.

use crate::harness::tiers;
use pollster::block_on;
use shadernet::kernel::Caps;
use shadernet::ops::ConvTranspose2d;
use shadernet::selftest::cases::{constant, data, graph, random};
use shadernet::selftest::ops::embedding::embedding;
use shadernet::selftest::ops::index_select::indices;
use shadernet::selftest::reference::{self, Conv, Tensor};
use shadernet::{Context, ContextOptions, ErrorKind, Graph, Model, Op, Session};

/// Opens a context on the same adapter, with a device of these limits.
fn with(required_limits: wgpu::Limits) -> shadernet::Result<Context> {
    let wanted = tiers()[0].context.info();
    let adapters = block_on(ContextOptions::from_env().adapters());
    let same = |adapter: &&wgpu::Adapter| {
        let info = adapter.get_info();
        info.name == wanted.name && info.backend == wanted.backend
    };
    let adapter = adapters.iter().find(same).expect("it was there a moment ago");
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
    let (device, queue) = block_on(adapter.request_device(&descriptor)).expect("a device with lower limits");
    Context::from_wgpu(adapter, &device, &queue)
}

/// Opens a context whose device binds at most this many bytes of storage.
pub fn limited(max_binding: u64) -> Context {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: max_binding, ..wgpu::Limits::default() };
    with(limits).expect("it has what the portable kernels need")
}

fn linear(context: &Context, rows: usize, features: usize, out: usize) -> shadernet::Result<Session> {
    let mut graph = Graph::new();
    let x = graph.input("x", [rows, features]);
    let weight = random(2, [out, features]);
    let y = graph.linear(x, constant(&weight), Some(constant(&random(3, [out]))))?;
    graph.output("y", y);
    Model::new(context, &graph)?.session(1)
}

const LIMIT: u64 = 64 << 10;

#[test]
fn weights_larger_than_a_binding_are_split() {
    let context = limited(LIMIT);
    assert_eq!(context.caps().max_binding, LIMIT);
    let (features, out) = (100, 400);
    assert!((4 * features * out) as u64 > 2 * LIMIT, "the weights should exceed the limit several times");
    // Few rows have a kernel of their own, and so have many rows.
    for rows in [3, 20] {
        let session = linear(&context, rows, features, out).unwrap_or_else(|error| panic!("{error}"));
        let plan = session.plan();
        assert_eq!(plan.steps.len(), 1, "{plan}");
        assert!(plan.dispatches() > 2, "{plan}");
        let x = random(1, [rows, features]);
        let got = session.run_blocking(&[&x.data]).unwrap_or_else(|error| panic!("{error}"));
        let want = reference::linear(&x, &random(2, [out, features]), Some(&random(3, [out])));
        for (i, (got, want)) in got[0].to_f32().iter().zip(&want.data).enumerate() {
            assert!((got - want).abs() < 1e-5, "{rows} rows, element {i}: got {got}, wanted {want}\n{plan}");
        }
    }
}

/// Runs an operation whose weights take two or more bindings of `LIMIT` bytes.
fn split(x: &Tensor, op: impl Op, want: &Tensor) {
    let mut graph = Graph::new();
    let value = graph.input("x", x.shape.clone());
    let name = op.name();
    let y = graph.push(op, &[value]).unwrap_or_else(|error| panic!("{error}"));
    graph.output("y", y);
    let session = Model::new(&limited(LIMIT), &graph).and_then(|model| model.session(1));
    let session = session.unwrap_or_else(|error| panic!("{error}"));
    let plan = session.plan();
    let kernel = |step: &&shadernet::plan::Step| step.op == name;
    let same = plan.steps.iter().find(kernel).expect("it is planned").dispatches.iter();
    assert!(same.filter(|(dispatch, _)| name.starts_with(dispatch.shader.name())).count() > 1, "{plan}");
    let got = session.run_blocking(&[&x.data]).unwrap_or_else(|error| panic!("{error}"));
    for (i, (got, want)) in got[0].to_f32().iter().zip(&want.data).enumerate() {
        assert!((got - want).abs() < 1e-4, "{name}, element {i}: got {got}, wanted {want}\n{plan}");
    }
}

#[test]
fn weights_of_convolutions_larger_than_a_binding_are_split() {
    let (x, weight, bias) = (random(1, [1, 40, 2, 3]), random(2, [40, 83, 3, 3]), random(3, [83]));
    let double = Conv::<2> { stride: [2; 2], ..Conv::ONE };
    let op = ConvTranspose2d::new(constant(&weight), Some(constant(&bias))).stride(2);
    split(&x, op, &reference::conv_transpose(&x, &weight, Some(&bias), &double));
}

#[test]
fn embeddings_larger_than_a_binding_are_split() {
    let context = limited(LIMIT);
    let (size, length) = (1000, 36);
    assert!((4 * size * length) as u64 > 2 * LIMIT, "the weight should exceed the limit several times");
    let (index, weight) = (indices(&[7, 50], size), random(1, [size, length]));
    let graph = graph(&[&index], |graph, x| graph.embedding(x[0], constant(&weight)));
    let session =
        Model::new(&context, &graph).and_then(|model| model.session(1)).unwrap_or_else(|error| panic!("{error}"));
    let plan = session.plan();
    assert_eq!((plan.steps.len(), plan.dispatches()), (1, 3), "{plan}");
    let got = session.run_blocking(&[data(&index)]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(got[0], embedding(&index, &weight).data);
}

#[test]
fn a_block_of_weights_larger_than_a_binding_is_refused() {
    let context = limited(LIMIT);
    let created = context.created();
    let error = linear(&context, 3, 300, 10).expect_err("64 outputs of 300 features don't fit");
    assert_eq!(error.at.as_ref().expect("it names its node").0, "linear");
    match error.kind {
        ErrorKind::Limit { limit, need, have, .. } => {
            assert_eq!((limit, need, have), ("max_storage_buffer_binding_size", 64 * 300 * 4, LIMIT));
        }
        other => panic!("{other}"),
    }
    assert_eq!(context.created(), created, "it is known before anything is created");
}

#[test]
fn values_larger_than_a_binding_are_refused() {
    let context = limited(LIMIT);
    let error = linear(&context, 3000, 10, 10).expect_err("its input is of 120,000 bytes");
    let ErrorKind::Limit { limit, need, .. } = error.kind else { panic!("{error}") };
    assert_eq!((limit, need), ("max_storage_buffer_binding_size", 120_000));
}

#[test]
fn a_device_below_webgpus_defaults_is_refused() {
    let refused = |limits| match with(limits).expect_err("the portable kernels need more").kind {
        ErrorKind::Limit { limit, need, have, .. } => (limit, need, have),
        other => panic!("{other}"),
    };
    let (default, least) = (wgpu::Limits::default, Caps::portable());
    let small = wgpu::Limits { max_compute_invocations_per_workgroup: 128, ..default() };
    assert_eq!(refused(small), ("max_compute_invocations_per_workgroup", u64::from(least.max_invocations), 128));
    let small = wgpu::Limits { max_compute_workgroup_storage_size: 8192, ..default() };
    assert_eq!(refused(small), ("max_compute_workgroup_storage_size", u64::from(least.max_workgroup_memory), 8192));
    let few = wgpu::Limits { max_storage_buffers_per_shader_stage: 7, ..default() };
    assert_eq!(refused(few), ("max_storage_buffers_per_shader_stage", u64::from(least.max_storage_buffers), 7));
}
