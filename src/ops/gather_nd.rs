//! Slices of a tensor by tuples of indices.

use super::binary::eight;
use super::index_select::indexed;
use super::scatter_nd::{tuple_range, tuples};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// ONNX's `GatherND`: each tuple of indices selects a slice of x, `y[t, ..] = x[index[t, ..], ..]`.
///
/// Inputs: x, of any element type; the tuples, `i32`s `[.., k]`, for k dimensions of x after the first `batch_dims`,
/// which both inputs share and the output keeps. The output is `[..]` and the remaining dimensions of x. An index from
/// `-size` to -1 counts from the end. A session refuses indices out of range; unchecked ones are clamped.
#[derive(Clone, Copy, Debug)]
pub struct GatherNd {
    batch_dims: usize,
}

params! {
    struct Params {
        sizes: [usize; 8],
        count: usize,
        inner: usize,
        tuples: usize,
        k: usize,
        batch: usize,
    }
}

impl GatherNd {
    /// Creates a gather with `batch_dims` leading dimensions that x and the tuples share.
    pub fn new(batch_dims: usize) -> GatherNd {
        GatherNd { batch_dims }
    }

    /// Returns the sizes of the dimensions that a tuple indexes.
    fn chosen<'a>(&self, io: &'a Io) -> &'a [usize] {
        let k = io.inputs[1].last().copied().unwrap_or(0);
        &io.inputs[0][self.batch_dims..][..k]
    }
}

impl Op for GatherNd {
    fn name(&self) -> &'static str {
        "gather_nd"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, index] = expect_inputs::<2>(inputs)?;
        let first = self.batch_dims;
        if first >= x.len() || first >= index.len() || x[..first] != index[..first] {
            let wanted = format!("dimensions that x {x} and the indices {index} both begin with, fewer than all");
            return Err(ErrorKind::argument("batch_dims", wanted, first));
        }
        let (k, outer) = tuples(x, index, first)?;
        eight(&x[first..first + k], 1)?;
        Ok(vec![[outer, &x[first + k..]].concat().into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        indexed(inputs)
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let chosen = self.chosen(io);
        let (outer, own) = (&io.inputs[1][self.batch_dims..], &x[self.batch_dims..]);
        let params = Params {
            sizes: eight(chosen, 1)?,
            count: y.elements(),
            inner: own[chosen.len()..].iter().product(),
            tuples: outer[..outer.len() - 1].iter().product(),
            k: chosen.len(),
            batch: own.iter().product(),
        };
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        let dispatch = Dispatch::for_each(shader!("gather_nd", "index"), &params, bindings, y.elements());
        let range = tuple_range(chosen);
        Ok(vec![Kernel::new(vec![Layout::ROWS; 2], Layout::ROWS, dispatch).with_range(1, range)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::copy(io.written(), io.inputs[1].elements() as u64)).reach(Reach::Everything)
    }
}

impl Graph {
    /// Adds a [`GatherNd`].
    pub fn gather_nd(&mut self, x: Value, index: Value, batch_dims: usize) -> Result<Value> {
        self.push(GatherNd::new(batch_dims), &[x, index])
    }
}
