//! A picture without a window, by the same tracer, denoiser and drawing.

use super::Options;
use super::gpu::{Gpu, PICTURE};
use super::show::Show;
use shadernet::wgpu;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// The samples of one submission, as a driver may end long ones.
const AT_ONCE: u32 = 64;

pub(crate) fn draw(options: &Options, to: &Path) -> Result<(), Box<dyn Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let gpu = pollster::block_on(Gpu::new(&instance, None))?;
    let (size, samples) = (options.size.unwrap_or([512, 384]), options.samples.unwrap_or(4));
    let mut show = Show::new(gpu, PICTURE, options.scene, size)?;
    show.line = options.line;
    show.temporal = false;
    // A driver may compile what is dispatched for the first time.
    timed(&mut show, |show, encoder| {
        show.trace(encoder, 1);
        Ok(())
    })?;
    timed(&mut show, denoised)?;
    show.restart();
    let mut traced = Duration::ZERO;
    while show.count() < samples {
        let now = AT_ONCE.min(samples - show.count());
        traced += timed(&mut show, |show, encoder| {
            show.trace(encoder, now);
            Ok(())
        })?;
    }
    let denoised = timed(&mut show, denoised)?;
    let picture = show.gpu.picture(size);
    timed(&mut show, |show, encoder| {
        show.draw(encoder, &picture, PICTURE);
        Ok(())
    })?;
    show.gpu.save(&picture, to)?;
    let ms = |time: Duration| 1e3 * time.as_secs_f64();
    let [width, height] = size;
    println!("scene {}, {width}x{height} pixels, on {}: {}", show.seed, show.gpu.context.info().name, to.display());
    println!("{} samples traced in {:.1} ms, denoised in {:.1} ms", show.count(), ms(traced), ms(denoised));
    Ok(())
}

/// Records the whole denoiser.
fn denoised(show: &mut Show, encoder: &mut wgpu::CommandEncoder) -> shadernet::Result<()> {
    show.denoise(encoder, Duration::ZERO).map(drop)
}

/// Records, submits and waits. Returns how long that took.
fn timed(
    show: &mut Show,
    record: impl FnOnce(&mut Show, &mut wgpu::CommandEncoder) -> shadernet::Result<()>,
) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut encoder = show.gpu.device.create_command_encoder(&Default::default());
    record(show, &mut encoder)?;
    show.gpu.queue.submit([encoder.finish()]);
    show.gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    show.gpu.check()?;
    Ok(start.elapsed())
}
