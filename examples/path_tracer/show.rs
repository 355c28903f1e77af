//! A frame: some more samples, the denoiser, and both images side by side. Nothing leaves the device.

use super::gpu::Gpu;
use super::tracer::textures::Textures;
use super::tracer::{Camera, Scene, Tracer};
use shadernet::denoise::{
    Archive, BoundTextures, Content, Denoiser, DenoiserOptions, DenoiserSlices, DenoiserTextures,
};
use shadernet::denoise::{DenoiserView, Guides};
use shadernet::measure::{Effort, step_times};
use shadernet::{Result, wgpu};
use std::time::Duration;

/// The weight of the last frame in the next one.
const LAST: f32 = 0.5;
/// The longest piece of the denoiser.
const PIECE: Duration = Duration::from_millis(1);

/// A scene that is traced, denoised and drawn.
pub(crate) struct Show {
    pub(crate) gpu: Gpu,
    denoiser: Denoiser,
    measure: wgpu::ComputePipeline,
    draw: wgpu::RenderPipeline,
    params: wgpu::Buffer,
    exposure: wgpu::Buffer,
    image: Image,
    /// The number that the scene is made up from.
    pub(crate) seed: u64,
    /// The camera, which moves.
    pub(crate) camera: Camera,
    /// True if each denoised frame is blended with the last one.
    pub(crate) temporal: bool,
    /// The times that the camera has moved: each time the noise is another.
    moves: u32,
    /// The share of the picture that is as traced; right of it the picture is denoised.
    pub(crate) line: f32,
}

/// The objects of one scene and size.
struct Image {
    size: [u32; 2],
    tracer: Tracer,
    textures: Textures,
    view: DenoiserView,
    bound: BoundTextures,
    /// The progress of a frame that is denoised in slices, once they are wanted.
    slices: Option<DenoiserSlices>,
    /// True between the first slice and the last.
    midway: bool,
    measure: wgpu::BindGroup,
    draw: wgpu::BindGroup,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    width: u32,
    height: u32,
    border: f32,
    columns: f32,
}

impl Show {
    /// Creates what traces, denoises and draws images of `[width, height]` pixels to textures of this format.
    pub(crate) fn new(gpu: Gpu, target: wgpu::TextureFormat, seed: u64, size: [u32; 2]) -> Result<Show> {
        let weights = Archive::builtin(Content::Hdr, Guides::AlbedoNormal)?;
        let options = DenoiserOptions::new(Content::Hdr, weights).temporal(LAST);
        let denoiser = Denoiser::new(&gpu.context, options)?;
        let device = &gpu.device;
        let module = device.create_shader_module(wgpu::include_wgsl!("show.wgsl"));
        let measure = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("exposure"),
            layout: None,
            module: &module,
            entry_point: Some("measure"),
            compilation_options: Default::default(),
            cache: None,
        });
        let draw = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("drawing"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: Default::default(),
            depth_stencil: None,
            multisample: Default::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("draw"),
                compilation_options: Default::default(),
                targets: &[Some(target.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let buffer = |label, size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = buffer("drawing's parameters", size_of::<Params>() as u64, usage);
        let exposure = buffer("exposure", 4, wgpu::BufferUsages::STORAGE);
        let scene = Scene::seeded(seed);
        let camera = scene.camera;
        let tracer = Tracer::new(device, &scene, size);
        let image = Image::new(&denoiser, tracer, size, (&measure, &draw), [&params, &exposure])?;
        let (temporal, moves, line) = (true, 0, 0.5);
        Ok(Show { gpu, denoiser, measure, draw, params, exposure, image, seed, camera, temporal, moves, line })
    }

    /// Takes another scene, with its own camera.
    pub(crate) fn load(&mut self, seed: u64) -> Result<()> {
        (self.seed, self.camera) = (seed, Scene::seeded(seed).camera);
        self.resize(self.image.size)
    }

    /// Takes another size. The denoiser's view is a new one then, which takes a moment.
    pub(crate) fn resize(&mut self, size: [u32; 2]) -> Result<()> {
        let tracer = self.image.tracer.for_scene(&Scene::seeded(self.seed), size);
        let pipelines = (&self.measure, &self.draw);
        self.image = Image::new(&self.denoiser, tracer, size, pipelines, [&self.params, &self.exposure])?;
        self.image.tracer.look(self.camera);
        Ok(())
    }

    /// Moves the camera: the image begins anew.
    pub(crate) fn look(&mut self, camera: Camera) {
        (self.camera, self.moves) = (camera, self.moves.wrapping_add(1));
        self.image.tracer.look(camera);
        self.image.tracer.reset(self.moves);
    }

    /// Drops all samples.
    pub(crate) fn restart(&mut self) {
        self.image.tracer.reset(0);
    }

    /// Returns width and height of the image.
    pub(crate) fn size(&self) -> [u32; 2] {
        self.image.size
    }

    /// Returns the samples of each pixel so far.
    pub(crate) fn count(&self) -> u32 {
        self.image.tracer.count()
    }

    /// Records so many further samples of each pixel.
    pub(crate) fn trace(&mut self, encoder: &mut wgpu::CommandEncoder, samples: u32) {
        self.image.tracer.sample(encoder, samples);
    }

    /// Records as much of the denoiser as fits into a budget: all of it at a budget of zero. It reads the samples that were there
    /// when it began. Returns true if the denoised image is complete then.
    pub(crate) fn denoise(&mut self, encoder: &mut wgpu::CommandEncoder, budget: Duration) -> Result<bool> {
        let Image { tracer, textures, view, bound, slices, midway, .. } = &mut self.image;
        if !*midway {
            textures.write(encoder, tracer);
            if !self.temporal {
                view.reset();
            }
        }
        if budget.is_zero() && !*midway {
            view.encode(encoder, bound)?;
            return Ok(true);
        }
        let slices = match slices {
            Some(slices) => slices,
            None => slices.insert(view.slices(&step_times(view.session(), Effort::default())?, PIECE)?),
        };
        let budget = if budget.is_zero() { Duration::MAX } else { budget };
        let slice = view.encode_within(encoder, bound, slices, budget)?;
        *midway = !slice.finished;
        Ok(slice.finished)
    }

    /// Records the drawing of both images.
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, to: &wgpu::Texture, format: wgpu::TextureFormat) {
        let [width, height] = self.image.size;
        let columns = to.width() as f32;
        let params = Params { width, height, border: (self.line * columns).round(), columns };
        self.gpu.queue.write_buffer(&self.params, 0, bytemuck::bytes_of(&params));
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.measure);
        pass.set_bind_group(0, &self.image.measure, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        let view = to.create_view(&wgpu::TextureViewDescriptor { format: Some(format), ..Default::default() });
        let attachment = wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
        };
        let descriptor = wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() };
        let mut pass = encoder.begin_render_pass(&descriptor);
        pass.set_pipeline(&self.draw);
        pass.set_bind_group(0, &self.image.draw, &[]);
        pass.draw(0..3, 0..1);
    }
}

impl Image {
    fn new(
        denoiser: &Denoiser,
        tracer: Tracer,
        size: [u32; 2],
        (measure, draw): (&wgpu::ComputePipeline, &wgpu::RenderPipeline),
        [params, exposure]: [&wgpu::Buffer; 2],
    ) -> Result<Image> {
        let device = denoiser.context().device();
        let denoised = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("denoised"),
            size: wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Float,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::TEXTURE_BINDING,
            view_formats: &[],
        });
        let textures = Textures::new(&tracer);
        let of = DenoiserTextures::new(&textures.color, &denoised).albedo(&textures.albedo).normal(&textures.normal);
        let of = of.depth(&textures.depth).motion(&textures.motion);
        let view = denoiser.view(&of)?;
        let bound = view.bind(&of)?;
        let shown = denoised.create_view(&Default::default());
        let group = |layout, buffers: &[(u32, &wgpu::Buffer)]| {
            let entries = buffers.iter().map(|(binding, buffer)| (*binding, buffer.as_entire_binding()));
            let entries = entries.chain([(1, wgpu::BindingResource::TextureView(&shown))]);
            let entries: Vec<_> =
                entries.map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
        };
        let measure = group(measure.get_bind_group_layout(0), &[(0, params), (4, exposure)]);
        let all = [(0, params), (2, &tracer.color), (3, exposure)];
        let draw = group(draw.get_bind_group_layout(0), &all);
        Ok(Image { size, tracer, textures, view, bound, slices: None, midway: false, measure, draw })
    }
}
