//! The types of a tensor's elements, and their values in host memory.

use crate::error::{ErrorKind, Result};
use crate::shape::Shape;
use std::borrow::Cow;
use std::fmt;

/// The type of a tensor's elements. Each takes four bytes on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit floating point: the type that networks compute with.
    #[default]
    F32,
    /// 32-bit signed integers: indices and positions.
    I32,
    /// True or false: the result of comparisons. On the device a `u32` of 1 or 0.
    Bool,
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::Bool => "bool",
        })
    }
}

/// The integer types of quantised numbers. On the device such a value is a tensor of [`DType::I32`] within the type's
/// range; weights stay packed: see [`Constant::packed`](crate::Constant::packed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntType {
    /// 0 to 15
    U4,
    /// -8 to 7
    I4,
    /// 0 to 255
    U8,
    /// -128 to 127
    I8,
    /// 0 to 65,535
    U16,
    /// -32,768 to 32,767
    I16,
}

impl IntType {
    /// Returns the bits of a number.
    pub fn bits(self) -> u32 {
        match self {
            IntType::U4 | IntType::I4 => 4,
            IntType::U8 | IntType::I8 => 8,
            IntType::U16 | IntType::I16 => 16,
        }
    }

    /// Returns true if the type is signed, in two's complement.
    pub fn is_signed(self) -> bool {
        matches!(self, IntType::I4 | IntType::I8 | IntType::I16)
    }

    /// Returns the least and the greatest number.
    pub fn range(self) -> [i32; 2] {
        let least = -self.offset();
        [least, least + (1 << self.bits()) - 1]
    }

    /// Returns the offset that makes the least number 0.
    pub(crate) fn offset(self) -> i32 {
        if self.is_signed() { 1 << (self.bits() - 1) } else { 0 }
    }

    /// Returns the bytes of `count` packed numbers.
    pub(crate) fn bytes(self, count: usize) -> usize {
        count.saturating_mul(self.bits() as usize).div_ceil(8)
    }
}

impl fmt::Display for IntType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_signed() { "i" } else { "u" }, self.bits())
    }
}

/// The values of a [`Tensor`](crate::Tensor) in host memory, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// The values of a tensor of [`DType::F32`].
    F32(Vec<f32>),
    /// The values of a tensor of [`DType::I32`].
    I32(Vec<i32>),
    /// The values of a tensor of [`DType::Bool`].
    Bool(Vec<bool>),
}

/// Borrowed [`Data`].
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// The values of a tensor of [`DType::F32`].
    F32(&'a [f32]),
    /// The values of a tensor of [`DType::I32`].
    I32(&'a [i32]),
    /// The values of a tensor of [`DType::Bool`].
    Bool(&'a [bool]),
}

/// Values in host memory, row-major: an input of a [`Session`](crate::Session).
///
/// Slices, arrays and vectors of `f32`, `i32` and `bool` implement it, [`Tensor`](crate::Tensor) and [`Data`] (for
/// inputs of several types), references to any of these, and pairs of an input's name and any of these.
pub trait Elements {
    /// Returns the values as a view.
    fn view(&self) -> View<'_>;

    /// Returns the shape, if the values have one. A session refuses another shape than its input's.
    fn shape(&self) -> Option<&Shape> {
        None
    }

    /// Returns the name of the input for which these values are, or `None` if their position tells.
    fn name(&self) -> Option<&str> {
        None
    }
}

impl<T: Elements> Elements for (&str, T) {
    fn view(&self) -> View<'_> {
        self.1.view()
    }

    fn shape(&self) -> Option<&Shape> {
        self.1.shape()
    }

    fn name(&self) -> Option<&str> {
        Some(self.0)
    }
}

/// A type of element in host memory.
pub trait Element: Sized {
    /// Returns a slice as a view.
    fn view(values: &[Self]) -> View<'_>;
}

macro_rules! element {
    ($type:ty, $variant:ident, $borrow:ident, $take:ident) => {
        impl Element for $type {
            fn view(values: &[Self]) -> View<'_> {
                View::$variant(values)
            }
        }

        impl Data {
            #[doc = concat!("The values, if they are `", stringify!($type), "`; otherwise an error.")]
            pub fn $borrow(&self) -> Result<&[$type]> {
                match self {
                    Data::$variant(values) => Ok(values),
                    other => Err(ErrorKind::argument("data", stringify!($type), other.dtype()).into()),
                }
            }

            #[doc = concat!("The values, if they are `", stringify!($type), "`; otherwise an error.")]
            pub fn $take(self) -> Result<Vec<$type>> {
                match self {
                    Data::$variant(values) => Ok(values),
                    other => Err(ErrorKind::argument("data", stringify!($type), other.dtype()).into()),
                }
            }
        }

        impl From<Vec<$type>> for Data {
            fn from(values: Vec<$type>) -> Data {
                Data::$variant(values)
            }
        }

        impl<const N: usize> PartialEq<[$type; N]> for Data {
            fn eq(&self, other: &[$type; N]) -> bool {
                matches!(self, Data::$variant(values) if values == other)
            }
        }

        impl PartialEq<Vec<$type>> for Data {
            fn eq(&self, other: &Vec<$type>) -> bool {
                matches!(self, Data::$variant(values) if values == other)
            }
        }
    };
}

element!(f32, F32, f32, into_f32);
element!(i32, I32, i32, into_i32);
element!(bool, Bool, bool, into_bool);

impl<T: Element> Elements for [T] {
    fn view(&self) -> View<'_> {
        T::view(self)
    }
}

impl<T: Element, const N: usize> Elements for [T; N] {
    fn view(&self) -> View<'_> {
        T::view(self)
    }
}

impl<T: Element> Elements for Vec<T> {
    fn view(&self) -> View<'_> {
        T::view(self)
    }
}

impl<T: Elements + ?Sized> Elements for &T {
    fn view(&self) -> View<'_> {
        (*self).view()
    }

    fn shape(&self) -> Option<&Shape> {
        (*self).shape()
    }

    fn name(&self) -> Option<&str> {
        (*self).name()
    }
}

impl Elements for Data {
    fn view(&self) -> View<'_> {
        match self {
            Data::F32(values) => View::F32(values),
            Data::I32(values) => View::I32(values),
            Data::Bool(values) => View::Bool(values),
        }
    }
}

impl Data {
    /// Returns the type of the elements.
    pub fn dtype(&self) -> DType {
        self.view().dtype()
    }

    /// Converts the values to `f32`s: integers are rounded to the nearest, true is 1.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Data::F32(values) => values.clone(),
            Data::I32(values) => values.iter().map(|&value| value as f32).collect(),
            Data::Bool(values) => values.iter().map(|&value| f32::from(value)).collect(),
        }
    }

    /// Reads values from the device's bytes.
    pub(crate) fn from_device(dtype: DType, bytes: &[u8]) -> Data {
        match dtype {
            DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
            DType::I32 => Data::I32(bytemuck::pod_collect_to_vec(bytes)),
            DType::Bool => Data::Bool(bytes.chunks_exact(4).map(|word| word != [0; 4]).collect()),
        }
    }
}

impl View<'_> {
    /// Returns the type of the elements.
    pub fn dtype(self) -> DType {
        match self {
            View::F32(_) => DType::F32,
            View::I32(_) => DType::I32,
            View::Bool(_) => DType::Bool,
        }
    }

    /// Returns the number of elements.
    pub fn elements(self) -> usize {
        match self {
            View::F32(values) => values.len(),
            View::I32(values) => values.len(),
            View::Bool(values) => values.len(),
        }
    }

    /// Returns the values as the device's bytes.
    pub(crate) fn words(&self) -> Cow<'_, [u8]> {
        match self {
            View::F32(values) => Cow::Borrowed(bytemuck::cast_slice(values)),
            View::I32(values) => Cow::Borrowed(bytemuck::cast_slice(values)),
            View::Bool(values) => Cow::Owned(values.iter().flat_map(|&value| u32::from(value).to_le_bytes()).collect()),
        }
    }
}
