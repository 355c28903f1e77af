//! Splitting along an axis: several outputs, one after the other.

use super::binary::eight;
use super::strided::{Walk, strided};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, same_dtype};
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.split`: consecutive parts of an axis, each an output.
#[derive(Clone, Debug)]
pub struct Split {
    sizes: Vec<usize>,
    axis: usize,
}

impl Split {
    /// Creates a split into parts of these sizes, which add up to the size of `axis`.
    pub fn new(sizes: impl Into<Vec<usize>>, axis: usize) -> Split {
        Split { sizes: sizes.into(), axis }
    }
}

impl Op for Split {
    fn name(&self) -> &'static str {
        "split"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        eight(x, 1)?;
        let Some(&size) = x.get(self.axis) else {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {x}"), self.axis));
        };
        let sum = self.sizes.iter().fold(0, |sum: usize, &size| sum.saturating_add(size));
        if sum != size || self.sizes.contains(&0) {
            let wanted = format!("sizes of 1 or more that add up to {size}, dimension {} of {x}", self.axis);
            return Err(ErrorKind::argument("sizes", wanted, format_args!("{:?}", self.sizes)));
        }
        let part = |&size: &usize| {
            let mut sizes = x.to_vec();
            sizes[self.axis] = size;
            sizes.into()
        };
        Ok(self.sizes.iter().map(part).collect())
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let mut from = Walk::new(&io.inputs[0]);
        let mut dispatches = Vec::new();
        for (i, y) in io.outputs.iter().enumerate() {
            dispatches.push(strided([0, i], y, &from, &Walk::new(y))?);
            from.first += y[self.axis] * from.strides[self.axis];
        }
        let writes = vec![Layout::ROWS; io.outputs.len()];
        Ok(vec![Kernel::several(vec![Layout::ROWS], writes, dispatches)])
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(0)).reach(Reach::pixel_if(self.axis < 2))
    }
}

impl Graph {
    /// Adds a [`Split`] into parts of these sizes.
    pub fn split(&mut self, x: Value, sizes: &[usize], axis: usize) -> Result<Vec<Value>> {
        let name = format!("split_{}", self.nodes().len());
        self.add(name, Split::new(sizes, axis), &[x])
    }

    /// Adds `torch.chunk`: parts of one size, except for a smaller last one. There are fewer than `chunks` if those
    /// cover the axis. The axis must not depend on the batch.
    pub fn chunk(&mut self, x: Value, chunks: usize, axis: usize) -> Result<Vec<Value>> {
        if chunks == 0 {
            return Err(ErrorKind::argument("chunks", "1 or more", 0).at("split", ""));
        }
        // `split` refuses an axis that doesn't exist.
        let size = self.shape(x, 1)?.get(axis).copied().unwrap_or(1);
        let each = size.div_ceil(chunks);
        let sizes: Vec<usize> = (0..size).step_by(each).map(|first| each.min(size - first)).collect();
        self.split(x, &sizes, axis)
    }
}
