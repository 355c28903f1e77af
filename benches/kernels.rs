//! Kernels one by one: `cargo bench --bench kernels -- [FILTER] [--products] [--sizes N,...] [--json]` prints a line
//! each: milliseconds, GFLOP/s, and GB/s beside the adapter's rate of copies. `--products`: only matrix products and
//! convolutions. `--sizes`: the sizes of the square products. `--json`: an object per line, with the layer.
//!
//! A frame here goes from buffer to buffer on the device, without a copy. One submission has so many frames that
//! waiting doesn't count. GB/s count each input and each output once.

use serde_json::{Value as Json, json};
use shadernet::ops::{
    Activation, Attention, BatchNorm2d, BinaryKind, Conv2d, GroupNorm, LayerNorm, MatMul, PackedLinear, Pool2d,
    PoolKind,
};
use shadernet::{
    BATCH, Constant, Context, ContextOptions, DType, ErrorKind, Graph, IntType, Model, Result, Value, seeded_input,
    wgpu,
};
use std::time::Instant;

/// The options and the device that all cases share.
struct Bench {
    context: Context,
    filter: String,
    sizes: Vec<usize>,
    json: bool,
    /// The rate of a copy in GB/s, read and written.
    copy: f64,
}

fn main() -> Result<()> {
    let (mut filter, mut sizes, mut json, mut products) = (String::new(), vec![256, 512, 1024], false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--products" => products = true,
            "--sizes" => sizes = parse_sizes(&arguments.next().unwrap_or_default())?,
            // cargo adds this.
            "--bench" => {}
            _ => filter = argument,
        }
    }
    let context = pollster::block_on(Context::with(&ContextOptions::from_env()))?;
    let mut bench = Bench { context, filter, sizes, json, copy: 0.0 };
    // An output that is an input is copied: 32 MiB, a quarter of WebGPU's smallest limit on a binding.
    let copied = graph(&[&[1 << 23]], |_, x| Ok(x[0]))?;
    bench.copy = bytes(&copied)? / bench.median(&copied)? / 1e6;
    if !json {
        let info = bench.context.info();
        println!("{} ({:?}, {})", info.name, info.backend, info.driver_info);
        println!("copy: {:.1} GB/s", bench.copy);
        println!("{:<42} {:>10} {:>10} {:>8} {:>8}", "case", "ms", "GFLOP/s", "GB/s", "of copy");
    }
    bench.products()?;
    if products {
        return Ok(());
    }
    bench.linears()?;
    bench.memory_bound()?;
    bench.attention()
}

fn parse_sizes(text: &str) -> Result<Vec<usize>> {
    let size = |text: &str| text.parse().ok().filter(|size| (1..=1 << 15).contains(size));
    let sizes: Option<Vec<usize>> = text.split(',').map(size).collect();
    sizes.ok_or_else(|| ErrorKind::argument("--sizes", "N,..., each 1 to 32768", text).into())
}

fn graph(shapes: &[&[usize]], build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value>) -> Result<Graph> {
    let mut graph = Graph::new();
    let inputs: Vec<Value> =
        shapes.iter().enumerate().map(|(i, &shape)| graph.input(format!("x{i}"), shape.to_vec())).collect();
    let y = build(&mut graph, &inputs)?;
    graph.output("y", y);
    Ok(graph)
}

fn weight(shape: &[usize]) -> Constant {
    Constant::new("weight", shape, seeded_input(1, &shape.into())).unwrap()
}

/// Returns weights in packed integers, with arbitrary bits.
fn packed(shape: &[usize], of: IntType) -> Constant {
    let bytes = shape.iter().product::<usize>() * of.bits() as usize / 8;
    Constant::packed("weight", shape, of, move || (0..bytes).map(|i| ((i * 37) >> 3) as u8).collect())
}

/// Returns the bytes that a frame has to move: its inputs and outputs.
fn bytes(graph: &Graph) -> Result<f64> {
    let ports = graph.inputs().iter().map(|input| input.value).chain(graph.outputs().iter().map(|(_, value)| *value));
    let sizes = ports.map(|value| Ok(4.0 * graph.shape(value, 1)?.elements() as f64));
    sizes.sum()
}

impl Bench {
    fn products(&self) -> Result<()> {
        for &n in &self.sizes {
            let product = graph(&[&[n, n], &[n, n]], |graph, x| graph.push(MatMul::new(), x))?;
            self.report_layer(&format!("matmul {n}x{n}x{n}"), &product, json!({ "matmul": n }))?;
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
            let conv = Conv2d::new(weight(&[o, c / g, k, k]), None).stride(s).padding(k / 2).groups(g);
            let layer = graph(&[&[BATCH, c, size, size]], |graph, x| graph.conv2d(x[0], conv))?;
            let parts = json!({ "channels": [c, o], "kernel": k, "stride": s, "groups": g, "size": size });
            let name = format!("conv2d {c}->{o} {k}x{k}/{s} groups {g} @{size}");
            self.report_layer(&name, &layer, json!({ "conv2d": parts }))?;
        }
        Ok(())
    }

    /// Runs linear layers of one row and of many, with weights in `f32` and in packed integers.
    fn linears(&self) -> Result<()> {
        for (rows, k, out) in [(1, 4096, 4096), (256, 1024, 1024)] {
            let name = |of: &str| format!("linear {rows}x{k}x{out} {of}");
            let layer = graph(&[&[rows, k]], |graph, x| graph.linear(x[0], weight(&[out, k]), None))?;
            self.report(&name("f32"), &layer)?;
            for of in [IntType::U4, IntType::I8] {
                let (q, scale) = (packed(&[out, k], of), weight(&[out, k / 32]));
                let linear = PackedLinear::new(q, scale).block_size(32);
                let layer = graph(&[&[rows, k]], |graph, x| graph.packed_linear(x[0], linear))?;
                self.report(&name(&format!("{of} in blocks of 32")), &layer)?;
            }
            let mut integers = Graph::new();
            let x = integers.typed_input("x", DType::I32, [rows, k]);
            let y = integers.integer_linear(x, packed(&[k, out], IntType::I8), [None; 2], None)?;
            integers.output("y", y);
            self.report(&name("of integers, i8"), &integers)?;
        }
        Ok(())
    }

    /// Runs layers that compute next to nothing: at best they are as fast as memory.
    fn memory_bound(&self) -> Result<()> {
        let (image, rows): (&[usize], &[usize]) = (&[8, 64, 112, 112], &[8192, 768]);
        let channels = || weight(&[64]);
        let one = |name: &str, shape: &[usize], build: &dyn Fn(&mut Graph, Value) -> Result<Value>| {
            self.report(&format!("{name} of {shape:?}"), &graph(&[shape], |graph, x| build(graph, x[0]))?)
        };
        one("relu", rows, &|graph, x| graph.relu(x))?;
        one("gelu", rows, &|graph, x| graph.activation(x, Activation::Gelu))?;
        let sum = graph(&[rows, rows], |graph, x| graph.add(x[0], x[1]))?;
        self.report(&format!("add of {rows:?}"), &sum)?;
        let gate = graph(&[rows, &[768]], |graph, x| graph.push(shadernet::ops::Binary::new(BinaryKind::Mul), x))?;
        self.report(&format!("mul of {rows:?} by [768]"), &gate)?;
        one("softmax", rows, &|graph, x| graph.softmax(x, 1))?;
        one("layer_norm", rows, &|graph, x| {
            graph.layer_norm(x, LayerNorm::new([768], Some(weight(&[768])), Some(weight(&[768]))))
        })?;
        one("mean over the last axis", rows, &|graph, x| graph.mean(x, [1]))?;
        one("mean over the first axis", rows, &|graph, x| graph.mean(x, [0]))?;
        one("batch_norm", image, &|graph, x| {
            graph.batch_norm(x, BatchNorm2d::new(channels(), channels(), channels(), weight_of_ones(64)))
        })?;
        one("group_norm", image, &|graph, x| {
            graph.group_norm(x, GroupNorm::new(8, Some(channels()), Some(channels())))
        })?;
        one("max_pool2d 3x3/2", image, &|graph, x| {
            graph.pool2d(x, Pool2d::new(PoolKind::Max, 3).stride(2).padding(1))
        })?;
        one("global mean", image, &|graph, x| graph.pool2d(x, Pool2d::adaptive(PoolKind::Average, [1, 1])))
    }

    /// Runs attention, and the three operations that it consists of: 8 heads of 64.
    fn attention(&self) -> Result<()> {
        for length in [256, 1024, 2048] {
            let heads: &[usize] = &[1, 8, length, 64];
            let fused = graph(&[heads; 3], |graph, x| graph.attention(x, Attention::new()))?;
            self.report(&format!("attention @{length}"), &fused)?;
            let composed = graph(&[heads; 3], |graph, x| {
                let scores = graph.push(MatMul::new().transpose_b(), &x[..2])?;
                let scale = graph.constant(Constant::new("scale", [1], vec![0.125]).unwrap());
                let scores = graph.mul(scores, scale)?;
                let weights = graph.softmax(scores, 3)?;
                graph.matmul(weights, x[2])
            })?;
            self.report(&format!("matmul, softmax, matmul @{length}"), &composed)?;
        }
        // One more token on a long cache, as in a decoder.
        let (query, cache): (&[usize], &[usize]) = (&[1, 32, 1, 128], &[1, 8, 8192, 128]);
        let decode = graph(&[query, cache, cache], |graph, x| graph.attention(x, Attention::new()))?;
        self.report("attention, 1 query of 32 heads @8192 of 8", &decode)
    }

    fn report(&self, name: &str, graph: &Graph) -> Result<()> {
        self.report_layer(name, graph, Json::Null)
    }

    fn report_layer(&self, name: &str, graph: &Graph, layer: Json) -> Result<()> {
        if !name.contains(&self.filter) {
            return Ok(());
        }
        let median = match self.median(graph) {
            // The largest products exceed the limits of some adapters.
            Err(error) if matches!(error.kind, ErrorKind::Limit { .. }) && self.json => {
                println!("{}", json!({ "case": name, "layer": layer, "error": error.to_string() }));
                return Ok(());
            }
            median => median?,
        };
        let mut macs = 0;
        graph.visit(1, |node, io| {
            macs += node.op.metrics(io).cost.macs;
            Ok(())
        })?;
        let rate = bytes(graph)? / median / 1e6;
        let (flops, share) = (2.0 * macs as f64 / median / 1e6, 100.0 * rate / self.copy);
        if self.json {
            println!("{}", json!({ "case": name, "layer": layer, "ms": median, "gflop_s": flops, "gb_s": rate }));
            return Ok(());
        }
        println!("{name:<42} {median:>10.3} {flops:>10.1} {rate:>8.2} {share:>6.0} %");
        Ok(())
    }

    /// Returns the milliseconds of a frame: the median of at least seven submissions, over half a second.
    fn median(&self, graph: &Graph) -> Result<f64> {
        let context = &self.context;
        let session = Model::new(context, graph)?.session(1)?;
        let buffer = |port: &shadernet::plan::Port, usage| {
            let descriptor =
                wgpu::BufferDescriptor { label: None, size: port.bytes(), usage, mapped_at_creation: false };
            context.device().create_buffer(&descriptor)
        };
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let inputs: Vec<_> = session.inputs().iter().map(|port| buffer(port, usage)).collect();
        let outputs: Vec<_> = session.outputs().iter().map(|port| buffer(port, usage)).collect();
        for (i, (port, buffer)) in session.inputs().iter().zip(&inputs).enumerate() {
            context.queue().write_buffer(buffer, 0, bytemuck::cast_slice(&seeded_input(i as u64, &port.shape)));
        }
        let bound = session.bind(&bindings(&inputs), &bindings(&outputs))?;
        let submit = |frames: usize| -> Result<f64> {
            let start = Instant::now();
            let mut encoder = context.device().create_command_encoder(&Default::default());
            for _ in 0..frames {
                session.encode(&mut encoder, &bound)?;
            }
            context.queue().submit([encoder.finish()]);
            let waited = context.device().poll(wgpu::PollType::wait_indefinitely());
            waited.map_err(|error| ErrorKind::Device(error.to_string()))?;
            Ok(start.elapsed().as_secs_f64() * 1e3 / frames as f64)
        };
        submit(1)?;
        let frames = (10.0 / submit(1)?).clamp(1.0, 100.0) as usize;
        let start = Instant::now();
        let mut times = Vec::new();
        while times.len() < 7 || start.elapsed().as_millis() < 500 {
            times.push(submit(frames)?);
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}

fn weight_of_ones(count: usize) -> Constant {
    Constant::new("ones", [count], vec![1.0; count]).unwrap()
}

fn bindings(buffers: &[wgpu::Buffer]) -> Vec<wgpu::BufferBinding<'_>> {
    buffers.iter().map(wgpu::Buffer::as_entire_buffer_binding).collect()
}
