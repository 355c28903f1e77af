//! Sums of products after Einstein's convention.

use super::matrix::multiplied;
use crate::Shape;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::node::{Node, Operand};
use crate::ops::{BinaryKind, ReduceKind};
use std::cmp::Reverse;

pub(super) fn find(op: &str) -> Option<Import> {
    (op == "Einsum").then_some(einsum)
}

/// The maximum number of operands.
const MOST_TERMS: usize = 64;

/// An index: a letter, or an axis of the ellipsis, counted from the ellipsis's end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Dots(Reverse<usize>),
    Letter(char),
}

/// An operand whose axes have distinct labels.
struct Term {
    value: Operand,
    labels: Vec<Label>,
}

fn einsum(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let operands = node.all()?;
    let equation = node.string("equation")?.unwrap_or_default();
    let equation: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
    let wrong = |wanted: &str| node.refused("attribute equation", wanted, format_args!("\"{equation}\""));
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (&equation[..], None),
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != operands.len() || operands.len() > MOST_TERMS {
        return Err(wrong(&format!("{} terms, {MOST_TERMS} at most", operands.len())));
    }
    let mut terms = Vec::new();
    let mut count = Vec::new();
    for (operand, text) in operands.into_iter().zip(inputs) {
        let rank = b.shape(&operand).len();
        let named = labels(text, rank).ok_or_else(|| wrong(&format!("letters and one \"...\" for {rank} axes")))?;
        count.extend_from_slice(&named);
        terms.push(diagonals(b, node, operand, named)?);
    }
    let dots = match count.iter().min() {
        Some(Label::Dots(Reverse(place))) => place + 1,
        _ => 0,
    };
    let output = match output {
        Some(text) => {
            let letters = text.chars().filter(char::is_ascii_alphabetic).count();
            let named = labels(text, letters + if text.contains('.') { dots } else { 0 });
            named.ok_or_else(|| wrong("letters and one \"...\" after \"->\""))?
        }
        // The indices that occur once, in alphabetical order, after the ellipsis.
        None => {
            let mut once = count.clone();
            once.retain(|label| matches!(label, Label::Dots(_)) || count.iter().filter(|l| *l == label).count() == 1);
            once.sort();
            once.dedup();
            once
        }
    };
    let known = output.iter().enumerate().all(|(i, label)| count.contains(label) && !output[..i].contains(label));
    if !known {
        return Err(wrong("each index of the result once, and one of the operands'"));
    }
    let mut terms = terms.into_iter();
    let mut product = terms.next().ok_or_else(|| wrong("1 operand or more"))?;
    let mut rest: Vec<Term> = terms.collect();
    while !rest.is_empty() {
        // The rearranged weight of each product is kept under a name of its own.
        let name = format!("{}, before {} more", node.key(), rest.len() - 1);
        let next = rest.remove(0);
        let kept = |label: &Label| output.contains(label) || rest.iter().any(|term| term.labels.contains(label));
        product = contract(b, node, &name, product, next, kept)?;
    }
    product = summed(b, product, |label| output.contains(label))?;
    let place = |label: &Label| product.labels.iter().position(|of| of == label).expect("it was checked");
    let order: Vec<usize> = output.iter().map(place).collect();
    Ok(vec![b.transpose(&product.value, &order)?])
}

/// Parses the labels of `rank` axes; `None` if they are invalid or not as many.
fn labels(text: &str, rank: usize) -> Option<Vec<Label>> {
    let letters = |text: &str| {
        let label = |letter: char| letter.is_ascii_alphabetic().then_some(Label::Letter(letter));
        text.chars().map(label).collect::<Option<Vec<_>>>()
    };
    let Some((before, after)) = text.split_once("...") else {
        return letters(text).filter(|labels| labels.len() == rank);
    };
    let (before, after) = (letters(before)?, letters(after)?);
    let dots = rank.checked_sub(before.len() + after.len())?;
    let dots = (0..dots).rev().map(|place| Label::Dots(Reverse(place)));
    Some(before.into_iter().chain(dots).chain(after).collect())
}

/// Creates a term in which each index occurs once: two axes with one index become their diagonal.
fn diagonals(b: &mut Builder, node: &Node, mut value: Operand, mut labels: Vec<Label>) -> Result<Term> {
    let twice = |labels: &[Label]| {
        (1..labels.len()).find_map(|j| Some((labels[..j].iter().position(|label| *label == labels[j])?, j)))
    };
    while let Some((i, j)) = twice(&labels) {
        let shape = b.shape(&value);
        let n = shape[i];
        if shape[j] != n {
            return Err(node.refused("inputs", "one size for an index", &shape));
        }
        let others = (0..labels.len()).filter(|&axis| axis != i && axis != j);
        let order: Vec<usize> = others.chain([i, j]).collect();
        value = b.transpose(&value, &order)?;
        let mut sizes: Vec<usize> = order[..order.len() - 2].iter().map(|&axis| shape[axis]).collect();
        sizes.push(n * n);
        value = b.reshape(&value, sizes)?;
        value = b.slice(&value, order.len() - 2, 0, n, n as isize + 1)?;
        labels = order[..order.len() - 1].iter().map(|&axis| labels[axis]).collect();
    }
    Ok(Term { value, labels })
}

/// Sums a term over the indices that aren't kept.
fn summed(b: &mut Builder, term: Term, kept: impl Fn(&Label) -> bool) -> Result<Term> {
    let dropped: Vec<usize> = (0..term.labels.len()).filter(|&axis| !kept(&term.labels[axis])).collect();
    if dropped.is_empty() {
        return Ok(term);
    }
    let value = b.reduce(&term.value, ReduceKind::Sum, &dropped, false)?;
    Ok(Term { value, labels: term.labels.into_iter().filter(|label| kept(label)).collect() })
}

/// Multiplies two terms, and sums over the indices that aren't kept.
fn contract(b: &mut Builder, node: &Node, name: &str, p: Term, q: Term, kept: impl Fn(&Label) -> bool) -> Result<Term> {
    let [p, q] = fitted(b, node, p, q)?;
    let p = summed(b, p, |label| kept(label) || q.labels.contains(label))?;
    let q = summed(b, q, |label| kept(label) || p.labels.contains(label))?;
    let both = |label: &&Label| q.labels.contains(label);
    let batch: Vec<Label> = p.labels.iter().filter(|label| both(label) && kept(label)).copied().collect();
    let inner: Vec<Label> = p.labels.iter().filter(|label| both(label) && !kept(label)).copied().collect();
    let rows: Vec<Label> = p.labels.iter().filter(|label| !both(label)).copied().collect();
    let columns: Vec<Label> = q.labels.iter().filter(|label| !p.labels.contains(label)).copied().collect();
    let order = |term: &Term, labels: &[&[Label]]| -> Vec<usize> {
        let place = |label: &Label| term.labels.iter().position(|of| of == label).expect("it is the term's");
        labels.iter().flat_map(|labels| labels.iter()).map(place).collect()
    };
    let (of_p, of_q) = (b.shape(&p.value), b.shape(&q.value));
    let size = |label: &Label| match p.labels.iter().position(|of| of == label) {
        Some(axis) => of_p[axis],
        None => of_q[order(&q, &[&[*label]])[0]],
    };
    let product = |labels: &[Label]| labels.iter().map(size).product::<usize>();
    let [n, m, k, l] = [&batch, &rows, &inner, &columns].map(|labels| product(labels));
    let sizes: Vec<usize> = [&batch[..], &rows, &columns].concat().iter().map(size).collect();
    let matrices =
        !inner.is_empty() && p.value.element().is_float() && (p.value.host().is_none() || q.value.host().is_none());
    let value = if matrices {
        let x = b.transpose(&p.value, &order(&p, &[&batch, &rows, &inner]))?;
        let y = b.transpose(&q.value, &order(&q, &[&batch, &inner, &columns]))?;
        let outer = |rest: [usize; 2]| -> Vec<usize> {
            let batch = if batch.is_empty() { None } else { Some(n) };
            batch.into_iter().chain(rest).collect()
        };
        let (x, y) = (b.reshape(&x, outer([m, k]))?, b.reshape(&y, outer([k, l]))?);
        let y = b.kept(name, y);
        multiplied(b, &x, &y)?
    } else {
        let x = b.transpose(&p.value, &order(&p, &[&batch, &rows, &inner]))?;
        let y = b.transpose(&q.value, &order(&q, &[&batch, &columns, &inner]))?;
        let (x, y) = (b.reshape(&x, [n, m, 1, k])?, b.reshape(&y, [n, 1, l, k])?);
        let product = b.binary(BinaryKind::Mul, &x, &y)?;
        if k == 1 { product } else { b.reduce(&product, ReduceKind::Sum, &[3], false)? }
    };
    let value = b.reshape(&value, Shape::from(sizes))?;
    Ok(Term { value, labels: [batch, rows, columns].concat() })
}

/// Gives common indices of two terms one size: an axis of size 1 is dropped if the other's is larger.
fn fitted(b: &mut Builder, node: &Node, p: Term, q: Term) -> Result<[Term; 2]> {
    let mut terms = [p, q];
    for label in terms[0].labels.clone() {
        let Some(j) = terms[1].labels.iter().position(|of| *of == label) else { continue };
        let i = terms[0].labels.iter().position(|of| *of == label).expect("it is its label");
        let sizes = [b.shape(&terms[0].value)[i], b.shape(&terms[1].value)[j]];
        let (term, axis) = match sizes {
            [x, y] if x == y => continue,
            [1, _] => (0, i),
            [_, 1] => (1, j),
            _ => return Err(node.refused("inputs", "one size for an index", format_args!("{sizes:?}"))),
        };
        let mut shape = b.shape(&terms[term].value).to_vec();
        shape.remove(axis);
        terms[term].value = b.reshape(&terms[term].value, shape)?;
        terms[term].labels.remove(axis);
    }
    Ok(terms)
}
