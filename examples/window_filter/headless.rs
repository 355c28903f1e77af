//! Drawing without a window: the same frames, the last of them in a file.

use super::Options;
use super::gpu::{Gpu, PICTURE};
use super::show::Show;
use shadernet::wgpu;
use std::error::Error;
use std::path::Path;

/// The seconds of the animation between two frames.
const STEP: f32 = 1.0 / 30.0;

pub(crate) fn draw(options: &Options, to: &Path) -> Result<(), Box<dyn Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut show = Show::new(pollster::block_on(Gpu::new(&instance, None))?, PICTURE)?;
    options.apply(&mut show);
    let [width, height] = options.size;
    let device = show.gpu.device.clone();
    let target = show.gpu.picture(options.size);
    let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(width as f32, height as f32));
    show.wait(options.size)?;
    for frame in 0..options.frames {
        let seconds = frame as f32 * STEP;
        let input =
            egui::RawInput { screen_rect: Some(screen), time: Some(seconds.into()), ..egui::RawInput::default() };
        show.frame(&target, seconds, input)?;
        device.poll(wgpu::PollType::wait_indefinitely())?;
    }
    show.gpu.save(&target, to)?;
    println!("{} frames of {width} x {height} on {}: {}", options.frames, show.gpu.context.info().name, to.display());
    println!(
        "latency of the network {:.1} ms, a picture every {} frames",
        1e3 * show.latency().as_secs_f64(),
        show.frames
    );
    Ok(())
}
