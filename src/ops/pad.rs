//! Padding of images as an operation of its own.

use super::{PaddingMode, image_kernels};
use crate::error::{ErrorKind, Result, expect_inputs, expect_rank};
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Caps, Kernel};
use crate::{Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// `torch.nn.functional.pad` of the last two dimensions of `[N, C, H, W]`, with zeros or with the image's own pixels.
#[derive(Clone, Debug)]
pub struct Pad2d {
    padding: [usize; 4],
    mode: PaddingMode,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
    c4: u32,
    count: u32,
    top: u32,
    left: u32,
}

impl Pad2d {
    /// Padding by `[top, bottom, left, right]` pixels.
    pub fn new(padding: [usize; 4], mode: PaddingMode) -> Pad2d {
        Pad2d { padding, mode }
    }
}

impl Op for Pad2d {
    fn name(&self) -> &'static str {
        "pad2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 4)?;
        let [top, bottom, left, right] = self.padding;
        for (size, most) in [(x[2], top.max(bottom)), (x[3], left.max(right))] {
            let (room, wanted) = match self.mode {
                PaddingMode::Reflect => (size.saturating_sub(1), "less than the image's size"),
                PaddingMode::Circular => (size, "at most the image's size"),
                PaddingMode::Zeros | PaddingMode::Replicate => (usize::MAX, ""),
            };
            if most > room {
                return Err(ErrorKind::argument("padding", format_args!("{wanted}, {size}"), most));
            }
        }
        Ok(vec![[x[0], x[1], x[2] + top + bottom, x[3] + left + right].into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let count = y.n * y.h * y.w * y.c4();
        let params = Params {
            in_h: x.h as u32,
            in_w: x.w as u32,
            out_h: y.h as u32,
            out_w: y.w as u32,
            c4: x.c4() as u32,
            count: count as u32,
            top: self.padding[0] as u32,
            left: self.padding[2] as u32,
        };
        Ok(image_kernels(caps, &shader!("pad", "index").set("MODE", self.mode as u32), &params, count))
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost { activations: true, ..Cost::default() }
    }
}

impl Graph {
    /// Adds a [`Pad2d`] of `[top, bottom, left, right]` pixels.
    pub fn pad2d(&mut self, x: Value, padding: [usize; 4], mode: PaddingMode) -> Result<Value> {
        self.push(Pad2d::new(padding, mode), &[x])
    }
}
