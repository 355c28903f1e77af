//! Images and ramps as outputs: formats, regions of levels and layers, normalization, alpha.

use super::{
    Rgba, TARGETS, alone, blank, bytes, close_pixels, contents, context, cut, describe, drawn, encoder, filled,
    kept_as, picture, planes, port, resized, stored,
};
use shadernet::texture::{Alpha, Channels, Drawing, Region, TextureOutput};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

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
