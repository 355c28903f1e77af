//! Changes of size, against PyTorch's interpolation.

use super::{Rgba, alone, blank, close, contents, context, drawn, encoder, filled, port, sampled};
use shadernet::texture::{Channels, Drawing, Filter, Sampling, TextureInput, TextureOutput};
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
