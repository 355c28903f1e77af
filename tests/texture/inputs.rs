//! Textures as inputs: formats, color spaces, channels, regions of levels and layers.

use super::{
    DECODED, Rgba, alone, bytes, close, context, cut, describe, fill, filled, is_float, on_rgb, picture, port, resized,
    sampled, stored, to_linear, to_srgb,
};
use shadernet::texture::{Channels, ColorSpace, Region, Sampling, TextureInput};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

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
