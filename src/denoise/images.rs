//! The images of a frame in host memory.

use super::tiles::Tile;
use crate::error::{ErrorKind, Result};

/// The images of one frame in host memory: rows of pixels from the top, each pixel's three or four channels together. A
/// fourth channel is alpha: that of the image is kept, that of guides is ignored.
///
/// Pixels may hold NaN, which counts as 0. Infinities of the image count as the largest number.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    size: [usize; 2],
    image: &'a [f32],
    guides: [Option<&'a [f32]>; 2],
    clamps: bool,
}

/// The number of pixels beyond an image: it counts as the least one, whose code is 0 in every channel of a network's input.
pub(super) const BEYOND: f32 = f32::MIN;

/// The distance from their range up to which guides are taken for numbers that were rounded.
const ROUNDING: f32 = 1e-3;

/// The names of the guides.
pub(super) const GUIDES: [&str; 2] = ["albedo", "normal"];

impl<'a> Images<'a> {
    /// Creates a frame of an image to denoise, of `[width, height]` pixels.
    pub fn new(size: [usize; 2], image: &'a [f32]) -> Images<'a> {
        Images { size, image, guides: [None; 2], clamps: false }
    }

    /// Sets the albedo: the colors in 0..1 of the first surface that a ray hits, without light, or of what a mirror or a
    /// pane of glass shows.
    #[must_use]
    pub fn albedo(self, albedo: &'a [f32]) -> Images<'a> {
        Images { guides: [Some(albedo), self.guides[1]], ..self }
    }

    /// Sets the normals: vectors in -1..1, in the space of the world or of the camera.
    #[must_use]
    pub fn normal(self, normal: &'a [f32]) -> Images<'a> {
        Images { guides: [self.guides[0], Some(normal)], ..self }
    }

    /// Takes the nearest numbers in range for guides out of range, as Open Image Denoise does. By default they are an error,
    /// from a distance of 1e-3 on: such images are often something else, or have another scale. NaN is 0 in any case.
    #[must_use]
    pub fn clamp_guides(self) -> Images<'a> {
        Images { clamps: true, ..self }
    }

    /// Returns width and height.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Checks the images, for a network that takes so many, and returns that to denoise. An error names an image that is
    /// missing, superfluous, of another size, or out of range.
    pub(super) fn checked(&self, count: usize) -> Result<&'a [f32]> {
        let images = taken([Some(self.image), self.guides[0], self.guides[1]], count)?;
        images.into_iter().enumerate().try_for_each(|(i, (name, image))| self.check(name, image, i))?;
        Ok(self.image)
    }

    /// Checks the size of an image, and the range of a guide.
    fn check(&self, name: &str, image: &[f32], i: usize) -> Result<()> {
        let [width, height] = self.size;
        let channels = channels(self.size, image);
        let wanted = || format!("3 or 4 numbers for each of {width} x {height} pixels");
        let channels = channels.ok_or_else(|| ErrorKind::argument(name, wanted(), image.len()))?;
        if i == 0 || self.clamps {
            return Ok(());
        }
        let least: f32 = if i == 1 { 0.0 } else { -1.0 };
        let outside = |(at, number): &(usize, &f32)| {
            at % channels < 3 && (**number < least - ROUNDING || **number > 1.0 + ROUNDING)
        };
        match image.iter().enumerate().find(outside) {
            Some((at, number)) => {
                let (pixel, channel) = (at / channels, at % channels);
                let place = format!("{name}: channel {channel} of pixel ({}, {})", pixel % width, pixel / width);
                let wanted = format!("{least} to 1 (Images::clamp_guides takes the nearest)");
                Err(ErrorKind::argument(place, wanted, number).into())
            }
            None => Ok(()),
        }
    }

    /// Returns a tile of so many images as planes of three channels, `[3, H, W]` each. Pixels beyond the image are [`BEYOND`].
    pub(super) fn planes(&self, count: usize, tile: &Tile) -> Vec<Vec<f32>> {
        let images = std::iter::once(self.image).chain(self.guides.into_iter().flatten());
        images.take(count).map(|image| self.plane(image, tile)).collect()
    }

    fn plane(&self, image: &[f32], tile: &Tile) -> Vec<f32> {
        let channels = image.len() / (self.size[0] * self.size[1]);
        let [width, height] = tile.size;
        let [x, y, w, h] = tile.within(self.size);
        let mut planes = vec![BEYOND; 3 * width * height];
        for (i, line) in planes.chunks_exact_mut(width).enumerate() {
            let (c, row) = (i / height, i % height);
            if row < h {
                let pixels = image[((y + row) * self.size[0] + x) * channels..].chunks_exact(channels);
                line[..w].iter_mut().zip(pixels).for_each(|(number, pixel)| *number = pixel[c]);
            }
        }
        planes
    }

    /// Puts those pixels of a tile that count into an image with the channels of the given one, whose alpha stays.
    pub(super) fn put(&self, image: &mut [f32], planes: &[f32], tile: &Tile) {
        let channels = image.len() / (self.size[0] * self.size[1]);
        let [x, y, w, h] = tile.core;
        let [column, first, ..] = tile.core_within();
        let [width, height] = tile.size;
        for row in 0..h {
            let pixels = image[((y + row) * self.size[0] + x) * channels..].chunks_exact_mut(channels).take(w);
            let at = (first + row) * width + column;
            for (i, pixel) in pixels.enumerate() {
                (0..3).for_each(|c| pixel[c] = planes[c * width * height + at + i]);
            }
        }
    }
}

/// Returns the images that a network of so many takes, with their names. An error names one that is missing or superfluous.
pub(super) fn taken<T>(given: [Option<T>; 3], count: usize) -> Result<Vec<(&'static str, T)>> {
    let mut taken = Vec::new();
    for (i, (name, image)) in ["image", GUIDES[0], GUIDES[1]].into_iter().zip(given).enumerate() {
        match image {
            Some(image) if i < count => taken.push((name, image)),
            None if i >= count => {}
            Some(_) => return Err(ErrorKind::argument(name, "none: the network takes none", "one").into()),
            None => return Err(ErrorKind::argument(name, "one: the network takes it", "none").into()),
        }
    }
    Ok(taken)
}

/// Returns the channels of an image: 3 or 4. `None` if it is of another size.
fn channels([width, height]: [usize; 2], image: &[f32]) -> Option<usize> {
    let pixels = width.saturating_mul(height);
    [3, 4].into_iter().find(|channels| pixels > 0 && image.len() == pixels.saturating_mul(*channels))
}
