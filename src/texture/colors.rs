//! Colors: the meaning of a texture's numbers and of a network's.

use crate::error::{ErrorKind, Result};

/// The encoding of numbers: proportional to light, or to how bright it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorSpace {
    /// Encoded by the curve of sRGB (IEC 61966-2-1), as in image files.
    Srgb,
    /// Proportional to light, as renderers compute.
    Linear,
}

impl ColorSpace {
    /// Returns the default color space in which shaders read and write textures of a format: sRGB formats are linear to
    /// a shader, normalized integers are sRGB as in image files, floats are linear.
    pub(super) fn from_format(format: wgpu::TextureFormat) -> ColorSpace {
        use wgpu::TextureFormat as F;
        let linear = format.is_srgb()
            || matches!(format, F::R16Float | F::Rg16Float | F::Rgba16Float | F::R32Float | F::Rg32Float)
            || matches!(format, F::Rgba32Float | F::Rg11b10Ufloat | F::Rgb9e5Ufloat);
        if linear { ColorSpace::Linear } else { ColorSpace::Srgb }
    }
}

/// The channels of a network, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Red, green, blue: the default for three channels.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Red, green, blue, alpha: the default for four channels.
    Rgba,
    /// Brightness: the default for one channel. An input takes the luma 0.2126 R + 0.7152 G + 0.0722 B (ITU-R BT.709)
    /// of the numbers that the network sees; an output is drawn as grey.
    Luma,
    /// The first channel alone.
    Red,
}

impl Channels {
    /// Returns the weights of red, green, blue and alpha in each channel.
    fn taken(self) -> &'static [[f64; 4]] {
        const UNIT: [[f64; 4]; 4] = [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.], [0., 0., 0., 1.]];
        match self {
            Channels::Rgb => &UNIT[..3],
            Channels::Bgr => &[UNIT[2], UNIT[1], UNIT[0]],
            Channels::Rgba => &UNIT,
            Channels::Luma => &[[0.2126, 0.7152, 0.0722, 0.0]],
            Channels::Red => &UNIT[..1],
        }
    }

    /// Returns the weights of each channel in red, green, blue and alpha.
    fn given(self) -> &'static [[f64; 4]] {
        if self == Channels::Luma { &[[1., 1., 1., 0.]] } else { self.taken() }
    }
}

/// The map `y = matrix x + offset`, the matrix by columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) matrix: [[f32; 4]; 4],
    pub(super) offset: [f32; 4],
}

/// The channels of a network, their normalization, and the color spaces.
#[derive(Clone, Debug)]
pub(super) struct Colors {
    pub(super) channels: Option<Channels>,
    /// The mean: one value for all channels, or one for each. `None`: the default.
    pub(super) mean: Option<Vec<f32>>,
    pub(super) std: Option<Vec<f32>>,
    /// The network's color space. `None`: numbers that aren't colors.
    pub(super) network: Option<ColorSpace>,
    pub(super) texture: Option<ColorSpace>,
}

impl Colors {
    pub(super) const fn new() -> Colors {
        Colors { channels: None, mean: None, std: None, network: Some(ColorSpace::Srgb), texture: None }
    }

    /// Returns the channels of a port that has this number of them; an error if the two don't agree.
    fn channels(&self, port: &str, count: usize) -> Result<Channels> {
        let default = match count {
            1 => Some(Channels::Luma),
            3 => Some(Channels::Rgb),
            4 => Some(Channels::Rgba),
            _ => None,
        };
        let channels = self.channels.or(default).filter(|channels| channels.taken().len() == count);
        let wanted = || match self.channels {
            Some(channels) => format!("{} for {channels:?}", channels.taken().len()),
            None => "1, 3 or 4".into(),
        };
        channels.ok_or_else(|| ErrorKind::argument(format!("the channels of \"{port}\""), wanted(), count).into())
    }

    /// Returns the mean and the deviation of each channel.
    fn normalization(&self, count: usize) -> Result<Vec<[f64; 2]>> {
        let each = |argument: &str, values: &Option<Vec<f32>>, default: f32, wanted: &str, serves: fn(f32) -> bool| {
            let values = values.clone().unwrap_or_else(|| vec![default]);
            if values.len() != 1 && values.len() != count {
                let wanted = if count == 1 { "1 value".into() } else { format!("1 or {count} values") };
                return Err(ErrorKind::argument(argument, wanted, values.len()));
            }
            match values.iter().find(|&&value| !serves(value)) {
                Some(value) => Err(ErrorKind::argument(argument, wanted, value)),
                None => Ok((0..count).map(move |c| f64::from(values[c % values.len()])).collect::<Vec<f64>>()),
            }
        };
        let mean = each("mean", &self.mean, 0.0, "finite numbers", f32::is_finite)?;
        let std = each("std", &self.std, 1.0, "finite numbers other than 0", |std| std.is_finite() && std != 0.0)?;
        Ok(mean.into_iter().zip(std).map(|(mean, std)| [mean, std]).collect())
    }

    /// Returns the map from RGBA to the channels of a network.
    pub(super) fn taken(&self, port: &str, count: usize) -> Result<Affine> {
        let mut affine = Affine { matrix: [[0.0; 4]; 4], offset: [0.0; 4] };
        let taken = self.channels(port, count)?.taken();
        for (c, (weights, [mean, std])) in taken.iter().zip(self.normalization(count)?).enumerate() {
            affine.offset[c] = (-mean / std) as f32;
            for (column, weight) in affine.matrix.iter_mut().zip(weights) {
                column[c] = (weight / std) as f32;
            }
        }
        Ok(affine)
    }

    /// Returns the map from the channels of a network to RGBA: the inverse, opaque without an alpha.
    pub(super) fn given(&self, port: &str, count: usize) -> Result<Affine> {
        let mut affine = Affine { matrix: [[0.0; 4]; 4], offset: [0.0; 4] };
        let given = self.channels(port, count)?.given();
        for ((weights, [mean, std]), column) in given.iter().zip(self.normalization(count)?).zip(&mut affine.matrix) {
            for i in 0..4 {
                column[i] = (weights[i] * std) as f32;
                affine.offset[i] += (weights[i] * mean) as f32;
            }
        }
        if given.iter().all(|weights| weights[3] == 0.0) {
            affine.offset[3] = 1.0;
        }
        Ok(affine)
    }

    /// Returns the shaders' `CONVERT`, from textures of a format to the network, or back.
    pub(super) fn convert(&self, format: wgpu::TextureFormat, back: bool) -> u32 {
        let texture = self.texture.unwrap_or_else(|| ColorSpace::from_format(format));
        match self.network {
            Some(network) if network == texture => 0,
            None => 0,
            Some(network) => 1 + u32::from((network == ColorSpace::Linear) != back),
        }
    }
}
