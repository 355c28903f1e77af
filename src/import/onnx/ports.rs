//! The inputs and outputs of a network, as a file declares them.

use super::element::ElementType;
use super::proto::{DimensionValue, TensorShapeProto, TypeKind, ValueInfoProto};
use super::stored::sizes;
use crate::error::{ErrorKind, Result};

/// An input or an output of a network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValueInfo {
    /// The name.
    pub name: String,
    /// The element type in the file.
    pub element: ElementType,
    /// The sizes; `None` if the file doesn't state the shape.
    pub sizes: Option<Vec<Size>>,
}

/// A size of an input or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// A fixed number.
    Fixed(usize),
    /// An open size with a name: all sizes of that name are equal.
    Named(String),
    /// An open size without a name.
    Open,
}

impl ValueInfo {
    pub(super) fn new(proto: &ValueInfoProto) -> Result<ValueInfo> {
        let error = |kind: ErrorKind| kind.at("input or output", proto.name.clone());
        let tensor = match proto.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
            Some(TypeKind::Tensor(tensor)) => tensor,
            Some(_) => {
                return Err(error(ErrorKind::Unsupported("sequences, maps, optional and sparse tensors".into())));
            }
            None => return Err(error(ErrorKind::argument("type", "a tensor's", "none"))),
        };
        let element = ElementType::of_code(tensor.elem_type);
        let element = element.ok_or_else(|| error(ErrorKind::argument("type", "an element type", tensor.elem_type)))?;
        if element == ElementType::String {
            return Err(error(ErrorKind::Unsupported("tensors of strings".into())));
        }
        let size = |value: &Option<DimensionValue>| match value {
            // Some exporters write -1 for an open size.
            Some(DimensionValue::Size(size)) if *size < 0 => Ok(Size::Open),
            Some(DimensionValue::Size(size)) => Ok(Size::Fixed(sizes(&[*size])?[0])),
            Some(DimensionValue::Name(name)) if !name.is_empty() => Ok(Size::Named(name.clone())),
            _ => Ok(Size::Open),
        };
        let sizes = |shape: &TensorShapeProto| shape.dim.iter().map(|dim| size(&dim.value)).collect();
        let sizes: Option<Result<Vec<Size>, ErrorKind>> = tensor.shape.as_ref().map(sizes);
        Ok(ValueInfo { name: proto.name.clone(), element, sizes: sizes.transpose().map_err(error)? })
    }
}
