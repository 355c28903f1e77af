//! The largest or smallest elements along an axis.

use crate::error::{ErrorKind, Result, expect_inputs};
use crate::graph::op::{Cost, Io, Op, Reach, number_dtype};
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::{DType, Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// `torch.topk`: the `k` largest elements along an axis, the largest first, and their places as `i32`s: two outputs. Of equal
/// ones the first comes first. As in PyTorch, NaN is larger than any number. Elements are `f32`s or `i32`s.
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    axis: usize,
    largest: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    lines: u32,
    length: u32,
    stride: u32,
    k: u32,
}

impl TopK {
    /// The `k` largest along `axis`.
    pub fn new(k: usize, axis: usize) -> TopK {
        TopK { k, axis, largest: true }
    }

    /// Whether it is the largest, or the smallest, the smallest first.
    #[must_use]
    pub fn largest(self, largest: bool) -> TopK {
        TopK { largest, ..self }
    }
}

impl Op for TopK {
    fn name(&self) -> &'static str {
        "topk"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if self.axis >= x.len() {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        }
        if self.k == 0 || self.k > x[self.axis] {
            return Err(ErrorKind::argument("k", format_args!("1 to {}, the axis' size", x[self.axis]), self.k));
        }
        let mut sizes = x.to_vec();
        sizes[self.axis] = self.k;
        Ok(vec![sizes.into(); 2])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        Ok(vec![number_dtype(inputs)?, DType::I32])
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let x = &io.inputs[0];
        let (length, stride) = (x[self.axis], x.strides()[self.axis]);
        let lines = x.elements() / length;
        let params = Params { lines: lines as u32, length: length as u32, stride: stride as u32, k: self.k as u32 };
        // Room to collect a short line whole; 512 kept and 512 collected are half of WebGPU's workgroup memory.
        let block = self.k.max(length).next_power_of_two().clamp(64, 512);
        let shader = shader!("top_k", "index", "order")
            .set("FLOAT", io.dtypes[0] == DType::F32)
            .set("SMALLEST", !self.largest)
            .set("LANES", block.min(256) as u32)
            .set("BLOCK", block as u32);
        let bindings = vec![Binding::Input(0), Binding::Output(0), Binding::Output(1)];
        let dispatch = Dispatch::new(shader, &params, bindings, lines);
        Ok(vec![Kernel {
            rank: 0,
            reads: vec![Layout::ROWS],
            writes: vec![Layout::ROWS; 2],
            dispatches: vec![dispatch],
        }])
    }

    /// Each element finds its place among the k best by bisection: `ceil(log2(k + 1))` comparisons.
    fn cost(&self, io: &Io) -> Cost {
        Cost::held(io.read().saturating_mul(u64::from(usize::BITS - self.k.leading_zeros())))
    }

    fn reach(&self, _io: &Io) -> Reach {
        if self.axis < 2 { Reach::Pixel } else { Reach::Everything }
    }
}

impl Graph {
    /// Adds a [`TopK`] and returns its values and their places.
    pub fn topk(&mut self, x: Value, topk: TopK) -> Result<[Value; 2]> {
        let outputs = self.add(format!("topk_{}", self.nodes().len()), topk, &[x])?;
        Ok([outputs[0], outputs[1]])
    }
}
