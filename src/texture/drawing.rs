//! How outputs look.

use super::colors::{Channels, ColorSpace, Colors};

/// What an output shows.
#[derive(Clone, Debug)]
pub(super) enum Show {
    /// The channels are colors.
    Image,
    /// One number a pixel, between two.
    Ramp([f32; 2]),
    /// A score for each class, or the class.
    Classes,
}

/// How an output is drawn into a texture.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub(super) show: Show,
    pub(super) colors: Colors,
    /// Of a ramp or of classes.
    pub(super) palette: Vec<[f32; 4]>,
    pub(super) clamp: bool,
    pub(super) filter: Filter,
    pub(super) alpha: Alpha,
}

/// How an output is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Each pixel is the one that its centre lies in.
    Nearest,
    /// Bilinear, as [`TextureInput`](super::TextureInput) reads.
    Linear,
}

/// What becomes of the texture's alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpha {
    /// What is drawn has it: an image's fourth channel (1 without one), the alpha of a ramp's or a palette's colors.
    Drawn,
    /// 1.
    Opaque,
    /// That of another texture, which [`TextureOutput::bind_keeping`](super::TextureOutput::bind_keeping) takes: a filter's source.
    Kept,
    /// That of the target, which is left as it is. Attachments only.
    Left,
}

impl Drawing {
    fn new(show: Show, palette: Vec<[f32; 4]>) -> Drawing {
        let (filter, alpha) = (Filter::Linear, Alpha::Drawn);
        Drawing { show, colors: Colors::new(), palette, clamp: true, filter, alpha }
    }

    /// One, three or four channels as colors: in 0..1 and sRGB-encoded, unless said.
    pub fn image() -> Drawing {
        Drawing::new(Show::Image, Vec::new())
    }

    /// One channel as colors, RGBA in 0..1: the first of them for `range[0]` and below, the last for `range[1]` and above, the others
    /// evenly between. A NaN has no color: all four channels are NaN.
    pub fn ramp(range: [f32; 2], colors: impl Into<Vec<[f32; 4]>>) -> Drawing {
        Drawing::new(Show::Ramp(range), colors.into())
    }

    /// Each pixel in the color of its class: of the channel with the greatest score (the first of those; NaN is the greatest), or,
    /// where the output is an `i32` for each pixel, of that number. Scores are resized, then compared; numbers are never mixed. Where
    /// there are more classes than colors, these repeat.
    pub fn classes(colors: impl Into<Vec<[f32; 4]>>) -> Drawing {
        Drawing::new(Show::Classes, colors.into())
    }

    /// Which channels an image has.
    #[must_use]
    pub fn channels(mut self, channels: Channels) -> Drawing {
        self.colors.channels = Some(channels);
        self
    }

    /// What is added to the channels of an image, after they are multiplied with the [deviation](Drawing::std): what
    /// [`Sampling::mean`](super::Sampling::mean) has subtracted.
    #[must_use]
    pub fn mean(mut self, mean: impl Into<Vec<f32>>) -> Drawing {
        self.colors.mean = Some(mean.into());
        self
    }

    /// What the channels of an image are multiplied with: one number, or one for each in the order of the network.
    #[must_use]
    pub fn std(mut self, std: impl Into<Vec<f32>>) -> Drawing {
        self.colors.std = Some(std.into());
        self
    }

    /// Whether colors are clamped to 0..1, as they are unless said; NaN stays. Textures of normalized integers do it anyway.
    #[must_use]
    pub fn clamp(self, clamp: bool) -> Drawing {
        Drawing { clamp, ..self }
    }

    /// How the output is resized: bilinearly, unless said.
    #[must_use]
    pub fn filter(self, filter: Filter) -> Drawing {
        Drawing { filter, ..self }
    }

    /// What becomes of the texture's alpha: drawn, unless said.
    #[must_use]
    pub fn alpha(self, alpha: Alpha) -> Drawing {
        Drawing { alpha, ..self }
    }

    /// What the network's colors are, or those of the ramp or the palette: sRGB unless said.
    #[must_use]
    pub fn network(mut self, space: ColorSpace) -> Drawing {
        self.colors.network = Some(space);
        self
    }

    /// What a shader writes to the texture. Unless said: linear to sRGB formats, which are encoded as they are written, and to
    /// floats; sRGB to others.
    #[must_use]
    pub fn texture(mut self, space: ColorSpace) -> Drawing {
        self.colors.texture = Some(space);
        self
    }

    /// The colors unconverted, whatever the texture is.
    #[must_use]
    pub fn raw(mut self) -> Drawing {
        self.colors.network = None;
        self
    }
}
