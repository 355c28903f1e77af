//! Operators of `ai.onnx.ml` before and after networks, as converters of scikit-learn write them.

use crate::error::Result;
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::Tensor;
use crate::ops::{Activation, ArgReduce, BinaryKind, Compare, Linear, ReduceKind, Softmax};
use crate::{Constant, Shape};

pub(super) fn find(op: &str) -> Option<Import> {
    Some(match op {
        "Scaler" => scaler,
        "Normalizer" => normalizer,
        "Binarizer" => binarizer,
        "ArrayFeatureExtractor" => array_feature_extractor,
        "LinearRegressor" => linear_regressor,
        "LinearClassifier" => linear_classifier,
        _ => return None,
    })
}

/// Computes `(x - offset) * scale`, with one number each, or one for each feature.
fn scaler(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = b.cast(node.input(0)?, ElementType::F32)?;
    let features = b.shape(&x).last().copied().unwrap_or(1);
    let list = |name: &'static str| {
        let list = node.floats(name)?.unwrap_or_default();
        match list.len() {
            1 => Ok(Operand::from(Tensor::floats(ElementType::F32, [1], list))),
            count if count == features => Ok(Tensor::floats(ElementType::F32, [count], list).into()),
            count => Err(node.refused(&format!("attribute {name}"), &format!("1 number, or {features}"), count)),
        }
    };
    let (offset, scale) = (list("offset")?, list("scale")?);
    let y = b.binary(BinaryKind::Sub, &x, &offset)?;
    Ok(vec![b.binary(BinaryKind::Mul, &y, &scale)?])
}

/// Divides each row by its largest number, the sum of absolute values, or the root of the sum of squares.
fn normalizer(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let x = b.cast(node.input(0)?, ElementType::F32)?;
    let rank = b.shape(&x).len();
    if !(1..=2).contains(&rank) {
        return Err(node.refused("X", "1 or 2 dimensions", b.shape(&x)));
    }
    let kind = match node.one_of("norm", &["MAX", "L1", "L2"])? {
        "L1" => ReduceKind::L1,
        "L2" => ReduceKind::L2,
        _ => ReduceKind::Max,
    };
    let norm = b.reduce(&x, kind, &[rank - 1], true)?;
    // A norm of 0 leaves the row as it is.
    let nothing = b.compare(&norm, Compare::Eq, &norm.number(0))?;
    let norm = b.where_(&nothing, &norm.number(1), &norm)?;
    Ok(vec![b.binary(BinaryKind::Div, &x, &norm)?])
}

fn binarizer(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, threshold) = (node.input(0)?, node.float("threshold", 0.0)?);
    if !x.element().is_float() {
        return Err(node.refused("X", "a floating-point type", x.element()));
    }
    let above = b.compare(x, Compare::Gt, &x.number(threshold))?;
    Ok(vec![b.cast(&above, x.element())?])
}

/// Takes features, the elements of the last dimension, by their places.
fn array_feature_extractor(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (x, places) = (node.input(0)?, node.input(1)?);
    let (shape, count) = (b.shape(x), b.shape(places).elements());
    if shape.is_empty() {
        return Err(node.refused("X", "1 dimension or more", shape));
    }
    let places = b.reshape(places, [count])?;
    let y = b.gather(x, shape.len() - 1, &places)?;
    Ok(vec![if shape.len() == 1 { b.reshape(&y, [1, count])? } else { y }])
}

/// Returns the rows of X, and `rows` sums of products with coefficients, plus an intercept each.
fn sums(b: &mut Builder, node: &Node, rows: usize) -> Result<Operand> {
    let x = b.cast(node.input(0)?, ElementType::F32)?;
    let shape = b.shape(&x);
    let x = match shape[..] {
        [features] => b.reshape(&x, [1, features])?,
        [_, _] => x,
        _ => return Err(node.refused("X", "1 or 2 dimensions", shape)),
    };
    let features = b.shape(&x)[1];
    let coefficients = node.floats("coefficients")?.unwrap_or_default();
    let wanted = rows.saturating_mul(features);
    if coefficients.len() != wanted || wanted == 0 {
        let wanted = format!("{rows} times {features} numbers");
        return Err(node.refused("attribute coefficients", &wanted, coefficients.len()));
    }
    let intercepts = node.floats("intercepts")?.unwrap_or_default();
    if !intercepts.is_empty() && intercepts.len() != rows {
        return Err(node.refused("attribute intercepts", &format!("{rows} numbers"), intercepts.len()));
    }
    let constant = |part: &str, shape: Shape, values: Vec<f32>| {
        let constant = Constant::known("", shape, values).into_parameter();
        b.shared(&format!("{}\n{part}", node.key()), true, constant)
    };
    let bias = (!intercepts.is_empty()).then(|| constant("intercepts", [rows].into(), intercepts));
    let weight = constant("coefficients", [rows, features].into(), coefficients);
    b.moved(Linear::new(weight, bias), &[&x])
}

/// Applies the function of the attribute `post_transform`.
fn transformed(b: &mut Builder, node: &Node, scores: &Operand) -> Result<Operand> {
    match node.one_of("post_transform", &["NONE", "SOFTMAX", "LOGISTIC"])? {
        "SOFTMAX" => b.moved(Softmax::new(1), &[scores]),
        "LOGISTIC" => b.activation(scores, Activation::Sigmoid),
        _ => Ok(scores.clone()),
    }
}

fn linear_regressor(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let sums = sums(b, node, node.count("targets", 1, 1)?)?;
    Ok(vec![transformed(b, node, &sums)?])
}

/// Imports `LinearClassifier`: the label of the largest sum, and all sums after a function. A single sum of two classes is
/// the second one's.
fn linear_classifier(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    if let Some(labels) = node.strings("classlabels_strings")?.filter(|labels| !labels.is_empty()) {
        return Err(node.refused("attribute classlabels_strings", "none, but classlabels_ints", labels.len()));
    }
    // Classes one against the rest or by one softmax: the sums are the same.
    node.ignore(&["multi_class"]);
    let labels = node.ints("classlabels_ints")?.unwrap_or_default();
    let rows = node.floats("intercepts")?.map_or(labels.len(), |intercepts| intercepts.len());
    if labels.is_empty() || (rows != labels.len() && [rows, labels.len()] != [1, 2]) {
        let wanted = format!("{rows} numbers, as intercepts");
        return Err(node.refused("attribute classlabels_ints", &wanted, labels.len()));
    }
    let sums = sums(b, node, rows)?;
    let names: Operand = Tensor::ints(ElementType::I64, [labels.len()], labels.clone()).into();
    if rows == labels.len() && rows > 1 {
        let place = b.typed(ElementType::I64, ArgReduce::argmax(1), &[&sums])?;
        return Ok(vec![b.gather(&names, 0, &place)?, transformed(b, node, &sums)?]);
    }
    if labels.len() == 1 {
        return Err(node.refused("attribute classlabels_ints", "2 numbers or more", 1));
    }
    let of_one = match node.one_of("post_transform", &["NONE", "SOFTMAX", "LOGISTIC"])? {
        "LOGISTIC" => b.activation(&sums, Activation::Sigmoid)?,
        _ => sums.clone(),
    };
    let other = b.binary(BinaryKind::Sub, &of_one.number(1), &of_one)?;
    let scores = b.concat(&[other, of_one], 1)?;
    let positive = b.compare(&sums, Compare::Gt, &sums.number(0))?;
    let count = b.shape(&positive).elements();
    let positive = b.reshape(&positive, [count])?;
    let [no, yes] = [0, 1].map(|i| names.number(labels[i] as f64));
    Ok(vec![b.where_(&positive, &yes, &no)?, scores])
}
