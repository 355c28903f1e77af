//! A progressive path tracer in WGSL: linear colors, albedo and normals in buffers, in the form that a denoiser takes.
//!
//! ```text
//! let scene = Scene::seeded(7);
//! let mut tracer = Tracer::new(&device, &scene, [960, 540]);
//! tracer.sample(&mut encoder, 4); // each frame; the means of all samples so far are in color, albedo and normal
//! tracer.look(Camera { eye, ..scene.camera }); // begins anew
//! ```

mod scene;
pub(crate) mod textures;

pub(crate) use scene::{Camera, Scene};
use shadernet::wgpu;
use wgpu::util::DeviceExt;

/// The most samples of one dispatch. llvmpipe ends all loops of an invocation after 65,535 turns, and a sample has 8 at
/// most; more than that, a display's driver ends dispatches that take seconds.
const MOST: u32 = 64;

/// A view of a scene, which becomes cleaner with each sample.
///
/// `color` has linear light of any brightness, `albedo` the colors in 0..1 of the first rough surface that a ray hits, if
/// need be behind mirrors and glass, `normal` its normals in the world's space, in -1..1. Each is planes `[3, H, W]` of
/// `f32`s, the means of all samples so far, and can be bound to an input of a denoiser's session.
pub(crate) struct Tracer {
    device: wgpu::Device,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    params: wgpu::Buffer,
    scene: wgpu::Buffer,
    pub(crate) color: wgpu::Buffer,
    pub(crate) albedo: wgpu::Buffer,
    pub(crate) normal: wgpu::Buffer,
    size: [u32; 2],
    camera: Camera,
    seed: u32,
    count: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    eye: [f32; 3],
    width: u32,
    right: [f32; 3],
    height: u32,
    up: [f32; 3],
    count: u32,
    ahead: [f32; 3],
    samples: u32,
    seed: u32,
    pad: [u32; 3],
    last_eye: [f32; 3],
    pad_eye: u32,
    last_right: [f32; 3],
    pad_right: u32,
    last_up: [f32; 3],
    pad_up: u32,
    last_ahead: [f32; 3],
    pad_ahead: u32,
}

impl Tracer {
    /// Creates a tracer for images of `[width, height]` pixels, and compiles its shader.
    pub(crate) fn new(device: &wgpu::Device, scene: &Scene, size: [u32; 2]) -> Tracer {
        let module = device.create_shader_module(wgpu::include_wgsl!("tracer.wgsl"));
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("tracer"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Tracer::with_pipeline(device, pipeline, scene, size)
    }

    /// Creates a tracer of another scene or size. It shares the pipeline.
    pub(crate) fn for_scene(&self, scene: &Scene, size: [u32; 2]) -> Tracer {
        Tracer::with_pipeline(&self.device, self.pipeline.clone(), scene, size)
    }

    fn with_pipeline(device: &wgpu::Device, pipeline: wgpu::ComputePipeline, scene: &Scene, size: [u32; 2]) -> Tracer {
        let buffer = |label, size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let image = |label| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            buffer(label, 12 * u64::from(size[0]) * u64::from(size[1]), usage)
        };
        let [color, albedo, normal] = ["color", "albedo", "normal"].map(image);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = buffer("tracer's parameters", size_of::<Params>() as u64, usage);
        let data = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("scene"),
            contents: bytemuck::bytes_of(&scene.data),
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let entries = [&params, &data, &color, &albedo, &normal].map(wgpu::Buffer::as_entire_binding);
        let entries = (0..).zip(entries).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tracer"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries.collect::<Vec<_>>(),
        });
        let (device, camera, scene) = (device.clone(), scene.camera, data);
        Tracer { device, pipeline, bindings, params, scene, color, albedo, normal, size, camera, seed: 0, count: 0 }
    }

    /// Records so many further samples of each pixel.
    pub(crate) fn sample(&mut self, encoder: &mut wgpu::CommandEncoder, mut samples: u32) {
        while samples > 0 {
            let now = samples.min(MOST);
            let [width, height] = self.size;
            self.stage(encoder, now, self.camera);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.bindings, &[]);
            pass.dispatch_workgroups(width.div_ceil(8), height.div_ceil(8), 1);
            self.count += now;
            samples -= now;
        }
    }

    /// Records the parameters of the next pass. Calls that are recorded into one encoder each have their own.
    fn stage(&self, encoder: &mut wgpu::CommandEncoder, samples: u32, last: Camera) {
        let ([right, up, ahead], [width, height]) = (self.camera.axes(self.size), self.size);
        let [last_right, last_up, last_ahead] = last.axes(self.size);
        let Tracer { seed, count, camera: Camera { eye, .. }, .. } = *self;
        let params = Params {
            eye,
            width,
            right,
            height,
            up,
            count,
            ahead,
            samples,
            seed,
            pad: [0; 3],
            last_eye: last.eye,
            pad_eye: 0,
            last_right,
            pad_right: 0,
            last_up,
            pad_up: 0,
            last_ahead,
            pad_ahead: 0,
        };
        let staged = self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("tracer's next parameters"),
            contents: bytemuck::bytes_of(&params),
            usage: wgpu::BufferUsages::COPY_SRC,
        });
        encoder.copy_buffer_to_buffer(&staged, 0, &self.params, 0, None);
    }

    /// Returns the samples of each pixel so far.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Drops all samples: the next ones begin anew, and with another seed their noise is another.
    pub(crate) fn reset(&mut self, seed: u32) {
        (self.seed, self.count) = (seed, 0);
    }

    /// Moves the camera, and drops all samples.
    pub(crate) fn look(&mut self, camera: Camera) {
        self.camera = camera;
        self.reset(self.seed);
    }
}
