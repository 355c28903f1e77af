//! Pixel shuffle, which turns channels into pixels, and its inverse.

use super::image_storage;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach, Taps};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage};
use crate::shape::{expect_inputs, expect_rank};
use crate::{Graph, Shape, Value};

/// The order of the channels that become pixels, by ONNX's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShuffleMode {
    /// Column, row, depth: PyTorch's order. Channel `c r² + i r + j` is pixel `(i, j)` of channel `c`.
    #[default]
    Crd,
    /// Depth, column, row: ONNX's default. Channel `(i r + j) C + c` is pixel `(i, j)` of channel `c`.
    Dcr,
}

/// `torch.nn.PixelShuffle`: `[N, C r², H, W]` to `[N, C, H r, W r]`,
/// `y[c, h r + i, w r + j] = x[c r² + i r + j, h, w]`. ONNX's `DepthToSpace`, with its other mode.
#[derive(Clone, Debug)]
pub struct PixelShuffle {
    factor: usize,
    mode: ShuffleMode,
}

/// `torch.nn.PixelUnshuffle`: `[N, C, H r, W r]` to `[N, C r², H, W]`,
/// `y[c r² + i r + j, h, w] = x[c, h r + i, w r + j]`. ONNX's `SpaceToDepth` is the other mode.
#[derive(Clone, Debug)]
pub struct PixelUnshuffle {
    factor: usize,
    mode: ShuffleMode,
}

params! {
    struct Params {
        in_w: usize,
        in_c: usize,
        out_h: usize,
        out_w: usize,
        out_c: usize,
        factor: usize,
        count: usize,
    }
}

impl PixelShuffle {
    /// Creates a shuffle that makes images `factor` times as high and wide.
    pub fn new(factor: usize) -> PixelShuffle {
        PixelShuffle { factor, mode: ShuffleMode::Crd }
    }

    /// Sets the order of channels.
    #[must_use]
    pub fn mode(self, mode: ShuffleMode) -> PixelShuffle {
        PixelShuffle { mode, ..self }
    }
}

impl PixelUnshuffle {
    /// Creates the inverse of a shuffle by `factor`.
    pub fn new(factor: usize) -> PixelUnshuffle {
        PixelUnshuffle { factor, mode: ShuffleMode::Crd }
    }

    /// Sets the order of channels.
    #[must_use]
    pub fn mode(self, mode: ShuffleMode) -> PixelUnshuffle {
        PixelUnshuffle { mode, ..self }
    }
}

fn kernels(io: &Io, caps: &Caps, factor: usize, mode: ShuffleMode, unshuffle: bool) -> Vec<Kernel> {
    let (x, y) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]));
    let kernel = |from: Storage, writes: Layout| {
        // A texel holds four channels of a pixel, or four pixels of a row.
        let count = if writes == Layout::ROWS { io.outputs[0].elements() / 4 } else { y.n * y.h * y.w * y.c4() };
        let params = Params { in_w: x.w, in_c: x.c, out_h: y.h, out_w: y.w, out_c: y.c, factor, count };
        let shader = shader!("pixel_shuffle", "index")
            .set("Y_ROWS", writes == Layout::ROWS)
            .set("UNSHUFFLE", unshuffle)
            .set("DEPTH_FIRST", mode == ShuffleMode::Dcr)
            .texture("x", from == Storage::Texture)
            .texture("y", writes.storage == Storage::Texture);
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let dispatch = Dispatch::for_each(shader, &params, bindings, count);
        Kernel::new(vec![Layout::channels(from)], writes, dispatch)
    };
    let places = image_storage(caps).iter().copied();
    let mut kernels: Vec<Kernel> = places.clone().map(|storage| kernel(storage, Layout::channels(storage))).collect();
    // Often a network's last operation: if a row of pixels is whole texels, it writes the layout of the API directly.
    if !unshuffle && y.w % 4 == 0 {
        kernels.extend(places.map(|storage| kernel(storage, Layout::ROWS)));
    }
    kernels
}

impl Op for PixelShuffle {
    fn name(&self) -> &'static str {
        "pixel_shuffle"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 4)?;
        let square = self.factor.saturating_mul(self.factor);
        if square == 0 || x[1] % square != 0 {
            return Err(ErrorKind::argument(
                "input",
                format_args!("a multiple of {square} channels (and not of 0)"),
                x,
            ));
        }
        Ok(vec![[x[0], x[1] / square, x[2].saturating_mul(self.factor), x[3].saturating_mul(self.factor)].into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(kernels(io, caps, self.factor, self.mode, false))
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        let taps = Taps::between(self.factor, 1, 1 - self.factor as i64, 0);
        Metrics::new(Cost::held(0)).reach(Reach::Window(vec![taps; 2]))
    }
}

impl Op for PixelUnshuffle {
    fn name(&self) -> &'static str {
        "pixel_unshuffle"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        expect_rank("input", x, 4)?;
        let r = self.factor;
        if r == 0 || x[2] % r != 0 || x[3] % r != 0 {
            let wanted = format!("a height and a width that are multiples of {r} (and not of 0)");
            return Err(ErrorKind::argument("input", wanted, x));
        }
        Ok(vec![[x[0], x[1].saturating_mul(r).saturating_mul(r), x[2] / r, x[3] / r].into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        Ok(kernels(io, caps, self.factor, self.mode, true))
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(0)).reach(Reach::Window(vec![Taps::window(self.factor, self.factor, 1, 0); 2]))
    }
}

impl Graph {
    /// Adds a [`PixelShuffle`].
    pub fn pixel_shuffle(&mut self, x: Value, factor: usize) -> Result<Value> {
        self.push(PixelShuffle::new(factor), &[x])
    }

    /// Adds a [`PixelUnshuffle`].
    pub fn pixel_unshuffle(&mut self, x: Value, factor: usize) -> Result<Value> {
        self.push(PixelUnshuffle::new(factor), &[x])
    }
}
