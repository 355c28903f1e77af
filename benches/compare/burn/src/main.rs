//! burn on wgpu: the networks in burn's own functions, with batch norm folded into the convolutions, as for inference.

#[path = "../../peer.rs"]
mod peer;

use burn::tensor::activation::{gelu, relu, relu6, silu};
use burn::tensor::module::{adaptive_avg_pool2d, attention, conv2d, embedding, layer_norm, linear, max_pool2d};
use burn::tensor::ops::{AttentionModuleOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, DeviceKind, Int, Tensor, TensorData};
use peer::{Array, PROMPT, Result, Task};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

fn main() -> Result<()> {
    let task = Task::of(std::env::args().skip(1))?;
    let measured = task.measure(|| {
        let net = Net::new(peer::read(&task.weights)?);
        let (input, name) = (&task.input, task.network.as_str());
        let (prompt, next) = (0..PROMPT, PROMPT..PROMPT + 1);
        let [first, then] = [&prompt, &next].map(|range| angles(range.clone(), &net.device));
        let cache = (name == "decoder_decode").then(|| net.decoder(net.tokens(input, &prompt), &first, None).1);
        Ok(move || {
            let y = match name {
                "decoder_prefill" => net.decoder(net.tokens(input, &prompt), &first, None).0,
                "decoder_decode" => net.decoder(net.tokens(input, &next), &then, cache.as_deref()).0,
                _ => net.classify(name, Tensor::from_data(net.data(input), &net.device))?.unsqueeze(),
            };
            y.into_data().try_to_vec().map_err(|error| format!("{error:?}").into())
        })
    })?;
    println!("{measured}");
    Ok(())
}

const LAYERS: usize = 4;
const HEADS: usize = 8;
const KV_HEADS: usize = 2;
const HEAD: usize = 32;

/// Cosines and sines of the rotary embedding, `[1, 1, tokens, HEAD]`; both halves are the same.
type Angles = [Tensor<4>; 2];

/// A block's keys and values, `[N, heads, tokens, features]`.
type Cache = [Tensor<4>; 2];

/// The weights. Each goes to the device at its first use.
struct Net {
    device: Device,
    file: HashMap<String, Array>,
    convs: RefCell<HashMap<String, (Tensor<4>, Tensor<1>)>>,
    matrices: RefCell<HashMap<String, Tensor<2>>>,
    vectors: RefCell<HashMap<String, Tensor<1>>>,
}

impl Net {
    fn new(file: HashMap<String, Array>) -> Net {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        Net { device, file, convs: RefCell::default(), matrices: RefCell::default(), vectors: RefCell::default() }
    }

    fn data(&self, array: &Array) -> TensorData {
        TensorData::new(array.values.clone(), array.shape.clone())
    }

    fn tokens(&self, input: &Array, range: &Range<usize>) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(input.tokens(range.clone()), [input.shape[0], range.len()]), &self.device)
    }

    fn has(&self, name: &str) -> bool {
        self.file.contains_key(&format!("{name}.weight"))
    }

    fn vector(&self, name: &str) -> Tensor<1> {
        let make = || Tensor::<1>::from_data(TensorData::from(&self.file[name].values[..]), &self.device);
        self.vectors.borrow_mut().entry(name.to_owned()).or_insert_with(make).clone()
    }

    /// Runs a convolution and its batch norm, if any. Padding keeps the size but for the stride; patches have none.
    fn conv(&self, x: Tensor<4>, name: &str, norm: Option<&str>, stride: usize) -> Tensor<4> {
        let shape = &self.file[&format!("{name}.weight")].shape;
        let (channels, kernel) = (shape[1], shape[2]);
        let (weight, bias) =
            self.convs.borrow_mut().entry(name.to_owned()).or_insert_with(|| self.folded(name, norm)).clone();
        let padding = if kernel == stride { 0 } else { kernel / 2 };
        let groups = x.dims()[1] / channels;
        conv2d(x, weight, Some(bias), ConvOptions::new([stride; 2], [padding; 2], [1, 1], groups))
    }

    fn folded(&self, name: &str, norm: Option<&str>) -> (Tensor<4>, Tensor<1>) {
        let mut weight = self.file[&format!("{name}.weight")].clone();
        let zeros = || vec![0.0; weight.shape[0]];
        let mut bias = self.file.get(&format!("{name}.bias")).map_or_else(zeros, |bias| bias.values.clone());
        if let Some(norm) = norm {
            let part = |part: &str| &self.file[&format!("{norm}.{part}")].values;
            let (gamma, beta, mean, variance) =
                (part("weight"), part("bias"), part("running_mean"), part("running_var"));
            let size = weight.values.len() / bias.len();
            for (i, row) in weight.values.chunks_exact_mut(size).enumerate() {
                let scale = gamma[i] / (variance[i] + 1e-5).sqrt();
                row.iter_mut().for_each(|value| *value *= scale);
                bias[i] = (bias[i] - mean[i]) * scale + beta[i];
            }
        }
        let bias = Tensor::from_data(TensorData::from(&bias[..]), &self.device);
        (Tensor::from_data(self.data(&weight), &self.device), bias)
    }

    fn linear<const D: usize>(&self, x: Tensor<D>, weight: &str, bias: Option<&str>) -> Tensor<D> {
        // burn's weights are `[inputs, outputs]`.
        let make = || Tensor::<2>::from_data(self.data(&self.file[weight]), &self.device).transpose();
        let matrix = self.matrices.borrow_mut().entry(weight.to_owned()).or_insert_with(make).clone();
        linear(x, matrix, bias.map(|bias| self.vector(bias)))
    }

    fn dense<const D: usize>(&self, x: Tensor<D>, name: &str) -> Tensor<D> {
        self.linear(x, &format!("{name}.weight"), Some(&format!("{name}.bias")))
    }

    fn classify(&self, name: &str, x: Tensor<4>) -> Result<Tensor<2>> {
        Ok(match name {
            "resnet18" => self.resnet(x, [2, 2, 2, 2]),
            "resnet50" => self.resnet(x, [3, 4, 6, 3]),
            "mobilenet_v2" => self.mobilenet_v2(x),
            "vgg16" => self.vgg16(x),
            "vit_ti_16" => self.vit(x, 12, 3),
            _ => return Err(format!("{name} isn't written in burn here").into()),
        })
    }

    fn resnet(&self, x: Tensor<4>, blocks: [usize; 4]) -> Tensor<2> {
        let x = relu(self.conv(x, "conv1", Some("bn1"), 2));
        let mut x = max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]));
        for (stage, count) in blocks.into_iter().enumerate() {
            for i in 0..count {
                let name = format!("layer{}.{i}", stage + 1);
                let stride = if i == 0 && stage > 0 { 2 } else { 1 };
                let conv = |x, n: usize, stride| {
                    self.conv(x, &format!("{name}.conv{n}"), Some(&format!("{name}.bn{n}")), stride)
                };
                let y = if self.has(&format!("{name}.conv3")) {
                    conv(relu(conv(relu(conv(x.clone(), 1, 1)), 2, stride)), 3, 1)
                } else {
                    conv(relu(conv(x.clone(), 1, stride)), 2, 1)
                };
                let short = format!("{name}.downsample.0");
                if self.has(&short) {
                    x = self.conv(x, &short, Some(&format!("{name}.downsample.1")), stride);
                }
                x = relu(x + y);
            }
        }
        self.dense(mean(x), "fc")
    }

    fn mobilenet_v2(&self, x: Tensor<4>) -> Tensor<2> {
        let both =
            |x, name: &str, stride| relu6(self.conv(x, &format!("{name}.0"), Some(&format!("{name}.1")), stride));
        let mut x = both(x, "features.0", 2);
        let mut index = 1;
        for (count, stride) in [(1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)] {
            for i in 0..count {
                let name = format!("features.{index}.conv");
                let stride = if i == 0 { stride } else { 1 };
                let last = if index == 1 { 1 } else { 2 };
                let mut y = x.clone();
                if last == 2 {
                    y = both(y, &format!("{name}.0"), 1);
                }
                y = both(y, &format!("{name}.{}", last - 1), stride);
                y = self.conv(y, &format!("{name}.{last}"), Some(&format!("{name}.{}", last + 1)), 1);
                x = if x.dims() == y.dims() { x + y } else { y };
                index += 1;
            }
        }
        self.dense(mean(both(x, "features.18", 1)), "classifier.1")
    }

    fn vgg16(&self, mut x: Tensor<4>) -> Tensor<2> {
        let mut index = 0;
        for count in [2, 2, 3, 3, 3] {
            for _ in 0..count {
                x = relu(self.conv(x, &format!("features.{index}"), None, 1));
                index += 2;
            }
            x = max_pool2d(x, MaxPoolOptions::new([2, 2]));
            index += 1;
        }
        let x = relu(self.dense(x.flatten(1, 3), "classifier.0"));
        self.dense(relu(self.dense(x, "classifier.3")), "classifier.6")
    }

    fn layer_norm(&self, x: Tensor<3>, name: &str) -> Tensor<3> {
        let [weight, bias] = ["weight", "bias"].map(|part| self.vector(&format!("{name}.{part}")));
        layer_norm(x, weight, Some(bias), 1e-6)
    }

    fn vit(&self, x: Tensor<4>, layers: usize, heads: usize) -> Tensor<2> {
        let x = self.conv(x, "conv_proj", None, 16).flatten::<3>(2, 3).swap_dims(1, 2);
        let [texts, tokens, features] = x.dims();
        let class = self.vector("class_token").reshape([1, 1, features]).expand([texts, 1, features]);
        let position = self.vector("encoder.pos_embedding").reshape([1, tokens + 1, features]);
        let mut x = Tensor::cat(vec![class, x], 1) + position;
        for i in 0..layers {
            let name = format!("encoder.layers.encoder_layer_{i}");
            let part = |part: &str| format!("{name}.{part}");
            let y = self.layer_norm(x.clone(), &part("ln_1"));
            let (weight, bias) = (part("self_attention.in_proj_weight"), part("self_attention.in_proj_bias"));
            let parts = self.linear(y, &weight, Some(&bias)).chunk(3, 2);
            let [q, k, v] = [0, 1, 2].map(|i| split(parts[i].clone(), heads));
            let y = merge(attention(q, k, v, None, None, AttentionModuleOptions::default()));
            x = x + self.dense(y, &part("self_attention.out_proj"));
            let y = self.dense(self.layer_norm(x.clone(), &part("ln_2")), &part("mlp.0"));
            x = x + self.dense(gelu(y), &part("mlp.3"));
        }
        // The norm is token by token, and only the first token is classified.
        let x = self.layer_norm(x.narrow(1, 0, 1), "encoder.ln");
        self.dense(x.flatten::<2>(1, 2), "heads.head")
    }

    fn rms_norm(&self, x: Tensor<3>, name: &str) -> Tensor<3> {
        let mean = x.clone().square().mean_dim(2) + 1e-5;
        x / mean.sqrt() * self.vector(&format!("{name}.weight")).unsqueeze()
    }

    /// Returns the logits of the token after each token, and the keys and values of all tokens.
    fn decoder(&self, tokens: Tensor<2, Int>, turn: &Angles, cache: Option<&[Cache]>) -> (Tensor<3>, Vec<Cache>) {
        let make = || Tensor::from_data(self.data(&self.file["model.embed_tokens.weight"]), &self.device);
        let table = self.matrices.borrow_mut().entry("embed".to_owned()).or_insert_with(make).clone();
        let mut x = embedding(table, tokens);
        let length = x.dims()[1];
        let mut caches = Vec::new();
        for layer in 0..LAYERS {
            let name = format!("model.layers.{layer}");
            let project = |x, part: &str| self.linear(x, &format!("{name}.{part}_proj.weight"), None);
            let y = self.rms_norm(x.clone(), &format!("{name}.input_layernorm"));
            let q = rotate(split(project(y.clone(), "self_attn.q"), HEADS), turn);
            let mut k = rotate(split(project(y.clone(), "self_attn.k"), KV_HEADS), turn);
            let mut v = split(project(y, "self_attn.v"), KV_HEADS);
            if let Some(cache) = cache {
                let [keys, values] = cache[layer].clone();
                (k, v) = (Tensor::cat(vec![keys, k], 2), Tensor::cat(vec![values, v], 2));
            }
            caches.push([k.clone(), v.clone()]);
            let options = AttentionModuleOptions { is_causal: length > 1, ..Default::default() };
            let y = attention(q, share(k), share(v), None, None, options);
            x = x + project(merge(y), "self_attn.o");
            let y = self.rms_norm(x.clone(), &format!("{name}.post_attention_layernorm"));
            let y = silu(project(y.clone(), "mlp.gate")) * project(y, "mlp.up");
            x = x + project(y, "mlp.down");
        }
        (self.linear(self.rms_norm(x, "model.norm"), "lm_head.weight", None), caches)
    }
}

fn mean(x: Tensor<4>) -> Tensor<2> {
    adaptive_avg_pool2d(x, [1, 1]).flatten(1, 3)
}

/// Splits `[N, tokens, features]` into `[N, heads, tokens, features / heads]`.
fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [texts, tokens, features] = x.dims();
    x.reshape([texts, tokens, heads, features / heads]).swap_dims(1, 2)
}

fn merge(x: Tensor<4>) -> Tensor<3> {
    x.swap_dims(1, 2).flatten(2, 3)
}

/// Repeats each head of keys or values for the query heads that share it.
fn share(x: Tensor<4>) -> Tensor<4> {
    let [texts, heads, tokens, features] = x.dims();
    let each = x.reshape([texts, heads, 1, tokens, features]);
    each.expand([texts, heads, HEADS / heads, tokens, features]).reshape([texts, HEADS, tokens, features])
}

fn angles(positions: Range<usize>, device: &Device) -> Angles {
    let length = positions.len();
    let angle = |position: usize, i: usize| position as f64 / 1e4_f64.powf(2.0 * (i % (HEAD / 2)) as f64 / HEAD as f64);
    let angles: Vec<f64> = positions.flat_map(|position| (0..HEAD).map(move |i| angle(position, i))).collect();
    [f64::cos, f64::sin].map(|f| {
        let values: Vec<f32> = angles.iter().map(|&angle| f(angle) as f32).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, length, HEAD]), device)
    })
}

fn rotate(x: Tensor<4>, [cos, sin]: &Angles) -> Tensor<4> {
    let halves = x.clone().chunk(2, 3);
    let turned = Tensor::cat(vec![-halves[1].clone(), halves[0].clone()], 3);
    x * cos.clone() + turned * sin.clone()
}
