//! The window, its events and its swap chain.

use super::Options;
use super::screen::{Screen, event_loop};
use super::show::Show;
use std::error::Error;
use std::time::Instant;
use winit::application::ApplicationHandler;
use winit::event::{ElementState, KeyEvent, WindowEvent};
use winit::event_loop::{ActiveEventLoop, OwnedDisplayHandle};
use winit::keyboard::{Key, NamedKey};
use winit::window::WindowId;

/// Opens the window and returns when it has been closed.
pub(crate) fn open(options: Options) -> Result<(), Box<dyn Error>> {
    let events = event_loop("--headless")?;
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
        let taken = open.egui.on_window_event(&open.screen.window, &event).consumed;
        let outcome = match event {
            WindowEvent::CloseRequested => return self.end(events, Ok(())),
            WindowEvent::Resized(size) => open.screen.resize(&open.show.gpu, size),
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
        let (screen, gpu) = Screen::new(events, display, "shadernet: a network in a window", options.size)?;
        let most = gpu.device.limits().max_texture_dimension_2d as usize;
        let mut show = Show::new(gpu, screen.format)?;
        options.apply(&mut show);
        let scale = Some(screen.window.scale_factor() as f32);
        let context = show.panel.context.clone();
        let egui = egui_winit::State::new(context, egui::ViewportId::ROOT, &screen.window, scale, None, Some(most));
        Ok(Open { screen, egui, show, started: Instant::now() })
    }

    fn draw(&mut self) -> Result<(), Box<dyn Error>> {
        let Some(frame) = self.screen.next(&self.show.gpu)? else { return Ok(()) };
        let input = self.egui.take_egui_input(&self.screen.window);
        let asked = self.show.frame(&frame.texture, self.started.elapsed().as_secs_f32(), input)?;
        self.egui.handle_platform_output(&self.screen.window, asked);
        self.screen.present(&self.show.gpu, frame);
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
