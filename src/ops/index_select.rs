//! Rows of a tensor by their index.

use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// `torch.index_select`, ONNX's `Gather`: the slices at some indices of an axis, `y[.., n, ..] = x[.., index[n], ..]`.
///
/// Inputs: x, of any element type; the indices, `i32`s of any shape, which replaces the axis in the output (PyTorch
/// takes one dimension; no dimension drops the axis, as in ONNX). An index counts from 0 and is less than the axis'
/// size: a session refuses others, negative ones too. Computed indices, and those in a buffer of the host, are not
/// checked: an index that is too small reads the first slice, one that is too great the last.
#[derive(Clone, Debug)]
pub struct IndexSelect {
    axis: usize,
}

params! {
    struct Params {
        elements: usize,
        inner: usize,
        indices: usize,
        size: usize,
        first: usize,
        rows: usize,
    }
}

impl IndexSelect {
    /// Creates a selection along `axis`.
    pub fn new(axis: usize) -> IndexSelect {
        IndexSelect { axis }
    }
}

/// Returns true if rows of `inner` elements are copied by `vec4`s.
pub(crate) fn wide(inner: usize) -> bool {
    inner.is_multiple_of(4)
}

/// Returns the dispatch that copies rows of `inner` elements from `x`, by the indices of an input. `x` is
/// `[.., size, inner]`, or, without a dimension before those, only its `rows`.
pub(crate) fn select(x: Binding, index: usize, io: &Io, inner: usize, size: usize, rows: Range<usize>) -> Dispatch {
    let elements = io.outputs[0].elements();
    let params = Params {
        elements,
        inner: if wide(inner) { inner / 4 } else { inner },
        indices: io.inputs[index].elements(),
        size,
        first: rows.start,
        rows: rows.len(),
    };
    let bindings = vec![x, Binding::Input(index), Binding::Output(0)];
    let shader = shader!("index_select", "index").set("WIDE", wide(inner));
    Dispatch::for_each(shader, &params, bindings, elements.div_ceil(4))
}

/// Returns the range of indices into an axis.
pub(crate) fn places(size: usize) -> [i32; 2] {
    [0, i32::try_from(size - 1).unwrap_or(i32::MAX)]
}

impl Op for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, index] = expect_inputs::<2>(inputs)?;
        if self.axis >= x.len() {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        }
        Ok(vec![[&x[..self.axis], &index[..], &x[self.axis + 1..]].concat().into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        indexed(inputs)
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let x = &io.inputs[0];
        let (inner, size) = (x.strides()[self.axis], x[self.axis]);
        let dispatch = select(Binding::Input(0), 1, io, inner, size, 0..size);
        Ok(vec![Kernel::new(vec![Layout::ROWS; 2], Layout::ROWS, dispatch).with_range(1, places(size))])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::copy(io.written(), io.inputs[1].elements() as u64)).reach(
            // With one dimension of indices, the axis of channels stays an axis of channels.
            Reach::pixel_if(self.axis < 2 && io.inputs[1].len() == 1),
        )
    }
}

/// Returns the output's element type, that of the first input, if the second input holds indices.
pub(crate) fn indexed(inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
    expect_dtypes(inputs, |i| if i == 1 { DType::I32 } else { inputs[i] })?;
    Ok(inputs[..1].to_vec())
}

impl Graph {
    /// Adds an [`IndexSelect`].
    pub fn index_select(&mut self, x: Value, axis: usize, index: Value) -> Result<Value> {
        self.push(IndexSelect::new(axis), &[x, index])
    }
}
