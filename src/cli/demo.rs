//! `shadernet demo`: handwritten digits in f32 and f16, a photograph, and the speed of three networks.

use super::bench::ms;
use super::classes::Scores;
use super::{DeviceArgs, Progress, Result, adapter_line, table};
use ::image::imageops::{FilterType, resize};
use ::image::{RgbImage, load_from_memory};
use safetensors::SafeTensors;
use shadernet::import::image;
use shadernet::measure::{self, Bench, Effort};
use shadernet::models::{self, Network};
use shadernet::{Context, Model, Precision, Weights};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const DIGITS: &[u8] = include_bytes!("../../assets/digits/test.safetensors");
const PHOTO: &[u8] = include_bytes!("../../assets/upscale/photo.png");
const PHOTO_HALF: &[u8] = include_bytes!("../../assets/upscale/photo_half.png");

/// The measured networks, each with the batch for throughput.
const MEASURED: [(&str, usize); 3] = [("digits", 64), ("mobilenet_v2", 8), ("resnet50", 4)];

pub(super) fn demo(device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let context = device.context()?;
    writeln!(out, "{}\n", adapter_line(&context, 0))?;
    digits(&context, out)?;
    upscale(&context, out)?;
    speed(&context, out)
}

/// Reads digits that the network never saw in training, and compares with their labels and PyTorch's predictions.
fn digits(context: &Context, out: &mut dyn Write) -> Result {
    let progress = Progress::new();
    progress.announce("reading handwritten digits");
    let test = SafeTensors::deserialize(DIGITS)?;
    let (labels, pytorch) = (test.tensor("labels")?.data(), test.tensor("predicted")?.data());
    let count = labels.len();
    let images = Weights::from_static("test.safetensors", DIGITS)?.get("images", [count, 1, 8, 8])?.values();
    let (network, weights) = shipped("digits")?;
    let model = Model::new(context, &network.graph(&weights, None)?)?;
    let logits = model.session(count)?.run_blocking(&[&images])?.take("logits")?.into_f32()?;
    let read = classes(&logits);
    drop(progress);

    let is = |of: &[u8], i: usize| usize::from(of[i]) == read[i].0;
    let right = (0..count).filter(|&i| is(labels, i)).count();
    let alike = (0..count).filter(|&i| is(pytorch, i)).count();
    writeln!(
        out,
        "digits: reads {right} of {count} held-out handwritten digits correctly ({:.2} %)",
        100.0 * right as f64 / count as f64
    )?;
    writeln!(out, "        {alike} of {count} predictions equal PyTorch's")?;
    // Show a misread digit if there is one, after correct ones: three digits in all.
    let wrong = (0..count).find(|&i| !is(labels, i));
    let shown: Vec<usize> =
        (0..count).filter(|&i| is(labels, i)).take(3 - usize::from(wrong.is_some())).chain(wrong).collect();
    for row in 0..8 {
        let line: Vec<String> = shown.iter().map(|i| draw(&images[i * 64 + row * 8..][..8])).collect();
        writeln!(out, "        {}", line.join("    "))?;
    }
    let captions: Vec<String> = shown
        .iter()
        .map(|&i| {
            let (digit, probability) = read[i];
            let truth = if is(labels, i) { String::new() } else { format!(", is {}", labels[i]) };
            format!("{:<16}", format!("{digit} ({:.1} %){truth}", 100.0 * probability))
        })
        .collect();
    writeln!(out, "        {}\n", captions.join("    ").trim_end())?;
    halves(&model, &images, &logits, out)
}

/// Returns the digit of each image, and its probability.
fn classes(logits: &[f32]) -> Vec<(usize, f64)> {
    logits.chunks_exact(10).map(|logits| Scores::Logits.ranked(logits)[0]).collect()
}

/// Compares the network whose numbers are stored as `f16` with the same one in `f32`: time, memory and results.
fn halves(model: &Model, images: &[f32], logits: &[f32], out: &mut dyn Write) -> Result {
    if !model.context().caps().packs_f16 {
        return Ok(writeln!(out, "        this device can't store f16\n")?);
    }
    let header = ["digits in", "latency ms (p50)", "weights KiB", "values KiB", "off by", "read as in f32"];
    let mut table = table(&header, 1);
    let progress = Progress::new();
    for precision in [Precision::F32, Precision::F16] {
        progress.announce(&format!("reading handwritten digits in {precision}"));
        let read = classes(logits);
        let bench = Bench::new(&model.precision(precision), read.len())?;
        let latency = bench.measure(1, Effort::within(Duration::from_millis(300)))?.latency;
        let got = bench.session().run_blocking(&[images])?.take("logits")?.into_f32()?;
        // Unlike `f32::max`, this keeps a NaN.
        let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
        let largest = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(f32::abs).fold(0.0, larger);
        let off = largest(&mut got.iter().zip(logits).map(|(a, b)| a - b)) / largest(&mut logits.iter().copied());
        let alike = classes(&got).iter().zip(&read).filter(|(a, b)| a.0 == b.0).count();
        let plan = bench.session().plan();
        let kib = |bytes: u64| measure::digits(bytes as f64 / 1024.0);
        table.add_row([
            precision.to_string(),
            measure::digits(ms(latency.p50)),
            kib(plan.weight_bytes()),
            kib(plan.peak_bytes()),
            format!("{:.2} %", 100.0 * off),
            format!("{alike} of {}", read.len()),
        ]);
    }
    drop(progress);
    Ok(writeln!(out, "{table}\n")?)
}

/// Returns a row of pixels as text, two characters each.
fn draw(row: &[f32]) -> String {
    row.iter().map(|&value| ["  ", "░░", "▒▒", "▓▓", "██"][((value * 5.0) as usize).min(4)]).collect()
}

/// Doubles a photograph by the network, and compares with bicubic interpolation.
fn upscale(context: &Context, out: &mut dyn Write) -> Result {
    let progress = Progress::new();
    progress.announce("doubling a photograph");
    let (photo, half) = (load_from_memory(PHOTO)?.to_rgb8(), load_from_memory(PHOTO_HALF)?);
    let (network, weights) = shipped("upscale")?;
    let (shape, values) = image::prepare(&half, &network)?;
    let session = Model::new(context, &network.graph(&weights, Some([shape[2], shape[3]]))?)?.session(1)?;
    let doubled = session.run_blocking(&[values])?.take("image")?.into_f32()?;
    let shape = &session.outputs()[0].shape;
    let bicubic = resize(&half.to_rgb8(), photo.width(), photo.height(), FilterType::CatmullRom);
    let by_network = psnr(&image::picture(shape, &doubled)?, &photo);
    let path = Path::new("out").join("upscaled.png");
    std::fs::create_dir_all("out").map_err(|error| shadernet::ErrorKind::file(Path::new("out"), error))?;
    image::save(&path, shape, &doubled)?;
    drop(progress);
    writeln!(
        out,
        "upscale: {} x {} pixels to {} x {}: {by_network:.2} dB; bicubic interpolation: {:.2} dB (PSNR, higher is better)",
        half.width(),
        half.height(),
        photo.width(),
        photo.height(),
        psnr(&bicubic, &photo)
    )?;
    Ok(writeln!(out, "         {}\n", path.display())?)
}

/// Returns the peak signal-to-noise ratio over all values, in dB.
fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    let square = |(&a, &b): (&u8, &u8)| (f64::from(a) - f64::from(b)).powi(2);
    let mean = a.as_raw().iter().zip(b.as_raw()).map(square).sum::<f64>() / b.as_raw().len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

/// Measures latency and throughput, frame by frame and in batches.
fn speed(context: &Context, out: &mut dyn Write) -> Result {
    let header = ["network", "batch", "first ms", "latency ms (p50)", "images/s", "images/s, 2 in flight"];
    let mut table = table(&header, 1);
    let mut made_up = Vec::new();
    let progress = Progress::new();
    for (name, many) in MEASURED {
        let network = models::find(name)?;
        let weights = network.weights.map_or_else(|| Ok(Weights::seeded(0)), |shipped| shipped())?;
        if weights.is_seeded() {
            made_up.push(name);
        }
        let model = Model::new(context, &network.graph(&weights, None)?)?;
        for batch in [1, many] {
            progress.announce(&format!("measuring {name}, batch {batch}"));
            let bench = Bench::new(&model, batch)?;
            let effort = Effort::within(Duration::from_secs(1));
            let (one, two) = (bench.measure(1, effort)?, bench.measure(2, effort)?);
            let (first, latency) = (measure::digits(ms(bench.first())), measure::digits(ms(one.latency.p50)));
            let cells = [
                name.into(),
                batch.to_string(),
                first,
                latency,
                measure::digits(one.throughput),
                measure::digits(two.throughput),
            ];
            table.add_row(cells);
        }
    }
    drop(progress);
    writeln!(out, "speed: from host memory to host memory; weights of {}: made up", made_up.join(", "))?;
    Ok(writeln!(out, "{table}")?)
}

fn shipped(name: &str) -> Result<(Network, Weights)> {
    let network = models::find(name)?;
    let weights = network.weights.ok_or_else(|| format!("no weights of {name} are shipped"))?()?;
    Ok((network, weights))
}
