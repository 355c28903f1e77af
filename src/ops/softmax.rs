//! Softmax and its logarithm over an axis.

use super::norm::keeping;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{Graph, Shape, Value};

/// `torch.softmax`: `y = exp(x - max) / sum(exp(x - max))` over one axis.
#[derive(Clone, Debug)]
pub struct Softmax {
    axis: usize,
}

/// `torch.log_softmax`: `y = x - max - log(sum(exp(x - max)))` over an axis, finite where a softmax's logarithm isn't.
#[derive(Clone, Debug)]
pub struct LogSoftmax {
    axis: usize,
}

params! {
    struct Params {
        lines: usize,
        length: usize,
        stride: usize,
    }
}

impl Softmax {
    /// Creates a softmax over `axis`.
    pub fn new(axis: usize) -> Softmax {
        Softmax { axis }
    }

    pub(crate) fn axis(&self) -> usize {
        self.axis
    }
}

impl LogSoftmax {
    /// Creates a log-softmax over `axis`.
    pub fn new(axis: usize) -> LogSoftmax {
        LogSoftmax { axis }
    }
}

fn output_shapes(inputs: &[Shape], axis: usize) -> Result<Vec<Shape>, ErrorKind> {
    let [x] = expect_inputs::<1>(inputs)?;
    if axis >= x.len() {
        return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), axis));
    }
    Ok(vec![x.clone()])
}

fn kernel(io: &Io, caps: &Caps, axis: usize, log: bool) -> Kernel {
    let x = &io.inputs[0];
    let (length, stride) = (x[axis], x.strides()[axis]);
    let lines = x.elements() / length.max(1);
    let params = Params { lines, length, stride };
    let bindings = vec![Binding::Input(0), Binding::Output(0)];
    let lanes = caps.one_subgroup().unwrap_or(64) as usize;
    let columns = match stride {
        // As many short lines as leave a texel for each invocation.
        1 => 1 << (lanes / length.div_ceil(4).max(1)).max(1).ilog2(),
        _ => stride.next_power_of_two(),
    };
    let columns = columns.min(lanes.min(16));
    let shader = shader!("softmax", "index", "nan").set("ALIGNED", stride == 1 && length.is_multiple_of(4));
    let (shader, iterations) = keeping(shader, columns * length.div_ceil(4), caps);
    let shader = shader.set("COLUMNS", columns as u32).set("LOG", log);
    let dispatch = Dispatch::new(shader, &params, bindings, lines.div_ceil(columns)).iterations(iterations);
    Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)
}

/// Counts, for n elements: their maximum, n differences, n `exp`s, their sum, and n divisions (n differences, a `log`).
fn cost(io: &Io, axis: usize, log: bool) -> Cost {
    let lines = io.read() / io.inputs[0][axis] as u64;
    Cost::in_place(io.read().saturating_mul(5).saturating_sub(lines.saturating_mul(if log { 1 } else { 2 })))
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        output_shapes(inputs, self.axis)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(vec![kernel(io, caps, self.axis, false)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(cost(io, self.axis, false)).reach(Reach::pixel_if(self.axis < 2))
    }
}

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        output_shapes(inputs, self.axis)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(vec![kernel(io, caps, self.axis, true)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(cost(io, self.axis, true)).reach(Reach::pixel_if(self.axis < 2))
    }
}

impl Graph {
    /// Adds a [`Softmax`].
    pub fn softmax(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(Softmax::new(axis), &[x])
    }

    /// Adds a [`LogSoftmax`].
    pub fn log_softmax(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(LogSoftmax::new(axis), &[x])
    }
}
