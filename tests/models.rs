//! The networks against PyTorch: golden logits with seeded weights, and the trained networks of the crate.

use pollster::block_on;
use safetensors::SafeTensors;
use shadernet::measure::Summary;
use shadernet::models::{Network, Preprocess, VisionTransformer, all, find, m5, m5_small, mobilenet_v1_width};
use shadernet::{BATCH, Context, ContextOptions, Graph, Model, Precision, Shape, Value, Weights, seeded_input};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

const NETWORKS: &[u8] = include_bytes!("goldens/networks.safetensors");
const DIGITS: &[u8] = include_bytes!("../assets/digits/test.safetensors");
const UPSCALE: &[u8] = include_bytes!("../assets/upscale/golden.safetensors");

/// Returns the context that the environment names, opened once; a missing adapter is a failure.
fn context(portable: bool) -> &'static Context {
    static CONTEXTS: [OnceLock<Context>; 2] = [const { OnceLock::new() }; 2];
    CONTEXTS[usize::from(portable)].get_or_init(|| {
        let options = ContextOptions::from_env();
        let options = if portable { options.portable() } else { options };
        block_on(Context::with(&options)).unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
    })
}

/// Runs one network at a time: the large ones take more than a gigabyte while their weights are prepacked.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn floats(file: &[u8], name: &str) -> (Shape, Vec<f32>) {
    let file = SafeTensors::deserialize(file).expect("the file is whole");
    let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
    let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    (tensor.shape().into(), values.collect())
}

fn bytes(file: &[u8], name: &str) -> Vec<usize> {
    let file = SafeTensors::deserialize(file).expect("the file is whole");
    let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(tensor.dtype(), safetensors::Dtype::U8, "{name}");
    tensor.data().iter().map(|&byte| byte.into()).collect()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// Returns the largest difference, or NaN if one is NaN.
fn distance(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let differences = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    differences.fold(0.0, |most, difference| if difference > most || difference.is_nan() { difference } else { most })
}

fn network(name: &str) -> Network {
    find(name).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the input's shape in `tests/goldens/generate.py`.
fn golden_input(name: &str) -> Shape {
    match name {
        "alexnet_original" => [1, 3, 224, 224].into(),
        _ if name.starts_with("vgg") => [2, 3, 32, 32].into(),
        _ => [2, 3, 64, 64].into(),
    }
}

fn check_logits(name: &str, portable: bool) {
    let shape = golden_input(name);
    let graph = network(name).graph(&Weights::seeded(0), Some([shape[2], shape[3]])).expect("seeded weights fit");
    check_graph(name, &graph, shape, portable);
}

type Build = fn(&mut Graph, Value, &Weights) -> shadernet::Result<Value>;

/// The networks that take no picture, or exist only for tests.
const OTHERS: [(&str, Build, &[usize]); 3] = [
    ("m5", m5, &[2, 1, 8000]),
    ("m5_small", m5_small, &[2, 1, 8000]),
    (
        "vit_tiny",
        |graph, x, weights| {
            let tiny = VisionTransformer { patch: 8, layers: 3, heads: 4, hidden: 48, mlp: 96, classes: 10 };
            tiny.build(graph, x, weights)
        },
        &[2, 3, 32, 32],
    ),
];

fn other(build: Build, shape: &[usize]) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("input", [&[BATCH], &shape[1..]].concat());
    let y = build(&mut graph, x, &Weights::seeded(0)).unwrap_or_else(|error| panic!("{error}"));
    graph.output("logits", y);
    graph
}

#[test]
fn logits_of_other_networks() {
    for portable in [false, true] {
        for (name, build, shape) in OTHERS {
            check_graph(name, &other(build, shape), shape.into(), portable);
        }
    }
}

/// The networks that run at every precision. With the variable SHADERNET_PRECISIONS all of them do, which takes longer.
const AT_EVERY_PRECISION: [&str; 5] = ["resnet18", "mobilenet_v2", "vit_ti_16", "m5_small", "vit_tiny"];

/// Returns the largest error of a network's output at a precision, over the largest output.
fn tolerance(precision: Precision, of_f32: f32) -> f32 {
    match precision {
        Precision::F32 => of_f32,
        Precision::F16 => 5e-3,
        Precision::Mixed => 1e-3,
    }
}

fn check_graph(name: &str, graph: &Graph, shape: Shape, portable: bool) {
    let _alone = alone();
    let model = Model::new(context(portable), graph).unwrap_or_else(|error| panic!("{name}: {error}"));
    let every = AT_EVERY_PRECISION.contains(&name) || std::env::var("SHADERNET_PRECISIONS").is_ok();
    for precision in Precision::ALL.into_iter().filter(|&precision| precision == Precision::F32 || every) {
        let model = model.precision(precision);
        let session = model.session(shape[0]).unwrap_or_else(|error| panic!("{name}, {precision}: {error}"));
        let outputs = session.run_blocking(&[seeded_input(0, &shape)]);
        let outputs = outputs.unwrap_or_else(|error| panic!("{name}, {precision}: {error}"));
        let (of, want) = floats(NETWORKS, name);
        assert_eq!(session.outputs()[0].shape, of, "{name}, {precision}");
        let got = outputs[0].f32().expect("logits");
        if precision == Precision::F16 && largest(&want) > 65504.0 {
            // Made-up weights of 152 layers go beyond the range of f16: overflow is infinite, never a wrong number.
            assert!(got.iter().any(|logit| !logit.is_finite()), "{name}: {got:?}");
            continue;
        }
        let error = distance(got, &want) / largest(&want);
        println!("{name}, {precision}: {error:.2e} of the largest logit");
        let most = tolerance(precision, 2e-5);
        assert!(error <= most, "{name}, {precision}: off by {error:e} of the largest logit");
    }
}

macro_rules! logits {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check_logits(stringify!($name), false);
        })*

        /// The networks with compared logits.
        const COMPARED: &[&str] = &[$(stringify!($name)),*];
    };
}

/// Each network by the adapter's default kernels.
mod logits {
    use super::check_logits;

    logits! {
        alexnet alexnet_original
        vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn
        resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d
        mobilenet_v1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large
        vit_b_16 vit_ti_16
    }

    #[test]
    fn of_every_network_with_a_golden() {
        let networks = super::all().iter().filter(|model| model.preprocess == super::Preprocess::ImageNet);
        let mut networks: Vec<&str> = networks.map(|model| model.name).collect();
        let file = safetensors::SafeTensors::deserialize(super::NETWORKS).expect("the file is whole");
        let mut goldens: Vec<String> = file.names().into_iter().map(|name| name.to_string()).collect();
        let mut compared = COMPARED.to_vec();
        networks.sort_unstable();
        goldens.retain(|golden| !super::OTHERS.iter().any(|(name, ..)| name == golden));
        goldens.sort_unstable();
        compared.sort_unstable();
        assert_eq!(networks, goldens);
        assert_eq!(networks, compared);
    }

    #[test]
    fn resnet18_portable() {
        check_logits("resnet18", true);
    }

    #[test]
    fn mobilenet_v2_portable() {
        check_logits("mobilenet_v2", true);
    }

    #[test]
    fn mobilenet_v3_large_portable() {
        check_logits("mobilenet_v3_large", true);
    }
}

fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).expect("there are logits")
}

#[test]
fn digits_are_read_as_pytorch_reads_them() {
    let model = network("digits");
    let weights = (model.weights.expect("the crate ships them"))().expect("they are whole");
    let graph = model.graph(&weights, None).expect("they fit");
    let (shape, images) = floats(DIGITS, "images");
    let (_, want) = floats(DIGITS, "logits");
    let (predicted, labels) = (bytes(DIGITS, "predicted"), bytes(DIGITS, "labels"));
    assert_eq!(shape[..], [360, 1, 8, 8]);
    for (portable, precision) in
        [false, true].into_iter().flat_map(|of| Precision::ALL.map(|precision| (of, precision)))
    {
        // The last batch is smaller.
        let model = Model::new(context(portable), &graph).expect("the graph has an output").precision(precision);
        let mut logits = Vec::new();
        for images in images.chunks(64 * 100) {
            let session = model.session(images.len() / 64).unwrap_or_else(|error| panic!("{error}"));
            logits.extend(session.run_blocking(&[images]).unwrap_or_else(|error| panic!("{error}"))[0].to_f32());
        }
        let error = distance(&logits, &want);
        let most = tolerance(precision, 1e-4) * largest(&want);
        println!("digits, {precision}: {:.2e} of the largest logit", error / largest(&want));
        assert!(error <= most, "{precision}: logits off by {error}, the largest is {}", largest(&want));
        let read: Vec<usize> = logits.chunks(10).map(argmax).collect();
        assert_eq!(read, predicted);
        let right = read.iter().zip(&labels).filter(|(read, label)| read == label).count();
        assert!(right * 100 >= labels.len() * 97, "{right} of {} digits are right", labels.len());
    }
}

#[test]
fn upscale_makes_what_pytorch_makes() {
    let model = network("upscale");
    let weights = (model.weights.expect("the crate ships them"))().expect("they are whole");
    let (shape, input) = floats(UPSCALE, "input");
    let (of, want) = floats(UPSCALE, "output");
    let graph = model.graph(&weights, Some([shape[2], shape[3]])).expect("they fit");
    for (portable, precision) in
        [false, true].into_iter().flat_map(|of| Precision::ALL.map(|precision| (of, precision)))
    {
        let model = Model::new(context(portable), &graph).expect("the graph has an output").precision(precision);
        let session = model.session(1).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(session.outputs()[0].shape, of);
        let got = session.run_blocking(&[&input]).unwrap_or_else(|error| panic!("{error}"))[0].to_f32();
        let error = distance(&got, &want);
        println!("upscale, {precision}: off by {error:.2e}");
        let most = tolerance(precision, 1e-5);
        assert!(error <= most, "{precision}: off by {error}, in pictures of 0..1");
    }
}

#[test]
fn seeded_values_are_pytorchs() {
    let checks: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("goldens/seeded.json")).expect("seeded.json is JSON");
    assert_eq!(checks.len(), 2);
    for check in checks {
        let seed = check["seed"].as_u64().expect("a seed");
        let sizes = check["shape"].as_array().expect("a shape").iter();
        let shape: Vec<usize> = sizes.map(|size| size.as_u64().expect("a size") as usize).collect();
        let values = match check["name"].as_str().expect("a name") {
            "input" => seeded_input(seed, &shape.into()),
            name => Weights::seeded(seed).get(name, shape).expect("any name serves").values(),
        };
        let want = check["first"].as_array().expect("values").iter();
        let want: Vec<f32> = want.map(|value| value.as_f64().expect("a number") as f32).collect();
        assert_eq!(values[..want.len()], want, "{check}");
    }
}

fn summary(graph: &Graph) -> Summary {
    Summary::new(graph, 1).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_first_mobilenet_has_the_papers_sizes() {
    // Tables 6 and 7: millions of multiply-accumulates, and of parameters.
    for (multiplier, macs, parameters) in [(1.0, 569, 4.2), (0.75, 325, 2.6), (0.5, 149, 1.3), (0.25, 41, 0.5)] {
        let mut graph = Graph::new();
        let x = graph.input("image", [BATCH, 3, 224, 224]);
        let y = mobilenet_v1_width(&mut graph, x, &Weights::seeded(0), multiplier);
        graph.output("logits", y.expect("the paper's multipliers"));
        let of = summary(&graph);
        let got = ((of.macs as f64 / 1e6).round() as u64, (of.parameters as f64 / 1e5).round() / 10.0);
        assert_eq!(got, (macs, parameters), "{multiplier}");
    }
    for multiplier in [0.0, -1.0, 0.03, 33.0, f64::NAN, f64::INFINITY] {
        let mut graph = Graph::new();
        let x = graph.input("image", [BATCH, 3, 224, 224]);
        let error =
            mobilenet_v1_width(&mut graph, x, &Weights::seeded(0), multiplier).expect_err("too thin or too wide");
        assert!(error.to_string().contains("multiplier"), "{error}");
    }
}

#[test]
fn parameters_of_other_networks_are_pytorchs() {
    let parameters = OTHERS.map(|(name, build, shape)| (name, summary(&other(build, shape)).parameters));
    assert_eq!(parameters, [("m5", 571_939), ("m5_small", 26_915), ("vit_tiny", 67_594)]);
}

#[test]
fn what_a_vision_transformer_refuses() {
    let fits = VisionTransformer { patch: 8, layers: 1, heads: 4, hidden: 48, mlp: 96, classes: 10 };
    let refused = |vit: VisionTransformer, shape: &[usize], part: &str| {
        let mut graph = Graph::new();
        let x = graph.input("image", shape.to_vec());
        let error = vit.build(&mut graph, x, &Weights::seeded(0)).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(fits, &[1, 3, 32, 36], "multiples of 8");
    refused(fits, &[1, 3, 32], "[N, C, H, W]");
    refused(VisionTransformer { patch: 0, ..fits }, &[1, 3, 32, 32], "patch");
    refused(VisionTransformer { heads: 0, ..fits }, &[1, 3, 32, 32], "heads");
    refused(VisionTransformer { heads: 5, ..fits }, &[1, 3, 32, 32], "scaled_dot_product_attention");
    refused(VisionTransformer { hidden: 0, ..fits }, &[1, 3, 32, 32], "conv_proj");
}
