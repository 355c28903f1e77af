//! Sampling of images and volumes at positions that another tensor gives.

use super::image_storage;
use super::window::volume;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage};
use crate::shape::{expect_countable, expect_inputs};
use crate::{Graph, Shape, Value};

/// The interpolation between pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridSampleMode {
    /// `"bilinear"`; for volumes, in all three directions.
    #[default]
    Bilinear,
    /// `"nearest"`; a tie goes to the even pixel.
    Nearest,
    /// `"bicubic"`, with a coefficient of -0.75. For images only.
    Bicubic,
}

/// The values outside the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridPadding {
    /// `"zeros"`
    #[default]
    Zeros,
    /// `"border"`: the nearest pixel of the image.
    Border,
    /// `"reflection"`: the image mirrored as often as needed, at its edges or, with
    /// [`align_corners`](GridSample::align_corners), at the centres of its outermost pixels.
    Reflection,
}

/// `torch.nn.functional.grid_sample`: images `[N, C, H, W]`, sampled at a grid `[N, H', W', 2]` of positions `(x, y)`,
/// give `[N, C, H', W']`. -1 and 1 are the edges of the image. A position that is NaN gives NaN.
///
/// Volumes `[N, C, D, H, W]` are sampled at a grid `[N, D', H', W', 3]` of positions `(x, y, z)`.
#[derive(Clone, Debug, Default)]
pub struct GridSample {
    mode: GridSampleMode,
    padding_mode: GridPadding,
    align_corners: bool,
}

params! {
    struct Params {
        in_h: usize,
        in_w: usize,
        out_h: usize,
        out_w: usize,
        c: usize,
        count: usize,
        padding: u32,
        align_corners: u32,
    }
}

params! {
    /// The parameters for volumes. Sizes are `[depth, height, width]`.
    struct VolumeParams {
        input: [usize; 3],
        count: usize,
        output: [usize; 3],
        c: usize,
        padding: u32,
        align_corners: u32,
    }
}

impl GridSample {
    /// Creates a bilinear sampling with zeros outside.
    pub fn new() -> GridSample {
        GridSample::default()
    }

    /// Sets the interpolation between pixels.
    #[must_use]
    pub fn mode(self, mode: GridSampleMode) -> GridSample {
        GridSample { mode, ..self }
    }

    /// Sets the values outside the image.
    #[must_use]
    pub fn padding_mode(self, padding_mode: GridPadding) -> GridSample {
        GridSample { padding_mode, ..self }
    }

    /// Sets whether -1 and 1 are the centres of the outermost pixels, not their outer edges.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> GridSample {
        GridSample { align_corners, ..self }
    }

    /// Returns the number of pixels along an axis that a sample combines.
    fn taps(&self) -> u32 {
        match self.mode {
            GridSampleMode::Nearest => 1,
            GridSampleMode::Bilinear => 2,
            GridSampleMode::Bicubic => 4,
        }
    }

    fn of_volumes(&self, io: &Io) -> Kernel {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let params = VolumeParams {
            input: volume(x),
            count: y.elements(),
            output: volume(y),
            c: x[1],
            padding: self.padding_mode as u32,
            align_corners: self.align_corners.into(),
        };
        let shader = shader!("grid_sample3d", "index", "taps", "grid", "nan").set("TAPS", self.taps());
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        let dispatch = Dispatch::for_each(shader, &params, bindings, y.elements());
        Kernel::new(vec![Layout::ROWS; 2], Layout::ROWS, dispatch)
    }
}

impl Op for GridSample {
    fn name(&self) -> &'static str {
        "grid_sample"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, grid] = expect_inputs::<2>(inputs)?;
        let sizes = match x.len() {
            4 => "H, W, 2",
            5 => "D, H, W, 3",
            _ => return Err(ErrorKind::argument("input", "4 or 5 dimensions", x)),
        };
        if x.len() == 5 && self.mode == GridSampleMode::Bicubic {
            return Err(ErrorKind::argument("mode", "bilinear or nearest for volumes", "bicubic"));
        }
        if grid.len() != x.len() || grid[0] != x[0] || grid[grid.len() - 1] != x.len() - 2 {
            return Err(ErrorKind::argument("grid", format_args!("[{}, {sizes}]", x[0]), grid));
        }
        let y = Shape::from([&x[..2], &grid[1..grid.len() - 1]].concat());
        expect_countable("grid", &y)?;
        Ok(vec![y])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        if io.inputs[0].len() == 5 {
            return Ok(vec![self.of_volumes(io)]);
        }
        let (x, y) = (Image::new(&io.inputs[0]), Image::new(&io.outputs[0]));
        let count = y.n * y.h * y.w * y.c4();
        let params = Params {
            in_h: x.h,
            in_w: x.w,
            out_h: y.h,
            out_w: y.w,
            c: x.c,
            count,
            padding: self.padding_mode as u32,
            align_corners: self.align_corners.into(),
        };
        let kernel = |&storage: &Storage| {
            let texture = storage == Storage::Texture;
            let shader = shader!("grid_sample", "index", "taps", "grid", "nan")
                .set("TAPS", self.taps())
                .texture("x", texture)
                .texture("y", texture);
            let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
            let dispatch = Dispatch::for_each(shader, &params, bindings, count);
            Kernel::new(vec![Layout::channels(storage), Layout::ROWS], Layout::channels(storage), dispatch)
        };
        Ok(image_storage(caps).iter().map(kernel).collect())
    }

    /// Counts a weighted sum of taps, without the arithmetic of their positions and weights.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let taps = u64::from(self.taps().pow(io.inputs[0].len() as u32 - 2));
        Metrics::new(Cost::held(super::sampling::weighted(io.written(), taps)))
    }
}

impl Graph {
    /// Adds a [`GridSample`].
    pub fn grid_sample(&mut self, x: Value, grid: Value, sample: GridSample) -> Result<Value> {
        self.push(sample, &[x, grid])
    }
}
