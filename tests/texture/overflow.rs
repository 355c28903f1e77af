//! Infinities and NaN, as they are read and as they are drawn.

use super::{
    PALETTE, Rgba, alone, blank, class, close, close_pixels, context, cut, drawn, filled, on_rgb, picture, planes,
    port, resized, sampled, to_linear, to_srgb,
};
use shadernet::texture::{Alpha, Channels, ColorSpace, Drawing, Region, Sampling, TextureInput, TextureOutput};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

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
