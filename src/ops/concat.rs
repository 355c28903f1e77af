//! Concatenation along an axis.

use super::binary::eight;
use super::channels::Part;
use super::image_storage;
use super::strided::{Walk, strided};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, same_dtype};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout, Storage};
use crate::{DType, Graph, Shape, Value};

/// `torch.cat`: tensors one after the other along `axis`. All their other sizes agree.
#[derive(Clone, Debug)]
pub struct Concat {
    axis: usize,
    /// The images that are half as high and wide as the others, and doubled: of those inputs, true.
    doubled: Vec<bool>,
}

impl Concat {
    /// Creates a concatenation along `axis`.
    pub fn new(axis: usize) -> Concat {
        Concat { axis, doubled: Vec::new() }
    }

    /// Returns this concatenation with one of its `count` images doubled, height and width, before it is joined.
    pub(crate) fn doubling(&self, input: usize, count: usize) -> Concat {
        let mut doubled = self.doubled.clone();
        doubled.resize(count, false);
        doubled[input] = true;
        Concat { doubled, ..*self }
    }

    fn is_doubled(&self, input: usize) -> bool {
        self.doubled.get(input).is_some_and(|doubled| *doubled)
    }

    /// Returns the shape of an input once it is doubled, if it is.
    fn seen(&self, input: usize, x: &Shape) -> Shape {
        let factor = |axis: usize| if axis >= 2 && self.is_doubled(input) { 2 } else { 1 };
        x.iter().enumerate().map(|(axis, size)| size * factor(axis)).collect::<Vec<_>>().into()
    }

    /// Returns the channels that this operation takes from each input, if it takes them in whole texels.
    pub(crate) fn parts(&self, io: &Io) -> Option<Vec<Part>> {
        if self.axis != 1 || !(3..=5).contains(&io.outputs[0].len()) {
            return None;
        }
        let mut begin = 0;
        let part = |(i, x): (usize, &Shape)| {
            let part = Part::new([x[1], 0], [io.outputs[0][1], begin], x[1]);
            begin += x[1];
            part.map(|part| Part { doubled: self.is_doubled(i), ..part })
        };
        io.inputs.iter().enumerate().map(part).collect()
    }

    /// Returns the kernel that copies the channels of images.
    fn images(&self, io: &Io, storage: Storage) -> Option<Kernel> {
        let parts = self.parts(io)?;
        let copy = |(i, part): (usize, &Part)| part.copy([i, 0], Image::new(&io.outputs[0]), storage);
        let layout = Layout::channels(storage);
        let dispatches = parts.iter().enumerate().map(copy).collect();
        Some(Kernel::several(vec![layout; io.inputs.len()], vec![layout], dispatches))
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let inputs: Vec<Shape> = inputs.iter().enumerate().map(|(i, x)| self.seen(i, x)).collect();
        let Some(first) = inputs.first() else { return Err(ErrorKind::argument("inputs", "at least one", 0)) };
        if self.axis >= first.len() {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of {first}"), self.axis));
        }
        eight(first, 1)?;
        let mut sizes = first.to_vec();
        sizes[self.axis] = 0;
        for (i, x) in inputs.iter().enumerate() {
            let fits = x.len() == first.len() && (0..x.len()).all(|d| d == self.axis || x[d] == first[d]);
            if !fits {
                let wanted = format!("{first} but for dimension {}", self.axis);
                return Err(ErrorKind::argument(format!("input {i}"), wanted, x));
            }
            sizes[self.axis] += x[self.axis];
        }
        Ok(vec![sizes.into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let images = image_storage(caps).iter().filter_map(|&storage| self.images(io, storage));
        if !self.doubled.is_empty() {
            return Ok(images.collect());
        }
        let strides = io.outputs[0].strides();
        let mut first = 0;
        let mut dispatches = Vec::new();
        for (i, x) in io.inputs.iter().enumerate() {
            let y = Walk { first, strides: strides.clone() };
            dispatches.push(strided([i, 0], x, &Walk::new(x), Some(&y))?);
            first += x[self.axis] * strides[self.axis];
        }
        let reads = vec![Layout::ROWS; io.inputs.len()];
        let rows = Kernel::several(reads, vec![Layout::ROWS], dispatches);
        Ok(std::iter::once(rows).chain(images).collect())
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(0)).reach(Reach::pixel_if(self.axis < 2 && self.doubled.is_empty()))
    }
}

impl Graph {
    /// Adds a [`Concat`].
    pub fn concat(&mut self, inputs: &[Value], axis: usize) -> Result<Value> {
        self.push(Concat::new(axis), inputs)
    }
}
