//! Softmax over an axis.

use crate::error::{ErrorKind, Result, expect_inputs};
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::{Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// `torch.softmax`: `y = exp(x - max) / sum(exp(x - max))` over one axis.
#[derive(Clone, Debug)]
pub struct Softmax {
    axis: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    lines: u32,
    length: u32,
    stride: u32,
}

impl Softmax {
    /// A softmax over `axis`.
    pub fn new(axis: usize) -> Softmax {
        Softmax { axis }
    }
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if self.axis >= x.len() {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        }
        Ok(vec![x.clone()])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let x = &io.inputs[0];
        let (length, stride) = (x[self.axis], x.strides()[self.axis]);
        let lines = x.elements() / length.max(1);
        let params = Params { lines: lines as u32, length: length as u32, stride: stride as u32 };
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let dispatch = Dispatch::new(shader!("softmax", "index"), &params, bindings, lines);
        Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost::default()
    }
}

impl Graph {
    /// Adds a [`Softmax`].
    pub fn softmax(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(Softmax::new(axis), &[x])
    }
}
