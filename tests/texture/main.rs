//! Textures as inputs and outputs of networks, against plain loops in f64 and PyTorch, on a device that promises no
//! more than every WebGPU device does.

mod classes;
mod hosts;
mod inputs;
mod outputs;
mod overflow;
mod refusals;
mod sizes;

use half::f16;
use pollster::block_on;
use shadernet::plan::Port;
use shadernet::texture::{Source, Target, TextureInput, TextureOutput};
use shadernet::{Context, ContextOptions, DType, Error, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

fn context() -> Context {
    let context = block_on(Context::with(&ContextOptions::from_env().plain()));
    context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
}

/// Runs one test at a time: llvmpipe uses all processors for each anyway.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

type Rgba = [f64; 4];

/// Builds a picture with no two equal pixels.
fn picture([w, h]: [usize; 2]) -> Vec<Rgba> {
    let pixel = |i: usize| [7, 11, 13, 17].map(|k| ((i * i * k + 31 * i + k) % 256) as f64 / 255.0);
    (0..w * h).map(pixel).collect()
}

fn to_linear(v: f64) -> f64 {
    let curve = |v: f64| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
    curve(v.abs()).copysign(v)
}

fn to_srgb(v: f64) -> f64 {
    let curve = |v: f64| if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
    curve(v.abs()).copysign(v)
}

fn on_rgb(f: impl Fn(f64) -> f64, [r, g, b, a]: Rgba) -> Rgba {
    [f(r), f(g), f(b), a]
}

/// Encodes a pixel in a format.
fn bytes(format: Format, pixel: Rgba) -> Vec<u8> {
    let unorm = |v: f64| (v * 255.0).round() as u8;
    let [r, g, b, a] = pixel;
    match format {
        Format::Rgba8Unorm | Format::Rgba8UnormSrgb => pixel.map(unorm).to_vec(),
        Format::Bgra8Unorm | Format::Bgra8UnormSrgb => [b, g, r, a].map(unorm).to_vec(),
        Format::R8Unorm => vec![unorm(r)],
        Format::Rgba16Float => pixel.iter().flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect(),
        Format::Rgba32Float => pixel.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        Format::R32Float => (r as f32).to_le_bytes().to_vec(),
        _ => panic!("{format:?}"),
    }
}

/// Decodes a pixel of a format.
fn stored(format: Format, bytes: &[u8]) -> Rgba {
    let unorm = |i: usize| f64::from(bytes[i]) / 255.0;
    let float = |i: usize| f64::from(f32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().expect("four bytes")));
    let half = |i: usize| f16::from_le_bytes(bytes[2 * i..2 * i + 2].try_into().expect("two bytes")).to_f64();
    match format {
        Format::Rgba8Unorm | Format::Rgba8UnormSrgb => [0, 1, 2, 3].map(unorm),
        Format::Bgra8Unorm | Format::Bgra8UnormSrgb => [2, 1, 0, 3].map(unorm),
        Format::R8Unorm => [unorm(0), 0.0, 0.0, 1.0],
        Format::Rgba16Float => [0, 1, 2, 3].map(half),
        Format::Rgba32Float => [0, 1, 2, 3].map(float),
        Format::R32Float => [float(0), 0.0, 0.0, 1.0],
        _ => panic!("{format:?}"),
    }
}

/// The tolerance for devices that decode sRGB themselves: Direct3D allows half an 8-bit step of the encoded number.
const DECODED: f64 = 1.0 / 255.0;

fn is_float(format: Format) -> bool {
    matches!(format, Format::Rgba16Float | Format::Rgba32Float | Format::R32Float)
}

fn blank(context: &Context, [width, height]: [usize; 2], format: Format, usage: Usage) -> wgpu::Texture {
    let size = wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
    context.device().create_texture(&describe(size, format, usage))
}

fn describe(size: wgpu::Extent3d, format: Format, usage: Usage) -> wgpu::TextureDescriptor<'static> {
    wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    }
}

/// Writes a picture into a mip level of a layer.
fn fill(context: &Context, texture: &wgpu::Texture, mip: u32, layer: u32, [w, h]: [usize; 2], pixels: &[Rgba]) {
    let bytes: Vec<u8> = pixels.iter().flat_map(|&pixel| bytes(texture.format(), pixel)).collect();
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some((bytes.len() / h) as u32),
        rows_per_image: Some(h as u32),
    };
    let place = wgpu::TexelCopyTextureInfo {
        mip_level: mip,
        origin: wgpu::Origin3d { x: 0, y: 0, z: layer },
        ..texture.as_image_copy()
    };
    let size = wgpu::Extent3d { width: w as u32, height: h as u32, depth_or_array_layers: 1 };
    context.queue().write_texture(place, &bytes, layout, size);
}

/// Creates a texture that holds a picture.
fn filled(context: &Context, size: [usize; 2], format: Format, usage: Usage, pixels: &[Rgba]) -> wgpu::Texture {
    let texture = blank(context, size, format, usage | Usage::COPY_DST);
    fill(context, &texture, 0, 0, size, pixels);
    texture
}

/// Submits the recorded commands and returns a buffer's bytes.
fn submit(context: &Context, mut encoder: wgpu::CommandEncoder, buffer: &wgpu::Buffer) -> Vec<u8> {
    let descriptor = wgpu::BufferDescriptor {
        label: None,
        size: buffer.size(),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    };
    let download = context.device().create_buffer(&descriptor);
    encoder.copy_buffer_to_buffer(buffer, 0, &download, 0, None);
    context.queue().submit([encoder.finish()]);
    download.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("the device is there"));
    context.device().poll(wgpu::PollType::wait_indefinitely()).expect("the device is there");
    download.get_mapped_range(..).expect("it is mapped").to_vec()
}

fn encoder(context: &Context) -> wgpu::CommandEncoder {
    context.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// Returns the numbers in a texture, after the recorded commands.
fn contents(context: &Context, mut encoder: wgpu::CommandEncoder, texture: &wgpu::Texture) -> Vec<Rgba> {
    let (w, h) = (texture.width() as usize, texture.height() as usize);
    let texel = texture.format().block_copy_size(None).expect("a color") as usize;
    let row = (w * texel).next_multiple_of(256);
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let descriptor = wgpu::BufferDescriptor { label: None, size: (row * h) as u64, usage, mapped_at_creation: false };
    let buffer = context.device().create_buffer(&descriptor);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row as u32), rows_per_image: None };
    let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
    let bytes = submit(context, encoder, &buffer);
    let texels = bytes.chunks(row).flat_map(|row| row[..w * texel].chunks(texel));
    texels.map(|bytes| stored(texture.format(), bytes)).collect()
}

/// Returns the content of an input's buffer after these sources have been written.
fn sampled(context: &Context, input: &TextureInput, sources: &[Source]) -> Vec<f64> {
    let mut encoder = encoder(context);
    for source in sources {
        input.encode(&mut encoder, source).expect("it bound them");
    }
    let bytes = submit(context, encoder, input.buffer().buffer);
    bytemuck::pod_collect_to_vec::<u8, f32>(&bytes).into_iter().map(f64::from).collect()
}

/// Returns a texture's numbers after an output of these values was drawn into it.
fn drawn(
    context: &Context,
    output: &TextureOutput,
    values: &[f32],
    texture: &wgpu::Texture,
    target: &Target,
) -> Vec<Rgba> {
    context.queue().write_buffer(output.buffer().buffer, output.buffer().offset, bytemuck::cast_slice(values));
    let mut encoder = encoder(context);
    output.encode(&mut encoder, target).expect("it bound it");
    contents(context, encoder, texture)
}

fn port(shape: impl Into<Vec<usize>>) -> Port {
    Port { name: "image".into(), shape: shape.into().into(), dtype: DType::F32, range: None }
}

/// Computes PyTorch's `interpolate(mode="bilinear", align_corners=False)`.
fn resized(pixels: &[Rgba], [w, h]: [usize; 2], [to_w, to_h]: [usize; 2]) -> Vec<Rgba> {
    let around = |at: usize, size: usize, to: usize| {
        let place = ((at as f64 + 0.5) * size as f64 / to as f64 - 0.5).max(0.0);
        let first = (place as usize).min(size - 1);
        (first, (first + 1).min(size - 1), place - first as f64)
    };
    // A pixel of weight 0 is left out, even an infinite one.
    let one = |a: f64, b: f64, beyond: f64| if beyond == 0.0 { a } else { a * (1.0 - beyond) + b * beyond };
    let mix = |a: Rgba, b: Rgba, beyond: f64| [0, 1, 2, 3].map(|i| one(a[i], b[i], beyond));
    let pixel = |i: usize| {
        let (left, right, across) = around(i % to_w, w, to_w);
        let (above, below, down) = around(i / to_w, h, to_h);
        let row = |y: usize| mix(pixels[y * w + left], pixels[y * w + right], across);
        mix(row(above), row(below), down)
    };
    (0..to_w * to_h).map(pixel).collect()
}

fn cut(pixels: &[Rgba], w: usize, [x, y, width, height]: [usize; 4]) -> Vec<Rgba> {
    (0..width * height).map(|i| pixels[(y + i / width) * w + x + i % width]).collect()
}

/// Returns the distance of two numbers. Infinities and NaN are near to themselves alone.
fn off(got: f64, wanted: f64) -> f64 {
    match (got - wanted).abs() {
        _ if got == wanted || (got.is_nan() && wanted.is_nan()) => 0.0,
        off if off.is_nan() => f64::INFINITY,
        off => off,
    }
}

#[track_caller]
fn close(what: &str, got: &[f64], wanted: &[f64], tolerance: f64) {
    assert!(got.len() >= wanted.len() && got.len() - wanted.len() < 4, "{what}: {} values", got.len());
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!(off(*got, *wanted) <= tolerance, "{what}: {got} at {i} instead of {wanted}");
    }
}

#[track_caller]
fn close_pixels(what: &str, got: &[Rgba], wanted: &[Rgba], tolerance: f64) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let off = got.iter().zip(wanted).map(|(&got, &wanted)| off(got, wanted)).fold(0.0, f64::max);
        assert!(off <= tolerance, "{what}: {got:?} at {i} instead of {wanted:?}");
    }
}

/// The textures that outputs are drawn to, and their tolerances.
const TARGETS: [(Format, Usage, f64); 9] = [
    (Format::Rgba8Unorm, Usage::STORAGE_BINDING, 0.6 / 255.0),
    (Format::Rgba16Float, Usage::STORAGE_BINDING, 1e-3),
    (Format::Rgba32Float, Usage::STORAGE_BINDING, 2e-4),
    (Format::Rgba8Unorm, Usage::RENDER_ATTACHMENT, 0.6 / 255.0),
    (Format::Rgba8UnormSrgb, Usage::RENDER_ATTACHMENT, 1.1 / 255.0),
    (Format::Bgra8Unorm, Usage::RENDER_ATTACHMENT, 0.6 / 255.0),
    (Format::Bgra8UnormSrgb, Usage::RENDER_ATTACHMENT, 1.1 / 255.0),
    (Format::Rgba16Float, Usage::RENDER_ATTACHMENT, 1e-3),
    (Format::Rgba8Unorm, Usage::RENDER_ATTACHMENT.union(Usage::STORAGE_BINDING), 0.6 / 255.0),
];

/// Returns the stored form of an sRGB color.
fn kept_as(format: Format, pixel: Rgba) -> Rgba {
    if is_float(format) { on_rgb(to_linear, pixel) } else { pixel }
}

/// Returns the row-major values of an image with these channels of a picture.
fn planes(pixels: &[Rgba], channels: &[usize]) -> Vec<f32> {
    channels.iter().flat_map(|&c| pixels.iter().map(move |pixel| pixel[c] as f32)).collect()
}

const PALETTE: [[f32; 4]; 3] = [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]];

fn class(class: usize) -> Rgba {
    PALETTE[class % PALETTE.len()].map(f64::from)
}

#[track_caller]
fn is_refused(error: &Error, argument: &str, wanted: &str) {
    let ErrorKind::Argument { argument: named, .. } = &error.kind else { panic!("{error}") };
    assert_eq!(named, argument, "{error}");
    assert!(error.to_string().contains(wanted), "{error}");
}
