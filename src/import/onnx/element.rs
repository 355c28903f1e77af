//! The element types of ONNX.

use crate::{DType, IntType, Precision};
use std::fmt;

macro_rules! elements {
    ($($name:ident = $code:literal, $text:literal, $doc:literal;)*) => {
        /// The type of a tensor's elements in an ONNX file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ElementType {
            $(#[doc = $doc] $name = $code,)*
        }

        impl ElementType {
            /// Returns the type of that number in `TensorProto.DataType`.
            pub(crate) fn of_code(code: i32) -> Option<ElementType> {
                match code {
                    $($code => Some(ElementType::$name),)*
                    _ => None,
                }
            }
        }

        /// The name in ONNX, in lower case.
        impl fmt::Display for ElementType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(ElementType::$name => $text,)*
                })
            }
        }
    };
}

elements! {
    F32 = 1, "float", "32-bit floating point.";
    U8 = 2, "uint8", "8-bit unsigned integers.";
    I8 = 3, "int8", "8-bit integers.";
    U16 = 4, "uint16", "16-bit unsigned integers.";
    I16 = 5, "int16", "16-bit integers.";
    I32 = 6, "int32", "32-bit integers.";
    I64 = 7, "int64", "64-bit integers: shapes, indices.";
    String = 8, "string", "Strings: refused.";
    Bool = 9, "bool", "True or false.";
    F16 = 10, "float16", "16-bit floating point (IEEE).";
    F64 = 11, "double", "64-bit floating point.";
    U32 = 12, "uint32", "32-bit unsigned integers.";
    U64 = 13, "uint64", "64-bit unsigned integers.";
    BF16 = 16, "bfloat16", "16-bit floating point with the range of 32 bits.";
    F8E4M3Fn = 17, "float8e4m3fn", "8-bit floating point.";
    F8E4M3FnUz = 18, "float8e4m3fnuz", "8-bit floating point without a negative zero.";
    F8E5M2 = 19, "float8e5m2", "8-bit floating point with infinities.";
    F8E5M2FnUz = 20, "float8e5m2fnuz", "8-bit floating point without a negative zero.";
    U4 = 21, "uint4", "4-bit unsigned integers, two in a byte.";
    I4 = 22, "int4", "4-bit integers, two in a byte.";
    F4E2M1 = 23, "float4e2m1", "4-bit floating point, two in a byte.";
    F8E8M0 = 24, "float8e8m0", "Powers of two.";
    U2 = 25, "uint2", "2-bit unsigned integers, four in a byte.";
    I2 = 26, "int2", "2-bit integers, four in a byte.";
}

impl ElementType {
    /// Returns the type on the device: `f32` for all floats, `i32` for all integers. `None` for strings.
    pub fn dtype(self) -> Option<DType> {
        match self {
            ElementType::String => None,
            ElementType::Bool => Some(DType::Bool),
            _ if self.is_float() => Some(DType::F32),
            _ => Some(DType::I32),
        }
    }

    /// Returns true for a floating-point type.
    pub fn is_float(self) -> bool {
        use ElementType::{BF16, F4E2M1, F8E4M3Fn, F8E4M3FnUz, F8E5M2, F8E5M2FnUz, F8E8M0, F16, F32, F64};
        matches!(self, F32 | F16 | F64 | BF16 | F8E4M3Fn | F8E4M3FnUz | F8E5M2 | F8E5M2FnUz | F4E2M1 | F8E8M0)
    }

    /// Returns the integer type for the device's quantised operations.
    pub(crate) fn int_type(self) -> Option<IntType> {
        Some(match self {
            ElementType::U4 => IntType::U4,
            ElementType::I4 => IntType::I4,
            ElementType::U8 => IntType::U8,
            ElementType::I8 => IntType::I8,
            ElementType::U16 => IntType::U16,
            ElementType::I16 => IntType::I16,
            _ => return None,
        })
    }

    /// Returns the precision that holds numbers of this type, the weights' exactly: `F16` for float16. Values of bfloat16
    /// exceed the range of `f16`, so they are `f32`s.
    pub(crate) fn precision(self) -> Precision {
        match self {
            ElementType::F16 => Precision::F16,
            ElementType::BF16 => Precision::Mixed,
            _ => Precision::F32,
        }
    }

    /// Returns the number of bits of an element.
    pub(crate) fn bits(self) -> usize {
        use ElementType::{BF16, F4E2M1, F16, F32, F64, I2, I4, I16, I32, I64, U2, U4, U16, U32, U64};
        match self {
            I2 | U2 => 2,
            I4 | U4 | F4E2M1 => 4,
            I16 | U16 | F16 | BF16 => 16,
            I32 | U32 | F32 => 32,
            I64 | U64 | F64 => 64,
            _ => 8,
        }
    }

    /// Returns true for an unsigned integer type.
    pub(crate) fn is_unsigned(self) -> bool {
        use ElementType::{U2, U4, U8, U16, U32, U64};
        matches!(self, U2 | U4 | U8 | U16 | U32 | U64)
    }

    /// Returns the least and the greatest integer of this type: `i64`'s for 64 bits and for floating-point types.
    pub fn range(self) -> [i64; 2] {
        use ElementType::{I2, I4, I8, I16, I32, U2, U4, U8, U16, U32};
        let bits = self.bits() as u32;
        match self {
            I2 | I4 | I8 | I16 | I32 => [-(1 << (bits - 1)), (1 << (bits - 1)) - 1],
            U2 | U4 | U8 | U16 | U32 => [0, (1 << bits) - 1],
            ElementType::Bool => [0, 1],
            _ => [i64::MIN, i64::MAX],
        }
    }

    /// Returns the least and the greatest integer of this type, with the whole range of `uint64`.
    pub(crate) fn ends(self) -> [i128; 2] {
        if self == ElementType::U64 { [0, u64::MAX.into()] } else { self.range().map(i128::from) }
    }

    /// Wraps an integer around to the range of this type.
    pub(crate) fn wrap(self, value: i64) -> i64 {
        let [lo, hi] = self.range();
        if (lo..=hi).contains(&value) { value } else { lo + (value.wrapping_sub(lo) & (hi - lo)) }
    }
}
