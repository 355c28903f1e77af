//! Frames that are blended with the last one, on a camera that moves.

use crate::scenes::tracer::textures::Textures;
use crate::scenes::tracer::{Scene, Tracer};
use crate::scenes::{SIZE, psnr, read, shown};
use crate::temporal::WEIGHT;
use crate::textures::{STORED, alone, blank, contents, device, encoder};
use shadernet::Context;
use shadernet::denoise::{Archive, Content, Denoiser, DenoiserOptions, DenoiserTextures, DenoiserView, Guides};
use shadernet::wgpu;
use wgpu::TextureFormat as Format;

/// A frame of a camera that moves.
struct Moving {
    /// The clean image, of pixels of three channels.
    clean: Vec<f32>,
    /// The distance of what each pixel's center shows, and two numbers each of its motion, as [`Textures`] has them.
    depth: Vec<f32>,
    motion: Vec<f32>,
}

impl Moving {
    /// Traces frames of a scene at 4 samples a pixel, each with noise of its own, shows them to a function, and traces the clean ones at 192.
    fn traced(context: &Context, seed: u64, frames: u32, mut show: impl FnMut(&Textures)) -> Vec<Moving> {
        assert!(seed < 100, "weights were trained on these");
        let mut camera = Scene::seeded(seed).camera;
        let mut tracer = Tracer::new(context.device(), &Scene::seeded(seed), SIZE.map(|side| side as u32));
        let mut textures = Textures::new(&tracer);
        let frame = |frame: u32| {
            tracer.look(camera);
            // A pixel and a half to the right, and a step.
            camera = camera.turned(0.012, 0.003).moved(0.03, 0.03);
            tracer.reset(1 + frame);
            tracer.sample_now(context, 4);
            let mut written = encoder();
            textures.write(&mut written, &tracer);
            context.queue().submit([written.finish()]);
            show(&textures);
            let [depth, motion] = [&textures.depth, &textures.motion].map(|texture| contents(encoder(), texture));
            tracer.reset(0);
            tracer.sample_now(context, 192);
            Moving { clean: read(context, &tracer.color), depth, motion }
        };
        (0..frames).map(frame).collect()
    }
}

/// Returns how much a sequence flickers: the mean difference of each frame to the last one, warped by the motion, in codes of 8 bits. Pixels
/// count whose surface lay in the last image, with all four pixels around it of its depth.
fn flicker(images: &[Vec<f32>], frames: &[Moving]) -> f64 {
    let [w, h] = SIZE;
    let (mut sum, mut count) = (0.0, 0);
    for t in 1..images.len() {
        let codes = [t, t - 1].map(|of| shown(&images[of], &frames[t].clean));
        for pixel in 0..w * h {
            let place = [0, 1].map(|axis| [pixel % w, pixel / w][axis] as f32 + frames[t].motion[2 * pixel + axis]);
            let corner = place.map(f32::floor);
            if corner[0] < 0.0 || corner[1] < 0.0 || corner[0] + 2.0 > w as f32 || corner[1] + 2.0 > h as f32 {
                continue;
            }
            let first = corner[1] as usize * w + corner[0] as usize;
            let taps = [first, first + 1, first + w, first + w + 1].map(|tap| tap.min(w * h - 1));
            let far = frames[t].depth[pixel];
            if taps.iter().any(|&tap| (frames[t - 1].depth[tap] - far).abs() > 0.1 * far) {
                continue;
            }
            let [x, y] = [0, 1].map(|axis| f64::from(place[axis] - corner[axis]));
            let weights = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
            for c in 0..3 {
                let last: f64 = (0..4).map(|tap| weights[tap] * codes[1][3 * taps[tap] + c]).sum();
                sum += 255.0 * (codes[0][3 * pixel + c] - last).abs();
                count += 1;
            }
        }
    }
    sum / f64::from(count)
}

/// A camera that turns and walks, at 4 samples a pixel: less flicker than frame by frame, and no frame is worse for it in the mean.
#[test]
fn a_moving_camera_flickers_less() {
    let _alone = alone();
    let weights = Archive::builtin(Content::Hdr, Guides::AlbedoNormal).unwrap();
    let options = DenoiserOptions::new(Content::Hdr, weights);
    let denoisers = [options.clone(), options.temporal(WEIGHT)].map(|of| Denoiser::new(device(), of).unwrap());
    let output = blank(SIZE, Format::Rgba32Float, STORED);
    // Clean images, frame by frame, with the last frame: flicker, PSNR of all frames and of the last one.
    let mut sums = [[0.0; 3]; 3];
    let scenes = 0..3;
    // The scenes share views.
    let mut views = [const { None::<DenoiserView> }; 2];
    for seed in scenes.clone() {
        views.iter().flatten().for_each(DenoiserView::reset);
        let mut denoised = [vec![], vec![]];
        let frames = Moving::traced(device(), seed, 5, |textures| {
            let plain =
                DenoiserTextures::new(&textures.color, &output).albedo(&textures.albedo).normal(&textures.normal);
            let all = [plain, plain.depth(&textures.depth).motion(&textures.motion)];
            for i in [0, 1] {
                let view = views[i].get_or_insert_with(|| denoisers[i].view(&all[i]).unwrap());
                let mut encoder = encoder();
                view.encode(&mut encoder, &view.bind(&all[i]).unwrap()).unwrap();
                let pixels = contents(encoder, &output);
                denoised[i].push(pixels.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect::<Vec<f32>>());
            }
        });
        let clean: Vec<Vec<f32>> = frames.iter().map(|frame| frame.clean.clone()).collect();
        for (sum, images) in sums.iter_mut().zip([&clean, &denoised[0], &denoised[1]]) {
            let psnr: Vec<f64> = images.iter().zip(&clean).map(|(image, clean)| psnr(image, clean).min(99.0)).collect();
            let mean = psnr.iter().sum::<f64>() / psnr.len() as f64;
            let of = [flicker(images, &frames), mean, psnr[psnr.len() - 1]];
            println!(
                "scene {seed}: flicker {:.2} codes, PSNR {:.2} dB, of the last frame {:.2} dB",
                of[0], of[1], of[2]
            );
            sum.iter_mut().zip(of).for_each(|(sum, number)| *sum += number / scenes.end as f64);
        }
    }
    let [clean, alone, temporal] = sums;
    println!(
        "flicker in codes of 8 bits: {:.2} frame by frame, {:.2} temporal ({:.2} clean); PSNR {:.2} and {:.2} dB, of the last frame {:.2} and {:.2} dB",
        alone[0], temporal[0], clean[0], alone[1], temporal[1], alone[2], temporal[2]
    );
    assert!(temporal[0] < 0.65 * alone[0], "{temporal:?}, frame by frame {alone:?}");
    assert!(temporal[1] > alone[1] && temporal[2] > alone[2], "{temporal:?}, frame by frame {alone:?}");
}
