//! torchvision's vision transformer: Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image
//! Recognition at Scale", 2020, <https://arxiv.org/abs/2010.11929>.

use super::Layers;
use crate::error::{ErrorKind, Result};
use crate::ops::{Activation, Attention, Conv2d, LayerNorm};
use crate::{Constant, Graph, Value, Weights};

/// The sizes of a vision transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionTransformer {
    /// The height and width of a patch, which becomes a token.
    pub patch: usize,
    /// The number of encoder blocks.
    pub layers: usize,
    /// The number of attention heads.
    pub heads: usize,
    /// The elements of a token, a multiple of `heads`.
    pub hidden: usize,
    /// The elements between the two linear layers of a block.
    pub mlp: usize,
    /// The number of classes.
    pub classes: usize,
}

/// Adds the base model with patches of 16x16: 86.6 M parameters, 17.6 G multiply-accumulates at 224x224.
pub fn vit_b_16(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    VisionTransformer::of_heads(12).build(graph, x, weights)
}

/// Adds the tiny model with patches of 16x16: 5.7 M parameters, 1.3 G multiply-accumulates at 224x224. Touvron et al.,
/// "Training data-efficient image transformers & distillation through attention", 2020,
/// <https://arxiv.org/abs/2012.12877>. torchvision lacks it; the weights have the names of its `VisionTransformer`.
pub fn vit_ti_16(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    VisionTransformer::of_heads(3).build(graph, x, weights)
}

impl VisionTransformer {
    /// Returns a published model with patches of 16x16. These differ only in their width: heads of 64 elements.
    const fn of_heads(heads: usize) -> VisionTransformer {
        let hidden = 64 * heads;
        VisionTransformer { patch: 16, layers: 12, heads, hidden, mlp: 4 * hidden, classes: 1000 }
    }

    /// Adds the network: images `[N, 3, H, W]` to logits `[N, classes]`. H and W are multiples of the patch. The
    /// position embedding is learned, so that a file's weights are for one size.
    pub fn build(&self, graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
        let mut net = Layers { graph, weights };
        let x = self.embed(&mut net, x)?;
        let mut x = net.with_class_token(x)?;
        for i in 0..self.layers {
            let name = format!("encoder.layers.encoder_layer_{i}");
            x = encoder_block(net.graph, x, weights, &name, self.heads, self.mlp)?;
        }
        // Only the class token is classified.
        let patches = net.shape(x)?[1] as isize - 1;
        let x = net.graph.pad(x, [[0, 0], [0, -patches], [0, 0]], 0.0)?;
        let x = net.graph.flatten(x)?;
        let x = net.layer_norm(x, "encoder.ln")?;
        net.linear(x, "heads.head", self.classes)
    }

    /// Embeds each patch as a token: `[N, 3, H, W]` to `[N, tokens, hidden]`.
    fn embed(&self, net: &mut Layers, x: Value) -> Result<Value> {
        let shape = net.shape(x)?;
        let &[_, channels, height, width] = &shape[..] else {
            return Err(ErrorKind::argument("input", "[N, C, H, W]", shape).into());
        };
        if self.patch == 0 {
            return Err(ErrorKind::argument("patch", "1 or more", 0).into());
        }
        if height % self.patch != 0 || width % self.patch != 0 {
            let wanted = format!("a height and a width that are multiples of {}", self.patch);
            return Err(ErrorKind::argument("input", wanted, shape).into());
        }
        let weight = net.weights.get("conv_proj.weight", [self.hidden, channels, self.patch, self.patch])?;
        let bias = net.weights.get("conv_proj.bias", [self.hidden])?;
        let conv = Conv2d::new(weight, Some(bias)).stride(self.patch);
        let x = net.named("conv_proj", |graph| graph.conv2d(x, conv))?;
        let x = net.graph.transpose(x, [0, 2, 3, 1])?;
        net.graph.reshape(x, [0, -1, self.hidden as isize])
    }
}

/// Adds a block of a pre-norm encoder, `[N, tokens, hidden]` to the same: `x + attention(norm(x))`, then
/// `x + mlp(norm(x))` with GELU between two linear layers. The weights are `{name}.ln_1`, `.self_attention`, `.ln_2`,
/// `.mlp.0`, `.mlp.3`, as torchvision's `EncoderBlock` names them; its epsilon is 1e-6.
pub fn encoder_block(
    graph: &mut Graph,
    x: Value,
    weights: &Weights,
    name: &str,
    heads: usize,
    mlp: usize,
) -> Result<Value> {
    let mut net = Layers { graph, weights };
    let y = net.layer_norm(x, &format!("{name}.ln_1"))?;
    let y = net.self_attention(y, &format!("{name}.self_attention"), heads)?;
    let x = net.graph.add(y, x)?;
    let y = net.layer_norm(x, &format!("{name}.ln_2"))?;
    let y = net.linear(y, &format!("{name}.mlp.0"), mlp)?;
    let y = net.graph.activation(y, Activation::Gelu)?;
    let hidden = net.features(x)?;
    let y = net.linear(y, &format!("{name}.mlp.3"), hidden)?;
    net.graph.add(y, x)
}

impl Layers<'_> {
    /// Returns the elements of a token.
    fn features(&self, x: Value) -> Result<usize> {
        Ok(self.shape(x)?.last().copied().unwrap_or(1))
    }

    fn layer_norm(&mut self, x: Value, name: &str) -> Result<Value> {
        let features = self.features(x)?;
        let get = |part: &str| self.weights.get(&format!("{name}.{part}"), [features]);
        let norm = LayerNorm::new([features], Some(get("weight")?), Some(get("bias")?)).eps(1e-6);
        self.named(name, |graph| graph.layer_norm(x, norm))
    }

    /// Adds `torch.nn.MultiheadAttention` of x with itself: one linear layer makes queries, keys and values.
    fn self_attention(&mut self, x: Value, name: &str, heads: usize) -> Result<Value> {
        let features = self.features(x)?;
        let weight = self.weights.get(&format!("{name}.in_proj_weight"), [3 * features, features])?;
        let bias = self.weights.get(&format!("{name}.in_proj_bias"), [3 * features])?;
        let qkv = self.named(&format!("{name}.in_proj"), |graph| graph.linear(x, weight, Some(bias)))?;
        let y = self.named(name, |graph| graph.attention(&[qkv], Attention::new().packed(heads, heads)))?;
        self.linear(y, &format!("{name}.out_proj"), features)
    }

    /// Prepends the class token, `[N, tokens, hidden]` to `[N, tokens + 1, hidden]`, and adds the position embedding.
    fn with_class_token(&mut self, x: Value) -> Result<Value> {
        let shape = self.shape(x)?;
        let (tokens, features) = (shape[1] + 1, shape[2]);
        let class = self.weights.get("class_token", [1, 1, features])?;
        let position = self.weights.get("encoder.pos_embedding", [1, tokens, features])?;
        // Prepend a position of zeros, whose embedding includes the class token.
        let learned = [position.clone(), class.clone()];
        let embedding = Constant::lazy("encoder.pos_embedding", [1, tokens, features], move || {
            let mut values = position.values();
            values.iter_mut().zip(class.values()).for_each(|(to, class)| *to += class);
            values
        });
        let embedding = embedding.derived_from(&learned.each_ref());
        let x = self.named("class_token", |graph| graph.pad(x, [[0, 0], [1, 0], [0, 0]], 0.0))?;
        let embedding = self.graph.constant(embedding);
        self.named("encoder.pos_embedding", |graph| graph.add(x, embedding))
    }
}
