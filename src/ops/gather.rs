//! Elements of a tensor by their index along an axis.

use super::binary::eight;
use super::index_select::{indexed, places};
use super::strided::walks;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.gather`, ONNX's `GatherElements`: each element of the output has its own index along an axis. For two
/// dimensions and axis 1, `y[i, j] = x[i, index[i, j]]`.
///
/// Inputs: x, of any element type; the indices, `i32`s, with as many dimensions as x and at most its sizes, except
/// along the axis. The output has the shape of the indices. Indices out of range are treated as in
/// [`IndexSelect`](super::IndexSelect).
#[derive(Clone, Debug)]
pub struct Gather {
    axis: usize,
}

params! {
    struct Params {
        sizes: [usize; 8],
        x: [usize; 8],
        count: usize,
        size: usize,
        stride: usize,
    }
}

impl Gather {
    /// Creates a gather along `axis`.
    pub fn new(axis: usize) -> Gather {
        Gather { axis }
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, index] = expect_inputs::<2>(inputs)?;
        if self.axis >= x.len() {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        }
        let within = |d: usize| d == self.axis || index[d] <= x[d];
        if index.len() != x.len() || !(0..x.len()).all(within) {
            let wanted = format!("at most {x}, but for dimension {}", self.axis);
            return Err(ErrorKind::argument("index", wanted, index));
        }
        eight(x, 1)?;
        Ok(vec![index.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        indexed(inputs)
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let mut strides = x.strides();
        let stride = std::mem::take(&mut strides[self.axis]);
        let (sizes, [x_strides]) = walks(y, [&strides])?;
        let params = Params { sizes, x: x_strides, count: y.elements(), size: x[self.axis], stride };
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        let dispatch = Dispatch::for_each(shader!("gather", "index"), &params, bindings, y.elements().div_ceil(4));
        let range = places(x[self.axis]);
        Ok(vec![Kernel::new(vec![Layout::ROWS; 2], Layout::ROWS, dispatch).with_range(1, range)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::copy(io.written(), io.inputs[1].elements() as u64)).reach(Reach::pixel_if(self.axis < 2))
    }
}

impl Graph {
    /// Adds a [`Gather`].
    pub fn gather(&mut self, x: Value, axis: usize, index: Value) -> Result<Value> {
        self.push(Gather::new(axis), &[x, index])
    }
}
