//! Scatter: slices of one tensor go to positions in another.

use super::binary::eight;
use super::chains::Places;
use super::scatter::{BINDINGS, MANY, ScatterKind, from_both_ends, in_place, shares};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Io, Metrics, Op, Reach};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Dispatch, Kernel, looped, plain};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// ONNX's `ScatterND`, `index_put` of the first dimensions: each tuple of indices is the position of a slice of x, and
/// `y[index[t, ..]] ∘= updates[t, ..]`; the rest is x's.
///
/// Inputs: x; the tuples, `i32`s `[.., k]` for the first k dimensions of x; the updates, `[..]` and x's other
/// dimensions, of x's type. An index from `-size` to -1 counts from the end. Without a check, updates out of range are
/// lost. Updates of one element are always applied in the tuples' order. x is copied, unless it is a state that nothing
/// else reads.
#[derive(Clone, Copy, Debug)]
pub struct ScatterNd {
    kind: ScatterKind,
}

params! {
    struct Params {
        sizes: [usize; 8],
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
        let (inner, count) = (x[k..].iter().product(), outer.iter().product());
        if count > MANY {
            let own = eight(&Shape::from(&x[..k]).strides(), 0)?;
            let (shape, strides) = ([1; 8], [0; 8]);
            let places = Places { shape, strides, dimensions: 0, sizes, own, k, count, inner };
            if let Some(kernel) = places.kernel(self.kind, io, tuple_range(&x[..k]), caps) {
                return Ok(vec![kernel]);
            }
        }
        let params = |share: Range<usize>| Params { sizes, inner, first: share.start, end: share.end, k };
        // A turn looks at four tuples.
        let iterations = |share: usize| (looped(share.div_ceil(4), plain(k)) + plain(k)).all;
        let shader = self.kind.shader(shader!("scatter_nd", "index", "scatter", "nan"), io);
        let dispatches = shares(count, inner, iterations, caps).map(|share| {
            let (count, turns) = (share.len() * inner, iterations(share.len()));
            Dispatch::for_each(shader.clone(), &params(share), BINDINGS.to_vec(), count).iterations(turns)
        });
        Ok(vec![in_place(dispatches.collect(), tuple_range(&x[..k]))])
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
