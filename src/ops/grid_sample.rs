//! Sampling of images at places that another tensor gives.

use super::image_places;
use crate::error::{ErrorKind, Result, expect_inputs, expect_rank};
use crate::graph::op::{Cost, Io, Op};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Place};
use crate::{Graph, Shape, Value};
use bytemuck::{Pod, Zeroable};

/// How pixels between pixels are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridSampleMode {
    /// `"bilinear"`
    #[default]
    Bilinear,
    /// `"nearest"`; of two equally near, the even one.
    Nearest,
    /// `"bicubic"`, with a coefficient of -0.75.
    Bicubic,
}

/// What is outside of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridPadding {
    /// `"zeros"`
    #[default]
    Zeros,
    /// `"border"`: the nearest pixel of the image.
    Border,
    /// `"reflection"`: the image mirrored, as often as needed; at its edges, or with
    /// [`align_corners`](GridSample::align_corners) at the centres of its outermost pixels.
    Reflection,
}

/// `torch.nn.functional.grid_sample`: of images `[N, C, H, W]` and a grid `[N, H', W', 2]` of places `(x, y)`, the images at those
/// places, `[N, C, H', W']`. -1 and 1 are the edges of the image. A place that is NaN gives 0.
#[derive(Clone, Debug, Default)]
pub struct GridSample {
    mode: GridSampleMode,
    padding_mode: GridPadding,
    align_corners: bool,
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
    padding: u32,
    align_corners: u32,
}

impl GridSample {
    /// Bilinear, with zeros outside.
    pub fn new() -> GridSample {
        GridSample::default()
    }

    /// How pixels between pixels are computed.
    #[must_use]
    pub fn mode(self, mode: GridSampleMode) -> GridSample {
        GridSample { mode, ..self }
    }

    /// What is outside of the image.
    #[must_use]
    pub fn padding_mode(self, padding_mode: GridPadding) -> GridSample {
        GridSample { padding_mode, ..self }
    }

    /// Whether -1 and 1 are the centres of the outermost pixels, not their outer edges.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> GridSample {
        GridSample { align_corners, ..self }
    }

    /// The pixels along an axis that make one.
    fn taps(&self) -> u32 {
        match self.mode {
            GridSampleMode::Nearest => 1,
            GridSampleMode::Bilinear => 2,
            GridSampleMode::Bicubic => 4,
        }
    }
}

impl Op for GridSample {
    fn name(&self) -> &'static str {
        "grid_sample"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, grid] = expect_inputs::<2>(inputs)?;
        expect_rank("input", x, 4)?;
        match grid[..] {
            [n, h, w, 2] if n == x[0] => {
                let y = Shape::from([n, x[1], h, w]);
                super::expect_countable("grid", &y)?;
                Ok(vec![y])
            }
            _ => Err(ErrorKind::argument("grid", format_args!("[{}, H, W, 2]", x[0]), grid)),
        }
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
            padding: self.padding_mode as u32,
            align_corners: self.align_corners.into(),
        };
        let kernel = |&place: &Place| {
            let texture = place == Place::Texture;
            let shader = shader!("grid_sample", "index", "taps")
                .set("TAPS", self.taps())
                .texture("x", texture)
                .texture("y", texture);
            let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
            let dispatch = Dispatch::new(shader, &params, bindings, count.div_ceil(64));
            Kernel::new(vec![Layout::channels(place), Layout::ROWS], Layout::channels(place), dispatch)
        };
        Ok(image_places(caps).iter().map(kernel).collect())
    }

    /// A weighted sum of taps; where they lie and what they weigh isn't counted.
    fn cost(&self, io: &Io) -> Cost {
        let taps = u64::from(self.taps().pow(2));
        Cost::held(super::weighted(io.written(), taps))
    }
}

impl Graph {
    /// Adds a [`GridSample`].
    pub fn grid_sample(&mut self, x: Value, grid: Value, sample: GridSample) -> Result<Value> {
        self.push(sample, &[x, grid])
    }
}
