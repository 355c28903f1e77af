//! The window, its events and its swap chain.

use super::Options;
use super::gpu::Gpu;
use super::show::Show;
use shadernet::wgpu;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::{ElementState, KeyEvent, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop, OwnedDisplayHandle};
use winit::keyboard::{Key, NamedKey};
use winit::window::{Window, WindowId};

/// Opens the window and returns when it has been closed.
pub(crate) fn open(options: Options) -> Result<(), Box<dyn Error>> {
    // winit panics if a keyboard library is missing.
    let events = std::panic::catch_unwind(EventLoop::new)
        .map_err(|panic| panic.downcast::<String>().map_or_else(|_| "winit panicked".into(), |message| *message))
        .and_then(|events| events.map_err(|error| error.to_string()))
        .map_err(|error| format!("no window can be opened: {error}\n--headless FILE.png draws without one"))?;
    let mut app = App { options, display: events.owned_display_handle(), open: None, outcome: Ok(()) };
    events.run_app(&mut app)?;
    app.outcome
}

struct App {
    options: Options,
    display: OwnedDisplayHandle,
    open: Option<Open>,
    outcome: Result<(), Box<dyn Error>>,
}

/// The state of an open window.
struct Open {
    window: Arc<Window>,
    instance: wgpu::Instance,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    egui: egui_winit::State,
    show: Show,
    started: Instant,
}

impl ApplicationHandler for App {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        if self.open.is_none() {
            match Open::new(events, &self.display, &self.options) {
                Ok(open) => self.open = Some(open),
                Err(error) => self.end(events, Err(error)),
            }
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(open) = &mut self.open else { return };
        let taken = open.egui.on_window_event(&open.window, &event).consumed;
        let outcome = match event {
            WindowEvent::CloseRequested => return self.end(events, Ok(())),
            WindowEvent::Resized(size) => open.resize(size),
            WindowEvent::RedrawRequested => open.draw(),
            WindowEvent::KeyboardInput {
                event: KeyEvent { logical_key, state: ElementState::Pressed, .. }, ..
            } if !taken => match logical_key {
                Key::Named(NamedKey::Escape) => return self.end(events, Ok(())),
                key => open.press(&key),
            },
            _ => Ok(()),
        };
        if outcome.is_err() {
            self.end(events, outcome);
        }
    }

    fn about_to_wait(&mut self, _: &ActiveEventLoop) {
        // A minimized window has no pixels. An event comes when it has some again.
        if let Some(open) = self.open.as_ref().filter(|open| open.config.width > 0 && open.config.height > 0) {
            open.window.request_redraw();
        }
    }
}

impl App {
    fn end(&mut self, events: &ActiveEventLoop, outcome: Result<(), Box<dyn Error>>) {
        let open = self.open.take();
        if outcome.is_err() {
            // The process ends anyway, and wgpu may panic when the swap chain of a lost device is dropped.
            std::mem::forget(open);
        }
        self.outcome = outcome;
        events.exit();
    }
}

impl Open {
    fn new(events: &ActiveEventLoop, display: &OwnedDisplayHandle, options: &Options) -> Result<Open, Box<dyn Error>> {
        let [width, height] = options.size;
        let attributes = Window::default_attributes()
            .with_title("shadernet: a network in a window")
            .with_inner_size(PhysicalSize::new(width, height));
        let window = Arc::new(events.create_window(attributes)?);
        let descriptor = wgpu::InstanceDescriptor::new_with_display_handle(Box::new(display.clone()));
        let instance = wgpu::Instance::new(descriptor);
        let surface = instance.create_surface(window.clone())?;
        let gpu = pollster::block_on(Gpu::new(&instance, Some(&surface)))?;

        // The network, egui and the scene all use the numbers of an image file: not sRGB, if possible.
        let formats = surface.get_capabilities(&gpu.adapter).formats;
        let eight = |format: &wgpu::TextureFormat| {
            matches!(format.remove_srgb_suffix(), wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Rgba8Unorm)
        };
        let plain = formats.iter().copied().find(|format| eight(format) && !format.is_srgb());
        let format =
            plain.or_else(|| formats.iter().copied().find(eight)).ok_or("the window has no colors of 8 bits")?;
        let viewed = format.remove_srgb_suffix();
        let size = window.inner_size();
        let config = surface.get_default_config(&gpu.adapter, size.width, size.height);
        let config = wgpu::SurfaceConfiguration {
            format,
            view_formats: if viewed == format { Vec::new() } else { vec![viewed] },
            ..config.ok_or("the adapter can't draw to the window")?
        };
        let most = gpu.device.limits().max_texture_dimension_2d as usize;
        let mut show = Show::new(gpu, viewed)?;
        options.apply(&mut show);
        let scale = Some(window.scale_factor() as f32);
        let context = show.panel.context.clone();
        let egui = egui_winit::State::new(context, egui::ViewportId::ROOT, &window, scale, None, Some(most));
        let mut open = Open { window, instance, surface, config, egui, show, started: Instant::now() };
        open.resize(size)?;
        Ok(open)
    }

    fn resize(&mut self, size: PhysicalSize<u32>) -> Result<(), Box<dyn Error>> {
        let most = self.show.gpu.device.limits().max_texture_dimension_2d;
        (self.config.width, self.config.height) = (size.width.min(most), size.height.min(most));
        self.configure();
        self.show.gpu.check()
    }

    fn configure(&self) {
        if self.config.width > 0 && self.config.height > 0 {
            self.surface.configure(&self.show.gpu.device, &self.config);
        }
    }

    fn draw(&mut self) -> Result<(), Box<dyn Error>> {
        use wgpu::CurrentSurfaceTexture as Current;
        if self.config.width == 0 || self.config.height == 0 {
            return Ok(());
        }
        let (frame, is_stale) = match self.surface.get_current_texture() {
            Current::Success(frame) => (frame, false),
            Current::Suboptimal(frame) => (frame, true),
            Current::Outdated => {
                self.configure();
                return self.show.gpu.check();
            }
            Current::Lost => {
                // The surface is lost with the device, or by itself.
                self.show.gpu.check()?;
                self.surface = self.instance.create_surface(self.window.clone())?;
                self.configure();
                return Ok(());
            }
            Current::Timeout | Current::Occluded | Current::Validation => {
                // Nobody sees the frame. The next attempt comes after a pause.
                std::thread::sleep(Duration::from_millis(50));
                return self.show.gpu.check();
            }
        };
        let input = self.egui.take_egui_input(&self.window);
        let asked = self.show.frame(&frame.texture, self.started.elapsed().as_secs_f32(), input)?;
        self.egui.handle_platform_output(&self.window, asked);
        self.window.pre_present_notify();
        self.show.gpu.queue.present(frame);
        if is_stale {
            self.configure();
        }
        Ok(())
    }

    fn press(&mut self, key: &Key) -> Result<(), Box<dyn Error>> {
        match key {
            Key::Character(c) if c.eq_ignore_ascii_case("p") => self.show.panel.shown ^= true,
            Key::Character(c) if c.eq_ignore_ascii_case("m") => self.show.measure()?,
            Key::Named(NamedKey::ArrowLeft) => self.show.line = (self.show.line - 0.05).max(0.0),
            Key::Named(NamedKey::ArrowRight) => self.show.line = (self.show.line + 0.05).min(1.0),
            _ => (),
        }
        Ok(())
    }
}
