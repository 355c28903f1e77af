//! The last image, as a part of the next one: warped by the host's motion vectors where it shows the same surface.

use super::{Region, WORKGROUP, at_least, check_format, workgroups};
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::{PARAMS, buffer, texture, upload};
use crate::gpu::pipeline::{Kind, Pipeline, group, pipelines};
use crate::kernel::shader::shader;
use crate::kernel::{Scalar, Shader};
use bytemuck::{Pod, Zeroable};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const HISTORY: Shader = shader!("texture_history", "nan");

pub(super) fn shaders() -> Vec<Shader> {
    vec![HISTORY]
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    size: [u32; 2],
    scale: [f32; 2],
    weight: f32,
    normal_scale: f32,
    normal_offset: f32,
    has_albedo: u32,
}

/// A pass that blends each image of a size with the last one, and keeps the result for the next.
pub(crate) struct History {
    context: Context,
    size: [u32; 2],
    weight: f32,
    pipeline: Arc<Pipeline>,
    image: wgpu::Texture,
    /// The result, and that of the last frame.
    colors: [wgpu::Buffer; 2],
    /// Depth, normals and albedo of this frame and of the last.
    surfaces: [wgpu::Buffer; 2],
    /// True if the next frame is the first one.
    is_empty: AtomicBool,
}

/// The textures that guide a history. `normal_code` brings their numbers to -1..1: a factor, and what is added then.
pub(crate) struct Followed<'a> {
    pub(crate) motion: &'a wgpu::Texture,
    /// The factor that makes pixels of the motion, to the right and down.
    pub(crate) scale: [f32; 2],
    pub(crate) depth: &'a wgpu::Texture,
    pub(crate) normal: &'a wgpu::Texture,
    pub(crate) normal_code: [f32; 2],
    pub(crate) albedo: Option<&'a wgpu::Texture>,
}

impl History {
    /// Returns the bytes that a history of images of `[width, height]` pixels takes on the device: a texture of four
    /// `f32`s a pixel, and six numbers a pixel of this frame and of the last.
    pub(crate) fn bytes([width, height]: [usize; 2]) -> u64 {
        (16 + 2 * 24) * (width as u64).saturating_mul(height as u64)
    }

    /// Creates a history of images of `[width, height]` pixels. `weight` is that of the last image.
    pub(crate) fn new(context: &Context, size: [usize; 2], weight: f32) -> Result<History> {
        let size = size.map(|side| side as u32);
        // As many as a port's buffer has.
        let bytes = (12 * u64::from(size[0]) * u64::from(size[1])).next_multiple_of(16);
        let (what, limits) = ("the last frame", context.device().limits());
        at_least(what, "max_storage_buffer_binding_size", bytes, context.caps().max_binding)?;
        at_least(what, "max_buffer_size", bytes, context.caps().max_buffer)?;
        let side = u64::from(size[0].max(size[1]));
        at_least(what, "max_texture_dimension_2d", side, limits.max_texture_dimension_2d.into())?;
        workgroups(context, what, size)?;
        let kinds = [&[Kind::Params(size_of::<Params>() as u64)][..], &[Kind::Texels; 5], &[Kind::Read; 2]].concat();
        let kinds = [kinds, vec![Kind::Write; 2]].concat();
        let pipeline = pipelines(context, &[(HISTORY, kinds)])?.swap_remove(0);
        let (image, _) = texture(context, "denoised", size, Scalar::F32, wgpu::TextureUsages::TEXTURE_BINDING)?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let one = |label| buffer(context, label, bytes, usage);
        let (colors, surfaces) = ([one("colors")?, one("last colors")?], [one("surfaces")?, one("last surfaces")?]);
        let (context, is_empty) = (context.clone(), AtomicBool::new(true));
        Ok(History { context, size, weight, pipeline, image, colors, surfaces, is_empty })
    }

    /// Returns the texture `Rgba32Float` that the next image is written to, with usage `STORAGE_BINDING`.
    pub(crate) fn image(&self) -> &wgpu::Texture {
        &self.image
    }

    /// Returns the planes of the result: `[1, 3, H, W]`.
    pub(crate) fn buffer(&self) -> wgpu::BufferBinding<'_> {
        self.colors[0].as_entire_buffer_binding()
    }

    /// Binds textures of a frame.
    pub(crate) fn bind(&self, of: &Followed<'_>) -> Result<wgpu::BindGroup> {
        let [normal_scale, normal_offset] = of.normal_code;
        let params = Params {
            size: self.size,
            scale: of.scale,
            weight: self.weight,
            normal_scale,
            normal_offset,
            has_albedo: of.albedo.is_some().into(),
        };
        let params = upload(&self.context, "params", bytemuck::bytes_of(&params), PARAMS)?;
        let part = |name: &str, texture: &wgpu::Texture| {
            Region::whole(texture).part(&self.context, name, texture.format(), wgpu::TextureUsages::TEXTURE_BINDING)
        };
        let parts = [
            part("denoised", &self.image)?,
            part("motion", of.motion)?,
            part("depth", of.depth)?,
            part("normal", of.normal)?,
            // A placeholder, if there is no albedo.
            part("albedo", of.albedo.unwrap_or(of.normal))?,
        ];
        let buffers = [&self.colors[1], &self.surfaces[1], &self.colors[0], &self.surfaces[0]];
        let resources = std::iter::once(params.as_entire_binding())
            .chain(parts.iter().map(|part| wgpu::BindingResource::TextureView(&part.view)))
            .chain(buffers.map(wgpu::Buffer::as_entire_binding));
        group(&self.context, Some("history"), &self.pipeline.layout, resources)
    }

    /// Records the blending of the image into an encoder. Allocates, creates, submits and waits for nothing.
    pub(crate) fn encode(&self, encoder: &mut wgpu::CommandEncoder, bound: &wgpu::BindGroup) -> Result<()> {
        self.context.settled_so_far()?;
        if self.is_empty.swap(false, Ordering::Relaxed) {
            encoder.clear_buffer(&self.surfaces[1], 0, None);
        }
        let descriptor = wgpu::ComputePassDescriptor { label: Some("shadernet"), timestamp_writes: None };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, bound, &[]);
        pass.dispatch_workgroups(self.size[0].div_ceil(WORKGROUP[0]), self.size[1].div_ceil(WORKGROUP[1]), 1);
        drop(pass);
        // Not two bind groups in turns: then an encoder that is never submitted would mix up the frames.
        for [now, last] in [&self.colors, &self.surfaces] {
            encoder.copy_buffer_to_buffer(now, 0, last, 0, None);
        }
        Ok(())
    }

    /// Forgets the last image.
    pub(crate) fn reset(&self) {
        self.is_empty.store(true, Ordering::Relaxed);
    }
}

/// Checks that a shader can load the numbers of a depth texture: one of floats or of depth alone.
pub(crate) fn check_depth(context: &Context, argument: &str, format: wgpu::TextureFormat) -> Result<()> {
    if format.is_depth_stencil_format() && !format.has_stencil_aspect() {
        return Ok(());
    }
    check_format(context, argument, format).map_err(|_| {
        let wanted = "a format of depth without stencil, or of floats";
        ErrorKind::argument(argument, wanted, format_args!("{format:?}")).into()
    })
}
