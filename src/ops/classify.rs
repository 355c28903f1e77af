//! Tests for NaN and infinity.

use super::by_four;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// A test of each `f32`, which gives truth values. It reads the bits, whatever a device makes of NaN and infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Classify {
    /// `torch.isnan`: not a number
    IsNan,
    /// ONNX's `IsInf`; `torch.isinf` if both fields are true
    IsInf {
        /// True if infinity counts
        positive: bool,
        /// True if minus infinity counts
        negative: bool,
    },
}

params! {
    struct Params {
        width: usize,
    }
}

impl Op for Classify {
    fn name(&self) -> &'static str {
        match self {
            Classify::IsNan => "isnan",
            Classify::IsInf { .. } => "isinf",
        }
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
        let kinds: u32 = match *self {
            Classify::IsNan => 1,
            Classify::IsInf { positive, negative } => 2 * u32::from(positive) + 4 * u32::from(negative),
        };
        let params = Params { width: Layout::ROWS.texels(&io.inputs[0]).1 };
        Ok(vec![by_four(io, shader!("classify", "index").set("KINDS", kinds), &params)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written())).reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds [`Classify::IsNan`].
    pub fn is_nan(&mut self, x: Value) -> Result<Value> {
        self.push(Classify::IsNan, &[x])
    }

    /// Adds [`Classify::IsInf`].
    pub fn is_inf(&mut self, x: Value, positive: bool, negative: bool) -> Result<Value> {
        self.push(Classify::IsInf { positive, negative }, &[x])
    }
}
