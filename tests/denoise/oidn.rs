//! The denoiser against Open Image Denoise itself, with its weights: `make test-oidn` makes the references and runs this.

mod scenes;

use pollster::block_on;
use scenes::{SIZE, psnr, traced};
use serde_json::Value;
use shadernet::denoise::{Archive, Content, Denoiser, DenoiserOptions, Guides, Images, Quality};
use shadernet::import::npy;
use shadernet::{Context, ContextOptions, Precision};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/oidn/references");
    assert!(folder.is_dir(), "{} isn't there: run `make test-oidn`", folder.display());
    folder
}

/// Reads an image: height, width, and pixels of three channels.
fn read(name: &str) -> ([usize; 2], Vec<f32>) {
    let (shape, values) = npy::read(&folder().join(name)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((shape.len(), shape[2]), (3, 3), "{name}");
    ([shape[0], shape[1]], values)
}

/// Returns the mean difference in means, and the largest in largest numbers.
fn distance(got: &[f32], want: &[f32]) -> [f64; 2] {
    assert_eq!(got.len(), want.len());
    let sums = got.iter().zip(want).map(|(&got, &want)| [f64::from(got - want).abs(), f64::from(want).abs()]);
    let [mut sum, mut most] = [[0.0f64; 2]; 2];
    for numbers in sums {
        assert!(numbers[0].is_finite(), "a number of {numbers:?}");
        for (i, number) in numbers.into_iter().enumerate() {
            sum[i] += number;
            most[i] = most[i].max(number);
        }
    }
    [sum[0] / sum[1], most[0] / most[1]]
}

/// Compares every result of the index and prints a line each, and the worst.
fn compare(precision: Precision, bounds: [f64; 2]) {
    let context = block_on(Context::with(&ContextOptions::from_env())).unwrap_or_else(|error| panic!("{error}"));
    if precision == Precision::F16 && !context.caps().packs_f16 {
        println!("f16: {} doesn't convert f16", context.info().name);
        return;
    }
    let text = std::fs::read_to_string(folder().join("index.json")).expect("the script writes it");
    let index: Vec<Value> = serde_json::from_str(&text).expect("it is JSON");
    assert!(index.len() >= 2 * 18 + 3, "{} results", index.len());
    let mut worst = [0.0f64; 2];
    for result in &index {
        let text = |name: &str| result[name].as_str().expect("the script writes it");
        let content: Content = text("content").parse().unwrap_or_else(|error| panic!("{error}"));
        let quality: Quality = text("quality").parse().unwrap_or_else(|error| panic!("{error}"));
        let guides = match text("guides") {
            "none" => Guides::None,
            "albedo" => Guides::Albedo,
            "albedo_normal" => Guides::AlbedoNormal,
            _ => Guides::CleanAlbedoNormal,
        };
        let image = match content {
            Content::Hdr | Content::Lightmap => "hdr",
            Content::Ldr | Content::Srgb | Content::Albedo => "ldr",
            Content::Normal | Content::Directional => "rough",
        };
        let of = |name: &str| read(&format!("{}_{name}.npy", text("size")));
        let ([height, width], image) = of(image);
        let (albedo, normal) = (of("albedo").1, of("normal").1);
        let mut images = Images::new([width, height], &image);
        if guides != Guides::None {
            images = images.albedo(&albedo);
        }
        if matches!(guides, Guides::AlbedoNormal | Guides::CleanAlbedoNormal) {
            images = images.normal(&normal);
        }
        let weights = content.weights(guides, quality).expect("there are such weights");
        let archive =
            Archive::open(folder().join(format!("weights/{weights}.tza"))).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(archive.precision(), Precision::F16);
        let options = DenoiserOptions::new(content, archive).precision(precision);
        let got = Denoiser::new(&context, options).and_then(|denoiser| denoiser.denoise_blocking(&images));
        let got = got.unwrap_or_else(|error| panic!("{result}: {error}"));
        let [mean, most] = distance(&got, &read(text("want")).1);
        println!("{precision} {:<40} {weights:<24} mean {mean:.1e} largest {most:.1e}", text("want"));
        worst = [worst[0].max(mean), worst[1].max(most)];
        assert!(mean <= bounds[0] && most <= bounds[1], "{result} in {precision}: mean {mean:e}, largest {most:e}");
    }
    println!(
        "{precision}: {} results, the worst mean {:.1e}, the worst largest {:.1e}",
        index.len(),
        worst[0],
        worst[1]
    );
}

#[test]
fn open_image_denoise_gives_the_same_in_f32() {
    compare(Precision::F32, [1e-3, 1e-2]);
}

#[test]
fn open_image_denoise_gives_nearly_the_same_in_f16() {
    compare(Precision::F16, [5e-3, 2e-2]);
}

/// How far Open Image Denoise's weights are ahead of the builtin ones, on scenes that neither was trained on.
#[test]
fn builtin_weights_are_behind_by_little() {
    let context = block_on(Context::with(&ContextOptions::from_env())).unwrap_or_else(|error| panic!("{error}"));
    let theirs = |quality| {
        let name = Content::Hdr.weights(Guides::AlbedoNormal, quality).expect("there are such weights");
        Archive::open(folder().join(format!("weights/{name}.tza")))
    };
    let weights =
        [Archive::builtin(Content::Hdr, Guides::AlbedoNormal), theirs(Quality::Fast), theirs(Quality::Balanced)];
    let denoisers = weights.map(|weights| {
        Denoiser::new(&context, DenoiserOptions::new(Content::Hdr, weights.unwrap_or_else(|error| panic!("{error}"))))
            .unwrap_or_else(|error| panic!("{error}"))
    });
    let mut sums = [0.0; 4];
    let scenes = traced(&context, 0..12);
    println!("dB: noisy, builtin, their small network, their base network");
    for (seed, scene) in scenes.iter().enumerate() {
        let images = Images::new(SIZE, &scene.noisy).albedo(&scene.albedo).normal(&scene.normal);
        let denoised = denoisers
            .each_ref()
            .map(|denoiser| denoiser.denoise_blocking(&images).unwrap_or_else(|error| panic!("{error}")));
        let all = [&scene.noisy, &denoised[0], &denoised[1], &denoised[2]].map(|image| psnr(image, &scene.clean));
        println!("scene {seed}: {all:.2?}");
        sums.iter_mut().zip(all).for_each(|(sum, number)| *sum += number);
    }
    let [noisy, builtin, small, base] = sums.map(|sum| sum / scenes.len() as f64);
    println!("mean: {noisy:.2}, {builtin:.2}, {small:.2}, {base:.2}");
    assert!(small > noisy + 8.0 && base > noisy + 8.0, "their networks are run wrongly");
    assert!(builtin > small.max(base) - 3.0, "builtin weights are far behind");
}
