//! Textures of a tracer's images, with depth and motion, for a denoiser that keeps the last frame.

use super::{Camera, Tracer};
use shadernet::wgpu;

/// The images of a [`Tracer`] in textures, in the conventions of a denoiser's.
///
/// `depth` has the distance of what a pixel's center shows, and 1e6 for the sky. `motion` has the way in pixels, right and
/// down, to where that was in the last frame.
pub(crate) struct Textures {
    pub(crate) color: wgpu::Texture,
    pub(crate) albedo: wgpu::Texture,
    pub(crate) normal: wgpu::Texture,
    pub(crate) depth: wgpu::Texture,
    pub(crate) motion: wgpu::Texture,
    /// The shaders that write them, each with its bindings.
    passes: [(wgpu::ComputePipeline, wgpu::BindGroup); 2],
    /// The camera of the last frame.
    last: Option<Camera>,
}

impl Textures {
    /// Creates textures of a tracer's size.
    pub(crate) fn new(tracer: &Tracer) -> Textures {
        let (device, [width, height]) = (&tracer.device, tracer.size);
        let module = device.create_shader_module(wgpu::include_wgsl!("tracer.wgsl"));
        let texture = |label, format| {
            device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::STORAGE_BINDING
                    | wgpu::TextureUsages::TEXTURE_BINDING
                    | wgpu::TextureUsages::COPY_SRC,
                view_formats: &[],
            })
        };
        let color = texture("color", wgpu::TextureFormat::Rgba32Float);
        let [albedo, normal] = ["albedo", "normal"].map(|label| texture(label, wgpu::TextureFormat::Rgba16Float));
        let depth = texture("depth", wgpu::TextureFormat::R32Float);
        let motion = texture("motion", wgpu::TextureFormat::Rg32Float);
        let pass = |entry: &str, buffers: &[(u32, &wgpu::Buffer)], textures: &[(u32, &wgpu::Texture)]| {
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: Default::default(),
                cache: None,
            });
            let views = textures.iter().map(|(binding, texture)| (*binding, texture.create_view(&Default::default())));
            let views: Vec<_> = views.collect();
            let buffers = buffers.iter().map(|(binding, buffer)| (*binding, buffer.as_entire_binding()));
            let textures = views.iter().map(|(binding, view)| (*binding, wgpu::BindingResource::TextureView(view)));
            let entries = buffers.chain(textures);
            let entries: Vec<_> =
                entries.map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
            let layout = &pipeline.get_bind_group_layout(0);
            let bindings =
                device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries });
            (pipeline, bindings)
        };
        let Tracer { params, scene, .. } = tracer;
        let means = [(0, params), (2, &tracer.color), (3, &tracer.albedo), (4, &tracer.normal)];
        let publish = pass("publish", &means, &[(5, &color), (6, &albedo), (7, &normal)]);
        let follow = pass("follow", &[(0, params), (1, scene)], &[(8, &depth), (9, &motion)]);
        Textures { color, albedo, normal, depth, motion, passes: [publish, follow], last: None }
    }

    /// Records the writing of a frame: the means so far, depth, and the motion since the last call.
    pub(crate) fn write(&mut self, encoder: &mut wgpu::CommandEncoder, tracer: &Tracer) {
        let last = self.last.replace(tracer.camera);
        tracer.stage(encoder, 0, last.unwrap_or(tracer.camera));
        let [width, height] = tracer.size;
        for (pipeline, bindings) in &self.passes {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, bindings, &[]);
            pass.dispatch_workgroups(width.div_ceil(8), height.div_ceil(8), 1);
        }
    }
}
