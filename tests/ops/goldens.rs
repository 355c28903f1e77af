//! The reference against PyTorch: every case of `tests/goldens/*.json`, whose generators say how attributes are written.

use crate::attention::{Sight, attention};
use crate::reference::{self, Conv, Pool, Tensor};
use crate::rotary::rotary_embedding;
use safetensors::SafeTensors;
use serde_json::Value;
use shadernet::ops::PaddingMode;
use std::collections::BTreeSet;

/// Cases, how many they are, and their tensors.
const GOLDENS: [(&str, usize, &[u8]); 3] = [
    (include_str!("../goldens/ops.json"), 69, include_bytes!("../goldens/ops.safetensors")),
    (include_str!("../goldens/attention.json"), 21, include_bytes!("../goldens/attention.safetensors")),
    (include_str!("../goldens/norms.json"), 12, include_bytes!("../goldens/norms.safetensors")),
];

fn tensor(file: &SafeTensors, key: &Value) -> Tensor {
    let view = file.tensor(key.as_str().expect("a key")).unwrap_or_else(|error| panic!("{key}: {error}"));
    Tensor::new(
        view.shape(),
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    )
}

/// The attributes of a case; what isn't asked for is noticed.
struct Attributes<'a> {
    case: &'a Value,
    seen: BTreeSet<String>,
}

impl Attributes<'_> {
    fn get(&mut self, name: &str) -> &Value {
        self.seen.insert(name.to_owned());
        self.case["attributes"].get(name).unwrap_or_else(|| panic!("{} lacks {name}", self.case["name"]))
    }

    fn list(&mut self, name: &str) -> Vec<usize> {
        self.get(name)
            .as_array()
            .expect("a list")
            .iter()
            .map(|v| usize::try_from(v.as_u64().expect("a size")).expect("a small one"))
            .collect()
    }

    fn sizes<const N: usize>(&mut self, name: &str) -> [usize; N] {
        self.list(name).try_into().unwrap_or_else(|sizes| panic!("{name} is {sizes:?}"))
    }

    fn size(&mut self, name: &str) -> usize {
        usize::try_from(self.get(name).as_u64().expect("a size")).expect("a small one")
    }

    fn number(&mut self, name: &str) -> f64 {
        self.get(name).as_f64().expect("a number")
    }

    fn flag(&mut self, name: &str) -> bool {
        self.get(name).as_bool().expect("true or false")
    }
}

fn padding_mode(name: &Value) -> PaddingMode {
    match name.as_str() {
        Some("zeros") => PaddingMode::Zeros,
        Some("reflect") => PaddingMode::Reflect,
        Some("replicate") => PaddingMode::Replicate,
        Some("circular") => PaddingMode::Circular,
        _ => panic!("padding_mode {name}"),
    }
}

fn compute(op: &str, attributes: &mut Attributes, inputs: &[Tensor]) -> Tensor {
    let x = &inputs[0];
    match op {
        "conv2d" => {
            let conv = Conv {
                stride: attributes.sizes("stride"),
                padding: attributes.sizes("padding"),
                dilation: attributes.sizes("dilation"),
                groups: attributes.size("groups"),
                mode: padding_mode(attributes.get("padding_mode")),
            };
            reference::conv2d(x, &inputs[1], inputs.get(2), &conv)
        }
        "linear" => reference::linear(x, &inputs[1], inputs.get(2)),
        "matmul" => reference::matmul(x, &inputs[1]),
        "max_pool2d" | "avg_pool2d" => {
            let max = op == "max_pool2d";
            let pool = Pool {
                max,
                size: attributes.sizes("kernel_size"),
                stride: attributes.sizes("stride"),
                padding: attributes.sizes("padding"),
                dilation: if max { attributes.sizes("dilation") } else { [1, 1] },
                ceil_mode: attributes.flag("ceil_mode"),
                count_include_pad: !max && attributes.flag("count_include_pad"),
            };
            reference::pool2d(x, &pool)
        }
        "adaptive_avg_pool2d" => reference::adaptive_pool2d(x, false, attributes.sizes("output_size")),
        "adaptive_max_pool2d" => reference::adaptive_pool2d(x, true, attributes.sizes("output_size")),
        "batch_norm" => {
            let channels = x.shape[1];
            let all = |value: f32| Tensor::new([channels], vec![value; channels]);
            let (ones, zeros) = (all(1.0), all(0.0));
            let parameters = [inputs.get(3).unwrap_or(&ones), inputs.get(4).unwrap_or(&zeros), &inputs[1], &inputs[2]];
            reference::batch_norm(x, parameters, attributes.number("eps"))
        }
        "local_response_norm" => {
            let [alpha, beta, k] = ["alpha", "beta", "k"].map(|name| attributes.number(name));
            reference::local_response_norm(x, attributes.size("size"), alpha, beta, k)
        }
        "layer_norm" => {
            let dimensions = attributes.list("normalized_shape").len();
            reference::layer_norm(x, dimensions, inputs.get(1), inputs.get(2), attributes.number("eps"))
        }
        "rms_norm" => {
            let dimensions = attributes.list("normalized_shape").len();
            reference::rms_norm(x, dimensions, inputs.get(1), attributes.number("eps"))
        }
        "group_norm" => {
            let groups = attributes.size("num_groups");
            reference::group_norm(x, groups, inputs.get(1), inputs.get(2), attributes.number("eps"))
        }
        "instance_norm" => reference::instance_norm(x, inputs.get(1), inputs.get(2), attributes.number("eps")),
        "softmax" | "log_softmax" => {
            let axis = attributes.get("dim").as_i64().expect("an axis");
            let rank = x.shape.len() as i64;
            let axis = usize::try_from(axis.rem_euclid(rank)).expect("it is positive");
            if op == "softmax" { reference::softmax(x, axis) } else { reference::log_softmax(x, axis) }
        }
        "scaled_dot_product_attention" => {
            let sight = Sight {
                scale: attributes.get("scale").as_f64(),
                causal: attributes.flag("is_causal"),
                ..Sight::default()
            };
            // The reference infers it from the shapes.
            assert_eq!(attributes.flag("enable_gqa"), inputs[0].shape[1] != inputs[1].shape[1]);
            attention([x, &inputs[1], &inputs[2]], inputs.get(3), &sight)
        }
        "windowed_attention" => {
            let window = Some(attributes.size("window"));
            let sight = Sight { causal: true, window, starts: vec![attributes.size("start")], ..Sight::default() };
            attention([x, &inputs[1], &inputs[2]], None, &sight)
        }
        "rotary_embedding" => {
            let (starts, theta) = ([attributes.size("start")], attributes.number("theta"));
            rotary_embedding(x, &starts, theta, attributes.size("dimension"), attributes.flag("interleaved"))
        }
        "relu" => reference::relu(x),
        "relu6" => reference::relu6(x),
        "leaky_relu" => reference::leaky_relu(x, attributes.number("negative_slope")),
        "sigmoid" => reference::sigmoid(x),
        "tanh" => reference::tanh(x),
        "silu" => reference::silu(x),
        "hardswish" => reference::hardswish(x),
        "gelu" => match attributes.get("approximate").as_str() {
            Some("none") => reference::gelu(x),
            Some("tanh") => reference::gelu_tanh(x),
            other => panic!("approximate {other:?}"),
        },
        "elu" => reference::elu(x, attributes.number("alpha")),
        "selu" => reference::selu(x),
        "celu" => reference::celu(x, attributes.number("alpha")),
        "hardsigmoid" => reference::hardsigmoid(x),
        "mish" => reference::mish(x),
        "softplus" => reference::softplus(x, attributes.number("beta"), attributes.number("threshold")),
        "softsign" => reference::softsign(x),
        "pixel_shuffle" => reference::pixel_shuffle(x, attributes.size("upscale_factor")),
        _ => panic!("the reference has no {op}"),
    }
}

#[test]
fn the_reference_agrees_with_pytorch() {
    for (cases, count, tensors) in GOLDENS {
        agrees(cases, count, tensors);
    }
}

fn agrees(cases: &str, count: usize, tensors: &[u8]) {
    let file = SafeTensors::deserialize(tensors).expect("the tensors are whole");
    let cases: Vec<Value> = serde_json::from_str(cases).expect("the cases are JSON");
    assert_eq!(cases.len(), count, "as many cases as the generator makes");
    let mut used = BTreeSet::new();
    for case in &cases {
        let name = &case["name"];
        let keys = case["inputs"].as_array().expect("a list");
        used.extend(keys.iter().chain([&case["output"]]).map(|key| key.as_str().expect("a key").to_owned()));
        let inputs: Vec<Tensor> = keys.iter().map(|key| tensor(&file, key)).collect();
        let mut attributes = Attributes { case, seen: BTreeSet::new() };
        let got = compute(case["op"].as_str().expect("a name"), &mut attributes, &inputs);
        let there: BTreeSet<String> = case["attributes"].as_object().expect("attributes").keys().cloned().collect();
        assert_eq!(attributes.seen, there, "the attributes of {name}");

        let want = tensor(&file, &case["output"]);
        assert_eq!(got.shape, want.shape, "{name}");
        // PyTorch computed in f64 too: both have rounded once.
        for (i, (&got, &want)) in got.data.iter().zip(&want.data).enumerate() {
            let near = (got - want).abs() <= f32::EPSILON * want.abs().max(1e-3);
            assert!(near, "{name}, element {i}: got {got}, PyTorch has {want}");
        }
    }
    let stored: BTreeSet<String> = file.names().into_iter().map(|name| name.to_string()).collect();
    assert_eq!(used, stored, "the tensors of the cases");
}
