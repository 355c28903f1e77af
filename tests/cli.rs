//! The built command: its output, its files, its failures.
#![cfg(feature = "cli")]

use image::imageops::{FilterType, resize};
use image::{ImageFormat, RgbImage};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};
use serde_json::Value;
use shadernet::import::npy;
use shadernet::{Shape, Weights, seeded_input};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SEVEN: &str = "assets/digits/seven.png";

/// A temporary folder of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Returns the path of a file in the folder.
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), bytes).unwrap();
        self.path(name)
    }

    fn write_npy(&self, name: &str, shape: &[usize], values: &[f32]) -> String {
        npy::write(&self.0.join(name), shape, values).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadernet"));
    // Without a run-time directory, Mesa's drivers write to standard error. The cache goes to this folder too.
    let folder = env!("CARGO_TARGET_TMPDIR");
    command.args(args).env("XDG_RUNTIME_DIR", folder).env("XDG_CACHE_HOME", folder).env_remove("RUST_LOG");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Returns the output of a successful run.
fn prints(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(args).output().unwrap();
    assert!(status.success() && stderr.is_empty(), "{args:?}: {status}\n{}", text(&stderr));
    text(&stdout).to_owned()
}

/// Checks that a run fails with one line that contains all of `what`.
fn fails(args: &[&str], what: &[&str]) {
    fails_with(&mut command(args), what);
}

fn fails_with(command: &mut Command, what: &[&str]) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let stderr = text(&stderr);
    assert_eq!(status.code(), Some(1), "{command:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.trim_end().lines().count() == 1, "{command:?}: {stderr}");
    for what in what {
        assert!(stderr.contains(what), "{command:?}: \"{what}\" isn't in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
}

/// Returns the first `count` held-out digits, and PyTorch's logits for them.
fn digits(count: usize) -> (Vec<f32>, Vec<f32>) {
    let test = Weights::open("assets/digits/test.safetensors").unwrap();
    let get = |name: &str, shape: &[usize]| test.get(name, shape).unwrap().values();
    (get("images", &[360, 1, 8, 8])[..count * 64].to_vec(), get("logits", &[360, 10])[..count * 10].to_vec())
}

fn assert_close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= 1e-4 * (1.0 + expected.abs()), "{i}: {got}, expected {expected}");
    }
}

#[test]
fn each_subcommand_explains_itself() {
    for name in ["devices", "run", "summary", "bench", "profile", "tune", "compare", "selftest", "demo"] {
        assert!(prints(&[name, "--help"]).contains(&format!("Usage: shadernet {name}")));
        assert!(prints(&["--help"]).contains(name));
    }
    assert!(prints(&["bench", "--help"]).contains("mobilenet_v2"));
    assert_eq!(command(&["run", "digits"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn devices_marks_the_one_that_is_taken() {
    let all = prints(&["devices"]);
    assert_eq!(all.lines().filter(|line| line.starts_with("* ")).count(), 1, "{all}");
    for what in ["driver", "kernel profile", "subgroups", "f16", "timestamps", "max buffer", "max texture"] {
        assert!(all.contains(what), "{what} isn't in:\n{all}");
    }
    fails(&["devices", "--adapter", "abacus"], &["no GPU adapter", "abacus"]);
    let logging = command(&["devices"]).env("RUST_LOG", "debug").output().unwrap();
    assert!(!logging.stderr.is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_it_says_how_to_get_one() {
    for args in [&["devices"][..], &["run", "digits", "--input", SEVEN], &["bench", "digits"], &["demo"]] {
        let mut command = command(args);
        command.env("VK_ICD_FILENAMES", "/nonexistent").env("VK_DRIVER_FILES", "/nonexistent");
        fails_with(&mut command, &["no GPU adapter", "install a Vulkan driver"]);
    }
}

#[test]
fn summary_counts_as_the_lecture_does() {
    let json: Value = serde_json::from_str(&prints(&["summary", "alexnet_original", "--json"])).unwrap();
    assert_eq!((&json["schema"], &json["environment"]), (&"shadernet-report".into(), &Value::Null));
    let summary = &json["summary"];
    for (what, expected) in [
        ("weights", 60_954_656),
        ("parameters", 60_965_224),
        ("macs", 724_406_816),
        ("activations_total", 932_264),
        ("activations_peak", 440_928),
    ] {
        assert_eq!(summary[what], expected, "{what}");
    }
    let first = &summary["layers"][0];
    assert_eq!((&first["name"], &first["op"]), (&"features.0".into(), &"conv2d".into()));
    assert_eq!(first["output_shape"], serde_json::json!([1, 96, 55, 55]));
    assert_eq!((&first["cost"]["parameters"], &first["cost"]["macs"]), (&34_944.into(), &105_415_200.into()));

    let table = prints(&["summary", "alexnet_original", "--batch", "2"]);
    for what in ["classifier.6", "[2, 96, 55, 55]", "60,954,656", "1,448,813,632", "1,864,528", "243,860,896"] {
        assert!(table.contains(what), "{what} isn't in:\n{table}");
    }
    // Beside the exact totals: short numbers, receptive fields, a plan's allocations, model sizes, the energy estimate.
    for what in [
        "51x51 /8 @-18",
        "115.14",
        "2,910,808,208",
        "13,180,944 beside",
        "60,965,224 bytes",
        "is allocated",
        "not a measurement",
    ] {
        assert!(table.contains(what), "{what} isn't in:\n{table}");
    }
    for network in ["resnet50", "vit_b_16"] {
        let table = prints(&["summary", network]);
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 148), "{widest:?} columns:\n{table}");
    }
    let huge = prints(&["summary", "vgg16", "--batch", "65536"]);
    assert!(huge.contains("what is allocated") && huge.contains("needs"), "{huge}");
    assert!(prints(&["summary", "resnet50", "--size", "64x96"]).contains("[1, 64, 32, 48]"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        command(&["summary", "resnet152", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert!(status.success() && stderr.is_empty(), "{status}: {}", text(&stderr));
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
fn the_portable_kernels_can_be_asked_for() {
    let devices = prints(&["devices", "--portable"]);
    let taken = devices.split_once("* ").expect("one is taken").1;
    let profile = taken.lines().find(|line| line.contains("kernel profile")).expect("it has a profile");
    assert!(profile.ends_with(" portable"), "{devices}");
    assert!(prints(&["run", "digits", "--portable", "--input", SEVEN, "--top", "1"]).starts_with("digit 7 "));
}

#[test]
fn the_self_test_tells_what_it_found() {
    let folder = Folder::new("selftest");
    let path = folder.path("report.json");
    let said = prints(&["selftest", "--op", "softmax", "--json", &path]);
    assert!(said.starts_with("softmax ") && said.ends_with(": passed\n"), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(report["passed"] == true && report["ops"][0]["op"] == "softmax", "{report}");
    assert!(report["ops"][0]["cases"].as_u64().unwrap() > 20, "{report}");
    let portable = prints(&["selftest", "--op", "softmax", "--quick", "--portable"]);
    assert!(portable.contains("tiers: portable\n"), "{portable}");

    // The command can fail.
    let args = ["selftest", "--op", "softmax", "--quick", "--sabotage", "softmax", "--json", &path];
    fails(&args, &["this adapter computes wrong results"]);
    let said = command(&args).output().unwrap();
    assert!(text(&said.stdout).ends_with(": FAILED in softmax\n"), "{}", text(&said.stdout));
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let failure = &report["ops"][0]["failures"][0];
    assert!(report["passed"] == false && failure["kernel"].as_str().unwrap().starts_with("softmax "), "{report}");

    fails(&["selftest", "--op", "hardmax"], &["op: wanted one of activation, ", "got hardmax"]);
    fails(&["selftest", "--op", "softmax", "--quick", "--json", "no/such/folder.json"], &["no/such/folder.json"]);
}

#[test]
fn bench_measures_each_batch_with_each_number_of_frames_in_flight() {
    let folder = Folder::new("bench");
    let (path, frames) = (folder.path("bench.json"), ["--frames", "5", "--json"]);
    let said = prints(&[&["bench", "digits", "--batch", "1,4", "--seed", "1"], &frames[..], &[&path]].concat());
    for what in ["adapter: ", "made up", "p50 ms", "images/s", "first ms", "first inference, batch 4: "] {
        assert!(said.contains(what), "{what} isn't in:\n{said}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["network"]["name"], "digits");
    let environment = &json["environment"];
    assert!(["adapter", "driver", "backend", "version"].iter().all(|what| environment[what].is_string()), "{json:#}");
    let mut rows = Vec::new();
    for at in json["bench"]["batches"].as_array().unwrap() {
        let number = |value: &Value| value.as_f64().filter(|&number| number > 0.0).unwrap();
        for row in at["in_flight"].as_array().unwrap() {
            rows.push((at["batch"].as_u64().unwrap(), row["in_flight"].as_u64().unwrap()));
            let latency = &row["latency_ms"];
            assert_eq!(latency["count"], 5, "{row:#}");
            let [min, p50, p90, p99] = ["min", "p50", "p90", "p99"].map(|what| number(&latency[what]));
            assert!(min <= p50 && p50 <= p90 && p90 <= p99, "{row:#}");
            assert!(number(&row["throughput"]) > 1.0 && number(&at["first_ms"]) > min, "{row:#}");
        }
    }
    assert_eq!(rows, [(1, 1), (1, 2), (4, 1), (4, 2)]);
    // A report contains everything that the page shows.
    for part in ["peaks", "profile", "activations", "summary"] {
        assert!(json[part].is_object(), "{part}: {json:#}");
    }
    assert_eq!(json["answers"].as_array().unwrap().len(), 2);
    // On standard output, the report replaces the tables.
    let text = prints(&["bench", "digits", "--frames", "5", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["schema"], "shadernet-report");

    let said =
        prints(&["bench", "digits", "--latency-bound", "1000", "--in-flight", "1", "--frames", "5", "--batch", "2,8"]);
    assert!(said.contains("if a frame may take 1000.0 ms? batch "), "{said}");
}

#[test]
fn profile_writes_tables_a_page_and_a_trace() {
    let folder = Folder::new("profile");
    let [json, html, trace] = ["p.json", "p.html", "p.trace"].map(|name| folder.path(name));
    let args =
        ["profile", "digits", "--batch", "2", "--frames", "5", "--json", &json, "--html", &html, "--trace", &trace];
    let said = prints(&args);
    for what in ["x floor", "conv1", "a whole frame", "launch share", "timed by", "FMA "] {
        assert!(said.contains(what), "{what} isn't in:\n{said}");
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let report: Value = serde_json::from_str(&read(&json)).unwrap();
    let steps = report["profile"]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["ms"].as_f64().unwrap() > 0.0), "{steps:?}");
    assert_eq!(report["profile"]["batch"], 2);
    let page = read(&html);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg") && page.contains("digits"), "{page}");
    let events: Value = serde_json::from_str(&read(&trace)).unwrap();
    let timed = events["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").count();
    // The trace has the steps, and the frame on a track of its own.
    assert_eq!(timed, steps.len() + 1);
    // A report of another process, compared with itself, shows nothing beyond noise.
    let same = prints(&["compare", &json, &json]);
    assert!(same.contains("within noise") && !same.contains("slower"), "{same}");

    let devices = prints(&["devices", "--peaks"]);
    assert!(devices.contains("GFLOP/s in f32"), "{devices}");
}

/// The digits' layers have several kernels on every GPU. Which one is fastest depends on the device.
#[test]
fn tune_says_what_it_found_and_keeps_it() {
    let folder = Folder::new("tune");
    let tune = |more: &[&str]| {
        let mut command = command(&[&["tune", "digits", "--portable"], more].concat());
        command.env("XDG_CACHE_HOME", folder.path("")).env("HOME", folder.path(""));
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert!(status.success() && stderr.is_empty(), "{more:?}: {}", text(&stderr));
        text(&stdout).to_owned()
    };
    let said = tune(&["--budget", "30", "--batch", "2"]);
    for what in ["adapter: ", "| linear [2, ", "gemv", "rounds: ", "kept in ", "tuned-"] {
        assert!(said.contains(what), "{what} isn't in:\n{said}");
    }
    let path = said.lines().last().and_then(|line| line.strip_prefix("kept in ")).unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let problems = kept["problems"].as_object().unwrap();
    let (name, tuned) = problems.iter().find(|(name, _)| name.starts_with("linear [2, ")).unwrap();
    let times = tuned["ms"].as_object().unwrap();
    assert!(times.len() >= 2 && times.values().all(|ms| ms.as_f64().is_some_and(|ms| ms > 0.0)), "{kept:#}");
    // The choice is used, and reported. Here, a file names the choice.
    let other = times.keys().find(|kernel| !kernel.starts_with("gemv")).unwrap();
    let chosen = Value::from(other.as_str());
    let mut changed = kept.clone();
    changed["problems"][name]["kernel"] = chosen;
    assert!(tuned["kernel"].is_string());
    std::fs::write(path, changed.to_string()).unwrap();
    let profile = |more: &[&str]| {
        let mut command =
            command(&[&["profile", "digits", "--portable", "--batch", "2", "--frames", "5"], more].concat());
        text(&command.env("XDG_CACHE_HOME", folder.path("")).env("HOME", folder.path("")).output().unwrap().stdout)
            .to_owned()
    };
    let said = profile(&[]);
    assert!(said.contains("; tuned: "), "{said}");
    assert!(!profile(&["--no-cache"]).contains("tuned"));
    let said = tune(&["--budget", "0.001"]);
    assert!(said.contains("the time was up") && !said.contains("kept in"), "{said}");
    assert!(tune(&["--no-cache", "--budget", "0.001"]).contains("kept nowhere"));
    fails(&["tune", "digits", "--budget", "0"], &["--budget", "0.001 to 86400"]);
    fails(&["tune", "digits", "--batch", "0"], &["--batch", "1 to"]);
    fails(&["tune", "abacus"], &["abacus"]);
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
}

/// Returns a file of the digits' network with one tensor changed or left out.
fn changed(folder: &Folder, name: &str, change: impl Fn(&str, Vec<usize>) -> Option<Vec<usize>>) -> String {
    let bytes = std::fs::read("assets/digits/digits.safetensors").unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let kept: HashMap<String, TensorView> = tensors
        .tensors()
        .into_iter()
        .filter_map(|(name, view)| {
            let shape = change(&name, view.shape().to_vec())?;
            Some((name, TensorView::new(view.dtype(), shape, view.data()).unwrap()))
        })
        .collect();
    serialize_to_file(kept, None, &folder.0.join(name)).unwrap();
    folder.path(name)
}

#[test]
fn what_is_wrong_is_said_in_one_line_and_nothing_is_left_behind() {
    let folder = Folder::new("wrong");
    let (images, _) = digits(1);
    let weights = std::fs::read("assets/digits/digits.safetensors").unwrap();
    let truncated = folder.write("truncated.safetensors", &weights[..weights.len() - 100]);
    let empty = folder.write("empty.safetensors", []);
    let missing = changed(&folder, "missing.safetensors", |name, shape| (name != "fc.bias").then_some(shape));
    let misshapen = changed(&folder, "misshapen.safetensors", |name, shape| {
        Some(if name == "fc.bias" { vec![1, 10] } else { shape })
    });
    let text_png = folder.write("text.png", "no image");
    let text_npy = folder.write("text.npy", "no array");
    let half_png = folder.write("half.png", &std::fs::read("assets/upscale/photo.png").unwrap()[..999]);
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 8, 8), }\n";
    let f64s = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes(), &[0; 512]].concat();
    let f64s = folder.write("f64.npy", f64s);
    let colour = folder.write_npy("colour.npy", &[1, 3, 8, 8], &images.repeat(3));
    let flat = folder.write_npy("flat.npy", &[64], &images);
    let none = folder.write_npy("none.npy", &[0, 1, 8, 8], &[]);
    let two = folder.write_npy("two.npy", &[2, 1, 8, 8], &images.repeat(2));
    let with = |value: f32| [&images[..9], &[value], &images[10..]].concat();
    let nan = folder.write_npy("nan.npy", &[1, 1, 8, 8], &with(f32::NAN));
    let inf = folder.write_npy("inf.npy", &[1, 8, 8], &with(f32::INFINITY));
    let tiny = folder.write_npy("tiny.npy", &[3, 1, 1], &[0.0; 3]);

    for (args, what) in [
        (&["digits", "--input", SEVEN, "--weights", &truncated][..], &["truncated.safetensors"][..]),
        (&["digits", "--input", SEVEN, "--weights", &empty], &["empty.safetensors"]),
        (&["digits", "--input", SEVEN, "--weights", SEVEN], &["seven.png", "safetensors"]),
        (&["digits", "--input", SEVEN, "--weights", "none.safetensors"], &["none.safetensors"]),
        (&["digits", "--input", SEVEN, "--weights", &missing], &["missing.safetensors", "fc.bias", "[10]"]),
        (
            &["digits", "--input", SEVEN, "--weights", &misshapen],
            &["misshapen.safetensors", "fc.bias", "[10]", "[1, 10]"],
        ),
        (&["digits", "--input", "none.png"], &["none.png"]),
        (&["digits", "--input", "none.npy"], &["none.npy"]),
        (&["digits", "--input", &text_png], &["text.png", "image"]),
        (&["digits", "--input", &text_npy], &["text.npy", ".npy"]),
        (&["upscale", "--input", &half_png], &["half.png", "image"]),
        (&["digits", "--input", &f64s], &["f64.npy", "float32", "<f8"]),
        (&["digits", "--input", &colour], &["colour.npy", "[N, 1, H, W]", "[1, 3, 8, 8]"]),
        (&["digits", "--input", &flat], &["flat.npy", "[64]"]),
        (&["digits", "--input", &none], &["none.npy", "[0, 1, 8, 8]"]),
        (&["digits", "--input", &nan], &["nan.npy", "NaN", "[0, 0, 1, 1]"]),
        (&["digits", "--input", &inf], &["inf.npy", "inf", "[0, 1, 1]"]),
        (&["digits", "--input", &format!("picture={SEVEN}")], &["--input", "image", "picture"]),
        (&["digits", "--input", SEVEN, "--input", SEVEN], &["--input", "one"]),
        (&["digits", "--input", SEVEN, "--batch", "0"], &["--batch", "0"]),
        (&["digits", "--input", SEVEN, "--batch", "65537"], &["--batch", "65537"]),
        (&["digits", "--input", &two, "--batch", "3"], &["--batch", "two.npy", "3"]),
        (&["digits", "--input", SEVEN, "--top", "0"], &["--top"]),
        (&["digits", "--input", SEVEN, "--adapter", "abacus"], &["adapter", "abacus"]),
        (&["upscale", "--input", SEVEN, "--top", "5"], &["--top", "upscale"]),
        (&["alexnet", "--input", &tiny], &["conv2d", "height"]),
        (&["resnet50", "--input", SEVEN, "--batch", "65536"], &["image", "max_"]),
        (&["lenet", "--input", SEVEN], &["model", "lenet", "resnet50"]),
    ] {
        let out = folder.path("out");
        fails(&[&["run", "--output", &out], args].concat(), what);
        assert!(!Path::new(&out).exists(), "{args:?}");
    }
    fails(&["run", "digits", "--input", SEVEN, "--output", &text_png], &["text.png"]);
    let json = folder.path("no/bench.json");
    for (args, what) in [
        (&["summary", "lenet"][..], &["model", "lenet"][..]),
        (&["summary", "digits", "--batch", "0"], &["--batch", "0"]),
        (&["summary", "vgg19", "--size", "8x8"], &["max_pool2d", "height"]),
        // A subcommand that uses no adapter refuses a choice of one.
        (&["summary", "digits", "--adapter", "abacus"], &["--adapter", "summary"]),
        (&["summary", "digits", "--portable"], &["--portable", "summary"]),
        (&["compare", &json, &json, "--no-cache"], &["--no-cache", "compare"]),
        (&["bench", "lenet"], &["model", "lenet"]),
        (&["bench", "digits", "--batch", "1,0"], &["--batch", "0"]),
        (&["bench", "digits", "--in-flight", "0"], &["--in-flight", "0"]),
        (&["bench", "digits", "--frames", "0"], &["--frames", "0"]),
        (&["bench", "digits", "--time", "0"], &["--time", "0"]),
        (&["bench", "digits", "--time", "nan"], &["--time"]),
        (&["profile", "digits", "--batch", "0"], &["--batch", "0"]),
        (&["profile", "lenet"], &["model", "lenet"]),
        (&["bench", "digits", "--weights", &missing], &["fc.bias"]),
        (&["bench", "vgg19", "--size", "16384x16384"], &["features.0", "fewer than 2^31 elements an image"]),
        (&["bench", "digits", "--frames", "1", "--json", &json], &["bench.json"]),
    ] {
        fails(args, what);
    }
    let left: Vec<PathBuf> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.is_file() && path.extension().is_some_and(|e| e != "partial")), "{left:?}");
}
