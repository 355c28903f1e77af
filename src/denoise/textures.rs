//! The textures of a frame, and what their formats mean.

use super::content::Content;
use super::images::{BEYOND, taken};
use crate::Context;
use crate::error::{ErrorKind, Result};
use crate::texture::{Alpha, ColorSpace, Drawing, Filter, Followed, Sampling, check_depth, check_format};

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
    depth: Option<&'a wgpu::Texture>,
    motion: Option<&'a wgpu::Texture>,
    pub(super) motion_scale: [f32; 2],
    pub(super) output: &'a wgpu::Texture,
}

/// The textures that a frame is read from, by their names.
pub(super) struct Inputs<'a> {
    /// The textures of the network.
    pub(super) network: Vec<(&'static str, &'a wgpu::Texture)>,
    /// The textures of the history: depth, motion, normals.
    pub(super) history: Option<[(&'static str, &'a wgpu::Texture); 3]>,
}

/// The size of a frame's textures, and their formats.
#[derive(Clone, Debug)]
pub(super) struct Formats {
    pub(super) size: [usize; 2],
    /// With their names.
    pub(super) inputs: Vec<(&'static str, wgpu::TextureFormat)>,
    /// Likewise: none or three.
    pub(super) history: Vec<(&'static str, wgpu::TextureFormat)>,
    pub(super) output: wgpu::TextureFormat,
    pub(super) usage: wgpu::TextureUsages,
}

impl<'a> DenoiserTextures<'a> {
    /// Creates a frame of an image to denoise, with `TEXTURE_BINDING` usage, and a texture for the denoised one, with
    /// `RENDER_ATTACHMENT` or `STORAGE_BINDING` usage. Its alpha becomes the image's.
    pub fn new(color: &'a wgpu::Texture, output: &'a wgpu::Texture) -> DenoiserTextures<'a> {
        DenoiserTextures { color, guides: [None; 2], depth: None, motion: None, motion_scale: [1.0; 2], output }
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

    /// Sets the depth for [temporal](super::DenoiserOptions::temporal) options, with `TEXTURE_BINDING` usage: in the first channel of floats
    /// or in a depth texture. It is proportional to the distance from the camera, or to its inverse as in a reversed
    /// z-buffer, in any unit. The sky has a finite number, such as a large one.
    #[must_use]
    pub fn depth(self, depth: &'a wgpu::Texture) -> DenoiserTextures<'a> {
        DenoiserTextures { depth: Some(depth), ..self }
    }

    /// Sets the motion for [temporal](super::DenoiserOptions::temporal) options, with `TEXTURE_BINDING` usage: for each pixel in the first
    /// two channels, the way in pixels, to the right and down, to where its surface was in the last denoised frame.
    #[must_use]
    pub fn motion(self, motion: &'a wgpu::Texture) -> DenoiserTextures<'a> {
        DenoiserTextures { motion: Some(motion), ..self }
    }

    /// Sets the factors that make pixels of the motion; 1 by default. A way from the last frame to this one in parts of the image has
    /// `[-width, -height]`.
    #[must_use]
    pub fn motion_scale(self, factors: [f32; 2]) -> DenoiserTextures<'a> {
        DenoiserTextures { motion_scale: factors, ..self }
    }

    /// Returns the textures that are read, for a network that takes so many. An error names a texture that is
    /// missing, superfluous, of another size, or both read and written.
    pub(super) fn inputs(&self, count: usize, temporal: bool) -> Result<Inputs<'a>> {
        // A history has normals, even if the network takes none.
        let of_network = self.guides[1].filter(|_| !temporal || count > 2);
        let network = taken([Some(self.color), self.guides[0], of_network], count)?;
        let of_history = [("depth", self.depth), ("motion", self.motion), ("normal", self.guides[1])];
        let history = match temporal {
            true => {
                let of = |(name, texture): (&'static str, Option<_>)| match texture {
                    Some(texture) => Ok((name, texture)),
                    None => Err(ErrorKind::argument(name, "one: the options are temporal", "none")),
                };
                let [depth, motion, normal] = of_history.map(of);
                Some([depth?, motion?, normal?])
            }
            false => match of_history[..2].iter().find(|(_, texture)| texture.is_some()) {
                Some((name, _)) => {
                    return Err(ErrorKind::argument(*name, "none: the options aren't temporal", "one").into());
                }
                None => None,
            },
        };
        if let Some(factor) = self.motion_scale.into_iter().find(|factor| !factor.is_finite()) {
            return Err(ErrorKind::argument("motion_scale", "finite numbers", factor).into());
        }
        let inputs: Vec<_> = network.iter().copied().chain(history.into_iter().flatten()).collect();
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
            None => Ok(Inputs { network, history }),
        }
    }

    pub(super) fn formats(&self, count: usize, temporal: bool) -> Result<Formats> {
        let inputs = self.inputs(count, temporal)?;
        let format = |(name, texture): (&'static str, &wgpu::Texture)| (name, texture.format());
        let history = inputs.history.into_iter().flatten().map(format).collect();
        let inputs = inputs.network.into_iter().map(format).collect();
        let size = [self.color.width(), self.color.height()].map(|side| side as usize);
        Ok(Formats { size, inputs, history, output: self.output.format(), usage: self.output.usage() })
    }
}

impl Formats {
    /// Checks that shaders can read the textures.
    pub(super) fn check(&self, context: &Context) -> Result<()> {
        for (name, format) in self.inputs.iter().chain(&self.history).copied().chain([("output", self.output)]) {
            let argument = format!("{name}: format");
            let check = if name == "depth" { check_depth } else { check_format };
            check(context, &argument, format)?;
            let channels = format.components();
            if name == "motion" && (channels < 2 || !has_sign(format)) {
                let wanted = "two or more channels, with a sign";
                return Err(ErrorKind::argument(argument, wanted, format_args!("{format:?}")).into());
            }
        }
        Ok(())
    }
}

impl<'a> Inputs<'a> {
    /// Returns what a history follows; `None` if there is none.
    pub(super) fn followed(&self, scale: [f32; 2]) -> Option<Followed<'a>> {
        let [(_, depth), (_, motion), (_, normal)] = self.history?;
        let normal_code = if has_sign(normal.format()) { [1.0, 0.0] } else { [2.0, -1.0] };
        let albedo = self.network.iter().find(|(name, _)| *name == "albedo").map(|(_, texture)| *texture);
        Some(Followed { motion, scale, depth, normal, normal_code, albedo })
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
