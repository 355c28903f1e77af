//! Sampling of a texture into a network's input.

use super::colors::{Affine, Channels, ColorSpace, Colors};
use super::{Images, Region, check_format, id, images, workgroups};
use crate::dtype::DType;
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::{PARAMS, upload};
use crate::gpu::pipeline::{Kind, Pipeline, group, pipelines};
use crate::kernel::Shader;
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::plan::Port;
use bytemuck::{Pod, Zeroable};
use std::sync::Arc;

const INPUT: Shader = shader!("texture_input", "nan", "texture");

pub(super) fn shaders() -> Vec<Shader> {
    (0..3u32).map(|convert| INPUT.set("CONVERT", convert)).collect()
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    matrix: [[f32; 4]; 4],
    offset: [f32; 4],
    rect: [u32; 4],
    place: [u32; 4],
    scale: [f32; 2],
    size: [u32; 2],
    channels: u32,
    first: u32,
    fill: f32,
    _pad: u32,
}

/// The options for sampling a texture: channels, normalization and color spaces.
#[derive(Clone, Debug)]
pub struct Sampling {
    colors: Colors,
    fill: f32,
}

impl Sampling {
    /// Returns the default: one, three or four channels as in the input, in 0..1, sRGB-encoded as in image files.
    pub fn new() -> Sampling {
        Sampling { colors: Colors::new(), fill: 0.0 }
    }

    /// Sets the channels of the input.
    #[must_use]
    pub fn channels(self, channels: Channels) -> Sampling {
        self.with(|colors| Colors { channels: Some(channels), ..colors })
    }

    /// Sets the mean, which is subtracted from a texture's channels in 0..1: one number for all channels, or one for
    /// each channel of the network in order.
    #[must_use]
    pub fn mean(self, mean: impl Into<Vec<f32>>) -> Sampling {
        self.with(|colors| Colors { mean: Some(mean.into()), ..colors })
    }

    /// Sets the deviation, which then divides the differences, likewise. A network trained on 0..255 has one of 1/255.
    #[must_use]
    pub fn std(self, std: impl Into<Vec<f32>>) -> Sampling {
        self.with(|colors| Colors { std: Some(std.into()), ..colors })
    }

    /// Sets the color space that the network was trained on; sRGB by default.
    #[must_use]
    pub fn network(self, space: ColorSpace) -> Sampling {
        self.with(|colors| Colors { network: Some(space), ..colors })
    }

    /// Sets the color space that a shader reads. By default this is linear for sRGB formats, which decode on reading,
    /// and for floats; sRGB for other formats.
    #[must_use]
    pub fn texture(self, space: ColorSpace) -> Sampling {
        self.with(|colors| Colors { texture: Some(space), ..colors })
    }

    /// Leaves the numbers unconverted, as a shader reads them: for depths, masks and the like.
    #[must_use]
    pub fn raw(self) -> Sampling {
        self.with(|colors| Colors { network: None, ..colors })
    }

    /// Sets the number around a [rectangle of the image](Region::within), in all channels: as the network sees it, that is
    /// normalized; 0 by default.
    #[must_use]
    pub fn fill(self, number: f32) -> Sampling {
        Sampling { fill: number, ..self }
    }

    fn with(self, change: impl FnOnce(Colors) -> Colors) -> Sampling {
        Sampling { colors: change(self.colors), ..self }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling::new()
    }
}

/// A pass that writes textures of one format into the buffer of an input: see the [module](super).
///
/// One kernel reads, converts, resizes, normalizes and orders. It resizes the rectangle as PyTorch's
/// `interpolate(mode="bilinear", align_corners=False)` does: centres of pixels at halves, edges repeated, exact for
/// equal sizes. It isn't antialiased: to shrink to less than half the size, read a smaller [mip level](Region::mip).
///
/// Alpha isn't multiplied in or out. A channel that overflows, as those of lights do, doesn't affect the others:
/// infinities and NaN reach only the same channel, or [`Channels::Luma`], of pixels interpolated from them.
pub struct TextureInput {
    context: Context,
    id: u64,
    format: wgpu::TextureFormat,
    pipeline: Arc<Pipeline>,
    images: Images,
    affine: Affine,
    fill: f32,
    workgroups: [u32; 2],
}

/// A texture that a [`TextureInput`] has bound and keeps alive.
pub struct Source {
    input: u64,
    group: wgpu::BindGroup,
}

impl TextureInput {
    /// Creates a pass for an input `[N, C, H, W]`, C of 1, 3 or 4, with its own buffer, and textures of this format.
    ///
    /// An error if the format isn't one of floats or normalized integers, or if the channels don't fit.
    pub fn new(
        context: &Context,
        port: &Port,
        format: wgpu::TextureFormat,
        sampling: Sampling,
    ) -> Result<TextureInput> {
        TextureInput::make(context, port, None, format, sampling)
    }

    /// Creates a pass for a range of the host's buffer, as [`Session::bind`](crate::Session::bind) takes it.
    pub fn with_buffer(
        context: &Context,
        port: &Port,
        buffer: wgpu::BufferBinding<'_>,
        format: wgpu::TextureFormat,
        sampling: Sampling,
    ) -> Result<TextureInput> {
        TextureInput::make(context, port, Some(buffer), format, sampling)
    }

    fn make(
        context: &Context,
        port: &Port,
        lent: Option<wgpu::BufferBinding<'_>>,
        format: wgpu::TextureFormat,
        Sampling { colors, fill }: Sampling,
    ) -> Result<TextureInput> {
        let of = images(context, port, &[DType::F32], "[N, C, H, W]", |shape| match *shape {
            [n, c, h, w] => Some(Image { n, c, h, w }),
            _ => None,
        })?;
        check_format(context, "format", format)?;
        let affine = colors.taken(&port.name, of.c)?;
        let workgroups = workgroups(context, &format!("\"{}\"", port.name), [of.w as u32, of.h as u32])?;
        let images = Images::new(context, port, of, lent)?;
        let shader = INPUT.set("CONVERT", colors.convert(format, false));
        let kinds = vec![Kind::Params(size_of::<Params>() as u64), Kind::Texels, Kind::Write];
        let pipeline = pipelines(context, &[(shader, kinds)])?.swap_remove(0);
        Ok(TextureInput { context: context.clone(), id: id(), format, pipeline, images, affine, fill, workgroups })
    }

    /// Returns the buffer that it writes, for [`Session::bind`](crate::Session::bind).
    pub fn buffer(&self) -> wgpu::BufferBinding<'_> {
        self.images.binding()
    }

    /// Binds a texture, or a part of it, as one image of the batch. The texture has `TEXTURE_BINDING` usage, and the
    /// given format up to its sRGB suffix: if that differs, its `view_formats` must include the given format.
    pub fn bind<'a>(&self, texture: impl Into<Region<'a>>) -> Result<Source> {
        let region = texture.into();
        let first = self.images.first(region.image)?;
        let Image { c, h, w, .. } = self.images.of;
        let place = region.place("texture", [w as u32, h as u32])?;
        let part = region.part(&self.context, "texture", self.format, wgpu::TextureUsages::TEXTURE_BINDING)?;
        let params = Params {
            matrix: self.affine.matrix,
            offset: self.affine.offset,
            rect: part.rect,
            place,
            scale: [2, 3].map(|side| part.rect[side] as f32 / place[side] as f32),
            size: [w as u32, h as u32],
            channels: c as u32,
            first,
            fill: self.fill,
            _pad: 0,
        };
        let params = upload(&self.context, "params", bytemuck::bytes_of(&params), PARAMS)?;
        let resources = [
            params.as_entire_binding(),
            wgpu::BindingResource::TextureView(&part.view),
            wgpu::BindingResource::Buffer(self.images.binding()),
        ];
        let group = group(&self.context, Some("texture input"), &self.pipeline.layout, resources)?;
        Ok(Source { input: self.id, group })
    }

    /// Records the writing of one image into an encoder, as a pass. Allocates, creates, submits and waits for nothing.
    ///
    /// An error, before anything is recorded, if another input bound the texture, or if it is known that an object of
    /// the context couldn't be created: see [`Context::settled`].
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, source: &Source) -> Result<()> {
        if source.input != self.id {
            return Err(ErrorKind::argument("source", "what this input has bound", "another input's").into());
        }
        self.context.settled_so_far()?;
        let descriptor = wgpu::ComputePassDescriptor { label: Some("shadernet"), timestamp_writes: None };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &source.group, &[]);
        pass.dispatch_workgroups(self.workgroups[0], self.workgroups[1], 1);
        Ok(())
    }
}

impl std::fmt::Debug for TextureInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TextureInput({:?} to \"{}\")", self.format, self.images.name)
    }
}
