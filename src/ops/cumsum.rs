//! Cumulative sums along an axis.

use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, number_dtype};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, looped, plain};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.cumsum`: `y[i] = x[0] + .. + x[i]` along one axis; with ONNX's `exclusive` and `reverse`. Elements are
/// `f32`s, or `i32`s, which wrap around.
#[derive(Clone, Debug)]
pub struct CumSum {
    axis: usize,
    exclusive: bool,
    reverse: bool,
}

params! {
    struct Params {
        lines: usize,
        length: usize,
        stride: usize,
    }
}

impl CumSum {
    /// Creates a cumulative sum along `axis`.
    pub fn new(axis: usize) -> CumSum {
        CumSum { axis, exclusive: false, reverse: false }
    }

    /// Sets whether a sum excludes its own element; the first sum is then 0.
    #[must_use]
    pub fn exclusive(self, exclusive: bool) -> CumSum {
        CumSum { exclusive, ..self }
    }

    /// Sets whether sums begin at the end of the axis.
    #[must_use]
    pub fn reverse(self, reverse: bool) -> CumSum {
        CumSum { reverse, ..self }
    }
}

impl Op for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if self.axis >= x.len() {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        }
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        Ok(vec![number_dtype(inputs)?])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let x = &io.inputs[0];
        let (length, stride) = (x[self.axis], x.strides()[self.axis]);
        let lines = x.elements() / length;
        let params = Params { lines, length, stride };
        // One invocation per line needs many lines, and neighbours that read adjacent elements.
        let columns = lines >= length && (stride > 1 || length <= 16);
        let lanes = if length > 1024 { 256u32 } else { 64 };
        let shader = shader!("cumsum", "index")
            .for_dtype(io.dtypes[0])
            .set("LANES", lanes)
            .set("COLUMNS", columns)
            .set("EXCLUSIVE", self.exclusive)
            .set("REVERSE", self.reverse);
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let workgroups = if columns { lines.div_ceil(lanes as usize) } else { lines };
        // An invocation takes one element at a time; or four, followed by the steps of a sum over the workgroup.
        let iterations =
            if columns { length + 1 } else { looped(length.div_ceil(4 * lanes as usize), plain(4) + plain(8)).all };
        let dispatch = Dispatch::new(shader, &params, bindings, workgroups).iterations(iterations);
        Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
    }

    /// Counts `n - 1` additions for each line of `n` elements.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.read() - io.read() / io.inputs[0][self.axis] as u64))
            .reach(Reach::pixel_if(self.axis < 2))
    }
}

impl Graph {
    /// Adds a [`CumSum`].
    pub fn cumsum(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(CumSum::new(axis), &[x])
    }
}
