//! The textures of a frame, and what their formats mean.

use super::content::Content;
use super::images::{BEYOND, taken};
use crate::error::{ErrorKind, Result};
use crate::texture::{Alpha, ColorSpace, Drawing, Filter, Sampling};

/// The textures of one frame: the image to denoise, the denoised one, and the guides. All have the same size, of which the first
/// mip level of the first layer is used.
///
/// A texture of floats holds numbers as they are: linear light, albedos in 0..1, normals in -1..1. Normalized integers, and
/// floats without a sign, hold normals as `normal * 0.5 + 0.5`; integers hold colors in sRGB. Numbers out of range
/// count as the nearest in range, and NaN as 0.
#[derive(Clone, Copy, Debug)]
pub struct DenoiserTextures<'a> {
    pub(super) color: &'a wgpu::Texture,
    guides: [Option<&'a wgpu::Texture>; 2],
    pub(super) output: &'a wgpu::Texture,
}

/// The size of a frame's textures, and their formats.
#[derive(Clone, Debug)]
pub(super) struct Formats {
    pub(super) size: [usize; 2],
    /// With their names.
    pub(super) inputs: Vec<(&'static str, wgpu::TextureFormat)>,
    pub(super) output: wgpu::TextureFormat,
    pub(super) usage: wgpu::TextureUsages,
}

impl<'a> DenoiserTextures<'a> {
    /// Creates a frame of an image to denoise, with `TEXTURE_BINDING` usage, and a texture for the denoised one, with
    /// `RENDER_ATTACHMENT` or `STORAGE_BINDING` usage. Its alpha becomes the image's.
    pub fn new(color: &'a wgpu::Texture, output: &'a wgpu::Texture) -> DenoiserTextures<'a> {
        DenoiserTextures { color, guides: [None; 2], output }
    }

    /// Sets the albedo, with `TEXTURE_BINDING` usage.
    #[must_use]
    pub fn albedo(self, albedo: &'a wgpu::Texture) -> DenoiserTextures<'a> {
        DenoiserTextures { guides: [Some(albedo), self.guides[1]], ..self }
    }

    /// Sets the normals, with `TEXTURE_BINDING` usage.
    #[must_use]
    pub fn normal(self, normal: &'a wgpu::Texture) -> DenoiserTextures<'a> {
        DenoiserTextures { guides: [self.guides[0], Some(normal)], ..self }
    }

    /// Returns the textures that are read, for a network that takes so many, by their names. An error names a texture that is
    /// missing, superfluous, of another size, or both read and written.
    pub(super) fn inputs(&self, count: usize) -> Result<Vec<(&'static str, &'a wgpu::Texture)>> {
        let inputs = taken([Some(self.color), self.guides[0], self.guides[1]], count)?;
        let size = |texture: &wgpu::Texture| format!("{} x {} pixels", texture.width(), texture.height());
        for (name, texture) in inputs.iter().copied().chain([("output", self.output)]) {
            let (wanted, got) = (size(self.color), size(texture));
            if wanted != got {
                return Err(ErrorKind::argument(name, format_args!("{wanted}, as the image has"), got).into());
            }
        }
        let needed = wgpu::TextureUsages::TEXTURE_BINDING;
        if let Some((name, texture)) = inputs.iter().find(|(_, texture)| !texture.usage().contains(needed)) {
            let (wanted, got) = (format!("{needed:?}"), format_args!("{:?}", texture.usage()));
            return Err(ErrorKind::argument(format!("{name}: usage"), wanted, got).into());
        }
        match inputs.iter().find(|(_, texture)| *texture == self.output) {
            Some((name, _)) => {
                let got = format_args!("that of \"{name}\"");
                Err(ErrorKind::argument("output", "another texture than those that are read", got).into())
            }
            None => Ok(inputs),
        }
    }

    pub(super) fn formats(&self, count: usize) -> Result<Formats> {
        let inputs = self.inputs(count)?.into_iter().map(|(name, texture)| (name, texture.format())).collect();
        let size = [self.color.width(), self.color.height()].map(|side| side as usize);
        Ok(Formats { size, inputs, output: self.output.format(), usage: self.output.usage() })
    }
}

/// Returns true for textures whose numbers may be below 0.
fn has_sign(format: wgpu::TextureFormat) -> bool {
    use wgpu::TextureFormat as F;
    matches!(format, F::R16Float | F::Rg16Float | F::Rgba16Float | F::R32Float | F::Rg32Float | F::Rgba32Float)
        || matches!(format, F::R8Snorm | F::Rg8Snorm | F::Rgba8Snorm | F::R16Snorm | F::Rg16Snorm | F::Rgba16Snorm)
}

/// Returns the color space of the numbers that a denoiser takes.
fn space(content: Content) -> ColorSpace {
    if content == Content::Srgb { ColorSpace::Srgb } else { ColorSpace::Linear }
}

/// Returns the reading of an image of this content, or of an albedo.
pub(super) fn sampling(content: Content, is_albedo: bool, format: wgpu::TextureFormat) -> Sampling {
    let sampling = Sampling::new().fill(BEYOND);
    match content {
        _ if is_albedo => sampling.network(ColorSpace::Linear),
        content if !content.is_signed() => sampling.network(space(content)),
        _ if has_sign(format) => sampling.raw(),
        _ => sampling.raw().mean([0.5]).std([0.5]),
    }
}

/// Returns the drawing of a denoised image, with the alpha of the image.
pub(super) fn drawing(content: Content, format: wgpu::TextureFormat) -> Drawing {
    let drawing = Drawing::image().clamp(false).filter(Filter::Nearest).alpha(Alpha::Kept);
    match content {
        content if !content.is_signed() => drawing.network(space(content)),
        _ if has_sign(format) => drawing.raw(),
        _ => drawing.raw().mean([0.5]).std([0.5]),
    }
}
