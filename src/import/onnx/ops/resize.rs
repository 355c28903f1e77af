//! Resampling: a linear map of its own along every axis, whose weights are computed here.

// Long because Resize is one operator with many rules: positions, filters and edges of every mode.

use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::moves::axes;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::stored::{counts, sizes};
use crate::import::onnx::tensor::{Tensor, foldable};
use crate::ops::{BinaryKind, Linear, MatMul, Resize, ResizeMode};
use crate::{Constant, Shape};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Resize" => resize,
        "Upsample" => upsample,
        _ => return None,
    })
}

/// The attributes that apply to all axes.
struct Rule {
    mode: &'static str,
    coordinates: &'static str,
    nearest: &'static str,
    cubic: f64,
    antialias: bool,
    exclude_outside: bool,
}

/// An axis: its sizes before and after, the scale (which needn't be their quotient), and the part of the input.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    scale: f64,
    part: [f64; 2],
}

/// The input elements of an output element, and their weights; none if it lies outside the input.
pub(super) type Row = Vec<(usize, f64)>;

/// The maximum number of elements that are added one by one. More are a matrix product, in which an infinity spreads to
/// all outputs, because 0 times an infinity is NaN.
const FEW: usize = 8;

impl Axis {
    /// Creates an axis with `floor(input * scale)` output elements.
    fn by(input: usize, scale: f64) -> Result<Axis, ErrorKind> {
        let wrong = || ErrorKind::argument("scales", "factors that leave 1 element or more", scale);
        // Rounding to 32 bits cancels the scale's own rounding, as in the specification's shape inference.
        let output = (input as f32 * scale as f32).floor();
        if !(scale.is_finite() && (output >= 1.0 || input == 0)) {
            return Err(wrong());
        }
        let output = sizes(&[output as i64])?[0];
        Ok(Axis { input, output, scale, part: [0.0, 1.0] })
    }

    fn to(input: usize, output: usize) -> Axis {
        Axis { input, output, scale: output as f64 / input as f64, part: [0.0, 1.0] }
    }

    /// Returns true if the scale is the quotient of the sizes, in 32 bits.
    fn exact(&self) -> bool {
        self.scale as f32 == (self.output as f64 / self.input as f64) as f32
    }

    /// Returns the position in the input of an output element.
    fn position(&self, coordinates: &str, o: usize) -> f64 {
        // Rounding decides the nearest element at nearly whole positions: all runtimes compute in 32 bits.
        let rounded = |number: f64| f64::from(number as f32);
        let (o, last, width) = (o as f64, self.input as f64 - 1.0, rounded(self.scale * self.input as f64));
        let over = |o: f64| rounded(o / self.scale);
        rounded(match coordinates {
            "align_corners" if width == 1.0 => 0.0,
            "align_corners" => o * last / (width - 1.0),
            "asymmetric" => over(o),
            "tf_half_pixel_for_nn" => over(o + 0.5),
            "pytorch_half_pixel" if self.output == 1 => 0.0,
            "half_pixel_symmetric" => {
                let offset = self.input as f64 / 2.0 * (1.0 - self.output as f64 / width);
                offset + over(o + 0.5) - 0.5
            }
            "tf_crop_and_resize" => {
                let [start, end] = self.part.map(|place| place * last);
                match self.output {
                    1 => 0.5 * (start + end),
                    _ => start + o * (end - start) / (self.output as f64 - 1.0),
                }
            }
            _ => over(o + 0.5) - 0.5,
        })
    }

    fn rows(&self, rule: &Rule) -> Vec<Row> {
        (0..self.output).map(|o| self.row(rule, self.position(rule.coordinates, o))).collect()
    }

    fn row(&self, rule: &Rule, at: f64) -> Row {
        let last = self.input as f64 - 1.0;
        if rule.coordinates == "tf_crop_and_resize" && !(0.0..=last).contains(&at) {
            return Row::new();
        }
        let inside = |place: f64| place.clamp(0.0, last) as usize;
        let support = match rule.mode {
            "nearest" => {
                let place = match rule.nearest {
                    "floor" => at.floor(),
                    "ceil" => at.ceil(),
                    "round_prefer_ceil" => (at + 0.5).floor(),
                    _ => (at - 0.5).ceil(),
                };
                return vec![(inside(place), 1.0)];
            }
            "linear" => 1.0,
            _ => 2.0,
        };
        // The elements on either side. Antialiasing widens the filter, to keep smaller images from flickering.
        let stretch = if rule.antialias { self.scale.min(1.0) } else { 1.0 };
        let (left, reach) = (at.ceil() - 1.0, (support / stretch).ceil() as i64);
        let mut taps: Vec<(f64, f64)> = (1 - reach..=reach)
            .map(|i| (left + i as f64, rule.weight((left + i as f64 - at) * stretch)))
            .filter(|&(place, _)| !rule.exclude_outside || (0.0..=last).contains(&place))
            .collect();
        if rule.antialias || rule.exclude_outside {
            let sum: f64 = taps.iter().map(|&(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        let mut row = Row::new();
        for (place, weight) in taps.into_iter().map(|(place, weight)| (inside(place), weight)) {
            match row.last_mut() {
                Some((same, sum)) if *same == place => *sum += weight,
                _ => row.push((place, weight)),
            }
        }
        row.retain(|&(_, weight)| weight != 0.0);
        row
    }
}

impl Rule {
    /// Returns the weight of an element at that distance.
    fn weight(&self, distance: f64) -> f64 {
        let (x, a) = (distance.abs(), self.cubic);
        match self.mode {
            "linear" => (1.0 - x).max(0.0),
            _ if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            _ if x < 2.0 => ((x - 5.0) * x + 8.0) * x * a - 4.0 * a,
            _ => 0.0,
        }
    }

    /// Returns the operation that computes exactly this, if there is one.
    fn op(&self, axes: &[Axis], rows: &[Vec<Row>]) -> Option<Resize> {
        let (rank, spatial) = (axes.len(), axes.get(2..)?);
        let kept = rows[..2].iter().zip(axes).all(|(rows, axis)| is_identity(rows, axis.input));
        if !(3..=4).contains(&rank) || !kept || self.coordinates.starts_with("tf") {
            return None;
        }
        let size: Vec<usize> = spatial.iter().map(|axis| axis.output).collect();
        if self.mode == "nearest" {
            let picks = |offset: f32| {
                spatial.iter().zip(&rows[2..]).all(|(axis, rows)| {
                    let scale = (axis.input as f64 / axis.output as f64) as f32;
                    let place = |o: usize| (((o as f32 + offset) * scale).floor() as usize).min(axis.input - 1);
                    rows.iter().enumerate().all(|(o, row)| row[0].0 == place(o))
                })
            };
            let mode = [(0.0, ResizeMode::Nearest), (0.5, ResizeMode::NearestExact)];
            return mode.into_iter().find(|&(offset, _)| picks(offset)).map(|(_, mode)| Resize::new(mode, size));
        }
        let mode = match self.mode {
            "linear" => ResizeMode::Linear,
            _ if self.cubic == -0.75 && !self.exclude_outside => ResizeMode::Cubic,
            _ => return None,
        };
        let filtered = self.antialias && spatial.iter().any(|axis| axis.scale < 1.0);
        if filtered || !spatial.iter().all(Axis::exact) {
            return None;
        }
        match self.coordinates {
            "align_corners" => Some(Resize::new(mode, size).align_corners(true)),
            "asymmetric" => None,
            "pytorch_half_pixel" if size.contains(&1) => None,
            _ => Some(Resize::new(mode, size)),
        }
    }
}

/// Returns true if these rows leave an axis of size `input` unchanged.
fn is_identity(rows: &[Row], input: usize) -> bool {
    rows.len() == input && rows.iter().enumerate().all(|(o, row)| row[..] == [(o, 1.0)])
}

/// Imports `Upsample`: nearest or linear, with the first elements of input and output aligned.
fn upsample(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, rank) = (node.input(0)?, b.shape(node.input(0)?).len());
    let scales = match node.opset {
        ..7 => return Err(node.refused("opset", "7 or more", node.opset)),
        7..9 => {
            let scales = node.floats("scales")?.unwrap_or_default();
            let given = Tensor::floats(ElementType::F32, [scales.len()], scales);
            named(node, "scales", &given, rank)?
        }
        _ => named(node, "scales", &b.known("scales", node.input(1)?)?, rank)?,
    };
    let mode = node.one_of("mode", &["nearest", "linear"])?;
    simple(b, node, x, mode, &scales)
}

/// Returns the numbers of an argument, which must be `count`.
fn named(node: &Node, name: &str, given: &Tensor, count: usize) -> Result<Vec<f64>> {
    given.as_many(count).ok_or_else(|| node.refused(name, &format!("{count} numbers"), given.elements()))
}

/// Resamples by the rules before opset 11.
fn simple(b: &mut Builder, node: &Node, x: &Operand, mode: &'static str, scales: &[f64]) -> Result<Vec<Operand>> {
    // The specification didn't define the nearest element of a smaller output.
    if let Some(scale) = scales.iter().find(|&&scale| mode == "nearest" && scale < 1.0) {
        return Err(node.refused("scales", "1 or more in the mode nearest before opset 11", scale));
    }
    let shape = b.shape(x);
    let axes = shape.iter().zip(scales).map(|(&size, &scale)| Axis::by(size, scale)).collect::<Result<Vec<_>, _>>()?;
    let rule = Rule {
        mode,
        coordinates: "asymmetric",
        nearest: "floor",
        cubic: 0.0,
        antialias: false,
        exclude_outside: false,
    };
    Ok(vec![resample(b, x, &rule, &axes, 0.0)?])
}

fn resize(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, shape) = (node.input(0)?, b.shape(node.input(0)?));
    let mode = node.one_of("mode", &["nearest", "linear", "cubic"])?;
    if node.opset < 11 {
        let scales = b.known("scales", node.input(1)?)?;
        if mode == "cubic" {
            return Err(node.refused("attribute mode", "nearest, linear", mode));
        }
        return simple(b, node, x, mode, &named(node, "scales", &scales, shape.len())?);
    }
    let coordinates = [
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
    ];
    let rule = Rule {
        mode,
        coordinates: node.one_of("coordinate_transformation_mode", &coordinates)?,
        nearest: node.one_of("nearest_mode", &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])?,
        cubic: node.float("cubic_coeff_a", -0.75)?.into(),
        antialias: node.flag("antialias", false)?,
        exclude_outside: node.flag("exclude_outside", false)?,
    };
    let extrapolation = node.float("extrapolation_value", 0.0)?;
    let along = node.ints("axes")?.unwrap_or_else(|| (0..shape.len() as i64).collect());
    let all = resized(b, node, &rule, &shape, &axes(&along, shape.len())?)?;
    Ok(vec![resample(b, x, &rule, &all, extrapolation)?])
}

/// Returns the axes that a node's inputs and attributes describe. Axes not in `along` keep their sizes.
fn resized(b: &Builder, node: &Node, rule: &Rule, shape: &Shape, along: &[usize]) -> Result<Vec<Axis>> {
    let policy = node.one_of("keep_aspect_ratio_policy", &["stretch", "not_larger", "not_smaller"])?;
    let crops = rule.coordinates == "tf_crop_and_resize";
    let given = |position: usize| node.optional(position).filter(|input| b.shape(input).elements() > 0);
    let mut all: Vec<Axis> = shape.iter().map(|&size| Axis::to(size, size)).collect();
    match (given(2), given(3)) {
        // Sources disagree on whether scales apply to the part or to the whole.
        (Some(_), None) if crops => return Err(node.refused("scales", "sizes, where a part is taken", "scales")),
        (Some(scales), None) => {
            let scales = named(node, "scales", &b.known("scales", scales)?, along.len())?;
            for (&axis, scale) in along.iter().zip(scales) {
                all[axis] = Axis::by(shape[axis], scale)?;
            }
        }
        (None, Some(given)) => {
            // With an aspect ratio policy, the sizes are bounds and no shape.
            let given = b.known_ints("sizes", given)?;
            let wanted = format!("{} numbers, 1 or more each", along.len());
            let wrong = || node.refused("sizes", &wanted, format_args!("{given:?}"));
            // An axis without elements stays so.
            let empty = |(&axis, &size): (&usize, &usize)| shape[axis] > 0 && size == 0;
            let fits = |given: &Vec<usize>| given.len() == along.len() && !along.iter().zip(given).any(empty);
            let given = counts(&given).filter(fits).ok_or_else(wrong)?;
            for (&axis, &size) in along.iter().zip(given.iter()) {
                all[axis] = Axis::to(shape[axis], size);
            }
            let scales = along.iter().map(|&axis| all[axis].scale);
            let scale = if policy == "not_larger" { scales.reduce(f64::min) } else { scales.reduce(f64::max) };
            for &axis in along.iter().filter(|_| policy != "stretch") {
                let scale = scale.unwrap_or(1.0);
                let size = sizes(&[(scale * shape[axis] as f64 + 0.5) as i64])?[0];
                if size == 0 && shape[axis] > 0 {
                    return Err(node.refused("sizes", "what leaves 1 element or more", format_args!("{given:?}")));
                }
                all[axis] = Axis { scale, ..Axis::to(shape[axis], size) };
            }
        }
        (scales, _) => {
            let got = if scales.is_some() { "both" } else { "none" };
            return Err(node.refused("scales, sizes", "one of them", got));
        }
    }
    if crops {
        let part = node.optional(1).ok_or_else(|| node.refused("roi", "what part to take", "none"))?;
        let part = named(node, "roi", &b.known("roi", part)?, 2 * along.len())?;
        for (i, &axis) in along.iter().enumerate() {
            all[axis].part = [part[i], part[i + along.len()]];
        }
    }
    if all.iter().any(|axis| axis.input == 0 && axis.output > 0) {
        return Err(node.refused("X", "1 element or more along the axes that grow", shape));
    }
    Ok(all)
}

fn resample(b: &mut Builder, x: &Operand, rule: &Rule, axes: &[Axis], extrapolation: f32) -> Result<Operand> {
    let result = Shape::from(axes.iter().map(|axis| axis.output).collect::<Vec<_>>());
    sizes(&result.iter().map(|&size| size as i64).collect::<Vec<_>>())?;
    if result.elements() == 0 {
        return Ok(Tensor::empty(x.element(), result).into());
    }
    for axis in axes {
        let taps = if rule.antialias { (4.0 / axis.scale.min(1.0)).ceil() as usize } else { 4 };
        foldable(&[axis.output.saturating_mul(taps)].into())?;
    }
    let rows: Vec<Vec<Row>> = axes.iter().map(|axis| axis.rows(rule)).collect();
    if let (Operand::Device(..), true, Some(op)) = (x, x.element().is_float(), rule.op(axes, &rows)) {
        return b.moved(op, &[x]);
    }
    let mut y = x.clone();
    for (axis, rows) in rows.iter().enumerate().filter(|&(axis, rows)| !is_identity(rows, axes[axis].input)) {
        y = along(b, &y, axis, rows, extrapolation)?;
    }
    Ok(y)
}

/// Applies the linear map with these rows along an axis.
pub(super) fn along(b: &mut Builder, x: &Operand, axis: usize, rows: &[Row], extrapolation: f32) -> Result<Operand> {
    let mut shape = b.shape(x).to_vec();
    let (outer, inner): (usize, usize) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
    let (input, output) = (shape[axis], rows.len());
    shape[axis] = output;
    let mut column = vec![1; shape.len()];
    column[axis] = output;
    let outside: Vec<i64> = rows.iter().map(|row| row.is_empty().into()).collect();
    let some_outside = outside.contains(&1);
    let outside = Operand::from(Tensor::ints(ElementType::Bool, column.clone(), outside).with_fixed(false));
    let most = rows.iter().map(Row::len).max().unwrap_or(0);
    let y = if rows.iter().all(|row| matches!(row[..], [] | [(_, 1.0)])) {
        let places = rows.iter().map(|row| row.first().map_or(0, |&(place, _)| place)).collect();
        picked(b, x, axis, places)?
    } else if !x.element().is_float() {
        return Err(
            ErrorKind::argument("elements", "floating-point numbers, but in the mode nearest", x.element()).into()
        );
    } else if most <= FEW {
        few(b, x, axis, rows, most, column)?
    } else {
        let matrix = Shape::from([output, input]);
        let mut weights = vec![0.0; foldable(&matrix)?];
        for (row, weights) in rows.iter().zip(weights.chunks_exact_mut(input)) {
            row.iter().for_each(|&(place, weight)| weights[place] = weight as f32);
        }
        let y = if inner == 1 {
            let x = b.reshape(x, [outer, input])?;
            b.moved(Linear::new(Constant::known("", matrix, weights), None), &[&x])?
        } else {
            let matrix = Tensor::floats(x.element(), matrix, weights).with_fixed(false);
            let x = b.reshape(x, [outer, input, inner])?;
            b.moved(MatMul::new(), &[&matrix.into(), &x])?
        };
        b.reshape(&y, shape)?
    };
    match some_outside {
        true => b.where_(&outside, &Tensor::scalar(x.element(), extrapolation.into()).into(), &y),
        false => Ok(y),
    }
}

/// Picks the elements at these positions of an axis.
fn picked(b: &mut Builder, x: &Operand, axis: usize, places: Vec<usize>) -> Result<Operand> {
    let (count, places) = (places.len(), places.into_iter().map(|place| place as i64).collect());
    b.gather(x, axis, &Tensor::ints(ElementType::I64, [count], places).with_fixed(false).into())
}

/// Applies these rows by adding up to `most` elements: the first of all rows, then the second.. Elements outside a
/// row aren't read: an infinity or a NaN reaches only its own rows. `column` is the shape of one number per row.
fn few(b: &mut Builder, x: &Operand, axis: usize, rows: &[Row], most: usize, column: Vec<usize>) -> Result<Operand> {
    // A shorter row splits its last weight by powers of two, which are exact.
    let tap = |row: &Row, i: usize| match row.get(i) {
        _ if row.is_empty() => (0, 0.0),
        Some(&(place, weight)) if i + 1 < row.len() || row.len() == most => (place, weight),
        _ => {
            let (place, weight) = row[row.len() - 1];
            let halvings = (i + 1 - row.len() + 1).min(most - row.len());
            (place, weight * 0.5f64.powi(halvings as i32))
        }
    };
    let mut sum = None;
    for i in 0..most {
        let (places, weights): (Vec<_>, Vec<_>) = rows.iter().map(|row| tap(row, i)).unzip();
        let weights = weights.into_iter().map(|weight| weight as f32).collect();
        let weights = Tensor::floats(x.element(), column.clone(), weights).with_fixed(false);
        let part = picked(b, x, axis, places)?;
        let part = b.binary(BinaryKind::Mul, &part, &weights.into())?;
        sum = Some(match sum {
            Some(sum) => b.binary(BinaryKind::Add, &sum, &part)?,
            None => part,
        });
    }
    Ok(sum.expect("rows have elements"))
}
