//! Scatter: slices of one tensor go to positions in another.

use super::binary::eight;
use super::part::ranges;
use super::scatter::{ScatterKind, from_both_ends};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, looped, plain};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// ONNX's `ScatterND`, `index_put` of the first dimensions: each tuple of indices is the position of a slice of x, and
/// `y[index[t, ..]] ∘= updates[t, ..]`; the rest is x's.
///
/// Inputs: x; the tuples, `i32`s `[.., k]` for the first k dimensions of x; the updates, `[..]` and x's other
/// dimensions, of x's type. An index from `-size` to -1 counts from the end. Without a check, updates out of range are
/// lost. Updates of one element are always applied in the tuples' order: each element of the output searches all
/// tuples, at a cost of their product. It suits few tuples.
#[derive(Clone, Copy, Debug)]
pub struct ScatterNd {
    kind: ScatterKind,
}

params! {
    struct Params {
        sizes: [usize; 8],
        count: usize,
        inner: usize,
        first: usize,
        end: usize,
        k: usize,
    }
}

impl ScatterNd {
    /// Creates a scatter of slices by tuples.
    pub fn new(kind: ScatterKind) -> ScatterNd {
        ScatterNd { kind }
    }
}

/// Returns the number of dimensions of x, from `first` on, that a tuple indexes, and the outer sizes of the tuples.
pub(crate) fn tuples<'a>(x: &Shape, index: &'a Shape, first: usize) -> Result<(usize, &'a [usize]), ErrorKind> {
    let (&k, outer) = index.split_last().filter(|(k, _)| (1..=x.len() - first).contains(*k)).ok_or_else(|| {
        let wanted = format!("tuples of 1 to {} indices, in its last dimension", x.len() - first);
        ErrorKind::argument("index", wanted, index)
    })?;
    Ok((k, outer))
}

/// Returns the range of indices in tuples: that of the largest dimension.
pub(crate) fn tuple_range(sizes: &[usize]) -> [i32; 2] {
    from_both_ends(sizes.iter().copied().max().unwrap_or(1))
}

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "scatter_nd"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, index, updates] = expect_inputs::<3>(inputs)?;
        let (k, outer) = tuples(x, index, 0)?;
        let wanted: Shape = [outer, &x[k..]].concat().into();
        if *updates != wanted {
            return Err(ErrorKind::argument("updates", wanted, updates));
        }
        eight(&x[..k], 1)?;
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        self.kind.dtypes(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, index) = (&io.inputs[0], &io.inputs[1]);
        let (k, outer) = tuples(x, index, 0)?;
        let sizes = eight(&x[..k], 1)?;
        let params = |part: Range<usize>| Params {
            sizes,
            count: x.elements(),
            inner: x[k..].iter().product(),
            first: part.start,
            end: part.end,
            k,
        };
        let shader = shader!("scatter_nd", "index", "scatter", "nan")
            .set("KIND", self.kind as u32)
            .set("FLOAT", io.dtypes[0] == DType::F32);
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Input(2), Binding::Output(0)];
        let each = ((caps.max_loop_iterations as usize).saturating_sub(2) / (2 + k)).max(1);
        let dispatches = ranges(outer.iter().product(), each).map(|part| {
            let iterations = looped(part.len(), plain(k)).all;
            Dispatch::for_each(shader.clone(), &params(part), bindings.clone(), x.elements()).iterations(iterations)
        });
        let dispatches = dispatches.collect();
        let range = tuple_range(&x[..k]);
        Ok(vec![Kernel::several(vec![Layout::ROWS; 3], vec![Layout::ROWS], dispatches).with_range(1, range)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(self.kind.cost(&io.inputs[2])).reach(Reach::pixel_if(io.inputs[1].last().is_some_and(|&k| k <= 2)))
    }
}

impl Graph {
    /// Adds a [`ScatterNd`].
    pub fn scatter_nd(&mut self, x: Value, index: Value, updates: Value, kind: ScatterKind) -> Result<Value> {
        self.push(ScatterNd::new(kind), &[x, index, updates])
    }
}
