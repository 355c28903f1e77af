//! Tests for NaN and infinity.

use super::by_four;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.isnan` and ONNX's `IsNaN`: true where an `f32` is NaN. It reads the bits, whatever a device makes of NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsNan;

/// ONNX's `IsInf`: true where an `f32` is infinite. `torch.isinf` if both fields are true, as by default. It reads the
/// bits, whatever a device makes of infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsInf {
    /// True if infinity counts
    pub detect_positive: bool,
    /// True if minus infinity counts
    pub detect_negative: bool,
}

impl Default for IsInf {
    fn default() -> IsInf {
        IsInf { detect_positive: true, detect_negative: true }
    }
}

params! {
    struct Params {
        width: usize,
    }
}

/// The bits of the shader's `KINDS`.
const NAN: u32 = 1;
const POSITIVE: u32 = 2;
const NEGATIVE: u32 = 4;

/// Makes a type an operation that tests for the kinds that its expression gives.
macro_rules! test_for {
    ($test:ident, $name:literal, |$of:ident| $kinds:expr) => {
        impl Op for $test {
            fn name(&self) -> &'static str {
                $name
            }

            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
                let [x] = expect_inputs::<1>(inputs)?;
                Ok(vec![x.clone()])
            }

            fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
                expect_dtypes(inputs, |_| DType::F32)?;
                Ok(vec![DType::Bool])
            }

            fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
                let $of = self;
                let params = Params { width: Layout::ROWS.texels(&io.inputs[0]).1 };
                Ok(vec![by_four(io, shader!("nonfinite", "index").set("KINDS", $kinds), &params)])
            }

            fn metrics(&self, io: &Io) -> Metrics<'_> {
                Metrics::new(Cost::held(io.written())).reach(Reach::Pixel)
            }
        }
    };
}

test_for!(IsNan, "isnan", |_of| NAN);
test_for!(IsInf, "isinf", |of| POSITIVE * u32::from(of.detect_positive) + NEGATIVE * u32::from(of.detect_negative));

impl Graph {
    /// Adds an [`IsNan`].
    pub fn is_nan(&mut self, x: Value) -> Result<Value> {
        self.push(IsNan, &[x])
    }

    /// Adds an [`IsInf`].
    pub fn is_inf(&mut self, x: Value, test: IsInf) -> Result<Value> {
        self.push(test, &[x])
    }
}
