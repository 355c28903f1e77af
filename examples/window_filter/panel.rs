//! The panel beside the picture: the cost of a frame, layer by layer.

use super::scene::pass;
use egui::{Align2, Color32, FontId, Rect, Sense, Slider, vec2};
use egui_wgpu::{Renderer, RendererOptions, ScreenDescriptor};
use shadernet::wgpu;
use std::time::Duration;

/// The figures that the panel shows.
pub(crate) struct Figures<'a> {
    pub(crate) adapter: &'a str,
    /// The time between two frames; zero before the second.
    pub(crate) frame: Duration,
    /// The time from the recording of a picture's first dispatch until the device has computed the last one.
    pub(crate) latency: Duration,
    /// The number of frames that the last picture took.
    pub(crate) frames: u32,
    /// The sizes of the network's input and output, width first.
    pub(crate) sizes: Option<[[usize; 2]; 2]>,
    pub(crate) steps: Vec<(&'a str, Duration)>,
    /// A message: an error, or work in progress.
    pub(crate) message: Option<&'a str>,
}

pub(crate) struct Panel {
    pub(crate) context: egui::Context,
    pub(crate) shown: bool,
    /// The network's time in a frame, in milliseconds; 0 for no limit.
    pub(crate) budget: f32,
    renderer: Renderer,
}

/// The panel's width in points.
const WIDTH: f32 = 250.0;

impl Panel {
    pub(crate) fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Panel {
        let renderer = Renderer::new(device, target, RendererOptions::default());
        Panel { context: egui::Context::default(), shown: true, budget: 0.0, renderer }
    }

    /// Returns the pixels that the panel takes from a window; 0 if it is hidden or the window is too narrow.
    pub(crate) fn width(&self, window: u32) -> u32 {
        let width = (WIDTH * self.context.pixels_per_point()).ceil() as u32;
        if self.shown && window >= 2 * width { width } else { 0 }
    }

    /// Lays out the panel and handles its input.
    pub(crate) fn run(&mut self, input: egui::RawInput, visible: bool, figures: &Figures) -> egui::FullOutput {
        let budget = &mut self.budget;
        self.context.run_ui(input, |ui| {
            if visible {
                egui::Panel::right("panel").resizable(false).exact_size(WIDTH).show(ui, |ui| {
                    egui::ScrollArea::vertical().show(ui, |ui| show(ui, budget, figures));
                });
            }
        })
    }

    /// Draws the panel over the view.
    pub(crate) fn encode(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        view: &wgpu::TextureView,
        size: [u32; 2],
        mut output: egui::FullOutput,
    ) {
        let screen = ScreenDescriptor { size_in_pixels: size, pixels_per_point: output.pixels_per_point };
        let shapes = self.context.tessellate(output.shapes, output.pixels_per_point);
        for (id, deltas) in &output.textures_delta.set {
            deltas.iter().for_each(|delta| self.renderer.update_texture(device, queue, *id, delta));
        }
        // Only paint callbacks give command buffers, and the panel has none.
        self.renderer.update_buffers(device, queue, encoder, &shapes, &screen);
        self.renderer.render(&mut pass(encoder, view, wgpu::LoadOp::Load), &shapes, &screen);
        output.textures_delta.free.iter().for_each(|id| self.renderer.free_texture(id));
        // A debug build of egui panics where changes are dropped.
        output.textures_delta.clear();
    }
}

fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

fn show(ui: &mut egui::Ui, budget: &mut f32, figures: &Figures) {
    ui.add_space(6.0);
    ui.strong(figures.adapter);
    if let Some([[from_width, from_height], [to_width, to_height]]) = figures.sizes {
        ui.label(format!("{from_width} x {from_height} to {to_width} x {to_height}"));
    }
    if let Some(message) = figures.message {
        ui.colored_label(Color32::from_rgb(255, 170, 80), message);
    }
    ui.separator();
    ui.label(match figures.frame {
        Duration::ZERO => "frame".into(),
        frame => format!("frame {:.1} ms, {:.1} a second", ms(frame), 1.0 / frame.as_secs_f64()),
    });
    ui.label(format!("latency of the network {:.1} ms", ms(figures.latency)));
    ui.label(match figures.frames {
        0 | 1 => "a new picture every frame".into(),
        frames => format!("a new picture every {frames} frames"),
    });
    ui.separator();
    ui.label("the network's part of a frame");
    let text = |value: f64, _: std::ops::RangeInclusive<usize>| match value {
        0.0 => "all of it".into(),
        value => format!("{value:.1} ms"),
    };
    ui.add(Slider::new(budget, 0.0..=50.0).step_by(0.5).custom_formatter(text));
    ui.separator();

    let total: Duration = figures.steps.iter().map(|(_, time)| *time).sum();
    let longest = figures.steps.iter().map(|(_, time)| *time).max().unwrap_or_default();
    ui.label(format!("{} steps, {:.1} ms together", figures.steps.len(), ms(total)));
    for (name, time) in &figures.steps {
        let (place, painter) = ui.allocate_painter(vec2(ui.available_width(), 18.0), Sense::hover());
        let all = place.rect;
        let share = time.as_secs_f32() / longest.as_secs_f32().max(1e-9);
        painter.rect_filled(all, 2.0, Color32::from_gray(45));
        let bar = Rect::from_min_size(all.min, vec2(all.width() * share, all.height()));
        painter.rect_filled(bar, 2.0, Color32::from_rgb(40, 105, 155));
        let font = FontId::proportional(12.0);
        let (left, right) = (all.left_center() + vec2(5.0, 0.0), all.right_center() - vec2(5.0, 0.0));
        painter.text(left, Align2::LEFT_CENTER, name, font.clone(), Color32::WHITE);
        painter.text(right, Align2::RIGHT_CENTER, format!("{:.2} ms", ms(*time)), font, Color32::WHITE);
    }
    ui.separator();
    ui.label("P: panel   M: measure again\nleft, right: the line   Esc: end");
}
