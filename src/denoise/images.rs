//! The images of a frame in host memory.

use crate::error::{ErrorKind, Result};

/// The images of one frame in host memory: rows of pixels from the top, each pixel's three or four channels together. A
/// fourth channel is alpha: that of the image is kept, that of guides is ignored.
///
/// Pixels may hold NaN, which counts as 0, and infinities, which count as the largest number.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    size: [usize; 2],
    image: &'a [f32],
    guides: [Option<&'a [f32]>; 2],
}

/// The names of the guides.
pub(super) const GUIDES: [&str; 2] = ["albedo", "normal"];

impl<'a> Images<'a> {
    /// Creates a frame of an image to denoise, of `[width, height]` pixels.
    pub fn new(size: [usize; 2], image: &'a [f32]) -> Images<'a> {
        Images { size, image, guides: [None; 2] }
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

    /// Returns width and height.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Returns the images as planes of three channels, `[3, H, W]` each, for a network that takes so many. An error names
    /// an image that is missing, superfluous or of another size.
    pub(super) fn planes(&self, count: usize) -> Result<Vec<Vec<f32>>> {
        let given = [Some(self.image), self.guides[0], self.guides[1]];
        let names = ["image", GUIDES[0], GUIDES[1]];
        let mut planes = Vec::new();
        for (i, (name, image)) in names.into_iter().zip(given).enumerate() {
            match image {
                Some(image) if i < count => planes.push(self.plane(name, image)?),
                None if i >= count => {}
                Some(_) => return Err(ErrorKind::argument(name, "none: the network takes none", "one").into()),
                None => return Err(ErrorKind::argument(name, "one: the network takes it", "none").into()),
            }
        }
        Ok(planes)
    }

    fn plane(&self, name: &str, image: &[f32]) -> Result<Vec<f32>> {
        let channels = self.channels(name, image)?;
        let channel = |c: usize| image.iter().skip(c).step_by(channels).copied();
        Ok((0..3).flat_map(channel).collect())
    }

    /// Returns the channels of an image: 3 or 4.
    fn channels(&self, name: &str, image: &[f32]) -> Result<usize> {
        let [width, height] = self.size;
        let pixels = width.saturating_mul(height);
        let channels =
            [3, 4].into_iter().find(|channels| pixels > 0 && image.len() == pixels.saturating_mul(*channels));
        let wanted = || format!("3 or 4 numbers for each of {width} x {height} pixels");
        Ok(channels.ok_or_else(|| ErrorKind::argument(name, wanted(), image.len()))?)
    }

    /// Returns denoised planes as pixels, with the alpha of the image.
    pub(super) fn pixels(&self, planes: &[f32]) -> Result<Vec<f32>> {
        let channels = self.channels("image", self.image)?;
        let count = planes.len() / 3;
        let number = |i: usize| match i % channels {
            3 => self.image[i],
            channel => planes[channel * count + i / channels],
        };
        Ok((0..self.image.len()).map(number).collect())
    }
}
