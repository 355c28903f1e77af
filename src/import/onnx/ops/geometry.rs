//! Sampling grids, and images assembled from blocks.

use super::resize::{Row, along};
use crate::Shape;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::stored::sizes;
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::MatMul;

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "AffineGrid" => affine_grid,
        "Col2Im" => col2im,
        _ => return None,
    })
}

/// Imports `AffineGrid`: the positions `[.., x, y, 1]` in an image, from -1 to 1, times a matrix.
fn affine_grid(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (theta, size) = (node.input(0)?, node.input(1)?);
    let fixed = size.host().is_some_and(|size| size.fixed);
    let (of, size) = (b.shape(theta), sizes(&b.known_ints("size", size)?)?);
    let aligned = node.flag("align_corners", false)?;
    let (n, image) = match size[..] {
        [n, _, ref image @ ..] if (2..=3).contains(&image.len()) => (n, image),
        _ => return Err(node.refused("size", "[N, C, H, W] or [N, C, D, H, W]", &size)),
    };
    let rank = image.len();
    let wanted = Shape::from([n, rank, rank + 1]);
    if of != wanted {
        return Err(node.refused("theta", &wanted.to_string(), of));
    }
    let least = if aligned { 2 } else { 1 };
    if image.iter().any(|&size| size < least) {
        return Err(node.refused("size", &format!("{least} or more pixels an axis"), &size));
    }
    let count: usize = image.iter().product();
    let base = Shape::from([count, rank + 1]);
    let mut places = Vec::with_capacity(foldable(&base)?);
    for pixel in 0..count {
        let mut rest = pixel;
        // The last axis, x, comes first.
        for &size in image.iter().rev() {
            let (i, size) = ((rest % size) as f64, size as f64);
            rest /= size as usize;
            places.push((if aligned { 2.0 * i / (size - 1.0) - 1.0 } else { (2.0 * i + 1.0) / size - 1.0 }) as f32);
        }
        places.push(1.0);
    }
    let base = Tensor::floats(theta.element(), base, places).with_fixed(fixed);
    let grid = b.push(MatMul::new().transpose_b(), &[&base.into(), theta])?;
    let grid = Operand::Device(grid, theta.element());
    Ok(vec![b.reshape(&grid, [&[n], image, &[rank]].concat())?])
}

/// Imports `Col2Im`: adds each element of a block to its pixel, by a matrix of zeros and ones along every axis.
fn col2im(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let of = b.shape(x);
    let image = sizes(&b.known_ints("image_shape", node.input(1)?)?)?;
    let block = sizes(&b.known_ints("block_shape", node.input(2)?)?)?;
    let rank = image.len();
    let numbers = |name: &'static str, usual: usize, least: usize, count: usize| -> Result<Vec<usize>> {
        let Some(given) = node.ints(name)? else { return Ok(vec![usual; count]) };
        let fits = given.len() == count && given.iter().all(|&number| (least as i64..1 << 28).contains(&number));
        match fits {
            true => Ok(given.iter().map(|&number| number as usize).collect()),
            false => {
                let wanted = format!("{count} numbers of {least} to 2^28");
                Err(node.refused(&format!("attribute {name}"), &wanted, format_args!("{given:?}")))
            }
        }
    };
    let (strides, dilations) = (numbers("strides", 1, 1, rank)?, numbers("dilations", 1, 1, rank)?);
    let pads = numbers("pads", 0, 0, 2 * rank)?;
    if rank == 0 || block.len() != rank || block.contains(&0) || image.contains(&0) {
        return Err(node.refused("image_shape, block_shape", "as many sizes of 1 or more", &block));
    }
    let mut blocks = Vec::new();
    for axis in 0..rank {
        let span = dilations[axis].saturating_mul(block[axis] - 1).saturating_add(1);
        let room = (image[axis] + pads[axis] + pads[axis + rank]).checked_sub(span);
        let room = room.ok_or_else(|| node.refused("block_shape", &format!("blocks inside {image}"), &block))?;
        blocks.push(room / strides[axis] + 1);
    }
    let (in_block, count) = (block.elements(), Shape::from(blocks.clone()).elements());
    let channels = match of[..] {
        [_, rows, columns] if rows % in_block == 0 && columns == count => rows / in_block,
        _ => return Err(node.refused("input", &format!("[N, C * {in_block}, {count}]"), &of)),
    };
    let y = b.reshape(x, [&[of[0], channels], &block[..], &blocks].concat())?;
    let order: Vec<usize> = [0, 1].into_iter().chain((0..rank).flat_map(|axis| [2 + axis, 2 + rank + axis])).collect();
    let mut y = b.transpose(&y, &order)?;
    let joined: Vec<usize> = block.iter().zip(&blocks).map(|(block, blocks)| block.saturating_mul(*blocks)).collect();
    y = b.reshape(&y, [&[of[0], channels], &joined[..]].concat())?;
    for axis in 0..rank {
        foldable(&[image[axis], joined[axis]].into())?;
        let mut rows = vec![Row::new(); image[axis]];
        for (i, row) in (0..joined[axis]).map(|i| [i / blocks[axis], i % blocks[axis]]).enumerate() {
            let pixel = (row[0] * dilations[axis] + row[1] * strides[axis]).checked_sub(pads[axis]);
            if let Some(row) = pixel.and_then(|pixel| rows.get_mut(pixel)) {
                row.push((i, 1.0));
            }
        }
        y = along(b, &y, 2 + axis, &rows, 0.0)?;
    }
    Ok(vec![y])
}
