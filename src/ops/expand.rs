//! Repetition along dimensions of size 1.

use super::binary::eight;
use super::image_storage;
use super::strided::{Walk, strided};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, same_dtype};
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.Tensor.expand`, `torch.broadcast_to`: sizes of 1 are repeated, missing outer dimensions are added. Arithmetic
/// broadcasts by itself; this is for operations that don't.
#[derive(Clone, Debug)]
pub struct Expand {
    sizes: Vec<isize>,
}

/// `torch.Tensor.expand_as`: an [`Expand`] of the first input to the shape of the second, whose elements are not read.
/// It can repeat a tensor for each image of a batch.
#[derive(Clone, Copy, Debug)]
pub struct ExpandAs;

impl Expand {
    /// Creates an expansion to these sizes; -1 leaves a size as it is.
    pub fn new(sizes: impl Into<Vec<isize>>) -> Expand {
        Expand { sizes: sizes.into() }
    }
}

fn kernel(io: &Io, reads: Vec<Layout>) -> Result<Kernel, ErrorKind> {
    let (x, y) = (&io.inputs[0], &io.outputs[0]);
    let from = Walk { first: 0, strides: x.broadcast_strides(y) };
    Ok(Kernel::new(reads, Layout::ROWS, strided([0, 0], y, &from, None)?))
}

impl Op for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        let wanted = format!("what {x} is repeated to, -1 for one of its sizes");
        let error = || ErrorKind::argument("sizes", &wanted, format_args!("{:?}", self.sizes));
        let added = self.sizes.len().checked_sub(x.len()).ok_or_else(error)?;
        let own = |i: usize| i.checked_sub(added).map(|i| x[i]);
        let size = |(i, &size): (usize, &isize)| match (size, own(i)) {
            (-1, Some(own)) => Ok(own),
            (1.., None | Some(1)) => Ok(size.unsigned_abs()),
            (1.., Some(own)) if own == size.unsigned_abs() => Ok(own),
            _ => Err(error()),
        };
        let shape: Shape = self.sizes.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>()?.into();
        eight(&shape, 1)?;
        if u32::try_from(shape.elements()).is_err() {
            return Err(ErrorKind::argument("sizes", "fewer than 2^32 elements", shape));
        }
        Ok(vec![shape])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(vec![kernel(io, vec![Layout::ROWS])?])
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(0)).reach(Reach::Pixel)
    }
}

impl Op for ExpandAs {
    fn name(&self) -> &'static str {
        "expand_as"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, like] = expect_inputs::<2>(inputs)?;
        if x.broadcast(like).as_ref() != Some(like) {
            return Err(ErrorKind::argument("other", format_args!("what {x} is repeated to"), like));
        }
        eight(like, 1)?;
        Ok(vec![like.clone()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        Ok(inputs[..1].to_vec())
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        // The second input may have any layout, so that it is never converted.
        let places = image_storage(caps).iter();
        let layouts = places.flat_map(|&storage| [Layout::channels(storage), Layout::rows_vec4(storage)]);
        layouts.chain([Layout::ROWS]).map(|like| kernel(io, vec![Layout::ROWS, like])).collect()
    }

    /// Counts no reads of the second input.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let moves = (io.inputs[0].elements() as u64).saturating_add(io.written());
        Metrics::new(Cost { moves: Some(moves), ..Cost::held(0) }).reach(Reach::Pixel)
    }
}

impl Graph {
    /// Adds an [`Expand`]; -1 leaves a size as it is.
    pub fn expand(&mut self, x: Value, sizes: impl Into<Vec<isize>>) -> Result<Value> {
        self.push(Expand::new(sizes), &[x])
    }

    /// Adds an [`ExpandAs`].
    pub fn expand_as(&mut self, x: Value, like: Value) -> Result<Value> {
        self.push(ExpandAs, &[x, like])
    }
}
