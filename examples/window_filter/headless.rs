//! Drawing without a window: the same frames, the last of them in a file.

use super::gpu::Gpu;
use super::show::Show;
use super::{Options, scene};
use shadernet::wgpu;
use std::error::Error;
use std::path::Path;

/// The seconds of the animation between two frames.
const STEP: f32 = 1.0 / 30.0;

pub(crate) fn draw(options: &Options, to: &Path) -> Result<(), Box<dyn Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut show = Show::new(pollster::block_on(Gpu::new(&instance, None))?, scene::FORMAT)?;
    options.apply(&mut show);
    let [width, height] = options.size;
    let device = show.gpu.device.clone();
    let target = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("picture"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: scene::FORMAT,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(width as f32, height as f32));
    show.wait(options.size)?;
    for frame in 0..options.frames {
        let seconds = frame as f32 * STEP;
        let input =
            egui::RawInput { screen_rect: Some(screen), time: Some(seconds.into()), ..egui::RawInput::default() };
        show.frame(&target, seconds, input)?;
        device.poll(wgpu::PollType::wait_indefinitely())?;
    }
    let pixels = read(&show.gpu, &target)?;
    show.gpu.check()?;
    image::save_buffer(to, &pixels, width, height, image::ColorType::Rgba8)
        .map_err(|error| format!("{}: {error}", to.display()))?;
    println!("{} frames of {width} x {height} on {}: {}", options.frames, show.gpu.context.info().name, to.display());
    println!(
        "latency of the network {:.1} ms, a picture every {} frames",
        1e3 * show.latency().as_secs_f64(),
        show.frames
    );
    Ok(())
}

fn read(gpu: &Gpu, texture: &wgpu::Texture) -> Result<Vec<u8>, Box<dyn Error>> {
    let row = 4 * texture.width();
    let padded = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let download = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("download"),
        size: u64::from(padded) * u64::from(texture.height()),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(padded), rows_per_image: None };
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &download, layout },
        texture.size(),
    );
    // If the mapping fails, so does the range below.
    encoder.map_buffer_on_submit(&download, wgpu::MapMode::Read, .., |_| ());
    gpu.queue.submit([encoder.finish()]);
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    let mapped = download.get_mapped_range(..)?;
    Ok(mapped.chunks_exact(padded as usize).flat_map(|line| &line[..row as usize]).copied().collect())
}
