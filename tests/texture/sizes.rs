//! Changes of size, against PyTorch's interpolation.

use super::{Rgba, alone, blank, close, close_pixels, contents, context, cut, drawn, encoder};
use super::{filled, picture, port, resized, sampled};
use shadernet::texture::{Channels, Drawing, Filter, Region, Sampling, TextureInput, TextureOutput};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

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

/// A part of a texture is a rectangle of the image, and the other way round.
#[test]
fn a_rectangle_of_the_image_has_a_margin() {
    let _alone = alone();
    let context = context();
    let (size, pixels) = ([8, 6], picture([8, 6]));
    let usage = Usage::TEXTURE_BINDING | Usage::STORAGE_BINDING | Usage::COPY_SRC;
    let texture = filled(&context, size, Format::Rgba32Float, usage, &pixels);
    let (rect, shape) = ([1, 1, 6, 4], [10, 12]);
    let part = cut(&pixels, 8, rect);
    let port = port([1, 3, shape[1], shape[0]]);
    let sampling = Sampling::new().raw().mean([0.5]).std([0.25]).fill(7.0);
    let input = TextureInput::new(&context, &port, Format::Rgba32Float, sampling).expect("it fits");
    let rect = rect.map(|side| side as u32);
    for within in [[2, 3, 6, 4], [0, 7, 10, 5], [9, 0, 1, 12]] {
        let [x, y, width, height] = within.map(|side: u32| side as usize);
        let shown = resized(&part, [6, 4], [width, height]);
        let wanted: Vec<f64> = (0..3 * 120)
            .map(|i: usize| {
                let (c, row, column) = (i / 120, (i / 10 % 12).wrapping_sub(y), (i % 10).wrapping_sub(x));
                if row < height && column < width { (shown[row * width + column][c] - 0.5) * 4.0 } else { 7.0 }
            })
            .collect();
        // The margin is written each time.
        let sources = [Region::whole(&texture), Region::whole(&texture).rect(rect).within(within)];
        let sources = sources.map(|region| input.bind(region).expect("it serves"));
        close(&format!("{within:?}"), &sampled(&context, &input, &sources), &wanted, 1e-5);

        // Only the rectangle is drawn, into a part of the target, whose other texels stay.
        let all = picture(shape);
        let values: Vec<f32> = (0..3).flat_map(|c| all.iter().map(move |pixel| pixel[c] as f32)).collect();
        let drawing = Drawing::image().raw().clamp(false);
        let output = TextureOutput::new(&context, &port, Format::Rgba32Float, usage, drawing).expect("it fits");
        let to = filled(&context, size, Format::Rgba32Float, usage | Usage::COPY_DST, &pixels);
        let target = output.bind(Region::whole(&to).rect(rect).within(within)).expect("it serves");
        let shown = resized(&cut(&all, 10, [x, y, width, height]), [width, height], [6, 4]);
        let pixel = |i: usize| {
            let (x, y) = (i % 8, i / 8);
            if !(1..7).contains(&x) || !(1..5).contains(&y) {
                return pixels[i];
            }
            let [r, g, b, _] = shown[(y - 1) * 6 + x - 1];
            [r, g, b, 1.0]
        };
        let wanted: Vec<Rgba> = (0..48).map(pixel).collect();
        close_pixels(&format!("{within:?}"), &drawn(&context, &output, &values, &to, &target), &wanted, 1e-5);
    }
}
