//! Options for drawing an output.

use super::colors::{Channels, ColorSpace, Colors};

/// The meaning of an output's values.
#[derive(Clone, Debug)]
pub(super) enum Show {
    /// Channels that are colors.
    Image,
    /// One number a pixel, between these two.
    Ramp([f32; 2]),
    /// A score for each class, or the class.
    Classes,
}

/// The options for drawing an output into a texture.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub(super) show: Show,
    pub(super) colors: Colors,
    /// The colors of a ramp or of classes.
    pub(super) palette: Vec<[f32; 4]>,
    pub(super) clamp: bool,
    pub(super) filter: Filter,
    pub(super) alpha: Alpha,
}

/// The interpolation for resizing an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The pixel of the output that contains the centre.
    Nearest,
    /// Bilinear interpolation, as in [`TextureInput`](super::TextureInput).
    Linear,
}

/// The source of the texture's alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpha {
    /// The drawing: an image's fourth channel (1 without one), the alpha of a ramp's or a palette's colors.
    Drawn,
    /// A constant 1.
    Opaque,
    /// Another texture, such as a filter's source: [`bind_keeping`](super::TextureOutput::bind_keeping) takes it.
    Kept,
    /// The target itself, whose alpha is left as it is. For attachments only.
    Left,
}

impl Drawing {
    fn new(show: Show, palette: Vec<[f32; 4]>) -> Drawing {
        let (filter, alpha) = (Filter::Linear, Alpha::Drawn);
        Drawing { show, colors: Colors::new(), palette, clamp: true, filter, alpha }
    }

    /// Returns a drawing of one, three or four channels as colors; by default in 0..1 and sRGB-encoded.
    pub fn image() -> Drawing {
        Drawing::new(Show::Image, Vec::new())
    }

    /// Returns a drawing of one channel as colors, RGBA in 0..1: the first color for `range[0]` and below, the last for
    /// `range[1]` and above, the others evenly between. A NaN has no color: all four channels are NaN.
    pub fn ramp(range: [f32; 2], colors: impl Into<Vec<[f32; 4]>>) -> Drawing {
        Drawing::new(Show::Ramp(range), colors.into())
    }

    /// Returns a drawing of each pixel in the color of its class. The class is the channel with the greatest score (the
    /// first of equal ones; NaN is the greatest), or the pixel's `i32` if the output has integers. Scores are resized,
    /// then compared; integers are never mixed. If there are more classes than colors, the colors repeat.
    pub fn classes(colors: impl Into<Vec<[f32; 4]>>) -> Drawing {
        Drawing::new(Show::Classes, colors.into())
    }

    /// Sets the channels of an image.
    #[must_use]
    pub fn channels(mut self, channels: Channels) -> Drawing {
        self.colors.channels = Some(channels);
        self
    }

    /// Sets the mean, which is added to the channels of an image after their multiplication by the
    /// [deviation](Drawing::std): it undoes [`Sampling::mean`](super::Sampling::mean).
    #[must_use]
    pub fn mean(mut self, mean: impl Into<Vec<f32>>) -> Drawing {
        self.colors.mean = Some(mean.into());
        self
    }

    /// Sets the deviation, a factor of an image's channels: one number, or one for each in the network's order.
    #[must_use]
    pub fn std(mut self, std: impl Into<Vec<f32>>) -> Drawing {
        self.colors.std = Some(std.into());
        self
    }

    /// Sets the clamping of colors to 0..1; on by default. NaN stays. Textures of normalized integers clamp anyway.
    #[must_use]
    pub fn clamp(self, clamp: bool) -> Drawing {
        Drawing { clamp, ..self }
    }

    /// Sets the interpolation; bilinear by default.
    #[must_use]
    pub fn filter(self, filter: Filter) -> Drawing {
        Drawing { filter, ..self }
    }

    /// Sets the source of the texture's alpha; the drawing by default.
    #[must_use]
    pub fn alpha(self, alpha: Alpha) -> Drawing {
        Drawing { alpha, ..self }
    }

    /// Sets the color space of the network's colors, or of the ramp or the palette; sRGB by default.
    #[must_use]
    pub fn network(mut self, space: ColorSpace) -> Drawing {
        self.colors.network = Some(space);
        self
    }

    /// Sets the color space that the shader writes. By default this is linear for sRGB formats, which encode on
    /// writing, and for floats; sRGB for other formats.
    #[must_use]
    pub fn texture(mut self, space: ColorSpace) -> Drawing {
        self.colors.texture = Some(space);
        self
    }

    /// Leaves the colors unconverted, whatever the texture's color space is.
    #[must_use]
    pub fn raw(mut self) -> Drawing {
        self.colors.network = None;
        self
    }
}
