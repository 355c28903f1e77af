//! The best classes of an output, and the meaning of its numbers.

use super::Result;
use shadernet::plan::Port;
use shadernet::{DType, ErrorKind, Graph, Node};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// The meaning of the numbers of an output `[N, classes]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scores {
    /// Any numbers, whose softmax gives probabilities.
    Logits,
    /// Probabilities, from a softmax.
    Softmax,
    /// A probability for each class by itself, from a sigmoid.
    Sigmoid,
    /// Presumably probabilities, since they add up to 1.
    Shares,
}

impl Scores {
    /// Finds the meaning by the operation that gives a graph's first output, or by the values.
    pub(super) fn new(graph: &Graph, values: &[f32], rows: usize) -> shadernet::Result<Scores> {
        let mut known = HashMap::new();
        graph.visit(1, |node: &Node, io| {
            let read = node.inputs.first().and_then(|value| known.get(value).copied());
            let scores = match node.op.name() {
                "softmax" => Some(Scores::Softmax),
                "sigmoid" => Some(Scores::Sigmoid),
                // Rounding a number doesn't change its meaning.
                "reduce_precision" | "cast" | "quantize" | "dequantize" => read,
                _ if node.op.metrics(io).cost.moves == Some(0) => read,
                _ => None,
            };
            known.extend(scores.map(|scores| (node.outputs[0], scores)));
            Ok(())
        })?;
        let output = graph.outputs().first().and_then(|(_, value)| known.get(value).copied());
        let shares = |row: &[f32]| {
            let sum: f64 = row.iter().map(|&value| f64::from(value)).sum();
            row.iter().all(|value| (0.0..=1.0).contains(value)) && (sum - 1.0).abs() <= 1e-3
        };
        let all = || rows > 0 && values.chunks(values.len().div_ceil(rows).max(1)).all(shares);
        Ok(output.unwrap_or_else(|| if all() { Scores::Shares } else { Scores::Logits }))
    }

    /// Returns true if `count` numbers can be taken for the scores of classes without being told.
    pub(super) fn tell_classes(self, count: usize) -> bool {
        count > 1 && matches!(self, Scores::Softmax | Scores::Shares)
    }

    /// Describes the probabilities of an output.
    pub(super) fn text(self, output: &str) -> String {
        match self {
            Scores::Logits => format!("the softmax of {output}"),
            Scores::Softmax => format!("{output} itself, a softmax"),
            Scores::Sigmoid => format!("{output} itself, a sigmoid: each class for itself"),
            Scores::Shares => format!("{output} itself, which adds up to 1"),
        }
    }

    /// Returns the probability of each class.
    fn probabilities(self, scores: &[f32]) -> Vec<f64> {
        if self != Scores::Logits {
            return scores.iter().map(|&score| f64::from(score)).collect();
        }
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<f64> = scores.iter().map(|&logit| f64::from(logit - most).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.into_iter().map(|e| e / sum).collect()
    }

    /// Returns the classes with their probabilities, the best first.
    pub(super) fn ranked(self, scores: &[f32]) -> Vec<(usize, f64)> {
        let mut classes: Vec<(usize, f64)> = self.probabilities(scores).into_iter().enumerate().collect();
        classes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        classes
    }
}

/// The names of classes; none if they aren't known.
pub(super) struct Labels(Vec<String>);

impl Labels {
    /// Reads a file with a name on each line.
    pub(super) fn open(path: Option<&Path>) -> shadernet::Result<Labels> {
        let Some(path) = path else { return Ok(Labels(Vec::new())) };
        let text = std::fs::read_to_string(path).map_err(|error| ErrorKind::file(path, error))?;
        Ok(Labels(text.lines().map(|line| line.trim().to_owned()).collect()))
    }
}

/// Returns the number of images that an output has scores of, if it is `[N, classes]`.
pub(super) fn images(port: &Port) -> Option<usize> {
    match port.shape[..] {
        [images, classes] if classes > 0 && port.dtype == DType::F32 => Some(images),
        _ => None,
    }
}

/// Writes the best classes of each image of a batch.
pub(super) fn write_top(
    (port, values, scores): (&Port, &[f32], Scores),
    top: usize,
    (class, Labels(labels)): (&str, &Labels),
    out: &mut dyn Write,
) -> Result {
    let classes = port.shape[1];
    if !labels.is_empty() && labels.len() != classes {
        return Err(
            ErrorKind::argument("--labels", format!("{classes} lines, one for each class"), labels.len()).into()
        );
    }
    let batch = port.shape[0];
    for (i, values) in values.chunks(classes).enumerate() {
        if batch > 1 {
            writeln!(out, "image {i}")?;
        }
        for (index, probability) in scores.ranked(values).into_iter().take(top) {
            let label = labels.get(index).map(|label| format!("  {label}")).unwrap_or_default();
            writeln!(out, "{class} {index:<4} {:6.2} %{label}", 100.0 * probability)?;
        }
    }
    Ok(())
}
