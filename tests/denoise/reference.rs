//! What a denoiser computes, in plain f64 loops.

use crate::tiny::{Tensor, Tiny};
use shadernet::denoise::Content;
use std::collections::HashMap;

/// Planes of numbers: `[c][h][w]`.
#[derive(Clone, Debug)]
struct Planes {
    c: usize,
    h: usize,
    w: usize,
    data: Vec<f64>,
}

impl Planes {
    fn build(c: usize, h: usize, w: usize, mut f: impl FnMut(usize, usize, usize) -> f64) -> Planes {
        let mut data = Vec::with_capacity(c * h * w);
        for i in 0..c * h * w {
            data.push(f(i / (h * w), i / w % h, i % w));
        }
        Planes { c, h, w, data }
    }

    fn at(&self, c: usize, y: usize, x: usize) -> f64 {
        self.data[(c * self.h + y) * self.w + x]
    }

    fn conv(&self, weights: &HashMap<String, Tensor>, layer: &str) -> Planes {
        let [weight, bias] = ["weight", "bias"].map(|name| &weights[&format!("{layer}.{name}")]);
        assert_eq!(weight.sizes[1], self.c, "{layer}");
        Planes::build(weight.sizes[0], self.h, self.w, |o, y, x| {
            let mut sum = f64::from(bias.values[o]);
            for i in 0..self.c * 9 {
                let (c, dy, dx) = (i / 9, i / 3 % 3, i % 3);
                let (y, x) = ((y + dy).wrapping_sub(1), (x + dx).wrapping_sub(1));
                if y < self.h && x < self.w {
                    sum += self.at(c, y, x) * f64::from(weight.values[o * self.c * 9 + i]);
                }
            }
            sum.max(0.0)
        })
    }

    fn pooled(&self) -> Planes {
        let four = |c, y, x| [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(j, i)| self.at(c, 2 * y + j, 2 * x + i));
        Planes::build(self.c, self.h / 2, self.w / 2, |c, y, x| four(c, y, x).into_iter().fold(f64::MIN, f64::max))
    }

    fn doubled(&self) -> Planes {
        Planes::build(self.c, self.h * 2, self.w * 2, |c, y, x| self.at(c, y / 2, x / 2))
    }

    fn and(&self, other: &Planes) -> Planes {
        let data = [&self.data[..], &other.data[..]].concat();
        Planes { c: self.c + other.c, data, ..*self }
    }
}

fn network(tiny: &Tiny, input: &Planes) -> Planes {
    let weights: HashMap<String, Tensor> = tiny.tensors().into_iter().map(|of| (of.name.clone(), of)).collect();
    let (mut x, mut skipped) = (input.clone(), vec![input.clone()]);
    for (layer, ..) in tiny.layers() {
        if layer.starts_with("dec_conv") && layer.ends_with('a') {
            x = x.doubled().and(&skipped.pop().unwrap());
        }
        x = x.conv(&weights, &layer);
        let stage_ends = if tiny.large { layer.ends_with('b') } else { layer != "enc_conv0" };
        if layer.starts_with("enc_conv") && stage_ends && !layer.starts_with("enc_conv5") {
            x = x.pooled();
            if !layer.starts_with("enc_conv4") {
                skipped.push(x.clone());
            }
        }
    }
    x
}

const LARGEST: f64 = 65504.0;

fn pu(y: f64) -> f64 {
    match y {
        y if y <= 1.5794576e-6 => 1412.83765 * y,
        y if y <= 0.0322087631 => 1.64593172 * y.powf(0.431384981) - 0.00294139609,
        y => 0.192653254 * (y + 0.00626026094).ln() + 0.998620152,
    }
}

pub(crate) fn encoded(content: Content, y: f64) -> f64 {
    match content {
        Content::Hdr => pu(y) / pu(LARGEST),
        Content::Lightmap => (y + 1.0).ln() / (LARGEST + 1.0).ln(),
        Content::Ldr | Content::Albedo if y <= 0.0031308 => 12.92 * y,
        Content::Ldr | Content::Albedo => 1.055 * y.powf(1.0 / 2.4) - 0.055,
        Content::Srgb => y,
        Content::Normal | Content::Directional => y * 0.5 + 0.5,
    }
}

fn decoded(content: Content, x: f64) -> f64 {
    let pu_inverse = |x: f64| match x {
        x if x <= 0.00223151711 => x / 1412.83765,
        x if x <= 0.370974749 => ((x + 0.00294139609) / 1.64593172).powf(1.0 / 0.431384981),
        x => ((x - 0.998620152) / 0.192653254).exp() - 0.00626026094,
    };
    match content {
        Content::Hdr => pu_inverse(x * pu(LARGEST)),
        Content::Lightmap => (x * (LARGEST + 1.0).ln()).exp() - 1.0,
        Content::Ldr | Content::Albedo if x <= 0.04045 => (x / 12.92).min(1.0),
        Content::Ldr | Content::Albedo => ((x + 0.055) / 1.055).powf(2.4).min(1.0),
        Content::Srgb => x.min(1.0),
        Content::Normal | Content::Directional => (x * 2.0 - 1.0).clamp(-1.0, 1.0),
    }
}

/// Returns a number within bounds; NaN is 0.
fn bounded(x: f64, lo: f64, hi: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x.clamp(lo, hi) }
}

/// Returns the measured factor of an image of `[width, height]` pixels of three channels.
pub(crate) fn exposure([w, h]: [usize; 2], image: &[f32]) -> f64 {
    let [columns, rows] = [w, h].map(|side| side.div_ceil(16));
    let mut logs = Vec::new();
    for bin in 0..rows * columns {
        let (row, column) = (bin / columns, bin % columns);
        let mut luminances = Vec::new();
        for y in row * h / rows..(row + 1) * h / rows {
            for x in column * w / columns..(column + 1) * w / columns {
                let at = |c: usize| bounded(image[(y * w + x) * 3 + c].into(), 0.0, f32::MAX.into());
                luminances.push(0.212671 * at(0) + 0.71516 * at(1) + 0.072169 * at(2));
            }
        }
        let sum = luminances.iter().sum::<f64>();
        let mean = sum / luminances.len() as f64;
        // The device adds in f32.
        if mean > 1e-8 && sum <= f64::from(f32::MAX) {
            logs.push(mean.log2());
        }
    }
    if logs.is_empty() { 1.0 } else { 0.18 / (logs.iter().sum::<f64>() / logs.len() as f64).exp2() }
}

/// Denoises images of `[width, height]` pixels of three channels: the image, then albedo and normals if the network takes them.
pub(crate) fn denoise(
    tiny: &Tiny,
    content: Content,
    scale: Option<f64>,
    [w, h]: [usize; 2],
    images: &[&[f32]],
) -> Vec<f64> {
    let hdr = [Content::Hdr, Content::Lightmap].contains(&content);
    let signed = [Content::Normal, Content::Directional].contains(&content);
    let scale = scale.unwrap_or_else(|| if hdr { exposure([w, h], images[0]) } else { 1.0 });
    let most = if hdr { f32::MAX.into() } else { 1.0 };
    let input = Planes::build(3 * images.len(), h.next_multiple_of(16), w.next_multiple_of(16), |c, y, x| {
        if y >= h || x >= w {
            return 0.0;
        }
        let value = f64::from(images[c / 3][(y * w + x) * 3 + c % 3]);
        match c / 3 {
            0 => encoded(content, bounded(value * scale, if signed { -1.0 } else { 0.0 }, most)),
            1 => bounded(value, 0.0, 1.0),
            _ => bounded(value, -1.0, 1.0) * 0.5 + 0.5,
        }
    });
    let output = network(tiny, &input);
    let number = |i: usize| decoded(content, output.at(i % 3, i / 3 / w, i / 3 % w)) / scale;
    (0..w * h * 3).map(number).collect()
}
