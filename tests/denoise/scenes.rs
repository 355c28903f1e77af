//! Scenes that no weights were trained on, traced: noisy images with their guides, and clean ones.

#[allow(dead_code, reason = "the programs that include the tracer use a part of it each")]
#[path = "../../examples/path_tracer/tracer/mod.rs"]
pub(crate) mod tracer;

use shadernet::{Context, wgpu};
use tracer::{Scene, Tracer};

/// Width and height of the images.
pub(crate) const SIZE: [usize; 2] = [96, 96];

/// Images of a scene, of pixels of three channels.
pub(crate) struct Traced {
    pub(crate) noisy: Vec<f32>,
    pub(crate) albedo: Vec<f32>,
    pub(crate) normal: Vec<f32>,
    pub(crate) clean: Vec<f32>,
}

/// Traces scenes at 4 samples a pixel, with their guides, and at 1,024. The training took seeds from 100 on.
pub(crate) fn traced(context: &Context, seeds: std::ops::Range<u64>) -> Vec<Traced> {
    assert!(seeds.end <= 100, "weights were trained on these");
    let size = SIZE.map(|side| side as u32);
    let first = Tracer::new(context.device(), &Scene::seeded(seeds.start), size);
    let trace = |seed| {
        let mut tracer = first.for_scene(&Scene::seeded(seed), size);
        tracer.reset(1);
        tracer.sample_now(context, 4);
        let [noisy, albedo, normal] = [&tracer.color, &tracer.albedo, &tracer.normal].map(|image| read(context, image));
        tracer.reset(0);
        tracer.sample_now(context, 1024);
        Traced { noisy, albedo, normal, clean: read(context, &tracer.color) }
    };
    seeds.map(trace).collect()
}

impl Tracer {
    pub(crate) fn sample_now(&mut self, context: &Context, samples: u32) {
        while self.count() < samples {
            let mut encoder = context.device().create_command_encoder(&Default::default());
            self.sample(&mut encoder, (samples - self.count()).min(64));
            context.queue().submit([encoder.finish()]);
        }
    }
}

/// Reads planes as pixels.
pub(crate) fn read(context: &Context, image: &wgpu::Buffer) -> Vec<f32> {
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let descriptor = wgpu::BufferDescriptor { label: None, size: image.size(), usage, mapped_at_creation: false };
    let download = context.device().create_buffer(&descriptor);
    let mut encoder = context.device().create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(image, 0, &download, 0, None);
    encoder.map_buffer_on_submit(&download, wgpu::MapMode::Read, .., |result| result.expect("the device is there"));
    context.queue().submit([encoder.finish()]);
    context.device().poll(wgpu::PollType::wait_indefinitely()).expect("the device is there");
    let mapped = download.get_mapped_range(..).expect("it is mapped");
    let planes: Vec<f32> = mapped.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let count = planes.len() / 3;
    (0..planes.len()).map(|i| planes[i % 3 * count + i / 3]).collect()
}

/// Returns the peak signal-to-noise ratio in dB, of images as a screen shows them: at an exposure that brings the geometric mean of
/// the clean image's luminance to 0.18, clipped to 0..1 and encoded as sRGB.
pub(crate) fn psnr(image: &[f32], clean: &[f32]) -> f64 {
    assert_eq!(image.len(), clean.len());
    assert!(image.iter().all(|number| number.is_finite()));
    let squares = shown(image, clean).into_iter().zip(shown(clean, clean)).map(|(a, b)| (a - b).powi(2));
    -10.0 * (squares.sum::<f64>() / clean.len() as f64).log10()
}

/// Returns an image's numbers as a screen shows them, by the exposure of a clean one.
pub(crate) fn shown(image: &[f32], clean: &[f32]) -> Vec<f64> {
    let luminance = |pixel: &[f32]| 0.212671 * pixel[0] + 0.71516 * pixel[1] + 0.072169 * pixel[2];
    let logs = clean.chunks_exact(3).map(|pixel| f64::from(luminance(pixel)).max(1e-6).ln());
    let exposure = 0.18 / (logs.sum::<f64>() / (clean.len() / 3) as f64).exp();
    let code = |&number: &f32| {
        let linear = (f64::from(number) * exposure).clamp(0.0, 1.0);
        if linear <= 0.0031308 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
    };
    image.iter().map(code).collect()
}
