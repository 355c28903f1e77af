//! A part of a texture.

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Context;
use std::fmt::Display;

/// A part of a two-dimensional texture: a rectangle of one mip level of one layer. The default is the whole first level
/// of the first layer; `&texture` converts to that. For a view of a texture, pass [`wgpu::TextureView::texture`] and
/// repeat the view's level and layer: wgpu doesn't report these.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    pub(super) texture: &'a wgpu::Texture,
    mip: u32,
    layer: u32,
    rect: Option<[u32; 4]>,
    pub(super) image: usize,
    within: Option<[u32; 4]>,
}

/// A checked part of a texture.
pub(super) struct Part {
    pub(super) view: wgpu::TextureView,
    /// x, y, width, height.
    pub(super) rect: [u32; 4],
}

impl<'a> Region<'a> {
    /// Returns all of a texture's first layer, at its largest mip level.
    pub fn whole(texture: &'a wgpu::Texture) -> Region<'a> {
        Region { texture, mip: 0, layer: 0, rect: None, image: 0, within: None }
    }

    /// Selects another mip level, half as large as the one before it. For a texture many times as large as the input,
    /// choose a level of about the input's size.
    #[must_use]
    pub fn mip(self, mip: u32) -> Region<'a> {
        Region { mip, ..self }
    }

    /// Selects another layer of an array, or another face of a cube.
    #[must_use]
    pub fn layer(self, layer: u32) -> Region<'a> {
        Region { layer, ..self }
    }

    /// Selects a rectangle: x, y, width and height, in texels of the mip level, from the upper left corner.
    #[must_use]
    pub fn rect(self, rect: [u32; 4]) -> Region<'a> {
        Region { rect: Some(rect), ..self }
    }

    /// Selects the image of the batch that the part belongs to; 0 by default.
    #[must_use]
    pub fn image(self, image: usize) -> Region<'a> {
        Region { image, ..self }
    }

    /// Selects the rectangle of the network's image that belongs to the texture's part: x, y, width and height in pixels of the
    /// image, all of it by default. An input [fills](super::Sampling::fill) the image around it, so that a network may
    /// see a picture of another shape in a margin. An output draws this rectangle only.
    #[must_use]
    pub fn within(self, rect: [u32; 4]) -> Region<'a> {
        Region { within: Some(rect), ..self }
    }

    /// Returns the rectangle of an image of this size; an error if it has none such.
    pub(super) fn place(&self, argument: &str, size: [u32; 2]) -> Result<[u32; 4]> {
        let rect = self.within.unwrap_or([0, 0, size[0], size[1]]);
        fits(&format!("{argument}: rectangle of the image"), rect, size)
    }

    /// Returns true if both are of one level and layer. Rectangles don't count: a texture is used by whole levels.
    pub(super) fn overlaps(&self, other: &Region<'_>) -> bool {
        (self.texture, self.mip, self.layer) == (other.texture, other.mip, other.layer)
    }

    /// Checks that the texture allows this use and has this part, and returns a view of the level.
    pub(super) fn part(
        &self,
        context: &Context,
        argument: &str,
        format: wgpu::TextureFormat,
        usage: wgpu::TextureUsages,
    ) -> Result<Part> {
        let wrong = |what: &str, wanted: &dyn Display, got: &dyn Display| -> Result<Part, Error> {
            Err(ErrorKind::argument(format!("{argument}: {what}"), wanted, got).into())
        };
        let texture = self.texture;
        if texture.format().remove_srgb_suffix() != format.remove_srgb_suffix() {
            return wrong("format", &format_args!("{format:?}"), &format_args!("{:?}", texture.format()));
        }
        if texture.dimension() != wgpu::TextureDimension::D2 {
            return wrong("dimension", &"D2", &format_args!("{:?}", texture.dimension()));
        }
        if texture.sample_count() != 1 {
            return wrong("samples of a texel", &1, &texture.sample_count());
        }
        if !texture.usage().contains(usage) {
            return wrong("usage", &format_args!("{usage:?}"), &format_args!("{:?}", texture.usage()));
        }
        if self.mip >= texture.mip_level_count() {
            return wrong("mip level", &format_args!("less than {}", texture.mip_level_count()), &self.mip);
        }
        if self.layer >= texture.depth_or_array_layers() {
            return wrong("layer", &format_args!("less than {}", texture.depth_or_array_layers()), &self.layer);
        }
        let size = [texture.width(), texture.height()].map(|size| (size >> self.mip).max(1));
        let rect = self.rect.unwrap_or([0, 0, size[0], size[1]]);
        fits(&format!("{argument}: rectangle"), rect, size)?;
        let descriptor = wgpu::TextureViewDescriptor {
            label: Some("shadernet"),
            format: Some(format),
            dimension: Some(wgpu::TextureViewDimension::D2),
            usage: Some(usage),
            aspect: wgpu::TextureAspect::All,
            base_mip_level: self.mip,
            mip_level_count: Some(1),
            base_array_layer: self.layer,
            array_layer_count: Some(1),
        };
        let view = context.checked(|| texture.create_view(&descriptor))?;
        Ok(Part { view, rect })
    }
}

/// Checks that a rectangle lies within a size, and returns it.
fn fits(argument: &str, rect: [u32; 4], size: [u32; 2]) -> Result<[u32; 4]> {
    let within = |first: u32, length: u32, size: u32| length > 0 && first <= size && length <= size - first;
    if within(rect[0], rect[2], size[0]) && within(rect[1], rect[3], size[1]) {
        return Ok(rect);
    }
    let wanted = format!("a width and height of at least 1, within {} x {}", size[0], size[1]);
    let argument = format!("{argument} (x, y, width, height)");
    Err(ErrorKind::argument(argument, wanted, format_args!("{rect:?}")).into())
}

impl<'a> From<&'a wgpu::Texture> for Region<'a> {
    fn from(texture: &'a wgpu::Texture) -> Self {
        Region::whole(texture)
    }
}
