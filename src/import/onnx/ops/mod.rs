//! ONNX's operators, one family per file. Each function reads a node as its opset's specification defines it,
//! <https://onnx.ai/onnx/operators>, and returns the node's outputs.

mod activation;
mod arithmetic;
mod attention;
mod classical;
mod contributed_attention;
mod control;
mod convolution;
mod einsum;
mod flex_attention;
mod fused;
mod geometry;
mod grouped_attention;
mod integer;
mod linear_attention;
mod loss;
mod matrix;
mod movement;
mod ngrams;
mod normalization;
mod product;
mod qlinear;
mod quantization;
mod random;
mod recurrent;
mod reduction;
mod resize;
mod selection;
mod sequence;
mod shapes;
mod signal;
mod suppression;
mod training;
mod window;

use super::builder::{Import, Structure};

/// Returns the importer of an operator with a body, or of one on sequences or optional values.
pub(super) fn structure(domain: &str, op: &str) -> Option<Structure> {
    match domain {
        "" | "ai.onnx" => control::find(op).or_else(|| sequence::find(op)),
        "ai.onnx.preview" => flex_attention::preview(op),
        _ => None,
    }
}

/// Returns the importer of an operator on tensors.
pub(super) fn find(domain: &str, op: &str) -> Option<Import> {
    match domain {
        "" | "ai.onnx" => FAMILIES.iter().find_map(|find| find(op)),
        "com.microsoft" => CONTRIBUTED.iter().find_map(|find| find(op)),
        "ai.onnx.ml" => classical::find(op),
        "ai.onnx.preview.training" => training::preview(op),
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
    ngrams::find,
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
    suppression::find,
];

/// The operators that ONNX Runtime adds.
const CONTRIBUTED: &[fn(&str) -> Option<Import>] = &[
    contributed_attention::contributed,
    fused::contributed,
    grouped_attention::contributed,
    qlinear::contributed,
    quantization::contributed,
    recurrent::contributed,
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
        for (domain, start) in
            [("com.microsoft", "Attention BiasGelu"), ("ai.onnx.ml", "ArrayFeatureExtractor Binarizer")]
        {
            let (_, list) = document.split_once(start).unwrap();
            let list = format!("{start}{}", list.split_once("\n\n").unwrap().0);
            let names: Vec<&str> = list.split('.').next().unwrap().split_whitespace().collect();
            assert!(names.len() > 5 && names.is_sorted(), "{names:?}");
            names.iter().for_each(|name| assert!(find(domain, name).is_some(), "{name} of {domain}"));
        }
        assert!(find("", "StringConcat").is_none() && find("com.example", "Add").is_none());
        assert!(structure("", "Add").is_none() && structure("com.example", "If").is_none());
    }
}
