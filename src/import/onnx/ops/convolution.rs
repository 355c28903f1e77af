//! Convolutions, pooling and other operators with windows.

use super::window::{Window, numbers, window};
use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::stored;
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::{
    BinaryKind, Conv, ConvTranspose, DeformConv2d, GridPadding, GridSample, GridSampleMode, LocalResponseNorm, Pool,
    Pool2d, PoolKind, ReduceKind, RoiAlign, RoiAlignMode, Scatter, ScatterKind,
};
use crate::{Constant, Shape};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Conv" => conv,
        "ConvTranspose" => conv_transpose,
        "DeformConv" => deform_conv,
        "MaxPool" => max_pool,
        "AveragePool" => |b, node| Ok(vec![average_pool(b, node, node.input(0)?)?]),
        "GlobalAveragePool" => |b, node| global_pool(b, node, PoolKind::Average, ReduceKind::Mean),
        "GlobalMaxPool" => |b, node| global_pool(b, node, PoolKind::Max, ReduceKind::Max),
        "MaxUnpool" => max_unpool,
        "LpPool" => |b, node| Ok(vec![pool_by(b, node, node.input(0)?, PoolKind::PNorm(order(node)?), false)?]),
        "GlobalLpPool" => global_lp_pool,
        "RoiAlign" => roi_align,
        "GridSample" => grid_sample,
        "LRN" => lrn,
        _ => return None,
    })
}

/// Converts a slice of `N` numbers to an array.
fn array<T: Copy, const N: usize>(numbers: &[T]) -> [T; N] {
    std::array::from_fn(|i| numbers[i])
}

/// Returns weights and bias of a convolution, its window and its groups.
fn weights(b: &Builder, node: &Node, shape: &Shape) -> Result<(Constant, Option<Constant>, Window, usize)> {
    let weight = b.weights("W", node.input(1)?)?;
    let bias = node.optional(2).map(|bias| b.weights("B", bias)).transpose()?;
    let (window, group) = window(node, weight.shape(), shape)?;
    Ok((weight, bias, window, group))
}

fn convolution<const D: usize>(weight: Constant, bias: Option<Constant>, window: &Window, groups: usize) -> Conv<D> {
    let conv = Conv::new(weight, bias).stride(array(&window.stride)).dilation(array(&window.dilation)).groups(groups);
    conv.padding_per_side(array(&window.pads))
}

pub(super) fn conv(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let (weight, bias, window, group) = weights(b, node, &shape)?;
    Ok(vec![match window.size.len() {
        1 => b.moved(convolution::<1>(weight, bias, &window, group), &[x])?,
        2 => b.moved(convolution::<2>(weight, bias, &window, group), &[x])?,
        3 => b.moved(convolution::<3>(weight, bias, &window, group), &[x])?,
        other => return Err(node.refused("W", "1 to 3 spatial dimensions", other)),
    }])
}

fn transposed<const D: usize>(
    weight: Constant,
    bias: Option<Constant>,
    window: &Window,
    extra: &[usize],
    groups: usize,
) -> ConvTranspose<D> {
    let conv = ConvTranspose::new(weight, bias).stride(array(&window.stride)).dilation(array(&window.dilation));
    conv.padding_per_side(array(&window.pads)).output_padding(array(extra)).groups(groups)
}

fn conv_transpose(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let (weight, bias, mut window, group) = weights(b, node, &shape)?;
    let rank = window.size.len();
    let mut extra = numbers(node, "output_padding", rank)?.unwrap_or_else(|| vec![0; rank]);
    let auto = node.one_of("auto_pad", &["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])?;
    let wanted = numbers(node, "output_shape", rank)?;
    if wanted.is_some() || auto.starts_with("SAME") {
        // The padding follows from the output size.
        for axis in 0..rank {
            let (stride, input) = (window.stride[axis], shape[axis + 2]);
            let span = window.dilation[axis] * (window.size[axis] - 1) + 1;
            let full = stride.saturating_mul(input.saturating_sub(1)).saturating_add(extra[axis]).saturating_add(span);
            let output = wanted.as_ref().map_or(stride.saturating_mul(input), |wanted| wanted[axis]);
            // A shortfall is added at the end.
            extra[axis] = extra[axis].saturating_add(output.saturating_sub(full));
            let all = full.saturating_sub(output);
            let less = all / 2;
            window.pads[axis] = if auto == "SAME_UPPER" { [less, all - less] } else { [all - less, less] };
        }
    }
    Ok(vec![match rank {
        1 => b.moved(transposed::<1>(weight, bias, &window, &extra, group), &[x])?,
        2 => b.moved(transposed::<2>(weight, bias, &window, &extra, group), &[x])?,
        3 => b.moved(transposed::<3>(weight, bias, &window, &extra, group), &[x])?,
        other => return Err(node.refused("W", "1 to 3 spatial dimensions", other)),
    }])
}

fn deform_conv(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, offset) = (node.input(0)?, node.input(2)?);
    let weight = b.weights("W", node.input(1)?)?;
    let bias = node.optional(3).map(|bias| b.weights("B", bias)).transpose()?;
    let (Window { size, stride, dilation, pads }, group) = window(node, weight.shape(), &b.shape(x))?;
    if size.len() != 2 {
        return Err(node.refused("W", "2 spatial dimensions", size.len()));
    }
    let mask = node.optional(4);
    // The number of offset channels determines the groups too.
    let offset_group = node.int("offset_group", 1)?;
    let groups = b.shape(offset).get(1).map_or(0, |&channels| channels as i64 / (2 * size[0] * size[1]) as i64);
    if offset_group != groups {
        return Err(node.refused("attribute offset_group", &format!("{groups}, as the offsets have it"), offset_group));
    }
    let conv = DeformConv2d::new(weight, bias).stride(array(&stride)).dilation(array(&dilation)).groups(group);
    let inputs: Vec<&Operand> = [x, offset].into_iter().chain(mask).collect();
    Ok(vec![b.moved(conv.padding_per_side(array(&pads)), &inputs)?])
}

fn pool_window(b: &Builder, node: &Node, x: &Operand) -> Result<Window> {
    let shape = b.shape(x);
    let rank = shape.len().saturating_sub(2);
    let size = numbers(node, "kernel_shape", rank)?;
    Window::from_node(node, size.ok_or_else(|| node.refused("attribute kernel_shape", "sizes", "none"))?, &shape)
}

fn max_pool(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let element = node.input(0)?.element();
    // MaxPool takes no other integers than 8-bit ones, which are exact as f32s.
    let numbers = if element.bits() == 8 { ElementType::F32 } else { element };
    let x = &b.cast(node.input(0)?, numbers)?;
    let window = pool_window(b, node, x)?;
    let pooling = Pooling { kind: PoolKind::Max, ceil: node.flag("ceil_mode", false)?, count_include_pad: false };
    let columns_first = node.flag("storage_order", false)?;
    if !node.wants(1) {
        let y = pooled(b, node, x, &window, &pooling)?;
        return Ok(vec![b.cast(&y, element)?]);
    }
    let shape = b.shape(x);
    let elements = [numbers, ElementType::I64];
    let mut outputs = match window.size.len() {
        1 => b.several(&elements, pool::<1>(&window, &pooling).return_indices(true), &[x])?,
        2 => b.several(&elements, pool::<2>(&window, &pooling).return_indices(true), &[x])?,
        3 => b.several(&elements, pool::<3>(&window, &pooling).return_indices(true), &[x])?,
        other => return Err(node.refused("input", "1 to 3 spatial dimensions", other)),
    };
    // In ONNX an index counts in the whole tensor, not in its plane.
    let mut place = outputs.swap_remove(1);
    let number = |value: usize| Operand::from(Tensor::scalar(ElementType::I64, value as f64));
    if columns_first {
        let &[_, _, height, width] = &shape[..] else {
            return Err(node.refused("attribute storage_order", "0, but for images", &shape));
        };
        let row = b.binary(BinaryKind::Div, &place, &number(width))?;
        let column = b.binary(BinaryKind::Mod, &place, &number(width))?;
        let below = b.binary(BinaryKind::Mul, &column, &number(height))?;
        place = b.binary(BinaryKind::Add, &below, &row)?;
    }
    let plane: usize = shape[2..].iter().product();
    let mut sizes = vec![1; shape.len()];
    (sizes[0], sizes[1]) = (shape[0], shape[1]);
    let images = foldable(&[shape[0], shape[1]].into())?;
    let first = (0..images as i64).map(|image| image * plane as i64).collect();
    let first = Tensor::ints(ElementType::I64, sizes, first).with_fixed(false);
    let y = b.cast(&outputs[0], element)?;
    Ok(vec![y, b.binary(BinaryKind::Add, &place, &first.into())?])
}

/// Imports `MaxUnpool`: each element goes to its index in the larger tensor, zeros elsewhere.
fn max_unpool(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, place) = (node.input(0)?, node.input(1)?);
    let shape = b.shape(x);
    let window = pool_window(b, node, x)?;
    let mut sizes = shape.to_vec();
    for axis in 0..window.size.len() {
        let [before, after] = window.pads[axis];
        let way = shape[axis + 2].saturating_sub(1).saturating_mul(window.stride[axis]);
        sizes[axis + 2] = way.saturating_add(window.size[axis]).saturating_sub(before.saturating_add(after));
    }
    let inferred = Shape::from(sizes);
    inferred.countable()?;
    let output = match node.optional(2) {
        Some(wanted) => stored::sizes(&b.known_ints("output_shape", wanted)?)?,
        None => inferred.clone(),
    };
    // Indices count within the pooling's input, whose size follows from the window. A larger output ends with zeros.
    let fits = output.len() == inferred.len() && output.iter().zip(inferred.iter()).all(|(a, b)| a >= b);
    if !fits {
        return Err(node.refused("output_shape", &format!("{inferred} or more"), &output));
    }
    foldable(&output)?;
    let zeros = Tensor::filled(x.element(), [inferred.elements()].into(), 0.0)?.with_fixed(false).into();
    let (flat, places) = (b.reshape(x, [shape.elements()])?, b.reshape(place, [shape.elements()])?);
    let y = b.moved(Scatter::new(0, ScatterKind::Replace), &[&zeros, &places, &flat])?;
    let y = b.reshape(&y, inferred.clone())?;
    let pads: Vec<[i64; 2]> = output.iter().zip(inferred.iter()).map(|(a, b)| [0, (a - b) as i64]).collect();
    Ok(vec![b.pad(&y, &pads, "constant", 0.0)?])
}

pub(super) fn average_pool(b: &mut Builder, node: &Node, x: &Operand) -> Result<Operand> {
    pool_by(b, node, x, PoolKind::Average, node.flag("count_include_pad", false)?)
}

fn pool_by(b: &mut Builder, node: &Node, x: &Operand, kind: PoolKind, count_include_pad: bool) -> Result<Operand> {
    let window = pool_window(b, node, x)?;
    let pooling = Pooling { kind, ceil: node.flag("ceil_mode", false)?, count_include_pad };
    pooled(b, node, x, &window, &pooling)
}

/// Returns the order of a norm: a float in opset 1, an integer since.
fn order(node: &Node) -> Result<f32> {
    Ok(if node.opset < 2 { node.float("p", 2.0)? } else { node.int("p", 2)? as f32 })
}

/// The kind of pooling, and the treatment of borders.
struct Pooling {
    kind: PoolKind,
    ceil: bool,
    count_include_pad: bool,
}

fn pool<const D: usize>(window: &Window, pooling: &Pooling) -> Pool<D> {
    let pool = Pool::new(pooling.kind, array(&window.size)).stride(array(&window.stride));
    let pool = pool.dilation(array(&window.dilation)).padding_per_side(array(&window.pads));
    pool.ceil_mode(pooling.ceil).count_include_pad(pooling.count_include_pad)
}

fn pooled(b: &mut Builder, node: &Node, x: &Operand, window: &Window, pooling: &Pooling) -> Result<Operand> {
    match window.size.len() {
        1 => b.moved(pool::<1>(window, pooling), &[x]),
        2 => b.moved(pool::<2>(window, pooling), &[x]),
        3 => b.moved(pool::<3>(window, pooling), &[x]),
        other => Err(node.refused("input", "1 to 3 spatial dimensions", other)),
    }
}

fn global_lp_pool(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let size = shape.get(2..).unwrap_or_default().to_vec();
    let rank = size.len();
    let window = Window { size, stride: vec![1; rank], dilation: vec![1; rank], pads: vec![[0, 0]; rank] };
    let pooling = Pooling { kind: PoolKind::PNorm(order(node)?), ceil: false, count_include_pad: false };
    Ok(vec![pooled(b, node, x, &window, &pooling)?])
}

fn roi_align(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let ratio = node.count("sampling_ratio", 0, 0)?;
    let mode = match node.one_of("mode", &["avg", "max"])? {
        "max" => RoiAlignMode::Max,
        _ => RoiAlignMode::Average,
    };
    // Before opset 16, pixels were not shifted by half a pixel.
    let names: &[&str] = if node.opset >= 16 { &["half_pixel", "output_half_pixel"] } else { &["output_half_pixel"] };
    let aligned = node.one_of("coordinate_transformation_mode", names)? == "half_pixel";
    let op = RoiAlign::new([node.count("output_height", 1, 1)?, node.count("output_width", 1, 1)?]);
    let op = op.spatial_scale(node.float("spatial_scale", 1.0)?).sampling_ratio(ratio).aligned(aligned).mode(mode);
    Ok(vec![b.moved(op, &[node.input(0)?, node.input(1)?, node.input(2)?])?])
}

fn grid_sample(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    // Opset 20 renamed the modes.
    let names: &[&str] =
        if node.opset >= 20 { &["linear", "nearest", "cubic"] } else { &["bilinear", "nearest", "bicubic"] };
    let mode = match node.one_of("mode", names)? {
        "nearest" => GridSampleMode::Nearest,
        "cubic" | "bicubic" => GridSampleMode::Bicubic,
        _ => GridSampleMode::Bilinear,
    };
    let padding = match node.one_of("padding_mode", &["zeros", "border", "reflection"])? {
        "border" => GridPadding::Border,
        "reflection" => GridPadding::Reflection,
        _ => GridPadding::Zeros,
    };
    let sample = GridSample::new().mode(mode).padding_mode(padding).align_corners(node.flag("align_corners", false)?);
    Ok(vec![b.moved(sample, &[node.input(0)?, node.input(1)?])?])
}

fn global_pool(b: &mut Builder, node: &Node, kind: PoolKind, reduce: ReduceKind) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let rank = shape.len();
    if rank < 3 {
        return Err(node.refused("input", "3 dimensions or more", shape));
    }
    if !x.element().is_float() {
        return Err(node.refused("input", "floating-point numbers", x.element()));
    }
    if rank == 4 {
        return Ok(vec![b.moved(Pool2d::global(kind), &[x])?]);
    }
    Ok(vec![b.reduce(x, reduce, &(2..rank).collect::<Vec<_>>(), true)?])
}

fn lrn(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let size = node.int("size", 0)?;
    // An even size covers one more channel after than before; in PyTorch, one more before.
    if size < 1 || size % 2 == 0 {
        return Err(node.refused("attribute size", "an odd number", size));
    }
    let (alpha, beta, k) = (node.float("alpha", 1e-4)?, node.float("beta", 0.75)?, node.float("bias", 1.0)?);
    Ok(vec![b.moved(LocalResponseNorm::new(size as usize).factors(alpha, beta, k), &[node.input(0)?])?])
}
