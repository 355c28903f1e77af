//! Pixel shuffle: channels become pixels.

use super::image_places;
use crate::error::{ErrorKind, Result, expect_inputs, expect_rank};
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Place};
use crate::{Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// `torch.nn.PixelShuffle`: `[N, C r², H, W]` to `[N, C, H r, W r]`, where `y[c, h r + i, w r + j] = x[c r² + i r + j, h, w]`.
#[derive(Clone, Debug)]
pub struct PixelShuffle {
    factor: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    in_w: u32,
    in4: u32,
    out_h: u32,
    out_w: u32,
    out_c: u32,
    factor: u32,
    count: u32,
}

impl PixelShuffle {
    /// A shuffle that makes images `factor` times as high and wide.
    pub fn new(factor: usize) -> PixelShuffle {
        PixelShuffle { factor }
    }
}

impl Op for PixelShuffle {
    fn name(&self) -> &'static str {
        "pixel_shuffle"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 4)?;
        let square = self.factor * self.factor;
        if square == 0 || x[1] % square != 0 {
            return Err(ErrorKind::argument(
                "input",
                format_args!("a multiple of {square} channels (and not of 0)"),
                x,
            ));
        }
        Ok(vec![[x[0], x[1] / square, x[2] * self.factor, x[3] * self.factor].into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (Image::of(&io.inputs[0]), Image::of(&io.outputs[0]));
        let kernel = |from: Place, writes: Layout| {
            // A texel holds four channels of a pixel, or four pixels of a row.
            let count = if writes == Layout::ROWS { io.outputs[0].elements() / 4 } else { y.n * y.h * y.w * y.c4() };
            let params = Params {
                in_w: x.w as u32,
                in4: x.c4() as u32,
                out_h: y.h as u32,
                out_w: y.w as u32,
                out_c: y.c as u32,
                factor: self.factor as u32,
                count: count as u32,
            };
            let shader = shader!("pixel_shuffle", "index")
                .set("Y_ROWS", writes == Layout::ROWS)
                .texture("x", from == Place::Texture)
                .texture("y", writes.place == Place::Texture);
            let bindings = vec![Binding::Input(0), Binding::Output(0)];
            let dispatch = Dispatch::new(shader, &params, bindings, count.div_ceil(64));
            Kernel::new(vec![Layout::channels(from)], writes, dispatch)
        };
        let places = image_places(caps).iter().copied();
        let mut kernels: Vec<Kernel> = places.clone().map(|place| kernel(place, Layout::channels(place))).collect();
        // Often a network's last act: straight to what the API gives, where a row of pixels is whole texels.
        if y.w % 4 == 0 {
            kernels.extend(places.map(|place| kernel(place, Layout::ROWS)));
        }
        Ok(kernels)
    }

    fn cost(&self, _io: &Io) -> Cost {
        Cost { activations: true, ..Cost::default() }
    }
}

impl Graph {
    /// Adds a [`PixelShuffle`].
    pub fn pixel_shuffle(&mut self, x: Value, factor: usize) -> Result<Value> {
        self.push(PixelShuffle::new(factor), &[x])
    }
}
