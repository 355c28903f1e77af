//! References against PyTorch, or ONNX Runtime if quantised: all cases of `tests/goldens` (see its generators).

mod elements;
mod quantized;
mod recurrent;
mod windows;

use elements::{by_element, moved};
use quantized::quantized;
use recurrent::recurrent;
use safetensors::SafeTensors;
use serde_json::Value;
use shadernet::ops::{GluKind, PaddingMode, PoolKind, ReduceKind, RoiAlignMode};
use shadernet::selftest::ops::append::append;
use shadernet::selftest::ops::attention::{Sight, attention};
use shadernet::selftest::ops::deform_conv2d::{self, deform_conv2d};
use shadernet::selftest::ops::grid_sample::grid_sample;
use shadernet::selftest::ops::rotary::rotary_embedding;
use shadernet::selftest::ops::{arg_reduce, cumsum, glu, matmul, pixel_shuffle, prelu, reduce, roi_align, top_k};
use shadernet::selftest::reference::{self, Tensor};
use std::collections::BTreeSet;
use windows::{conv, interpolate, onnx_pool, pool, sample};

/// The files of cases, with the number of cases and their tensors.
const GOLDENS: &[(&str, usize, &[u8])] = &[
    (include_str!("../../goldens/attention.json"), 21, include_bytes!("../../goldens/attention.safetensors")),
    (include_str!("../../goldens/basic.json"), 9, include_bytes!("../../goldens/basic.safetensors")),
    (include_str!("../../goldens/conv.json"), 23, include_bytes!("../../goldens/conv.safetensors")),
    (include_str!("../../goldens/index.json"), 83, include_bytes!("../../goldens/index.safetensors")),
    (include_str!("../../goldens/not_finite.json"), 96, include_bytes!("../../goldens/not_finite.safetensors")),
    (include_str!("../../goldens/norms.json"), 12, include_bytes!("../../goldens/norms.safetensors")),
    (include_str!("../../goldens/onnx.json"), 76, include_bytes!("../../goldens/onnx.safetensors")),
    (include_str!("../../goldens/ops.json"), 69, include_bytes!("../../goldens/ops.safetensors")),
    (include_str!("../../goldens/pool.json"), 61, include_bytes!("../../goldens/pool.safetensors")),
    (include_str!("../../goldens/quant.json"), 109, include_bytes!("../../goldens/quant.safetensors")),
    (include_str!("../../goldens/recurrent.json"), 31, include_bytes!("../../goldens/recurrent.safetensors")),
    (include_str!("../../goldens/reduce.json"), 125, include_bytes!("../../goldens/reduce.safetensors")),
];

fn tensor(file: &SafeTensors, key: &Value) -> Tensor {
    let view = file.tensor(key.as_str().expect("a key")).unwrap_or_else(|error| panic!("{key}: {error}"));
    Tensor::new(
        view.shape(),
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    )
}

/// The attributes of a case. An attribute that is never read fails the test.
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

    fn has(&self, name: &str) -> bool {
        self.case["attributes"].get(name).is_some()
    }

    /// Returns the sizes along the axes: a list, or the one size of a line.
    fn axes(&mut self, name: &str) -> Vec<usize> {
        if self.get(name).is_array() { self.list(name) } else { vec![self.size(name)] }
    }

    /// Returns such sizes along `D` axes, or `missing` if the case has none.
    fn per_axis<const D: usize>(&mut self, name: &str, missing: usize) -> [usize; D] {
        let sizes = if self.has(name) { self.axes(name) } else { vec![missing; D] };
        sizes.try_into().unwrap_or_else(|sizes| panic!("{name} is {sizes:?}"))
    }

    /// Returns the padding of each side of `D` axes: pairs, or one number for both sides of an axis.
    fn sides<const D: usize>(&mut self) -> [[usize; 2]; D] {
        let all = if self.has("padding") { self.axes("padding") } else { vec![0; D] };
        let each = all.len() / D;
        std::array::from_fn(|axis| [all[each * axis], all[each * axis + each - 1]])
    }

    fn size(&mut self, name: &str) -> usize {
        usize::try_from(self.get(name).as_u64().expect("a size")).expect("a small one")
    }

    /// Returns the dimension; a negative one counts from the end.
    fn dim(&mut self, rank: usize) -> usize {
        let dim = self.get("dim").as_i64().expect("a dimension");
        usize::try_from(dim.rem_euclid(rank as i64)).expect("it is positive")
    }

    /// Returns `[before, after]` of each padded dimension, the outermost first.
    fn padding(&mut self) -> Vec<[isize; 2]> {
        let list = self.get("pad").as_array().expect("a list");
        let ends: Vec<isize> =
            list.iter().map(|v| isize::try_from(v.as_i64().expect("a number")).expect("a small one")).collect();
        ends.chunks_exact(2).rev().map(|pair| [pair[0], pair[1]]).collect()
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
        Some("zeros" | "constant") => PaddingMode::Zeros,
        Some("reflect") => PaddingMode::Reflect,
        Some("replicate") => PaddingMode::Replicate,
        Some("circular") => PaddingMode::Circular,
        _ => panic!("padding_mode {name}"),
    }
}

fn compute(op: &str, attributes: &mut Attributes, inputs: &[Tensor]) -> Tensor {
    let x = &inputs[0];
    match op {
        "conv1d" | "conv_transpose1d" => conv::<1>(op, attributes, inputs),
        "conv2d" | "conv_transpose2d" => conv::<2>(op, attributes, inputs),
        "conv3d" | "conv_transpose3d" => conv::<3>(op, attributes, inputs),
        "deform_conv2d" => {
            let sizes: [usize; 4] = attributes.sizes("pads");
            let conv = deform_conv2d::Conv {
                stride: attributes.sizes("stride"),
                pads: [[sizes[0], sizes[1]], [sizes[2], sizes[3]]],
                dilation: attributes.sizes("dilation"),
                groups: attributes.size("groups"),
            };
            deform_conv2d(x, &inputs[1], inputs.get(3), &inputs[2], inputs.get(4), &conv)
        }
        "roi_align" => {
            let align = roi_align::Align {
                size: attributes.sizes("output_size"),
                spatial_scale: attributes.number("spatial_scale"),
                sampling_ratio: attributes.size("sampling_ratio"),
                aligned: attributes.flag("aligned"),
                mode: if attributes.flag("max") { RoiAlignMode::Max } else { RoiAlignMode::Average },
            };
            roi_align::roi_align(x, &inputs[1], &inputs[2], &align)
        }
        "linear" => reference::linear(x, &inputs[1], inputs.get(2)),
        "matmul" => reference::matmul(x, &inputs[1]),
        "max_pool1d" | "avg_pool1d" | "lp_pool1d" | "max_pool1d_with_indices" => pool::<1>(op, attributes, x),
        "max_pool2d" | "avg_pool2d" | "lp_pool2d" | "max_pool2d_with_indices" => pool::<2>(op, attributes, x),
        "adaptive_max_pool1d_with_indices" | "adaptive_max_pool2d_with_indices" => {
            let places = reference::adaptive_max_pool_with_indices(x, &attributes.axes("output_size"));
            places[attributes.size("output")].clone()
        }
        "adaptive_max_pool1d" | "adaptive_max_pool2d" => {
            reference::adaptive_pool(x, PoolKind::Max, &attributes.axes("output_size"))
        }
        "adaptive_avg_pool1d" | "adaptive_avg_pool2d" => {
            reference::adaptive_pool(x, PoolKind::Average, &attributes.axes("output_size"))
        }
        "adaptive_pool3d" => reference::adaptive_pool(x, pool_kind(attributes), &attributes.list("output_size")),
        "pool3d" | "pool3d_places" | "pool_by_side" => match x.shape.len() {
            3 => onnx_pool::<1>(op, attributes, x),
            4 => onnx_pool::<2>(op, attributes, x),
            _ => onnx_pool::<3>(op, attributes, x),
        },
        "pad" => {
            let (padding, mode) = (attributes.padding(), padding_mode(attributes.get("mode")));
            let value = if mode == PaddingMode::Zeros { attributes.number("value") } else { 0.0 };
            reference::pad(x, &padding, mode, value)
        }
        "prelu" => prelu::prelu(x, &inputs[1]),
        "glu" => glu::glu(x, GluKind::Glu, attributes.dim(x.shape.len())),
        "swiglu" => glu::glu_pair(x, &inputs[1], GluKind::SwiGlu),
        "product" => {
            let transposed = ["transpose_a", "transpose_b"].map(|name| attributes.flag(name));
            matmul::product(x, &inputs[1], transposed)
        }
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
            let axis = attributes.dim(x.shape.len());
            if op == "softmax" { reference::softmax(x, axis) } else { reference::log_softmax(x, axis) }
        }
        "scaled_dot_product_attention" => {
            let sight = Sight {
                scale: attributes.get("scale").as_f64(),
                causal: attributes.flag("is_causal"),
                ..Sight::default()
            };
            // The reference infers grouped queries from the shapes.
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
        "add" => reference::add(x, &inputs[1]),
        "sub" => reference::sub(x, &inputs[1]),
        "mul" => reference::mul(x, &inputs[1]),
        "div" => reference::div(x, &inputs[1]),
        "cat" => reference::concat(&inputs.iter().collect::<Vec<_>>(), attributes.size("dim")),
        "permute" => reference::transpose(x, &attributes.list("dims")),
        "reshape" => Tensor::new(attributes.list("shape"), x.data.clone()),
        "flatten" => Tensor::new([x.shape[0], x.shape[1..].iter().product()], x.data.clone()),
        "append" => append(x, &inputs[1], &attributes.list("positions")),
        "pixel_shuffle" => reference::pixel_shuffle(x, attributes.size("upscale_factor")),
        "sum" | "mean" | "amax" | "amin" | "prod" | "norm" | "logsumexp" => {
            let kind = match op {
                "sum" => ReduceKind::Sum,
                "mean" => ReduceKind::Mean,
                "amax" => ReduceKind::Max,
                "amin" => ReduceKind::Min,
                "prod" => ReduceKind::Prod,
                "norm" if attributes.size("p") == 1 => ReduceKind::L1,
                "norm" => ReduceKind::L2,
                _ => ReduceKind::LogSumExp,
            };
            reduce::reduce(x, kind, &attributes.list("dim"), attributes.flag("keepdim"))
        }
        "argmax" | "argmin" => {
            let axis = attributes.get("dim").as_u64().map(|axis| usize::try_from(axis).expect("a small one"));
            arg_reduce::arg_reduce(x, op == "argmin", axis, attributes.flag("keepdim"))
        }
        "topk" => {
            let (k, axis, largest) = (attributes.size("k"), attributes.size("dim"), attributes.flag("largest"));
            top_k::top_k(x, k, axis, largest)[attributes.size("output")].clone()
        }
        "cumsum" => {
            let [exclusive, reverse] = ["exclusive", "reverse"].map(|name| attributes.flag(name));
            cumsum::cumsum(x, attributes.size("dim"), exclusive, reverse)
        }
        "interpolate" => interpolate(attributes, x),
        "pixel_unshuffle" => pixel_shuffle::pixel_unshuffle(x, attributes.size("downscale_factor")),
        "depth_to_space" => pixel_shuffle::depth_to_space(x, attributes.size("blocksize")),
        "space_to_depth" => pixel_shuffle::space_to_depth(x, attributes.size("blocksize")),
        "grid_sample" => grid_sample(x, &inputs[1], sample(attributes)),
        _ => moved(op, attributes, inputs)
            .or_else(|| by_element(op, attributes, inputs))
            .or_else(|| quantized(op, attributes, inputs))
            .or_else(|| recurrent(op, attributes, inputs))
            .unwrap_or_else(|| panic!("the reference has no {op}")),
    }
}

fn pool_kind(attributes: &mut Attributes) -> PoolKind {
    match attributes.get("kind").as_str() {
        Some("max") => PoolKind::Max,
        Some("average") => PoolKind::Average,
        Some("lp") => PoolKind::Lp(attributes.number("p") as f32),
        Some("p_norm") => PoolKind::PNorm(attributes.number("p") as f32),
        other => panic!("kind {other:?}"),
    }
}

/// Returns true for an operation whose steps add up their roundings.
fn has_steps(op: &Value) -> bool {
    ["RNN", "GRU", "LSTM", "DynamicQuantizeLSTM"].iter().any(|name| op == name)
}

#[test]
fn the_reference_agrees_with_pytorch() {
    for &(cases, count, tensors) in GOLDENS {
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
        // PyTorch computed in f64 too: both results are rounded once. ONNX Runtime computes recurrent layers in f32.
        let roundings = if has_steps(&case["op"]) { 64.0 } else { 1.0 };
        for (i, (&got, &want)) in got.data.iter().zip(&want.data).enumerate() {
            let same = got == want || got.is_nan() && want.is_nan();
            let near = same
                || (got - want).abs()
                    <= roundings * f32::EPSILON * want.abs().max(if roundings > 1.0 { 0.1 } else { 1e-3 });
            assert!(near, "{name}, element {i}: got {got}, PyTorch has {want}");
        }
    }
    let stored: BTreeSet<String> = file.names().into_iter().map(|name| name.to_string()).collect();
    assert_eq!(used, stored, "the tensors of the cases");
}
