//! The panel over the picture: samples, milliseconds, and how long the denoiser may take.

use super::gpu::Gpu;
use super::show::Show;
use egui_wgpu::{Renderer, RendererOptions, ScreenDescriptor};
use shadernet::wgpu;
use std::time::Duration;

pub(crate) struct Panel {
    pub(crate) context: egui::Context,
    pub(crate) shown: bool,
    renderer: Renderer,
}

/// The numbers that the panel shows and changes, besides the [`Show`].
pub(crate) struct Settings {
    /// The samples of a frame.
    pub(crate) samples: u32,
    /// The denoiser's time in a frame, in milliseconds; 0 for no limit.
    pub(crate) budget: f32,
    /// The mean time between two frames; zero before the second.
    pub(crate) frame: Duration,
    /// The frames that the last denoised image took.
    pub(crate) frames: u32,
}

impl Panel {
    pub(crate) fn new(gpu: &Gpu, target: wgpu::TextureFormat) -> Panel {
        let renderer = Renderer::new(&gpu.device, target, RendererOptions::default());
        Panel { context: egui::Context::default(), shown: true, renderer }
    }

    /// Lays out the panel and handles its input.
    pub(crate) fn run(&self, input: egui::RawInput, show: &mut Show, settings: &mut Settings) -> egui::FullOutput {
        self.context.run_ui(input, |ui| {
            if self.shown {
                let panel = egui::Window::new("denoised").resizable(false).default_pos([10.0, 10.0]);
                panel.show(ui.ctx(), |ui| lay_out(ui, show, settings));
            }
        })
    }

    /// Records the drawing of the panel.
    pub(crate) fn encode(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        to: (&wgpu::Texture, wgpu::TextureFormat),
        mut output: egui::FullOutput,
    ) {
        let size_in_pixels = [to.0.width(), to.0.height()];
        let screen = ScreenDescriptor { size_in_pixels, pixels_per_point: output.pixels_per_point };
        let shapes = self.context.tessellate(output.shapes, output.pixels_per_point);
        for (id, deltas) in &output.textures_delta.set {
            deltas.iter().for_each(|delta| self.renderer.update_texture(&gpu.device, &gpu.queue, *id, delta));
        }
        // Only paint callbacks give command buffers, and the panel has none.
        self.renderer.update_buffers(&gpu.device, &gpu.queue, encoder, &shapes, &screen);
        let view = to.0.create_view(&wgpu::TextureViewDescriptor { format: Some(to.1), ..Default::default() });
        let attachment = wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
        };
        let descriptor = wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() };
        self.renderer.render(&mut encoder.begin_render_pass(&descriptor).forget_lifetime(), &shapes, &screen);
        output.textures_delta.free.iter().for_each(|id| self.renderer.free_texture(id));
        // A debug build of egui panics where changes are dropped.
        output.textures_delta.clear();
    }
}

fn lay_out(ui: &mut egui::Ui, show: &mut Show, settings: &mut Settings) {
    let [width, height] = show.size();
    ui.label(format!("scene {}, {width} x {height}", show.seed));
    ui.label(format!("{} samples, {} a frame", show.count(), settings.samples));
    ui.label(format!("{:.1} ms a frame", 1e3 * settings.frame.as_secs_f64()));
    ui.label(match settings.frames {
        0 | 1 => "denoised in every frame".into(),
        frames => format!("denoised in {frames} frames"),
    });
    ui.separator();
    ui.label("the denoiser's part of a frame");
    let text = |value: f64, _: std::ops::RangeInclusive<usize>| match value {
        0.0 => "all of it".into(),
        value => format!("{value:.1} ms"),
    };
    ui.add(egui::Slider::new(&mut settings.budget, 0.0..=50.0).step_by(0.5).custom_formatter(text));
    ui.checkbox(&mut show.temporal, "with the last frame");
    ui.separator();
    ui.label("T: last frame   P: panel   N: next scene\n+, -: samples   arrows, drag: camera\nEsc: end");
}
