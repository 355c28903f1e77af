//! The application's device. shadernet borrows it, and opens nothing itself.

use shadernet::{Context, wgpu};
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Gpu {
    pub(crate) adapter: wgpu::Adapter,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) context: Context,
    /// The first error that the device has reported.
    failure: Arc<Mutex<Option<String>>>,
}

/// The format of pictures without a window. It isn't sRGB: shaders write the numbers of an image file.
pub(crate) const PICTURE: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

impl Gpu {
    /// Opens an adapter that can draw to the surface, if there is a surface.
    pub(crate) async fn new(
        instance: &wgpu::Instance,
        surface: Option<&wgpu::Surface<'_>>,
    ) -> Result<Gpu, Box<dyn Error>> {
        let wanted = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            compatible_surface: surface,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&wanted).await?;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: Context::required_features(&adapter),
            // Large windows need large buffers.
            required_limits: Context::required_limits(&adapter, wgpu::Limits::default()),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await?;

        // An application that runs for hours outlives drivers: it reports the error and ends, it doesn't panic.
        let failure = Arc::new(Mutex::new(None));
        let note = |failure: &Arc<Mutex<Option<String>>>, message: String| {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
        };
        let noted = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error| note(&noted, error.to_string())));
        let noted = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(&noted, format!("the device is lost: {message}"));
            }
        });

        // WebGPU doesn't report all facts about a device. `probe` finds the rest by a small submission.
        let context = Context::from_wgpu(&adapter, &device, &queue)?.probe().await?;
        Ok(Gpu { adapter, device, queue, context, failure })
    }

    /// Returns an error if the device has reported one.
    pub(crate) fn check(&self) -> Result<(), Box<dyn Error>> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), |message| Err(message.into()))
    }

    /// Creates a texture to draw to where there is no window.
    pub(crate) fn picture(&self, [width, height]: [u32; 2]) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: PICTURE,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        })
    }

    /// Writes a picture to a file.
    pub(crate) fn save(&self, picture: &wgpu::Texture, to: &Path) -> Result<(), Box<dyn Error>> {
        let row = 4 * picture.width();
        let padded = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let download = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("download"),
            size: u64::from(padded) * u64::from(picture.height()),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(padded), rows_per_image: None };
        encoder.copy_texture_to_buffer(
            picture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &download, layout },
            picture.size(),
        );
        // If the mapping fails, so does the range below.
        encoder.map_buffer_on_submit(&download, wgpu::MapMode::Read, .., |_| ());
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        let mapped = download.get_mapped_range(..)?;
        let pixels = mapped.chunks_exact(padded as usize).flat_map(|line| &line[..row as usize]);
        let pixels: Vec<u8> = pixels.copied().collect();
        self.check()?;
        image::save_buffer(to, &pixels, picture.width(), picture.height(), image::ColorType::Rgba8)
            .map_err(|error| format!("{}: {error}", to.display()).into())
    }
}
