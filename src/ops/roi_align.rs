//! Regions of images, each resampled to one size.

use super::index_select::places;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, expect_dtypes};
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, looped, plain};
use crate::shape::{expect_countable, expect_inputs, expect_rank};
use crate::{DType, Graph, Shape, Value};

/// The function of the samples in a part of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoiAlignMode {
    /// The mean of the samples.
    #[default]
    Average,
    /// The largest of the weighted pixels that the samples are sums of, as in ONNX.
    Max,
}

/// `torchvision.ops.roi_align`, ONNX's `RoiAlign`: of images `[N, C, H, W]` and regions `[R, 4]`, each
/// `(x1, y1, x2, y2)`, it makes images `[R, C, H', W']`. A third input, `i32`s `[R]`, has the index of each region's
/// image. A session refuses indices out of range; without a check the nearest index is taken.
///
/// A region is divided into `H' x W'` parts. Each part is sampled bilinearly at a grid of positions. A sample more than
/// a pixel outside of the image is 0.
#[derive(Clone, Copy, Debug)]
pub struct RoiAlign {
    size: [usize; 2],
    spatial_scale: f32,
    sampling_ratio: usize,
    aligned: bool,
    mode: RoiAlignMode,
}

params! {
    struct Params {
        n: usize,
        c: usize,
        in_h: usize,
        in_w: usize,
        out_h: usize,
        out_w: usize,
        count: usize,
        samples: usize,
        scale: f32,
        aligned: u32,
        start: f32,
    }
}

impl RoiAlign {
    /// Creates an alignment to images of that size, `[vertical, horizontal]`.
    pub fn new(size: [usize; 2]) -> RoiAlign {
        let mode = RoiAlignMode::Average;
        RoiAlign { size, spatial_scale: 1.0, sampling_ratio: 0, aligned: false, mode }
    }

    /// Sets the number of image pixels in a unit of the regions.
    #[must_use]
    pub fn spatial_scale(self, spatial_scale: f32) -> RoiAlign {
        RoiAlign { spatial_scale, ..self }
    }

    /// Sets the samples of a part along each axis. 0: one a pixel, rounded up, and at most the image's size.
    #[must_use]
    pub fn sampling_ratio(self, sampling_ratio: usize) -> RoiAlign {
        RoiAlign { sampling_ratio, ..self }
    }

    /// Sets whether pixels are areas with centres at a half: ONNX's `half_pixel`, its default. Otherwise they are
    /// points, and a region is at least one pixel long: `output_half_pixel`.
    #[must_use]
    pub fn aligned(self, aligned: bool) -> RoiAlign {
        RoiAlign { aligned, ..self }
    }

    /// Sets the function of the samples.
    #[must_use]
    pub fn mode(self, mode: RoiAlignMode) -> RoiAlign {
        RoiAlign { mode, ..self }
    }
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        "roi_align"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x, rois, batch] = expect_inputs::<3>(inputs)?;
        expect_rank("input", x, 4)?;
        let [regions, 4] = rois[..] else {
            return Err(ErrorKind::argument("rois", "[R, 4]", rois));
        };
        if batch[..] != [regions] {
            return Err(ErrorKind::argument("batch_indices", format_args!("[{regions}]"), batch));
        }
        let [h, w] = self.size;
        if h == 0 || w == 0 {
            return Err(ErrorKind::argument("output_size", "1 or more", 0));
        }
        // More samples don't differ in anything, and would keep a device busy for long.
        if self.sampling_ratio > 1 << 10 {
            return Err(ErrorKind::argument("sampling_ratio", "at most 1024", self.sampling_ratio));
        }
        if !self.spatial_scale.is_finite() {
            return Err(ErrorKind::argument("spatial_scale", "a finite number", self.spatial_scale));
        }
        let y = Shape::from([regions, x[1], h, w]);
        expect_countable("output_size", &y)?;
        Ok(vec![y])
    }

    fn output_dtypes(&self, inputs: &[DType]) -> Result<Vec<DType>, ErrorKind> {
        expect_dtypes(inputs, |i| if i == 2 { DType::I32 } else { DType::F32 })?;
        Ok(vec![DType::F32])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let largest = self.mode == RoiAlignMode::Max;
        let params = Params {
            n: x[0],
            c: x[1],
            in_h: x[2],
            in_w: x[3],
            out_h: y[2],
            out_w: y[3],
            count: y.elements(),
            samples: self.sampling_ratio,
            scale: self.spatial_scale,
            aligned: self.aligned.into(),
            start: if largest { f32::NEG_INFINITY } else { 0.0 },
        };
        // The regions aren't known yet: they may be as large as the image.
        let [down, across] = if self.sampling_ratio > 0 { [self.sampling_ratio; 2] } else { [x[2], x[3]] };
        let iterations = |lanes: usize| looped(down.div_ceil(lanes), plain(across)).all + 16;
        let lanes = if iterations(1) <= caps.max_loop_iterations as usize { 1 } else { 256 };
        let columns = 64usize.div_ceil(lanes);
        let shader = shader!("roi_align", "index", "nan")
            .set("MAX", largest)
            .set("LANES", lanes as u32)
            .set("COLUMNS", columns as u32);
        let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Input(2), Binding::Output(0)];
        let dispatch =
            Dispatch::new(shader, &params, bindings, y.elements().div_ceil(columns)).iterations(iterations(lanes));
        Ok(vec![Kernel::new(vec![Layout::ROWS; 3], Layout::ROWS, dispatch).with_range(2, places(x[0]))])
    }

    /// Counts a weighted sum of four pixels a sample, and the mean; one sample if the regions decide the number.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        let samples = (self.sampling_ratio.max(1) as u64).pow(2);
        let sampled = super::sampling::weighted(io.written(), 4).saturating_add(io.written());
        Metrics::new(Cost::held(samples.saturating_mul(sampled)))
    }
}

impl Graph {
    /// Adds a [`RoiAlign`].
    pub fn roi_align(&mut self, x: Value, rois: Value, batch_indices: Value, align: RoiAlign) -> Result<Value> {
        self.push(align, &[x, rois, batch_indices])
    }
}
