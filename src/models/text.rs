//! A decoder of characters, trained by `assets/text/train.py`, and the conversion between text and tokens.

use super::Decoder;
use crate::Weights;
use crate::error::{ErrorKind, Result};

/// A decoder with its weights and the characters that its tokens stand for.
#[derive(Clone, Debug)]
pub struct CharacterModel {
    /// The sizes of the decoder.
    pub decoder: Decoder,
    /// The weights of the decoder.
    pub weights: Weights,
    vocabulary: Vec<char>,
}

/// Returns a small decoder that writes in the manner of Shakespeare's plays: 0.8 M parameters, which this crate ships.
pub fn shakespeare() -> Result<CharacterModel> {
    let vocabulary: Vec<char> = include_str!("../../assets/text/vocabulary.txt").chars().collect();
    let decoder = Decoder {
        vocab_size: vocabulary.len(),
        hidden_size: 128,
        intermediate_size: 344,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        max_position_embeddings: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 1e4,
        tie_word_embeddings: true,
    };
    let weights = Weights::from_static("text.safetensors", include_bytes!("../../assets/text/text.safetensors"))?;
    Ok(CharacterModel { decoder, weights, vocabulary })
}

impl CharacterModel {
    /// Returns the tokens of a text; an error if one of its characters is unknown.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>> {
        let token = |character: char| {
            let found = self.vocabulary.iter().position(|&known| known == character);
            let known = || self.vocabulary.iter().filter(|known| !known.is_control()).collect::<String>();
            let token = found.ok_or_else(|| ErrorKind::argument("text", format_args!("of {}", known()), character));
            Ok(token? as i32)
        };
        text.chars().map(token).collect()
    }

    /// Returns the text of some tokens, without unknown ones.
    pub fn decode(&self, tokens: &[i32]) -> String {
        let character = |&token: &i32| self.vocabulary.get(usize::try_from(token).ok()?);
        tokens.iter().filter_map(character).collect()
    }
}

/// Picks a token by its logits: the likeliest at a temperature of 0, else each with its probability under
/// `softmax(logits / temperature)`. `random` is a number in 0..1.
pub fn sample(logits: &[f32], temperature: f32, random: f32) -> i32 {
    let likeliest = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    if temperature <= 0.0 {
        return likeliest as i32;
    }
    let weight = |&logit: &f32| ((logit - logits[likeliest]) / temperature).exp();
    let mut left = random * logits.iter().map(weight).sum::<f32>();
    let picked = logits.iter().position(|logit| {
        left -= weight(logit);
        left < 0.0
    });
    picked.unwrap_or(likeliest) as i32
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn samples_follow_the_probabilities() {
        let logits = [0.0f32, 3f32.ln(), -1e4];
        assert_eq!(sample(&logits, 0.0, 0.1), 1);
        // The probabilities are a quarter and three quarters.
        let counts = (0..1000).fold([0; 3], |mut counts, i| {
            counts[sample(&logits, 1.0, (i as f32 + 0.5) / 1000.0) as usize] += 1;
            counts
        });
        assert_eq!(counts, [250, 750, 0]);
        // A high temperature makes both equally likely.
        assert_eq!(sample(&[0.0, 1.0], 1e6, 0.49), 0);
        assert_eq!(sample(&[0.0, 1.0], 1e6, 0.51), 1);
    }
}
