//! Reshape, flatten, squeeze, unsqueeze: the same elements, in the same row-major order, under another shape. They copy nothing.

use super::{Conv2d, Linear, image_storage};
use crate::error::{ErrorKind, Result};
use crate::graph::constant::Constant;
use crate::graph::op::{Cost, Io, Op, same_dtype};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// `torch.reshape`. One size may be `-1`: what is left; a size of `0` is the input's at that place, as in ONNX (so that
/// a shape can leave the batch open).
#[derive(Clone, Debug)]
pub struct Reshape {
    sizes: Vec<isize>,
}

impl Reshape {
    /// A reshape to these sizes.
    pub fn new(sizes: impl Into<Vec<isize>>) -> Reshape {
        Reshape { sizes: sizes.into() }
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        let error =
            || ErrorKind::argument("shape", format_args!("as many elements as {x}"), format_args!("{:?}", self.sizes));
        let mut sizes = Vec::new();
        let mut open = None;
        for (i, &size) in self.sizes.iter().enumerate() {
            match size {
                -1 if open.is_none() => open = Some(i),
                0 => sizes.push(*x.get(i).ok_or_else(error)?),
                1.. => sizes.push(size as usize),
                _ => return Err(error()),
            }
        }
        if let Some(i) = open {
            let known: usize = sizes.iter().product();
            if known == 0 || x.elements() % known != 0 {
                return Err(error());
            }
            sizes.insert(i, x.elements() / known);
        }
        let shape = Shape::from(sizes);
        if shape.elements() != x.elements() {
            return Err(error());
        }
        Ok(vec![shape])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(views(io, caps))
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost::view()
    }
}

/// `torch.flatten(x, 1)`: all dimensions but the first as one.
#[derive(Clone, Copy, Debug)]
pub struct Flatten;

impl Op for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if x.is_empty() {
            return Err(ErrorKind::argument("input", "at least one dimension", x));
        }
        Ok(vec![[x[0], x[1..].iter().product()].into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(views(io, caps))
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost::view()
    }

    /// A linear layer on a flattened image is a convolution whose kernel is as large as the image.
    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        next.downcast_ref::<Linear>().map(|linear| Box::new(FlattenLinear(linear.clone())) as Box<dyn Op>)
    }
}

/// `torch.unsqueeze`: a dimension of size 1 at place `axis`.
#[derive(Clone, Copy, Debug)]
pub struct Unsqueeze {
    axis: usize,
}

/// `torch.squeeze`: without dimension `axis`, whose size must be 1.
#[derive(Clone, Copy, Debug)]
pub struct Squeeze {
    axis: usize,
}

impl Unsqueeze {
    /// A new dimension at place `axis`.
    pub fn new(axis: usize) -> Unsqueeze {
        Unsqueeze { axis }
    }
}

impl Squeeze {
    /// Without dimension `axis`.
    pub fn new(axis: usize) -> Squeeze {
        Squeeze { axis }
    }
}

impl Op for Unsqueeze {
    fn name(&self) -> &'static str {
        "unsqueeze"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if self.axis > x.len() {
            return Err(ErrorKind::argument("axis", format_args!("a place before, in or after {x}"), self.axis));
        }
        let mut sizes = x.to_vec();
        sizes.insert(self.axis, 1);
        Ok(vec![sizes.into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(views(io, caps))
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost::view()
    }
}

impl Op for Squeeze {
    fn name(&self) -> &'static str {
        "squeeze"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        if x.get(self.axis) != Some(&1) {
            return Err(ErrorKind::argument("axis", format_args!("a dimension of size 1 of {x}"), self.axis));
        }
        let mut sizes = x.to_vec();
        sizes.remove(self.axis);
        Ok(vec![sizes.into()])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        same_dtype(inputs)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(views(io, caps))
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost::view()
    }
}

/// A flatten and the linear layer after it, which needs the image's size to become a convolution.
#[derive(Clone, Debug)]
pub(super) struct FlattenLinear(Linear);

impl FlattenLinear {
    fn conv(&self, x: &Shape) -> Option<Conv2d> {
        let Image { c, h, w, .. } = Image::of(x);
        (x.len() == 4).then(|| self.0.as_conv2d(c, h, w)).flatten()
    }
}

impl Op for FlattenLinear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        let flat = Flatten.output_shapes(inputs)?;
        // The image's size is not yet known to be the same for every batch; that it is an image is.
        if self.conv(x).is_none() {
            return Err(ErrorKind::argument("input", "a batch of images", x));
        }
        self.0.output_shapes(&flat)
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let conv =
            self.conv(&io.inputs[0]).ok_or_else(|| ErrorKind::argument("input", "a batch of images", &io.inputs[0]))?;
        let outputs = conv.output_shapes(io.inputs)?;
        conv.kernels(&Io { outputs: &outputs, ..*io }, caps)
    }

    fn cost(&self, io: &Io) -> Cost {
        self.0.cost(io)
    }

    fn parameters(&self) -> Vec<&Constant> {
        self.0.parameters()
    }

    fn fuse(&self, next: &dyn Op, position: usize) -> Option<Box<dyn Op>> {
        let fused = self.0.fuse(next, position)?;
        Some(Box::new(FlattenLinear(fused.downcast_ref::<Linear>()?.clone())))
    }
}

/// Row-major, always; by rows of `vec4`s, where both shapes have the same rows; and channels last, where both are pixels of the same
/// channels.
pub(crate) fn views(io: &Io, caps: &Caps) -> Vec<Kernel> {
    let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
    let mut views = vec![Kernel::view(Layout::ROWS, Layout::ROWS)];
    if io.inputs[0].last() == io.outputs[0].last() {
        let layouts = image_storage(caps).iter().map(|&storage| Layout::rows_vec4(storage));
        views.extend(layouts.map(|layout| Kernel::view(layout, layout)));
    }
    if x == y && io.inputs[0].len() >= 2 && io.outputs[0].len() >= 2 && x.h * x.w == 1 {
        let layouts = image_storage(caps).iter().map(|&storage| Layout::channels(storage));
        views.splice(0..0, layouts.map(|layout| Kernel::view(layout, layout)));
    }
    views
}

impl Graph {
    /// Adds a [`Reshape`].
    pub fn reshape(&mut self, x: Value, sizes: impl Into<Vec<isize>>) -> Result<Value> {
        self.push(Reshape::new(sizes), &[x])
    }

    /// Adds a [`Flatten`].
    pub fn flatten(&mut self, x: Value) -> Result<Value> {
        self.push(Flatten, &[x])
    }

    /// Adds an [`Unsqueeze`]: a dimension of size 1 at place `axis`.
    pub fn unsqueeze(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(Unsqueeze::new(axis), &[x])
    }

    /// Adds a [`Squeeze`]: without dimension `axis`, whose size is 1.
    pub fn squeeze(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(Squeeze::new(axis), &[x])
    }
}
