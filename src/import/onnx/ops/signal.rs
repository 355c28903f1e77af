//! Signals: Fourier transforms as matrix products, their windows and their scales.

use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axis;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::{BinaryKind, Linear};
use crate::{Constant, Shape};
use std::f64::consts::{LN_10, TAU};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "DFT" => dft,
        "STFT" => stft,
        "HannWindow" => |b, node| window(b, node, [0.5, 0.5, 0.0]),
        "HammingWindow" => |b, node| window(b, node, [25.0 / 46.0, 21.0 / 46.0, 0.0]),
        "BlackmanWindow" => |b, node| window(b, node, [0.42, 0.5, 0.08]),
        "MelWeightMatrix" => mel_weights,
        _ => return None,
    })
}

/// The maximum number of elements of a transform's matrix, which is computed when it is uploaded.
const MOST_FACTORS: usize = 1 << 26;

/// A discrete Fourier transform of `length` elements.
#[derive(Clone, Copy)]
struct Transform {
    length: usize,
    inverse: bool,
    /// True for a real signal: half of the frequencies are enough.
    onesided: bool,
}

impl Transform {
    /// Returns the number of output elements, and of components (1 or 2) in each.
    fn output(self) -> [usize; 2] {
        match (self.onesided, self.inverse) {
            (false, _) => [self.length, 2],
            (true, false) => [self.length / 2 + 1, 2],
            (true, true) => [self.length, 1],
        }
    }

    /// Computes the matrix `[outputs * components, inputs * components]`.
    fn matrix(self, inputs: usize, components: usize) -> Vec<f32> {
        let [outputs, parts] = self.output();
        let n = self.length as u128;
        let mut matrix = Vec::with_capacity(outputs * parts * inputs * components);
        for k in 0..outputs {
            for part in 0..parts {
                for j in 0..inputs {
                    let angle = (k as u128 * j as u128 % n) as f64 / n as f64 * TAU;
                    let (sin, cos) = if self.inverse { angle.sin_cos() } else { (-angle).sin_cos() };
                    let scale = self.weight(j);
                    // (x + iy)(cos + i sin)
                    let row = if part == 0 { [cos, -sin] } else { [sin, cos] };
                    matrix.extend(row[..components].iter().map(|value| (value * scale) as f32));
                }
            }
        }
        matrix
    }

    /// Returns an input element's weight: 0 beyond the length, doubled for a frequency that has a mirror image.
    fn weight(self, j: usize) -> f64 {
        let n = self.length as f64;
        let half = self.inverse && self.onesided;
        match (self.inverse, half) {
            _ if j >= self.length || (half && j > self.length / 2) => 0.0,
            (false, _) => 1.0,
            (true, true) if j > 0 && 2 * j != self.length => 2.0 / n,
            _ => 1.0 / n,
        }
    }
}

/// Returns a size that must be known when the graph is built.
fn size(b: &Builder, node: &Node, name: &str, operand: &Operand) -> Result<usize> {
    match b.known_int(name, operand)? {
        size if (1..1 << 31).contains(&size) => Ok(size as usize),
        other => Err(node.refused(name, "a number from 1 to 2^31", other)),
    }
}

fn dft(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let at = match node.opset {
        ..20 => node.int("axis", 1)?,
        _ => match node.optional(2) {
            None => -2,
            Some(at) => b.known_int("axis", at)?,
        },
    };
    let at = axis(at, shape.len())?;
    if at + 1 == shape.len() {
        return Err(node.refused("axis", "another than the last", at));
    }
    let (inverse, onesided) = (node.flag("inverse", false)?, node.flag("onesided", false)?);
    let length = match node.optional(1) {
        Some(length) => size(b, node, "dft_length", length)?,
        None if inverse && onesided => 2 * shape[at].saturating_sub(1),
        None => shape[at],
    };
    Ok(vec![transform(b, node, x, at, Transform { length, inverse, onesided })?])
}

/// Imports `STFT`: transforms of parts of a signal `[batch, length, components]`, each times a window.
fn stft(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = node.input(0)?;
    let shape = b.shape(x);
    let &[batch, signal, components] = &shape[..] else {
        return Err(node.refused("signal", "3 dimensions", &shape));
    };
    let step = size(b, node, "frame_step", node.input(1)?)?;
    let window = node.optional(2);
    let of_window = match window.map(|window| b.shape(window)) {
        None => None,
        Some(shape) if shape.len() == 1 => Some(shape[0]),
        Some(shape) => return Err(node.refused("window", "1 dimension", shape)),
    };
    let stated = node.optional(3).map(|length| size(b, node, "frame_length", length)).transpose()?;
    let length = stated.or(of_window).unwrap_or(signal);
    if of_window.is_some_and(|of| of != length) || length == 0 || length > signal {
        let wanted = format!("1 to {signal}, the same for the window");
        return Err(node.refused("frame_length", &wanted, length));
    }
    let frames = (signal - length) / step + 1;
    let places = Shape::from([frames, length]);
    foldable(&places)?;
    let starts = (0..frames).map(|frame| frame * step);
    let places_of = starts.flat_map(|start| start as i64..(start + length) as i64).collect();
    let places = Tensor::ints(ElementType::I64, places, places_of).with_fixed(false);
    let parts = b.gather(x, 1, &places.into())?;
    let mut parts = b.reshape(&parts, [batch, frames, length, components])?;
    if let Some(window) = window {
        let window = b.reshape(window, [length, 1])?;
        parts = b.binary(BinaryKind::Mul, &parts, &window)?;
    }
    let onesided = node.flag("onesided", true)?;
    Ok(vec![transform(b, node, &parts, 2, Transform { length, inverse: false, onesided })?])
}

/// Computes a window `a - b cos(2πn / N) + c cos(4πn / N)`.
fn window(b: &mut Builder, node: &Node, [a, first, second]: [f64; 3]) -> Result<Vec<Operand>> {
    let operand = node.input(0)?;
    let size = size(b, node, "size", operand)?;
    let element = node.element("output_datatype")?.unwrap_or(ElementType::F32);
    let period = if node.flag("periodic", true)? { size } else { size - 1 };
    if period == 0 {
        return Err(node.refused("size", "2 or more, where it isn't periodic", size));
    }
    foldable(&[size].into())?;
    let value = |n: usize| {
        let angle = n as f64 / period as f64 * TAU;
        a - first * angle.cos() + second * (2.0 * angle).cos()
    };
    let of: Vec<&Tensor> = operand.host().into_iter().collect();
    Ok(vec![Tensor::computed(element, [size].into(), (0..size).map(value).collect(), &of).into()])
}

/// Computes the mel filters `[frequencies, bands]`: triangles over the frequencies.
fn mel_weights(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (bands, length) =
        (size(b, node, "num_mel_bins", node.input(0)?)?, size(b, node, "dft_length", node.input(1)?)?);
    let rate = size(b, node, "sample_rate", node.input(2)?)?;
    let hertz = |position: usize, name: &str| {
        let tensor = b.known(name, node.input(position)?)?;
        let number = tensor.number().filter(|&hertz| (0.0..1e12).contains(&hertz));
        number.ok_or_else(|| node.refused(name, "a number of 0 or more", &tensor.shape))
    };
    let (lower, upper) = (hertz(3, "lower_edge_hertz")?, hertz(4, "upper_edge_hertz")?);
    let element = node.element("output_datatype")?.unwrap_or(ElementType::F32);
    let rows = length / 2 + 1;
    let shape = Shape::from([rows, bands]);
    let mut weights = vec![0.0; foldable(&shape)?];
    let mel = |hertz: f64| 2595.0 * (hertz / 700.0).ln_1p() / LN_10;
    let step = (mel(upper) - mel(lower)) / (bands + 2) as f64;
    let place = |band: usize| {
        let hertz = 700.0 * ((mel(lower) + band as f64 * step) / 2595.0 * LN_10).exp_m1();
        ((length + 1) as f64 * hertz / rate as f64).floor() as usize
    };
    let beyond = place(bands + 1).max(place(0));
    if beyond > rows || lower > upper {
        let wanted = format!("from the lower edge to half of the sample rate, {rate}");
        return Err(node.refused("upper_edge_hertz", &wanted, upper));
    }
    for band in 0..bands {
        let [left, centre, right] = [place(band), place(band + 1), place(band + 2)];
        let rising =
            (left..=centre).map(|j| (j, if left == centre { 1.0 } else { (j - left) as f64 / (centre - left) as f64 }));
        let falling = (centre..right).map(|j| (j, (right - j) as f64 / (right - centre) as f64));
        for (j, weight) in rising.chain(falling) {
            match weights.get_mut(j * bands + band) {
                Some(place) => *place = weight,
                None => return Err(node.refused("upper_edge_hertz", &format!("what {rows} frequencies reach"), upper)),
            }
        }
    }
    let of: Vec<&Tensor> = node.hosts().collect();
    Ok(vec![Tensor::computed(element, shape, weights, &of).into()])
}

/// Adds a transform along an axis of a tensor whose last axis holds the components of complex numbers.
fn transform(b: &mut Builder, node: &Node, x: &Operand, axis: usize, transform: Transform) -> Result<Operand> {
    let shape = b.shape(x);
    let rank = shape.len();
    let (inputs, components) = (shape[axis], shape[rank - 1]);
    let real = transform.onesided && !transform.inverse;
    let wanted = match (transform.onesided, transform.inverse) {
        (true, false) => 1..=1,
        (true, true) => 2..=2,
        _ => 1..=2,
    };
    if !wanted.contains(&components) {
        let wanted = if real { "1 component, where one side is enough" } else { "1 or 2 components, 2 for one side" };
        return Err(node.refused("input", wanted, &shape));
    }
    if transform.length == 0 || inputs == 0 {
        return Err(node.refused("dft_length", "1 or more", transform.length));
    }
    let [outputs, parts] = transform.output();
    let sizes = [outputs.saturating_mul(parts), inputs.saturating_mul(components)];
    if sizes[0].saturating_mul(sizes[1]) > MOST_FACTORS {
        let wanted = format!("a matrix of {MOST_FACTORS} numbers at most");
        return Err(node.refused("dft_length", &wanted, Shape::from(sizes)));
    }
    // The axis moves beside the components, so that one product covers both.
    let order: Vec<usize> = (0..rank - 1).filter(|&other| other != axis).chain([axis, rank - 1]).collect();
    let y = b.transpose(x, &order)?;
    let mut outer: Vec<usize> = order[..rank - 2].iter().map(|&axis| shape[axis]).collect();
    let rows: usize = outer.iter().product();
    let y = b.reshape(&y, [rows, sizes[1]])?;
    let matrix = Constant::lazy("", Shape::from(sizes), move || transform.matrix(inputs, components));
    let y = b.moved(Linear::new(matrix, None), &[&y])?;
    outer.extend([outputs, parts]);
    let y = b.reshape(&y, outer)?;
    let back: Vec<usize> =
        (0..rank).map(|axis| order.iter().position(|&of| of == axis).expect("it is one of them")).collect();
    b.transpose(&y, &back)
}
