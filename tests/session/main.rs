//! Sessions: their GPU objects, their order of frames, hosts' buffers and encoders, and refusals.

mod buffers;
mod cache;
mod frames;
mod hosts;
mod lent;
mod operations;
mod slices;
mod states;

use pollster::block_on;
use shadernet::models::{digits_weights, find};
use shadernet::ops::{Conv2d, Pool2d, PoolKind};
use shadernet::{BATCH, Context, ContextOptions, ErrorKind, Graph, Session, Weights, seeded_input};
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
        let sum = graph.add(y, b)?;
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
fn an_adapter_that_is_not_there_is_an_error() {
    let error = block_on(Context::with(&ContextOptions::new().adapter("no such adapter"))).expect_err("there is none");
    assert!(matches!(error.kind, ErrorKind::NoAdapter { .. }), "{error}");
    assert!(error.to_string().contains("\"no such adapter\""), "{error}");
}
