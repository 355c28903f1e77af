//! Transposition: any permutation of the dimensions.

use super::binary::eight;
use super::strided::{Walk, strided};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, same_dtype};
use crate::kernel::{Caps, Kernel, Layout, Storage};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.permute`: dimension `i` of the output is dimension `order[i]` of the input.
#[derive(Clone, Debug)]
pub struct Transpose {
    order: Vec<usize>,
}

impl Transpose {
    /// Creates a permutation of the dimensions.
    pub fn new(order: impl Into<Vec<usize>>) -> Transpose {
        Transpose { order: order.into() }
    }

    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.len()) {
            let wanted = format!("a permutation of the {} dimensions of {x}", x.len());
            return Err(ErrorKind::argument("order", wanted, format_args!("{:?}", self.order)));
        }
        eight(x, 1)?;
        Ok(vec![self.order.iter().map(|&d| x[d]).collect::<Vec<_>>().into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let from = Walk { first: 0, strides: self.order.iter().map(|&d| x.strides()[d]).collect() };
        let strided = Kernel::new(vec![Layout::ROWS], Layout::ROWS, strided([0, 0], y, &from, None)?);
        // Images are stored channels last: a transposition to that order, or from that order, moves nothing.
        let (image, last) = (Layout::channels(Storage::Buffer), Layout::rows_vec4(Storage::Buffer));
        let views = match self.order[..] {
            [0, 2, 3, 1] => vec![Kernel::view(image, last)],
            [0, 3, 1, 2] => vec![Kernel::view(last, image)],
            [0, 2, 1] => vec![Kernel::view(image, last), Kernel::view(last, image)],
            _ => Vec::new(),
        };
        Ok(views.into_iter().chain([strided]).collect())
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(0))
    }
}

impl Graph {
    /// Adds a [`Transpose`].
    pub fn transpose(&mut self, x: Value, order: impl Into<Vec<usize>>) -> Result<Value> {
        self.push(Transpose::new(order), &[x])
    }
}
