//! The largest or smallest elements along an axis.

use super::part::ranges;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, number_dtype};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, plain};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// `torch.topk`: the `k` largest elements along an axis, the largest first, and their indices as `i32`s. Of equal
/// elements the first comes first. As in PyTorch, NaN is larger than any number. Elements are `f32`s or `i32`s.
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    axis: usize,
    largest: bool,
}

/// A pass over a line, which gives up to `block` results.
#[derive(Clone, Copy)]
struct Pass {
    length: usize,
    /// The number of results of all passes.
    k: usize,
    block: usize,
}

impl Pass {
    fn new(length: usize, k: usize) -> Pass {
        // A block has room for a short line. 512 kept and 512 collected entries are half of WebGPU's workgroup memory.
        Pass { length, k, block: k.max(length).next_power_of_two().clamp(64, 512) }
    }

    fn lanes(self) -> usize {
        self.block.min(256)
    }

    /// Returns the most iterations of an invocation's loops. At worst each element is better than all before it, so
    /// that the collected elements are sorted again and again.
    fn iterations(self) -> usize {
        let (each, stages) = (self.block / self.lanes(), (2 * self.block).ilog2() as usize);
        let sort = stages * (stages + 1) / 2 * (1 + plain(each).all) + 3 * stages + 3 + plain(each).all;
        let chunks = self.length.div_ceil(self.lanes());
        // A sort follows every `each` chunks, and the last one. Loops that aren't entered count too.
        5 * (chunks + 1) + (chunks.div_ceil(each) + 1) * sort + plain(2 * each).all + plain(each).all
    }

    /// Returns the number of segments that divide the line, if a pass over all of it has too many iterations.
    fn divided(self, most: usize) -> Option<usize> {
        let ends = |&segments: &usize| {
            let (segment, joined) = self.segment(segments);
            joined.length < self.length && segment.iterations().max(joined.iterations()) + 9 <= most
        };
        (self.iterations() + 9 > most).then(|| (2..1024).find(ends)).flatten()
    }

    /// Returns a pass over one of so many segments, and a pass over all their results.
    fn segment(self, segments: usize) -> (Pass, Pass) {
        let length = self.length.div_ceil(segments);
        let k = self.k.min(length);
        (Pass::new(length, k), Pass::new(segments * k, self.k))
    }
}

params! {
    struct Params {
        lines: usize,
        length: usize,
        stride: usize,
        candidates: usize,
        k: usize,
        results: [usize; 2] as [first, end],
        segments: [usize; 2] as [segments, segment],
    }
}

impl TopK {
    /// Creates a search for the `k` largest elements along `axis`.
    pub fn new(k: usize, axis: usize) -> TopK {
        TopK { k, axis, largest: true }
    }

    /// Sets whether to find the largest elements, or the smallest, the smallest first.
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

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let x = &io.inputs[0];
        let most = caps.max_loop_iterations as usize;
        let (length, stride, lines) = (x[self.axis], x.strides()[self.axis], x.elements() / x[self.axis]);
        let shader = |pass: Pass| {
            shader!("top_k", "index", "order")
                .set("FLOAT", io.dtypes[0] == DType::F32)
                .set("SMALLEST", !self.largest)
                .set("LANES", pass.lanes() as u32)
                .set("BLOCK", pass.block as u32)
        };
        // A dispatch makes as many passes as the device's loop limit allows.
        let dispatches = |shader: Shader, pass: Pass, k: usize, segments: [usize; 2], bindings: [Binding; 3]| {
            let candidates = if segments[0] == 1 { pass.length } else { length };
            let each = (most / (1 + pass.iterations())).max(1);
            let bindings = [&[Binding::Input(0)], &bindings[..]].concat();
            let dispatch = move |results: Range<usize>| {
                let params =
                    Params { lines, length, stride, candidates, k, results: [results.start, results.end], segments };
                let iterations = results.len().div_ceil(pass.block) * (1 + pass.iterations()) + 8;
                let workgroups = lines * segments[0];
                Dispatch::new(shader.clone(), &params, bindings.clone(), workgroups).iterations(iterations)
            };
            ranges(k, each * pass.block).map(dispatch).collect::<Vec<Dispatch>>()
        };
        let outputs = [Binding::Output(0), Binding::Output(1)];
        let [values, places] = outputs.clone();
        let whole = Pass::new(length, self.k);
        let dispatches = match whole.divided(most) {
            None => dispatches(shader(whole), whole, self.k, [1, length], [Binding::Input(0), values, places]),
            Some(segments) => {
                let (segment, joined) = whole.segment(segments);
                let bytes = (4 * lines * joined.length) as u64;
                let scratch = |write: bool| Binding::Scratch { index: 0, bytes, write };
                let divided = [segments, segment.length];
                let bindings = [Binding::Input(0), values.clone(), scratch(true)];
                let parts = dispatches(shader(segment).set("PARTIAL", true), segment, segment.k, divided, bindings);
                let bindings = [scratch(false), values, places];
                let join = dispatches(shader(joined).set("JOIN", true), joined, self.k, [1, joined.length], bindings);
                [parts, join].concat()
            }
        };
        Ok(vec![Kernel::several(vec![Layout::ROWS], vec![Layout::ROWS; 2], dispatches)])
    }

    /// Counts `ceil(log2(k + 1))` comparisons for each element: a bisection among the k best.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.read().saturating_mul(u64::from(usize::BITS - self.k.leading_zeros()))))
            .reach(Reach::pixel_if(self.axis < 2))
    }
}

impl Graph {
    /// Adds a [`TopK`] and returns its values and their indices.
    pub fn topk(&mut self, x: Value, topk: TopK) -> Result<[Value; 2]> {
        let outputs = self.add_node(format!("topk_{}", self.nodes().len()), topk, &[x])?;
        Ok([outputs[0], outputs[1]])
    }
}
