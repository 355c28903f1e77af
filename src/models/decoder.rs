//! Decoders: networks that continue a text, token by token.

use super::Layers;
use crate::error::{ErrorKind, Result};
use crate::ops::{Attention, GluKind, RmsNorm, RotaryEmbedding};
use crate::{BATCH, DType, Graph, Value, Weights};

/// A decoder after Touvron et al. ("LLaMA: Open and Efficient Foundation Language Models", 2023,
/// <https://arxiv.org/abs/2302.13971>): pre-norm blocks of attention with rotary embedding and a SwiGLU, RMS norm, no
/// biases; with grouped-query attention (Ainslie et al., 2023, <https://arxiv.org/abs/2305.13245>).
///
/// The fields and the weights have the names of Hugging Face's `LlamaConfig` and `LlamaForCausalLM`: a `state_dict` in
/// a safetensors file loads unchanged.
///
/// Two kinds of graphs share the weights: [`Decoder::full`] takes a whole text at once; [`Decoder::next`] takes tokens
/// that follow those in the cache of keys and values. A [`Generator`](super::Generator) runs the second kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoder {
    /// The number of different tokens.
    pub vocab_size: usize,
    /// The elements of a token's vector.
    pub hidden_size: usize,
    /// The hidden elements of a block's SwiGLU.
    pub intermediate_size: usize,
    /// The number of blocks.
    pub num_hidden_layers: usize,
    /// The number of query heads.
    pub num_attention_heads: usize,
    /// The number of key and value heads, each shared by as many query heads: a divisor of their number.
    pub num_key_value_heads: usize,
    /// The most tokens of a text: the capacity of the cache.
    pub max_position_embeddings: usize,
    /// The epsilon of the norms.
    pub rms_norm_eps: f64,
    /// The base of the rotary embedding's angles.
    pub rope_theta: f64,
    /// True if the embedding is the output layer's weight too.
    pub tie_word_embeddings: bool,
}

/// The position of the tokens in the text.
#[derive(Clone, Copy)]
enum Position {
    Start,
    /// After as many other tokens as this value says.
    After(Value),
}

impl Decoder {
    /// Builds the graph for a text of `length` tokens at once: input `"tokens"`, `i32`s `[batch, length]`; output
    /// `"logits"`, `[batch, length, vocab_size]`, of the token after each.
    pub fn full(&self, weights: &Weights, length: usize) -> Result<Graph> {
        self.graph(weights, length, false)
    }

    /// Builds the graph for the next `length` tokens of a text. Inputs `"tokens"`, `i32`s `[batch, length]`, and
    /// `"position"`, `i32`s `[batch]`: the number of earlier tokens of each text. Output `"logits"` as in
    /// [`Decoder::full`]. The keys and values of the tokens join those of the earlier tokens, in states of the graph.
    pub fn next(&self, weights: &Weights, length: usize) -> Result<Graph> {
        self.graph(weights, length, true)
    }

    fn graph(&self, weights: &Weights, length: usize, cached: bool) -> Result<Graph> {
        if length == 0 || length > self.max_position_embeddings {
            let wanted = format!("1 to {} tokens", self.max_position_embeddings);
            return Err(ErrorKind::argument("length", wanted, length).into());
        }
        let heads = [self.num_attention_heads, self.num_key_value_heads];
        if heads.contains(&0) || !heads[0].is_multiple_of(heads[1]) || !self.hidden_size.is_multiple_of(heads[0]) {
            let got = format!("{} and {}, of {} elements", heads[0], heads[1], self.hidden_size);
            let wanted = "query heads that divide the elements and are a multiple of the key and value heads";
            return Err(ErrorKind::argument("heads", wanted, got).into());
        }
        let mut graph = Graph::new();
        let tokens = graph.typed_input("tokens", DType::I32, [BATCH, length]);
        let place =
            if cached { Position::After(graph.typed_input("position", DType::I32, [BATCH])) } else { Position::Start };
        let embedding = weights.get("model.embed_tokens.weight", [self.vocab_size, self.hidden_size])?;
        let mut net = Layers { graph: &mut graph, weights };
        let mut x = net.named("model.embed_tokens", |graph| graph.embedding(tokens, embedding.clone()))?;
        for layer in 0..self.num_hidden_layers {
            x = self.block(&mut net, x, &format!("model.layers.{layer}"), place)?;
        }
        let x = self.norm(&mut net, x, "model.norm")?;
        let output = match self.tie_word_embeddings {
            true => embedding,
            false => weights.get("lm_head.weight", [self.vocab_size, self.hidden_size])?,
        };
        let logits = net.named("lm_head", |graph| graph.linear(x, output, None))?;
        graph.output("logits", logits);
        Ok(graph)
    }

    fn block(&self, net: &mut Layers, x: Value, name: &str, place: Position) -> Result<Value> {
        let y = self.norm(net, x, &format!("{name}.input_layernorm"))?;
        let y = self.attention(net, y, &format!("{name}.self_attn"), place)?;
        let x = net.graph.add(x, y)?;
        let y = self.norm(net, x, &format!("{name}.post_attention_layernorm"))?;
        let gate = self.project(net, y, &format!("{name}.mlp.gate_proj"), self.intermediate_size)?;
        let up = self.project(net, y, &format!("{name}.mlp.up_proj"), self.intermediate_size)?;
        let y = net.graph.glu_pair(gate, up, GluKind::SwiGlu)?;
        let y = self.project(net, y, &format!("{name}.mlp.down_proj"), self.hidden_size)?;
        net.graph.add(x, y)
    }

    fn attention(&self, net: &mut Layers, x: Value, name: &str, place: Position) -> Result<Value> {
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        let kv_size = self.hidden_size / heads * kv_heads;
        let q = self.project(net, x, &format!("{name}.q_proj"), self.hidden_size)?;
        let k = self.project(net, x, &format!("{name}.k_proj"), kv_size)?;
        let v = self.project(net, x, &format!("{name}.v_proj"), kv_size)?;
        let turn = |heads| RotaryEmbedding::new(self.max_position_embeddings).heads(heads).theta(self.rope_theta);
        let attention = Attention::new().heads(heads, kv_heads).is_causal(true);
        let graph = &mut *net.graph;
        let y = match place {
            Position::Start => {
                let (q, k) =
                    (graph.rotary_embedding(&[q], turn(heads))?, graph.rotary_embedding(&[k], turn(kv_heads))?);
                graph.attention(&[q, k, v], attention)?
            }
            Position::After(position) => {
                let q = graph.rotary_embedding(&[q, position], turn(heads).cached())?;
                let k = graph.rotary_embedding(&[k, position], turn(kv_heads).cached())?;
                let cache = [BATCH, self.max_position_embeddings, kv_size];
                let [keys, values] = ["keys", "values"].map(|part| graph.state(format!("{name}.{part}"), cache));
                let k = graph.append(keys, k, position)?;
                let v = graph.append(values, v, position)?;
                graph.attention(&[q, k, v, position], attention.cached())?
            }
        };
        self.project(net, y, &format!("{name}.o_proj"), self.hidden_size)
    }

    fn norm(&self, net: &mut Layers, x: Value, name: &str) -> Result<Value> {
        let weight = net.weights.get(&format!("{name}.weight"), [self.hidden_size])?;
        let norm = RmsNorm::new([self.hidden_size], Some(weight)).eps(self.rms_norm_eps);
        net.named(name, |graph| graph.rms_norm(x, norm))
    }

    fn project(&self, net: &mut Layers, x: Value, name: &str, out: usize) -> Result<Value> {
        let features = net.shape(x)?.last().copied().unwrap_or(1);
        let weight = net.weights.get(&format!("{name}.weight"), [out, features])?;
        net.named(name, |graph| graph.linear(x, weight, None))
    }
}
