//! Normalisation by means and variances.

use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::ops::{BatchNorm2d, BinaryKind, GroupNorm, InstanceNorm2d, LayerNorm, RmsNorm, Unary};
use crate::{Constant, Shape};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "BatchNormalization" => batch_norm,
        "InstanceNormalization" => instance_norm,
        "LayerNormalization" => layer_norm,
        "GroupNormalization" => group_norm,
        // The latter is ONNX Runtime's, though in the domain of ONNX.
        "RMSNormalization" | "SimplifiedLayerNormalization" => rms_norm,
        _ => return None,
    })
}

fn batch_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    // Running statistics don't affect the output of inference.
    node.ignore(&["momentum", "consumed_inputs"]);
    let eps = node.float("epsilon", 1e-5)?;
    // Before opset 14, a node that lists more than one output is in training; before opset 7, unless a flag denies it.
    let lists = node.opset < 14 && node.outputs() > 1;
    let training = if node.opset < 7 {
        !node.flag("is_test", false)? && lists
    } else {
        node.flag("training_mode", false)? || lists
    };
    if !node.flag("spatial", true)? {
        return Err(node.refused("attribute spatial", "1", 0));
    }
    let part = |i: usize, name| b.weights(name, node.input(i)?);
    let [weight, bias, mean, var] = [part(1, "scale")?, part(2, "B")?, part(3, "mean")?, part(4, "var")?];
    if training {
        let norm = InstanceNorm2d::new(Some(weight), Some(bias)).eps(eps.into());
        let mut outputs = vec![by_batch_statistics(b, node, x, norm)?];
        if node.opset >= 14 && (node.wants(1) || node.wants(2)) {
            outputs.extend(running_statistics(b, node, x)?);
        }
        return Ok(outputs);
    }
    Ok(vec![b.moved(BatchNorm2d::new(weight, bias, mean, var).eps(eps.into()), &[x])?])
}

/// Normalises by the batch's own statistics: as one image, whose channels hold all images.
fn by_batch_statistics(b: &mut Builder, node: &Node, x: &Operand, norm: InstanceNorm2d) -> Result<Operand> {
    let shape = b.shape(x);
    if shape.len() < 2 {
        return Err(node.refused("X", "2 dimensions or more", &shape));
    }
    let channels = shape[1];
    // A swap of the first two dimensions is its own inverse.
    let order: Vec<usize> = [1, 0].into_iter().chain(2..shape.len()).collect();
    let turned = b.transpose(x, &order)?;
    let image = b.reshape(&turned, [1, channels, 1, shape.elements() / channels.max(1)])?;
    let y = b.moved(norm, &[&image])?;
    let y = b.reshape(&y, b.shape(&turned))?;
    b.transpose(&y, &order)
}

/// Returns the running mean and variance after a step: the former ones, and the batch's own in the rest of the parts.
fn running_statistics(b: &mut Builder, node: &Node, x: &Operand) -> Result<[Operand; 2]> {
    let momentum = node.float("momentum", 0.9)?;
    let shape = b.shape(x);
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1).collect();
    let [mean, _, variance] = b.moments(x, &axes)?;
    let mut after = |place: usize, of: &Operand| {
        let of = b.reshape(of, [shape[1]])?;
        let (kept, new) = (b.scaled(node.input(place)?, momentum)?, b.scaled(&of, 1.0 - momentum)?);
        b.binary(BinaryKind::Add, &kept, &new)
    };
    Ok([after(3, &mean)?, after(4, &variance)?])
}

fn instance_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    node.ignore(&["consumed_inputs"]);
    let (weight, bias) = (b.weights("scale", node.input(1)?)?, b.weights("B", node.input(2)?)?);
    let eps = node.float("epsilon", 1e-5)?.into();
    let shape = b.shape(x);
    if shape.len() < 3 {
        return Err(node.refused("input", "3 dimensions or more", &shape));
    }
    // Only the number of elements per channel matters.
    let image = b.reshape(x, [shape[0], shape[1], 1, shape[2..].iter().product()])?;
    let y = b.moved(InstanceNorm2d::new(Some(weight), Some(bias)).eps(eps), &[&image])?;
    Ok(vec![b.reshape(&y, shape)?])
}

/// Returns the epsilon of a norm whose statistics have a stated type: they are computed in f32 only.
fn epsilon(node: &Node) -> Result<f64> {
    match node.element("stash_type")?.unwrap_or(ElementType::F32) {
        ElementType::F32 => Ok(node.float("epsilon", 1e-5)?.into()),
        other => Err(node.refused("attribute stash_type", "1 (float)", other)),
    }
}

/// Returns a scale or bias as the weights of a norm over the last dimensions, if it is known and fits.
fn affine(operand: Option<&Operand>, over: &Shape) -> Option<Option<Constant>> {
    let Some(operand) = operand else { return Some(None) };
    let tensor = operand.host()?;
    let squeezed = |shape: &Shape| shape.iter().copied().skip_while(|&size| size == 1).collect::<Vec<_>>();
    let fits = squeezed(&tensor.shape) == squeezed(over);
    fits.then(|| tensor.constant().ok().map(|constant| constant.with_shape(over.clone())))
}

fn layer_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let axis = axis(node.int("axis", -1)?, shape.len())?;
    let eps = epsilon(node)?;
    let mut outputs = vec![layer_normalised(b, x, axis, eps, node.input(1)?, node.optional(2))?];
    if node.wants(1) || node.wants(2) {
        let axes: Vec<usize> = (axis..shape.len()).collect();
        let [mean, _, variance] = b.moments(x, &axes)?;
        let shifted = b.binary(BinaryKind::Add, &variance, &x.number(eps))?;
        outputs.extend([mean, b.unary(&shifted, Unary::Rsqrt)?]);
    }
    Ok(outputs)
}

/// Normalises over the dimensions from `axis` on.
pub(super) fn layer_normalised(
    b: &mut Builder,
    x: &Operand,
    axis: usize,
    eps: f64,
    scale: &Operand,
    bias: Option<&Operand>,
) -> Result<Operand> {
    let over = Shape::from(&b.shape(x)[axis..]);
    if let (Some(weight), Some(bias)) = (affine(Some(scale), &over), affine(bias, &over)) {
        return b.moved(LayerNorm::new(over, weight, bias).eps(eps), &[x]);
    }
    let y = b.moved(LayerNorm::new(over, None, None).eps(eps), &[x])?;
    let y = b.binary(BinaryKind::Mul, &y, scale)?;
    bias.map_or(Ok(y.clone()), |bias| b.binary(BinaryKind::Add, &y, bias))
}

/// Divides by the root of the mean square over the dimensions from `axis` on.
pub(super) fn rms_normalised(b: &mut Builder, x: &Operand, axis: usize, eps: f64, scale: &Operand) -> Result<Operand> {
    let over = Shape::from(&b.shape(x)[axis..]);
    if let Some(weight) = affine(Some(scale), &over) {
        return b.moved(RmsNorm::new(over, weight).eps(eps), &[x]);
    }
    let y = b.moved(RmsNorm::new(over, None).eps(eps), &[x])?;
    b.binary(BinaryKind::Mul, &y, scale)
}

fn rms_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, scale) = (node.input(0)?, node.input(1)?);
    let shape = b.shape(x);
    let axis = axis(node.int("axis", -1)?, shape.len())?;
    let eps = epsilon(node)?;
    Ok(vec![rms_normalised(b, x, axis, eps, scale)?])
}

fn group_norm(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let groups = node.int("num_groups", 0)?;
    let &[n, channels, ref rest @ ..] = &shape[..] else {
        return Err(node.refused("X", "2 dimensions or more", &shape));
    };
    let wrong = || node.refused("attribute num_groups", &format!("a divisor of {channels}"), groups);
    let count =
        usize::try_from(groups).ok().filter(|&groups| groups > 0 && channels % groups == 0).ok_or_else(wrong)?;
    let eps = epsilon(node)?;
    let part = |i: usize, name| -> Result<Constant> {
        let constant = b.weights(name, node.input(i)?)?;
        if node.opset >= 21 {
            return Ok(constant);
        }
        // Before opset 21, each group had one number.
        let each = channels / count;
        let base = constant.clone();
        let values = move || base.values().iter().flat_map(|&value| std::iter::repeat_n(value, each)).collect();
        Ok(Constant::lazy(constant.name(), [constant.shape().elements() * each], values).derived_from(&[&constant]))
    };
    let (weight, bias) = (part(1, "scale")?, part(2, "bias")?);
    // The operation takes images.
    let image = b.reshape(x, [n, channels, 1, rest.iter().product()])?;
    let y = b.moved(GroupNorm::new(count, Some(weight), Some(bias)).eps(eps), &[&image])?;
    Ok(vec![b.reshape(&y, shape)?])
}
