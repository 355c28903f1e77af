//! Which part of a texture.

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Context;
use std::fmt::Display;

/// A part of a two-dimensional texture: a rectangle of one mip level of one layer. All of the first of each, unless something else is
/// said; `&texture` alone is that. Who holds a view of it passes [`wgpu::TextureView::texture`], with the level and the layer again:
/// wgpu doesn't tell those of a view.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    pub(super) texture: &'a wgpu::Texture,
    mip: u32,
    layer: u32,
    rect: Option<[u32; 4]>,
    pub(super) image: usize,
}

/// A part of a texture that was found to be there.
pub(super) struct Part {
    pub(super) view: wgpu::TextureView,
    /// x, y, width, height.
    pub(super) rect: [u32; 4],
}

impl<'a> Region<'a> {
    /// All of a texture: its first layer, its largest mip level.
    pub fn of(texture: &'a wgpu::Texture) -> Region<'a> {
        Region { texture, mip: 0, layer: 0, rect: None, image: 0 }
    }

    /// Another mip level, half as large as the one before it. A texture that is many times as large as the input is best read from
    /// a level of about its size.
    #[must_use]
    pub fn mip(self, mip: u32) -> Region<'a> {
        Region { mip, ..self }
    }

    /// Another layer of an array, or face of a cube.
    #[must_use]
    pub fn layer(self, layer: u32) -> Region<'a> {
        Region { layer, ..self }
    }

    /// Only this rectangle: x, y, width and height, in texels of the mip level, from the upper left corner.
    #[must_use]
    pub fn rect(self, rect: [u32; 4]) -> Region<'a> {
        Region { rect: Some(rect), ..self }
    }

    /// Which image of the batch it goes with: 0 unless said.
    #[must_use]
    pub fn image(self, image: usize) -> Region<'a> {
        Region { image, ..self }
    }

    /// Whether these share texels. Rectangles don't count: one use of a texture is of a whole level.
    pub(super) fn overlaps(&self, other: &Region<'_>) -> bool {
        (self.texture, self.mip, self.layer) == (other.texture, other.mip, other.layer)
    }

    /// Checks that the texture can be used so, and that it has such a part.
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
        let within = |first: u32, length: u32, size: u32| length > 0 && first <= size && length <= size - first;
        if !within(rect[0], rect[2], size[0]) || !within(rect[1], rect[3], size[1]) {
            let wanted = format!("a width and height of at least 1, within {} x {}", size[0], size[1]);
            return wrong("rectangle (x, y, width, height)", &wanted, &format_args!("{rect:?}"));
        }
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

impl<'a> From<&'a wgpu::Texture> for Region<'a> {
    fn from(texture: &'a wgpu::Texture) -> Self {
        Region::of(texture)
    }
}
