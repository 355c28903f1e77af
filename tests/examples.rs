//! The examples run, and print the right results.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the command of an example of this build: cargo builds examples with the tests.
fn program(name: &str) -> Command {
    let tests = std::env::current_exe().expect("a test has a path");
    let folder: PathBuf = tests.ancestors().nth(2).expect("tests lie in deps").join("examples");
    let mut program = Command::new(folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
    program.current_dir(env!("CARGO_MANIFEST_DIR"));
    program
}

/// Runs an example and returns what it prints.
fn run(name: &str, arguments: &[&str]) -> String {
    let mut program = program(name);
    let output = program.args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{:?}: {error}", program.get_program()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn hello_computes() {
    assert!(run("hello", &[]).contains("[6.5, 0.0]"));
}

#[test]
fn tasks_share_a_session() {
    let printed = run("tasks", &[]);
    assert_eq!(printed.lines().filter(|line| line.contains(": digit ")).count(), 8, "{printed}");
    assert_eq!(printed, run("tasks", &[]));
}

#[test]
fn batching_times_four_ways() {
    let printed = run("batching", &["64"]);
    assert_eq!(printed.matches("images/s").count(), 4, "{printed}");
}

#[test]
fn a_host_app_keeps_its_device() {
    let printed = run("host_app", &[]);
    // Upscaling a grey area gives the same grey.
    for grey in ["0.25", "0.50", "0.75"] {
        assert!(printed.contains(&format!("a grey of {grey} became {grey}")), "{printed}");
    }
}

#[test]
#[cfg(feature = "image")]
fn a_digit_is_read() {
    assert!(run("classify", &["assets/digits/seven.png"]).contains("class 7"));
}

#[test]
#[cfg(feature = "image")]
fn a_photograph_doubles() {
    let to = std::env::temp_dir().join(format!("shadernet-upscale-{}.png", std::process::id()));
    let printed = run("upscale", &["assets/upscale/photo_half.png", to.to_str().expect("a path of letters")]);
    assert!(printed.contains("[1, 3, 256, 384]"), "{printed}");
    let size = std::fs::metadata(Path::new(&to)).expect("it was written").len();
    assert!(size > 100_000, "{size} bytes for a photograph of 384x256 pixels");
    std::fs::remove_file(&to).expect("it is there");
}

#[test]
#[cfg(feature = "image")]
fn a_scene_is_traced() {
    let folder = std::env::temp_dir().join(format!("shadernet-dataset-{}", std::process::id()));
    let path = folder.to_str().expect("a path of letters");
    run("path_tracer", &["--dataset", path, "--scene", "2", "--scenes", "1", "--size", "16x16", "--samples", "32"]);
    let file = std::fs::read(folder.join("00002.npy")).expect("it was written");
    std::fs::remove_dir_all(&folder).expect("it is there");
    let numbers = &file[file.len() - 2 * 49 * 3 * 256..];
    assert!(file.starts_with(b"\x93NUMPY") && file.len() == 128 + numbers.len(), "{} bytes", file.len());
    let mean = |image: usize| -> f32 {
        let numbers =
            numbers.as_chunks().0[image * 768..][..768].iter().map(|&bytes| f32::from(half::f16::from_le_bytes(bytes)));
        numbers.inspect(|number| assert!(number.is_finite())).sum::<f32>() / 768.0
    };
    // 16 noisy images are as bright as the clean one.
    let noisy = (0..16).map(|i| mean(3 * i)).sum::<f32>() / 16.0;
    assert!(mean(48) > 0.05 && (noisy / mean(48) - 1.0).abs() < 0.15, "{noisy}, not {}", mean(48));
}

/// Returns the peak signal-to-noise ratio in dB of a part of a picture.
#[cfg(feature = "image")]
fn psnr(picture: &image::RgbImage, clean: &image::RgbImage, columns: std::ops::Range<u32>) -> f64 {
    let pairs = picture.enumerate_pixels().filter(|(x, ..)| columns.contains(x));
    let squares = pairs.flat_map(|(x, y, pixel)| {
        let clean = clean.get_pixel(x, y);
        (0..3).map(move |c| f64::from(pixel[c].abs_diff(clean[c])).powi(2))
    });
    let count = f64::from(3 * columns.len() as u32 * picture.height());
    10.0 * (255.0 * 255.0 * count / squares.sum::<f64>()).log10()
}

#[test]
#[cfg(feature = "image")]
fn a_traced_picture_is_denoised_right_of_the_line() {
    let drawn = |name: &str, arguments: &[&str]| {
        let (picture, printed) = drawn("path_tracer", "--output", name, &[&["--size", "128x96"], arguments].concat());
        assert_eq!(picture.dimensions(), (128, 96));
        assert!(printed.contains(" traced in ") && printed.contains(" ms, denoised in "), "{printed}");
        picture
    };
    let split = drawn("split", &["--samples", "4"]);
    let noisy = drawn("noisy", &["--samples", "4", "--line", "1"]);
    let denoised = drawn("denoised", &["--samples", "4", "--line", "0"]);
    let clean = drawn("clean", &["--samples", "512", "--line", "1"]);
    for (x, y, pixel) in split.enumerate_pixels() {
        let of = if x < 64 { &noisy } else { &denoised };
        let wanted = if (63..65).contains(&x) { &image::Rgb([255; 3]) } else { of.get_pixel(x, y) };
        assert_eq!(pixel, wanted, "{x}, {y}");
    }
    for columns in [0..63, 65..128] {
        let [before, after] = [&noisy, &denoised].map(|picture| psnr(picture, &clean, columns.clone()));
        println!("columns {columns:?}: {before:.1} dB with noise, {after:.1} dB denoised");
        assert!((8.0..30.0).contains(&before) && after > before + 8.0, "{before} dB with noise, {after} dB denoised");
    }
    assert!(drawn("other", &["--samples", "4", "--scene", "2"]) != split, "each scene is the same");
}

#[test]
fn text_is_generated() {
    let printed = run("generate", &["JULIET:\n", "40", "0.7", "3"]);
    assert!(printed.starts_with("JULIET:\n"), "{printed}");
    let (written, figures) = printed.split_once("\n\non ").expect("figures follow the text");
    assert_eq!(written.chars().count(), "JULIET:\n".len() + 40, "{printed}");
    assert_eq!(figures.matches("tokens/s").count(), 3, "{printed}");
    // The same seed writes the same text.
    assert!(run("generate", &["JULIET:\n", "40", "0.7", "3"]).starts_with(written));
}

/// The segments agree with the truth in most chunks of a recording that the network was not trained on.
#[test]
#[cfg(all(feature = "audio", feature = "onnx"))]
fn speech_is_found() {
    let printed = run("voice_activity", &[]);
    let segment = |line: &str| {
        let (from, to) = line.strip_prefix("speech ")?.split_once(" to ")?;
        let seconds = |text: &str| text.strip_suffix(" s")?.parse::<f64>().ok();
        Some([seconds(from)?, seconds(to)?])
    };
    let segments: Vec<[f64; 2]> = printed.lines().filter_map(segment).collect();
    let truth = std::fs::read_to_string("assets/voice/held_out.txt").expect("it is there");
    let truth: Vec<bool> = truth.lines().map(|line| line.starts_with('1')).collect();
    let speech = truth.iter().filter(|&&speech| speech).count();
    assert!(truth.len() == 250 && (50..200).contains(&speech), "{speech} of {} chunks", truth.len());
    let right = truth.iter().enumerate().filter(|&(chunk, &speech)| {
        let middle = (chunk as f64 + 0.5) * 0.032;
        speech == segments.iter().any(|&[from, to]| from < middle && middle < to)
    });
    let right = right.count();
    assert!(right >= 235, "{right} of 250 chunks: {printed}");
    assert!(printed.contains("250 chunks of 32 ms"), "{printed}");
    let error = program("voice_activity").arg("nothing.wav").output().expect("it runs");
    assert!(!error.status.success() && String::from_utf8_lossy(&error.stderr).contains("nothing.wav"));
}

/// Returns the picture that an example draws without a window, and its output.
#[cfg(feature = "image")]
fn drawn(example: &str, option: &str, name: &str, arguments: &[&str]) -> (image::RgbImage, String) {
    let to = std::env::temp_dir().join(format!("shadernet-{name}-{}.png", std::process::id()));
    let all = [&[option, to.to_str().expect("a path of letters")], arguments].concat();
    let printed = run(example, &all);
    let picture = image::open(&to).expect("it was written").into_rgb8();
    std::fs::remove_file(&to).expect("it is there");
    (picture, printed)
}

#[cfg(feature = "image")]
fn filtered(name: &str, arguments: &[&str]) -> (image::RgbImage, String) {
    drawn("window_filter", "--headless", name, arguments)
}

/// Returns the mean difference of neighbouring pixels: a sharper picture has a larger one.
#[cfg(feature = "image")]
fn contrast(picture: &image::RgbImage) -> f64 {
    let rows = picture.rows().flat_map(|row| {
        let row: Vec<_> = row.collect();
        row.windows(2).map(|pair| f64::from(pair[0][1].abs_diff(pair[1][1]))).collect::<Vec<_>>()
    });
    rows.sum::<f64>() / f64::from(picture.width() * picture.height())
}

#[test]
#[cfg(feature = "image")]
fn a_network_is_in_the_picture() {
    let drawn = |name: &str, arguments: &[&str]| {
        let (picture, _) = filtered(name, &[&["--size", "192x128", "--no-panel"], arguments].concat());
        assert_eq!(picture.dimensions(), (192, 128));
        picture
    };
    let network = drawn("network", &["--frames", "2", "--line", "0"]);
    let stretched = drawn("stretched", &["--frames", "2", "--line", "1"]);
    let (sharp, soft) = (contrast(&network), contrast(&stretched));
    assert!(soft > 1.0 && sharp > 1.1 * soft, "the network {sharp:.2}, stretched {soft:.2}");
    // Both pictures show the same scene, left and right of the line.
    let both = drawn("both", &["--frames", "2"]);
    for (x, y, pixel) in both.enumerate_pixels().filter(|(x, ..)| !(94..96).contains(x)) {
        let of = if x < 96 { &stretched } else { &network };
        assert_eq!(pixel, of.get_pixel(x, y), "{x}, {y}");
        let others = [network.get_pixel(x, y), stretched.get_pixel(x, y)];
        let far = (0..3).any(|c| others[0][c].abs_diff(others[1][c]) > 128);
        assert!(!far, "{x}, {y}: {others:?}");
    }
    assert!(drawn("later", &["--frames", "9"]) != both, "nothing moves");
    // The first picture is shown while the second is computed slice by slice.
    let first = drawn("first", &["--frames", "1", "--line", "0"]);
    let waiting = drawn("waiting", &["--frames", "2", "--line", "0", "--budget", "0.001"]);
    assert!(waiting == first && first != network, "the network didn't wait");
}

#[test]
#[cfg(feature = "image")]
fn a_picture_takes_several_frames_within_a_budget() {
    let (whole, printed) = filtered("whole", &["--size", "600x96", "--frames", "1"]);
    assert!(printed.contains("a picture every 1 frames"), "{printed}");
    // The panel is beside the picture: most of it is dark, with white writing.
    let panel: Vec<u8> = whole.enumerate_pixels().filter(|(x, ..)| *x >= 352).map(|(.., pixel)| pixel[1]).collect();
    let share = |wanted: fn(u8) -> bool| panel.iter().filter(|&&g| wanted(g)).count() as f64 / panel.len() as f64;
    assert!(share(|g| g < 60) > 0.6 && share(|g| g > 200) > 0.005, "the panel is missing");

    let (_, printed) = filtered("sliced", &["--size", "64x48", "--budget", "0.001", "--frames", "60", "--no-panel"]);
    let frames = printed.split_once("every ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    assert!(frames.is_some_and(|frames: u32| frames > 1), "{printed}");
}

#[test]
#[cfg(feature = "image")]
fn wrong_options_are_named() {
    for (arguments, said) in [
        (&["--size", "12"][..], "WIDTHxHEIGHT"),
        (&["--size", "0x9"], "the width is 0"),
        (&["--budget", "NaN"], "--budget is NaN"),
        (&["--frames"], "--frames lacks"),
        (&["--fullscreen"], "--no-panel"),
    ] {
        let output = program("window_filter").args(arguments).output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(said), "{arguments:?}: {errors}");
    }
    for (arguments, said) in [
        (&["--size", "64"][..], "WIDTHxHEIGHT"),
        (&["--samples", "0"], "--samples is 0"),
        (&["--line", "NaN"], "--line is NaN"),
        (&["--scene", "-1"], "--scene is -1"),
        (&["--output"], "--output lacks"),
        (&["--output", "picture.bmp"], "--output picture.bmp: a name that ends in .png is wanted"),
        (&["--output", "no/such/folder/picture.png"], "--output no/such/folder/picture.png: "),
        (&["--fullscreen"], "--dataset"),
    ] {
        let output = program("path_tracer").args(arguments).output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(said), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_video_is_timed() {
    let printed = run("video_pipeline", &["50"]);
    let rows: Vec<&str> = printed.lines().skip(2).collect();
    assert_eq!(rows.len(), 6, "{printed}");
    for row in rows {
        let figures: Vec<f64> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [in_flight, p50, p90, rate] = figures[..] else { panic!("{printed}") };
        assert!((1.0..=3.0).contains(&in_flight) && 0.0 < p50 && p50 <= p90 && p90 < 1e5 && rate > 0.1, "{printed}");
        assert!(rate.is_finite(), "{printed}");
    }
}
