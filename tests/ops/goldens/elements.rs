//! Cases of operations that move or select elements, and of elementwise ones.

use super::Attributes;
use serde_json::Value;
use shadernet::ops::{Compare, IsInf, Logical, ScatterKind};
use shadernet::selftest::ops::{
    activation, binary, cast, embedding, expand, gather, gather_nd, index_select, logic, nonfinite, reduce_precision,
    scatter, scatter_nd, slice, unary,
};
use shadernet::selftest::reference::Tensor;
use shadernet::{DType, Op};

/// Computes operations that move elements or select them by index.
pub fn moved(op: &str, attributes: &mut Attributes, inputs: &[Tensor]) -> Option<Tensor> {
    let x = &inputs[0];
    Some(match op {
        "slice" => {
            let mut place = |name: &str| attributes.get(name).as_i64().map(|i| i as isize);
            let [start, end, step] = ["start", "end", "step"].map(&mut place);
            slice::slice(x, attributes.size("axis"), start, end, step.expect("a step"))
        }
        "split" => {
            slice::split(x, &attributes.list("sizes"), attributes.size("dim")).swap_remove(attributes.size("part"))
        }
        "expand" => expand::expand(x, &attributes.list("size")),
        "embedding" => embedding::embedding(x, &inputs[1]),
        "index_select" => index_select::index_select(x, attributes.size("dim"), &inputs[1]),
        "indexed" => index_select::index_select(x, 1, &inputs[1]),
        "gather_nd" => gather_nd::gather_nd(x, &inputs[1], attributes.size("batch_dims")),
        "scatter" => {
            let kind = scatter_kind(attributes.get("reduction"));
            scatter::scatter(x, attributes.size("axis"), &inputs[1], &inputs[2], kind)
        }
        "scatter_nd" => scatter_nd::scatter_nd(x, &inputs[1], &inputs[2], scatter_kind(attributes.get("reduction"))),
        "gather" => gather::gather(x, attributes.size("dim"), &inputs[1]),
        _ => return None,
    })
}

fn scatter_kind(reduction: &Value) -> ScatterKind {
    match reduction.as_str() {
        Some("none") => ScatterKind::Replace,
        Some("add") => ScatterKind::Add,
        Some("mul") => ScatterKind::Mul,
        Some("max") => ScatterKind::Max,
        Some("min") => ScatterKind::Min,
        _ => panic!("reduction {reduction}"),
    }
}

/// Computes comparisons, logic, selections, conversions and other elementwise operations.
pub fn by_element(op: &str, attributes: &mut Attributes, inputs: &[Tensor]) -> Option<Tensor> {
    let (a, b) = (&inputs[0], inputs.last()?);
    let comparisons = [Compare::Eq, Compare::Ne, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge];
    if let Some(&kind) = comparisons.iter().find(|kind| kind.name() == op) {
        return Some(logic::compare(kind, a, b));
    }
    let joins = [Logical::And, Logical::Or, Logical::Xor, Logical::Not];
    if let Some(&kind) = joins.iter().find(|kind| kind.name() == op) {
        return Some(logic::logical(kind, a, b));
    }
    if let Some(&(function, _)) = unary::ALL.iter().find(|(function, _)| function.name() == op) {
        return Some(unary::unary(a, function));
    }
    Some(match op {
        "where" => logic::where_(a, &inputs[1], b),
        "cast" => {
            let [source, target] = ["source", "target"].map(|name| dtype(attributes.get(name)));
            cast::cast(&cast::cast(a, source), target)
        }
        "maximum" => binary::maximum(a, b),
        "minimum" => binary::minimum(a, b),
        "pow" => binary::pow(a, b),
        "div_trunc" => binary::div_trunc(a, b),
        "remainder" => binary::remainder(a, b),
        "fmod" => binary::fmod(a, b),
        "bitwise_and" => binary::bitwise(a, b, |a, b| a & b),
        "bitwise_or" => binary::bitwise(a, b, |a, b| a | b),
        "bitwise_xor" => binary::bitwise(a, b, |a, b| a ^ b),
        "bitwise_left_shift" => binary::shift_left(a, b),
        "reduce_precision" => {
            let format = attributes.get("format").as_str().expect("a name").to_owned();
            let format =
                reduce_precision::FORMATS.into_iter().find(|is| format!("{is:?}") == format).expect("a format");
            reduce_precision::reduce_precision(a, format, attributes.flag("saturate"))
        }
        "isnan" => nonfinite::is_nan(a),
        "isinf" => {
            let [detect_positive, detect_negative] = ["positive", "negative"].map(|name| attributes.flag(name));
            nonfinite::is_inf(a, IsInf { detect_positive, detect_negative })
        }
        "clamp" => activation::clamp(a, attributes.number("min"), attributes.number("max")),
        _ => return None,
    })
}

fn dtype(name: &Value) -> DType {
    match name.as_str() {
        Some("float32") => DType::F32,
        Some("int32") => DType::I32,
        Some("bool") => DType::Bool,
        _ => panic!("dtype {name}"),
    }
}
