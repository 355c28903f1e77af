//! Kernels one by one: `cargo bench --bench kernels [FILTER]` prints milliseconds and GFLOP/s of each case, a line each.
//!
//! A frame here goes from buffer to buffer on the device: it is encoded, submitted and waited for, and nothing is copied.

use shadernet::ops::{Conv2d, MatMul};
use shadernet::{BATCH, Constant, Context, ContextOptions, Graph, Model, Result, seeded_input, wgpu};
use std::time::Instant;

fn main() -> Result<()> {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let context = pollster::block_on(Context::with(&ContextOptions::from_env()))?;
    println!("{} ({:?}, {})", context.info().name, context.info().backend, context.info().driver_info);
    println!("{:<42} {:>10} {:>10}", "case", "ms", "GFLOP/s");
    for n in [256, 512, 1024] {
        let mut graph = Graph::new();
        let (a, b) = (graph.input("a", [n, n]), graph.input("b", [n, n]));
        let y = graph.push(MatMul::new(), &[a, b])?;
        graph.output("y", y);
        report(&context, &filter, &format!("matmul {n}x{n}x{n}"), &graph)?;
    }
    // (input channels, output channels, kernel, stride, groups, size): layers of ResNet and MobileNetV2.
    for (c, o, k, s, g, size) in [
        (3, 64, 7, 2, 1, 224),
        (64, 64, 3, 1, 1, 56),
        (128, 128, 3, 1, 1, 28),
        (256, 256, 3, 1, 1, 14),
        (512, 512, 3, 1, 1, 7),
        (64, 256, 1, 1, 1, 56),
        (256, 64, 1, 1, 1, 56),
        (1024, 256, 1, 1, 1, 14),
        (16, 96, 1, 1, 1, 112),
        (128, 128, 3, 1, 32, 56),
        (96, 96, 3, 2, 96, 112),
        (144, 144, 3, 1, 144, 56),
        (576, 576, 3, 1, 576, 14),
        (960, 960, 3, 1, 960, 7),
    ] {
        let mut graph = Graph::new();
        let shape = [o, c / g, k, k];
        let weight = Constant::new("weight", shape, seeded_input(1, &shape.into()));
        let x = graph.input("x", [BATCH, c, size, size]);
        let y = graph.conv2d(x, Conv2d::new(weight, None).stride(s).padding(k / 2).groups(g))?;
        graph.output("y", y);
        report(&context, &filter, &format!("conv2d {c}->{o} {k}x{k}/{s} groups {g} @{size}"), &graph)?;
    }
    Ok(())
}

/// The median of at least seven frames, for half a second.
fn report(context: &Context, filter: &str, name: &str, graph: &Graph) -> Result<()> {
    if !name.contains(filter) {
        return Ok(());
    }
    let session = Model::new(context, graph)?.session(1)?;
    let buffer = |port: &shadernet::plan::Port, usage| {
        let descriptor = wgpu::BufferDescriptor { label: None, size: port.bytes(), usage, mapped_at_creation: false };
        context.device().create_buffer(&descriptor)
    };
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let inputs: Vec<_> = session.inputs().iter().map(|port| buffer(port, usage)).collect();
    let outputs: Vec<_> = session.outputs().iter().map(|port| buffer(port, usage)).collect();
    for (i, (port, buffer)) in session.inputs().iter().zip(&inputs).enumerate() {
        context.queue().write_buffer(buffer, 0, bytemuck::cast_slice(&seeded_input(i as u64, &port.shape)));
    }
    let bound = session.bind(&bindings(&inputs), &bindings(&outputs))?;
    let frame = || -> Result<f64> {
        let start = Instant::now();
        let mut encoder = context.device().create_command_encoder(&Default::default());
        session.encode(&mut encoder, &bound)?;
        context.queue().submit([encoder.finish()]);
        let waited = context.device().poll(wgpu::PollType::wait_indefinitely());
        waited.map_err(|error| shadernet::ErrorKind::Device(error.to_string()))?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    frame()?;
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 7 || start.elapsed().as_millis() < 500 {
        times.push(frame()?);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let mut macs = 0;
    graph.visit(1, |node, io| {
        macs += node.op.cost(io).macs;
        Ok(())
    })?;
    println!("{name:<42} {median:>10.3} {:>10.1}", 2.0 * macs as f64 / median / 1e6);
    Ok(())
}

fn bindings(buffers: &[wgpu::Buffer]) -> Vec<wgpu::BufferBinding<'_>> {
    buffers.iter().map(wgpu::Buffer::as_entire_buffer_binding).collect()
}
