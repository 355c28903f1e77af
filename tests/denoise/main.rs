//! The denoiser against plain loops in f64, with small networks of the same form as Open Image Denoise's.

mod builtin;
mod moving;
mod reference;
mod scenes;
mod temporal;
mod textures;
mod tiles;
mod tiny;
mod tza;

use pollster::block_on;
use shadernet::denoise::{Archive, Content, Denoiser, DenoiserBytes, DenoiserOptions, Images};
use shadernet::plan::Port;
use shadernet::texture::{Sampling, TextureInput};
use shadernet::{Context, ContextOptions, Precision, Result, Shape, seeded_input, wgpu};
use std::sync::OnceLock;
use tiny::{Tensor, Tiny, archive};

/// Returns the context that the environment names, or one with portable kernels.
fn context(portable: bool) -> &'static Context {
    static CONTEXTS: [OnceLock<Context>; 2] = [const { OnceLock::new() }; 2];
    CONTEXTS[usize::from(portable)].get_or_init(|| {
        let options = ContextOptions::from_env();
        let options = if portable { options.portable() } else { options };
        block_on(Context::with(&options)).unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
    })
}

const BASE: Tiny = Tiny { large: false, images: 1, channels: [4, 8, 4, 8, 12] };

fn options(tiny: &Tiny, content: Content) -> DenoiserOptions {
    DenoiserOptions::new(content, Archive::from_bytes("tiny.tza", tiny.bytes()).unwrap()).precision(Precision::F32)
}

/// Builds a frame's images, some numbers of which are out of range: 0..2.5 or so, -0.2..1.2, -1.2..1.2.
fn images([w, h]: [usize; 2], content: Content, count: usize) -> Vec<Vec<f32>> {
    let seeded = |i: u64, low: f32, high: f32| -> Vec<f32> {
        let numbers = seeded_input(i, &Shape::from([h, w, 3]));
        numbers.iter().map(|number| low + (number + 1.0) / 2.0 * (high - low)).collect()
    };
    let signed = [Content::Normal, Content::Directional].contains(&content);
    let image = if signed { seeded(0, -1.2, 1.2) } else { seeded(0, -0.1, 1.6).iter().map(|v| v * v.abs()).collect() };
    [image, seeded(1, -0.2, 1.2), seeded(2, -1.2, 1.2)][..count].to_vec()
}

fn frame<'a>(size: [usize; 2], images: &'a [Vec<f32>]) -> Images<'a> {
    let frame = Images::new(size, &images[0]).clamp_guides();
    match &images[1..] {
        [] => frame,
        [albedo] => frame.albedo(albedo),
        [albedo, normal] => frame.albedo(albedo).normal(normal),
        _ => unreachable!("there are three images at most"),
    }
}

/// Returns the mean difference relative to the mean, and the largest relative to the largest.
fn distance(got: &[f32], want: &[f64]) -> [f64; 2] {
    assert_eq!(got.len(), want.len());
    let differences: Vec<f64> = got.iter().zip(want).map(|(&got, want)| (f64::from(got) - want).abs()).collect();
    assert!(differences.iter().all(|difference| difference.is_finite()), "NaN or an infinity");
    let most = |of: &[f64]| of.iter().fold(0.0f64, |most, number| most.max(number.abs()));
    let sum = |of: &[f64]| of.iter().map(|number| number.abs()).sum::<f64>();
    assert!(most(want) > 0.0, "a network that gives 0 tests nothing");
    [sum(&differences) / sum(want), most(&differences) / most(want)]
}

/// Checks a network for images of a size, in `F32`, and in `F16` where the device has it.
fn check(tiny: &Tiny, content: Content, size: [usize; 2], portable: bool) {
    let images = images(size, content, tiny.images);
    let planes: Vec<&[f32]> = images.iter().map(|image| &image[..]).collect();
    let want = reference::denoise(tiny, content, None, size, &planes);
    let context = context(portable);
    let forms = if context.caps().packs_f16 { &[Precision::F32, Precision::F16][..] } else { &[Precision::F32] };
    for &precision in forms {
        let denoiser = Denoiser::new(context, options(tiny, content).precision(precision)).unwrap();
        let got = denoiser.denoise_blocking(&frame(size, &images)).unwrap();
        let [mean, most] = distance(&got, &want);
        let bounds = if precision == Precision::F32 { [2e-5, 1e-4] } else { [3e-2, 1e-1] };
        assert!(
            mean <= bounds[0] && most <= bounds[1],
            "{tiny:?}, {content}, {size:?}, {precision}: {mean:e}, {most:e}"
        );
    }
}

#[test]
fn every_content_is_denoised_as_in_f64() {
    for content in Content::ALL {
        check(&BASE, content, [37, 21], false);
    }
}

#[test]
fn guides_are_seen() {
    for content in [Content::Hdr, Content::Ldr, Content::Srgb] {
        for images in [2, 3] {
            check(&Tiny { images, ..BASE }, content, [18, 33], false);
        }
    }
}

#[test]
fn networks_and_sizes_vary() {
    let odd = Tiny { large: true, images: 3, channels: [3, 5, 6, 7, 9] };
    for portable in [false, true] {
        check(&odd, Content::Hdr, [50, 35], portable);
        check(&Tiny { images: 2, ..BASE }, Content::Hdr, [1, 1], portable);
        check(&BASE, Content::Ldr, [16, 48], portable);
    }
}

/// The input's factor: measured, or given.
#[test]
fn the_exposure_is_that_of_the_bins() {
    let denoise = |options: DenoiserOptions, size: [usize; 2], image: &[f32]| {
        Denoiser::new(context(true), options)?.denoise_blocking(&Images::new(size, image))
    };
    let size = [67, 40];
    let dim: Vec<f32> = images(size, Content::Hdr, 1)[0].iter().map(|number| number * 3e-3).collect();
    let measured = reference::exposure(size, &dim);
    assert!(measured > 10.0, "{measured}");
    let all = denoise(options(&BASE, Content::Hdr), size, &dim).unwrap();
    for scale in [measured, 2.0] {
        let given = denoise(options(&BASE, Content::Hdr).input_scale(scale as f32), size, &dim).unwrap();
        let want = reference::denoise(&BASE, Content::Hdr, Some(scale), size, &[&dim]);
        let [mean, most] = distance(&given, &want);
        assert!(mean < 2e-5 && most < 1e-4, "{scale}: {mean:e}, {most:e}");
        let [mean, _] = distance(&all, &want);
        assert!((mean < 1e-5) == (scale == measured), "{scale}: {mean:e}");
    }
    // Black bins don't count, nor do those beyond f32; black images have a factor of 1.
    let mut half = dim.clone();
    half[size[0] * 20 * 3..].fill(0.0);
    half[7] = f32::INFINITY;
    half[10] = f32::INFINITY;
    half[13] = f32::NAN;
    for image in [half, vec![0.0; dim.len()]] {
        let got = denoise(options(&BASE, Content::Hdr), size, &image).unwrap();
        let [mean, most] = distance(&got, &reference::denoise(&BASE, Content::Hdr, None, size, &[&image]));
        assert!(mean < 2e-5 && most < 1e-4, "{mean:e}, {most:e}");
    }
    for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = Denoiser::new(context(true), options(&BASE, Content::Hdr).input_scale(wrong)).unwrap_err();
        assert!(error.to_string().contains("input_scale: wanted a finite number above 0"), "{error}");
    }
}

#[test]
fn alpha_is_kept_and_that_of_guides_is_ignored() {
    let tiny = Tiny { images: 3, ..BASE };
    let (size, content) = ([20, 17], Content::Hdr);
    let images = images(size, content, 3);
    let denoiser = Denoiser::new(context(false), options(&tiny, content)).unwrap();
    let plain = denoiser.denoise_blocking(&frame(size, &images)).unwrap();
    let with_alpha = |image: &Vec<f32>| -> Vec<f32> {
        let pixels = image.chunks_exact(3).enumerate();
        pixels.flat_map(|(i, pixel)| [pixel[0], pixel[1], pixel[2], if i == 5 { f32::NAN } else { i as f32 }]).collect()
    };
    let four: Vec<Vec<f32>> = images.iter().map(with_alpha).collect();
    let got = block_on(denoiser.denoise(&frame(size, &four))).unwrap();
    let bits = |of: &[f32]| of.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&got), bits(&with_alpha(&plain)));
}

/// A frame that is on the device stays there: textures in, the output in a buffer, one encoder.
#[test]
fn textures_are_denoised_without_a_copy_to_the_host() {
    let (size, content) = ([24, 19], Content::Hdr);
    let context = context(true);
    let images = images(size, content, 2);
    let denoiser = Denoiser::new(context, options(&Tiny { images: 2, ..BASE }, content)).unwrap();
    let want = denoiser.denoise_blocking(&frame(size, &images)).unwrap();
    let session = denoiser.session(size).unwrap();
    let extent = wgpu::Extent3d { width: 24, height: 19, depth_or_array_layers: 1 };
    let texture = |image: &Vec<f32>| {
        let texture = context.device().create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: extent,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Float,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let texels: Vec<f32> = image.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 1.0]).collect();
        let rows = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(24 * 16), rows_per_image: None };
        let bytes: Vec<u8> = texels.iter().flat_map(|number| number.to_le_bytes()).collect();
        context.queue().write_texture(texture.as_image_copy(), &bytes, rows, extent);
        texture
    };
    let input = |(port, image): (&Port, &Vec<f32>)| {
        let input = TextureInput::new(context, port, wgpu::TextureFormat::Rgba32Float, Sampling::new().raw()).unwrap();
        let source = input.bind(&texture(image)).unwrap();
        (input, source)
    };
    let inputs: Vec<_> = session.inputs().iter().zip(&images).map(input).collect();
    let buffer = |usage: wgpu::BufferUsages| {
        let size = session.outputs()[0].bytes();
        context.device().create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let output = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let download = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
    let buffers: Vec<_> = inputs.iter().map(|(input, _)| input.buffer()).collect();
    let bound = session.bind(&buffers, &[output.as_entire_buffer_binding()]).unwrap();
    let mut encoder = context.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    inputs.iter().for_each(|(input, source)| input.encode(&mut encoder, source).unwrap());
    session.encode(&mut encoder, &bound).unwrap();
    encoder.copy_buffer_to_buffer(&output, 0, &download, 0, None);
    context.queue().submit([encoder.finish()]);
    download.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
    context.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = download.get_mapped_range(..).unwrap();
    let planes: Vec<f32> = view.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let got: Vec<f32> = (0..want.len()).map(|i| planes[i % 3 * 24 * 19 + i / 3]).collect();
    assert_eq!(got, want);
}

#[test]
fn the_bytes_are_those_of_the_session() {
    let denoiser = Denoiser::new(context(true), options(&BASE, Content::Ldr)).unwrap();
    let bytes = denoiser.bytes([100, 60]).unwrap();
    let plan = denoiser.session([100, 60]).unwrap().plan().clone();
    let images = 2 * 100 * 60 * 3 * 4;
    let (weights, values) = (plan.weight_bytes(), plan.peak_bytes());
    let want = DenoiserBytes { weights, values, images, copies: images, history: 0, tile: [100, 60], tiles: 1 };
    assert_eq!(bytes, want);
    assert_eq!(bytes.total(), weights + values + 2 * images);
    let larger = denoiser.bytes([200, 60]).unwrap();
    assert!(larger.values > bytes.values && larger.images == 2 * bytes.images, "{larger:?}");
    // The session of a size stays until another size is asked for.
    let sessions =
        [[100, 60], [100, 60], [60, 100]].map(|size| denoiser.session(size).unwrap().plan().inputs[0].shape.clone());
    assert_eq!(sessions[0], sessions[1]);
    assert_eq!(sessions[2][..], [1, 3, 100, 60]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let made = |tensors: &[Tensor], content: Content| -> Result<Denoiser> {
        let archive = Archive::from_bytes("tiny.tza", archive(tensors, true))?;
        Denoiser::new(context(true), DenoiserOptions::new(content, archive))
    };
    let tensors = |images: usize| Tiny { images, ..BASE }.tensors();
    let without = |name: &str| tensors(1).into_iter().filter(|tensor| tensor.name != name).collect::<Vec<_>>();
    let as_sizes = |name: &str, sizes: &[usize]| {
        let change = |mut tensor: Tensor| {
            if tensor.name == name {
                tensor.values = vec![0.5; sizes.iter().product()];
                tensor.sizes = sizes.to_vec();
            }
            tensor
        };
        tensors(1).into_iter().map(change).collect::<Vec<_>>()
    };
    let more = Tensor { name: "enc_conv9.bias".into(), sizes: vec![3], values: vec![0.0; 3] };
    for (tensors, content, said) in [
        (without("enc_conv0.weight"), Content::Hdr, "tiny.tza: no tensor \"enc_conv0.weight\""),
        (without("dec_conv2a.bias"), Content::Hdr, "tiny.tza: no tensor \"dec_conv2a.bias\""),
        ([without(""), vec![more]].concat(), Content::Hdr, "tensor \"enc_conv9.bias\": no layer of the network has it"),
        (as_sizes("enc_conv0.weight", &[4, 4, 3, 3]), Content::Hdr, "wanted [O, 3, 6 or 9, 3, 3], got [4, 4, 3, 3]"),
        (as_sizes("enc_conv1.weight", &[4, 4, 1, 1]), Content::Hdr, "wanted a convolution of 3x3, got [4, 4, 1, 1]"),
        (as_sizes("enc_conv1.weight", &[4, 5, 3, 3]), Content::Hdr, "conv2d \"enc_conv1\""),
        (as_sizes("dec_conv0.weight", &[6, 4, 3, 3]), Content::Hdr, "conv2d \"dec_conv0\""),
        (tensors(3), Content::Albedo, "wanted weights for one image, as albedo has no guides, got some for 3"),
    ] {
        let error = made(&tensors, content).unwrap_err().to_string();
        assert!(error.contains(said), "\"{said}\" isn't in: {error}");
    }
    let denoiser = made(&tensors(2), Content::Hdr).unwrap();
    let (image, small) = (vec![0.0; 12], vec![0.0; 9]);
    let images = |size: [usize; 2]| Images::new(size, &image);
    for (images, said) in [
        (images([2, 2]), "albedo: wanted one: the network takes it, got none"),
        (images([2, 2]).albedo(&image).normal(&image), "normal: wanted none: the network takes none, got one"),
        (images([2, 2]).albedo(&small), "albedo: wanted 3 or 4 numbers for each of 2 x 2 pixels, got 9"),
        (images([5, 1]).albedo(&image), "image: wanted 3 or 4 numbers for each of 5 x 1 pixels, got 12"),
        (images([0, 2]).albedo(&image), "image: wanted 3 or 4 numbers for each of 0 x 2 pixels, got 12"),
        (images([usize::MAX, 2]).albedo(&image), "image: wanted"),
    ] {
        let error = denoiser.denoise_blocking(&images).unwrap_err().to_string();
        assert!(error.contains(said), "\"{said}\" isn't in: {error}");
    }
    for size in [[0, 16], [16, 1 << 17]] {
        let error = denoiser.session(size).map(drop).unwrap_err().to_string();
        assert!(error.contains("size: wanted sides of 1 to 65536 pixels"), "{error}");
    }
    // Larger than any device: an error before anything is created.
    assert!(denoiser.session([65_536, 65_536]).is_err());
}

/// Guides out of range are refused by place and number, or clamped as Open Image Denoise does it.
#[test]
fn guides_out_of_range_are_named() {
    let denoiser = Denoiser::new(context(true), options(&Tiny { images: 3, ..BASE }, Content::Ldr)).unwrap();
    let size = [3, 2];
    let images = images(size, Content::Ldr, 1);
    let with = |image: usize, at: usize, number: f32| {
        let mut guides = [vec![0.5; 18], vec![-0.5; 18]];
        guides[image][at] = number;
        guides
    };
    let denoise = |[albedo, normal]: &[Vec<f32>; 2], clamps: bool| {
        let frame = Images::new(size, &images[0]).albedo(albedo).normal(normal);
        denoiser.denoise_blocking(&if clamps { frame.clamp_guides() } else { frame })
    };
    for (image, at, number, nearest, said) in [
        (0, 14, 1.5, 1.0, "albedo: channel 2 of pixel (1, 1): wanted 0 to 1"),
        (0, 0, -2e-3, 0.0, "albedo: channel 0 of pixel (0, 0): wanted 0 to 1"),
        (0, 7, f32::INFINITY, 1.0, "albedo: channel 1 of pixel (2, 0): wanted 0 to 1"),
        (1, 17, -1.1, -1.0, "normal: channel 2 of pixel (2, 1): wanted -1 to 1"),
        (1, 4, 255.0, 1.0, "normal: channel 1 of pixel (1, 0): wanted -1 to 1"),
    ] {
        let guides = with(image, at, number);
        let error = denoise(&guides, false).unwrap_err().to_string();
        assert!(error.starts_with(said) && error.ends_with(&format!("got {number}")), "{said}: {error}");
        assert_eq!(denoise(&guides, true).unwrap(), denoise(&with(image, at, nearest), false).unwrap());
    }
    // Numbers that were rounded, NaN, and an alpha of anything are in range.
    for (image, at, number) in [(0, 3, 1.0005), (0, 5, -5e-4), (1, 2, -1.0009), (1, 8, f32::NAN), (0, 1, f32::NAN)] {
        denoise(&with(image, at, number), false).unwrap();
    }
    let (four, albedo) = ([0.5; 24], [0.5, 0.5, 0.5, 9.0].repeat(6));
    denoiser.denoise_blocking(&Images::new(size, &four).albedo(&albedo).normal(&[0.5; 18])).unwrap();
}
