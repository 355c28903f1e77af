//! Counts of n-grams in sequences of integers.

use super::matrix::multiplied;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::{BinaryKind, Compare, Logical, ReduceKind};

pub(super) fn find(op: &str) -> Option<Import> {
    (op == "TfIdfVectorizer").then_some(tf_idf_vectorizer)
}

/// The most comparisons of a sequence with tokens: each is an operation.
const MOST: usize = 1 << 12;

/// The n-grams of one length, with the places of their counts in the output.
struct Grams {
    length: usize,
    /// One after the other.
    tokens: Vec<i64>,
    places: Vec<usize>,
}

/// Reads the attributes that list n-grams, by length.
fn grams(node: &Node) -> Result<Vec<Grams>> {
    if node.has("pool_strings") {
        return Err(node.refused("attribute pool_strings", "none, but pool_int64s", "strings"));
    }
    let pool = node.ints("pool_int64s")?.unwrap_or_default();
    let (starts, places) =
        (node.ints("ngram_counts")?.unwrap_or_default(), node.ints("ngram_indexes")?.unwrap_or_default());
    let mut places = places.into_iter();
    let mut all = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let (length, end) = (i + 1, starts.get(i + 1).copied().unwrap_or(pool.len() as i64));
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let tokens = range.and_then(|(start, end)| pool.get(start..end));
        let tokens = tokens.filter(|tokens| tokens.len().is_multiple_of(length));
        let wrong =
            || node.refused("attribute ngram_counts", "starts of n-grams in the pool", format_args!("{starts:?}"));
        let tokens = tokens.ok_or_else(wrong)?.to_vec();
        let count = tokens.len() / length;
        let of: Option<Vec<usize>> = places.by_ref().take(count).map(|place| usize::try_from(place).ok()).collect();
        let of = of.filter(|of| of.len() == count);
        let wrong = || node.refused("attribute ngram_indexes", "a number of 0 or more for each n-gram", "others");
        all.push(Grams { length, tokens, places: of.ok_or_else(wrong)? });
    }
    match places.next() {
        None => Ok(all),
        Some(_) => Err(node.refused("attribute ngram_indexes", "a number for each n-gram", "more")),
    }
}

/// Counts how often each n-gram of a pool occurs, with the same gap between all of its tokens, for gaps up to a limit.
fn tf_idf_vectorizer(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let from = b.shape(x);
    if x.element().is_float() || !(1..=2).contains(&from.len()) || from.elements() == 0 {
        return Err(node.refused("X", "integers, [C] or [N, C]", format_args!("{} {from}", x.element())));
    }
    let size = from[from.len() - 1];
    let rows = from.elements() / size;
    let x = b.reshape(x, [rows, size, 1])?;
    let mode = node.one_of("mode", &["TF", "IDF", "TFIDF"])?;
    let (least, most) = (node.count("min_gram_length", 1, 1)?, node.count("max_gram_length", 1, 1)?);
    let gaps = node.count("max_skip_count", 0, 0)?;
    let all = grams(node)?;
    let weights = node.floats("weights")?;
    let count: usize = all.iter().map(|grams| grams.places.len()).sum();
    if weights.as_ref().is_some_and(|weights| weights.len() != count) {
        return Err(node.refused("attribute weights", &format!("{count} numbers"), "others"));
    }
    let width = all.iter().flat_map(|grams| &grams.places).max().map_or(0, |&most| most.saturating_add(1));
    foldable(&[width.max(1), count.max(1), size].into())?;
    let (mut parts, mut chosen) = (Vec::new(), Vec::new());
    let (mut first, mut compared) = (0, 0);
    for Grams { length, tokens, places } in all {
        let here = first..first + places.len();
        first = here.end;
        if places.is_empty() || !(least..=most).contains(&length) {
            continue;
        }
        // The number of occurrences of each n-gram, [N, n-grams].
        let mut found: Option<Operand> = None;
        // One token has no gaps.
        for step in 1..=if length == 1 { 1 } else { gaps.saturating_add(1) } {
            let Some(starts) = size.checked_sub((length - 1).saturating_mul(step)).filter(|&starts| starts > 0) else {
                break;
            };
            compared += length;
            if compared > MOST {
                let wanted = format!("{MOST} comparisons of tokens at most for all gaps");
                return Err(node.refused("attribute max_skip_count", &wanted, gaps));
            }
            let mut same: Option<Operand> = None;
            for i in 0..length {
                let token = tokens.iter().skip(i).step_by(length).copied().collect();
                let token = Tensor::ints(x.element(), [1, 1, places.len()], token).into();
                let here = b.slice(&x, 1, i * step, starts, 1)?;
                let equal = b.compare(&here, Compare::Eq, &token)?;
                same = Some(match same {
                    Some(same) => b.logical(Logical::And, &[&same, &equal])?,
                    None => equal,
                });
            }
            let same = same.ok_or_else(|| node.refused("attribute ngram_counts", "n-grams", "none"))?;
            let ones = b.cast(&same, ElementType::F32)?;
            let sums = b.reduce(&ones, ReduceKind::Sum, &[1], false)?;
            found = Some(match found {
                Some(found) => b.binary(BinaryKind::Add, &found, &sums)?,
                None => sums,
            });
        }
        if let Some(found) = found {
            parts.push(found);
            chosen.extend(here.zip(places));
        }
    }
    let y = if parts.is_empty() {
        Tensor::filled(ElementType::F32, [rows, width].into(), 0.0)?.with_fixed(false).into()
    } else {
        let found = b.concat(&parts, 1)?;
        // A product with a matrix of weights puts each count in its place.
        let number = |gram: usize| weights.as_ref().filter(|_| mode != "TF").map_or(1.0, |weights| weights[gram]);
        let mut matrix = vec![0.0; chosen.len() * width];
        for (row, &(gram, place)) in chosen.iter().enumerate() {
            matrix[row * width + place] = number(gram);
        }
        let found = match mode {
            "IDF" => b.binary(BinaryKind::Min, &found, &found.number(1))?,
            _ => found,
        };
        let matrix = Tensor::floats(ElementType::F32, [chosen.len(), width], matrix);
        multiplied(b, &found, &matrix.into())?
    };
    let mut sizes = from.to_vec();
    sizes[from.len() - 1] = width;
    Ok(vec![b.reshape(&y, sizes)?])
}
