//! Selections of elements. The host finds their places: their number depends on the values.

use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Tensor, foldable};
use std::cmp::Ordering;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "ReverseSequence" => reverse_sequence,
        "Compress" => compress,
        "NonZero" => non_zero,
        "Unique" => unique,
        _ => return None,
    })
}

/// Reverses the first elements of each sequence of a batch, as many as its length.
fn reverse_sequence(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let batch_first = match (node.int("batch_axis", 1)?, node.int("time_axis", 0)?) {
        (0, 1) => true,
        (1, 0) => false,
        other => return Err(node.refused("attributes batch_axis, time_axis", "0 and 1", format_args!("{other:?}"))),
    };
    let &[rows, columns, ref rest @ ..] = &shape[..] else {
        return Err(node.refused("input", "2 dimensions or more", &shape));
    };
    let [batch, steps] = if batch_first { [rows, columns] } else { [columns, rows] };
    let lengths = b.known_ints("sequence_lens", node.input(1)?)?;
    if lengths.len() != batch || lengths.iter().any(|length| !(0..=steps as i64).contains(length)) {
        let wanted = format!("{batch} lengths of {steps} at most");
        return Err(node.refused("sequence_lens", &wanted, format_args!("{lengths:?}")));
    }
    let places = Shape::from([rows * columns]);
    foldable(&places)?;
    let place = |i: usize| {
        let (row, column) = (i / columns, i % columns);
        let [sequence, step] = if batch_first { [row, column] } else { [column, row] };
        let length = lengths[sequence] as usize;
        let step = if step < length { length - 1 - step } else { step };
        (if batch_first { row * columns + step } else { step * columns + column }) as i64
    };
    let places_of = (0..rows * columns).map(place).collect();
    let places = Tensor::ints(ElementType::I64, places, places_of).with_fixed(false);
    let flat = b.reshape(x, [rows * columns, rest.iter().product()])?;
    let flat = b.gather(&flat, 0, &places.into())?;
    Ok(vec![b.reshape(&flat, shape)?])
}

/// Returns the operand and the axis of a node. Without an axis, the operand is flattened.
fn along(b: &mut Builder, node: &Node, x: &Operand) -> Result<(Operand, usize)> {
    let shape = b.shape(x);
    match node.has("axis") {
        true => Ok((x.clone(), axis(node.int("axis", 0)?, shape.len())?)),
        false => Ok((b.reshape(x, [shape.elements()])?, 0)),
    }
}

/// Picks the elements that a list of booleans marks.
fn compress(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, at) = along(b, node, node.input(0)?)?;
    let marks = node.input(1)?;
    let (size, shape) = (b.shape(&x)[at], b.shape(marks));
    if shape.len() != 1 || shape.elements() > size {
        return Err(node.refused("condition", &format!("1 dimension of {size} at most"), shape));
    }
    let places = |inputs: &[&Tensor]| {
        let marks = inputs[0].as_ints()?;
        let places: Vec<i64> = (0..).zip(marks.iter()).filter(|(_, mark)| **mark != 0).map(|(i, _)| i).collect();
        Ok(vec![Tensor::ints(ElementType::I64, [places.len()], places)])
    };
    let places = b.on_host(node, &[("condition", marks)], &[ElementType::I64], places)?;
    Ok(vec![b.gather(&x, at, &places[0])?])
}

fn non_zero(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    if shape.is_empty() {
        return Err(node.refused("X", "1 dimension or more", &shape));
    }
    foldable(&shape)?;
    let places = |inputs: &[&Tensor]| {
        let (x, numbers) = (inputs[0], inputs[0].numbers());
        let places: Vec<usize> = (0..numbers.len()).filter(|&place| numbers[place] != 0.0).collect();
        let index = |(&size, stride): (&usize, usize)| {
            places.iter().map(move |place| (place / stride % size) as i64).collect::<Vec<_>>()
        };
        let index: Vec<i64> = x.shape.iter().zip(x.shape.strides()).flat_map(index).collect();
        Ok(vec![Tensor::ints(ElementType::I64, [x.shape.len(), places.len()], index)])
    };
    b.on_host(node, &[("X", x)], &[ElementType::I64], places)
}

/// Returns the distinct elements, their first positions, the index of each element among them, and their counts.
fn unique(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let is_sorted = node.flag("sorted", true)?;
    let (x, at) = along(b, node, node.input(0)?)?;
    foldable(&b.shape(&x))?;
    let distinct = move |inputs: &[&Tensor]| distinct(inputs[0], at, is_sorted);
    let found = b.on_host(node, &[("X", &x)], &[ElementType::I64; 3], distinct)?;
    Ok([&[b.gather(&x, at, &found[0])?], &found[..]].concat())
}

/// Returns the first positions of the distinct entries along an axis, the index of each entry among them, and their counts.
fn distinct(x: &Tensor, at: usize, is_sorted: bool) -> Result<Vec<Tensor>, ErrorKind> {
    if !x.element.is_float() && x.as_ints()?.iter().any(|number| number.unsigned_abs() > 1 << 53) {
        return Err(ErrorKind::argument("X", "integers of 2^53 at most", "larger ones"));
    }
    let axes = [at].into_iter().chain((0..x.shape.len()).filter(|&axis| axis != at));
    let (shape, strides): (Vec<usize>, Vec<isize>) =
        axes.map(|axis| (x.shape[axis], x.shape.strides()[axis] as isize)).unzip();
    let numbers = x.strided(shape.into(), 0, strides)?.numbers();
    let (count, width) = (x.shape[at], x.elements().checked_div(x.shape[at]).unwrap_or(0));
    let item = |i: usize| &numbers[i * width..(i + 1) * width];
    // NaN sorts last, and equals NaN.
    let number = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    let compare = |&a: &usize, &b: &usize| {
        let pairs = item(a).iter().zip(item(b));
        pairs.map(|(a, b)| number(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(compare);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for place in places {
        match groups.last_mut() {
            Some(group) if compare(&group[0], &place).is_eq() => group.push(place),
            _ => groups.push(vec![place]),
        }
    }
    if !is_sorted {
        groups.sort_by_key(|group| group[0]);
    }
    let mut inverse = vec![0; count];
    for (i, group) in groups.iter().enumerate() {
        group.iter().for_each(|&place| inverse[place] = i as i64);
    }
    let vector = |values: Vec<i64>| Tensor::ints(ElementType::I64, [values.len()], values);
    let first = vector(groups.iter().map(|group| group[0] as i64).collect());
    let counts = vector(groups.iter().map(|group| group.len() as i64).collect());
    Ok(vec![first, vector(inverse), counts])
}
