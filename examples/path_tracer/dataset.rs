//! Noisy and clean images of many scenes, in files for the training of a denoiser.

use super::Options;
use super::tracer::{Scene, Tracer};
use half::f16;
use shadernet::{Context, wgpu};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

/// The images of one sample a pixel, of each scene: sums of some of them are images of several samples.
const NOISY: u32 = 16;

/// Writes a file `SEED.npy` for each scene, of `f16`s `[3 * 16 + 1, 3, H, W]`: color, albedo and normals of each of 16 images
/// of one sample a pixel, then the clean color.
pub(crate) fn render(options: &Options, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let context = pollster::block_on(Context::new())?;
    let (device, queue) = (context.device(), context.queue());
    let (size, samples) = (options.size.unwrap_or([128; 2]), options.samples.unwrap_or(1024));
    let compiled = Tracer::new(device, &Scene::seeded(options.scene), size);
    let download = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("download"),
        size: 3 * compiled.color.size(),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let start = Instant::now();
    for (done, seed) in (options.scene..options.scene.saturating_add(options.scenes)).enumerate() {
        let file = folder.join(format!("{seed:05}.npy"));
        if file.exists() {
            println!("{} is there already", file.display());
            continue;
        }
        let mut tracer = compiled.for_scene(&Scene::seeded(seed), size);
        // Color, albedo and normals after so many samples.
        let mut images = |seed: u32, samples: u32| -> Result<Vec<f16>, Box<dyn Error>> {
            tracer.reset(seed);
            // Short submissions, as a driver may end long ones.
            while tracer.count() < samples {
                let mut encoder = device.create_command_encoder(&Default::default());
                let left = samples - tracer.count();
                tracer.sample(&mut encoder, left.min(64));
                if tracer.count() == samples {
                    for (i, image) in (0..).zip([&tracer.color, &tracer.albedo, &tracer.normal]) {
                        encoder.copy_buffer_to_buffer(image, 0, &download, i * image.size(), None);
                    }
                    encoder.map_buffer_on_submit(&download, wgpu::MapMode::Read, .., |_| ());
                }
                queue.submit([encoder.finish()]);
                device.poll(wgpu::PollType::wait_indefinitely())?;
            }
            let mapped = download.get_mapped_range(..)?;
            let halves = mapped.chunks_exact(4).map(|bytes| f16::from_f32(bytemuck::pod_read_unaligned(bytes)));
            let halves = halves.collect();
            drop(mapped);
            download.unmap();
            Ok(halves)
        };
        let mut all = Vec::new();
        for seed in 1..=NOISY {
            all.extend(images(seed, 1)?);
        }
        let clean = images(0, samples)?;
        all.extend_from_slice(&clean[..clean.len() / 3]);
        write(&file, [3 * NOISY + 1, 3, size[1], size[0]], &all)?;
        let each = start.elapsed().as_secs_f64() / (done + 1) as f64;
        println!("{}: {} of {}, {each:.1} s each", file.display(), done + 1, options.scenes);
    }
    Ok(())
}

/// Writes an array as NumPy does.
fn write(path: &Path, [n, c, h, w]: [u32; 4], values: &[f16]) -> std::io::Result<()> {
    let header = format!("{{'descr': '<f2', 'fortran_order': False, 'shape': ({n}, {c}, {h}, {w}), }}");
    // Magic number, version and length are 10 bytes; all together are a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<0$}\n", length - 1).bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    // A file that is there is whole.
    let part = path.with_extension("part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(part, path)
}
