//! The networks, each after its paper, with the names of torchvision's state dicts.

mod alexnet;
mod decoder;
mod digits;
mod generator;
mod m5;
mod mobilenet_v1;
mod mobilenet_v2;
mod mobilenet_v3;
mod resnet;
mod text;
mod upscale;
mod vgg;
mod vit;

pub use alexnet::{alexnet, alexnet_original};
pub use decoder::Decoder;
pub use digits::{digits, digits_weights};
pub use generator::Generator;
pub use m5::{m5, m5_small};
pub use mobilenet_v1::{mobilenet_v1, mobilenet_v1_width};
pub use mobilenet_v2::mobilenet_v2;
pub use mobilenet_v3::{mobilenet_v3_large, mobilenet_v3_small};
pub use resnet::{resnet18, resnet34, resnet50, resnet101, resnet152, resnext50_32x4d};
pub use text::{CharacterModel, sample, shakespeare};
pub use upscale::{upscale, upscale_weights};
pub use vgg::{vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn};
pub use vit::{VisionTransformer, encoder_block, vit_b_16, vit_ti_16};

use crate::error::{ErrorKind, Result};
use crate::ops::{Activation, BatchNorm2d, Conv2d, PaddingMode, Pool2d, PoolKind};
use crate::shape::{BATCH, Shape};
use crate::{Graph, Value, Weights};

/// A network of this crate: its name, its input and its builder.
#[derive(Clone, Copy)]
pub struct Network {
    /// The name, torchvision's where it has the network.
    pub name: &'static str,
    /// The input for one image, `[channels, height, width]`.
    pub input: [usize; 3],
    /// The preprocessing that turns a picture into the input.
    pub preprocess: Preprocess,
    /// The function that adds the network to a graph: from the input's value to the output's.
    pub build: fn(&mut Graph, Value, &Weights) -> Result<Value>,
    /// The weights that the crate ships, if any.
    pub weights: Option<fn() -> Result<Weights>>,
}

/// The preprocessing that turns a picture into a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preprocess {
    /// torchvision's for ImageNet: the shorter side to 256 (bilinear), the middle 224x224, `(RGB - mean) / deviation`.
    ImageNet,
    /// Grey, 8x8, in 0..1.
    Digit,
    /// RGB in 0..1, of any size.
    Picture,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({})", self.name)
    }
}

impl Network {
    /// Returns the network as a graph with the input `"image"` and one output: `"logits"`, or `"image"` for a network
    /// that makes pictures. `size` is the `[height, width]` of the input, `None` the usual one.
    pub fn graph(&self, weights: &Weights, size: Option<[usize; 2]>) -> Result<Graph> {
        let [channels, height, width] = self.input;
        let [height, width] = size.unwrap_or([height, width]);
        let mut graph = Graph::new();
        let x = graph.input("image", [BATCH, channels, height, width]);
        let y = (self.build)(&mut graph, x, weights)?;
        graph.output(if self.preprocess == Preprocess::Picture { "image" } else { "logits" }, y);
        Ok(graph)
    }
}

/// Returns the network of that name.
pub fn find(name: &str) -> Result<Network> {
    let names = || all().iter().map(|network| network.name).collect::<Vec<_>>().join(", ");
    let found = all().iter().find(|network| network.name == name);
    found.copied().ok_or_else(|| ErrorKind::argument("model", format_args!("one of {}", names()), name).into())
}

/// Returns all networks of this crate.
pub fn all() -> &'static [Network] {
    const fn imagenet(name: &'static str, build: fn(&mut Graph, Value, &Weights) -> Result<Value>) -> Network {
        Network { name, input: [3, 224, 224], preprocess: Preprocess::ImageNet, build, weights: None }
    }
    const ALL: &[Network] = &[
        Network {
            name: "digits",
            input: [1, 8, 8],
            preprocess: Preprocess::Digit,
            build: digits,
            weights: Some(digits_weights),
        },
        Network {
            name: "upscale",
            input: [3, 128, 192],
            preprocess: Preprocess::Picture,
            build: upscale,
            weights: Some(upscale_weights),
        },
        imagenet("alexnet_original", alexnet_original),
        imagenet("alexnet", alexnet),
        imagenet("vgg11", vgg11),
        imagenet("vgg11_bn", vgg11_bn),
        imagenet("vgg13", vgg13),
        imagenet("vgg13_bn", vgg13_bn),
        imagenet("vgg16", vgg16),
        imagenet("vgg16_bn", vgg16_bn),
        imagenet("vgg19", vgg19),
        imagenet("vgg19_bn", vgg19_bn),
        imagenet("resnet18", resnet18),
        imagenet("resnet34", resnet34),
        imagenet("resnet50", resnet50),
        imagenet("resnet101", resnet101),
        imagenet("resnet152", resnet152),
        imagenet("resnext50_32x4d", resnext50_32x4d),
        imagenet("mobilenet_v1", mobilenet_v1),
        imagenet("mobilenet_v2", mobilenet_v2),
        imagenet("mobilenet_v3_small", mobilenet_v3_small),
        imagenet("mobilenet_v3_large", mobilenet_v3_large),
        imagenet("vit_b_16", vit_b_16),
        imagenet("vit_ti_16", vit_ti_16),
    ];
    ALL
}

/// A convolution as papers write it: a square kernel, to `out` channels.
#[derive(Clone, Copy)]
struct Conv {
    out: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    padding_mode: PaddingMode,
    groups: usize,
    bias: bool,
}

impl Conv {
    /// Returns a convolution with stride 1, no padding, one group, no bias.
    const fn new(out: usize, kernel: usize) -> Conv {
        Conv { out, kernel, stride: 1, padding: 0, padding_mode: PaddingMode::Zeros, groups: 1, bias: false }
    }

    /// Returns a convolution padded with zeros so that stride 1 keeps the size.
    const fn same(out: usize, kernel: usize) -> Conv {
        Conv { padding: kernel / 2, ..Conv::new(out, kernel) }
    }
}

/// A builder that adds layers to a graph, under the names of their weights.
struct Layers<'a> {
    graph: &'a mut Graph,
    weights: &'a Weights,
}

impl Layers<'_> {
    /// Returns the channels of an image.
    fn channels(&self, x: Value) -> Result<usize> {
        Ok(self.shape(x)?.get(1).copied().unwrap_or(1))
    }

    fn shape(&self, x: Value) -> Result<Shape> {
        self.graph.shape(x, 1)
    }

    fn conv(&mut self, x: Value, name: &str, conv: Conv) -> Result<Value> {
        let Conv { out, kernel, stride, padding, padding_mode, groups, bias } = conv;
        let channels = self.channels(x)?;
        let weight = self.weights.get(&format!("{name}.weight"), [out, channels / groups, kernel, kernel])?;
        let bias = bias.then(|| self.weights.get(&format!("{name}.bias"), [out])).transpose()?;
        let conv = Conv2d::new(weight, bias).stride(stride).padding(padding).padding_mode(padding_mode).groups(groups);
        self.named(name, |graph| graph.conv2d(x, conv))
    }

    fn batch_norm(&mut self, x: Value, name: &str) -> Result<Value> {
        self.batch_norm_eps(x, name, 1e-5)
    }

    fn batch_norm_eps(&mut self, x: Value, name: &str, eps: f64) -> Result<Value> {
        let channels = self.channels(x)?;
        let get = |part: &str| self.weights.get(&format!("{name}.{part}"), [channels]);
        let norm = BatchNorm2d::new(get("weight")?, get("bias")?, get("running_mean")?, get("running_var")?).eps(eps);
        self.named(name, |graph| graph.batch_norm(x, norm))
    }

    /// Adds torchvision's `Conv2dNormActivation`: convolution `{name}.0`, batch norm `{name}.1`, maybe an activation.
    fn conv_norm_activation(
        &mut self,
        x: Value,
        name: &str,
        conv: Conv,
        eps: f64,
        activation: Option<Activation>,
    ) -> Result<Value> {
        let y = self.conv(x, &format!("{name}.0"), conv)?;
        let y = self.batch_norm_eps(y, &format!("{name}.1"), eps)?;
        activation.map_or(Ok(y), |activation| self.graph.activation(y, activation))
    }

    /// Adds the mean of each channel over the image, an image of one pixel.
    fn global_mean(&mut self, x: Value) -> Result<Value> {
        self.graph.pool2d(x, Pool2d::adaptive(PoolKind::Average, [1, 1]))
    }

    /// Adds a node under a name, which its error carries too.
    fn named(&mut self, name: &str, add: impl FnOnce(&mut Graph) -> Result<Value>) -> Result<Value> {
        let value = add(self.graph).map_err(|error| match error.at {
            Some((op, _)) => error.kind.at(op, name),
            None => error,
        })?;
        self.graph.rename(value, name)?;
        Ok(value)
    }

    fn linear(&mut self, x: Value, name: &str, out: usize) -> Result<Value> {
        let features = self.shape(x)?.last().copied().unwrap_or(1);
        let weight = self.weights.get(&format!("{name}.weight"), [out, features])?;
        let bias = self.weights.get(&format!("{name}.bias"), [out])?;
        self.named(name, |graph| graph.linear(x, weight, Some(bias)))
    }
}
