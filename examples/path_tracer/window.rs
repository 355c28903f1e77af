//! The window: a frame traces some samples, denoises the mean of all so far, and draws both.

use super::Options;
use super::panel::{Panel, Settings};
use super::screen::{Screen, event_loop};
use super::show::Show;
use std::error::Error;
use std::time::{Duration, Instant};
use winit::application::ApplicationHandler;
use winit::event::{ElementState, KeyEvent, MouseButton, WindowEvent};
use winit::event_loop::{ActiveEventLoop, OwnedDisplayHandle};
use winit::keyboard::{Key, NamedKey};
use winit::window::WindowId;

/// Opens the window and returns when it has been closed.
pub(crate) fn open(options: Options) -> Result<(), Box<dyn Error>> {
    let events = event_loop("--output")?;
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
    screen: Screen,
    show: Show,
    egui: egui_winit::State,
    panel: Panel,
    settings: Settings,
    /// The place of the mouse, and whether it turns the camera.
    mouse: [f32; 2],
    turns: bool,
    resized: Instant,
    /// The start of the last frame.
    last: Option<Instant>,
    /// The frames of the denoised image that is being computed.
    frames: u32,
}

/// The time for which a window keeps its size before the image takes it: each size is a new session of the denoiser.
const SETTLED: Duration = Duration::from_millis(200);
/// Radians that the camera turns by in a drag over the window's height.
const TURN: f32 = 2.0;
/// The length of a step of the camera. Rooms are a few units wide.
const STEP: f32 = 0.1;

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
        let taken = open.egui.on_window_event(&open.screen.window, &event).consumed;
        let outcome = match event {
            WindowEvent::CloseRequested => return self.end(events, Ok(())),
            WindowEvent::Resized(size) => {
                open.resized = Instant::now();
                open.screen.resize(&open.show.gpu, size)
            }
            WindowEvent::RedrawRequested => open.draw(),
            WindowEvent::CursorMoved { position, .. } => {
                open.point([position.x as f32, position.y as f32], taken);
                Ok(())
            }
            WindowEvent::MouseInput { state, button: MouseButton::Left, .. } => {
                open.turns = state == ElementState::Pressed && !taken;
                Ok(())
            }
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
        if let Some(open) = &self.open {
            open.screen.redraw();
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
        let size = options.size.unwrap_or([960, 540]);
        let (screen, gpu) = Screen::new(events, display, "shadernet: a path tracer, denoised", size)?;
        let mut show = Show::new(gpu, screen.format, options.scene, screen.size().map(|side| side.max(1)))?;
        show.line = options.line;
        let panel = Panel::new(&show.gpu, screen.format);
        let (scale, most) = (screen.window.scale_factor() as f32, show.gpu.device.limits().max_texture_dimension_2d);
        let context = panel.context.clone();
        let (id, most) = (egui::ViewportId::ROOT, Some(most as usize));
        let egui = egui_winit::State::new(context, id, &screen.window, Some(scale), None, most);
        let samples = options.samples.unwrap_or(1);
        let settings = Settings { samples, budget: options.budget, frame: Duration::ZERO, frames: 0 };
        let (mouse, turns, resized) = ([0.0; 2], false, Instant::now());
        Ok(Open { screen, show, egui, panel, settings, mouse, turns, resized, last: None, frames: 0 })
    }

    fn draw(&mut self) -> Result<(), Box<dyn Error>> {
        let size = self.screen.size();
        if !size.contains(&0) && size != self.show.size() && self.resized.elapsed() > SETTLED {
            self.show.resize(size)?;
        }
        let Some(frame) = self.screen.next(&self.show.gpu)? else { return Ok(()) };
        // The time is a mean over about ten frames.
        let passed = self.last.replace(Instant::now()).map_or(Duration::ZERO, |last| last.elapsed());
        let mean = &mut self.settings.frame;
        *mean = if mean.is_zero() { passed } else { mean.mul_f32(0.9) + passed.mul_f32(0.1) };
        let input = self.egui.take_egui_input(&self.screen.window);
        let mut output = self.panel.run(input, &mut self.show, &mut self.settings);
        self.egui.handle_platform_output(&self.screen.window, std::mem::take(&mut output.platform_output));
        let mut encoder = self.show.gpu.device.create_command_encoder(&Default::default());
        self.show.trace(&mut encoder, self.settings.samples);
        self.frames += 1;
        if self.show.denoise(&mut encoder, Duration::from_secs_f32(self.settings.budget / 1e3))? {
            self.settings.frames = std::mem::take(&mut self.frames);
        }
        self.show.draw(&mut encoder, &frame.texture, self.screen.format);
        self.panel.encode(&self.show.gpu, &mut encoder, (&frame.texture, self.screen.format), output);
        self.show.gpu.queue.submit([encoder.finish()]);
        self.screen.present(&self.show.gpu, frame);
        self.show.gpu.check()
    }

    /// The border follows the mouse, unless it is over the panel. A drag turns the camera instead.
    fn point(&mut self, mouse: [f32; 2], taken: bool) {
        let [width, height] = self.screen.size().map(|side| side.max(1) as f32);
        if self.turns {
            let [right, up] = [mouse[0] - self.mouse[0], self.mouse[1] - mouse[1]].map(|way| TURN * way / height);
            self.show.look(self.show.camera.turned(right, up));
        } else if !taken {
            self.show.line = (mouse[0] / width).clamp(0.0, 1.0);
        }
        self.mouse = mouse;
    }

    fn press(&mut self, key: &Key) -> Result<(), Box<dyn Error>> {
        let mut step = |right, ahead| self.show.look(self.show.camera.moved(right, ahead));
        match key {
            Key::Named(NamedKey::ArrowLeft) => step(-STEP, 0.0),
            Key::Named(NamedKey::ArrowRight) => step(STEP, 0.0),
            Key::Named(NamedKey::ArrowUp) => step(0.0, STEP),
            Key::Named(NamedKey::ArrowDown) => step(0.0, -STEP),
            Key::Character(c) if c == "+" || c == "=" => self.settings.samples = (2 * self.settings.samples).min(64),
            Key::Character(c) if c == "-" => self.settings.samples = (self.settings.samples / 2).max(1),
            Key::Character(c) if c.eq_ignore_ascii_case("t") => self.show.temporal ^= true,
            Key::Character(c) if c.eq_ignore_ascii_case("p") => self.panel.shown ^= true,
            Key::Character(c) if c.eq_ignore_ascii_case("n") => self.show.load(self.show.seed.wrapping_add(1))?,
            _ => (),
        }
        Ok(())
    }
}
