//! The forms of kernels at a precision other than `F32`.

use super::Planner;
use crate::DType;
use crate::graph::{Node, Value};
use crate::kernel::{Kernel, Layout, Scalar};

impl Planner<'_> {
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
            let held = |scalar: &Scalar| self.find(value, layout.stored_as(*scalar)).is_some();
            let wanted = self.scalar(value);
            [wanted, Scalar::F32].into_iter().find(held).unwrap_or(wanted)
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
}
