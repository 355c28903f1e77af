//! The application's own drawing, without a network.

use shadernet::wgpu;

/// The scene, in a texture of half the window's size.
pub(crate) struct Scene {
    device: wgpu::Device,
    queue: wgpu::Queue,
    params: wgpu::Buffer,
    scene: wgpu::RenderPipeline,
    stretched: wgpu::RenderPipeline,
    sampler: wgpu::Sampler,
    sized: Option<Sized>,
}

/// The resources that depend on the scene's size.
struct Sized {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    scene: wgpu::BindGroup,
    stretched: wgpu::BindGroup,
}

/// The scene's format. It isn't sRGB: shaders see the numbers of an image file, and so does the network.
pub(crate) const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

impl Scene {
    /// Creates the scene. `target` is the format of the texture that it is stretched to.
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue, target: wgpu::TextureFormat) -> Scene {
        let module = device.create_shader_module(wgpu::include_wgsl!("scene.wgsl"));
        let pipeline = |entry: &str, format: wgpu::TextureFormat| {
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some(entry),
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
                    entry_point: Some(entry),
                    compilation_options: Default::default(),
                    targets: &[Some(format.into())],
                }),
                multiview_mask: None,
                cache: None,
            })
        };
        Scene {
            device: device.clone(),
            queue: queue.clone(),
            params: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("scene"),
                size: 16,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            scene: pipeline("scene", FORMAT),
            stretched: pipeline("stretched", target),
            sampler: device.create_sampler(&wgpu::SamplerDescriptor {
                mag_filter: wgpu::FilterMode::Linear,
                min_filter: wgpu::FilterMode::Linear,
                ..Default::default()
            }),
            sized: None,
        }
    }

    /// Returns the scene's texture at this size, and true if the texture is new.
    pub(crate) fn texture(&mut self, [width, height]: [u32; 2]) -> (&wgpu::Texture, bool) {
        let same =
            self.sized.as_ref().is_some_and(|sized| (sized.texture.width(), sized.texture.height()) == (width, height));
        let old = self.sized.take().filter(|_| same);
        let sized = self.sized.insert(old.unwrap_or_else(|| self.sized(width, height)));
        (&sized.texture, !same)
    }

    fn sized(&self, width: u32, height: u32) -> Sized {
        let texture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("scene"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: FORMAT,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
            view_formats: &[],
        });
        let view = texture.create_view(&Default::default());
        let group = |pipeline: &wgpu::RenderPipeline, entries: &[wgpu::BindGroupEntry]| {
            let layout = pipeline.get_bind_group_layout(0);
            self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries })
        };
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let params = entry(0, self.params.as_entire_binding());
        let scene = group(&self.scene, std::slice::from_ref(&params));
        let small = entry(1, wgpu::BindingResource::TextureView(&view));
        let sampler = entry(2, wgpu::BindingResource::Sampler(&self.sampler));
        let stretched = group(&self.stretched, &[params, small, sampler]);
        Sized { texture, view, scene, stretched }
    }

    /// Sets the time of the animation, and the columns of the picture that are stretched. A line marks their end.
    pub(crate) fn update(&self, seconds: f32, picture: u32, columns: u32) {
        let Some(Sized { texture, .. }) = &self.sized else { return };
        let aspect = texture.width() as f32 / texture.height() as f32;
        let line = if columns < picture { columns.saturating_sub(2) } else { columns };
        self.queue.write_buffer(&self.params, 0, bytemuck::cast_slice(&[seconds, aspect, line as f32, 0.0]));
    }

    /// Draws the scene into its texture.
    pub(crate) fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let Some(sized) = &self.sized else { return };
        let mut pass = pass(encoder, &sized.view, wgpu::LoadOp::Clear(wgpu::Color::BLACK));
        pass.set_pipeline(&self.scene);
        pass.set_bind_group(0, &sized.scene, &[]);
        pass.draw(0..3, 0..1);
    }

    /// Stretches the scene to a picture by a sampler, but draws only the first `columns` columns.
    pub(crate) fn stretch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        to: &wgpu::TextureView,
        picture: [u32; 2],
        columns: u32,
    ) {
        let Some(sized) = &self.sized else { return };
        let mut pass = pass(encoder, to, wgpu::LoadOp::Load);
        pass.set_viewport(0.0, 0.0, picture[0] as f32, picture[1] as f32, 0.0, 1.0);
        pass.set_scissor_rect(0, 0, columns.min(picture[0]), picture[1]);
        pass.set_pipeline(&self.stretched);
        pass.set_bind_group(0, &sized.stretched, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// Begins a render pass over a view.
pub(crate) fn pass(
    encoder: &mut wgpu::CommandEncoder,
    view: &wgpu::TextureView,
    load: wgpu::LoadOp<wgpu::Color>,
) -> wgpu::RenderPass<'static> {
    let attachment = wgpu::RenderPassColorAttachment {
        view,
        depth_slice: None,
        resolve_target: None,
        ops: wgpu::Operations { load, store: wgpu::StoreOp::Store },
    };
    let descriptor = wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() };
    encoder.begin_render_pass(&descriptor).forget_lifetime()
}
