//! The exposure of an image, measured on the device.

use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, plain};
use crate::shape::expect_inputs;

/// The factor that brings the luminance of an image `[1, 3, H, W]` to [`KEY`]: one number.
///
/// The luminance is the geometric mean of the bins' mean luminances. Bins are 16x16 pixels at most and of equal size, up
/// to a pixel; those up to [`LEAST`] don't count, and without any the factor is 1. Source: `core/autoexposure.h` and
/// `training/color.py` of Open Image Denoise. There a bin of infinite luminance makes the factor 0, and the image black; here it doesn't count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exposure;

/// The luminance that an image is brought to: middle grey.
const KEY: f32 = 0.18;

/// The greatest luminance of a bin that is taken for black.
const LEAST: f32 = 1e-8;

/// The longest side of a bin, in pixels: a workgroup has 16x16 invocations.
const BIN: usize = 16;

/// The bins that one turn of `shaders/exposure.wgsl` adds.
const TURN: usize = 256 * 4;

params! {
    struct BinParams {
        width: usize,
        height: usize,
        columns: usize,
        rows: usize,
    }
}

params! {
    struct Params {
        count: usize,
        key: f32,
        least: f32,
    }
}

impl Op for Exposure {
    fn name(&self) -> &'static str {
        "exposure"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [x] = expect_inputs::<1>(inputs)?;
        match x[..] {
            [1, 3, _, _] => Ok(vec![[1].into()]),
            _ => Err(ErrorKind::argument("input", "[1, 3, H, W]", x)),
        }
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let Image { h, w, .. } = Image::new(&io.inputs[0]);
        let [columns, rows] = [w, h].map(|side| side.div_ceil(BIN));
        let count = columns * rows;
        let bins = |write: bool| Binding::Scratch { index: 0, bytes: 4 * count as u64, write };
        let shader = shader!("exposure_bins", "index", "nan", "transfer");
        let params = BinParams { width: w, height: h, columns, rows };
        let first = Dispatch::new(shader, &params, vec![Binding::Input(0), bins(true)], count).iterations(BIN);
        let shader = shader!("exposure", "index", "nan");
        let params = Params { count, key: KEY, least: LEAST };
        let second = Dispatch::new(shader, &params, vec![bins(false), Binding::Output(0)], 1);
        let second = second.iterations(plain(count.div_ceil(TURN)).all + BIN);
        Ok(vec![Kernel::several(vec![Layout::ROWS], vec![Layout::ROWS], vec![first, second])])
    }

    /// Counts two bounds, a weighting and an addition an element.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.read().saturating_mul(4)))
    }
}
