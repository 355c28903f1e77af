//! The forms of kernels at a precision other than `F32`.

use super::{Home, Planner};
use crate::DType;
use crate::graph::op::Cost;
use crate::graph::{Node, Source, Value};
use crate::kernel::{Binding, Kernel, Layout, Prepacked, Scalar};
use std::collections::{BTreeSet, HashMap};

impl Planner<'_> {
    /// Holds a constant as a weight in rows, so that operations can read it like any other value.
    pub(super) fn hold_constant(&mut self, value: Value) {
        if let (Source::Constant(constant), None) = (self.graph.source(value), self.held.get(&value)) {
            for scalar in BTreeSet::from([self.scalar(value), Scalar::F32]) {
                // Masks have numbers beyond the range of `f16`s. Infinite ones would make a row of nothing else NaN.
                if constant.fits(scalar) {
                    let rows = Prepacked { scalar, ..constant.rows() };
                    self.hold(value, Layout::ROWS.stored_as(scalar), Home::Weight(rows));
                }
            }
        }
    }

    /// Returns the stored form that a value's numbers should have.
    pub(super) fn scalar(&self, value: Value) -> Scalar {
        let narrow = self.graph.known_dtype(value) == DType::F32 && !self.graph.keeps_f32(value);
        if narrow { self.precision.values() } else { Scalar::F32 }
    }

    /// Returns true if a node is computed as at `F32`.
    pub(super) fn keeps_f32(&self, node: &Node) -> bool {
        node.outputs.iter().any(|&value| self.graph.keeps_f32(value))
    }

    /// Returns the forms of a kernel at this precision: each input is read as it is held, outputs are `f16`s or `f32`s.
    pub(super) fn stored(&self, kernel: &Kernel, node: &Node) -> Vec<Kernel> {
        let input = |(&value, layout): (&Value, &Layout)| {
            let held = |&scalar: &Scalar| self.find(value, layout.stored_as(scalar)).is_some();
            let near = |&scalar: &Scalar| self.nearest(value, layout.stored_as(scalar)).is_some();
            let forms = [self.scalar(value), Scalar::F32];
            forms.into_iter().find(held).or(forms.into_iter().find(near)).unwrap_or(Scalar::F32)
        };
        let inputs: Vec<Scalar> = node.inputs.iter().zip(&kernel.reads).map(input).collect();
        let (outputs, weights) = match (self.keeps_f32(node), self.precision.values()) {
            (true, _) => (&[Scalar::F32][..], Scalar::F32),
            (false, Scalar::F32) => (&[Scalar::F32][..], self.precision.weights()),
            (false, Scalar::F16) => (&[Scalar::F32, Scalar::F16][..], self.precision.weights()),
        };
        outputs.iter().filter_map(|&of| kernel.stored_as(&inputs, of, weights)).collect()
    }

    /// Returns the number of outputs that a kernel stores as `f32`s although they should be `f16`s. Outputs of the graph,
    /// which are `f32`s, don't count.
    pub(super) fn wide(&self, kernel: &Kernel, node: &Node) -> usize {
        let wide = |(&value, layout): (&Value, &Layout)| {
            let wanted = self.output(value).is_some() && layout.serves_as(Layout::ROWS, self.shape(value));
            layout.scalar != self.scalar(value) && !wanted
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
