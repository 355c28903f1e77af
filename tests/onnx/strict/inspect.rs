//! `shadernet inspect`, and what it asks of the importer: everything that isn't supported, at once.

use super::command::{fails, runs};
use super::model::{FLOAT, INT64, Model, Size, floats, int, node_of, port};
use shadernet::import::onnx::{Bindings, Onnx};
use std::path::Path;

fn onnx(model: &Model) -> Onnx {
    Onnx::from_bytes(model.bytes()).expect("it is whole")
}

/// Two operators that nobody has, one of them in a body, a wrong attribute, and nodes that read what these would give.
fn faulty() -> Model {
    let body = super::model::body_of([&[], &["inner"]], &[node_of("com.example", "Second", &["x"], &["inner"], &[])]);
    let other = super::model::body_of([&[], &["copy"]], &[node_of("", "Identity", &["x"], &["copy"], &[])]);
    Model::new(17)
        .opset("com.example", 1)
        .port("x", FLOAT, &[Size::Named("n"), Size::Open])
        .with(1, &node_of("com.example", "First", &["x"], &["a"], &[]))
        .node("Relu", &["a"], &["b"], &[])
        .node("Softmax", &["x"], &["c"], &[int("axis", 5)])
        .with(1, &node_of("com.example", "First", &["b"], &["d"], &[]))
        .initialiser(&super::model::raw("yes", super::model::BOOL, &[], &[1]))
        .node(
            "If",
            &["yes"],
            &["e"],
            &[super::model::subgraph("then_branch", &other), super::model::subgraph("else_branch", &body)],
        )
        .node("Sum", &["b", "c", "d", "e"], &["y"], &[])
        .output("y")
}

#[test]
fn all_problems_are_found_at_once() {
    let onnx = onnx(&faulty());
    let text: Vec<String> = onnx.unsupported().iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "First \"a\": not supported: the operator First of com.example",
            "First \"d\": not supported: the operator First of com.example",
            "Second \"e/inner\": not supported: the operator Second of com.example",
        ]
    );
    let problems = onnx.problems(&Bindings::new().size("x:1", 4)).expect("the sizes are known");
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[3].to_string().starts_with("Softmax \"c\": axis: wanted"), "{problems:?}");
    assert_eq!(onnx.operators()["com.example.First"], 2);
    assert_eq!(onnx.opsets()[""], 17);
    let error = onnx.problems(&Bindings::new()).expect_err("a size is missing").to_string();
    assert_eq!(error, "input \"x\": wanted a size for \"x:1\" (Bindings::size, --dim x:1=SIZE), got [n, x:1]");
}

#[test]
fn a_whole_file_has_no_problems() {
    let model = Model::new(17).port("x", FLOAT, &[Size::Named("n"), Size::Of(2)]).output("y");
    let onnx = onnx(&model.node("Relu", &["x"], &["y"], &[]));
    assert!(onnx.problems(&Bindings::new()).expect("its sizes are known").is_empty());
    assert!(onnx.unsupported().is_empty());
}

/// Every size that is missing is named in one error.
#[test]
fn all_missing_sizes_are_named_at_once() {
    let model = Model::new(17).port("x", FLOAT, &[Size::Named("n"), Size::Open, Size::Named("width")]);
    let model = model.port("z", FLOAT, &[Size::Of(1), Size::Named("depth")]).output("y");
    let error = onnx(&model.node("Relu", &["x"], &["y"], &[])).graph(&Bindings::new()).expect_err("sizes are missing");
    let wanted = "inputs: wanted sizes for \"depth\", \"width\", \"x:1\" (Bindings::size, --dim depth=SIZE --dim width=SIZE \
                  --dim x:1=SIZE), got x [n, x:1, width], z [1, depth]";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn the_command_says_what_to_type_next() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-inspect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let path = |name: &str| folder.join(name).to_str().expect("it is text").to_owned();
    let file = path("model.onnx");
    std::fs::write(&file, faulty().bytes()).expect("it can be written");
    fails(&["inspect", &file], &["not supported: 3 of its nodes"]);
    fails(&["inspect", &file, "--dim", "x:1=4"], &["not supported: 4 of its nodes"]);
    fails(&["inspect", "resnet18"], &["an ONNX file"]);
    fails(&["inspect", &file, "--portable"], &["--portable"]);

    let model = Model::new(17)
        .port("photo", FLOAT, &[Size::Named("n"), Size::Of(3), Size::Named("h"), Size::Named("w")])
        .typed("shape", INT64, &[2])
        .initialiser(&floats("k", &[4, 3, 1, 1], &[0.5; 12]))
        .node("Conv", &["photo", "k"], &["c"], &[])
        .node("Reshape", &["c", "shape"], &["y"], &[])
        .output("y");
    std::fs::write(&file, model.bytes()).expect("it can be written");
    let text = runs(&["inspect", &file]);
    for what in [
        "operator set 17, from a test, runs at f32 unless told otherwise\n",
        "inputs:\n  float photo [n, 3, h, w]\n  int64 shape [2]\noutputs:\n  float y []\n",
        "open sizes: --dim h=SIZE --dim w=SIZE\nopen sizes that are 1 unless given: --dim n=SIZE\n",
        "2 nodes: Conv 1, Reshape 1\n",
        "only operators were checked",
        "--input photo=photo.png --input shape=FILE.npy --output out\n",
    ] {
        assert!(text.contains(what), "{what}: {text}");
    }
    let text = runs(&["inspect", &file, "--dim", "h=4", "--dim", "w=4"]);
    assert!(text.contains("the values of shape decide sizes: --input shape=VALUES gives them\n"), "{text}");
    let given = ["--dim", "h=4", "--dim", "w=4", "--input", "shape=4,16"];
    let text = runs(&[&["inspect", &file][..], &given].concat());
    assert!(text.ends_with(&format!("{} --input photo=FILE.npy --output out\n", given.join(" "))), "{text}");
    fails(&["inspect", &file, "--dim", "h=4", "--dim", "w=4", "--input", "shape=5,5"], &["1 of its nodes"]);

    let model = Model::new(17)
        .port("x", FLOAT, &[Size::Of(1), Size::Named("time")])
        .port("past_h", FLOAT, &[Size::Of(1), Size::Named("wide")])
        .typed("h0", INT64, &[1])
        .node("ReduceSum", &["x"], &["sum"], &[])
        .node("Add", &["sum", "past_h"], &["h"], &[])
        .with(12, &port("h", FLOAT, &[Size::Of(1), Size::Named("wide")]));
    std::fs::write(&file, model.bytes()).expect("it can be written");
    let text = runs(&["inspect", &file]);
    let words =
        "--input x=speech.wav --input h0=NUMBER --chunk SAMPLES --state h=past_h --dim wide=SIZE --output out\n";
    assert!(text.ends_with(words), "{text}");
    let text = runs(&["inspect", "assets/voice/voice.onnx"]);
    assert!(text.ends_with("voice.onnx --input x=speech.wav --chunk 512 --state hn=h --output out\n"), "{text}");
    // What was typed stays, with the quotes of a shell.
    let typed = ["--state", "hn=h", "--chunk", "512", "--precision", "mixed", "--input", "x=assets/voice/held_out.wav"];
    let text = runs(&[&["inspect", "assets/voice/voice.onnx"], &typed[..]].concat());
    assert!(text.ends_with(&format!("voice.onnx {} --output out\n", typed.join(" "))), "{text}");
    let odd = path("an odd name.onnx");
    std::fs::copy("assets/voice/voice.onnx", &odd).expect("it can be copied");
    assert!(runs(&["inspect", &odd]).contains(&format!("next: shadernet run '{odd}' --input x=speech.wav")));
    std::fs::remove_dir_all(&folder).expect("it is there");
}

/// The ports of networks that strangers saved, and what `inspect` and `run` tell to give for them.
#[test]
fn what_isnt_clear_is_an_array() {
    use super::model::{BOOL, INT32, UINT8};
    use Size::{Named, Of, Open};
    type Ports<'a> = &'a [(&'a str, i64, &'a [Size])];
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("onnx-suggest-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let file = folder.join("ports.onnx").to_str().expect("it is text").to_owned();
    let (n, t, cache) = (Named("batch"), Named("frames"), [Of(1), Of(128), Of(19), Of(1)]);
    let state = [Of(2), Open, Of(128)];
    let cases: &[(Ports, Ports, &str)] = &[
        (&[("image", FLOAT, &[n, Of(3), Of(60), Of(160)])], &[], "image=photo.png"),
        (&[("x", FLOAT, &[n, Of(3), Of(48), Open])], &[], "x=photo.png"),
        (&[("x", UINT8, &[n, Open, Open, Of(3)])], &[], "x=photo.png"),
        (&[("input1", FLOAT, &[Of(1), Of(1), Of(64), Named("image_width")])], &[], "input1=photo.png"),
        (&[("Input3", FLOAT, &[Of(1), Of(1), Of(28), Of(28)])], &[], "Input3=photo.png"),
        (&[("input", FLOAT, &[n, Of(3), t, Of(160)])], &[], "input=FILE.npy"),
        (&[("input_1", FLOAT, &[n, Of(76), Of(32), Of(1)])], &[], "input_1=FILE.npy"),
        (&[("x.1", FLOAT, &[Of(1), Of(16), Of(96)])], &[], "x.1=FILE.npy"),
        (&[("latent", FLOAT, &[n, Of(4), Of(64), Of(64)])], &[], "latent=FILE.npy"),
        (&[("input", FLOAT, &[n, Named("samples")])], &[], "input=speech.wav"),
        (&[("audio", FLOAT, &[Of(1), Open]), ("fmin", FLOAT, &[])], &[], "audio=speech.wav --input fmin=NUMBER"),
        (&[("mask", FLOAT, &[Of(1), Named("time")])], &[], "mask=FILE.npy"),
        (&[("ids", INT64, &[n, Open]), ("lengths", INT64, &[n])], &[], "ids=FILE.npy --input lengths=NUMBER"),
        (&[("bytes", INT32, &[n, Of(2048)]), ("flag", BOOL, &[])], &[], "bytes=FILE.npy --input flag=NUMBER"),
        // A state that its first size can't be mistaken for: the second is the batch.
        (
            &[("input", FLOAT, &[Open, Open]), ("state", FLOAT, &state), ("sr", INT64, &[])],
            &[("stateN", FLOAT, &[Open, Open, Open])],
            "input=speech.wav --input sr=NUMBER --chunk SAMPLES --state stateN=state",
        ),
        (
            &[("speech", FLOAT, &[Of(1), t, Of(400)]), ("in_cache0", FLOAT, &cache), ("in_cache1", FLOAT, &cache)],
            &[("out_cache0", FLOAT, &cache), ("out_cache1", FLOAT, &cache)],
            "speech=FILE.npy --input in_cache0=zeros --input in_cache1=zeros",
        ),
        (
            &[("ids", INT64, &[n, Open]), ("past_key_values.0.key", FLOAT, &[n, Of(4), Named("past"), Of(64)])],
            &[("present.0.key", FLOAT, &[n, Of(4), Open, Of(64)])],
            "ids=FILE.npy --input past_key_values.0.key=zeros --dim past=SIZE",
        ),
        // By their sizes alone, in order.
        (
            &[
                ("mel", FLOAT, &[n, t, Of(80)]),
                ("cache_a", FLOAT, &[Of(2), Of(7)]),
                ("cache_b", FLOAT, &[Of(2), Of(7)]),
            ],
            &[("331", FLOAT, &[Of(2), Of(7)]), ("340", FLOAT, &[Of(2), Of(7)])],
            "mel=FILE.npy --input cache_a=zeros --input cache_b=zeros",
        ),
        // What comes out with the sizes of the only input is no state.
        (
            &[("image", FLOAT, &[n, Of(3), Open, Open])],
            &[("image_out", FLOAT, &[n, Of(3), Open, Open])],
            "image=photo.png",
        ),
    ];
    for &(inputs, outputs, expected) in cases {
        let model =
            inputs.iter().fold(Model::new(17), |model, (name, element, sizes)| model.port(name, *element, sizes));
        let model = outputs.iter().fold(model, |model, (name, element, sizes)| {
            model.with(12, &port(name, *element, sizes)).node("Cast", &[inputs[0].0], &[name], &[int("to", *element)])
        });
        let model = model.node("Cast", &[inputs[0].0], &["y"], &[int("to", FLOAT)]).output("y");
        std::fs::write(&file, model.bytes()).expect("it can be written");
        let words = format!("--input {expected}");
        let text = runs(&["inspect", &file]);
        assert!(text.ends_with(&format!("ports.onnx {words} --output out\n")), "{expected}: {text}");
        fails(&["run", &file, "--input", "nothing=1"], &["--input", "one of"]);
        if inputs.len() > 1 {
            let first = format!("{}=none.npy", inputs[0].0);
            let rest = words.split_once(" --input ").map_or("", |(_, rest)| rest);
            fails(
                &["run", &file, "--input", &first],
                &["inputs: wanted each one, such as --input ", rest.split(" --").next().unwrap_or("")],
            );
        }
        let mut states = outputs.iter().filter(|_| inputs.len() > 1);
        assert!(states.all(|(name, ..)| text.contains(&format!("--state {name}="))), "{text}");
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}
