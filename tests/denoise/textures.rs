//! Textures in and out, against the same numbers in host memory.

use crate::tiles::in_small_tiles;
use crate::tiny::Tiny;
use crate::{BASE, frame, images, options};
use half::f16;
use pollster::block_on;
use shadernet::denoise::{BoundTextures, Content, Denoiser, DenoiserProgress};
use shadernet::denoise::{DenoiserSlices, DenoiserTextures, DenoiserView};
use shadernet::measure::{Effort, step_times};
use shadernet::{Context, ContextOptions, Error, Result, wgpu};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

pub(crate) const BOUND: Usage = Usage::TEXTURE_BINDING.union(Usage::COPY_DST);
pub(crate) const STORED: Usage = Usage::STORAGE_BINDING.union(Usage::COPY_SRC).union(Usage::COPY_DST);
const DRAWN: Usage = Usage::RENDER_ATTACHMENT.union(Usage::COPY_SRC).union(Usage::COPY_DST);

/// Returns a context that other tests don't use, so that what is created can be counted.
pub(crate) fn device() -> &'static Context {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    let context = || block_on(Context::with(&ContextOptions::from_env().portable()));
    CONTEXT.get_or_init(|| context().unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}")))
}

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn blank([width, height]: [usize; 2], format: Format, usage: Usage) -> wgpu::Texture {
    device().device().create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    })
}

fn to_linear(v: f32) -> f32 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

fn to_srgb(v: f32) -> f32 {
    if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// Creates a texture of pixels of four numbers, as a format's convention has them, and returns it with the pixels that it holds.
fn filled(size: [usize; 2], format: Format, pixels: &[[f32; 4]], is_normal: bool) -> (wgpu::Texture, Vec<f32>) {
    let unorm = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    // A byte, and the number that a network sees: integers hold colors in sRGB and normals in 0..1.
    let byte = |c: usize, v: f32| match c {
        3 => (unorm(v), f32::from(unorm(v)) / 255.0),
        _ if is_normal => (unorm(v * 0.5 + 0.5), f32::from(unorm(v * 0.5 + 0.5)) / 127.5 - 1.0),
        _ => (unorm(to_srgb(v)), to_linear(f32::from(unorm(to_srgb(v))) / 255.0)),
    };
    // Five bits of exponent and the first ones of the mantissa.
    let short = |v: f32, bits: u32| u32::from(f16::from_f32(v.max(0.0)).to_bits()) >> (10 - bits);
    let long = |code: u32, bits: u32| f16::from_bits((code << (10 - bits)) as u16).to_f32();
    let (mut bytes, mut held) = (Vec::new(), Vec::new());
    for pixel in pixels {
        match format {
            Format::Rgba32Float => {
                bytes.extend(pixel.iter().flat_map(|v| v.to_le_bytes()));
                held.extend(pixel);
            }
            Format::Rgba16Float => {
                bytes.extend(pixel.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()));
                held.extend(pixel.map(|v| f16::from_f32(v).to_f32()));
            }
            Format::Rgba8Unorm | Format::Rgba8UnormSrgb => {
                let both = [0, 1, 2, 3].map(|c| byte(c, pixel[c]));
                bytes.extend(both.map(|(byte, _)| byte));
                held.extend(both.map(|(_, number)| number));
            }
            Format::Rg11b10Ufloat => {
                let codes = [short(pixel[0], 6), short(pixel[1], 6), short(pixel[2], 5)];
                bytes.extend((codes[0] | codes[1] << 11 | codes[2] << 22).to_le_bytes());
                held.extend([long(codes[0], 6), long(codes[1], 6), long(codes[2], 5), 1.0]);
            }
            _ => panic!("{format:?}"),
        }
    }
    let texture = blank(size, format, BOUND);
    let rows = Some((bytes.len() / size[1]) as u32);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: rows, rows_per_image: None };
    device().queue().write_texture(texture.as_image_copy(), &bytes, layout, texture.size());
    (texture, held)
}

pub(crate) fn encoder() -> wgpu::CommandEncoder {
    device().device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// Submits an encoder's commands and returns what a texture holds then, in four numbers a pixel.
pub(crate) fn contents(mut encoder: wgpu::CommandEncoder, texture: &wgpu::Texture) -> Vec<f32> {
    let (format, [w, h]) = (texture.format(), [texture.width(), texture.height()]);
    let texel = format.block_copy_size(None).unwrap();
    let row = (w * texel).next_multiple_of(256);
    let (device, queue) = (device().device(), device().queue());
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let size = u64::from(row * h);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
    let into = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), into, texture.size());
    queue.submit([encoder.finish()]);
    buffer.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = buffer.get_mapped_range(..).unwrap();
    let rows = view.chunks(row as usize).flat_map(|row| &row[..(w * texel) as usize]).copied();
    let bytes: Vec<u8> = rows.collect();
    match format {
        Format::Rgba32Float | Format::R32Float | Format::Rg32Float => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Format::Rgba16Float => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Format::Rgba8Unorm | Format::Rgba8UnormSrgb => bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
        _ => panic!("{format:?}"),
    }
}

/// Builds frames with an alpha of their own.
fn pixels(size: [usize; 2], content: Content, count: usize) -> Vec<Vec<[f32; 4]>> {
    let with_alpha = |image: &Vec<f32>| {
        let pixels = image.chunks_exact(3).enumerate();
        pixels.map(|(i, pixel)| [pixel[0], pixel[1], pixel[2], (i % 5) as f32 / 5.0]).collect()
    };
    images(size, content, count).iter().map(with_alpha).collect()
}

fn textures<'a>(inputs: &'a [wgpu::Texture], output: &'a wgpu::Texture) -> DenoiserTextures<'a> {
    let textures = DenoiserTextures::new(&inputs[0], output);
    match &inputs[1..] {
        [] => textures,
        [albedo] => textures.albedo(albedo),
        [albedo, normal, ..] => textures.albedo(albedo).normal(normal),
    }
}

#[track_caller]
pub(crate) fn close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    let most = want.iter().fold(0.0f32, |most, number| most.max(number.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance * most, "{what}: {got} at {i} instead of {want}");
    }
}

/// Every format that renderers have, and every convention: the denoised numbers are those of the texels in host memory.
#[test]
fn textures_are_denoised_as_numbers_are() {
    let _alone = alone();
    use Format::{Rg11b10Ufloat, Rgba8Unorm, Rgba8UnormSrgb, Rgba16Float, Rgba32Float};
    let size = [37, 21];
    for (content, formats, output, usage, tolerance) in [
        (Content::Hdr, &[Rgba32Float, Rgba32Float, Rgba32Float][..], Rgba32Float, STORED, 2e-6),
        // The device decodes sRGB, to less than f32.
        (Content::Hdr, &[Rgba16Float, Rgba8UnormSrgb, Rgba8Unorm], Rgba16Float, STORED, 5e-3),
        (Content::Hdr, &[Rg11b10Ufloat, Rgba8Unorm, Rgba16Float], Rgba16Float, DRAWN, 1e-3),
        (Content::Ldr, &[Rgba8UnormSrgb, Rgba16Float], Rgba8UnormSrgb, DRAWN, 1.1 / 255.0),
        (Content::Srgb, &[Rgba8Unorm], Rgba8Unorm, STORED, 1.1 / 255.0),
        (Content::Normal, &[Rgba8Unorm], Rgba8Unorm, DRAWN, 1.1 / 255.0),
        (Content::Directional, &[Rgba16Float], Rgba32Float, STORED, 1e-5),
    ] {
        let tiny = Tiny { images: formats.len(), ..BASE };
        let denoiser = Denoiser::new(device(), options(&tiny, content)).unwrap();
        let signed = [Content::Normal, Content::Directional].contains(&content);
        let pixels = pixels(size, content, formats.len());
        let filled = (0..formats.len()).map(|i| filled(size, formats[i], &pixels[i], i == 2 || (signed && i == 0)));
        let (inputs, mut held): (Vec<wgpu::Texture>, Vec<Vec<f32>>) = filled.unzip();
        let alpha: Vec<f32> = held[0].iter().skip(3).step_by(4).copied().collect();
        if content == Content::Srgb {
            // The network's numbers are the encoded ones.
            held[0].iter_mut().for_each(|number| *number = to_srgb(*number));
        }
        let mut want = denoiser.denoise_blocking(&frame(size, &held)).unwrap();
        // The output's convention.
        let integers = matches!(output, Rgba8Unorm | Rgba8UnormSrgb);
        let shown = |number: f32| match content {
            Content::Normal => number * 0.5 + 0.5,
            Content::Ldr if integers => to_srgb(number),
            _ => number,
        };
        want.iter_mut().for_each(|number| *number = shown(*number));
        want.iter_mut().skip(3).step_by(4).zip(alpha).for_each(|(number, alpha)| *number = alpha);
        let output = blank(size, output, usage);
        let textures = textures(&inputs, &output);
        let view = denoiser.view(&textures).unwrap();
        let bound = view.bind(&textures).unwrap();
        let mut encoder = encoder();
        view.encode(&mut encoder, &bound).unwrap();
        close(&format!("{content} from {formats:?}"), &contents(encoder, &output), &want, tolerance);
    }
}

/// Views are resources of a renderer's threads.
#[test]
fn views_may_be_sent() {
    fn shared<T: Send + Sync>() {}
    shared::<(DenoiserView, BoundTextures, DenoiserSlices)>();
}

/// A camera: textures of a frame, and what becomes of them in host memory.
struct Camera {
    inputs: Vec<wgpu::Texture>,
    output: wgpu::Texture,
    want: Vec<f32>,
}

fn camera(denoiser: &Denoiser, size: [usize; 2], bright: f32) -> Camera {
    let mut pixels = pixels(size, Content::Hdr, 3);
    for (i, pixel) in pixels[0].iter_mut().enumerate() {
        (0..3).for_each(|c| pixel[c] *= bright * (0.1 + (i % size[0]) as f32 / size[0] as f32));
    }
    let filled = (0..3).map(|i| filled(size, Format::Rgba32Float, &pixels[i], i == 2));
    let (inputs, held): (Vec<wgpu::Texture>, Vec<Vec<f32>>) = filled.unzip();
    let want = denoiser.denoise_blocking(&frame(size, &held)).unwrap();
    Camera { inputs, output: blank(size, Format::Rgba32Float, STORED), want }
}

/// Tiles of textures, at once, one by one and in slices; two cameras in one view; nothing is created in a frame.
#[test]
fn views_denoise_tile_by_tile() {
    let _alone = alone();
    let size = [2000, 20];
    let denoiser = in_small_tiles(device(), &options(&Tiny { images: 3, ..BASE }, Content::Hdr), size);
    let cameras = [camera(&denoiser, size, 1.0), camera(&denoiser, size, 7.0)];
    let textures = [0, 1].map(|i| textures(&cameras[i].inputs, &cameras[i].output));
    let view = block_on(denoiser.view_in_background(&textures[0])).unwrap();
    let tiles = view.tiles();
    assert!(tiles > 1 && tiles == denoiser.bytes(size).unwrap().tiles);
    let bound = textures.map(|textures| view.bind(&textures).unwrap());
    let times = step_times(view.session(), Effort::default()).unwrap();
    let frame: Duration = times.iter().sum();
    let mut slices = view.slices(&times, frame).unwrap();
    let created = device().created();
    let check = |what: &str, encoder: wgpu::CommandEncoder, i: usize| {
        let Camera { output, want, .. } = &cameras[i];
        close(&format!("{what}, camera {i}"), &contents(encoder, output), want, 1e-6);
        // For the next check.
        let zeros = vec![0; want.len() * 4];
        let rows = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(2000 * 16), rows_per_image: None };
        device().queue().write_texture(output.as_image_copy(), &zeros, rows, output.size());
    };
    for i in [0, 1] {
        let mut encoder = encoder();
        view.encode(&mut encoder, &bound[i]).unwrap();
        check("at once", encoder, i);
    }
    for tile in 0..tiles {
        let mut encoder = encoder();
        view.encode_tile(&mut encoder, &bound[1], tile).unwrap();
        if tile + 1 == tiles {
            check("tile by tile", encoder, 1);
        } else {
            device().queue().submit([encoder.finish()]);
        }
    }
    // Slices of two thirds of a tile end within tiles and go over to the next.
    let (mut done, mut number) = (Vec::new(), 0);
    loop {
        let mut encoder = encoder();
        let slice = view.encode_within(&mut encoder, &bound[0], &mut slices, frame * 2 / 3).unwrap();
        number += 1;
        assert!(slice.time <= frame && slice.progress.tiles == tiles);
        done.push(slice.progress.done);
        if slice.finished {
            assert_eq!(slice.progress, DenoiserProgress { done: tiles, tiles });
            check("in slices", encoder, 0);
            break;
        }
        device().queue().submit([encoder.finish()]);
    }
    assert!(done.is_sorted() && number > tiles, "{done:?}");
    // A whole frame fits into one slice.
    let mut whole = encoder();
    let budget = frame * tiles as u32 * 2;
    assert!(view.encode_within(&mut whole, &bound[1], &mut slices, budget).unwrap().finished);
    check("in one slice", whole, 1);
    assert_eq!(device().created(), created, "a frame creates nothing");

    // Textures or a frame between slices are refused, and the next frame begins anew.
    let slice = |bound: usize, slices: &mut _| {
        view.encode_within(&mut encoder(), &textures_of(&view, &cameras[bound]), slices, Duration::ZERO).map(drop)
    };
    let first = textures_of(&view, &cameras[0]);
    assert!(!view.encode_within(&mut encoder(), &first, &mut slices, Duration::ZERO).unwrap().finished);
    refused(slice(1, &mut slices), "bound: wanted the textures of the frame's first slice");
    assert!(!view.encode_within(&mut encoder(), &first, &mut slices, Duration::ZERO).unwrap().finished);
    view.encode(&mut encoder(), &first).unwrap();
    let again = view.encode_within(&mut encoder(), &first, &mut slices, Duration::ZERO);
    refused(again.map(drop), "wanted no other frame of the session between the slices of one");
    assert!(view.encode_within(&mut encoder(), &first, &mut slices, budget).unwrap().finished);
    refused(view.encode_tile(&mut encoder(), &first, tiles), &format!("tile: wanted less than {tiles}"));
    let other = denoiser.view(&textures_in(&cameras[1])).unwrap();
    refused(other.encode(&mut encoder(), &first), "bound: wanted what this view has bound");
    refused(
        other.encode_within(&mut encoder(), &textures_of(&other, &cameras[1]), &mut slices, budget).map(drop),
        "slices: wanted those of this view",
    );
}

fn textures_in(camera: &Camera) -> DenoiserTextures<'_> {
    textures(&camera.inputs, &camera.output)
}

fn textures_of(view: &DenoiserView, camera: &Camera) -> BoundTextures {
    view.bind(&textures_in(camera)).unwrap()
}

#[track_caller]
pub(crate) fn refused<T>(result: Result<T>, said: &str) {
    let error: Error = result.map(drop).expect_err(said);
    assert!(error.to_string().contains(said), "\"{said}\" isn't in: {error}");
}

/// Sizes, formats, usages and guides that don't fit, by the name of the texture and before anything is created.
#[test]
fn textures_that_do_not_fit_are_named() {
    let _alone = alone();
    use Format::{Depth32Float, Rgba8Uint, Rgba16Float};
    let denoiser = Denoiser::new(device(), options(&Tiny { images: 2, ..BASE }, Content::Hdr)).unwrap();
    let size = [24, 18];
    let (color, albedo) = (blank(size, Rgba16Float, BOUND), blank(size, Rgba16Float, BOUND));
    let output = blank(size, Rgba16Float, STORED);
    let other = blank([18, 24], Rgba16Float, BOUND | STORED);
    let both = blank(size, Rgba16Float, BOUND | STORED);
    let unbound = blank(size, Rgba16Float, Usage::COPY_DST);
    let depth = blank(size, Depth32Float, Usage::TEXTURE_BINDING);
    let integers = blank(size, Rgba8Uint, BOUND | STORED);
    let good = DenoiserTextures::new(&color, &output).albedo(&albedo);
    let created = device().created();
    for (textures, said) in [
        (DenoiserTextures::new(&color, &output), "albedo: wanted one: the network takes it, got none"),
        (good.normal(&albedo), "normal: wanted none: the network takes none, got one"),
        (good.albedo(&other), "albedo: wanted 24 x 18 pixels, as the image has, got 18 x 24 pixels"),
        (DenoiserTextures::new(&color, &other).albedo(&albedo), "output: wanted 24 x 18 pixels, as the image has"),
        (DenoiserTextures::new(&both, &both).albedo(&albedo), "output: wanted another texture than those"),
        (
            DenoiserTextures::new(&color, &both).albedo(&both),
            "output: wanted another texture than those that are read, got that of \"albedo\"",
        ),
        (good.albedo(&unbound), "albedo: usage: wanted TextureUsages(TEXTURE_BINDING)"),
        (good.albedo(&depth), "albedo: format: wanted a color format"),
        (DenoiserTextures::new(&integers, &output).albedo(&albedo), "image: format: wanted a color format"),
        (DenoiserTextures::new(&color, &integers).albedo(&albedo), "output: format: wanted a color format"),
        (DenoiserTextures::new(&color, &unbound).albedo(&albedo), "output: usage: wanted RENDER_ATTACHMENT or STORAGE"),
    ] {
        refused(denoiser.view(&textures), said);
        refused(block_on(denoiser.view_in_background(&textures)), said);
    }
    assert_eq!(device().created(), created, "it is known before anything is created");
    let view = denoiser.view(&good).unwrap();
    let eight = blank(size, Format::Rgba8Unorm, BOUND | STORED);
    let large = [[18, 24]; 3].map(|size| blank(size, Rgba16Float, BOUND | STORED));
    for (textures, said) in [
        (good.albedo(&eight), "albedo: format: wanted Rgba16Float, got Rgba8Unorm"),
        (DenoiserTextures::new(&color, &eight).albedo(&albedo), "output: format: wanted Rgba16Float, got Rgba8Unorm"),
        (DenoiserTextures::new(&color, &albedo), "albedo: wanted one: the network takes it"),
        (
            DenoiserTextures::new(&large[0], &large[1]).albedo(&large[2]),
            "image: wanted 24 x 18 pixels, as the view has",
        ),
    ] {
        refused(view.bind(&textures), said);
    }
    view.encode(&mut encoder(), &view.bind(&good).unwrap()).unwrap();
}
