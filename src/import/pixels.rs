//! Pictures as the numbers of an input, for networks that say nothing of their pictures but a shape.

use super::image::decode;
use crate::error::{ErrorKind, Result};
use crate::{Data, Tensor};
use image::imageops::{FilterType, overlay};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage};
use std::fmt;
use std::io::Cursor;
use std::path::Path;

/// The order of a picture's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelOrder {
    /// Plane by plane, `[N, C, H, W]`: PyTorch's.
    Nchw,
    /// Pixel by pixel, `[N, H, W, C]`: TensorFlow's.
    Nhwc,
}

/// The way in which a picture gets an input's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitting {
    /// Each side is scaled by itself.
    Stretch,
    /// The whole picture is scaled to fit, in the middle; the rest is black.
    Fit,
    /// The picture is scaled to cover all; what stands out on two sides is cut off.
    Crop,
}

/// The conversion of a picture to the numbers of an input: it is scaled, then each channel's byte `b` becomes
/// `(low + b / 255 (high - low) - mean) / std`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// The order of the numbers.
    pub order: PixelOrder,
    /// The number of channels: 1 (grey), 3 (red, green, blue) or 4 (and alpha).
    pub channels: usize,
    /// Height and width of the input. `None` for one that follows from the other by the picture's proportions; both for the
    /// picture's own.
    pub size: [Option<usize>; 2],
    /// The way in which the picture gets that size. Scaling is bilinear and antialiased.
    pub fitting: Fitting,
    /// Blue first.
    pub bgr: bool,
    /// The numbers of bytes 0 and 255, before the mean is subtracted.
    pub range: [f32; 2],
    /// The number subtracted from each channel, in the order of the input's channels.
    pub mean: [f32; 4],
    /// The number by which each channel is then divided.
    pub std: [f32; 4],
}

/// The longest side of an input, in pixels.
const LONGEST: usize = 1 << 14;

impl Pixels {
    /// Guesses how an input takes pictures, by its sizes, of which open ones are `None`: three or four sizes, one of which
    /// is a number of channels. RGB in 0..1, stretched. `None` if they don't look like a picture's.
    pub fn guess(sizes: &[Option<usize>]) -> Option<Pixels> {
        let channels = |size: Option<usize>| size.filter(|size| matches!(size, 1 | 3 | 4));
        let sizes = match sizes {
            [Some(1) | None, sizes @ ..] if sizes.len() == 3 => sizes,
            sizes if sizes.len() == 3 => sizes,
            _ => return None,
        };
        let (order, channels, size) = match (channels(sizes[0]), channels(sizes[2])) {
            (Some(channels), _) => (PixelOrder::Nchw, channels, [sizes[1], sizes[2]]),
            (None, Some(channels)) => (PixelOrder::Nhwc, channels, [sizes[0], sizes[1]]),
            (None, None) => return None,
        };
        let (range, mean, std) = ([0.0, 1.0], [0.0; 4], [1.0; 4]);
        Some(Pixels { order, channels, size, fitting: Fitting::Stretch, bgr: false, range, mean, std })
    }

    /// Returns the height and width that a picture of this height and width gets.
    pub fn size_for(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let scaled = |side: usize, to: usize, of: usize| {
            let side = (side as f64 * to as f64 / of.max(1) as f64).round();
            // A float becomes the nearest integer: `as` saturates.
            (side as usize).max(1)
        };
        match self.size {
            [Some(to), None] => [to, scaled(width, to, height)],
            [None, Some(to)] => [scaled(height, to, width), to],
            [to_height, to_width] => [to_height.unwrap_or(height), to_width.unwrap_or(width)],
        }
    }

    /// Reads a PNG or JPEG file: an input `[1, C, H, W]` or `[1, H, W, C]`, and the file's own height and width.
    pub fn open(&self, path: &Path) -> Result<(Tensor, [usize; 2])> {
        let picture = decode(path)?;
        let own = [picture.height() as usize, picture.width() as usize];
        Ok((self.tensor(&picture).map_err(|error| ErrorKind::file(path, error.kind))?, own))
    }

    /// Converts a picture.
    pub fn tensor(&self, picture: &DynamicImage) -> Result<Tensor> {
        let [height, width] = self.size_for([picture.height() as usize, picture.width() as usize]);
        for side in [height, width] {
            if !(1..=LONGEST).contains(&side) {
                return Err(ErrorKind::argument("picture", format!("sides of 1 to {LONGEST}"), side).into());
            }
        }
        let picture = match self.channels {
            1 => picture.to_luma8().into(),
            3 => picture.to_rgb8().into(),
            _ => picture.to_rgba8().into(),
        };
        let bytes = self.scaled(picture, height as u32, width as u32).into_bytes();
        let (channels, pixels) = (self.channels, height * width);
        let number = |channel: usize, pixel: usize| {
            let source = if self.bgr && channel < 3 && channels > 1 { 2 - channel } else { channel };
            let share = f32::from(bytes[pixel * channels + source]) / 255.0;
            let value = self.range[0] + share * (self.range[1] - self.range[0]);
            (value - self.mean[channel]) / self.std[channel]
        };
        let (shape, values): (_, Vec<f32>) = match self.order {
            PixelOrder::Nchw => {
                let plane = |channel| (0..pixels).map(move |pixel| (channel, pixel));
                let all = (0..channels).flat_map(plane);
                ([1, channels, height, width], all.map(|(channel, pixel)| number(channel, pixel)).collect())
            }
            PixelOrder::Nhwc => {
                let all = (0..pixels * channels).map(|i| number(i % channels, i / channels));
                ([1, height, width, channels], all.collect())
            }
        };
        Tensor::new(shape, values)
    }

    fn scaled(&self, picture: DynamicImage, height: u32, width: u32) -> DynamicImage {
        let [h, w] = [f64::from(picture.height()), f64::from(picture.width())];
        let [down, right] = [f64::from(height) / h, f64::from(width) / w];
        let sides = |factor: f64| [w, h].map(|side| ((side * factor).round() as u32).clamp(1, LONGEST as u32));
        let filter = FilterType::Triangle;
        match self.fitting {
            _ if [picture.width(), picture.height()] == [width, height] => picture,
            Fitting::Stretch => picture.resize_exact(width, height, filter),
            Fitting::Fit => {
                let [w, h] = sides(down.min(right));
                let [w, h] = [w.min(width), h.min(height)];
                let mut whole = DynamicImage::new(width, height, picture.color());
                let middle = [(width - w) / 2, (height - h) / 2].map(i64::from);
                overlay(&mut whole, &picture.resize_exact(w, h, filter), middle[0], middle[1]);
                whole
            }
            // What is cut off isn't scaled: a thread would become as long as it is thin.
            Fitting::Crop => {
                let factor = down.max(right);
                let kept = |side: u32, of: f64| ((f64::from(side) / factor).round() as u32).clamp(1, of as u32);
                let [w, h] = [kept(width, w), kept(height, h)];
                let (x, y) = ((picture.width() - w) / 2, (picture.height() - h) / 2);
                picture.crop_imm(x, y, w, h).resize_exact(width, height, filter)
            }
        }
    }
}

/// The conversion in words: the order, the range, the mean and the deviation.
impl fmt::Display for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colors = match (self.channels, self.bgr) {
            (1, _) => "grey",
            (3, false) => "RGB",
            (3, true) => "BGR",
            (_, false) => "RGBA",
            (_, true) => "BGRA",
        };
        let layout = if self.order == PixelOrder::Nchw { "nchw" } else { "nhwc" };
        let [low, high] = self.range;
        write!(f, "{colors}, {layout}, {low} to {high}")?;
        let (mean, std) = (&self.mean[..self.channels], &self.std[..self.channels]);
        if mean.iter().any(|&mean| mean != 0.0) || std.iter().any(|&std| std != 1.0) {
            write!(f, ", less {mean:?}, divided by {std:?}")?;
        }
        Ok(())
    }
}

/// Converts the first picture of an output to 8 bits: `[N, C, H, W]` or `[N, H, W, C]` of 1, 3 or 4 channels, with numbers
/// in 0..1, or in 0..255 if one is above 2. Numbers outside are clamped. `None` if the output isn't a picture.
pub fn picture(output: &Tensor) -> Option<DynamicImage> {
    let sizes: Vec<Option<usize>> = output.shape().iter().map(|&size| Some(size)).collect();
    let [_, sizes @ ..] = &sizes[..] else { return None };
    let pixels = Pixels::guess(sizes).filter(|_| sizes.len() == 3)?;
    let ([Some(height), Some(width)], channels) = (pixels.size, pixels.channels) else { return None };
    let (count, least) = (height * width, 2);
    if output.shape()[0] == 0 || height < least || width < least {
        return None;
    }
    let values = &output.to_f32()[..count * channels];
    let bytes = matches!(output.data(), Data::I32(_)) || values.iter().any(|&value| value > 2.0);
    let factor = if bytes { 1.0 } else { 255.0 };
    let at = |channel: usize, pixel: usize| match pixels.order {
        PixelOrder::Nchw => values[channel * count + pixel],
        PixelOrder::Nhwc => values[pixel * channels + channel],
    };
    // A float becomes the nearest byte: `as` saturates, and makes 0 of NaN.
    let all = (0..count).flat_map(|pixel| (0..channels).map(move |channel| (channel, pixel)));
    let raw: Vec<u8> = all.map(|(channel, pixel)| (at(channel, pixel) * factor).round() as u8).collect();
    let (w, h) = (width as u32, height as u32);
    match channels {
        1 => GrayImage::from_raw(w, h, raw).map(DynamicImage::ImageLuma8),
        3 => RgbImage::from_raw(w, h, raw).map(DynamicImage::ImageRgb8),
        _ => RgbaImage::from_raw(w, h, raw).map(DynamicImage::ImageRgba8),
    }
}

/// Writes a picture as a PNG, under its name only when complete.
pub fn save(path: &Path, picture: &DynamicImage) -> Result<()> {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).map_err(|error| ErrorKind::file(path, error))?;
    super::write_whole(path, png.get_ref())
}
