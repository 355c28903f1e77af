//! The precision of a model: which numbers are stored as `f16`.

use super::{Caps, Scalar};
use crate::error::ErrorKind;
use std::fmt;
use std::str::FromStr;

/// The stored form of a model's numbers. Arithmetic is in `f32` throughout, sums included; inputs and outputs are `f32`s.
/// Matrix units ([`ContextOptions::matrix_units`](crate::ContextOptions::matrix_units)) round what they multiply to `f16`,
/// in every precision but `F32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Values and weights are `f32`s.
    #[default]
    F32,
    /// Values and weights are `f16`s wherever a kernel can access them so: half of the memory. Numbers from 65520 on
    /// become infinite.
    F16,
    /// Weights of products are `f16`s, values are `f32`s.
    Mixed,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Mixed];

    /// Returns this precision, or `F32` for a device that can't convert `f16`.
    pub const fn on(self, caps: &Caps) -> Precision {
        if caps.packs_f16 { self } else { Precision::F32 }
    }

    /// Returns the stored form of values.
    pub const fn values(self) -> Scalar {
        match self {
            Precision::F32 | Precision::Mixed => Scalar::F32,
            Precision::F16 => Scalar::F16,
        }
    }

    /// Returns the stored form of weights.
    pub const fn weights(self) -> Scalar {
        match self {
            Precision::F32 => Scalar::F32,
            Precision::F16 | Precision::Mixed => Scalar::F16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Mixed => "mixed",
        })
    }
}

impl FromStr for Precision {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Precision, ErrorKind> {
        let of = Precision::ALL.into_iter().find(|precision| precision.to_string() == text);
        of.ok_or_else(|| ErrorKind::argument("precision", "f32, f16 or mixed", text))
    }
}
