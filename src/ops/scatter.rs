//! Scatter: elements of one tensor go to positions along an axis of another.

use super::binary::eight;
use super::part::ranges;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};
use std::ops::Range;

/// The combination of an element with its updates, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScatterKind {
    /// The last update: ONNX's `none`. Elements may be of any type.
    Replace,
    /// The sum of all
    Add,
    /// The product of all
    Mul,
    /// The greatest
    Max,
    /// The least
    Min,
}

/// `torch.scatter` and `scatter_reduce`, ONNX's `ScatterElements`: each update goes to an index along an axis of x. For
/// two dimensions and axis 1: `y[i, index[i, j]] ∘= updates[i, j]`; the rest is x's.
///
/// Inputs: x; the indices, `i32`s, with x's number of dimensions and at most its sizes, except along the axis; the
/// updates, with the indices' shape and x's type. An index from `-size` to -1 counts from the end. A session refuses
/// others; without a check their updates are lost. Updates of one element are always applied in their order along the
/// axis: each element of the output searches the indices of its line, at a cost of their product.
#[derive(Clone, Copy, Debug)]
pub struct Scatter {
    axis: usize,
    kind: ScatterKind,
}

params! {
    struct Params {
        sizes: [usize; 8],
        index_sizes: [usize; 8],
        index_strides: [usize; 8],
        count: usize,
        size: usize,
        first: usize,
        end: usize,
        stride: usize,
        own: usize,
    }
}

impl ScatterKind {
    /// Returns the element type of the output. The indices are the second input, the updates the third.
    pub(crate) fn dtypes(self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        if self != ScatterKind::Replace && inputs[0] == DType::Bool {
            return Err(ErrorKind::argument("the elements of input 0", "f32 or i32", inputs[0]));
        }
        expect_dtypes(inputs, |i| if i == 1 { DType::I32 } else { inputs[0] })?;
        Ok(inputs[..1].to_vec())
    }

    /// Returns the cost of such updates: an operation each.
    pub(crate) fn cost(self, updates: &Shape) -> Cost {
        Cost::held(if self == ScatterKind::Replace { 0 } else { updates.elements() as u64 })
    }
}

/// Returns the range of indices that count from either end of an axis.
pub(crate) fn from_both_ends(size: usize) -> [i32; 2] {
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    [-size, size - 1]
}

impl Scatter {
    /// Creates a scatter along `axis`.
    pub fn new(axis: usize, kind: ScatterKind) -> Scatter {
        Scatter { axis, kind }
    }
}

impl Op for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, index, updates] = expect_inputs::<3>(inputs)?;
        if self.axis >= x.len() {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        }
        let within = |d: usize| d == self.axis || index[d] <= x[d];
        if index.len() != x.len() || !(0..x.len()).all(within) {
            let wanted = format!("at most {x}, but for dimension {}", self.axis);
            return Err(ErrorKind::argument("index", wanted, index));
        }
        if updates != index {
            return Err(ErrorKind::argument("updates", format_args!("{index}, as the indices"), updates));
        }
        eight(x, 1)?;
        Ok(vec![x.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        self.kind.dtypes(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, index) = (&io.inputs[0], &io.inputs[1]);
        let mut index_sizes = index.to_vec();
        let mut index_strides = index.strides();
        // Each element searches all indices along the axis.
        let length = std::mem::replace(&mut index_sizes[self.axis], x[self.axis]);
        let stride = std::mem::take(&mut index_strides[self.axis]);
        let (sizes, index_sizes, index_strides) = (eight(x, 1)?, eight(&index_sizes, 1)?, eight(&index_strides, 0)?);
        let params = |part: Range<usize>| Params {
            sizes,
            index_sizes,
            index_strides,
            count: x.elements(),
            size: x[self.axis],
            first: part.start,
            end: part.end,
            stride,
            own: x.strides()[self.axis],
        };
        let shader = shader!("scatter", "index", "scatter", "nan")
            .set("KIND", self.kind as u32)
            .set("FLOAT", io.dtypes[0] == DType::F32);
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Input(2), Binding::Output(0)];
        // The 10 other iterations: up to eight dimensions, and the ends of both loops.
        let each = (caps.max_loop_iterations as usize).saturating_sub(10).max(1);
        let dispatches = ranges(length, each).map(|part| {
            let iterations = part.len() + 10;
            Dispatch::for_each(shader.clone(), &params(part), bindings.clone(), x.elements()).iterations(iterations)
        });
        let dispatches = dispatches.collect();
        let range = from_both_ends(x[self.axis]);
        Ok(vec![Kernel::several(vec![Layout::ROWS; 3], vec![Layout::ROWS], dispatches).with_range(1, range)])
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(self.kind.cost(&io.inputs[2])).reach(Reach::pixel_if(self.axis < 2))
    }
}

impl Graph {
    /// Adds a [`Scatter`].
    pub fn scatter(&mut self, x: Value, axis: usize, index: Value, updates: Value, kind: ScatterKind) -> Result<Value> {
        self.push(Scatter::new(axis, kind), &[x, index, updates])
    }
}
