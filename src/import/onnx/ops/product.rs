//! Products of many elements: determinants, running products.

use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::ops::{BinaryKind, Unary};
use std::collections::BTreeMap;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Det" => det,
        "CumProd" => cumprod,
        _ => return None,
    })
}

/// The maximum number of rows: more would lose too many digits in this way, and take too many operations.
const LARGEST: usize = 5;

/// Computes a determinant by the minors of the first row, of the first two rows, and so on: each minor once.
fn det(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let size = match shape[..] {
        [.., rows, columns] if rows == columns && (1..=LARGEST).contains(&rows) => rows,
        _ => return Err(node.refused("X", &format!("square matrices of at most {LARGEST} rows"), &shape)),
    };
    let outer = &shape[..shape.len() - 2];
    // The minors by their columns, one bit per column.
    let mut minors: BTreeMap<u32, Operand> = BTreeMap::new();
    for row in 0..size {
        let line = b.slice(x, shape.len() - 2, row, 1, 1)?;
        let mut elements = Vec::new();
        for column in 0..size {
            let element = b.slice(&line, shape.len() - 1, column, 1, 1)?;
            elements.push(b.reshape(&element, outer)?);
        }
        let mut next: BTreeMap<u32, Operand> = BTreeMap::new();
        for columns in (0..1u32 << size).filter(|columns| columns.count_ones() as usize == row + 1) {
            let mut sum: Option<Operand> = None;
            for column in (0..size).filter(|column| columns >> column & 1 == 1) {
                let product = match minors.get(&(columns & !(1 << column))) {
                    Some(minor) => b.binary(BinaryKind::Mul, minor, &elements[column])?,
                    None => elements[column].clone(),
                };
                // In the expansion along a minor's last row, the columns after this one determine the sign.
                let negative = (columns >> (column + 1)).count_ones() % 2 == 1;
                sum = Some(match (sum, negative) {
                    (None, false) => product,
                    (None, true) => b.unary(&product, Unary::Neg)?,
                    (Some(sum), false) => b.binary(BinaryKind::Add, &sum, &product)?,
                    (Some(sum), true) => b.binary(BinaryKind::Sub, &sum, &product)?,
                });
            }
            next.extend(sum.map(|sum| (columns, sum)));
        }
        minors = next;
    }
    Ok(minors.into_values().collect())
}

/// Computes running products: each round doubles the number of elements in a product.
fn cumprod(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let at = axis(b.known_int("axis", node.input(1)?)?, shape.len())?;
    let (exclusive, reverse) = (node.flag("exclusive", false)?, node.flag("reverse", false)?);
    let shifted = |b: &mut Builder, x: &Operand, by: usize| {
        let by = by as i64;
        let mut pads = vec![[0; 2]; shape.len()];
        pads[at] = if reverse { [-by, by] } else { [by, -by] };
        b.pad(x, &pads, "constant", 1.0)
    };
    let mut y = if exclusive && shape[at] > 0 { shifted(b, x, 1)? } else { x.clone() };
    let mut by = 1;
    while by < shape[at] {
        let before = shifted(b, &y, by)?;
        y = b.binary(BinaryKind::Mul, &y, &before)?;
        by *= 2;
    }
    Ok(vec![y])
}
