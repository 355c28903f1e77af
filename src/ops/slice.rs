//! Slices: a part of a tensor, in strides, forwards or backwards.

use super::binary::eight;
use super::channels::Part;
use super::image_storage;
use super::strided::{Walk, strided};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, Taps, same_dtype};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// Python's `x[.., start:end:step]` along some of the dimensions, ONNX's `Slice`.
///
/// Negative positions count from the end, and positions beyond a dimension are cut off, as in Python: `isize::MAX` is
/// the end of any size. A negative step walks backwards from `start` to before `end`; an `end` of `isize::MIN` includes
/// the first element. The result must not be empty.
///
/// ```
/// # use shadernet::{BATCH, Graph, ops::Slice};
/// # let mut graph = Graph::new();
/// let x = graph.input("x", [BATCH, 5, 8]);
/// let y = graph.push(Slice::new().along(1, -3, isize::MAX, 1).along(2, 1, -1, 2), &[x])?;
/// assert_eq!(graph.shape(y, 2)?.to_string(), "[2, 3, 3]");
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Slice {
    along: Vec<Along>,
}

#[derive(Clone, Copy, Debug)]
struct Along {
    axis: usize,
    start: isize,
    end: isize,
    step: isize,
}

impl Slice {
    /// Creates a slice of everything, until [`Slice::along`] restricts it.
    pub fn new() -> Slice {
        Slice::default()
    }

    /// Restricts dimension `axis` to every `step`-th position from `start` to before `end`.
    #[must_use]
    pub fn along(mut self, axis: usize, start: isize, end: isize, step: isize) -> Slice {
        self.along.push(Along { axis, start, end, step });
        self
    }
}

impl Slice {
    /// Returns the axis, the first position and the step of each cut dimension, for a tensor of that shape.
    pub(crate) fn cuts(&self, x: &Shape) -> Vec<(usize, usize, isize)> {
        self.along.iter().map(|along| (along.axis, along.resolve(x[along.axis]).0, along.step)).collect()
    }
}

impl Slice {
    /// Returns the channels that this slice takes of an image, if it cuts nothing else and takes them in whole texels.
    pub(crate) fn part(&self, io: &Io) -> Option<Part> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let &[along @ Along { axis: 1, step: 1, .. }] = &self.along[..] else { return None };
        let image = (3..=5).contains(&x.len());
        image.then(|| Part::new([x[1], along.resolve(x[1]).0], [y[1], 0], y[1]))?
    }
}

impl Along {
    /// Returns the index of the first element, and the number of elements, for an axis of this size.
    fn resolve(self, size: usize) -> (usize, usize) {
        let size = isize::try_from(size).unwrap_or(isize::MAX);
        // A walk ends before the first element or after the last one.
        let [least, most] = if self.step > 0 { [0, size] } else { [-1, size - 1] };
        let place = |i: isize| (if i < 0 { i.saturating_add(size) } else { i }).clamp(least, most);
        let (start, end) = (place(self.start), place(self.end));
        let distance = if self.step > 0 { end - start } else { start - end };
        (start.max(0).unsigned_abs(), distance.max(0).unsigned_abs().div_ceil(self.step.unsigned_abs()))
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        eight(x, 1)?;
        let mut sizes = x.to_vec();
        for (i, along) in self.along.iter().enumerate() {
            let Along { axis, step, .. } = *along;
            if axis >= x.len() {
                return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), axis));
            }
            if self.along[..i].iter().any(|before| before.axis == axis) {
                return Err(ErrorKind::argument("axis", "each dimension once", format_args!("{axis} twice")));
            }
            if step == 0 {
                return Err(ErrorKind::argument("step", "other than 0", step));
            }
            sizes[axis] = along.resolve(x[axis]).1;
            if sizes[axis] == 0 {
                let wanted = format!("an element of dimension {axis} of {x}");
                return Err(ErrorKind::argument("start, end", wanted, "none"));
            }
        }
        Ok(vec![sizes.into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let mut from = Walk::new(x);
        for along in &self.along {
            let stride = &mut from.strides[along.axis];
            from.first += along.resolve(x[along.axis]).0 * *stride;
            *stride = stride.wrapping_mul(along.step as usize);
        }
        let rows = Kernel::new(vec![Layout::ROWS], Layout::ROWS, strided([0, 0], y, &from, None)?);
        let images = self.part(io).into_iter().flat_map(|part| {
            image_storage(caps).iter().map(move |&storage| {
                let layout = Layout::channels(storage);
                Kernel::new(vec![layout], layout, part.copy([0, 0], Image::new(x), storage))
            })
        });
        Ok(std::iter::once(rows).chain(images).collect())
    }

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let (x, forwards) = (&io.inputs[0], self.along.iter().all(|along| along.axis < 2 || along.step > 0));
        let taps = |axis: usize| {
            let along = self.along.iter().find(|along| along.axis == axis);
            let (start, step) = along.map_or((0, 1), |along| (along.resolve(x[axis]).0, along.step.unsigned_abs()));
            Taps::window(1, step, 1, -isize::try_from(start).unwrap_or(isize::MAX))
        };
        Metrics::new(Cost::copy(io.written(), 0)).reach(if forwards {
            Reach::Window((2..x.len()).map(taps).collect())
        } else {
            Reach::Everything
        })
    }
}

impl Graph {
    /// Adds a [`Slice`] of one dimension, `x[.., start:end]`; `isize::MAX` is its end.
    pub fn slice(&mut self, x: Value, axis: usize, start: isize, end: isize) -> Result<Value> {
        self.push(Slice::new().along(axis, start, end, 1), &[x])
    }

    /// Adds `torch.split`: a [`Slice`] for each of the consecutive parts of these sizes, which add up to the size of
    /// `axis`. A single part is `x` itself. The axis must not depend on the batch.
    pub fn split(&mut self, x: Value, sizes: &[usize], axis: usize) -> Result<Vec<Value>> {
        let (name, shape) = (format!("split_{}", self.nodes().len()), self.shape(x, 1)?);
        let at = |kind: ErrorKind| kind.at("split", &name);
        let Some(&size) = shape.get(axis) else {
            return Err(at(ErrorKind::argument("axis", format_args!("a dimension of {shape}"), axis)));
        };
        if size == 0 {
            return Err(at(ErrorKind::argument(
                "axis",
                "a dimension with elements",
                format_args!("{axis} of {shape}"),
            )));
        }
        let sum = sizes.iter().fold(0, |sum: usize, &size| sum.saturating_add(size));
        if sum != size || sizes.contains(&0) {
            let wanted = format!("sizes of 1 or more that add up to {size}, dimension {axis} of {shape}");
            return Err(at(ErrorKind::argument("sizes", wanted, format_args!("{sizes:?}"))));
        }
        // A graph of fixed sizes may have no shapes for another batch.
        if self.shape(x, 2).is_ok_and(|two| two.get(axis) != Some(&size)) {
            return Err(at(ErrorKind::argument("axis", "a dimension that doesn't depend on the batch", axis)));
        }
        if sizes.len() == 1 {
            return Ok(vec![x]);
        }
        let mut end = 0;
        let part = |(i, &size): (usize, &usize)| {
            end += size;
            let slice = Slice::new().along(axis, (end - size) as isize, end as isize, 1);
            Ok(self.add_node(format!("{name}.{i}"), slice, &[x])?[0])
        };
        sizes.iter().enumerate().map(part).collect()
    }

    /// Adds `torch.chunk`: parts of one size, except for a smaller last one. There are fewer than `chunks` if those
    /// cover the axis. The axis must not depend on the batch.
    pub fn chunk(&mut self, x: Value, chunks: usize, axis: usize) -> Result<Vec<Value>> {
        if chunks == 0 {
            return Err(ErrorKind::argument("chunks", "1 or more", 0).at("split", ""));
        }
        // `split` refuses an axis that doesn't exist.
        let size = self.shape(x, 1)?.get(axis).copied().unwrap_or(1);
        let each = size.div_ceil(chunks).max(1);
        let sizes: Vec<usize> = (0..size).step_by(each).map(|first| each.min(size - first)).collect();
        self.split(x, &sizes, axis)
    }

    /// Adds `torch.select`: the elements at `index` of `axis`, without that axis. A negative index counts from the end.
    pub fn select(&mut self, x: Value, axis: usize, index: isize) -> Result<Value> {
        // The position after -1, the last index, can't be written otherwise.
        let end = if index == -1 { isize::MAX } else { index.saturating_add(1) };
        let one = self.slice(x, axis, index, end)?;
        self.squeeze(one, axis)
    }

    /// Adds `torch.flip`: reverses these dimensions.
    pub fn flip(&mut self, x: Value, axes: &[usize]) -> Result<Value> {
        let backwards = |slice: Slice, &axis: &usize| slice.along(axis, isize::MAX, isize::MIN, -1);
        self.push(axes.iter().fold(Slice::new(), backwards), &[x])
    }
}
