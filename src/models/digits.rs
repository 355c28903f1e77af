//! A small residual network that reads handwritten digits of 8x8 pixels. Trained by `assets/digits/train.py`.

use super::Layers;
use crate::error::Result;
use crate::{Graph, Value, Weights};

/// Adds the network: `[N, 1, 8, 8]` in 0..1 to the logits of ten digits, by a stem and two residual blocks.
pub fn digits(graph: &mut Graph, x: Value, weights: &Weights) -> Result<Value> {
    Layers { graph, weights }.small_resnet(x)
}

/// Returns the weights of [`digits`], which this crate ships.
pub fn digits_weights() -> Result<Weights> {
    Weights::from_static("digits.safetensors", include_bytes!("../../assets/digits/digits.safetensors"))
}
