//! Scatter: elements of one tensor go to positions along an axis of another.

use super::binary::eight;
use super::chains::Places;
use super::part::ranges;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, plain};
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
/// axis. x is copied, unless it is a state that nothing else reads.
#[derive(Clone, Copy, Debug)]
pub struct Scatter {
    axis: usize,
    kind: ScatterKind,
}

params! {
    struct Params {
        sizes: [usize; 8],
        index_strides: [usize; 8],
        strides: [usize; 8],
        lines: usize,
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

    pub(crate) fn shader(self, shader: Shader, io: &Io) -> Shader {
        shader.set("KIND", self as u32).set("FLOAT", io.dtypes[0] == DType::F32)
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

/// The bindings of a dispatch: the indices, the updates, and x, which becomes y.
pub(crate) const BINDINGS: [Binding; 3] = [Binding::Input(1), Binding::Input(2), Binding::Update(0)];

/// Returns the kernel that updates x in place, with the range of its indices.
pub(crate) fn in_place(dispatches: Vec<Dispatch>, range: [i32; 2]) -> Kernel {
    Kernel::several(vec![Layout::ROWS; 3], vec![Layout::ROWS], dispatches).with_range(1, range)
}

/// The number of updates from which on chains pay: with fewer, an update soon looks through all of its share.
pub(crate) const MANY: usize = 1 << 12;

/// Returns the shares of `length` updates, each for a dispatch. `beside` other elements are updated at the same time, and
/// `iterations` are the turns for a share.
///
/// An update looks through its whole share: small shares cost less, if they have enough work for a device, and if there
/// aren't too many of them.
pub(crate) fn shares(
    length: usize,
    beside: usize,
    iterations: impl Fn(usize) -> usize,
    caps: &Caps,
) -> impl Iterator<Item = Range<usize>> {
    const ENOUGH: usize = 1 << 14;
    const MOST_SHARES: usize = 512;
    let mut share = (ENOUGH / beside).clamp(16, 256).max(length.div_ceil(MOST_SHARES));
    while share > 1 && iterations(share) > caps.max_loop_iterations as usize {
        share /= 2;
    }
    ranges(length, share)
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
        let (mut sizes, mut index_strides, mut strides) = (index.to_vec(), index.strides(), x.strides());
        let length = std::mem::replace(&mut sizes[self.axis], 1);
        let [stride, own] = [&mut index_strides, &mut strides].map(|strides| std::mem::take(&mut strides[self.axis]));
        let lines = sizes.iter().product();
        let (sizes, index_strides, strides) = (eight(&sizes, 1)?, eight(&index_strides, 0)?, eight(&strides, 0)?);
        let size = x[self.axis];
        if length > MANY {
            let (shape, dimensions, k) = (eight(index, 1)?, index.len(), 1);
            let [sizes, own] = [eight(&[size], 1)?, eight(&[own], 0)?];
            let places = Places { shape, strides, dimensions, sizes, own, k, count: index.elements(), inner: 1 };
            if let Some(kernel) = places.kernel(self.kind, io, from_both_ends(size), caps) {
                return Ok(vec![kernel]);
            }
        }
        let params = |share: Range<usize>| Params {
            sizes,
            index_strides,
            strides,
            lines,
            size,
            first: share.start,
            end: share.end,
            stride,
            own,
        };
        // A turn looks at eight updates. The other loop's turns: up to eight dimensions, and its end.
        let iterations = |share: usize| plain(share.div_ceil(8)).all + 9;
        let shader = self.kind.shader(shader!("scatter", "index", "scatter", "nan"), io);
        let dispatches = shares(length, lines, iterations, caps).map(|share| {
            let (count, turns) = (share.len() * lines, iterations(share.len()));
            Dispatch::for_each(shader.clone(), &params(share), BINDINGS.to_vec(), count).iterations(turns)
        });
        Ok(vec![in_place(dispatches.collect(), from_both_ends(size))])
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
