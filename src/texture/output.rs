//! Drawing of a network's output into a texture.

use super::drawing::{Alpha, Drawing, Filter, Show};
use super::region::Part;
use super::{Images, Region, at_least, check_format, id, images, workgroups};
use crate::dtype::DType;
use crate::error::{ErrorKind, Result};
use crate::gpu::Context;
use crate::gpu::memory::{PARAMS, texture, upload};
use crate::gpu::pipeline::{Draw, Kind, Pipeline, draw, group, pipelines};
use crate::kernel::layout::Image;
use crate::kernel::shader::shader;
use crate::kernel::{Scalar, Shader};
use crate::plan::Port;
use bytemuck::{Pod, Zeroable};
use std::sync::Arc;

const OUTPUT: Shader = shader!("texture_output", "nan", "texture");

/// The formats that storage textures may have, each with its WGSL declaration.
const STORED: [(wgpu::TextureFormat, &str); 7] = {
    use wgpu::TextureFormat as F;
    [
        (F::Rgba8Unorm, "texture_storage_2d<rgba8unorm, write>"),
        (F::Rgba8Snorm, "texture_storage_2d<rgba8snorm, write>"),
        (F::Bgra8Unorm, "texture_storage_2d<bgra8unorm, write>"),
        (F::Rgba16Float, "texture_storage_2d<rgba16float, write>"),
        (F::R32Float, "texture_storage_2d<r32float, write>"),
        (F::Rg32Float, "texture_storage_2d<rg32float, write>"),
        (F::Rgba32Float, "texture_storage_2d<rgba32float, write>"),
    ]
};

/// The values of the shader's `KIND`.
const IMAGE: u32 = 0;
const RAMP: u32 = 1;
const CLASSES: u32 = 2;
const LABELS: u32 = 3;

pub(super) fn shaders() -> Vec<Shader> {
    let kinds = (IMAGE..=LABELS).map(|kind| OUTPUT.set("KIND", kind));
    let constants = [("BLEND", 0), ("CLAMP", 0), ("CONVERT", 1), ("CONVERT", 2), ("ALPHA", 1), ("ALPHA", 2)];
    let constants = constants.map(|(name, value): (_, u32)| OUTPUT.set(name, value));
    kinds.chain(constants).chain(STORED.map(|(_, declared)| OUTPUT.alias("Surface", declared))).collect()
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rect: [u32; 4],
    part: [u32; 4],
    place: [u32; 4],
    scale: [f32; 2],
    part_scale: [f32; 2],
    size: [u32; 2],
    channels: u32,
    first: u32,
    colors: u32,
    low: f32,
    per: f32,
    _pad: u32,
}

/// A pass that draws an output into textures of one format: see the [module](super).
///
/// The output is resized to the texture, or to a rectangle of it, by the rule of [`TextureInput`](super::TextureInput);
/// texels outside of the rectangle stay. Textures with usage `RENDER_ATTACHMENT` are drawn to, in any renderable
/// format, including those of swap chains. Others need usage `STORAGE_BINDING` and are stored to.
pub struct TextureOutput {
    context: Context,
    id: u64,
    format: wgpu::TextureFormat,
    way: Way,
    images: Images,
    colors: wgpu::Buffer,
    /// The parameters that don't depend on a texture.
    params: Params,
    /// A placeholder, bound if no alpha is kept.
    nothing: Option<wgpu::TextureView>,
}

/// The pipeline that writes the texture.
enum Way {
    Draw(Arc<Draw>),
    Store(Arc<Pipeline>),
}

/// A texture that a [`TextureOutput`] has bound and keeps alive: drop that of a swap chain when it has been presented.
pub struct Target {
    output: u64,
    part: Part,
    group: wgpu::BindGroup,
    workgroups: [u32; 2],
}

impl TextureOutput {
    /// Creates a pass for an output `[N, C, H, W]` or `[N, H, W]`, with a buffer of its own, and for textures of this
    /// format and these usages.
    ///
    /// An error if such textures can't be drawn or stored to, or if the drawing doesn't fit the output.
    pub fn new(
        context: &Context,
        port: &Port,
        format: wgpu::TextureFormat,
        usage: wgpu::TextureUsages,
        drawing: Drawing,
    ) -> Result<TextureOutput> {
        TextureOutput::make(context, port, None, format, usage, drawing)
    }

    /// Creates a pass for a range of the host's buffer, as [`Session::bind`](crate::Session::bind) takes it.
    pub fn with_buffer(
        context: &Context,
        port: &Port,
        buffer: wgpu::BufferBinding<'_>,
        format: wgpu::TextureFormat,
        usage: wgpu::TextureUsages,
        drawing: Drawing,
    ) -> Result<TextureOutput> {
        TextureOutput::make(context, port, Some(buffer), format, usage, drawing)
    }

    fn make(
        context: &Context,
        port: &Port,
        lent: Option<wgpu::BufferBinding<'_>>,
        format: wgpu::TextureFormat,
        usage: wgpu::TextureUsages,
        drawing: Drawing,
    ) -> Result<TextureOutput> {
        let dtypes: &[DType] = match drawing.show {
            Show::Classes => &[DType::F32, DType::I32],
            _ => &[DType::F32],
        };
        let of = images(context, port, dtypes, "[N, C, H, W] or [N, H, W]", |shape| match *shape {
            [n, c, h, w] => Some(Image { n, c, h, w }),
            [n, h, w] => Some(Image { n, c: 1, h, w }),
            _ => None,
        })?;
        check_format(context, "format", format)?;
        let draws = drawn(context, format, usage, drawing.alpha)?;
        let (kind, colors, [low, per]) = shown(port, of.c, &drawing)?;
        let alpha = match drawing.alpha {
            Alpha::Drawn | Alpha::Left => 0u32,
            Alpha::Opaque => 1,
            Alpha::Kept => 2,
        };
        let shader = OUTPUT
            .set("KIND", kind)
            .set("BLEND", drawing.filter == Filter::Linear)
            .set("CLAMP", drawing.clamp)
            .set("CONVERT", drawing.colors.convert(format, true))
            .set("ALPHA", alpha);
        let images = Images::new(context, port, of, lent)?;
        let mut kinds = vec![Kind::Params(size_of::<Params>() as u64), Kind::Read, Kind::Read, Kind::Texels];
        let way = if draws {
            let alpha =
                if drawing.alpha == Alpha::Left { wgpu::ColorWrites::empty() } else { wgpu::ColorWrites::ALPHA };
            Way::Draw(draw(context, &(shader, kinds, format, wgpu::ColorWrites::COLOR | alpha))?)
        } else {
            let declared = STORED.iter().find(|(stored, _)| *stored == format);
            let (_, declared) = declared.expect("other formats aren't stored to");
            kinds.push(Kind::Store(format));
            Way::Store(pipelines(context, &[(shader.alias("Surface", declared), kinds)])?.swap_remove(0))
        };
        let params = Params {
            size: [of.w as u32, of.h as u32],
            channels: of.c as u32,
            colors: colors.len() as u32,
            low,
            per,
            ..Params::zeroed()
        };
        let nothing = if drawing.alpha == Alpha::Kept {
            None
        } else {
            Some(texture(context, "nothing", [1, 1], Scalar::F32, wgpu::TextureUsages::TEXTURE_BINDING)?.1)
        };
        let colors = upload(context, "colors", bytemuck::cast_slice(&colors), wgpu::BufferUsages::STORAGE)?;
        Ok(TextureOutput { context: context.clone(), id: id(), format, way, images, colors, params, nothing })
    }

    /// Returns the buffer that it reads, for [`Session::bind`](crate::Session::bind).
    pub fn buffer(&self) -> wgpu::BufferBinding<'_> {
        self.images.binding()
    }

    /// Binds a texture, or a part of it, to draw one image of the batch into. The texture has the given usage, and the
    /// given format up to its sRGB suffix: if that differs, its `view_formats` must include the given format.
    pub fn bind<'a>(&self, texture: impl Into<Region<'a>>) -> Result<Target> {
        let region = texture.into();
        match &self.nothing {
            Some(nothing) => self.target(region, Part { view: nothing.clone(), rect: [0, 0, 1, 1] }),
            None => Err(ErrorKind::argument("alpha", "a texture to keep it from (bind_keeping)", "none").into()),
        }
    }

    /// Binds a texture as [`TextureOutput::bind`] does, for [`Alpha::Kept`]: with the resized alpha of another texture
    /// or a part of it. That texture has any format of floats or normalized integers, and `TEXTURE_BINDING` usage.
    pub fn bind_keeping<'a>(&self, texture: impl Into<Region<'a>>, source: impl Into<Region<'a>>) -> Result<Target> {
        let (region, source) = (texture.into(), source.into());
        if self.nothing.is_some() {
            return Err(ErrorKind::argument("alpha", "Alpha::Kept", "a drawing that keeps none").into());
        }
        if region.overlaps(&source) {
            return Err(ErrorKind::argument("source", "another texture than is drawn to", "the same").into());
        }
        let format = source.texture.format();
        check_format(&self.context, "source: format", format)?;
        self.target(region, source.part(&self.context, "source", format, wgpu::TextureUsages::TEXTURE_BINDING)?)
    }

    fn target(&self, region: Region<'_>, kept: Part) -> Result<Target> {
        let first = self.images.first(region.image)?;
        let (layout, usage) = match &self.way {
            Way::Draw(draw) => (&draw.layout, wgpu::TextureUsages::RENDER_ATTACHMENT),
            Way::Store(pipeline) => (&pipeline.layout, wgpu::TextureUsages::STORAGE_BINDING),
        };
        let place = region.place("texture", self.params.size)?;
        let part = region.part(&self.context, "texture", self.format, usage)?;
        let [_, _, width, height] = part.rect;
        let workgroups = workgroups(&self.context, "texture", [width, height])?;
        let scale = |from: [u32; 4]| [from[2] as f32 / width as f32, from[3] as f32 / height as f32];
        let params = Params {
            rect: part.rect,
            part: kept.rect,
            place,
            scale: scale(place),
            part_scale: scale(kept.rect),
            first,
            ..self.params
        };
        let params = upload(&self.context, "params", bytemuck::bytes_of(&params), PARAMS)?;
        let resources = [
            params.as_entire_binding(),
            wgpu::BindingResource::Buffer(self.images.binding()),
            self.colors.as_entire_binding(),
            wgpu::BindingResource::TextureView(&kept.view),
        ];
        let stored = matches!(self.way, Way::Store(_)).then_some(wgpu::BindingResource::TextureView(&part.view));
        let group = group(&self.context, Some("texture output"), layout, resources.into_iter().chain(stored))?;
        Ok(Target { output: self.id, part, group, workgroups })
    }

    /// Records the drawing of one image into an encoder, as a pass. Allocates, creates, submits and waits for nothing.
    ///
    /// An error, before anything is recorded, if another output bound the texture, or if it is known that an object of
    /// the context couldn't be created: see [`Context::settled`].
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, target: &Target) -> Result<()> {
        if target.output != self.id {
            return Err(ErrorKind::argument("target", "what this output has bound", "another output's").into());
        }
        self.context.settled_so_far()?;
        let label = Some("shadernet");
        match &self.way {
            Way::Store(pipeline) => {
                let mut pass =
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None });
                pass.set_pipeline(&pipeline.pipeline);
                pass.set_bind_group(0, &target.group, &[]);
                pass.dispatch_workgroups(target.workgroups[0], target.workgroups[1], 1);
            }
            Way::Draw(draw) => {
                let attachment = wgpu::RenderPassColorAttachment {
                    view: &target.part.view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
                };
                let descriptor = wgpu::RenderPassDescriptor {
                    label,
                    color_attachments: &[Some(attachment)],
                    ..wgpu::RenderPassDescriptor::default()
                };
                let [x, y, width, height] = target.part.rect;
                let mut pass = encoder.begin_render_pass(&descriptor);
                pass.set_viewport(x as f32, y as f32, width as f32, height as f32, 0.0, 1.0);
                pass.set_scissor_rect(x, y, width, height);
                pass.set_pipeline(&draw.pipeline);
                pass.set_bind_group(0, &target.group, &[]);
                pass.draw(0..3, 0..1);
            }
        }
        Ok(())
    }
}

/// Returns true if textures are drawn to, false if they are stored to. An error if they can't be either.
pub(crate) fn drawn(
    context: &Context,
    format: wgpu::TextureFormat,
    usage: wgpu::TextureUsages,
    alpha: Alpha,
) -> Result<bool> {
    use wgpu::TextureUsages as Usage;
    let draws = usage.contains(Usage::RENDER_ATTACHMENT);
    if !draws && !usage.contains(Usage::STORAGE_BINDING) {
        let wanted = "RENDER_ATTACHMENT or STORAGE_BINDING";
        return Err(ErrorKind::argument("usage", wanted, format_args!("{usage:?}")).into());
    }
    if !draws && alpha == Alpha::Left {
        let got = format_args!("{usage:?}");
        return Err(ErrorKind::argument("usage", "RENDER_ATTACHMENT, for Alpha::Left", got).into());
    }
    let limits = context.device().limits();
    if !draws {
        let have = limits.max_storage_textures_per_shader_stage;
        at_least("an output", "max_storage_textures_per_shader_stage", 1, have.into())?;
    }
    let features = context.device().features();
    let as_a_rule = format.guaranteed_format_features(features).allowed_usages;
    let needed = if draws { Usage::RENDER_ATTACHMENT } else { Usage::STORAGE_BINDING };
    // An adapter may allow more than the guaranteed usages; the host has asked it to create the texture.
    let adapter = draws && features.contains(wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES);
    if adapter || (as_a_rule.contains(needed) && (draws || STORED.iter().any(|(stored, _)| *stored == format))) {
        return Ok(draws);
    }
    let wanted = format!("one that may have {needed:?} on this device");
    Err(ErrorKind::argument("format", wanted, format_args!("{format:?}")).into())
}

/// Returns the `KIND` of a drawing, its colors, and a ramp's beginning and its scale, in ramps a unit.
fn shown(port: &Port, channels: usize, drawing: &Drawing) -> Result<(u32, Vec<[f32; 4]>, [f32; 2])> {
    if let Show::Image = drawing.show {
        let affine = drawing.colors.given(&port.name, channels)?;
        return Ok((IMAGE, affine.matrix.into_iter().chain([affine.offset]).collect(), [0.0; 2]));
    }
    let of_images = [
        ("channels", drawing.colors.channels.is_some()),
        ("mean", drawing.colors.mean.is_some()),
        ("std", drawing.colors.std.is_some()),
    ];
    if let Some((argument, _)) = of_images.into_iter().find(|(_, given)| *given) {
        return Err(ErrorKind::argument(argument, "an image to have them", "a ramp or classes").into());
    }
    if drawing.palette.is_empty() {
        return Err(ErrorKind::argument("colors", "at least one", 0).into());
    }
    let wrong = |wanted: &str| ErrorKind::argument(format!("the channels of \"{}\"", port.name), wanted, channels);
    let (kind, ramp) = match drawing.show {
        Show::Ramp(_) if channels != 1 => return Err(wrong("1 for a ramp").into()),
        Show::Ramp([low, high]) if low < high && (high - low).is_finite() => (RAMP, [low, 1.0 / (high - low)]),
        Show::Ramp([low, high]) => {
            let got = format_args!("{low} to {high}");
            return Err(ErrorKind::argument("range", "finite numbers, the first the smaller one", got).into());
        }
        _ if port.dtype == DType::I32 && channels != 1 => return Err(wrong("1 for numbers of classes").into()),
        _ if port.dtype == DType::I32 => (LABELS, [0.0; 2]),
        _ if channels == 1 => return Err(wrong("a score for each class, or one i32").into()),
        _ => (CLASSES, [0.0; 2]),
    };
    Ok((kind, drawing.palette.clone(), ramp))
}

impl std::fmt::Debug for TextureOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TextureOutput(\"{}\" to {:?})", self.images.name, self.format)
    }
}
