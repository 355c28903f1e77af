//! Textures as inputs and outputs of networks, against plain loops in f64 and PyTorch, on a device that promises no
//! more than every WebGPU device does.

use half::f16;
use pollster::block_on;
use shadernet::plan::Port;
use shadernet::texture::{Alpha, Channels, ColorSpace, Drawing, Filter, Region, Sampling, Source, Target};
use shadernet::texture::{TextureInput, TextureOutput};
use shadernet::{BATCH, Context, ContextOptions, DType, Error, ErrorKind, Graph, Model, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

fn context() -> Context {
    let context = block_on(Context::with(&ContextOptions::from_env().plain()));
    context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
}

/// Opens a context with the kernels that suit the device best.
fn fastest() -> Context {
    let context = block_on(Context::with(&ContextOptions::from_env()));
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

/// Results of `torch.nn.functional.interpolate` (PyTorch 2.9) with `mode="bilinear"`, then with `mode="nearest-exact"`,
/// for `x = [((i * i * 7 + 3 * i) % 23) / 16 for i in range(20)]` as 4 x 5, height first.
const GOLDENS: [([usize; 2], &[f64], &[f64]); 4] = [
    (
        [3, 7],
        &[
            0.0625, 0.4255953, 0.71875, 0.7708333, 0.4211309, 0.4464286, 0.6666667, 0.71875, 0.71875, 0.7633929, 0.875,
            0.5848213, 0.6696429, 0.9375, 0.6979166, 0.3348213, 0.1309524, 0.3020833, 0.9270836, 0.9002977, 0.53125,
        ],
        &[
            0.0, 0.625, 0.625, 0.6875, 0.1875, 0.1875, 0.5625, 1.0625, 0.375, 0.375, 0.5625, 0.1875, 0.1875, 0.6875,
            0.625, 0.0, 0.0, 0.25, 1.375, 1.375, 0.5,
        ],
    ),
    (
        [9, 2],
        &[
            0.46875, 0.28125, 0.5390625, 0.3776042, 0.7265625, 0.6345486, 0.8715278, 0.828993, 0.71875, 0.5859375,
            0.5659722, 0.342882, 0.3949653, 0.6406249, 0.2213542, 1.0156249, 0.15625, 1.15625,
        ],
        &[
            0.625, 0.1875, 0.625, 0.1875, 1.0625, 0.75, 1.0625, 0.75, 0.375, 0.1875, 0.375, 0.1875, 0.375, 0.1875, 0.0,
            1.375, 0.0, 1.375,
        ],
    ),
    ([2, 2], &[0.6796875, 0.5703125, 0.3515625, 0.734375], &[1.0625, 0.75, 0.0, 1.375]),
    (
        [4, 5],
        &[
            0.0, 0.625, 0.6875, 0.1875, 0.5625, 0.375, 1.0625, 1.1875, 0.75, 1.1875, 1.0625, 0.375, 0.5625, 0.1875,
            0.6875, 0.625, 0.0, 0.25, 1.375, 0.5,
        ],
        &[
            0.0, 0.625, 0.6875, 0.1875, 0.5625, 0.375, 1.0625, 1.1875, 0.75, 1.1875, 1.0625, 0.375, 0.5625, 0.1875,
            0.6875, 0.625, 0.0, 0.25, 1.375, 0.5,
        ],
    ),
];

fn golden() -> Vec<f32> {
    (0..20).map(|i| ((i * i * 7 + 3 * i) % 23) as f32 / 16.0).collect()
}

#[test]
fn sizes_change_as_pytorch_has_it() {
    let _alone = alone();
    let context = context();
    let pixels: Vec<Rgba> = golden().iter().map(|&v| [v.into(), 0.0, 0.0, 1.0]).collect();
    let texture = filled(&context, [5, 4], Format::R32Float, Usage::TEXTURE_BINDING, &pixels);
    for ([h, w], bilinear, nearest) in GOLDENS {
        let sampling = Sampling::new().channels(Channels::Red).raw();
        let input = TextureInput::new(&context, &port([1, 1, h, w]), Format::R32Float, sampling).expect("it fits");
        let source = input.bind(&texture).expect("it serves");
        close(&format!("to {h} x {w}"), &sampled(&context, &input, &[source]), bilinear, 1e-6);

        for (filter, wanted) in [(Filter::Linear, bilinear), (Filter::Nearest, nearest)] {
            let usage = Usage::STORAGE_BINDING | Usage::COPY_SRC;
            let to = blank(&context, [w, h], Format::R32Float, usage);
            let drawing = Drawing::image().channels(Channels::Red).raw().clamp(false).filter(filter);
            let output = TextureOutput::new(&context, &port([1, 1, 4, 5]), Format::R32Float, usage, drawing);
            let output = output.expect("it fits");
            let target = output.bind(&to).expect("it serves");
            let got: Vec<f64> = drawn(&context, &output, &golden(), &to, &target).iter().map(|p| p[0]).collect();
            close(&format!("{filter:?} to {h} x {w}"), &got, wanted, 1e-6);
        }
    }
}

/// An image of the same size is exact: an infinity doesn't touch the pixels beside it.
#[test]
fn equal_sizes_are_exact() {
    let _alone = alone();
    let context = context();
    let values: Vec<f64> = (0..15).map(|i| if i % 3 == 1 { f64::INFINITY } else { f64::from(i) / 7.0 }).collect();
    let pixels: Vec<Rgba> = values.iter().map(|&v| [v, 0.0, 0.0, 1.0]).collect();
    let usage = Usage::TEXTURE_BINDING | Usage::STORAGE_BINDING | Usage::COPY_SRC;
    let texture = filled(&context, [5, 3], Format::R32Float, usage, &pixels);
    let port = port([1, 1, 3, 5]);
    let sampling = Sampling::new().channels(Channels::Red).raw();
    let input = TextureInput::new(&context, &port, Format::R32Float, sampling).expect("it fits");
    let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
    assert!(got.iter().zip(&values).all(|(got, &wanted)| *got == f64::from(wanted as f32)), "{got:?}");
    // The output reads the same buffer again.
    let drawing = Drawing::image().channels(Channels::Red).raw().clamp(false);
    let back = blank(&context, [5, 3], Format::R32Float, usage);
    let output = TextureOutput::with_buffer(&context, &port, input.buffer(), Format::R32Float, usage, drawing);
    let output = output.expect("the buffer serves");
    let mut encoder = encoder(&context);
    output.encode(&mut encoder, &output.bind(&back).expect("it serves")).expect("it bound it");
    let got = contents(&context, encoder, &back);
    assert!(got.iter().zip(&values).all(|(got, &wanted)| got[0] == f64::from(wanted as f32)), "{got:?}");
}

/// An overflow of either sign, and a NaN.
const BEYOND: [f64; 3] = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];

/// Builds a picture of 5 x 4 with one value beyond all numbers, in one channel of one pixel.
fn overflown(channel: usize, value: f64) -> Vec<Rgba> {
    let mut pixels = picture([5, 4]);
    pixels[7][channel] = value;
    pixels
}

/// Channels are independent: an infinity or a NaN touches neither other channels nor pixels farther away.
#[test]
fn what_overflows_in_one_channel_stays_there_as_it_is_read() {
    let _alone = alone();
    let context = context();
    let (raw, decoded) = (Sampling::new().raw(), Sampling::new().texture(ColorSpace::Srgb).network(ColorSpace::Linear));
    let normalized = Sampling::new().channels(Channels::Bgr).mean([0.5, 0.25, 0.125]).std([0.5, 2.0, -0.25]);
    type Curve = fn(f64) -> f64;
    let cases: [(Sampling, Curve, &[usize]); 4] = [
        (raw, |v| v, &[0, 1, 2, 3]),
        (Sampling::new(), to_srgb, &[0, 1, 2, 3]),
        (decoded, to_linear, &[0, 1, 2, 3]),
        (normalized, to_srgb, &[2, 1, 0]),
    ];
    for (sampling, curve, order) in cases {
        // The sizes are equal, twice and half as large: their weights are the same in f32 and f64.
        let sizes = [([0, 0, 5, 4], [5, 4]), ([0, 0, 5, 4], [10, 8]), ([1, 0, 4, 4], [2, 2])];
        let odd = (0..4).flat_map(|channel| BEYOND.map(|value| (channel, value)));
        for ((rect, to @ [w, h]), (channel, value)) in
            sizes.into_iter().flat_map(|size| odd.clone().map(move |odd| (size, odd)))
        {
            let what = format!("{sampling:?}: {value} in channel {channel}, {rect:?} to {w} x {h}");
            let all = overflown(channel, value);
            let texture = filled(&context, [5, 4], Format::Rgba16Float, Usage::TEXTURE_BINDING, &all);
            let port = port([1, order.len(), h, w]);
            let input = TextureInput::new(&context, &port, Format::Rgba16Float, sampling.clone()).expect("it fits");
            let source = input.bind(Region::whole(&texture).rect(rect.map(|v| v as u32))).expect("it serves");
            let seen: Vec<Rgba> = cut(&all, 5, rect).into_iter().map(|pixel| on_rgb(curve, pixel)).collect();
            let seen = resized(&seen, [rect[2], rect[3]], to);
            let each = |c: usize, v: f64| match order.len() {
                3 => (v - [0.5, 0.25, 0.125][c]) / [0.5, 2.0, -0.25][c],
                _ => v,
            };
            let wanted = (0..order.len()).flat_map(|c| seen.iter().map(move |pixel| each(c, pixel[order[c]])));
            close(&what, &sampled(&context, &input, &[source]), &wanted.collect::<Vec<_>>(), 5e-3);
        }
    }
    // Luma mixes colors, but not alpha.
    for (channel, value) in (0..4).flat_map(|channel| BEYOND.map(|value| (channel, value))) {
        let pixels = overflown(channel, value);
        let texture = filled(&context, [5, 4], Format::Rgba16Float, Usage::TEXTURE_BINDING, &pixels);
        let input = TextureInput::new(&context, &port([1, 1, 4, 5]), Format::Rgba16Float, Sampling::new().raw());
        let input = input.expect("it fits");
        let wanted: Vec<f64> = pixels.iter().map(|[r, g, b, _]| 0.2126 * r + 0.7152 * g + 0.0722 * b).collect();
        let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
        close(&format!("luma of {value} in channel {channel}"), &got, &wanted, 5e-3);
    }
}

#[test]
fn what_overflows_in_one_channel_stays_there_as_it_is_drawn() {
    let _alone = alone();
    let context = context();
    let usages = [Usage::STORAGE_BINDING, Usage::RENDER_ATTACHMENT].map(|usage| usage | Usage::COPY_SRC);
    let format = Format::Rgba16Float;
    type Curve = fn(f64) -> f64;
    let clamped: Curve = |v| if v.is_nan() { v } else { v.clamp(0.0, 1.0) };
    let as_it_is: Curve = |v| v;
    let encoded = Drawing::image().network(ColorSpace::Linear).texture(ColorSpace::Srgb).clamp(false);
    let cases: [(Drawing, Curve, Curve); 4] = [
        (Drawing::image().raw().clamp(false), as_it_is, as_it_is),
        (Drawing::image().clamp(false), to_linear, as_it_is),
        (encoded, to_srgb, as_it_is),
        (Drawing::image().raw(), clamped, clamped),
    ];
    for (usage, (channel, value)) in
        usages.into_iter().flat_map(|usage| (0..4).flat_map(move |c| BEYOND.map(|value| (usage, (c, value)))))
    {
        let pixels = overflown(channel, value);
        let values = planes(&pixels, &[0, 1, 2, 3]);
        for (drawing, curve, alpha) in &cases {
            for size @ [w, h] in [[5, 4], [10, 8]] {
                let what = format!("{drawing:?}, {usage:?}: {value} in channel {channel}, to {w} x {h}");
                let texture = blank(&context, size, format, usage);
                let output = TextureOutput::new(&context, &port([1, 4, 4, 5]), format, usage, drawing.clone());
                let output = output.expect("it fits");
                let target = output.bind(&texture).expect("it serves");
                let shown = |[r, g, b, a]: Rgba| [curve(r), curve(g), curve(b), alpha(a)];
                let wanted: Vec<Rgba> = resized(&pixels, [5, 4], size).into_iter().map(shown).collect();
                close_pixels(&what, &drawn(&context, &output, &values, &texture, &target), &wanted, 2e-3);
            }
        }
        // The kept alpha comes from a source of the same size, and from one half as large.
        let picture = picture([10, 8]);
        let source = filled(&context, [5, 4], format, Usage::TEXTURE_BINDING, &pixels);
        for size in [[5, 4], [10, 8]] {
            let texture = blank(&context, size, format, usage);
            let drawing = Drawing::image().raw().clamp(false).alpha(Alpha::Kept);
            let port = port([1, 3, size[1], size[0]]);
            let output = TextureOutput::new(&context, &port, format, usage, drawing).expect("it fits");
            let target = output.bind_keeping(&texture, &source).expect("it serves");
            let kept = resized(&pixels, [5, 4], size);
            let wanted: Vec<Rgba> = picture.iter().zip(&kept).map(|(&[r, g, b, _], kept)| [r, g, b, kept[3]]).collect();
            let picture = &picture[..size[0] * size[1]];
            let got = drawn(&context, &output, &planes(picture, &[0, 1, 2]), &texture, &target);
            close_pixels(&format!("{value} in channel {channel} of what is kept"), &got, &wanted, 2e-3);
        }
    }
}

/// A ramp's ends color everything beyond them, infinities too; NaN has no color. Among scores, NaN is the greatest, as
/// in `argmax`.
#[test]
fn infinities_and_nan_have_their_colors() {
    let _alone = alone();
    let context = context();
    let (format, usage) = (Format::Rgba32Float, Usage::STORAGE_BINDING | Usage::COPY_SRC);
    let show = |channels: usize, size @ [w, h]: [usize; 2], drawing: Drawing, values: &[f32]| {
        let texture = blank(&context, size, format, usage);
        let port = port([1, channels, h, w]);
        let output = TextureOutput::new(&context, &port, format, usage, drawing.raw()).expect("it fits");
        drawn(&context, &output, values, &texture, &output.bind(&texture).expect("it serves"))
    };
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let stops = [[0.0, 0.25, 0.5, 1.0], [f32::INFINITY, 0.5, 0.25, 0.5], [1.0, 1.0, 0.0, 0.25]];
    let drawing = Drawing::ramp([-4.0, 4.0], stops).clamp(false);
    let got = show(1, [6, 1], drawing, &[-inf, -4.0, 0.0, 4.0, inf, nan]);
    let color = |i: usize| stops[i].map(f64::from);
    close_pixels("a ramp", &got, &[color(0), color(0), color(1), color(2), color(2), [f64::NAN; 4]], 1e-6);

    // Five pixels have three scores each.
    let scores = [[1.0, inf, 2.0], [nan, 5.0, inf], [-inf, -inf, -inf], [0.0, nan, nan], [-inf, -1.0, -inf]];
    let values: Vec<f32> = (0..3).flat_map(|c| scores.map(|scores| scores[c])).collect();
    let got = show(3, [5, 1], Drawing::classes(PALETTE), &values);
    close_pixels("classes", &got, &[1, 0, 0, 1, 1].map(class), 1e-6);
}

#[test]
fn every_format_is_read() {
    let _alone = alone();
    let context = context();
    let size @ [w, h] = [17, 11];
    for format in [
        Format::Rgba8Unorm,
        Format::Rgba8UnormSrgb,
        Format::Bgra8Unorm,
        Format::Bgra8UnormSrgb,
        Format::Rgba16Float,
        Format::Rgba32Float,
        Format::R8Unorm,
    ] {
        let pixels = picture(size);
        let texture = filled(&context, size, format, Usage::TEXTURE_BINDING, &pixels);
        // A shader reads decoded numbers from sRGB formats.
        let texels: Vec<Rgba> = pixels.iter().map(|&pixel| stored(format, &bytes(format, pixel))).collect();
        let linear = format.is_srgb() || is_float(format);
        let tolerance = if format.is_srgb() { DECODED } else { 1e-4 };
        for network in [ColorSpace::Srgb, ColorSpace::Linear] {
            let seen = |&pixel: &Rgba| match (format.is_srgb(), linear, network) {
                (true, _, ColorSpace::Linear) | (false, false, ColorSpace::Linear) => on_rgb(to_linear, pixel),
                (false, true, ColorSpace::Srgb) => on_rgb(to_srgb, pixel),
                _ => pixel,
            };
            let seen: Vec<Rgba> = texels.iter().map(seen).collect();
            for (rect, [to_w, to_h]) in [([0, 0, w, h], [w, h]), ([3, 2, 9, 6], [7, 5]), ([8, 0, 9, 11], [33, 20])] {
                let input =
                    TextureInput::new(&context, &port([1, 4, to_h, to_w]), format, Sampling::new().network(network));
                let input = input.expect("it fits");
                let source = input.bind(Region::whole(&texture).rect(rect.map(|v| v as u32))).expect("it serves");
                let wanted = resized(&cut(&seen, w, rect), [rect[2], rect[3]], [to_w, to_h]);
                let planes: Vec<f64> = (0..4).flat_map(|c| wanted.iter().map(move |pixel| pixel[c])).collect();
                let what = format!("{format:?}, {network:?}, {rect:?} to {to_w} x {to_h}");
                close(&what, &sampled(&context, &input, &[source]), &planes, tolerance);
            }
        }
    }
}

#[test]
fn spaces_may_be_named() {
    let _alone = alone();
    let context = context();
    let pixels = picture([4, 3]);
    let texture = filled(&context, [4, 3], Format::Rgba32Float, Usage::TEXTURE_BINDING, &pixels);
    type Converted = fn(f64) -> f64;
    let cases: [(Sampling, Converted); 3] = [
        (Sampling::new().texture(ColorSpace::Srgb), |v| v),
        (Sampling::new().raw(), |v| v),
        (Sampling::new().texture(ColorSpace::Srgb).network(ColorSpace::Linear), to_linear),
    ];
    for (sampling, wanted) in cases {
        let what = format!("{sampling:?}");
        let input = TextureInput::new(&context, &port([1, 3, 3, 4]), Format::Rgba32Float, sampling).expect("it fits");
        let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
        let wanted: Vec<f64> = (0..3).flat_map(|c| pixels.iter().map(move |pixel| wanted(pixel[c]))).collect();
        close(&what, &got, &wanted, 1e-4);
    }
}

#[test]
fn channels_come_in_order_and_normalized() {
    let _alone = alone();
    let context = context();
    let size = [6, 5];
    let pixels = picture(size);
    let texture = filled(&context, size, Format::Rgba8Unorm, Usage::TEXTURE_BINDING, &pixels);
    let luma = |[r, g, b, _]: Rgba| 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let case = |count: usize, sampling: Sampling, wanted: &dyn Fn(Rgba) -> Vec<f64>| {
        let what = format!("{sampling:?}");
        let input = TextureInput::new(&context, &port([1, count, 5, 6]), Format::Rgba8Unorm, sampling);
        let input = input.expect("it fits");
        let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
        let wanted: Vec<f64> = (0..count).flat_map(|c| pixels.iter().map(move |&pixel| wanted(pixel)[c])).collect();
        close(&what, &got, &wanted, 1e-5);
    };
    case(3, Sampling::new(), &|[r, g, b, _]| vec![r, g, b]);
    case(4, Sampling::new(), &|pixel| pixel.to_vec());
    case(1, Sampling::new(), &|pixel| vec![luma(pixel)]);
    case(3, Sampling::new().channels(Channels::Rgb), &|[r, g, b, _]| vec![r, g, b]);
    case(3, Sampling::new().channels(Channels::Bgr), &|[r, g, b, _]| vec![b, g, r]);
    case(1, Sampling::new().channels(Channels::Red), &|[r, ..]| vec![r]);
    let (mean, std) = ([0.5, 0.25, 0.125], [0.5, 2.0, -0.25]);
    let normalized = |pixel: [f64; 3]| (0..3).map(|c| (pixel[c] - f64::from(mean[c])) / f64::from(std[c])).collect();
    let sampling = Sampling::new().mean(mean).std(std);
    case(3, sampling.clone(), &|[r, g, b, _]| normalized([r, g, b]));
    // The channels are in the network's order.
    case(3, sampling.channels(Channels::Bgr), &|[r, g, b, _]| normalized([b, g, r]));
    case(3, Sampling::new().mean([0.5]).std([0.5]), &|[r, g, b, _]| [r, g, b].map(|v| 2.0 * v - 1.0).to_vec());
    case(1, Sampling::new().mean([0.1307]).std([0.3081]), &|pixel| vec![(luma(pixel) - 0.1307) / 0.3081]);
}

#[test]
fn textures_fill_a_batch_from_levels_and_layers() {
    let _alone = alone();
    let context = context();
    let size = wgpu::Extent3d { width: 8, height: 6, depth_or_array_layers: 2 };
    let descriptor = wgpu::TextureDescriptor {
        mip_level_count: 2,
        ..describe(size, Format::Rgba8Unorm, Usage::TEXTURE_BINDING | Usage::COPY_DST)
    };
    let texture = context.device().create_texture(&descriptor);
    let all = picture([8, 24]);
    let [first, second, small] = [&all[..48], &all[48..96], &all[100..112]];
    fill(&context, &texture, 0, 0, [8, 6], first);
    fill(&context, &texture, 0, 1, [8, 6], second);
    fill(&context, &texture, 1, 1, [4, 3], small);
    let input = TextureInput::new(&context, &port([3, 3, 3, 4]), Format::Rgba8Unorm, Sampling::new()).expect("it fits");
    let sources = [
        Region::whole(&texture).image(2).layer(1).mip(1),
        Region::whole(&texture).image(0).layer(1),
        Region::whole(&texture).image(1).rect([4, 3, 4, 3]),
    ];
    let sources = sources.map(|region| input.bind(region).expect("it serves"));
    let images = [resized(second, [8, 6], [4, 3]), cut(first, 8, [4, 3, 4, 3]), small.to_vec()];
    let planes = |image: &Vec<Rgba>| (0..3).flat_map(|c| image.iter().map(move |pixel| pixel[c])).collect::<Vec<_>>();
    let wanted: Vec<f64> = images.iter().flat_map(planes).collect();
    close("a batch", &sampled(&context, &input, &sources), &wanted, 1e-5);
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

#[test]
fn images_are_drawn_to_every_kind_of_texture() {
    let _alone = alone();
    let context = context();
    let (size @ [w, h], pixels) = ([9, 7], picture([9, 7]));
    let around = [0.2, 0.4, 0.6, 0.8];
    for (format, usage, tolerance) in TARGETS {
        let usage = usage | Usage::COPY_SRC | Usage::COPY_DST;
        let output =
            TextureOutput::new(&context, &port([1, 3, h, w]), format, usage, Drawing::image()).expect("it fits");
        for (to @ [to_w, to_h], rect) in [(size, [0, 0, w, h]), ([20, 16], [0, 0, 20, 16]), ([20, 16], [5, 3, 12, 9])] {
            let texture = filled(&context, to, format, usage, &vec![around; to_w * to_h]);
            let target = output.bind(Region::whole(&texture).rect(rect.map(|v| v as u32))).expect("it serves");
            let got = drawn(&context, &output, &planes(&pixels, &[0, 1, 2]), &texture, &target);
            // Pixels outside of the rectangle keep their values.
            let mut wanted: Vec<Rgba> = vec![stored(format, &bytes(format, around)); to_w * to_h];
            for (i, [r, g, b, _]) in resized(&pixels, size, [rect[2], rect[3]]).into_iter().enumerate() {
                let at = (rect[1] + i / rect[2]) * to_w + rect[0] + i % rect[2];
                wanted[at] = kept_as(format, [r, g, b, 1.0]);
            }
            close_pixels(&format!("{format:?}, {usage:?}, {rect:?} of {to:?}"), &got, &wanted, tolerance);
        }
    }
}

#[test]
fn images_of_a_batch_are_drawn_into_levels_and_layers() {
    let _alone = alone();
    let context = context();
    let (all, size) = (picture([6, 12]), wgpu::Extent3d { width: 12, height: 8, depth_or_array_layers: 2 });
    for usage in [Usage::RENDER_ATTACHMENT, Usage::STORAGE_BINDING] {
        let usage = usage | Usage::COPY_SRC | Usage::COPY_DST;
        let descriptor = wgpu::TextureDescriptor { mip_level_count: 2, ..describe(size, Format::Rgba8Unorm, usage) };
        let texture = context.device().create_texture(&descriptor);
        let output = TextureOutput::new(&context, &port([3, 3, 4, 6]), Format::Rgba8Unorm, usage, Drawing::image());
        let output = output.expect("it fits");
        let values: Vec<f32> = all.chunks(24).flat_map(|image| planes(image, &[0, 1, 2])).collect();
        context.queue().write_buffer(output.buffer().buffer, 0, bytemuck::cast_slice(&values));
        let mut encoder = encoder(&context);
        let regions = [
            Region::whole(&texture).layer(1).mip(1).image(2),
            Region::whole(&texture).rect([0, 0, 6, 4]).image(1),
            Region::whole(&texture).rect([6, 4, 6, 4]),
        ];
        for region in regions {
            output.encode(&mut encoder, &output.bind(region).expect("it serves")).expect("it bound it");
        }
        // The small mip level is copied to a texture of its own.
        let small = blank(&context, [6, 4], Format::Rgba8Unorm, Usage::COPY_SRC | Usage::COPY_DST);
        let from = wgpu::TexelCopyTextureInfo {
            mip_level: 1,
            origin: wgpu::Origin3d { x: 0, y: 0, z: 1 },
            ..texture.as_image_copy()
        };
        encoder.copy_texture_to_texture(from, small.as_image_copy(), small.size());
        let first = blank(&context, [12, 8], Format::Rgba8Unorm, Usage::COPY_SRC | Usage::COPY_DST);
        encoder.copy_texture_to_texture(texture.as_image_copy(), first.as_image_copy(), first.size());
        let opaque = |pixels: &[Rgba]| pixels.iter().map(|&[r, g, b, _]| [r, g, b, 1.0]).collect::<Vec<_>>();
        close_pixels("the third image", &contents(&context, encoder, &small), &opaque(&all[48..]), 0.6 / 255.0);
        let got = contents(&context, self::encoder(&context), &first);
        close_pixels("the second", &cut(&got, 12, [0, 0, 6, 4]), &opaque(&all[24..48]), 0.6 / 255.0);
        close_pixels("the first", &cut(&got, 12, [6, 4, 6, 4]), &opaque(&all[..24]), 0.6 / 255.0);
        close_pixels("nothing", &cut(&got, 12, [6, 0, 6, 4]), &[[0.0; 4]; 24], 0.0);
    }
}

/// Opens a host's device with this feature, if the adapter has it, and with these limits.
fn host(feature: wgpu::Features, limits: wgpu::Limits) -> Option<Context> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = block_on(wgpu::util::initialize_adapter_from_env_or_default(&instance, None)).expect("an adapter");
    let descriptor =
        wgpu::DeviceDescriptor { required_features: feature, required_limits: limits, ..Default::default() };
    let has = adapter.features().contains(feature);
    let (device, queue) = has.then(|| block_on(adapter.request_device(&descriptor)).expect("a device"))?;
    Some(Context::from_wgpu(&adapter, &device, &queue).expect("the portable kernels run on it"))
}

#[test]
fn bgra_is_stored_to_where_the_device_can() {
    let _alone = alone();
    let Some(context) = host(wgpu::Features::BGRA8UNORM_STORAGE, wgpu::Limits::default()) else { return };
    let (pixels, usage) = (picture([6, 4]), Usage::STORAGE_BINDING | Usage::COPY_SRC);
    let texture = blank(&context, [6, 4], Format::Bgra8Unorm, usage);
    let output = TextureOutput::new(&context, &port([1, 4, 4, 6]), Format::Bgra8Unorm, usage, Drawing::image());
    let output = output.expect("it fits");
    let values = planes(&pixels, &[0, 1, 2, 3]);
    let got = drawn(&context, &output, &values, &texture, &output.bind(&texture).expect("it serves"));
    close_pixels("bgra", &got, &pixels, 0.6 / 255.0);
}

#[test]
fn a_device_without_storage_textures_is_told() {
    let _alone = alone();
    let limits = wgpu::Limits { max_storage_textures_per_shader_stage: 0, ..Default::default() };
    let context = host(wgpu::Features::empty(), limits).expect("no feature is needed");
    let (three, format) = (port([1, 3, 4, 6]), Format::Rgba8Unorm);
    let new = |usage| TextureOutput::new(&context, &three, format, usage, Drawing::image());
    let error = new(Usage::STORAGE_BINDING).map(drop).expect_err("there are none");
    let limit = "max_storage_textures_per_shader_stage";
    assert!(matches!(error.kind, ErrorKind::Limit { limit: named, .. } if named == limit), "{error}");
    new(Usage::RENDER_ATTACHMENT).expect("attachments need none");
}

#[test]
fn drawings_undo_what_sampling_does() {
    let _alone = alone();
    let context = context();
    let (size, pixels) = ([5, 4], picture([5, 4]));
    let usage = Usage::STORAGE_BINDING | Usage::COPY_SRC;
    let (mean, std) = ([0.5, 0.25, 0.125], [0.5, 2.0, -0.25]);
    let normalized: Vec<f32> =
        planes(&pixels, &[2, 1, 0]).iter().enumerate().map(|(i, v)| (v - mean[i / 20]) / std[i / 20]).collect();
    let case = |channels: usize, drawing: Drawing, values: &[f32], wanted: &dyn Fn(Rgba) -> Rgba| {
        let what = format!("{drawing:?}");
        let texture = blank(&context, size, Format::Rgba32Float, usage);
        let output =
            TextureOutput::new(&context, &port([1, channels, 4, 5]), Format::Rgba32Float, usage, drawing.raw());
        let output = output.expect("it fits");
        let got = drawn(&context, &output, values, &texture, &output.bind(&texture).expect("it serves"));
        close_pixels(&what, &got, &pixels.iter().map(|&pixel| wanted(pixel)).collect::<Vec<_>>(), 1e-5);
    };
    let drawing = Drawing::image().channels(Channels::Bgr).mean(mean).std(std);
    case(3, drawing, &normalized, &|[r, g, b, _]| [r, g, b, 1.0]);
    case(4, Drawing::image(), &planes(&pixels, &[0, 1, 2, 3]), &|pixel| pixel);
    case(4, Drawing::image().alpha(Alpha::Opaque), &planes(&pixels, &[0, 1, 2, 3]), &|[r, g, b, _]| [r, g, b, 1.0]);
    case(1, Drawing::image(), &planes(&pixels, &[1]), &|[_, g, ..]| [g, g, g, 1.0]);
    case(1, Drawing::image().channels(Channels::Red), &planes(&pixels, &[1]), &|[_, g, ..]| [g, 0.0, 0.0, 1.0]);
    case(1, Drawing::image().mean([0.5]).std([0.5]), &planes(&pixels, &[1]), &|[_, g, ..]| {
        let v = 0.5 + 0.5 * g;
        [v, v, v, 1.0]
    });
    let beyond: Vec<f32> = planes(&pixels, &[0]).iter().map(|v| 4.0 * v - 2.0).collect();
    case(1, Drawing::image(), &beyond, &|[r, ..]| {
        let v = (4.0 * r - 2.0).clamp(0.0, 1.0);
        [v, v, v, 1.0]
    });
    case(1, Drawing::image().clamp(false), &beyond, &|[r, ..]| [4.0 * r - 2.0, 4.0 * r - 2.0, 4.0 * r - 2.0, 1.0]);
}

#[test]
fn one_channel_is_drawn_as_a_ramp() {
    let _alone = alone();
    let context = context();
    let stops = [[0.0, 0.0, 0.5, 0.0], [1.0, 0.0, 0.25, 0.5], [1.0, 1.0, 0.0, 1.0]];
    let values: Vec<f32> = (0..12).map(|i| i as f32 - 5.0).collect();
    for (format, usage, tolerance) in TARGETS {
        let usage = usage | Usage::COPY_SRC;
        for colors in [&stops[..], &stops[..1]] {
            let texture = blank(&context, [4, 3], format, usage);
            let drawing = Drawing::ramp([-4.0, 4.0], colors);
            let output = TextureOutput::new(&context, &port([1, 1, 3, 4]), format, usage, drawing).expect("it fits");
            let got = drawn(&context, &output, &values, &texture, &output.bind(&texture).expect("it serves"));
            let wanted = |&value: &f32| {
                let along = ((f64::from(value) + 4.0) / 8.0).clamp(0.0, 1.0) * (colors.len() - 1) as f64;
                let first = (along as usize).min(colors.len().saturating_sub(2));
                let second = (first + 1).min(colors.len() - 1);
                let beyond = along - first as f64;
                let mixed = |i| f64::from(colors[first][i]) * (1.0 - beyond) + f64::from(colors[second][i]) * beyond;
                kept_as(format, [0, 1, 2, 3].map(mixed))
            };
            close_pixels(&format!("{format:?}"), &got, &values.iter().map(wanted).collect::<Vec<_>>(), tolerance);
        }
    }
}

const PALETTE: [[f32; 4]; 3] = [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]];

fn class(class: usize) -> Rgba {
    PALETTE[class % PALETTE.len()].map(f64::from)
}

#[test]
fn classes_are_drawn_by_their_scores() {
    let _alone = alone();
    let context = context();
    // Five classes: the fourth and fifth share the colors of the first and second. Of equal scores, the first shows.
    let scores = |at: usize| -> [f32; 5] { [3, 5, 7, 9, 11].map(|k| ((at * at * k + 5 * at) % 16) as f32) };
    let values: Vec<f32> = (0..5).flat_map(|c| (0..20).map(move |at| scores(at)[c])).collect();
    for filter in [Filter::Linear, Filter::Nearest] {
        for (format, usage, tolerance) in TARGETS {
            let usage = usage | Usage::COPY_SRC;
            let drawing = Drawing::classes(PALETTE).filter(filter);
            let output = TextureOutput::new(&context, &port([1, 5, 4, 5]), format, usage, drawing).expect("it fits");
            let texture = blank(&context, [15, 12], format, usage);
            let got = drawn(&context, &output, &values, &texture, &output.bind(&texture).expect("it serves"));
            // Each class's scores are resized separately, as the red of a picture.
            let resized_scores: Vec<Vec<f64>> = (0..5)
                .map(|c| {
                    let plane: Vec<Rgba> = (0..20).map(|at| [scores(at)[c].into(), 0.0, 0.0, 0.0]).collect();
                    let nearest = |i: usize| plane[i / 15 / 3 * 5 + i % 15 / 3][0];
                    match filter {
                        Filter::Nearest => (0..180).map(nearest).collect(),
                        Filter::Linear => resized(&plane, [5, 4], [15, 12]).iter().map(|pixel| pixel[0]).collect(),
                    }
                })
                .collect();
            for (i, got) in got.iter().enumerate() {
                let score = |c: usize| resized_scores[c][i];
                let best = (1..5).fold(0, |best, c| if score(c) > score(best) { c } else { best });
                // If two scores are about equal, rounding decides.
                let close = (0..5).filter(|&c| score(best) - score(c) < 1e-5 && filter == Filter::Linear);
                let may: Vec<Rgba> = close.chain([best]).map(class).collect();
                let off = |wanted: &Rgba| (0..4).map(|c| (got[c] - wanted[c]).abs()).fold(0.0, f64::max);
                assert!(may.iter().any(|wanted| off(wanted) <= tolerance), "{format:?} {filter:?}: {got:?} at {i}");
            }
        }
    }
}

#[test]
fn numbers_of_classes_are_drawn_as_they_are() {
    let _alone = alone();
    let context = context();
    let labels: Vec<i32> = (0..12).map(|i| (i * 5) % 7).collect();
    let port = Port { dtype: DType::I32, ..port([1, 3, 4]) };
    let usage = Usage::STORAGE_BINDING | Usage::COPY_SRC;
    let output =
        TextureOutput::new(&context, &port, Format::Rgba8Unorm, usage, Drawing::classes(PALETTE)).expect("it fits");
    let texture = blank(&context, [8, 6], Format::Rgba8Unorm, usage);
    let target = output.bind(&texture).expect("it serves");
    let got = drawn(&context, &output, bytemuck::cast_slice(&labels), &texture, &target);
    let wanted: Vec<Rgba> = (0..48).map(|i| class(labels[i / 8 / 2 * 4 + i % 8 / 2] as usize)).collect();
    close_pixels("twice as large", &got, &wanted, 0.0);
}

/// A network that ends in scores and a network that ends in their argmax give the same picture.
#[test]
fn a_segmentation_is_drawn_from_scores_or_from_their_argmax() {
    let _alone = alone();
    for context in [context(), fastest()] {
        let usage = Usage::RENDER_ATTACHMENT | Usage::COPY_SRC;
        let mut graph = Graph::new();
        let x = graph.input("scores", [BATCH, 4, 4, 5]);
        let best = graph.argmax(x, 1).expect("it has four channels");
        graph.output("scores", x);
        graph.output("classes", best);
        let session = Model::new(&context, &graph).and_then(|model| model.session(2)).expect("it fits");
        let scores = shadernet::seeded_input(3, &[2, 4, 4, 5].into());
        let given = context.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: session.inputs()[0].bytes(),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        context.queue().write_buffer(&given, 0, bytemuck::cast_slice(&scores));
        let outputs: Vec<TextureOutput> = session
            .outputs()
            .iter()
            .map(|port| TextureOutput::new(&context, port, Format::Rgba8Unorm, usage, Drawing::classes(PALETTE)))
            .map(|output| output.expect("it fits"))
            .collect();
        let taken: Vec<wgpu::BufferBinding> = outputs.iter().map(TextureOutput::buffer).collect();
        let bound = session.bind(&[given.as_entire_buffer_binding()], &taken).expect("they serve");
        for image in 0..2 {
            let score = |c: usize, at: usize| scores[(image * 4 + c) * 20 + at];
            let wanted: Vec<Rgba> = (0..20)
                .map(|at| class((1..4).fold(0, |best, c| if score(c, at) > score(best, at) { c } else { best })))
                .collect();
            for output in &outputs {
                let texture = blank(&context, [5, 4], Format::Rgba8Unorm, usage);
                let mut encoder = encoder(&context);
                session.encode(&mut encoder, &bound).expect("it bound them");
                let target = output.bind(Region::whole(&texture).image(image)).expect("it serves");
                output.encode(&mut encoder, &target).expect("it bound it");
                close_pixels(&format!("{output:?}, {image}"), &contents(&context, encoder, &texture), &wanted, 0.0);
            }
        }
    }
}

#[test]
fn alpha_is_kept_or_left() {
    let _alone = alone();
    let context = context();
    let (size, pixels) = ([6, 4], picture([6, 4]));
    let source_pixels = picture([12, 10]);
    let values = planes(&pixels, &[0, 1, 2]);
    let source = filled(&context, [12, 10], Format::Rgba8Unorm, Usage::TEXTURE_BINDING, &source_pixels);
    for (format, usage, tolerance) in TARGETS {
        let usage = usage | Usage::COPY_SRC | Usage::COPY_DST;
        let port = port([1, 3, 4, 6]);
        let texture = filled(&context, size, format, usage, &vec![[0.0, 0.0, 0.0, 0.4]; 24]);
        let drawing = Drawing::image().alpha(Alpha::Kept);
        let output = TextureOutput::new(&context, &port, format, usage, drawing).expect("it fits");
        // The alpha comes from a part of the source as large as the target, and from the whole source.
        for (region, alpha) in [
            (Region::whole(&source).rect([5, 6, 6, 4]), cut(&source_pixels, 12, [5, 6, 6, 4])),
            (Region::whole(&source), resized(&source_pixels, [12, 10], size)),
        ] {
            let target = output.bind_keeping(&texture, region).expect("it serves");
            let got = drawn(&context, &output, &values, &texture, &target);
            let wanted = pixels.iter().zip(&alpha).map(|(&[r, g, b, _], kept)| kept_as(format, [r, g, b, kept[3]]));
            close_pixels(&format!("{format:?} keeps"), &got, &wanted.collect::<Vec<_>>(), tolerance);
        }
        if usage.contains(Usage::RENDER_ATTACHMENT) {
            let texture = filled(&context, size, format, usage, &vec![[0.0, 0.0, 0.0, 0.4]; 24]);
            let drawing = Drawing::image().alpha(Alpha::Left);
            let output = TextureOutput::new(&context, &port, format, usage, drawing).expect("it fits");
            let got = drawn(&context, &output, &values, &texture, &output.bind(&texture).expect("it serves"));
            let wanted = pixels.iter().map(|&[r, g, b, _]| kept_as(format, [r, g, b, 0.4]));
            close_pixels(&format!("{format:?} leaves"), &got, &wanted.collect::<Vec<_>>(), tolerance);
        }
    }
}

/// A texture with views with and without sRGB is bound as the named format.
#[test]
fn views_have_the_format_that_was_named() {
    let _alone = alone();
    let context = context();
    let (size, pixels) = ([6, 4], picture([6, 4]));
    let usage = Usage::RENDER_ATTACHMENT | Usage::TEXTURE_BINDING | Usage::COPY_SRC | Usage::COPY_DST;
    let extent = wgpu::Extent3d { width: 6, height: 4, depth_or_array_layers: 1 };
    let both = || {
        let descriptor = describe(extent, Format::Rgba8Unorm, usage);
        context
            .device()
            .create_texture(&wgpu::TextureDescriptor { view_formats: &[Format::Rgba8UnormSrgb], ..descriptor })
    };
    let texture = both();
    fill(&context, &texture, 0, 0, size, &pixels);
    let srgb = Format::Rgba8UnormSrgb;
    let sampling = Sampling::new().network(ColorSpace::Linear);
    let input = TextureInput::new(&context, &port([1, 3, 4, 6]), srgb, sampling).expect("it fits");
    let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
    let wanted: Vec<f64> = (0..3).flat_map(|c| pixels.iter().map(move |pixel| to_linear(pixel[c]))).collect();
    close("decoded as it is read", &got, &wanted, DECODED);

    let to = both();
    let drawing = Drawing::image().network(ColorSpace::Linear);
    let output = TextureOutput::new(&context, &port([1, 3, 4, 6]), srgb, usage, drawing).expect("it fits");
    let got = drawn(&context, &output, &planes(&pixels, &[0, 1, 2]), &to, &output.bind(&to).expect("it serves"));
    let wanted: Vec<Rgba> = pixels.iter().map(|&[r, g, b, _]| on_rgb(to_srgb, [r, g, b, 1.0])).collect();
    close_pixels("encoded as it is written", &got, &wanted, 1.1 / 255.0);
    // A texture without that view format can't be read as sRGB.
    let plain = blank(&context, size, Format::Rgba8Unorm, usage);
    let error = input.bind(&plain).map(drop).expect_err("it promises nothing");
    assert!(matches!(error.kind, ErrorKind::Device(_)), "{error}");
}

/// Builds a session that doubles its input.
fn doubling(context: &Context) -> shadernet::Session {
    let mut graph = Graph::new();
    let x = graph.input("image", [BATCH, 3, 4, 6]);
    let sum = graph.sum(x, x).expect("one shape");
    graph.output("twice", sum);
    Model::new(context, &graph).and_then(|model| model.session(1)).expect("it fits")
}

#[test]
fn a_host_draws_what_a_network_computes_and_a_frame_creates_nothing() {
    let _alone = alone();
    let context = context();
    let session = doubling(&context);
    let size = [6, 4];
    let usage = Usage::RENDER_ATTACHMENT | Usage::COPY_SRC;
    let input = TextureInput::new(&context, &session.inputs()[0], Format::Rgba8Unorm, Sampling::new());
    let input = input.expect("it fits");
    let make = || {
        let drawing = Drawing::image();
        TextureOutput::new(&context, &session.outputs()[0], Format::Bgra8Unorm, usage, drawing).expect("it fits")
    };
    let output = make();
    let bound = session.bind(&[input.buffer()], &[output.buffer()]).expect("they serve");
    // Two pictures and two targets alternate, as in a swap chain.
    let pictures = [picture(size), picture([6, 8])[24..].to_vec()];
    let from = pictures.each_ref().map(|p| filled(&context, size, Format::Rgba8Unorm, Usage::TEXTURE_BINDING, p));
    let to = [(); 2].map(|()| blank(&context, size, Format::Bgra8Unorm, usage));
    let before = context.created();
    let sources = from.each_ref().map(|texture| input.bind(texture).expect("it serves"));
    let targets = to.each_ref().map(|texture| output.bind(texture).expect("it serves"));
    assert_eq!(context.created() - before, 4 * 2, "a bind group and its parameters for each");

    let created = context.created();
    for frame in 0..4 {
        let (i, j) = (frame % 2, frame / 2);
        let mut encoder = encoder(&context);
        input.encode(&mut encoder, &sources[i]).expect("it bound it");
        session.encode(&mut encoder, &bound).expect("it bound them");
        output.encode(&mut encoder, &targets[j]).expect("it bound it");
        let wanted: Vec<Rgba> =
            pictures[i].iter().map(|&[r, g, b, _]| [r, g, b, 0.5].map(|v| (2.0 * v).min(1.0))).collect();
        close_pixels(&format!("frame {frame}"), &contents(&context, encoder, &to[j]), &wanted, 0.6 / 255.0);
        assert_eq!(context.created(), created, "frame {frame}");
    }
    // Recorded commands run only when the host submits them.
    let mut recorded = encoder(&context);
    input.encode(&mut recorded, &sources[0]).expect("it bound it");
    session.encode(&mut recorded, &bound).expect("it bound them");
    output.encode(&mut recorded, &targets[1]).expect("it bound it");
    let before: Vec<Rgba> =
        pictures[1].iter().map(|&[r, g, b, _]| [r, g, b, 0.5].map(|v| (2.0 * v).min(1.0))).collect();
    close_pixels("not yet", &contents(&context, encoder(&context), &to[1]), &before, 0.6 / 255.0);

    // Inputs and outputs of a kind share pipelines: each creates a buffer, an output also colors and a dummy texture.
    let created = context.created();
    TextureInput::new(&context, &session.inputs()[0], Format::Rgba16Float, Sampling::new().raw()).expect("it fits");
    assert_eq!(context.created() - created, 1);
    make();
    assert_eq!(context.created() - created, 1 + 3);
}

#[test]
fn ranges_of_the_hosts_buffers_serve() {
    let _alone = alone();
    let context = context();
    let alignment = u64::from(context.device().limits().min_storage_buffer_offset_alignment);
    let port = port([1, 3, 4, 6]);
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let size = alignment + port.bytes();
    let buffer = |size, usage| {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        context.device().create_buffer(&descriptor)
    };
    let large = buffer(size, usage);
    let range = wgpu::BufferBinding { buffer: &large, offset: alignment, size: None };
    let pixels = picture([6, 4]);
    let texture = filled(&context, [6, 4], Format::Rgba8Unorm, Usage::TEXTURE_BINDING, &pixels);
    let input = TextureInput::with_buffer(&context, &port, range.clone(), Format::Rgba8Unorm, Sampling::new());
    let input = input.expect("it serves");
    let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
    let (unused, got) = got.split_at(alignment as usize / 4);
    assert!(unused.iter().all(|&v| v == 0.0), "what lies before the range stays");
    let wanted: Vec<f64> = planes(&pixels, &[0, 1, 2]).into_iter().map(f64::from).collect();
    close("a range", got, &wanted, 1e-6);

    let target_usage = Usage::STORAGE_BINDING | Usage::COPY_SRC;
    let output = |range: wgpu::BufferBinding<'_>| {
        let format = Format::Rgba8Unorm;
        TextureOutput::with_buffer(&context, &port, range, format, target_usage, Drawing::image())
    };
    let to = blank(&context, [6, 4], Format::Rgba8Unorm, target_usage);
    let drawing = output(range.clone()).expect("it serves");
    let mut encoder = encoder(&context);
    drawing.encode(&mut encoder, &drawing.bind(&to).expect("it serves")).expect("it bound it");
    let wanted: Vec<Rgba> = pixels.iter().map(|&[r, g, b, _]| [r, g, b, 1.0]).collect();
    close_pixels("a range", &contents(&context, encoder, &to), &wanted, 0.6 / 255.0);

    let refused = |range: wgpu::BufferBinding<'_>, wanted: &str| {
        let created = context.created();
        let sampling = Sampling::new();
        let input = TextureInput::with_buffer(&context, &port, range.clone(), Format::Rgba8Unorm, sampling);
        for error in [input.map(drop), output(range).map(drop)].map(|made| made.expect_err(wanted)) {
            is_refused(&error, "the buffer of \"image\"", wanted);
        }
        assert_eq!(context.created(), created, "it is known before anything is created");
    };
    let small = buffer(port.bytes() - 4, usage);
    let whole = |buffer| wgpu::BufferBinding { buffer, offset: 0, size: None };
    refused(whole(&small), "at least 288 bytes");
    refused(wgpu::BufferBinding { offset: alignment + 16, ..range.clone() }, "at least 288 bytes");
    refused(wgpu::BufferBinding { offset: u64::MAX - 3, ..range.clone() }, "at least 288 bytes");
    refused(wgpu::BufferBinding { size: wgpu::BufferSize::new(size), ..range.clone() }, "at least 288 bytes");
    refused(wgpu::BufferBinding { offset: 4, ..range.clone() }, "a multiple of");
    refused(whole(&buffer(port.bytes(), wgpu::BufferUsages::UNIFORM)), "usage STORAGE");
}

#[track_caller]
fn is_refused(error: &Error, argument: &str, wanted: &str) {
    let ErrorKind::Argument { argument: named, .. } = &error.kind else { panic!("{error}") };
    assert_eq!(named, argument, "{error}");
    assert!(error.to_string().contains(wanted), "{error}");
}

#[track_caller]
fn refused<T>(made: Result<T>, argument: &str, wanted: &str) {
    is_refused(&made.map(drop).expect_err(wanted), argument, wanted);
}

#[test]
fn inputs_that_cant_be_are_refused() {
    let _alone = alone();
    let context = context();
    let (created, three) = (context.created(), port([1, 3, 4, 6]));
    let new = |port: &Port, format: Format, sampling: Sampling| TextureInput::new(&context, port, format, sampling);
    for format in
        [Format::Depth32Float, Format::Stencil8, Format::Rgba8Uint, Format::R32Sint, Format::Bc1RgbaUnorm, Format::NV12]
    {
        refused(new(&three, format, Sampling::new()), "format", &format!("{format:?}"));
    }
    let unorm = |port: &Port, sampling: Sampling| new(port, Format::Rgba8Unorm, sampling);
    for shape in [vec![1, 3, 4], vec![1, 3, 4, 6, 1], vec![3], vec![1, 3, 0, 6], vec![1, 0, 4, 6]] {
        refused(unorm(&port(shape), Sampling::new()), "\"image\"", "[N, C, H, W]");
    }
    refused(unorm(&Port { dtype: DType::I32, ..three.clone() }, Sampling::new()), "\"image\"", "f32");
    for count in [2, 5] {
        refused(unorm(&port([1, count, 4, 6]), Sampling::new()), "the channels of \"image\"", "1, 3 or 4");
    }
    for channels in [Channels::Rgba, Channels::Luma, Channels::Red] {
        refused(
            unorm(&three, Sampling::new().channels(channels)),
            "the channels of \"image\"",
            &format!("{channels:?}"),
        );
    }
    refused(unorm(&three, Sampling::new().mean([0.5, 0.5])), "mean", "1 or 3 values");
    refused(unorm(&three, Sampling::new().mean([f32::NAN])), "mean", "finite");
    refused(unorm(&three, Sampling::new().std([])), "std", "1 or 3 values");
    refused(unorm(&three, Sampling::new().std([1.0, 0.0, 1.0])), "std", "other than 0");
    refused(unorm(&three, Sampling::new().std([f32::INFINITY])), "std", "other than 0");
    for (shape, limit) in [
        ([1, 3, 1 << 13, 1 << 13], "max_storage_buffer_binding_size"),
        ([1, 3, usize::MAX, 2], "max_storage_buffer_binding_size"),
        ([1, 1, 1 << 19, 1], "max_compute_workgroups_per_dimension"),
    ] {
        let error = unorm(&port(shape), Sampling::new()).map(drop).expect_err(limit);
        assert!(matches!(error.kind, ErrorKind::Limit { limit: named, .. } if named == limit), "{error}");
    }
    assert_eq!(context.created(), created, "it is known before anything is created");
}

#[test]
fn outputs_that_cant_be_are_refused() {
    let _alone = alone();
    let context = context();
    let (created, three, one) = (context.created(), port([1, 3, 4, 6]), port([1, 1, 4, 6]));
    let (attached, storage) = (Usage::RENDER_ATTACHMENT, Usage::STORAGE_BINDING);
    let new = |port: &Port, format: Format, usage: Usage, drawing: Drawing| {
        TextureOutput::new(&context, port, format, usage, drawing)
    };
    let image = Drawing::image;
    for format in [Format::Depth32Float, Format::Rgba8Uint, Format::Bc1RgbaUnorm] {
        refused(new(&three, format, attached, image()), "format", &format!("{format:?}"));
    }
    for format in [Format::Rgba8UnormSrgb, Format::Bgra8Unorm, Format::R8Unorm, Format::Rgb10a2Unorm] {
        refused(new(&three, format, storage, image()), "format", "STORAGE_BINDING");
    }
    for format in [Format::Rgb9e5Ufloat, Format::Rgba8Snorm] {
        refused(new(&three, format, attached, image()), "format", "RENDER_ATTACHMENT");
    }
    refused(
        new(&three, Format::Rgba8Unorm, Usage::TEXTURE_BINDING, image()),
        "usage",
        "RENDER_ATTACHMENT or STORAGE_BINDING",
    );
    refused(new(&three, Format::Rgba8Unorm, storage, image().alpha(Alpha::Left)), "usage", "RENDER_ATTACHMENT");
    let unorm = |port: &Port, drawing: Drawing| new(port, Format::Rgba8Unorm, attached, drawing);
    refused(unorm(&port([3, 4]), image()), "\"image\"", "[N, C, H, W] or [N, H, W]");
    let labels = Port { dtype: DType::I32, ..one.clone() };
    refused(unorm(&labels, image()), "\"image\"", "f32");
    refused(unorm(&Port { dtype: DType::Bool, ..one.clone() }, Drawing::classes(PALETTE)), "\"image\"", "f32 or i32");
    refused(unorm(&port([1, 2, 4, 6]), image()), "the channels of \"image\"", "1, 3 or 4");
    refused(unorm(&three, image().channels(Channels::Rgba)), "the channels of \"image\"", "4 for Rgba");
    refused(unorm(&three, image().std([1.0, 0.0, 1.0])), "std", "other than 0");
    refused(unorm(&three, Drawing::ramp([0.0, 1.0], PALETTE)), "the channels of \"image\"", "1 for a ramp");
    refused(unorm(&one, Drawing::ramp([1.0, 1.0], PALETTE)), "range", "the first the smaller one");
    refused(unorm(&one, Drawing::ramp([0.0, f32::NAN], PALETTE)), "range", "finite");
    refused(unorm(&one, Drawing::ramp([0.0, f32::INFINITY], PALETTE)), "range", "finite");
    refused(unorm(&one, Drawing::ramp([0.0, 1.0], [])), "colors", "at least one");
    refused(unorm(&three, Drawing::classes([])), "colors", "at least one");
    refused(unorm(&one, Drawing::classes(PALETTE)), "the channels of \"image\"", "a score for each class");
    let numbers = Port { dtype: DType::I32, ..three.clone() };
    refused(unorm(&numbers, Drawing::classes(PALETTE)), "the channels of \"image\"", "1 for numbers of classes");
    refused(unorm(&one, Drawing::ramp([0.0, 1.0], PALETTE).mean([0.5])), "mean", "an image");
    refused(unorm(&three, Drawing::classes(PALETTE).channels(Channels::Bgr)), "channels", "an image");
    assert_eq!(context.created(), created, "it is known before anything is created");
}

#[test]
fn textures_that_dont_serve_are_refused() {
    let _alone = alone();
    let context = context();
    let port = port([2, 3, 4, 6]);
    let all = Usage::TEXTURE_BINDING | Usage::RENDER_ATTACHMENT | Usage::STORAGE_BINDING;
    let input = TextureInput::new(&context, &port, Format::Rgba8Unorm, Sampling::new()).expect("it fits");
    let output =
        |usage| TextureOutput::new(&context, &port, Format::Rgba8Unorm, usage, Drawing::image()).expect("it fits");
    let (attached, storing) = (output(Usage::RENDER_ATTACHMENT), output(Usage::STORAGE_BINDING));
    let created = context.created();
    let each = |region: Region<'_>, argument: &str, wanted: &str| {
        refused(input.bind(region), argument, wanted);
        refused(attached.bind(region), argument, wanted);
        refused(storing.bind(region), argument, wanted);
    };
    let extent = wgpu::Extent3d { width: 8, height: 6, depth_or_array_layers: 1 };
    let make = |descriptor: &wgpu::TextureDescriptor<'_>| context.device().create_texture(descriptor);
    let usual = describe(extent, Format::Rgba8Unorm, all);
    let texture = make(&usual);
    for rect in
        [[0, 0, 0, 6], [0, 0, 8, 0], [0, 0, 9, 6], [1, 0, 8, 6], [0, 3, 8, 4], [9, 0, 1, 1], [u32::MAX, 0, 2, 2]]
    {
        each(Region::whole(&texture).rect(rect), "texture: rectangle (x, y, width, height)", "within 8 x 6");
    }
    each(Region::whole(&texture).mip(1), "texture: mip level", "less than 1");
    each(Region::whole(&texture).layer(1), "texture: layer", "less than 1");
    each(Region::whole(&texture).image(2), "image", "less than the batch of \"image\", 2");
    let mips = make(&wgpu::TextureDescriptor { mip_level_count: 2, ..usual.clone() });
    let lower = Region::whole(&mips).mip(1).rect([0, 0, 5, 3]);
    each(lower, "texture: rectangle (x, y, width, height)", "within 4 x 3");
    each(Region::whole(&make(&describe(extent, Format::Rgba16Float, all))), "texture: format", "Rgba8Unorm");
    let many = wgpu::TextureDescriptor {
        sample_count: 4,
        ..describe(extent, Format::Rgba8Unorm, Usage::TEXTURE_BINDING | Usage::RENDER_ATTACHMENT)
    };
    each(Region::whole(&make(&many)), "texture: samples of a texel", "wanted 1, got 4");
    let deep = wgpu::TextureDescriptor {
        dimension: wgpu::TextureDimension::D3,
        ..describe(extent, Format::Rgba8Unorm, Usage::TEXTURE_BINDING)
    };
    each(Region::whole(&make(&deep)), "texture: dimension", "wanted D2, got D3");
    let with = |usage| make(&describe(extent, Format::Rgba8Unorm, usage));
    refused(input.bind(&with(Usage::RENDER_ATTACHMENT)), "texture: usage", "TEXTURE_BINDING");
    refused(attached.bind(&with(Usage::STORAGE_BINDING)), "texture: usage", "RENDER_ATTACHMENT");
    refused(storing.bind(&with(Usage::RENDER_ATTACHMENT)), "texture: usage", "STORAGE_BINDING");
    assert_eq!(context.created(), created, "it is known before anything is created");
}

#[test]
fn what_another_bound_and_what_isnt_kept_are_refused() {
    let _alone = alone();
    let context = context();
    let port = port([1, 3, 4, 6]);
    let usage = Usage::RENDER_ATTACHMENT | Usage::TEXTURE_BINDING;
    let [one, other] =
        [(); 2].map(|()| TextureInput::new(&context, &port, Format::Rgba8Unorm, Sampling::new()).expect("it fits"));
    let texture = blank(&context, [6, 4], Format::Rgba8Unorm, usage);
    let mut encoder = encoder(&context);
    refused(other.encode(&mut encoder, &one.bind(&texture).expect("it serves")), "source", "this input");
    let output = |drawing| TextureOutput::new(&context, &port, Format::Rgba8Unorm, usage, drawing).expect("it fits");
    let [one, other] = [output(Drawing::image()), output(Drawing::image())];
    refused(other.encode(&mut encoder, &one.bind(&texture).expect("it serves")), "target", "this output");

    let keeping = output(Drawing::image().alpha(Alpha::Kept));
    refused(keeping.bind(&texture), "alpha", "bind_keeping");
    refused(one.bind_keeping(&texture, &texture), "alpha", "Alpha::Kept");
    refused(keeping.bind_keeping(&texture, &texture), "source", "another texture");
    let source = |format, usage| blank(&context, [6, 4], format, usage);
    let unread = source(Format::Rgba8Unorm, Usage::RENDER_ATTACHMENT);
    refused(keeping.bind_keeping(&texture, &unread), "source: usage", "TEXTURE_BINDING");
    refused(keeping.bind_keeping(&texture, &source(Format::Rgba8Uint, usage)), "source: format", "Rgba8Uint");
    keeping.bind_keeping(&texture, &source(Format::Rgba16Float, usage)).expect("any format serves");
}
