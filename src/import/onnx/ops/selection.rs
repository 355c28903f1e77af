//! Selections of elements that are known when a graph is built.

use crate::Shape;
use crate::error::Result;
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
    let marks = b.known("condition", node.input(1)?)?;
    let size = b.shape(&x)[at];
    if marks.shape.len() != 1 || marks.elements() > size {
        return Err(node.refused("condition", &format!("1 dimension of {size} at most"), &marks.shape));
    }
    let places: Vec<i64> = (0..).zip(marks.as_ints()?.iter()).filter(|(_, mark)| **mark != 0).map(|(i, _)| i).collect();
    let places = Tensor::ints(ElementType::I64, [places.len()], places).with_fixed(marks.fixed);
    Ok(vec![b.gather(&x, at, &places.into())?])
}

fn non_zero(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = b.known("X", node.input(0)?)?;
    if x.shape.is_empty() {
        return Err(node.refused("X", "1 dimension or more", &x.shape));
    }
    foldable(&x.shape)?;
    let numbers = x.numbers();
    let places: Vec<usize> = (0..numbers.len()).filter(|&place| numbers[place] != 0.0).collect();
    let index = |(&size, stride): (&usize, usize)| {
        places.iter().map(move |place| (place / stride % size) as i64).collect::<Vec<_>>()
    };
    let index: Vec<i64> = x.shape.iter().zip(x.shape.strides()).flat_map(index).collect();
    let shape = Shape::from([x.shape.len(), places.len()]);
    Ok(vec![Tensor::ints(ElementType::I64, shape, index).with_fixed(x.fixed).into()])
}

/// Returns the distinct elements, their first positions, the index of each element among them, and their counts.
fn unique(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let sorted = node.flag("sorted", true)?;
    let known = b.known("X", node.input(0)?)?.clone();
    foldable(&known.shape)?;
    if !known.element.is_float() && known.as_ints()?.iter().any(|number| number.unsigned_abs() > 1 << 53) {
        return Err(node.refused("X", "integers of 2^53 at most", "larger ones"));
    }
    let (x, at) = along(b, node, &known.clone().into())?;
    let shape = b.shape(&x);
    let order: Vec<usize> = [at].into_iter().chain((0..shape.len()).filter(|&axis| axis != at)).collect();
    let turned = b.transpose(&x, &order)?;
    let numbers = b.known("X", &turned)?.numbers();
    let (count, width) = (shape[at], shape.elements().checked_div(shape[at]).unwrap_or(0));
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
    if !sorted {
        groups.sort_by_key(|group| group[0]);
    }
    let mut inverse = vec![0; count];
    for (i, group) in groups.iter().enumerate() {
        group.iter().for_each(|&place| inverse[place] = i as i64);
    }
    let vector = |values: Vec<i64>| Tensor::ints(ElementType::I64, [values.len()], values).with_fixed(known.fixed);
    let first = Operand::from(vector(groups.iter().map(|group| group[0] as i64).collect()));
    let counts = vector(groups.iter().map(|group| group.len() as i64).collect());
    Ok(vec![b.gather(&x, at, &first)?, first, vector(inverse).into(), counts.into()])
}
