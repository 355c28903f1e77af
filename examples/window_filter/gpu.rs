//! The application's device. shadernet borrows it, and opens nothing itself.

use shadernet::{Context, wgpu};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Gpu {
    pub(crate) adapter: wgpu::Adapter,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) context: Context,
    /// The first error that the device has reported.
    failure: Arc<Mutex<Option<String>>>,
}

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
}
