//! Conversion between element types.

use super::by_four;
use super::reshape::views;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, number_dtype};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.Tensor.to`: the elements as another type. `f32`s are rounded toward zero, integers become the nearest `f32`,
/// false and true become 0 and 1. Any number but 0 becomes true, NaN too.
///
/// PyTorch doesn't define the result for an `f32` beyond the range of `i32`: here, the nearest `i32`; for NaN, 0.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    dtype: DType,
}

params! {
    struct Params {
        width: usize,
    }
}

impl Cast {
    /// Creates a conversion to this type.
    pub fn new(dtype: DType) -> Cast {
        Cast { dtype }
    }

    /// Returns true if both types have the same bits on the device: truth values are stored as 0 and 1.
    fn is_view(&self, from: DType) -> bool {
        from == self.dtype || (from, self.dtype) == (DType::Bool, DType::I32)
    }
}

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, _inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        Ok(vec![self.dtype])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        if self.is_view(io.dtypes[0]) {
            return Ok(views(io, caps));
        }
        let kind: u32 = match (io.dtypes[0], self.dtype) {
            (_, DType::I32) => 0,
            (_, DType::F32) => 1,
            (DType::F32, DType::Bool) => 2,
            (_, DType::Bool) => 3,
        };
        let params = Params { width: Layout::ROWS.texels(&io.inputs[0]).1 };
        Ok(vec![by_four(io, shader!("cast", "index").set("KIND", kind), &params)])
    }

    /// Counts one operation per element, or none for a view.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(if self.is_view(io.dtypes[0]) {
            Cost { activations: true, ..Cost::view() }
        } else {
            Cost::held(io.written())
        })
        .reach(Reach::Pixel)
    }
}

/// `torch.Tensor.view(dtype)`: the bits of `f32`s as `i32`s, or of `i32`s as `f32`s. It copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct Bitcast {
    dtype: DType,
}

impl Bitcast {
    /// Creates a view of the bits as this type.
    pub fn new(dtype: DType) -> Bitcast {
        Bitcast { dtype }
    }
}

impl Op for Bitcast {
    fn name(&self) -> &'static str {
        "bitcast"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        number_dtype(inputs)?;
        match self.dtype {
            DType::Bool => Err(ErrorKind::argument("dtype", "f32 or i32", DType::Bool)),
            number => Ok(vec![number]),
        }
    }

    fn kernels(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(vec![Kernel::view(Layout::ROWS, Layout::ROWS)])
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::view()).reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds a [`Cast`].
    pub fn cast(&mut self, x: Value, dtype: DType) -> Result<Value> {
        self.push(Cast::new(dtype), &[x])
    }

    /// Adds a [`Bitcast`].
    pub fn bitcast(&mut self, x: Value, dtype: DType) -> Result<Value> {
        self.push(Bitcast::new(dtype), &[x])
    }
}
