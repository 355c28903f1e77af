//! ONNX's operators, one family per file. Each function reads a node as its opset's specification defines it,
//! <https://onnx.ai/onnx/operators>, and returns the node's outputs.

mod activation;
mod arithmetic;
mod attention;
mod control;
mod convolution;
mod einsum;
mod geometry;
mod integer;
mod linear_attention;
mod loss;
mod matrix;
mod movement;
mod normalization;
mod product;
mod quantization;
mod random;
mod recurrent;
mod reduction;
mod resize;
mod selection;
mod sequence;
mod shapes;
mod signal;
mod window;

use super::builder::{Import, Structure};

/// Returns the importer of an operator with a body, or of one on sequences or optional values.
pub(super) fn structure(domain: &str, op: &str) -> Option<Structure> {
    if matches!(domain, "" | "ai.onnx") { control::find(op).or_else(|| sequence::find(op)) } else { None }
}

/// Returns the importer of an operator on tensors.
pub(super) fn find(domain: &str, op: &str) -> Option<Import> {
    match domain {
        "" | "ai.onnx" => FAMILIES.iter().find_map(|find| find(op)),
        "com.microsoft" => quantization::contributed(op).or_else(|| recurrent::contributed(op)),
        _ => None,
    }
}

const FAMILIES: &[fn(&str) -> Option<Import>] = &[
    activation::find,
    arithmetic::find,
    attention::find,
    convolution::find,
    einsum::find,
    geometry::find,
    integer::find,
    linear_attention::find,
    loss::find,
    matrix::find,
    movement::find,
    normalization::find,
    quantization::find,
    product::find,
    random::find,
    recurrent::find,
    reduction::find,
    resize::find,
    selection::find,
    shapes::find,
    signal::find,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_what_there_is() {
        let document = include_str!("../../../../docs/onnx.md");
        let (_, list) = document.split_once("## Operators").unwrap();
        let list = list.split("\n\n").find(|paragraph| paragraph.starts_with("Abs ")).unwrap();
        let names: Vec<&str> = list.split_whitespace().collect();
        assert!(names.len() > 150 && names.is_sorted(), "{names:?}");
        for name in &names {
            assert!(find("", name).is_some() || structure("", name).is_some(), "{name}");
        }
        assert!(find("", "NonMaxSuppression").is_none() && find("com.example", "Add").is_none());
        assert!(structure("", "Add").is_none() && structure("com.example", "If").is_none());
    }
}
