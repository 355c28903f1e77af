//! The place of the largest or the smallest element.

use super::reduce::{Split, reduced_shape};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Op, Reach, number_dtype};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.argmax` and `torch.argmin`: where along an axis the largest or the smallest element is, as an `i32`; or where among
/// all elements, row-major. Of equal ones it is the first. As in PyTorch, a NaN is taken for both. Elements are `f32`s or `i32`s.
///
/// ```
/// use shadernet::ops::ArgReduce;
/// let classes = ArgReduce::argmax(1);
/// let of_all = ArgReduce::argmin(None);
/// ```
#[derive(Clone, Debug)]
pub struct ArgReduce {
    smallest: bool,
    axis: Option<usize>,
    keepdim: bool,
}

params! {
    struct Params {
        outputs: usize,
        length: usize,
        stride: usize,
    }
}

impl ArgReduce {
    /// Where the largest is, along an axis or among all.
    pub fn argmax(axis: impl Into<Option<usize>>) -> ArgReduce {
        ArgReduce { smallest: false, axis: axis.into(), keepdim: false }
    }

    /// Where the smallest is, along an axis or among all.
    pub fn argmin(axis: impl Into<Option<usize>>) -> ArgReduce {
        ArgReduce { smallest: true, ..ArgReduce::argmax(axis) }
    }

    /// Whether the axis, or all of them, stay with a size of 1.
    #[must_use]
    pub fn keepdim(self, keepdim: bool) -> ArgReduce {
        ArgReduce { keepdim, ..self }
    }
}

impl Op for ArgReduce {
    fn name(&self) -> &'static str {
        if self.smallest { "argmin" } else { "argmax" }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        Ok(vec![reduced_shape(x, self.axis.as_slice(), self.keepdim)?])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        number_dtype(inputs)?;
        Ok(vec![DType::I32])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, outputs) = (&io.inputs[0], io.outputs[0].elements());
        let (length, stride) = self.axis.map_or((x.elements(), 1), |axis| (x[axis], x.strides()[axis]));
        let Split { lanes, columns } = Split::new(length, stride, caps);
        let params = Params { outputs, length, stride };
        let shader = shader!("arg_reduce", "index", "order")
            .set("FLOAT", io.dtypes[0] == DType::F32)
            .set("SMALLEST", self.smallest)
            .set("INNER", stride == 1)
            .set("LANES", lanes)
            .set("COLUMNS", columns);
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let dispatch = Dispatch::new(shader, &params, bindings, outputs.div_ceil(columns as usize))
            .iterations(Split { lanes, columns }.iterations(length));
        Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
    }

    /// A comparison less than there are elements, for each output.
    fn cost(&self, io: &Io) -> Cost {
        Cost::held(io.read().saturating_sub(io.written()))
    }

    fn reach(&self, _io: &Io) -> Reach {
        if self.keepdim && self.axis.is_some_and(|axis| axis < 2) { Reach::Pixel } else { Reach::Everything }
    }
}

impl Graph {
    /// Adds an [`ArgReduce`]: where along an axis, or among all elements, the largest is.
    pub fn argmax(&mut self, x: Value, axis: impl Into<Option<usize>>) -> Result<Value> {
        self.push(ArgReduce::argmax(axis), &[x])
    }

    /// Adds an [`ArgReduce`]: where along an axis, or among all elements, the smallest is.
    pub fn argmin(&mut self, x: Value, axis: impl Into<Option<usize>>) -> Result<Value> {
        self.push(ArgReduce::argmin(axis), &[x])
    }
}
