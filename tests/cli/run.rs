//! `shadernet run` and `shadernet demo`: pictures, arrays and weights.

use super::{Folder, SEVEN, command, digits, prints, text};
use image::imageops::{FilterType, resize};
use image::{ImageFormat, RgbImage};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use shadernet::import::npy;
use shadernet::{Shape, Weights, seeded_input};
use std::path::Path;
use std::process::Output;

fn assert_close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= 1e-4 * (1.0 + expected.abs()), "{i}: {got}, expected {expected}");
    }
}

#[test]
fn a_digit_is_read_from_png_and_jpeg() {
    assert!(prints(&["run", "digits", "--input", SEVEN, "--top", "1"]).starts_with("digit 7 "));
    let all = prints(&["run", "digits", "--input", &format!("image={SEVEN}")]);
    assert!(all.starts_with("logits [1, 10]\ndigit 7 "), "{all}");
    assert_eq!(all.lines().count(), 1 + 5 + 1);
    assert!(all.lines().last().is_some_and(|line| line.starts_with("first inference: ")), "{all}");

    let folder = Folder::new("jpeg");
    let seven = image::open(SEVEN).unwrap().to_luma8();
    let jpeg = folder.path("seven.jpg");
    resize(&seven, 64, 64, FilterType::Nearest).save_with_format(&jpeg, ImageFormat::Jpeg).unwrap();
    assert!(prints(&["run", "digits", "--input", &jpeg, "--top", "1"]).starts_with("digit 7 "));
}

#[test]
fn arrays_go_in_and_come_out() {
    let folder = Folder::new("npy");
    let (images, logits) = digits(5);
    let out = folder.path("out/deep");
    let logits_of = |args: &[&str]| {
        prints(&[&["run", "digits", "--output", &out, "--input"], args].concat());
        npy::read(&folder.0.join("out/deep/logits.npy")).unwrap()
    };
    let (shape, got) = logits_of(&[&folder.write_npy("five.npy", &[5, 1, 8, 8], &images)]);
    assert_eq!(shape[..], [5, 10]);
    assert_close(&got, &logits);

    let one = folder.write_npy("one.npy", &[1, 8, 8], &images[..64]);
    assert_close(&logits_of(&[&one]).1, &logits[..10]);
    let (shape, got) = logits_of(&[&one, "--batch", "3"]);
    assert_eq!(shape[..], [3, 10]);
    assert_close(&got, &logits[..10].repeat(3));
    // Without --top, only the files hold the answer.
    assert!(!prints(&["run", "digits", "--input", &one, "--output", &out]).contains("digit "));
    assert!(prints(&["run", "digits", "--input", &one, "--output", &out, "--top", "2"]).contains("digit "));
}

#[test]
fn upscale_writes_a_picture_that_beats_bicubic() {
    let folder = Folder::new("upscale");
    let said = prints(&["run", "upscale", "--input", "assets/upscale/photo_half.png", "--output", &folder.path("")]);
    assert!(said.contains("image.png") && !said.contains("made up"), "{said}");
    let read = |path: &str| image::open(path).unwrap().to_rgb8();
    let (photo, half) = (read("assets/upscale/photo.png"), read("assets/upscale/photo_half.png"));
    let doubled = read(&folder.path("image.png"));
    assert_eq!(doubled.dimensions(), (2 * half.width(), 2 * half.height()));
    assert_eq!(npy::read(&folder.0.join("image.npy")).unwrap().0[..], [1, 3, 256, 384]);
    let psnr = |picture: &RgbImage| {
        let pairs = picture.as_raw().iter().zip(photo.as_raw());
        let sum: f64 = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
        10.0 * (255.0 * 255.0 * photo.as_raw().len() as f64 / sum).log10()
    };
    let bicubic = resize(&half, photo.width(), photo.height(), FilterType::CatmullRom);
    assert!(psnr(&doubled) >= psnr(&bicubic) + 0.8, "{} dB, bicubic {} dB", psnr(&doubled), psnr(&bicubic));
}

/// A recurrent network hears a recording in chunks, with its state on the device, as ONNX Runtime does.
#[test]
fn speech_is_heard_in_chunks() {
    let folder = Folder::new("speech");
    let out = folder.path("out");
    let input = "x=assets/voice/held_out.wav";
    let file = "assets/voice/voice.onnx";
    let text = prints(&["run", file, "--input", input, "--chunk", "512", "--state", "hn=h", "--output", &out]);
    assert!(text.contains("16000 a second, 250 chunks of 512\n"), "{text}");
    let (shape, speech) = npy::read(&folder.0.join("out/speech.npy")).unwrap();
    assert_eq!(shape[..], [250, 1, 1]);
    let expected = std::fs::read_to_string("assets/voice/held_out.txt").unwrap();
    let expected = expected.lines().map(|line| line.split_once(' ').unwrap().1.parse::<f32>().unwrap());
    for (chunk, (got, expected)) in speech.into_iter().zip(expected).enumerate() {
        assert!((got - expected).abs() < 1e-4, "chunk {chunk}: {got}, expected {expected}");
    }
}

/// Lists ResNet-18's state dict with torchvision's names, from torchvision's documentation, not from our code.
fn resnet18_state_dict() -> Vec<(String, Vec<usize>)> {
    let mut dict: Vec<(String, Vec<usize>)> = Vec::new();
    let mut conv_bn = |conv: String, bn: String, shape: [usize; 4]| {
        dict.push((format!("{conv}.weight"), shape.to_vec()));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            dict.push((format!("{bn}.{part}"), vec![shape[0]]));
        }
        dict.push((format!("{bn}.num_batches_tracked"), vec![]));
    };
    conv_bn("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    for (layer, channels) in (1..).zip([64, 128, 256, 512]) {
        for block in 0..2 {
            let name = format!("layer{layer}.{block}");
            let inputs = if block == 0 && layer > 1 { channels / 2 } else { channels };
            conv_bn(format!("{name}.conv1"), format!("{name}.bn1"), [channels, inputs, 3, 3]);
            conv_bn(format!("{name}.conv2"), format!("{name}.bn2"), [channels, channels, 3, 3]);
            if inputs != channels {
                let down = format!("{name}.downsample");
                conv_bn(format!("{down}.0"), format!("{down}.1"), [channels, inputs, 1, 1]);
            }
        }
    }
    dict.extend([("fc.weight".into(), vec![1000, 512]), ("fc.bias".into(), vec![1000])]);
    dict
}

#[test]
fn torchvisions_weights_load_unchanged() {
    let folder = Folder::new("resnet18");
    let seeded = Weights::seeded(3);
    let tensors: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = resnet18_state_dict()
        .into_iter()
        .map(|(name, shape)| {
            if name.ends_with("num_batches_tracked") {
                return (name, shape, Dtype::I64, 7i64.to_le_bytes().to_vec());
            }
            let values = seeded.get(&name, &shape[..]).unwrap().values();
            (name, shape, Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    assert_eq!(tensors.len(), 122);
    let views = tensors
        .iter()
        .map(|(name, shape, dtype, bytes)| (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    let weights = folder.path("resnet18.safetensors");
    serialize_to_file(views, None, Path::new(&weights)).unwrap();
    let input = folder.write_npy("x.npy", &[2, 3, 64, 64], &seeded_input(1, &Shape::from([2, 3, 64, 64])));

    let run = |args: &[&str]| {
        let out = folder.path("out");
        let said = prints(&[&["run", "resnet18", "--input", &input, "--output", &out], args].concat());
        (said.contains("made up"), std::fs::read(folder.0.join("out/logits.npy")).unwrap())
    };
    let (made_up, from_file) = run(&["--weights", &weights]);
    assert!(!made_up);
    assert!(run(&["--seed", "3"]) == (true, from_file.clone()));
    assert!(run(&[]).1 != from_file);
    assert_eq!(npy::read(&folder.0.join("out/logits.npy")).unwrap().0[..], [2, 1000]);
}

#[test]
fn the_demo_reads_digits_and_doubles_a_photograph() {
    let folder = Folder::new("demo");
    let Output { status, stdout, stderr } = command(&["demo"]).current_dir(&folder.0).output().unwrap();
    let said = text(&stdout);
    assert!(status.success(), "{said}\n{}", text(&stderr));
    for what in ["adapter: ", "360 of 360 predictions equal PyTorch's", "dB", "mobilenet_v2", "resnet50", "made up"] {
        assert!(said.contains(what), "{what} isn't in:\n{said}");
    }
    assert_eq!(image::open(folder.0.join("out/upscaled.png")).unwrap().width(), 384);
    // f16 beside f32: half of the memory, a small error, the same digits.
    let row = |precision: &str| -> Vec<&str> {
        let start = format!("| {precision} ");
        let line = said.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}: {said}"));
        line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect()
    };
    let number = |cell: &str| -> f64 { cell.trim_end_matches(" %").parse().unwrap() };
    let (whole, half) = (row("f32"), row("f16"));
    assert_eq!((whole[4], whole[5], half[5]), ("0.00 %", "360 of 360", "360 of 360"), "{said}");
    assert!([2, 3].iter().all(|&i| number(half[i]) < 0.6 * number(whole[i])), "{said}");
    assert!(number(half[4]) > 0.0 && number(half[4]) < 0.5, "{said}");
}
