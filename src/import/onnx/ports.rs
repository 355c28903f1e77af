//! The inputs and outputs of a network, as a file declares them.

use super::element::ElementType;
use super::proto::{DimensionValue, TensorShapeProto, TypeKind, ValueInfoProto};
use super::stored::sizes;
use crate::error::{ErrorKind, Result};
use std::fmt;

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
    /// An open size with a name: all sizes of that name are equal. One that the file doesn't name is called by its port and
    /// axis, such as `x:2`.
    Named(String),
}

impl Size {
    /// Returns the number, if it is fixed.
    pub fn fixed(&self) -> Option<usize> {
        if let Size::Fixed(size) = self { Some(*size) } else { None }
    }

    /// Returns the name, if it is open.
    pub fn open(&self) -> Option<&str> {
        if let Size::Named(name) = self { Some(name) } else { None }
    }
}

/// The number or the name.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Fixed(size) => size.fmt(f),
            Size::Named(name) => f.write_str(name),
        }
    }
}

/// The name and the sizes, such as `x [batch, 3, 224, 224]`.
impl fmt::Display for ValueInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.sizes_text())
    }
}

impl ValueInfo {
    /// Formats the sizes like `[batch, 3, 224, 224]`.
    pub(super) fn sizes_text(&self) -> String {
        let text = |sizes: &Vec<Size>| sizes.iter().map(Size::to_string).collect::<Vec<_>>().join(", ");
        format!("[{}]", self.sizes.as_ref().map_or_else(|| "..".to_owned(), text))
    }

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
        let size = |(axis, value): (usize, &Option<DimensionValue>)| match value {
            // Some exporters write -1 for an open size.
            Some(DimensionValue::Size(size)) if *size >= 0 => Ok(Size::Fixed(sizes(&[*size])?[0])),
            Some(DimensionValue::Name(name)) if !name.is_empty() => Ok(Size::Named(name.clone())),
            _ => Ok(Size::Named(format!("{}:{axis}", proto.name))),
        };
        let sizes = |shape: &TensorShapeProto| shape.dim.iter().map(|dim| &dim.value).enumerate().map(size).collect();
        let sizes: Option<Result<Vec<Size>, ErrorKind>> = tensor.shape.as_ref().map(sizes);
        Ok(ValueInfo { name: proto.name.clone(), element, sizes: sizes.transpose().map_err(error)? })
    }
}
