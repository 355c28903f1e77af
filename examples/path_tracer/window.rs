//! The window: a frame traces some samples, denoises the mean of all so far, and draws both.

use super::Options;
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
    /// The samples of a frame.
    samples: u32,
    /// Where the mouse is, and whether it turns the camera.
    mouse: [f32; 2],
    turns: bool,
    resized: Instant,
    /// The frames since the title was written, and when it was.
    frames: u32,
    titled: Instant,
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
        let outcome = match event {
            WindowEvent::CloseRequested => return self.end(events, Ok(())),
            WindowEvent::Resized(size) => {
                open.resized = Instant::now();
                open.screen.resize(&open.show.gpu, size)
            }
            WindowEvent::RedrawRequested => open.draw(),
            WindowEvent::CursorMoved { position, .. } => {
                open.point([position.x as f32, position.y as f32]);
                Ok(())
            }
            WindowEvent::MouseInput { state, button: MouseButton::Left, .. } => {
                open.turns = state == ElementState::Pressed;
                Ok(())
            }
            WindowEvent::KeyboardInput {
                event: KeyEvent { logical_key, state: ElementState::Pressed, .. }, ..
            } => match logical_key {
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
        let (samples, now) = (options.samples.unwrap_or(1), Instant::now());
        let (mouse, turns) = ([0.0; 2], false);
        Ok(Open { screen, show, samples, mouse, turns, resized: now, frames: 0, titled: now })
    }

    fn draw(&mut self) -> Result<(), Box<dyn Error>> {
        let size = self.screen.size();
        if !size.contains(&0) && size != self.show.size() && self.resized.elapsed() > SETTLED {
            self.show.resize(size)?;
        }
        let Some(frame) = self.screen.next(&self.show.gpu)? else { return Ok(()) };
        let mut encoder = self.show.gpu.device.create_command_encoder(&Default::default());
        self.show.trace(&mut encoder, self.samples);
        self.show.denoise(&mut encoder)?;
        self.show.draw(&mut encoder, &frame.texture, self.screen.format);
        self.show.gpu.queue.submit([encoder.finish()]);
        self.screen.present(&self.show.gpu, frame);
        self.frames += 1;
        let time = self.titled.elapsed();
        if time > Duration::from_millis(500) {
            let ms = 1e3 * time.as_secs_f64() / f64::from(self.frames);
            let (seed, count, each) = (self.show.seed, self.show.count(), self.samples);
            let title = format!("scene {seed}: {count} samples, {each} a frame of {ms:.1} ms");
            self.screen.window.set_title(&title);
            (self.frames, self.titled) = (0, Instant::now());
        }
        self.show.gpu.check()
    }

    /// The border follows the mouse. A drag turns the camera instead.
    fn point(&mut self, mouse: [f32; 2]) {
        let [width, height] = self.screen.size().map(|side| side.max(1) as f32);
        if self.turns {
            let [right, up] = [mouse[0] - self.mouse[0], self.mouse[1] - mouse[1]].map(|way| TURN * way / height);
            self.show.look(self.show.camera.turned(right, up));
        } else {
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
            Key::Character(c) if c == "+" || c == "=" => self.samples = (2 * self.samples).min(64),
            Key::Character(c) if c == "-" => self.samples = (self.samples / 2).max(1),
            Key::Character(c) if c.eq_ignore_ascii_case("n") => self.show.load(self.show.seed.wrapping_add(1))?,
            _ => (),
        }
        Ok(())
    }
}
