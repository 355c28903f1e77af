//! The forms of kernels at a precision other than `F32`.

use super::{Home, Planner};
use crate::DType;
use crate::graph::op::Cost;
use crate::graph::{Kept, Node, Source, Value};
use crate::kernel::{Kernel, Layout, Precision, Prepacked, Scalar};
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
        let narrow = self.graph.known_dtype(value) == DType::F32 && self.graph.kept(value).is_none();
        if narrow { self.precision.values() } else { Scalar::F32 }
    }

    /// Returns what is as at `F32` of a node, if its outputs are.
    pub(super) fn kept(&self, node: &Node) -> Option<Kept> {
        node.outputs.iter().filter_map(|&value| self.graph.kept(value)).max()
    }

    /// Returns the forms of a kernel at this precision: each input is read as it is held, outputs are `f16`s or `f32`s.
    pub(super) fn stored(&self, kernel: &Kernel, node: &Node, cost: &Cost) -> Vec<Kernel> {
        let input = |(&value, layout): (&Value, &Layout)| {
            let held = |&scalar: &Scalar| self.find(value, layout.stored_as(scalar)).is_some();
            let near = |&scalar: &Scalar| self.nearest(value, layout.stored_as(scalar)).is_some();
            let forms = [self.scalar(value), Scalar::F32];
            forms.into_iter().find(held).or(forms.into_iter().find(near)).unwrap_or(Scalar::F32)
        };
        let inputs: Vec<Scalar> = node.inputs.iter().zip(&kernel.reads).map(input).collect();
        let kept = self.kept(node);
        let outputs = match (kept, self.precision.values()) {
            (None, Scalar::F16) => &[Scalar::F32, Scalar::F16][..],
            _ => &[Scalar::F32],
        };
        let exact = kept == Some(Kept::Weights) || (self.is_first(node, cost) && !kernel.rounds_operands);
        let weights = if exact { Scalar::F32 } else { self.precision.weights() };
        let form = |&of: &Scalar| {
            let form = kernel.stored_as(&inputs, of, weights)?;
            if !form.weights().any(self.unfit) {
                return Some(form);
            }
            // Matrix units would round them all the same.
            if kernel.rounds_operands { None } else { kernel.stored_as(&inputs, of, Scalar::F32) }
        };
        outputs.iter().filter_map(form).collect()
    }

    /// Returns true if a node's weights stay `f32`s at `Mixed`, although they are a product's: it reads an input, so that
    /// all of the network magnifies their errors, and they are few.
    fn is_first(&self, node: &Node, cost: &Cost) -> bool {
        let reads = |&value: &Value| matches!(self.graph.source(value), Source::Input);
        self.precision == Precision::Mixed
            && node.inputs.iter().any(reads)
            && cost.parameters.saturating_mul(10) <= self.parameters
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
        let weights = kernel.weights().filter(|packed| packed.scalar == Scalar::F16);
        let weights = weights.map(|packed| (packed.identity(), packed.bytes() / 2));
        let weights = weights.collect::<HashMap<_, _>>().values().sum();
        let halves = [halves(&kernel.reads, read), halves(&kernel.writes, &written), weights];
        cost.stored_bytes(bytes, halves, written.iter().sum())
    }
}
