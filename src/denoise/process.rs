//! The first and the last operation of a denoising network: images to its input, and its output to an image.

use super::content::Content;
use super::unet::ALIGNMENT;
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::graph::op::{Cost, Io, Metrics, Op, Reach};
use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Storage};
use crate::ops::image_storage;
use crate::shape::{expect_countable, expect_inputs};

/// The input of a network, `[1, 3 n, H', W']`: of a factor `[1]`, the image to denoise, and up to two guides, albedo and
/// normals, each `[1, 3, H, W]`.
///
/// NaN is 0. The image is multiplied by the factor, bounded, and encoded by its transfer function; guides are bounded.
/// Numbers in -1..1, such as normals, become numbers in 0..1. Sides are rounded up to multiples of 16, and the pixels below and
/// to the right are 0. Source: `devices/gpu/gpu_input_process.h` of Open Image Denoise.
#[derive(Clone, Copy, Debug)]
pub(super) struct DenoiseInput(pub(super) Content);

/// The denoised image, `[1, 3, H, W]`: of the factor `[1]` of [`DenoiseInput`] and the network's output `[1, 3, H', W']`.
///
/// NaN is 0, and so are numbers below it. Source: `devices/gpu/gpu_output_process.h` of Open Image Denoise.
#[derive(Clone, Copy, Debug)]
pub(super) struct DenoiseOutput {
    pub(super) content: Content,
    /// Height and width.
    pub(super) size: [usize; 2],
}

params! {
    struct InputParams {
        width: usize,
        height: usize,
        out_w: usize,
        out_h: usize,
        lo: f32,
        hi: f32,
        largest: f32,
    }
}

params! {
    struct OutputParams {
        width: usize,
        height: usize,
        in_w: usize,
        most: f32,
        largest: f32,
    }
}

fn expect_factor(factor: &Shape) -> Result<(), ErrorKind> {
    if factor[..] == [1] { Ok(()) } else { Err(ErrorKind::argument("factor", "[1]", factor)) }
}

/// Returns the largest number that an image may have.
fn most(content: Content) -> f32 {
    if content.is_hdr() { f32::MAX } else { 1.0 }
}

impl Op for DenoiseInput {
    fn name(&self) -> &'static str {
        "denoise_input"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [factor, images @ ..] = inputs else { return Err(ErrorKind::argument("inputs", "2 to 4", 0)) };
        expect_factor(factor)?;
        let (count, first) = (images.len(), images.first().map_or(&[][..], |first| &first[..]));
        let &[1, 3, h, w] = first else { return Err(ErrorKind::argument("image", "[1, 3, H, W]", Shape::from(first))) };
        if count > 3 {
            return Err(ErrorKind::argument("inputs", "2 to 4", inputs.len()));
        }
        if let Some(other) = images.iter().find(|image| image[..] != *first) {
            return Err(ErrorKind::argument("guide", &images[0], other));
        }
        let [h, w] = [h, w].map(|side| side.next_multiple_of(ALIGNMENT));
        // Images are read by their pixels' numbers, too.
        expect_countable("image", &[3 * count, h, w])?;
        Ok(vec![[1, 3 * count, h, w].into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let (x, y) = (Image::new(&io.inputs[1]), Image::new(&io.outputs[0]));
        let guides = io.inputs.len() - 2;
        let params = InputParams {
            width: x.w,
            height: x.h,
            out_w: y.w,
            out_h: y.h,
            lo: if self.0.is_signed() { -1.0 } else { 0.0 },
            hi: most(self.0),
            largest: self.0.transfer().largest(),
        };
        // The shader declares two guides. It doesn't read those that there aren't.
        let guide = |i: usize| Binding::Input(if i < guides { 2 + i } else { 1 });
        let kernel = |&storage: &Storage| {
            let shader = shader!("denoise_input", "index", "nan", "transfer")
                .set("TRANSFER", self.0.transfer() as u32)
                .set("GUIDES", guides as u32)
                .set("SIGNED", self.0.is_signed())
                .texture("y", storage == Storage::Texture);
            let bindings = vec![Binding::Input(0), Binding::Input(1), guide(0), guide(1), Binding::Output(0)];
            let dispatch = Dispatch::for_each(shader, &params, bindings, y.h * y.w);
            Kernel::new(vec![Layout::ROWS; io.inputs.len()], Layout::channels(storage), dispatch)
        };
        Ok(image_storage(caps).iter().map(kernel).collect())
    }

    /// Counts a multiplication, two bounds and a transfer function of four operations an element.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written().saturating_mul(7))).reach(Reach::Pixel)
    }
}

impl Op for DenoiseOutput {
    fn name(&self) -> &'static str {
        "denoise_output"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        let [factor, x] = expect_inputs::<2>(inputs)?;
        expect_factor(factor)?;
        let [h, w] = self.size;
        if h == 0 || w == 0 || x[..] != [1, 3, h.next_multiple_of(ALIGNMENT), w.next_multiple_of(ALIGNMENT)] {
            let wanted = format!("[1, 3, H, W], {h} and {w} rounded up to multiples of {ALIGNMENT}");
            return Err(ErrorKind::argument("input", wanted, x));
        }
        Ok(vec![[1, 3, h, w].into()])
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let [height, width] = self.size;
        let params = OutputParams {
            width,
            height,
            in_w: Image::new(&io.inputs[1]).w,
            most: most(self.content),
            largest: self.content.transfer().largest(),
        };
        let kernel = |&storage: &Storage| {
            let shader = shader!("denoise_output", "index", "nan", "transfer")
                .set("TRANSFER", self.content.transfer() as u32)
                .set("SIGNED", self.content.is_signed())
                .texture("x", storage == Storage::Texture);
            let bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
            let dispatch = Dispatch::for_each(shader, &params, bindings, height * width);
            Kernel::new(vec![Layout::ROWS, Layout::channels(storage)], Layout::ROWS, dispatch)
        };
        Ok(image_storage(caps).iter().map(kernel).collect())
    }

    /// Counts two bounds, a transfer function of four operations and a multiplication an element.
    fn metrics(&self, io: &Io) -> Metrics<'_> {
        Metrics::new(Cost::held(io.written().saturating_mul(7))).reach(Reach::Pixel)
    }
}
