//! A window and its swap chain.

use super::gpu::Gpu;
use shadernet::wgpu;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use winit::dpi::PhysicalSize;
use winit::event_loop::{ActiveEventLoop, EventLoop, OwnedDisplayHandle};
use winit::window::Window;

/// Returns a loop of events, or an error that names the option which draws without a window.
pub(crate) fn event_loop(instead: &str) -> Result<EventLoop<()>, String> {
    // winit panics if a keyboard library is missing.
    std::panic::catch_unwind(EventLoop::new)
        .map_err(|panic| panic.downcast::<String>().map_or_else(|_| "winit panicked".into(), |message| *message))
        .and_then(|events| events.map_err(|error| error.to_string()))
        .map_err(|error| format!("no window can be opened: {error}\n{instead} FILE.png draws without one"))
}

pub(crate) struct Screen {
    pub(crate) window: Arc<Window>,
    instance: wgpu::Instance,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    /// True if the surface has changed since it was configured.
    stale: bool,
    /// The format to draw with. It isn't sRGB: shaders write the numbers of an image file.
    pub(crate) format: wgpu::TextureFormat,
}

impl Screen {
    /// Opens a window, and a device that can draw to it.
    pub(crate) fn new(
        events: &ActiveEventLoop,
        display: &OwnedDisplayHandle,
        title: &str,
        [width, height]: [u32; 2],
    ) -> Result<(Screen, Gpu), Box<dyn Error>> {
        let attributes =
            Window::default_attributes().with_title(title).with_inner_size(PhysicalSize::new(width, height));
        let window = Arc::new(events.create_window(attributes)?);
        let descriptor = wgpu::InstanceDescriptor::new_with_display_handle(Box::new(display.clone()));
        let instance = wgpu::Instance::new(descriptor);
        let surface = instance.create_surface(window.clone())?;
        let gpu = pollster::block_on(Gpu::new(&instance, Some(&surface)))?;

        let formats = surface.get_capabilities(&gpu.adapter).formats;
        let eight = |format: &wgpu::TextureFormat| {
            matches!(format.remove_srgb_suffix(), wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Rgba8Unorm)
        };
        let plain = formats.iter().copied().find(|format| eight(format) && !format.is_srgb());
        let of_surface =
            plain.or_else(|| formats.iter().copied().find(eight)).ok_or("the window has no colors of 8 bits")?;
        let format = of_surface.remove_srgb_suffix();
        let size = window.inner_size();
        let config = surface.get_default_config(&gpu.adapter, size.width, size.height);
        let config = wgpu::SurfaceConfiguration {
            format: of_surface,
            view_formats: if format == of_surface { Vec::new() } else { vec![format] },
            ..config.ok_or("the adapter can't draw to the window")?
        };
        let mut screen = Screen { window, instance, surface, config, stale: false, format };
        screen.resize(&gpu, size)?;
        Ok((screen, gpu))
    }

    /// Returns width and height in pixels. A minimized window has none.
    pub(crate) fn size(&self) -> [u32; 2] {
        [self.config.width, self.config.height]
    }

    /// Asks for a redraw, unless the window is minimized. An event comes when it has pixels again.
    pub(crate) fn redraw(&self) {
        if !self.size().contains(&0) {
            self.window.request_redraw();
        }
    }

    pub(crate) fn resize(&mut self, gpu: &Gpu, size: PhysicalSize<u32>) -> Result<(), Box<dyn Error>> {
        let most = gpu.device.limits().max_texture_dimension_2d;
        (self.config.width, self.config.height) = (size.width.min(most), size.height.min(most));
        self.configure(gpu);
        gpu.check()
    }

    fn configure(&self, gpu: &Gpu) {
        if !self.size().contains(&0) {
            self.surface.configure(&gpu.device, &self.config);
        }
    }

    /// Returns the next image to draw to, or `None` if this frame isn't seen.
    pub(crate) fn next(&mut self, gpu: &Gpu) -> Result<Option<wgpu::SurfaceTexture>, Box<dyn Error>> {
        use wgpu::CurrentSurfaceTexture as Current;
        if self.size().contains(&0) {
            return Ok(None);
        }
        match self.surface.get_current_texture() {
            Current::Success(frame) => return Ok(Some(frame)),
            Current::Suboptimal(frame) => {
                self.stale = true;
                return Ok(Some(frame));
            }
            Current::Outdated => self.configure(gpu),
            Current::Lost => {
                // The surface is lost with the device, or by itself.
                gpu.check()?;
                self.surface = self.instance.create_surface(self.window.clone())?;
                self.configure(gpu);
            }
            Current::Timeout | Current::Occluded | Current::Validation => {
                // Nobody sees the frame. The next attempt comes after a pause.
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        gpu.check()?;
        Ok(None)
    }

    pub(crate) fn present(&mut self, gpu: &Gpu, frame: wgpu::SurfaceTexture) {
        self.window.pre_present_notify();
        gpu.queue.present(frame);
        if std::mem::take(&mut self.stale) {
            self.configure(gpu);
        }
    }
}
