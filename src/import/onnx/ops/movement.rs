//! Operators that move elements, or pick some of them.

use crate::Shape;
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::{axes, axis};
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::stored::{counts, sizes};
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::{
    BinaryKind, Compare, Gather, GatherNd, PixelShuffle, PixelUnshuffle, Scatter, ScatterKind, ScatterNd, ShuffleMode,
};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Transpose" => transpose,
        "Concat" => concat,
        "Slice" => slice,
        "Split" => split,
        "Gather" => gather,
        "GatherElements" => gather_elements,
        "GatherND" => gather_nd,
        "Scatter" | "ScatterElements" => scatter_elements,
        "ScatterND" => scatter_nd,
        "Tile" => tile,
        "Pad" => pad,
        "CenterCropPad" => center_crop_pad,
        "DepthToSpace" => depth_to_space,
        "SpaceToDepth" => space_to_depth,
        "Trilu" => trilu,
        "OneHot" => one_hot,
        _ => return None,
    })
}

fn transpose(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let rank = b.shape(x).len();
    let order = match node.ints("perm")? {
        Some(perm) => axes(&perm, rank)?,
        None => (0..rank).rev().collect(),
    };
    if order.len() != rank {
        return Err(node.refused("attribute perm", &format!("{rank} axes"), order.len()));
    }
    Ok(vec![b.transpose(x, &order)?])
}

fn concat(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let parts = node.all()?;
    let first = parts.first().ok_or_else(|| node.refused("inputs", "1 or more", 0))?;
    if let Some(other) = parts.iter().find(|part| part.element() != first.element()) {
        return Err(node.refused("inputs", &format!("all of {}", first.element()), other.element()));
    }
    let default = if node.opset < 4 { 1 } else { i64::MAX };
    let axis = axis(node.int("axis", default)?, b.shape(first).len())?;
    Ok(vec![b.concat(&parts, axis)?])
}

fn slice(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let mut x = node.input(0)?.clone();
    let rank = b.shape(&x).len();
    let (starts, ends, along, steps) = if node.opset < 10 {
        let missing = |name: &str| node.refused(&format!("attribute {name}"), "integers", "none");
        let starts = node.ints("starts")?.ok_or_else(|| missing("starts"))?;
        (starts, node.ints("ends")?.ok_or_else(|| missing("ends"))?, node.ints("axes")?, None)
    } else {
        let optional = |i, name| node.optional(i).map(|input| b.known_ints(name, input)).transpose();
        let (starts, ends) = (b.known_ints("starts", node.input(1)?)?, b.known_ints("ends", node.input(2)?)?);
        (starts, ends, optional(3, "axes")?, optional(4, "steps")?)
    };
    let along = axes(&along.unwrap_or_else(|| (0..starts.len() as i64).collect()), rank)?;
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), along.len(), steps.len()] != [starts.len(); 3] {
        return Err(node.refused("ends, axes, steps", &format!("{} each", starts.len()), "another number"));
    }
    for (i, &axis) in along.iter().enumerate() {
        let (size, step) = (b.shape(&x)[axis] as i64, steps[i]);
        if step == 0 {
            return Err(node.refused("steps", "other than 0", 0));
        }
        let [least, most] = if step > 0 { [0, size] } else { [-1, size - 1] };
        let place = |i: i64| (if i < 0 { i.saturating_add(size) } else { i }).clamp(least, most.max(least));
        let (start, end) = (place(starts[i]), place(ends[i]));
        let distance = if step > 0 { end - start } else { start - end };
        let count = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as usize;
        let step = isize::try_from(step).unwrap_or(isize::MAX).clamp(-(size as isize) - 1, size as isize + 1);
        x = b.slice(&x, axis, start.max(0) as usize, count, step)?;
    }
    Ok(vec![x])
}

fn split(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let axis = axis(node.int("axis", 0)?, shape.len())?;
    let given = b.ints(node, "split", 1)?;
    let count = node.count("num_outputs", node.outputs(), 1)?;
    let size = shape[axis];
    if count > size.max(node.outputs()) {
        return Err(node.refused("attribute num_outputs", &format!("at most the {size} elements of the axis"), count));
    }
    let wrong = |parts: &dyn std::fmt::Debug| {
        node.refused("split", &format!("sizes that add up to {size}"), format_args!("{parts:?}"))
    };
    let parts: Vec<usize> = match given {
        Some(given) => counts(&given).ok_or_else(|| wrong(&given))?,
        None => {
            // All parts have the same size, except for the last, which holds the rest.
            let each = size.div_ceil(count.max(1));
            (0..count).map(|i| size.saturating_sub(i * each).min(each)).collect()
        }
    };
    if parts.iter().fold(0, |sum: usize, &part| sum.saturating_add(part)) != size {
        return Err(wrong(&parts));
    }
    if parts.len() != node.listed_outputs() {
        return Err(node.refused("outputs", &format!("{}, one for each part", parts.len()), node.listed_outputs()));
    }
    let mut start = 0;
    let mut part = |count: usize| {
        start += count;
        b.slice(x, axis, start - count, count, 1)
    };
    parts.iter().map(|&count| part(count)).collect()
}

fn gather(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, index) = (node.input(0)?, node.input(1)?);
    let axis = axis(node.int("axis", 0)?, b.shape(x).len())?;
    Ok(vec![b.gather(x, axis, index)?])
}

fn gather_elements(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, index) = (node.input(0)?, node.input(1)?);
    let shape = b.shape(x);
    let axis = axis(node.int("axis", 0)?, shape.len())?;
    let index = b.counted_from_the_start(index, shape[axis])?;
    Ok(vec![b.moved(Gather::new(axis), &[x, &index])?])
}

fn gather_nd(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let op = GatherNd::new(node.count("batch_dims", 0, 0)?);
    Ok(vec![b.moved(op, &[node.input(0)?, node.input(1)?])?])
}

fn reduction(node: &Node) -> Result<ScatterKind> {
    Ok(match node.one_of("reduction", &["none", "add", "mul", "max", "min"])? {
        "add" => ScatterKind::Add,
        "mul" => ScatterKind::Mul,
        "max" => ScatterKind::Max,
        "min" => ScatterKind::Min,
        _ => ScatterKind::Replace,
    })
}

fn scatter_elements(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let axis = axis(node.int("axis", 0)?, b.shape(x).len())?;
    if b.shape(node.input(1)?).elements() == 0 {
        return scattered_nothing(b, node);
    }
    Ok(vec![b.moved(Scatter::new(axis, reduction(node)?), &[x, node.input(1)?, node.input(2)?])?])
}

fn scatter_nd(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, index, updates) = (node.input(0)?, b.shape(node.input(1)?), node.input(2)?);
    let op = ScatterNd::new(reduction(node)?);
    if let Some((0, outer)) = index.split_last()
        && b.shape(updates).elements() > 0
    {
        // An update without an index is one of the whole tensor: the only slice along a new axis.
        let shape = b.shape(x);
        let slice = b.reshape(x, [&[1], &shape[..]].concat())?;
        let index = Tensor::filled(ElementType::I64, [outer, &[1]].concat().into(), 0.0)?.with_fixed(false);
        let y = b.moved(op, &[&slice, &index.into(), updates])?;
        return Ok(vec![b.reshape(&y, shape)?]);
    }
    if index.elements() == 0 {
        return scattered_nothing(b, node);
    }
    Ok(vec![b.moved(op, &[x, node.input(1)?, updates])?])
}

/// Returns the data of a scatter without indices. There must be no updates either.
fn scattered_nothing(b: &Builder, node: &Node) -> Result<Vec<Operand>> {
    reduction(node)?;
    let updates = b.shape(node.input(2)?);
    if updates.elements() > 0 {
        return Err(node.refused("updates", "none, as there are no indices", updates));
    }
    Ok(vec![node.input(0)?.clone()])
}

fn tile(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let mut x = node.input(0)?.clone();
    let shape = b.shape(&x);
    let repeats = b.known_ints("repeats", node.input(1)?)?;
    if repeats.len() != shape.len() {
        return Err(node.refused("repeats", &format!("{} numbers", shape.len()), repeats.len()));
    }
    let times = counts(&repeats).ok_or_else(|| node.refused("repeats", "0 or more", format_args!("{repeats:?}")))?;
    let mut sizes = shape.to_vec();
    if times.contains(&0) {
        let sizes = sizes.iter().zip(&times).map(|(size, &times)| size.saturating_mul(times)).collect::<Vec<_>>();
        return Ok(vec![Tensor::empty(x.element(), sizes.into()).into()]);
    }
    for (axis, times) in times.into_iter().enumerate() {
        // The elements from the axis on are repeated as one block.
        let outer: usize = sizes[..axis].iter().product();
        let block: usize = sizes[axis..].iter().product();
        sizes[axis] = sizes[axis].saturating_mul(times);
        if times != 1 {
            x = b.reshape(&x, [outer, 1, block])?;
            x = b.expand(&x, &Shape::from([outer, times, block]))?;
            x = b.reshape(&x, sizes.clone())?;
        }
    }
    Ok(vec![x])
}

fn pad(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let rank = b.shape(x).len();
    let mode = node.one_of("mode", &["constant", "reflect", "edge", "wrap"])?;
    let (pads, value, along) = if node.opset < 11 {
        let name = if node.opset < 2 { "paddings" } else { "pads" };
        let pads = node.ints(name)?.ok_or_else(|| node.refused("attribute pads", "integers", "none"))?;
        (pads, Some(Tensor::scalar(x.element(), node.float("value", 0.0)?.into()).into()), None)
    } else {
        let along = node.optional(3).map(|along| b.known_ints("axes", along)).transpose()?;
        (b.known_ints("pads", node.input(1)?)?, node.optional(2).cloned(), along)
    };
    let along = axes(&along.unwrap_or_else(|| (0..rank as i64).collect()), rank)?;
    if pads.len() != 2 * along.len() {
        return Err(node.refused("pads", &format!("{} numbers", 2 * along.len()), pads.len()));
    }
    let mut all = vec![[0; 2]; rank];
    for (i, &axis) in along.iter().enumerate() {
        all[axis] = [pads[i], pads[i + along.len()]];
    }
    let value = match value {
        Some(value) => b.known("constant_value", &value)?.number().unwrap_or(0.0),
        None => 0.0,
    };
    Ok(vec![b.pad(x, &all, mode, value)?])
}

fn center_crop_pad(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let wanted = sizes(&b.known_ints("shape", node.input(1)?)?)?;
    let along = axes(&node.ints("axes")?.unwrap_or_else(|| (0..shape.len() as i64).collect()), shape.len())?;
    if wanted.len() != along.len() {
        return Err(node.refused("shape", &format!("{} sizes", along.len()), wanted.len()));
    }
    let mut pads = vec![[0; 2]; shape.len()];
    for (&axis, &wanted) in along.iter().zip(wanted.iter()) {
        let more = wanted as i64 - shape[axis] as i64;
        // The odd element of a padding, or of a crop, is at the end.
        pads[axis] = [more.div_euclid(2), more - more.div_euclid(2)];
        if more < 0 {
            pads[axis] = [-(-more / 2), -(-more - -more / 2)];
        }
    }
    Ok(vec![b.pad(x, &pads, "constant", 0.0)?])
}

fn depth_to_space(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let mode = match node.one_of("mode", &["DCR", "CRD"])? {
        "CRD" => ShuffleMode::Crd,
        _ => ShuffleMode::Dcr,
    };
    let shuffle = PixelShuffle::new(node.count("blocksize", 0, 1)?).mode(mode);
    Ok(vec![b.moved(shuffle, &[node.input(0)?])?])
}

fn space_to_depth(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let unshuffle = PixelUnshuffle::new(node.count("blocksize", 0, 1)?).mode(ShuffleMode::Dcr);
    Ok(vec![b.moved(unshuffle, &[node.input(0)?])?])
}

fn trilu(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let [.., rows, columns] = shape[..] else { return Err(node.refused("input", "2 dimensions or more", &shape)) };
    let k = node.optional(1).map(|k| b.known_int("k", k)).transpose()?.unwrap_or(0);
    let upper = node.flag("upper", true)?;
    foldable(&Shape::from([rows, columns]))?;
    let kept = |row: usize, column: usize| {
        let diagonal = column as i64 - row as i64;
        i64::from(if upper { diagonal >= k } else { diagonal <= k })
    };
    let mask = (0..rows).flat_map(|row| (0..columns).map(move |column| kept(row, column))).collect();
    let mask = Operand::from(Tensor::ints(ElementType::Bool, [rows, columns], mask).with_fixed(false));
    Ok(vec![b.where_(&mask, x, &x.number(0))?])
}

fn one_hot(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (index, values) = (node.input(0)?, node.input(2)?);
    let depth = b.known("depth", node.input(1)?)?;
    let number = depth.number().filter(|&depth| (1.0..1e9).contains(&depth));
    let depth = number.ok_or_else(|| node.refused("depth", "a number of 1 or more", &depth.shape))? as usize;
    foldable(&[depth].into())?;
    let rank = b.shape(index).len();
    let axis = axis(node.int("axis", -1)?, rank + 1)?;
    let index = b.cast(index, ElementType::I64)?;
    let negative = b.compare(&index, Compare::Lt, &index.number(0))?;
    let moved = b.binary(BinaryKind::Add, &index, &index.number(depth as f64))?;
    let index = b.where_(&negative, &moved, &index)?;
    let mut sizes = b.shape(&index).to_vec();
    sizes.insert(axis, 1);
    let index = b.reshape(&index, sizes)?;
    let mut classes = vec![1; rank + 1];
    classes[axis] = depth;
    let classes = Tensor::ints(ElementType::I64, classes, (0..depth as i64).collect());
    let hot = b.compare(&index, Compare::Eq, &classes.into())?;
    let off = b.slice(values, 0, 0, 1, 1)?;
    let on = b.slice(values, 0, 1, 1, 1)?;
    let [off, on] = [b.reshape(&off, [])?, b.reshape(&on, [])?];
    Ok(vec![b.where_(&hot, &on, &off)?])
}
