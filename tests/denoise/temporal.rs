//! Frames that are blended with the last one, against plain loops in f64.

use crate::textures::{BOUND, STORED, alone, blank, close, contents, device, encoder, refused};
use crate::tiles::in_small_tiles;
use crate::tiny::Tiny;
use crate::{BASE, options};
use pollster::block_on;
use shadernet::denoise::{BoundTextures, Content, Denoiser};
use shadernet::denoise::{DenoiserTextures, DenoiserView};
use shadernet::measure::{Effort, step_times};
use shadernet::{Shape, seeded_input, wgpu};
use std::time::Duration;
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

pub(crate) const WEIGHT: f32 = 0.5;
const GUIDED: Tiny = Tiny { images: 3, ..BASE };

/// Creates a texture of these numbers, as many a pixel as its format has channels.
fn filled(size: [usize; 2], format: Format, numbers: &[f32]) -> wgpu::Texture {
    let texture = blank(size, format, BOUND);
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let rows = Some((bytes.len() / size[1]) as u32);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: rows, rows_per_image: None };
    device().queue().write_texture(texture.as_image_copy(), &bytes, layout, texture.size());
    texture
}

/// A frame's numbers: colors, albedo and normals in four channels, depth in one, motion in two.
#[derive(Clone)]
struct Frame {
    size: [usize; 2],
    images: [Vec<f32>; 3],
    depth: Vec<f32>,
    motion: Vec<f32>,
}

/// A frame's textures.
struct Set {
    images: [wgpu::Texture; 3],
    depth: wgpu::Texture,
    motion: wgpu::Texture,
    output: wgpu::Texture,
}

impl Frame {
    /// Builds a frame that differs from others by a number.
    fn new(size: [usize; 2], seed: u64) -> Frame {
        let pixels = size[0] * size[1];
        let seeded = |seed: u64, c: usize| seeded_input(seed, &Shape::from([pixels, c]));
        let mut color = seeded(seed, 4);
        color.iter_mut().for_each(|number| *number = (*number + 1.0) * 0.7);
        // Halves of the image are different surfaces, each of which varies by less than what is allowed.
        let side = |i: usize| if i / 4 % size[0] < size[0] / 2 { 1.0 } else { -1.0 };
        let small = seeded(seed + 100, 4);
        let albedo = (0..pixels * 4).map(|i| 0.5 + 0.02 * small[i]).collect();
        let normal = (0..pixels * 4).map(|i| side(i) * [0.6, 0.0, 0.8, 1.0][i % 4] + 0.05 * small[i]).collect();
        let depth = (0..pixels).map(|i| 3.0 + 0.05 * small[i]).collect();
        Frame { size, images: [color, albedo, normal], depth, motion: vec![0.0; 2 * pixels] }
    }

    fn set(&self) -> Set {
        Set {
            images: [0, 1, 2].map(|i| filled(self.size, Format::Rgba32Float, &self.images[i])),
            depth: filled(self.size, Format::R32Float, &self.depth),
            motion: filled(self.size, Format::Rg32Float, &self.motion),
            output: blank(self.size, Format::Rgba32Float, STORED),
        }
    }
}

impl Set {
    fn textures(&self) -> DenoiserTextures<'_> {
        let [color, albedo, normal] = &self.images;
        DenoiserTextures::new(color, &self.output).albedo(albedo).normal(normal)
    }

    fn temporal(&self) -> DenoiserTextures<'_> {
        self.textures().depth(&self.depth).motion(&self.motion)
    }
}

/// Encodes, submits and reads a frame.
fn result(view: &DenoiserView, bound: &BoundTextures, set: &Set) -> Vec<f32> {
    let mut encoder = encoder();
    view.encode(&mut encoder, bound).unwrap();
    contents(encoder, &set.output)
}

fn denoiser(temporal: bool) -> Denoiser {
    let options = options(&GUIDED, Content::Hdr);
    Denoiser::new(device(), if temporal { options.temporal(WEIGHT) } else { options }).unwrap()
}

/// Returns a frame as it is denoised alone.
fn alone_denoised(frame: &Frame) -> Vec<f32> {
    let (set, denoiser) = (frame.set(), denoiser(false));
    let view = denoiser.view(&set.textures()).unwrap();
    result(&view, &view.bind(&set.textures()).unwrap(), &set)
}

/// Blends a denoised frame with the last result, if there is one, by the rules of docs/denoise.md.
fn blended(fresh: &[f32], frame: &Frame, last: Option<(&[f32], &Frame)>) -> Vec<f32> {
    let [w, h] = frame.size;
    let mut image = fresh.to_vec();
    let Some((result, before)) = last else { return image };
    let wide = |number: f32| f64::from(number);
    let numbers = |of: &Frame, i: usize, pixel: usize, low: f64| -> Vec<f64> {
        let pixel = &of.images[i][4 * pixel..4 * pixel + 3];
        pixel.iter().map(|&number| if number.is_nan() { 0.0 } else { wide(number).clamp(low, 1.0) }).collect()
    };
    let square = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    for pixel in 0..w * h {
        let way = [0, 1].map(|axis| wide(frame.motion[2 * pixel + axis]));
        let depth = wide(frame.depth[pixel]).abs();
        if !(way[0] + way[1] + depth).is_finite() {
            continue;
        }
        // In f32, as the shader: a weight near 0 of a large number shows what is rounded here.
        let at = [(pixel % w) as f32, (pixel / w) as f32];
        let place = [0, 1].map(|axis| wide(at[axis] + frame.motion[2 * pixel + axis]));
        let (mut sum, mut known) = ([0.0; 3], 0.0);
        for step in [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]] {
            let tap = [0, 1].map(|axis| place[axis].floor() + step[axis]);
            let weight: f64 = (0..2).map(|axis| 1.0 - (place[axis] - tap[axis]).abs()).product();
            if tap[0] < 0.0 || tap[1] < 0.0 || tap[0] >= w as f64 || tap[1] >= h as f64 {
                continue;
            }
            let other = tap[1] as usize * w + tap[0] as usize;
            let far = wide(before.depth[other]).abs();
            let differs = square(numbers(frame, 2, pixel, -1.0), numbers(before, 2, other, -1.0)) > 0.25
                || square(numbers(frame, 1, pixel, 0.0), numbers(before, 1, other, 0.0)) > 0.03;
            let is_known = far.is_finite() && result[4 * other..4 * other + 3].iter().all(|number| number.is_finite());
            if !is_known || (far - depth).abs() > 0.1 * far.max(depth) || differs {
                continue;
            }
            known += weight;
            (0..3).for_each(|c| sum[c] += weight * wide(result[4 * other + c]));
        }
        let weight = wide(WEIGHT);
        for c in 0..3 {
            let alone = wide(fresh[4 * pixel + c]);
            image[4 * pixel + c] = (alone * (1.0 - weight * known) + weight * sum[c]) as f32;
        }
    }
    image
}

/// Motion within the image, to its edges and out of it; surfaces that differ; NaN and infinities; a reset.
#[test]
fn frames_are_blended_as_in_f64() {
    let _alone = alone();
    let size = [33, 18];
    let count = size[0] * size[1];
    let mut frames: Vec<Frame> = (0..5).map(|seed| Frame::new(size, seed)).collect();
    for (t, frame) in frames.iter_mut().enumerate() {
        let ways = seeded_input(50 + t as u64, &Shape::from([count, 2]));
        // The third frame rests.
        let most = if t == 2 { 0.0 } else { 4.0 };
        frame.motion = ways.iter().map(|way| most * way).collect();
        let hostile = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e9, -1e9, 3e38, -0.999, 1e-30];
        for (i, number) in hostile.into_iter().enumerate() {
            frame.motion[2 * (7 * i + t)] = number;
            frame.motion[2 * (7 * i + t + 200) + 1] = number;
        }
        // Others are nearer, farther, turned and painted.
        for i in (t..count).step_by(11) {
            match i % 7 {
                0 => frame.depth[i] = 2.5,
                1 => frame.depth[i] = -3.0,
                2 => frame.depth[i] = [f32::NAN, f32::INFINITY, 0.0][t % 3],
                3 => frame.images[2][4 * i + 1] = 0.9,
                4 => frame.images[1][4 * i] = 0.9,
                5 => frame.images[2][4 * i] = f32::NAN,
                _ => frame.images[0][4 * i] = [f32::NAN, f32::INFINITY, 1e30][t % 3],
            }
        }
    }
    let sets: Vec<Set> = frames.iter().map(Frame::set).collect();
    let view = denoiser(true).view(&sets[0].temporal()).unwrap();
    let mut last: Option<(Vec<f32>, &Frame)> = None;
    let (mut changed, mut resets) = (0, 0);
    for (t, (frame, set)) in frames.iter().zip(&sets).enumerate() {
        if t == 4 {
            view.reset();
            (last, resets) = (None, resets + 1);
        }
        let fresh = alone_denoised(frame);
        let want = blended(&fresh, frame, last.as_ref().map(|(result, frame)| (&result[..], *frame)));
        let got = result(&view, &view.bind(&set.temporal()).unwrap(), set);
        // An infinity of the color is a large number when it is denoised, and the others are compared by their own size.
        for (i, ((got, want), fresh)) in got.iter().zip(&want).zip(&fresh).enumerate() {
            let is_close = got == want || (got - want).abs() <= 1e-5 * want.abs().max(1e-2);
            assert!(is_close, "{got} at {i} of frame {t} instead of {want}");
            changed += usize::from((want - fresh).abs() > 1e-3 * fresh.abs());
        }
        last = Some((got, frame));
    }
    assert!(changed > 3 * count && resets == 1, "{changed} numbers are blended");
}

/// Images at rest stay as they are, and a change shows by half. Scales of motion, depth textures, normals in 0..1.
#[test]
fn what_rests_stays() {
    let _alone = alone();
    let size = [20, 17];
    let (first, mut second) = (Frame::new(size, 1), Frame::new(size, 2));
    second.images = [second.images[0].clone(), first.images[1].clone(), first.images[2].clone()];
    second.depth.clone_from(&first.depth);
    let fresh = [alone_denoised(&first), alone_denoised(&second)];
    let halves: Vec<f32> = fresh[0].iter().zip(&fresh[1]).map(|(a, b)| (a + b) / 2.0).collect();
    let close = |what: &str, got: Vec<f32>, want: &[f32]| {
        let colors = |of: &[f32]| of.iter().enumerate().filter(|(i, _)| i % 4 < 3).map(|(_, v)| *v).collect::<Vec<_>>();
        close(what, &colors(&got), &colors(want), 1e-6);
    };
    let (denoiser, sets) = (denoiser(true), [first.set(), second.set()]);
    let views = [0, 1].map(|_| denoiser.view(&sets[0].temporal()).unwrap());
    let bound = [0, 1].map(|i| views[0].bind(&sets[i].temporal()).unwrap());
    for _ in 0..3 {
        close("at rest", result(&views[0], &bound[0], &sets[0]), &fresh[0]);
    }
    let created = device().created();
    close("a change", result(&views[0], &bound[1], &sets[1]), &halves);
    assert_eq!(device().created(), created, "a frame creates nothing");
    let other = views[1].bind(&sets[1].temporal()).unwrap();
    close("a view of its own", result(&views[1], &other, &sets[1]), &fresh[1]);
    views[0].reset();
    close("a reset", result(&views[0], &bound[1], &sets[1]), &fresh[1]);

    // The same motion in another unit: a step to the right in the last frame's direction.
    let mut moved = second.clone();
    moved.motion = [1.0, 0.0].repeat(size[0] * size[1]);
    let want = result(&views[0], &views[0].bind(&moved.set().temporal()).unwrap(), &sets[1]);
    assert!(want == contents(encoder(), &sets[1].output));
    let moved_set = moved.set();
    views[0].reset();
    result(&views[0], &bound[0], &sets[0]);
    let want = result(&views[0], &views[0].bind(&moved_set.temporal()).unwrap(), &moved_set);
    moved.motion.iter_mut().for_each(|way| *way *= -1.0 / size[0] as f32);
    let scaled = moved.set();
    views[0].reset();
    result(&views[0], &bound[0], &sets[0]);
    let textures = scaled.temporal().motion_scale([-(size[0] as f32), -(size[1] as f32)]);
    close("scaled motion", result(&views[0], &views[0].bind(&textures).unwrap(), &scaled), &want);
    assert!(want.iter().zip(&halves).any(|(a, b)| (a - b).abs() > 0.01), "the motion shows");

    // A cleared depth texture: all of one depth. Normals of bytes: (0.6, 0, 0.8) and (-0.6, 0, -0.8), the same in both frames.
    let depth = blank(size, Format::Depth32Float, Usage::TEXTURE_BINDING | Usage::RENDER_ATTACHMENT);
    let bytes: Vec<f32> =
        first.images[2].chunks_exact(4).map(|n| f32::from_bits(u32::from_le_bytes(byte(n)))).collect();
    let normal = filled(size, Format::Rgba8Unorm, &bytes);
    let of = |set: &'static Set| set.textures().normal(&normal).depth(&depth).motion(&set.motion);
    let sets: &'static [Set; 2] = Box::leak(Box::new(sets));
    let view = denoiser.view(&of(&sets[0])).unwrap();
    let bound = [0, 1].map(|i| view.bind(&of(&sets[i])).unwrap());
    let one = [0, 1].map(|i| {
        view.reset();
        result(&view, &bound[i], &sets[i])
    });
    let halves: Vec<f32> = one[0].iter().zip(&one[1]).map(|(a, b)| (a + b) / 2.0).collect();
    close("depth texture", result(&view, &bound[0], &sets[0]), &halves);
}

fn byte(normal: &[f32]) -> [u8; 4] {
    [0, 1, 2, 3].map(|c| ((normal[c].clamp(-1.0, 1.0) * 0.5 + 0.5) * 255.0).round() as u8)
}

/// The history is that of the whole image, when the last tile or slice is done.
#[test]
fn tiles_and_slices_are_blended_too() {
    let _alone = alone();
    let size = [2000, 20];
    let mut frames = [Frame::new(size, 3), Frame::new(size, 4)];
    // Across the borders of tiles.
    frames[1].motion = [-333.25, 1.5].repeat(size[0] * size[1]);
    let sets = frames.each_ref().map(Frame::set);
    let whole = denoiser(true);
    let tiled = in_small_tiles(device(), &options(&GUIDED, Content::Hdr).temporal(WEIGHT), size);
    let (bytes, plain) = (tiled.bytes(size).unwrap(), whole.bytes(size).unwrap());
    assert_eq!((bytes.history, plain.history), (64 * 40_000, 64 * 40_000));
    let views = [&whole, &tiled].map(|denoiser| block_on(denoiser.view_in_background(&sets[0].temporal())).unwrap());
    let bound = [0, 1].map(|i| [0, 1].map(|of| views[i].bind(&sets[of].temporal()).unwrap()));
    let want = [0, 1].map(|of| result(&views[0], &bound[0][of], &sets[of]));
    let tiles = views[1].tiles();
    assert!(tiles > 1 && views[0].tiles() == 1);
    for of in [0, 1] {
        let mut recorded = encoder();
        for tile in 0..tiles {
            views[1].encode_tile(&mut recorded, &bound[1][of], tile).unwrap();
        }
        close(&format!("tiles of frame {of}"), &contents(recorded, &sets[of].output), &want[of], 1e-5);
    }
    let times = step_times(views[1].session(), Effort::default()).unwrap();
    let frame: Duration = times.iter().sum();
    let mut slices = views[1].slices(&times, frame).unwrap();
    views[1].reset();
    for of in [0, 1] {
        loop {
            let mut recorded = encoder();
            let slice = views[1].encode_within(&mut recorded, &bound[1][of], &mut slices, frame).unwrap();
            if slice.finished {
                close(&format!("slices of frame {of}"), &contents(recorded, &sets[of].output), &want[of], 1e-5);
                break;
            }
            device().queue().submit([recorded.finish()]);
        }
    }
}

#[test]
fn what_a_history_lacks_is_named() {
    let _alone = alone();
    let size = [24, 18];
    let set = Frame::new(size, 0).set();
    let (temporal, plain) = (denoiser(true), denoiser(false));
    let textures = |format: Format, usage: Usage| blank(size, format, usage);
    let other = blank([18, 24], Format::R32Float, BOUND);
    let [unbound, integers] =
        [(Format::R32Float, Usage::COPY_DST), (Format::R32Uint, BOUND)].map(|(f, u)| textures(f, u));
    let [stencil, bytes] = [Format::Depth24PlusStencil8, Format::Rg8Unorm].map(|f| textures(f, Usage::TEXTURE_BINDING));
    let both = textures(Format::Rgba32Float, STORED | BOUND);
    let good = set.temporal();
    let drawn = |output| DenoiserTextures::new(&set.images[0], output).albedo(&set.images[1]).normal(&set.images[2]);
    let created = device().created();
    for (textures, said) in [
        (set.textures(), "depth: wanted one: the options are temporal, got none"),
        (set.textures().depth(&set.depth), "motion: wanted one: the options are temporal, got none"),
        (good.depth(&other), "depth: wanted 24 x 18 pixels, as the image has, got 18 x 24 pixels"),
        (good.motion(&unbound), "motion: usage: wanted TextureUsages(TEXTURE_BINDING)"),
        (good.motion(&integers), "motion: format: wanted a color format"),
        (good.motion(&bytes), "motion: format: wanted two or more channels, with a sign, got Rg8Unorm"),
        (good.motion(&set.depth), "motion: format: wanted two or more channels, with a sign, got R32Float"),
        (good.depth(&stencil), "depth: format: wanted a format of depth without stencil, or of floats"),
        (drawn(&both).depth(&set.depth).motion(&both), "output: wanted another texture than those that are read"),
        (good.motion_scale([1.0, f32::NAN]), "motion_scale: wanted finite numbers, got NaN"),
    ] {
        refused(temporal.view(&textures), said);
        refused(block_on(temporal.view_in_background(&textures)), said);
    }
    refused(plain.view(&good), "depth: wanted none: the options aren't temporal, got one");
    refused(plain.view(&set.textures().motion(&set.motion)), "motion: wanted none: the options aren't temporal");
    for weight in [0.0, 1.0, -0.5, f32::NAN] {
        let made = Denoiser::new(device(), options(&GUIDED, Content::Hdr).temporal(weight));
        refused(made, "temporal: wanted a weight above 0 and below 1");
    }
    assert_eq!(device().created(), created, "it is known before anything is created");
    // A network without guides has normals for its history alone.
    let unguided = Denoiser::new(device(), options(&BASE, Content::Hdr).temporal(0.25)).unwrap();
    let bare = DenoiserTextures::new(&set.images[0], &set.output).depth(&set.depth).motion(&set.motion);
    refused(unguided.view(&bare), "normal: wanted one: the options are temporal, got none");
    let view = unguided.view(&bare.normal(&set.images[2])).unwrap();
    result(&view, &view.bind(&bare.normal(&set.images[2])).unwrap(), &set);
    refused(view.bind(&bare.normal(&other)), "normal: wanted 24 x 18 pixels");
    let pixels = vec![0.5; size[0] * size[1] * 3];
    let images = shadernet::denoise::Images::new(size, &pixels);
    refused(unguided.denoise_blocking(&images), "temporal: wanted options that aren't temporal");
}
