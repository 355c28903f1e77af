//! Generation: a decoder whose cache stays on the device.

use super::Decoder;
use crate::error::{ErrorKind, Result};
use crate::{Context, Data, Model, Outputs, Pending, Precision, Session, Weights};
use std::collections::BTreeMap;

/// A generator of a batch of texts of equal length: feeds tokens to a [`Decoder`] and returns the next token's logits.
///
/// A prompt goes through in chunks of many tokens, generated text token by token. Both kinds of sessions share the
/// weights and the cache of keys and values, which never leaves the device.
///
/// ```no_run
/// # fn pick(logits: &[f32]) -> i32 { 0 }
/// # fn run(context: shadernet::Context) -> shadernet::Result<()> {
/// use shadernet::models::{Generator, shakespeare};
///
/// let text = shakespeare()?;
/// let mut generator = Generator::new(&context, text.decoder, &text.weights, 1)?;
/// let mut logits = generator.feed_blocking(&text.encode("ROMEO:")?)?;
/// for _ in 0..100 {
///     logits = generator.feed_blocking(&[pick(&logits)])?;
/// }
/// # Ok(()) }
/// ```
pub struct Generator {
    decoder: Decoder,
    weights: Weights,
    batch: usize,
    position: usize,
    model: Model,
    /// The sessions, by the number of tokens that they take at once.
    sessions: BTreeMap<usize, Session>,
}

/// The most tokens in a chunk.
const CHUNK: usize = 256;

impl Generator {
    /// Creates a generator for `batch` texts at once.
    pub fn new(context: &Context, decoder: Decoder, weights: &Weights, batch: usize) -> Result<Generator> {
        Generator::with_precision(context, decoder, weights, batch, Precision::F32)
    }

    /// Creates a generator whose numbers are stored so: see [`Precision`]. The cache of keys and values is `f32`.
    pub fn with_precision(
        context: &Context,
        decoder: Decoder,
        weights: &Weights,
        batch: usize,
        precision: Precision,
    ) -> Result<Generator> {
        let model = Model::new(context, &decoder.next(weights, 1)?)?.precision(precision);
        let sessions = BTreeMap::from([(1, model.session(batch)?)]);
        Ok(Generator { decoder, weights: weights.clone(), batch, position: 0, model, sessions })
    }

    /// Returns the number of tokens of each text so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Returns the greatest number of tokens of a text.
    pub fn capacity(&self) -> usize {
        self.decoder.max_position_embeddings
    }

    /// Clears the texts.
    pub fn clear(&mut self) {
        self.position = 0;
    }

    /// Prepares [`Generator::feed`] for so many tokens, so that the first time takes no longer than later ones: drivers
    /// compile a shader at its first use. The texts stay as they are.
    ///
    /// An error if there is no room for these tokens.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare(&mut self, length: usize) -> Result<()> {
        self.expect_room(length)?;
        let position = self.position;
        let fed = self.feed_blocking(&vec![0; self.batch * length]);
        // The written keys and values are beyond the texts' end, and will be overwritten.
        self.position = position;
        fed.map(drop)
    }

    /// Appends tokens to the texts, `[batch, length]`, and returns the logits of the next token, `[batch, vocab_size]`.
    ///
    /// An error if there is no room for the tokens, or a token is unknown; the texts then stay as they are.
    pub async fn feed(&mut self, tokens: &[i32]) -> Result<Vec<f32>> {
        let mut outputs = None;
        for pending in self.submit(tokens)? {
            outputs = Some(pending.await?);
        }
        self.fed(tokens.len(), outputs.as_ref())
    }

    /// Appends tokens as [`Generator::feed`] does, and blocks this thread until the logits are there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn feed_blocking(&mut self, tokens: &[i32]) -> Result<Vec<f32>> {
        let mut outputs = None;
        for pending in self.submit(tokens)? {
            outputs = Some(pending.wait()?);
        }
        self.fed(tokens.len(), outputs.as_ref())
    }

    /// Submits tokens, chunk after chunk, without waiting in between.
    fn submit(&mut self, tokens: &[i32]) -> Result<Vec<Pending>> {
        if tokens.is_empty() || !tokens.len().is_multiple_of(self.batch) {
            let wanted = format!("as many for each of {} texts, at least one", self.batch);
            return Err(ErrorKind::argument("tokens", wanted, tokens.len()).into());
        }
        let length = tokens.len() / self.batch;
        self.expect_room(length)?;
        let vocabulary = self.decoder.vocab_size;
        if let Some(token) = tokens.iter().find(|&&token| !(0..vocabulary as i64).contains(&token.into())) {
            return Err(ErrorKind::argument("token", format_args!("0 to {}", vocabulary - 1), token).into());
        }
        let mut done = 0;
        let mut pending = Vec::new();
        for chunk in chunks(length) {
            let part = tokens.chunks_exact(length).flat_map(|text| &text[done..done + chunk]).copied().collect();
            let position = vec![(self.position + done) as i32; self.batch];
            pending.push(self.session(chunk)?.submit(&[Data::I32(part), Data::I32(position)])?);
            done += chunk;
        }
        Ok(pending)
    }

    fn expect_room(&self, length: usize) -> Result<()> {
        let room = self.capacity() - self.position;
        if length <= room {
            return Ok(());
        }
        let wanted = format!("at most {room}: room for {}", self.capacity());
        Err(ErrorKind::argument("tokens", wanted, length).into())
    }

    /// Counts the tokens that went through, and returns each text's last logits.
    fn fed(&mut self, tokens: usize, outputs: Option<&Outputs>) -> Result<Vec<f32>> {
        self.position += tokens / self.batch;
        let logits = outputs.map_or(Ok(&[][..]), |outputs| outputs[0].f32())?;
        Ok(last_rows(logits, self.batch, self.decoder.vocab_size))
    }

    fn session(&mut self, length: usize) -> Result<&Session> {
        if !self.sessions.contains_key(&length) {
            let model = self.model.with_graph(&self.decoder.next(&self.weights, length)?)?;
            let session = model.session_sharing(self.batch, &self.sessions[&1])?;
            self.sessions.insert(length, session);
        }
        Ok(&self.sessions[&length])
    }
}

/// Splits `length` into powers of two, the largest first: few different sizes serve all lengths.
fn chunks(length: usize) -> impl Iterator<Item = usize> {
    let whole = std::iter::repeat_n(CHUNK, length / CHUNK);
    whole.chain((0..CHUNK.ilog2()).rev().map(|bit| 1 << bit).filter(move |bit| (length % CHUNK) & bit != 0))
}

/// Returns the last row of each text's logits.
fn last_rows(logits: &[f32], batch: usize, vocabulary: usize) -> Vec<f32> {
    let rows = logits.chunks_exact(logits.len() / batch);
    rows.flat_map(|text| &text[text.len() - vocabulary..]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_serve_all_lengths() {
        let sizes = |length| chunks(length).collect::<Vec<_>>();
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(13), [8, 4, 1]);
        assert_eq!(sizes(600), [256, 256, 64, 16, 8]);
        assert!((1..1000).all(|length| sizes(length).iter().sum::<usize>() == length));
    }
}
