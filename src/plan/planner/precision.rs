//! The forms of kernels at a precision other than `F32`.

use super::Planner;
use crate::DType;
use crate::graph::op::Cost;
use crate::graph::{Node, Value};
use crate::kernel::{Binding, Kernel, Layout, Scalar};
use std::collections::HashMap;

impl Planner<'_> {
    /// Returns the forms of a kernel at this precision: each input is read as it is held, outputs are `f16`s or `f32`s.
    pub(super) fn stored(&self, kernel: &Kernel, node: &Node) -> Vec<Kernel> {
        let scalar = |(&value, layout): (&Value, &Layout)| match self.precision.values() {
            Scalar::F16 if self.graph.known_dtype(value) == DType::F32 => {
                let held = |&scalar: &Scalar| self.find(value, layout.stored_as(scalar)).is_some();
                let near = |&scalar: &Scalar| self.nearest(value, layout.stored_as(scalar)).is_some();
                let both = [Scalar::F16, Scalar::F32];
                both.into_iter().find(held).or(both.into_iter().find(near)).unwrap_or(Scalar::F32)
            }
            _ => Scalar::F32,
        };
        let inputs: Vec<Scalar> = node.inputs.iter().zip(&kernel.reads).map(scalar).collect();
        let outputs: &[Scalar] = match self.precision.values() {
            Scalar::F32 => &[Scalar::F32],
            Scalar::F16 => &[Scalar::F32, Scalar::F16],
        };
        outputs.iter().filter_map(|&of| kernel.stored_as(&inputs, of, self.precision.weights())).collect()
    }

    /// Returns the number of outputs that a kernel stores as `f32`s although values are `f16`s. Outputs of the graph, which
    /// are `f32`s, don't count.
    pub(super) fn wide(&self, kernel: &Kernel, node: &Node) -> usize {
        let wide = |(&value, layout): (&Value, &Layout)| {
            let wanted = self.output(value).is_some() && layout.serves_as(Layout::ROWS, self.shape(value));
            layout.scalar != self.precision.values() && self.graph.known_dtype(value) == DType::F32 && !wanted
        };
        node.outputs.iter().zip(&kernel.writes).filter(|&of| wide(of)).count()
    }

    /// Returns the bytes that a kernel moves, with `bytes` of numbers that take four. It reads `read` elements of each
    /// input.
    pub(super) fn moved(&self, kernel: &Kernel, node: &Node, (bytes, read): (u64, &[u64]), cost: &Cost) -> u64 {
        let written: Vec<u64> = node.outputs.iter().map(|&value| self.shape(value).elements() as u64).collect();
        let halves = |layouts: &[Layout], elements: &[u64]| -> u64 {
            let each = layouts.iter().zip(elements).filter(|(layout, _)| layout.scalar == Scalar::F16);
            each.map(|(_, elements)| elements).sum()
        };
        let weights =
            kernel.dispatches.iter().flat_map(|dispatch| &dispatch.bindings).filter_map(|binding| match binding {
                Binding::Weight(packed) if packed.scalar == Scalar::F16 => {
                    Some((packed.identity(), packed.bytes() / 2))
                }
                _ => None,
            });
        let weights = weights.collect::<HashMap<_, _>>().values().sum();
        let halves = [halves(&kernel.reads, read), halves(&kernel.writes, &written), weights];
        cost.stored_bytes(bytes, halves, written.iter().sum())
    }
}
