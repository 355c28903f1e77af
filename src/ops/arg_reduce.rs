//! The index of the largest or the smallest element.

use super::reduce::{Split, reduced_shape};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, number_dtype};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.argmax` and `torch.argmin`: the index, an `i32`, of the largest or smallest element along an axis or
/// (row-major) among all. The first of equals wins; as in PyTorch, NaN counts as both. Elements are `f32`s or `i32`s.
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
    /// Finds the largest element, along an axis or among all elements.
    pub fn argmax(axis: impl Into<Option<usize>>) -> ArgReduce {
        ArgReduce { smallest: false, axis: axis.into(), keepdim: false }
    }

    /// Finds the smallest element, along an axis or among all elements.
    pub fn argmin(axis: impl Into<Option<usize>>) -> ArgReduce {
        ArgReduce { smallest: true, ..ArgReduce::argmax(axis) }
    }

    /// Sets whether the reduced axes are kept with a size of 1.
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

    /// Counts `n - 1` comparisons for each output of `n` elements.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.read().saturating_sub(io.written())))
            .reach(Reach::pixel_if(self.keepdim && self.axis.is_some_and(|axis| axis < 2)))
    }
}

impl Graph {
    /// Adds an [`ArgReduce`]: the index of the largest element, along an axis or among all elements.
    pub fn argmax(&mut self, x: Value, axis: impl Into<Option<usize>>) -> Result<Value> {
        self.push(ArgReduce::argmax(axis), &[x])
    }

    /// Adds an [`ArgReduce`]: the index of the smallest element, along an axis or among all elements.
    pub fn argmin(&mut self, x: Value, axis: impl Into<Option<usize>>) -> Result<Value> {
        self.push(ArgReduce::argmin(axis), &[x])
    }
}
