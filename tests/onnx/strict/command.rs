//! `shadernet run model.onnx` and the subcommands that measure.

use super::model::{FLOAT, INT64, Message, Model, Size, floats, int, list, longs, node_of, port, raw};
use shadernet::import::npy;
use shadernet::{Shape, Tensor};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn shadernet(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadernet"));
    let folder = env!("CARGO_TARGET_TMPDIR");
    command.args(args).env("XDG_RUNTIME_DIR", folder).env("XDG_CACHE_HOME", folder).env_remove("RUST_LOG");
    command.output().expect("the command is built")
}

pub(crate) fn runs(args: &[&str]) -> String {
    let output = shadernet(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

pub(crate) fn fails(args: &[&str], what: &[&str]) {
    let output = shadernet(args);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && what.iter().all(|what| message.contains(what)), "{args:?}: {message}");
}

/// Writes a layer over any number of rows of 3, the index of the larger of its two results, and the reshaped input.
fn network(folder: &Path) -> String {
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Named("rows"), Size::Of(3)])
        .typed("shape", INT64, &[2])
        .initialiser(&floats("w", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]))
        .node("MatMul", &["x", "w"], &["scores/1"], &[])
        .node("ArgMax", &["scores/1"], &["best"], &[int("axis", 1), int("keepdims", 0)])
        .node("Reshape", &["x", "shape"], &["again"], &[])
        .output("scores/1")
        .with(12, &port("best", INT64, &[]))
        .output("again");
    let path = folder.join("network.onnx");
    std::fs::write(&path, model.bytes()).expect("it can be written");
    path.to_str().expect("it is text").to_owned()
}

#[test]
fn a_file_runs_and_is_measured() {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-command-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let path = |name: &str| folder.join(name).to_str().expect("it is text").to_owned();
    let file = network(&folder);
    npy::write(Path::new(&path("x.npy")), &[2, 3], &[1.0f32, 2.0, 3.0, 9.0, 5.0, 6.0]).expect("it can be written");
    npy::write(Path::new(&path("shape.npy")), &[2], &[3i64, -1]).expect("it can be written");
    std::fs::write(path("shape.pb"), &list("", &[3, -1]).0).expect("it can be written");

    let (x, out) = (format!("x={}", path("x.npy")), path("out"));
    for shape in ["shape.npy", "shape.pb"] {
        let shape = format!("shape={}", path(shape));
        let text = runs(&["run", &file, "--input", &x, "--input", &shape, "--output", &out, "--top", "1"]);
        assert!(text.contains("scores_1.npy: scores/1 float [2, 2]") && text.contains("best int64 [2]"), "{text}");
        assert!(text.contains("class 1") && text.contains("class 0") && text.contains("first inference"), "{text}");
        let read = |name: &str| npy::read_tensor(&Path::new(&out).join(name)).expect("it was written");
        assert_eq!(read("scores_1.npy"), Tensor::new([2, 2], vec![1.0, 2.0, 9.0, 5.0]).unwrap());
        assert_eq!(read("best.npy"), Tensor::new([2], vec![1, 0]).unwrap());
        assert_eq!(*read("again.npy").shape(), Shape::from([3, 2]));
        let bytes = std::fs::read(Path::new(&out).join("best.npy")).expect("it was written");
        assert!(String::from_utf8_lossy(&bytes).contains("'<i8'"));
        std::fs::remove_dir_all(&out).expect("it was made");
    }

    let plain = path("plain.onnx");
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Named("batch"), Size::Named("length"), Size::Of(4)])
        .node("Relu", &["x"], &["y"], &[])
        .output("y");
    std::fs::write(&plain, model.bytes()).expect("it can be written");
    // An empty input gives an empty output.
    npy::write::<f32>(Path::new(&path("empty.npy")), &[1, 0, 4], &[]).expect("it can be written");
    runs(&["run", &plain, "--input", &path("empty.npy"), "--output", &out]);
    let empty = npy::read_tensor(&Path::new(&out).join("y.npy")).expect("it was written");
    assert_eq!(*empty.shape(), Shape::from([1, 0, 4]));

    let image = |name: &str, sizes: &[Size]| {
        let model = Model::new(17).port("x", FLOAT, sizes).node("Relu", &["x"], &["y"], &[]).output("y");
        std::fs::write(path(name), model.bytes()).expect("it can be written");
        path(name)
    };
    let fixed = image("fixed.onnx", &[1, 3, 8, 8].map(Size::Of));
    let open = image("open.onnx", &[Size::Of(1), Size::Of(3), Size::Named("h"), Size::Named("w")]);
    assert!(runs(&["summary", &open, "--size", "8x9"]).contains("[1, 3, 8, 9]"));
    let text = runs(&["summary", &plain, "--batch", "2", "--dim", "length=5"]);
    assert!(text.contains("[2, 5, 4]"), "{text}");
    let text = runs(&["bench", &plain, "--batch", "1,2", "--dim", "length=5", "--frames", "3", "--no-cache"]);
    assert!(text.contains("first inference, batch 2"), "{text}");
    let text = runs(&["profile", &plain, "--dim", "length=5", "--frames", "2"]);
    assert!(text.contains("relu"), "{text}");

    for (args, what) in [
        (&["run", &file, "--input", &x][..], &["--input", "shape=FILE"][..]),
        (&["run", &file, "--input", &path("x.npy")], &["--input", "NAME=FILE"]),
        (&["run", &file, "--input", &x, "--input", &x], &["--input", "once"]),
        (&["run", &file, "--input", "z=a.npy"], &["--input", "x, shape", "z"]),
        (&["run", &plain, "--input", &path("x.npy")], &["x", "[batch, length, 4]", "[2, 3]"]),
        (&["run", &plain, "--input", &path("none.npy")], &["none.npy"]),
        (&["summary", &plain], &["\"x\"", "length"]),
        (&["summary", &plain, "--dim", "length"], &["NAME=SIZE"]),
        (&["summary", &plain, "--dim", "length=5", "--dim", "hh=4"], &["size", "\"batch\", \"length\"", "\"hh\""]),
        (&["summary", &plain, "--dim", "length=5", "--dim", "length=6"], &["--dim", "once", "\"length\""]),
        (&["run", &plain, "--input", &path("empty.npy"), "--dim", "length=5"], &["\"length\"", "[1, 0, 4]", "5"]),
        (&["run", &plain, "--input", &path("empty.npy"), "--seed", "1"], &["--seed", "plain.onnx"]),
        (&["run", &plain, "--input", &path("empty.npy"), "--weights", "w"], &["--weights", "plain.onnx"]),
        (&["run", &plain, "--input", &path("empty.npy"), "--top", "1"], &["--top", "[N, classes]", "[1, 0, 4]"]),
        (&["bench", &fixed, "--batch", "1,8"], &["batch", "x [1, 3, 8, 8]", "got 8"]),
        (&["summary", &open, "--size", "8x8", "--dim", "h=8"], &["--size", "--dim h"]),
        (&["summary", &path("none.onnx")], &["none.onnx"]),
        (&["summary", &file], &["Reshape", "shape"]),
        (&["bench", &plain, "--weights", "w.safetensors"], &["--weights", "plain.onnx"]),
        (&["bench", &plain, "--size", "4x4"], &["--size"]),
        (&["bench", "resnet18", "--dim", "length=5"], &["--dim", "length"]),
    ] {
        fails(args, what);
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}

/// The command says that a file isn't run in f32.
#[test]
fn a_file_of_float16_runs_so_unless_told_otherwise() {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-half-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let path = |name: &str| folder.join(name).to_str().expect("it is text").to_owned();
    let weights: Vec<u8> = [0x3C00u16; 64].iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let model = Model::new(17).typed("x", 10, &[1, 8]).initialiser(&raw("w", 10, &[8, 8], &weights));
    let model = model.node("MatMul", &["x", "w"], &["y"], &[]).output("y");
    std::fs::write(path("model.onnx"), model.bytes()).expect("it can be written");
    npy::write(Path::new(&path("x.npy")), &[1, 8], &[0.5f32; 8]).expect("it can be written");
    let (file, input) = (path("model.onnx"), path("x.npy"));
    for args in [
        &["run", &file, "--input", &input][..],
        &["summary", &file],
        &["bench", &file, "--frames", "2", "--no-cache"],
        &["profile", &file, "--frames", "2", "--no-cache"],
        &["tune", &file, "--budget", "0.1", "--no-cache"],
    ] {
        let text = runs(args);
        assert!(
            text.contains("\nprecision: f16 (the file's)\n") || text.starts_with("precision: f16 (the file's)\n"),
            "{text}"
        );
        let text = runs(&[args, &["--precision", "f32"]].concat());
        assert!(!text.contains("precision:"), "{text}");
        let text = runs(&[args, &["--precision", "mixed"]].concat());
        assert!(text.contains("precision: mixed\n"), "{text}");
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}

/// The command says what its probabilities are, and computes no softmax of a softmax.
#[test]
fn the_best_classes_are_probabilities() {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-classes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let path = |name: &str| folder.join(name).to_str().expect("it is text").to_owned();
    let logits = [0.0f32, 3.0, 1.0, -1.0, 2.0, 1.0];
    npy::write(Path::new(&path("x.npy")), &[2, 3], &logits).expect("it can be written");
    let x = format!("x={}", path("x.npy"));
    let classes = |nodes: &[Message], options: &[&str]| {
        let model = Model::new(17).input("x", &[2, 3]).output("y");
        let model = nodes.iter().fold(model, |model, node| model.with(1, node));
        std::fs::write(path("model.onnx"), model.bytes()).expect("it can be written");
        let text = runs(&[&["run", &path("model.onnx"), "--input", &x], options].concat());
        let lines = text.lines().filter(|line| !line.starts_with("y float") && !line.starts_with("first inference"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let node = |op: &str, from: &str, to: &str| node_of("", op, &[from], &[to], &[]);
    // exp(3) of exp(0) + exp(3) + exp(1), and exp(2) of exp(-1) + exp(2) + exp(1).
    let said = |what: &'static str| ["image 0", "class 1     84.38 %", "image 1", "class 1     70.54 %", what];
    let top = ["--top", "1"];
    assert_eq!(classes(&[node("Identity", "x", "y")], &top), said("probabilities: the softmax of y"));
    let softmax = said("probabilities: y itself, a softmax");
    assert_eq!(classes(&[node("Softmax", "x", "y")], &top), softmax);
    // The softmax is recognised through views and roundings.
    let cast = |to: i64, from: &str, name: &str| node_of("", "Cast", &[from], &[name], &[int("to", to)]);
    let axes = |from: &str, to: &str| node_of("", "Flatten", &[from], &[to], &[int("axis", 1)]);
    let rounded = [node("Softmax", "x", "p"), cast(10, "p", "h"), axes("h", "f"), cast(FLOAT, "f", "y")];
    assert_eq!(classes(&rounded, &top).last().expect("a line"), softmax[4]);
    // Without a visible softmax, the values themselves are recognised.
    let shares = [node("Softmax", "x", "p"), node("Log", "p", "l"), node("Exp", "l", "y")];
    assert_eq!(classes(&shares, &top), said("probabilities: y itself, which adds up to 1"));
    let each = classes(&[node("Sigmoid", "x", "y")], &["--top", "2"]);
    assert_eq!(each[1..3], ["class 1     95.26 %", "class 2     73.11 %"]);
    assert_eq!(each.last().expect("a line"), "probabilities: y itself, a sigmoid: each class for itself");
    // Certain probabilities are printed without --top, but not beside files.
    let all = classes(&[node("Softmax", "x", "y")], &[]);
    assert_eq!(
        (all.len(), &all[1], &all[3]),
        (9, &"class 1     84.38 %".to_owned(), &"class 0      4.20 %".to_owned())
    );
    for op in ["Identity", "Sigmoid"] {
        assert!(classes(&[node(op, "x", "y")], &[]).is_empty());
    }
    let written = classes(&[node("Softmax", "x", "y")], &["--output", &path("out")]);
    assert!(written.len() == 1 && written[0].contains("y.npy"), "{written:?}");
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn two_outputs_that_would_be_one_file_are_refused() {
    let model = Model::new(17).input("x", &[2]).output("a/b").output("a_b").node("Relu", &["x"], &["a/b"], &[]).node(
        "Neg",
        &["x"],
        &["a_b"],
        &[],
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-names-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let path = |name: &str| folder.join(name).to_str().expect("it is text").to_owned();
    std::fs::write(path("names.onnx"), model.bytes()).expect("it can be written");
    npy::write(Path::new(&path("x.npy")), &[2], &[1.0f32, -2.0]).expect("it can be written");
    let run = ["run", &path("names.onnx"), "--input", &path("x.npy")];
    runs(&run);
    let out = path("out");
    fails(&[&run[..], &["--output", &out]].concat(), &["--output", "different files, got \"a/b\" and \"a_b\""]);
    std::fs::remove_dir_all(&folder).expect("it is there");
}

/// A batch multiplies the inputs that have one, not a shape.
#[test]
fn a_shape_is_no_batch() {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-shape-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let file = folder.join("shape.onnx").to_str().expect("it is text").to_owned();
    let write = |rows: Size, shape: &str| {
        let model = Model::new(17).port("x", FLOAT, &[rows, Size::Of(12)]).typed(shape, INT64, &[2]);
        let model =
            model.node("Reshape", &["x", shape], &["rows"], &[]).node("Relu", &["rows"], &["y"], &[]).output("y");
        std::fs::write(&file, model.bytes()).expect("it can be written");
    };
    let bench = |more: &[&'static str]| [&["bench", &file[..], "--frames", "1", "--no-cache"], more].concat();
    write(Size::Of(1), "sizes");
    let given = ["--input", "sizes=3,4", "--batch", "2"];
    fails(&bench(&given), &["batch: wanted 1: no input leaves its first size to it (x [1, 12], sizes [2]), got 2"]);
    write(Size::Named("n"), "sizes");
    runs(&bench(&["--input", "sizes=-1,4", "--batch", "2"]));
    fails(&bench(&["--input", "sizes=3,4", "--batch", "2"]), &["Reshape"]);
    fails(
        &bench(&["--input", "sizes=-1,4", "--shape", "x=1,12", "--batch", "2"]),
        &["wanted 1, the first size of input \"x\""],
    );
    fails(&bench(&["--batch", "2"]), &["the input \"sizes\": give its values"]);
    std::fs::remove_dir_all(&folder).expect("it is there");
}

/// An integer that decides a size is one that the device holds, or none at all.
#[test]
fn a_size_beyond_int32_is_refused_by_name() {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-beyond-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let file = folder.join("beyond.onnx").to_str().expect("it is text").to_owned();
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Of(1), Size::Of(2)])
        .initialiser(&floats("data", &[5], &[1.0, 2.0, 3.0, 4.0, 5.0]))
        .initialiser(&list("zero", &[0]))
        .initialiser(&floats("w", &[2, 1], &[1.0, 1.0]))
        .initialiser(&list("flat", &[1]))
        .node("MatMul", &["x", "w"], &["sum"], &[])
        .node("Reshape", &["sum", "flat"], &["some"], &[])
        .node("Cast", &["some"], &["end"], &[int("to", INT64)])
        .node("Slice", &["data", "zero", "end"], &["y"], &[])
        .output("y");
    std::fs::write(&file, model.bytes()).expect("it can be written");
    assert!(runs(&["run", &file, "--input", "x=1,2"]).contains("y float [3]"));
    let error = ["Slice \"y\": ends", "2147483647 or a number beyond, which Cast \"end\" cuts off there"];
    fails(&["run", &file, "--input", "x=3e9,1"], &error);
    // The node that makes an output's integers is named too.
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Of(1)])
        .initialiser(&longs("start", &[], &[1 << 60]))
        .initialiser(&longs("limit", &[], &[(1 << 60) + 2]))
        .initialiser(&longs("one", &[], &[1]))
        .node("Range", &["start", "limit", "one"], &["y"], &[])
        .with(12, &port("y", INT64, &[]));
    std::fs::write(&file, model.bytes()).expect("it can be written");
    fails(&["summary", &file], &["Range \"y\": values: wanted integers of 32 bits, got 1152921504606846976"]);
    fails(&["summary", &file, "--shape", "x=2"], &["input \"x\": wanted [1], whose numbers the file fixes, got [2]"]);
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn a_file_runs_in_parts_where_values_decide_sizes() {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-parts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let path = |name: &str| folder.join(name).to_str().expect("it is text").to_owned();
    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Of(1), Size::Of(2)])
        .initialiser(&floats("w", &[2, 1], &[1.0, 1.0]))
        .initialiser(&floats("zero", &[], &[0.0]))
        .initialiser(&floats("one", &[], &[1.0]))
        .initialiser(&list("flat", &[0; 0]))
        .node("MatMul", &["x", "w"], &["sum"], &[])
        .node("Reshape", &["sum", "flat"], &["limit"], &[])
        .node("Range", &["zero", "limit", "one"], &["y"], &[])
        .node("RandomUniformLike", &["y"], &["noise"], &[])
        .output("y")
        .output("noise");
    std::fs::write(path("range.onnx"), model.bytes()).expect("it can be written");
    npy::write(Path::new(&path("x.npy")), &[1, 2], &[1.5f32, 2.5]).expect("it can be written");
    let (file, x, out) = (path("range.onnx"), path("x.npy"), path("out"));
    let run = ["run", &file, "--input", &x, "--output", &out, "--seed", "3"];
    let text = runs(&run);
    for line in
        ["y.npy: y float [4]", "noise.npy: noise float [4]", "cut into 2 parts", "  Range \"y\" must know limit\n"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let noise = || npy::read_tensor(Path::new(&path("out/noise.npy"))).expect("it is there");
    let numbers = noise();
    assert!(
        numbers.to_f32().iter().all(|number| (0.0..1.0).contains(number)) && numbers.to_f32()[0] != numbers.to_f32()[1]
    );
    runs(&run);
    assert_eq!(noise(), numbers);
    fails(&run[..6], &["RandomUniformLike \"noise\"", "give them as an input, or a seed (Bindings::seed, --seed)"]);
    fails(&[&run[..], &["--top", "3"]].concat(), &["--top: wanted a first output", "got a network in parts"]);
    // Without the first frame's new parts.
    let text = runs(&[&run[..], &["--repeat", "3"]].concat());
    assert!(text.contains(" ms (making the parts ") && text.contains("\n3 more frames: median "), "{text}");
    fails(&[&run[..], &["--repeat", "0"]].concat(), &["--repeat", "got 0"]);
    // Values that are given don't help: the device computes what they lead to.
    for subcommand in ["summary", "profile"] {
        let given = [subcommand, &file, "--input", &x, "--seed", "3"];
        fails(&given, &["Range \"y\": limit", ", which only the device computes: run the network in parts"]);
    }
    fails(&["summary", &file], &["Range \"y\": limit: wanted what is known", "or run the network in parts"]);
    let text = shadernet(&["inspect", &file]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("decides sizes of Range \"y\" (limit): run cuts the network there"), "{text}");
    std::fs::remove_dir_all(&folder).expect("it can be removed");
}
