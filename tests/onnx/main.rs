//! Networks from PyTorch's exporters, against ONNX Runtime and the crate's own networks, on the adapter that the
//! environment names. `export.py` documents the files and their content.

mod half;
mod operators;
mod parts;

use pollster::block_on;
use prost::Message;
use safetensors::SafeTensors;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::kernel::{Caps, WeightKey};
use shadernet::models::{VisionTransformer, find};
use shadernet::plan::{Choices, Plan, Resource};
use shadernet::{BATCH, Context, ContextOptions, DType, Data, Graph, Model, Precision, Weights, seeded_input};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The exports that are further from ONNX Runtime than others at `F16` and at `Mixed`. So is ONNX Runtime itself, with what is
/// stored as `f16` rounded to it, by the given errors.
const FAR: [(&str, f32, f32); 5] = [
    // Made-up weights whose errors add up: 6.1e-3, by weights alone 3.2e-3; 5.2e-3 and 2.7e-3.
    ("mobilenet_v2-dynamo-18", 7e-3, 4e-3),
    ("mobilenet_v2-script-12", 6e-3, 4e-3),
    // A number is quantised to a neighbour of its integer: 7.0e-3; 1.7e-2 by softmax, erf and tanh alone; 1.4e-2, a
    // step of the output, by the weights of the transposed convolution alone.
    ("mobilenet_v2_narrow-qdq-17", 1e-2, 1e-4),
    ("bert-dynamic-14", 5e-2, 1e-4),
    ("unet-qdq-17", 3e-2, 2e-2),
];

/// Returns the largest difference of an export's outputs, relative to the largest expected element.
fn tolerance(export: &str, precision: Precision) -> f32 {
    let (_, f16, mixed) = FAR.into_iter().find(|(name, ..)| *name == export).unwrap_or((export, 5e-3, 2e-3));
    match precision {
        Precision::F32 => 1e-4,
        Precision::F16 => f16,
        Precision::Mixed => mixed,
    }
}

/// The most elements of an output that are kept.
const SAMPLES: usize = 4096;

macro_rules! networks {
    ($($network:ident: $batch:expr $(, $size:ident = $value:expr)*;)*) => {
        /// Each network, and the sizes that its exports may leave open.
        const NETWORKS: &[(&str, usize, &[(&str, usize)])] =
            &[$((stringify!($network), $batch, &[$((stringify!($size), $value)),*])),*];

        $(
            #[test]
            fn $network() {
                compare(stringify!($network));
            }
        )*
    };
}

networks! {
    alexnet_narrow: 1;
    bert: 2, sequence = 10;
    bert_sdpa: 2, sequence = 10;
    convnext: 1;
    deeplab: 1;
    densenet: 1;
    efficientnet: 1;
    fcn: 1;
    googlenet: 1;
    gpt: 2, sequence = 10;
    gpt_sdpa: 2, sequence = 10;
    inception: 1;
    maxvit: 1;
    mnasnet: 1;
    mobilenet_v2: 1;
    mobilenet_v2_narrow: 1;
    mobilenet_v3_small: 1;
    regnet: 1;
    resnet18: 2;
    resnet50: 1;
    resnext50: 1;
    shufflenet: 2;
    squeezenet: 1;
    super_resolution: 1, height = 24, width = 20;
    swin: 1;
    unet: 1, height = 32, width = 48;
    vgg11_narrow: 1;
    vit: 2;
}

/// The networks whose outputs aren't compared: they have too many weights.
const STRUCTURES: [&str; 2] = ["alexnet", "vgg11"];

#[test]
fn every_export_is_tested() {
    let named = |network: &&str| !exports(network).is_empty();
    let networks: BTreeSet<&str> = NETWORKS.iter().map(|(network, ..)| *network).chain(STRUCTURES).collect();
    assert!(networks.iter().all(named), "exports are missing");
    for export in all_exports() {
        assert!(networks.contains(network_of(&export)), "nobody tests {export}");
    }
}

/// An exported network has as many steps and dispatches as the crate's own.
#[test]
fn exported_networks_are_the_built_in_ones() {
    let weights = Weights::seeded(0);
    let built_in = |name: &str, size: usize| find(name).and_then(|net| net.graph(&weights, Some([size, size])));
    let mut wrong = String::new();
    for (network, graph) in [
        ("alexnet", built_in("alexnet", 224)),
        ("vgg11", built_in("vgg11", 224)),
        ("resnet18", built_in("resnet18", 64)),
        ("resnet50", built_in("resnet50", 64)),
        ("resnext50", built_in("resnext50_32x4d", 64)),
        ("mobilenet_v2", built_in("mobilenet_v2", 64)),
        ("mobilenet_v3_small", built_in("mobilenet_v3_small", 64)),
        ("vit", small_vit(&weights)),
    ] {
        let graph = graph.unwrap_or_else(|error| panic!("{network}: {error}"));
        for export in exports(network) {
            let folder = Folder::new(&format!("{export}-plan"));
            let file = unpack(&export, &folder, false).and_then(|path| Onnx::open(path).map_err(text));
            let exported = file.and_then(|file| file.graph(&Bindings::new()).map_err(text));
            let exported = exported.unwrap_or_else(|error| panic!("{export}: {error}"));
            for caps in [Caps::portable(), Caps::llvmpipe()] {
                let plan =
                    |graph: &Graph| planned(graph, &caps, Precision::F32).unwrap_or_else(|e| panic!("{export}: {e}"));
                let (wanted, got) = (plan(&graph), plan(&exported));
                let counts = |plan: &Plan| (plan.steps.len(), plan.dispatches());
                if counts(&got) != counts(&wanted) {
                    let ((steps, dispatches), more) = (counts(&got), more(&wanted, &got));
                    let (wanted, profile) = (counts(&wanted), caps.profile());
                    let line = format_args!("{steps} steps and {dispatches} dispatches for {wanted:?}:{more}");
                    writeln!(wrong, "{export}, {profile}: {line}").expect("a string takes it");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn planned(graph: &Graph, caps: &Caps, precision: Precision) -> shadernet::Result<Plan> {
    Plan::with_precision(&graph.fused(), 1, caps, &Choices::new(), precision)
}

/// A quantised network computes with integers, takes no more memory on the device than in the file, and stores its
/// weights once for all sizes.
#[test]
fn quantised_networks_stay_so() {
    for (export, sizes, wanted) in [
        ("mobilenet_v2_narrow-qdq-17", &[][..], [("integer_conv2d", 16), ("packed_linear", 1)]),
        ("unet-qdq-17", &[("height", 32), ("width", 48)], [("integer_conv2d", 11), ("packed_linear", 0)]),
        ("bert-dynamic-14", &[("sequence", 10)], [("integer_matmul", 14), ("packed_linear", 0)]),
        ("gpt-nbits-21", &[("sequence", 10)], [("packed_linear", 13), ("linear", 0)]),
    ] {
        let path = root().join(format!("exports/{export}.onnx"));
        let file = Onnx::open(&path).unwrap_or_else(|error| panic!("{export}: {error}"));
        let plan = |batch: usize| {
            let bindings = Bindings::new().batch(batch);
            let bindings = sizes.iter().fold(bindings, |bindings, &(name, size)| bindings.size(name, size));
            let graph = file.graph(&bindings).unwrap_or_else(|error| panic!("{export}: {error}"));
            Plan::new(&graph.fused(), 1, &Caps::portable()).unwrap_or_else(|error| panic!("{export}: {error}"))
        };
        let weights = |plan: &Plan| -> HashMap<WeightKey, u64> {
            let resources = plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources);
            let weight = |resource: &Resource| match resource {
                Resource::Weight(packed) => Some((packed.key.clone(), packed.bytes())),
                _ => None,
            };
            resources.filter_map(weight).collect()
        };
        let one = plan(1);
        let count = |op: &str| one.steps.iter().filter(|step| step.op == op).count();
        let got = wanted.map(|(op, _)| (op, count(op)));
        assert_eq!((got, count("conv2d"), count("linear")), (wanted, 0, 0), "{export}: {one}");
        let of_one = weights(&one);
        let (bytes, in_file) = (of_one.values().sum::<u64>(), fs::metadata(&path).expect("it is there").len());
        assert!(bytes < in_file, "{export}: {bytes} bytes on the device, {in_file} in the file");
        // Few numbers belong to one batch only; kernels may differ, but not here.
        let of_two = weights(&plan(2));
        let more: u64 = of_two.iter().filter(|(key, _)| !of_one.contains_key(*key)).map(|(_, bytes)| bytes).sum();
        assert!(more * 10 < bytes, "{export}: {more} bytes more for another batch, {bytes} for one");
    }
}

/// Returns the difference in dispatches of each kind of operation.
fn more(wanted: &Plan, got: &Plan) -> String {
    let mut more: BTreeMap<&str, isize> = BTreeMap::new();
    for (plan, sign) in [(wanted, -1), (got, 1)] {
        for step in &plan.steps {
            *more.entry(step.op).or_default() += sign * step.dispatches.len() as isize;
        }
    }
    more.iter().filter(|(_, more)| **more != 0).map(|(op, more)| format!(" {op} {more:+}")).collect()
}

/// Builds a vision transformer of the sizes in `export.py`.
fn small_vit(weights: &Weights) -> shadernet::Result<Graph> {
    let sizes = VisionTransformer { patch: 8, layers: 2, heads: 2, hidden: 64, mlp: 128, classes: 1000 };
    let mut graph = Graph::new();
    let x = graph.input("input", [BATCH, 3, 32, 32]);
    let y = sizes.build(&mut graph, x, weights)?;
    graph.output("output", y);
    Ok(graph)
}

/// Compares all exports of a network with ONNX Runtime's outputs.
fn compare(network: &str) {
    let (_, batch, sizes) = *NETWORKS.iter().find(|(name, ..)| *name == network).expect("it has a test");
    let bindings = sizes.iter().fold(Bindings::new().batch(batch), |bindings, &(name, size)| bindings.size(name, size));
    // With the variable, all exports run at all precisions, which takes longer.
    let all = std::env::var("SHADERNET_PRECISIONS").is_ok();
    let mut wrong = Vec::new();
    for (i, export) in exports(network).iter().enumerate() {
        let others: &[Precision] = if all || i == 0 { &[Precision::F16, Precision::Mixed] } else { &[] };
        wrong.extend(run_at(export, &bindings, others).err().map(|error| format!("{export}: {error}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs an export at the file's precision, and at others.
fn run_at(export: &str, bindings: &Bindings, others: &[Precision]) -> Result<(), String> {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    let context = CONTEXT.get_or_init(|| {
        let context = block_on(Context::with(&ContextOptions::from_env()));
        context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
    });
    let folder = Folder::new(export);
    let file = Onnx::open(unpack(export, &folder, true)?).map_err(text)?;
    let model = Model::new(context, &file.graph(bindings).map_err(text)?).map_err(text)?;
    let own = [(file.precision(), model.clone())].into_iter();
    let models = own.chain(others.iter().map(|&precision| (precision, model.precision(precision))));
    let wrong: Vec<String> = models.filter_map(|(precision, model)| run(export, precision, &model).err()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn run(export: &str, precision: Precision, model: &Model) -> Result<(), String> {
    let session = model.session(1).map_err(|error| format!("{precision}: {error}"))?;
    let inputs: Vec<Data> = session
        .inputs()
        .iter()
        .map(|port| match port.dtype {
            DType::F32 => seeded_input(0, &port.shape).into(),
            _ => {
                let bound = if port.name == "mask" { 2 } else { 64 };
                (0..port.shape.elements() as i32).map(|i| (31 * i + 7) % bound).collect::<Vec<_>>().into()
            }
        })
        .collect();
    let outputs = session.run_blocking(&inputs).map_err(text)?;
    for (port, output) in session.outputs().iter().zip(&outputs) {
        let got = output.f32().map_err(text)?;
        let (got, wanted) =
            (sampled(got), expected(&format!("{}/{}", export.replace("-half-", "-script-"), port.name)));
        if got.len() != wanted.len() {
            return Err(format!("output {}: wanted {} samples, got {}", port.name, wanted.len(), got.len()));
        }
        let largest = wanted.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        // A NaN is no small difference.
        let difference = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
        let error = got.iter().zip(&wanted).map(difference).fold(0f32, f32::max) / largest;
        let name = &port.name;
        println!(
            "{export} {name}, {precision}: relative error {error:.1e}, {} dispatches",
            session.plan().dispatches()
        );
        if error > tolerance(export, precision) {
            return Err(format!("output {name}, {precision}: relative error {error:.1e}"));
        }
    }
    Ok(())
}

/// Returns every n-th element, with the least n that leaves at most `SAMPLES`.
fn sampled(values: &[f32]) -> Vec<f32> {
    values.iter().step_by(values.len().div_ceil(SAMPLES).max(1)).copied().collect()
}

fn expected(name: &str) -> Vec<f32> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let path = root().join("expected.safetensors");
    let bytes = BYTES.get_or_init(|| fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    let tensors = SafeTensors::deserialize(bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tensor = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx")
}

fn all_exports() -> Vec<String> {
    let entries = fs::read_dir(root().join("exports")).expect("the exports are there");
    let paths = entries.map(|entry| entry.expect("they can be listed").path());
    let mut names: Vec<String> = paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn exports(network: &str) -> Vec<String> {
    all_exports().into_iter().filter(|export| network_of(export) == network).collect()
}

/// Returns the network of `NETWORK-EXPORTER-OPSET`.
fn network_of(export: &str) -> &str {
    export.split('-').next().unwrap_or_default()
}

fn text(error: shadernet::Error) -> String {
    error.to_string()
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("shadernet-onnx-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that can't be removed stays in the temporary folder.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// Copies an export to a folder, with its weights or a file of their size beside it, and returns the copy's path.
fn unpack(export: &str, folder: &Folder, values: bool) -> Result<PathBuf, String> {
    let bytes = fs::read(root().join(format!("exports/{export}.onnx"))).map_err(|error| error.to_string())?;
    let model = Stored::decode(&bytes[..]).map_err(|error| error.to_string())?;
    let weights = Weights::seeded(0);
    let write = || -> std::io::Result<PathBuf> {
        let mut file = BufWriter::new(File::create(folder.0.join("weights.bin"))?);
        let mut length = 0;
        for tensor in model.graph.iter().flat_map(|graph| &graph.tensors).filter(|tensor| tensor.location == 1) {
            let shape: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
            let is_half = tensor.element == 10;
            length += if is_half { 2 } else { 4 } * shape.iter().product::<usize>() as u64;
            if values {
                let constant = weights.get(&tensor.name, shape).expect("made up weights have all names");
                constant.values().iter().try_for_each(|&value| match is_half {
                    true => file.write_all(&::half::f16::from_f32(value).to_le_bytes()),
                    false => file.write_all(&value.to_le_bytes()),
                })?;
            }
        }
        file.flush()?;
        file.get_ref().set_len(length)?;
        let path = folder.0.join("model.onnx");
        fs::write(&path, &bytes)?;
        Ok(path)
    };
    write().map_err(|error| error.to_string())
}

/// The fields of a `ModelProto` that hold weights.
#[derive(Message)]
struct Stored {
    #[prost(message, optional, tag = "7")]
    graph: Option<StoredGraph>,
}

#[derive(Message)]
struct StoredGraph {
    #[prost(message, repeated, tag = "5")]
    tensors: Vec<StoredTensor>,
}

#[derive(Message)]
struct StoredTensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    /// 10: float16.
    #[prost(int32, tag = "2")]
    element: i32,
    #[prost(string, tag = "8")]
    name: String,
    /// 1: the data is in another file, in the order of the tensors.
    #[prost(int32, tag = "14")]
    location: i32,
}
