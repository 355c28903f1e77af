//! Reshape, flatten, squeeze, unsqueeze: another shape for the same row-major elements. They copy nothing.

use super::{Conv2d, Linear, image_storage};
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, same_dtype};
use crate::kernel::layout::Image;
use crate::kernel::{Caps, Kernel, Layout};
use crate::shape::expect_inputs;
use crate::{DType, Graph, Shape, Value};

/// The part that is the same in all operations here: any elements, kernels that are views, no cost.
macro_rules! copies_nothing {
    () => {
        fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
            same_dtype(inputs)
        }

        fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
            Ok(views(io, caps))
        }

        fn metrics(&self, _io: &Io) -> Metrics<'_> {
            Metrics::new(Cost::view())
        }
    };
}

/// `torch.reshape`. One size may be `-1`: it takes the remaining elements. A size of `0` is the input's size at that
/// position, as in ONNX, so that a shape can leave the batch open.
#[derive(Clone, Debug)]
pub struct Reshape {
    sizes: Vec<isize>,
}

impl Reshape {
    /// Creates a reshape to these sizes.
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

    copies_nothing!();
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

    copies_nothing!();

    /// Fuses with a linear layer: on a flattened image that is a convolution with a kernel as large as the image.
    fn fuse(&self, next: &dyn Op, _position: usize) -> Option<Box<dyn Op>> {
        next.downcast_ref::<Linear>().map(|linear| Box::new(FlattenLinear(linear.clone())) as Box<dyn Op>)
    }
}

/// `torch.unsqueeze`: inserts a dimension of size 1 at position `axis`.
#[derive(Clone, Copy, Debug)]
pub struct Unsqueeze {
    axis: usize,
}

/// `torch.squeeze`: removes dimension `axis`, whose size must be 1.
#[derive(Clone, Copy, Debug)]
pub struct Squeeze {
    axis: usize,
}

impl Unsqueeze {
    /// Inserts a dimension at position `axis`.
    pub fn new(axis: usize) -> Unsqueeze {
        Unsqueeze { axis }
    }
}

impl Squeeze {
    /// Removes dimension `axis`.
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

    copies_nothing!();
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

    copies_nothing!();
}

/// A flatten and the linear layer after it. The convolution that replaces both needs the image's size.
#[derive(Clone, Debug)]
pub(super) struct FlattenLinear(Linear);

impl FlattenLinear {
    fn conv(&self, x: &Shape) -> Option<Conv2d> {
        let Image { c, h, w, .. } = Image::new(x);
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
        // The image's size isn't yet known to be the same for every batch; its number of dimensions is.
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

    fn metrics(&self, io: &Io) -> Metrics<'_> {
        self.0.metrics(io)
    }

    fn fuse(&self, next: &dyn Op, position: usize) -> Option<Box<dyn Op>> {
        let fused = self.0.fuse(next, position)?;
        Some(Box::new(FlattenLinear(fused.downcast_ref::<Linear>()?.clone())))
    }
}

/// Returns the views that serve: row-major, always; in rows of `vec4`s, if both shapes have the same rows; and channels
/// last, if both shapes are pixels of the same channels.
pub(crate) fn views(io: &Io, caps: &Caps) -> Vec<Kernel> {
    let (x, y) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]));
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

    /// Adds an [`Unsqueeze`]: a dimension of size 1 at position `axis`.
    pub fn unsqueeze(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(Unsqueeze::new(axis), &[x])
    }

    /// Adds a [`Squeeze`]: removes dimension `axis`, whose size is 1.
    pub fn squeeze(&mut self, x: Value, axis: usize) -> Result<Value> {
        self.push(Squeeze::new(axis), &[x])
    }
}
