//! Rounding to the numbers of a smaller format.

use super::by_four;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{Graph, Shape, Value};

/// A floating-point format with fewer numbers than `f32`. The formats of 8 and 4 bits are ONNX's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FloatFormat {
    /// IEEE 754's binary16
    F16,
    /// The upper half of an `f32`
    Bf16,
    /// `float8e4m3fn`: up to 448, no infinity
    Float8E4M3Fn,
    /// `float8e4m3fnuz`: up to 240, neither infinity nor -0
    Float8E4M3Fnuz,
    /// `float8e5m2`: up to 57,344
    Float8E5M2,
    /// `float8e5m2fnuz`: up to 57,344, neither infinity nor -0
    Float8E5M2Fnuz,
    /// `float8e8m0`: powers of two from 2^-127 to 2^127, NaN, nothing else. The sign is dropped, the size rounded up
    Float8E8M0,
    /// `float4e2m1`: 0, 0.5, 1, 1.5, 2, 3, 4 and 6, their negatives, nothing else
    Float4E2M1,
}

/// The numbers that a format holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// The bits after the point.
    pub(crate) mantissa: u32,
    /// The exponent of the least number with a whole mantissa; smaller numbers have the same spacing.
    pub(crate) least: i32,
    pub(crate) largest: f32,
    /// The value of larger numbers, including infinity, unless rounding saturates.
    pub(crate) beyond: f32,
    pub(crate) nan: f32,
    pub(crate) negative_zero: bool,
    /// True if there are only powers of two.
    pub(crate) powers: bool,
}

impl FloatFormat {
    pub(crate) fn numbers(self) -> Numbers {
        let of = |mantissa: u32, least: i32, largest: f32, beyond: f32| Numbers {
            mantissa,
            least,
            largest,
            beyond,
            nan: f32::NAN,
            negative_zero: true,
            powers: false,
        };
        let unsigned = |numbers: Numbers| Numbers { negative_zero: false, ..numbers };
        match self {
            FloatFormat::F16 => of(10, -14, 65_504.0, f32::INFINITY),
            FloatFormat::Bf16 => of(7, -126, f32::from_bits(0x7f7f_0000), f32::INFINITY),
            FloatFormat::Float8E4M3Fn => of(3, -6, 448.0, f32::NAN),
            FloatFormat::Float8E4M3Fnuz => unsigned(of(3, -7, 240.0, f32::NAN)),
            FloatFormat::Float8E5M2 => of(2, -14, 57_344.0, f32::INFINITY),
            FloatFormat::Float8E5M2Fnuz => unsigned(of(2, -15, 57_344.0, f32::NAN)),
            FloatFormat::Float8E8M0 => Numbers { powers: true, ..of(0, -127, 2f32.powi(127), f32::NAN) },
            FloatFormat::Float4E2M1 => Numbers { nan: -0.0, ..of(1, 0, 6.0, 6.0) },
        }
    }
}

/// The nearest number of a format to each `f32`, of two the even one: the result of ONNX's `Cast` to that format and
/// back, or of `x.half().float()`. The output holds `f32`s.
///
/// A number above all others after rounding, including infinity, becomes infinity; NaN if the format has no infinity;
/// the largest number if it has no NaN either. With [`saturate`](ReducePrecision::saturate) (ONNX's default for 8 bits) it
/// always becomes the largest. NaN stays NaN, and is -0 in [`FloatFormat::Float4E2M1`], as in ml_dtypes.
#[derive(Clone, Copy, Debug)]
pub struct ReducePrecision {
    format: FloatFormat,
    saturate: bool,
}

params! {
    struct Params {
        width: usize,
        mantissa: u32,
        /// The exponent with the bias of an `f32`.
        least: u32,
        /// The bits of `f32`s.
        largest: u32,
        beyond: u32,
        nan: u32,
        signs: u32,
    }
}

impl ReducePrecision {
    /// Creates a rounding to that format.
    pub fn new(format: FloatFormat) -> ReducePrecision {
        ReducePrecision { format, saturate: false }
    }

    /// Sets whether numbers that are too large become the largest number.
    #[must_use]
    pub fn saturate(self, saturate: bool) -> ReducePrecision {
        ReducePrecision { saturate, ..self }
    }
}

impl Op for ReducePrecision {
    fn name(&self) -> &'static str {
        "reduce_precision"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let numbers = self.format.numbers();
        let params = Params {
            width: Layout::ROWS.texels(&io.inputs[0]).1,
            mantissa: numbers.mantissa,
            least: (numbers.least + 127) as u32,
            largest: numbers.largest.to_bits(),
            beyond: if self.saturate { numbers.largest } else { numbers.beyond }.to_bits(),
            nan: numbers.nan.to_bits(),
            signs: u32::from(numbers.negative_zero),
        };
        let shader = shader!("reduce_precision", "index").set("POWERS", numbers.powers);
        Ok(vec![by_four(io, shader, &params)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written())).reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds a [`ReducePrecision`].
    pub fn reduce_precision(&mut self, x: Value, round: ReducePrecision) -> Result<Value> {
        self.push(round, &[x])
    }
}
