//! What `shadernet run` takes for the inputs of an ONNX file besides arrays: pictures, sound, numbers.

use super::command::{fails, runs};
use super::model::{BOOL, FLOAT, INT64, Model, Size, UINT8};
use image::{Rgb, RgbImage};
use shadernet::import::{npy, pixels};
use shadernet::{Data, Tensor};
use std::path::{Path, PathBuf};

/// A folder of a test, removed with its files when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("it can be made");
        Folder(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("it is text").to_owned()
    }

    /// Writes a file that gives each input as it is, as `NAME_out`.
    fn network(&self, name: &str, ports: &[(&str, i64, &[Size])]) -> String {
        let model = ports.iter().fold(Model::new(17), |model, (name, element, sizes)| {
            let output = format!("{name}_out");
            model.port(name, *element, sizes).node("Identity", &[name], &[&output], &[]).output(&output)
        });
        std::fs::write(self.path(name), model.bytes()).expect("it can be written");
        self.path(name)
    }

    /// Runs a file and returns what it printed, and an output.
    fn run(&self, args: &[&str], output: &str) -> (String, Tensor) {
        let out = self.path("out");
        let text = runs(&[&["run"], args, &["--output", &out]].concat());
        (text, npy::read_tensor(&self.0.join(format!("out/{output}.npy"))).expect("it was written"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it is there");
    }
}

fn close(tensor: &Tensor, shape: &[usize], expected: &[f32]) {
    assert_eq!(tensor.shape()[..], *shape);
    let got = tensor.to_f32();
    let near = |(got, expected): (&f32, &f32)| (got - expected).abs() < 1e-5;
    assert!(got.len() == expected.len() && got.iter().zip(expected).all(near), "{got:?}, expected {expected:?}");
}

/// Two pixels: red and a dark blue.
fn pixels(folder: &Folder) -> String {
    let picture = RgbImage::from_fn(2, 1, |x, _| if x == 0 { Rgb([255, 0, 51]) } else { Rgb([0, 0, 102]) });
    picture.save(folder.path("pixels.png")).expect("it can be written");
    folder.path("pixels.png")
}

#[test]
fn a_picture_is_an_input() {
    let folder = Folder::new("pictures");
    let picture = pixels(&folder);
    let planes =
        folder.network("planes.onnx", &[("x", FLOAT, &[Size::Named("n"), Size::Of(3), Size::Of(1), Size::Of(2)])]);
    let (text, x) = folder.run(&[&planes, "--input", &picture], "x_out");
    close(&x, &[1, 3, 1, 2], &[1.0, 0.0, 0.0, 0.0, 0.2, 0.4]);
    assert!(text.contains("pixels.png, 2 x 1 pixels: RGB, nchw, 0 to 1\n"), "{text}");
    let (text, x) = folder.run(&[&planes, "--input", &picture, "--bgr", "--range", "-1,1"], "x_out");
    close(&x, &[1, 3, 1, 2], &[-0.6, -0.2, -1.0, -1.0, 1.0, -1.0]);
    assert!(text.contains("BGR, nchw, -1 to 1\n"), "{text}");
    let normal = ["--range", "0,255", "--mean", "100,50,25", "--std", "2"];
    let (_, x) = folder.run(&[&[&planes[..], "--input", &picture], &normal[..]].concat(), "x_out");
    close(&x, &[1, 3, 1, 2], &[77.5, -50.0, -25.0, -25.0, 13.0, 38.5]);

    let bytes = folder.network("bytes.onnx", &[("x", UINT8, &[Size::Of(1), Size::Open, Size::Open, Size::Of(3)])]);
    let tall = RgbImage::from_fn(2, 5, |x, y| Rgb([x as u8, y as u8, 7]));
    tall.save(folder.path("tall.png")).expect("it can be written");
    let (text, x) = folder.run(&[&bytes, "--input", &format!("x={}", folder.path("tall.png"))], "x_out");
    assert!(text.contains("RGB, nhwc, 0 to 255\n"), "{text}");
    assert_eq!(x.shape()[..], [1, 5, 2, 3]);
    assert_eq!(x.to_f32()[..12], [0.0, 0.0, 7.0, 1.0, 0.0, 7.0, 0.0, 1.0, 7.0, 1.0, 1.0, 7.0]);
    // What comes out as a picture is written as one.
    let written = image::open(folder.path("out/x_out.png")).expect("it was written").to_rgb8();
    assert_eq!(written, tall);
}

/// The input's one known side scales a picture, and a batch of several takes an array.
#[test]
fn an_open_side_follows_the_picture() {
    let folder = Folder::new("lines");
    let line = RgbImage::from_fn(10, 4, |x, _| Rgb([25 * x as u8; 3]));
    line.save(folder.path("line.png")).expect("it can be written");
    let picture = folder.path("line.png");
    let sizes = [Size::Of(1), Size::Of(1), Size::Of(8), Size::Named("image_width")];
    let wide = folder.network("wide.onnx", &[("x", FLOAT, &sizes)]);
    let (text, x) = folder.run(&[&wide, "--input", &picture], "x_out");
    assert_eq!(x.shape()[..], [1, 1, 8, 20]);
    assert!(
        text.contains("10 x 4 pixels, scaled by the input's one known side to 20 x 8 pixels: grey, nchw"),
        "{text}"
    );
    let tall = folder.network("tall.onnx", &[("x", FLOAT, &[Size::Named("n"), Size::Open, Size::Of(5), Size::Of(3)])]);
    assert_eq!(folder.run(&[&tall, "--input", &picture], "x_out").1.shape()[..], [1, 2, 5, 3]);
    let ten =
        folder.network("ten.onnx", &[("x", FLOAT, &[Size::Of(10), Size::Of(3), Size::Named("h"), Size::Named("w")])]);
    fails(
        &["run", &ten, "--input", &picture],
        &["line.png", "--input x=FILE.npy, an array of 10 pictures", "x [10, 3, h, w]"],
    );
    let fixed = folder.network("fixed.onnx", &[("x", FLOAT, &[1, 3, 8, 8].map(Size::Of))]);
    let conflict = ["input \"x\": wanted [1, 3, 8, 8], whose numbers the file fixes, got [1, 3, 9, 9]"];
    fails(&["run", &fixed, "--input", &picture, "--shape", "x=1,3,9,9"], &conflict);
    fails(&["inspect", &fixed, "--shape", "x=1,3,9,9"], &conflict);
}

/// Recurrent layers' states leave their batch open, with a name of the input's or without one: both get it.
#[test]
fn a_states_batch_is_the_others() {
    let folder = Folder::new("states");
    for batch in [Size::Open, Size::Named("batch")] {
        let sizes = [Size::Of(2), batch, Size::Of(3)];
        let model = Model::new(17)
            .port("x", FLOAT, &[batch, Size::Open])
            .port("state", FLOAT, &sizes)
            .node("ReduceMax", &["x"], &["most"], &[])
            .node("Add", &["state", "most"], &["stateN"], &[])
            .with(12, &super::model::port("stateN", FLOAT, &sizes));
        let file = folder.path("state.onnx");
        std::fs::write(&file, model.bytes()).expect("it can be written");
        let x = format!("x={}", sound(&folder, &[1.0, 2.0, 3.0, 4.0]));
        let (_, state) = folder.run(&[&file, "--input", &x, "--chunk", "2", "--state", "stateN=state"], "stateN");
        close(&state, &[2, 1, 3], &[6.0; 6]);
        let text = runs(&["inspect", &file]);
        assert!(text.ends_with("--input x=speech.wav --chunk SAMPLES --state stateN=state --output out\n"), "{text}");
    }
    let open = folder.network("open.onnx", &[("h", FLOAT, &[Size::Of(2), Size::Open, Size::Of(3)])]);
    fails(&["run", &open, "--input", "h=zeros"], &["--input h: wanted known sizes: --dim h:1=SIZE"]);
    fails(&["summary", &open], &["wanted a size for \"h:1\" (Bindings::size, --dim h:1=SIZE)"]);
}

/// Sides of 3 and 3 could be channels too: the order is said.
#[test]
fn the_order_and_the_way_to_the_size_can_be_said() {
    let folder = Folder::new("orders");
    let picture = pixels(&folder);
    let square = folder.network("square.onnx", &[("x", FLOAT, &[3, 3, 3].map(Size::Of))]);
    let (_, planes) = folder.run(&[&square, "--input", &picture], "x_out");
    let (text, pixels) = folder.run(&[&square, "--input", &picture, "--layout", "nhwc"], "x_out");
    assert!(text.contains(", stretched to 3 x 3 pixels: RGB, nhwc"), "{text}");
    let (planes, pixels) = (planes.to_f32(), pixels.to_f32());
    for (i, value) in planes.iter().enumerate() {
        assert_eq!(*value, pixels[i % 9 * 3 + i / 9]);
    }
    let (_, fitted) = folder.run(&[&square, "--input", &picture, "--resize", "fit"], "x_out");
    let fitted = fitted.to_f32();
    // Two rows of three have the picture, the third is black.
    assert!(fitted[0] > 0.9 && fitted[3] > 0.9 && fitted[6..9] == [0.0; 3], "{fitted:?}");
    let (_, cropped) = folder.run(&[&square, "--input", &picture, "--resize", "crop"], "x_out");
    let cropped = cropped.to_f32();
    assert!(cropped[..9].iter().all(|&value| value == cropped[0]), "{cropped:?}");
}

#[test]
fn numbers_are_inputs() {
    let folder = Folder::new("numbers");
    let ports: [(&str, i64, &[Size]); 4] = [
        ("ids", INT64, &[Size::Named("n"), Size::Named("length")]),
        ("mask", BOOL, &[Size::Named("n"), Size::Named("length")]),
        ("rate", INT64, &[]),
        ("state", FLOAT, &[Size::Of(2), Size::Named("n"), Size::Of(2)]),
    ];
    let file = folder.network("numbers.onnx", &ports);
    let inputs = ["--input", "mask=ones", "--input", "ids=3,1,2", "--input", "state=zeros", "--input", "rate=16000"];
    let out = folder.path("out");
    runs(&[&["run", &file][..], &inputs, &["--output", &out]].concat());
    let read = |name: &str| npy::read_tensor(&folder.0.join(format!("out/{name}.npy"))).expect("it was written");
    // The first size is the batch of 1. The ids tell the other one, also for the mask.
    assert_eq!(read("ids_out"), Tensor::new([1, 3], vec![3, 1, 2]).unwrap());
    assert_eq!(read("mask_out"), Tensor::new([1, 3], vec![true; 3]).unwrap());
    assert_eq!(read("rate_out"), Tensor::new([0; 0], Data::I32(vec![16000])).unwrap());
    assert_eq!(read("state_out"), Tensor::new([2, 1, 2], vec![0.0; 4]).unwrap());

    let with = |ids: &'static str| {
        ["run", &file, "--input", ids, "--input", "mask=ones", "--input", "state=zeros", "--input", "rate=1"]
    };
    fails(&with("ids=zeros"), &["--input ", ": wanted known sizes: --dim length=SIZE, got ", " [n, length]"]);
    fails(&with("ids=1.5"), &["--input ids", "a file that exists, zeros, ones, or numbers of int64", "\"1.5\""]);
    fails(&with("ids=none.txt"), &["none.txt"]);
    fails(&[&with("ids=1,2")[..], &["--dim", "length=3"]].concat(), &["3 numbers for [1, 3], or one, got 2"]);
    let shaped = [&with("ids=7")[..], &["--shape", "mask=1,4", "--output", &out]].concat();
    runs(&shaped);
    assert_eq!(read("ids_out"), Tensor::new([1, 4], vec![7; 4]).unwrap());
    let bytes = folder.network("bytes.onnx", &[("x", UINT8, &[Size::Named("n")])]);
    fails(&["run", &bytes, "--input", "255,256"], &["input \"x\"", "0 to 255, the range of uint8", "256"]);
    let huge = folder.network("huge.onnx", &[("x", FLOAT, &[Size::Of(1 << 20), Size::Of(1 << 20)])]);
    fails(&["run", &huge, "--input", "zeros"], &["2^28"]);
}

#[test]
fn sound_is_an_input() {
    let folder = Folder::new("sound");
    let path = folder.path("sound.wav");
    let header = hound::WavSpec {
        channels: 2,
        sample_rate: 16000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, header).expect("it can be made");
    for sample in [16384i16, -32768, 8192, 0, 0, 4096] {
        writer.write_sample(sample).expect("it can be written");
    }
    writer.finalize().expect("it can be written");
    let file = folder.network("sound.onnx", &[("x", FLOAT, &[Size::Of(1), Size::Of(2), Size::Named("time")])]);
    let (text, x) = folder.run(&[&file, "--input", &path, "--rate", "16000"], "x_out");
    close(&x, &[1, 2, 3], &[0.5, 0.25, 0.0, -1.0, 0.0, 0.125]);
    assert!(text.contains("sound.wav, 2 x 3 samples, 16000 a second\n"), "{text}");
    fails(&["run", &file, "--input", &path, "--rate", "8000"], &["sound.wav", "8000 samples a second", "16000"]);
    let one = folder.network("one.onnx", &[("x", FLOAT, &[Size::Named("time")])]);
    fails(&["run", &one, "--input", &path], &["sound.wav", "[T] of one channel", "x [time] for 2 channels"]);
    let batch = folder.network("batch.onnx", &[("x", FLOAT, &[Size::Named("n"), Size::Named("time")])]);
    fails(&["run", &batch, "--input", &path], &["sound.wav", "x [n, time] for 2 channels"]);
    let short = folder.network("short.onnx", &[("x", FLOAT, &[1, 2, 2].map(Size::Of))]);
    fails(&["run", &short, "--input", &path], &["input \"x\"", "[1, 2, 2]", "[1, 2, 3]"]);
    std::fs::write(&path, "no sound").expect("it can be written");
    fails(&["run", &file, "--input", &path], &["sound.wav", "not a .wav file"]);
}

/// Writes 32-bit samples of one channel.
fn sound(folder: &Folder, samples: &[f32]) -> String {
    let (channels, sample_rate, bits_per_sample) = (1, 16000, 32);
    let header = hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format: hound::SampleFormat::Float };
    let mut writer = hound::WavWriter::create(folder.path("mono.wav"), header).expect("it can be made");
    samples.iter().for_each(|&sample| writer.write_sample(sample).expect("it can be written"));
    writer.finalize().expect("it can be written");
    folder.path("mono.wav")
}

/// A batch of no pictures has no first one.
#[test]
fn nothing_is_no_picture() {
    let nothing = Tensor::new([0, 3, 4, 4], Data::F32(Vec::new())).expect("it has no numbers");
    assert!(pixels::picture(&nothing).is_none());
}

/// The places of the samples that aren't 0: a size that each chunk decides anew.
#[test]
fn each_chunk_decides_sizes_by_its_own_values() {
    let folder = Folder::new("deciding");
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Of(1), Size::Named("time")])
        .node("NonZero", &["x"], &["places"], &[])
        .node("Add", &["x", "x"], &["twice"], &[])
        .output("twice")
        .with(12, &super::model::port("places", INT64, &[]));
    let file = folder.path("places.onnx");
    std::fs::write(&file, model.bytes()).expect("it can be written");
    let x = format!("x={}", sound(&folder, &[1.0, 0.0, 3.0, 0.0, 5.0, 6.0]));
    let (_, twice) = folder.run(&[&file, "--input", &x, "--chunk", "3"], "twice");
    close(&twice, &[2, 1, 3], &[2.0, 0.0, 6.0, 0.0, 10.0, 12.0]);
    let x = format!("x={}", sound(&folder, &[1.0, 0.0, 3.0, 4.0, 5.0, 6.0]));
    fails(&["run", &file, "--input", &x, "--chunk", "3"], &["\"places\" of chunk 1", "[2, 2]", "[2, 3]"]);
}

/// Sums up all samples so far: the sum of a chunk and the state, which becomes the next state.
#[test]
fn a_state_is_carried_from_chunk_to_chunk() {
    let folder = Folder::new("chunks");
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Of(1), Size::Named("time")])
        .typed("state", FLOAT, &[1, 1])
        .typed("count", INT64, &[1])
        .node("ReduceSum", &["x"], &["sum"], &[super::model::int("keepdims", 1)])
        .node("Add", &["sum", "state"], &["total"], &[])
        .node("Identity", &["total"], &["next"], &[])
        .output("total")
        .output("next");
    let file = folder.path("total.onnx");
    std::fs::write(&file, model.bytes()).expect("it can be written");
    let path = sound(&folder, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let x = format!("x={path}");
    let args = [&file[..], "--input", &x, "--input", "count=0", "--state", "next=state"];
    let (text, total) = folder.run(&[&args[..], &["--chunk", "3"]].concat(), "total");
    close(&total, &[3, 1, 1], &[6.0, 21.0, 28.0]);
    assert!(
        text.contains("1 x 7 samples, 16000 a second, 3 chunks of 3\n") && text.contains("first chunk: "),
        "{text}"
    );
    let (_, total) = folder.run(&[&args[..], &["--chunk", "3", "--hop", "2"]].concat(), "total");
    close(&total, &[3, 1, 1], &[6.0, 18.0, 36.0]);
    let (_, total) = folder.run(&[&args[..], &["--chunk", "9"]].concat(), "total");
    close(&total, &[1, 1, 1], &[28.0]);
    // A carried output is as the last chunk left it.
    let (_, next) = folder.run(&[&args[..], &["--chunk", "3"]].concat(), "next");
    close(&next, &[1, 1], &[28.0]);
    let text = runs(&[&["run"], &args[..], &["--chunk", "3"]].concat());
    assert!(text.contains("total float [3, 1, 1]\nnext float [1, 1]\n"), "{text}");

    let fail = |more: &[&str], what: &[&str]| {
        fails(&[&["run", &file, "--input", &x, "--chunk", "3"], more].concat(), what);
    };
    fail(&["--input", "count=0", "--state", "nothing=state"], &["output", "\"next\", \"total\"", "\"nothing\""]);
    fail(&["--input", "count=0", "--state", "next=nothing"], &["state=FILE"]);
    fail(&["--input", "count=0", "--state", "state=next"], &["--state", "next=state, the output first", "state=next"]);
    fail(&["--input", "state=0", "--state", "next=count"], &["state \"count\"", "floating-point", "int64"]);
    fail(&["--input", "count=0", "--input", "state=0", "--state", "next=state"], &["--state carries", "state"]);
    fail(&["--input", "count=0", "--state", "next"], &["OUTPUT=INPUT"]);
    fail(&["--input", "count=0", "--state", "next=state", "--top", "1"], &["--top", "--chunk"]);
    fails(&[&["run"], &args[..], &["--chunk", "0"]].concat(), &["--chunk", "1 to 2^28"]);
    fails(&[&["run"], &args[..]].concat(), &["not provided", "--chunk <SAMPLES>"]);
    fails(
        &["run", &file, "--input", "x=1", "--input", "count=0", "--input", "state=0", "--chunk", "1"],
        &["--chunk", ".wav"],
    );
}

#[test]
fn classes_have_names() {
    let folder = Folder::new("labels");
    let file = folder.network("labels.onnx", &[("x", FLOAT, &[Size::Of(1), Size::Of(3)])]);
    std::fs::write(folder.path("labels.txt"), "cat\ndog\nbird\n").expect("it can be written");
    let args = ["run", &file, "--input", "x=0,9,1", "--top", "2", "--labels", &folder.path("labels.txt")];
    let text = runs(&args);
    assert!(text.contains("class 1     99.95 %  dog\nclass 2      0.03 %  bird\n"), "{text}");
    std::fs::write(folder.path("labels.txt"), "cat\ndog\n").expect("it can be written");
    fails(&args, &["--labels", "3 lines", "got 2"]);
}

#[test]
fn what_is_no_picture_is_refused() {
    let folder = Folder::new("no-pictures");
    let picture = pixels(&folder);
    for (name, element, sizes) in
        [("rank.onnx", FLOAT, &[2, 3][..]), ("channels.onnx", FLOAT, &[1, 2, 8, 8]), ("bool.onnx", BOOL, &[1, 3, 8, 8])]
    {
        let file =
            folder.network(name, &[("x", element, &sizes.iter().map(|&size| Size::Of(size)).collect::<Vec<_>>())]);
        fails(&["run", &file, "--input", &picture], &["pixels.png", "[N, C, H, W] or [N, H, W, C]", "x ["]);
    }
    let file = folder.network("good.onnx", &[("x", FLOAT, &[1, 3, 8, 8].map(Size::Of))]);
    let run = |options: &[&'static str]| [&["run", &file, "--input", &picture], options].concat();
    fails(&run(&["--mean", "1,2"]), &["--mean", "3 channels", "got 2"]);
    fails(&run(&["--std", "0"]), &["--std", "other than 0"]);
    fails(&run(&["--range", "1"]), &["--range", "LOW,HIGH"]);
    fails(&run(&["--std", "nan"]), &["--std", "finite"]);
    fails(&["run", "digits", "--input", &picture, "--bgr"], &["--bgr", "an ONNX file", "digits"]);
    fails(&["summary", "resnet18", "--shape", "x=1,2"], &["--shape", "an ONNX file"]);
    fails(&["summary", &file, "--shape", "x=1,a"], &["NAME=SIZES"]);
}

/// Measurements and costs take the values that sizes depend on.
#[test]
fn values_decide_sizes_of_what_is_measured() {
    let folder = Folder::new("values");
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Named("n"), Size::Named("length")])
        .typed("shape", INT64, &[2])
        .node("Reshape", &["x", "shape"], &["rows"], &[])
        .node("Relu", &["rows"], &["y"], &[])
        .output("y");
    let file = folder.path("values.onnx");
    std::fs::write(&file, model.bytes()).expect("it can be written");
    let x = folder.path("x.npy");
    npy::write(Path::new(&x), &[1, 12], &[0.5f32; 12]).expect("it can be written");
    let array = format!("x={x}");
    let text = runs(&["summary", &file, "--input", &array, "--input", "shape=3,4"]);
    assert!(text.contains("3x4") || text.contains("[3, 4]"), "{text}");
    let quick = ["--frames", "1", "--input", "shape=3,4", "--shape", "x=1,12"];
    for subcommand in ["bench", "profile"] {
        runs(&[&[subcommand, &file][..], &quick].concat());
        fails(&[subcommand, &file, "--frames", "1", "--dim", "length=12"], &["input \"shape\": give its values"]);
        fails(&[&[subcommand, &file][..], &quick, &["--input", "shape=1,1"]].concat(), &["--input", "each input once"]);
    }
    fails(&["summary", &file, "--dim", "length=12", "--input", "shape=5,5"], &["Reshape", "12"]);
    fails(&["summary", &file, "--input", "x=photo.png"], &["arrays or numbers", "photo.png"]);
    fails(&["summary", "resnet18", "--input", "zeros"], &["--input", "an ONNX file"]);
    for (name, what) in [("x.webp", ".png, .jpg and .jpeg"), ("x.flac", ".wav")] {
        fails(&["run", &file, "--input", &format!("x={name}"), "--input", "shape=3,4"], &[name, what]);
    }
}
