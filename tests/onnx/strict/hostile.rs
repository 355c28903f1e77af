//! Files that are broken, or meant to harm.

use crate::model::{
    FLOAT, INT64, Message, Model, Size, external, floats, int, ints, list, longs, raw, string, subgraph, tensor,
};
use crate::mutation::planned;
use crate::{graph, refusal};
use shadernet::Tensor;
use shadernet::import::onnx::{Bindings, Onnx};
use std::path::{Path, PathBuf};

/// Expects a refusal with these words, soon and in bounded memory.
fn refused(model: &Model, words: &str) {
    planned(&model.bytes(), words);
    let message = refusal(model);
    assert!(message.contains(words), "wanted \"{words}\" in: {message}");
}

/// Builds a node of this operator; its inputs after the first are these constants.
fn one(op: &str, sizes: &[i64], constants: &[Message], attributes: &[Message]) -> Model {
    let mut model = Model::new(17).input("x", sizes).output("y");
    let mut inputs = vec!["x".to_owned()];
    for (i, constant) in constants.iter().enumerate() {
        inputs.push(format!("c{i}"));
        // If a field occurs twice, the last one counts.
        model = model.initialiser(&Message([&constant.0[..], &Message::default().bytes(8, &inputs[i + 1]).0].concat()));
    }
    model.with(1, &crate::model::node_of("", op, &inputs, &["y"], attributes))
}

#[test]
fn sizes_beyond_all_machines_are_refused() {
    for size in [1 << 41, 1 << 62, i64::MAX] {
        refused(&one("Relu", &[size], &[], &[]), "2^40 elements at most");
        refused(&Model::new(17).initialiser(&floats("w", &[size], &[])).output("w"), "2^40 elements at most");
    }
    refused(&one("Relu", &[1 << 32, 1 << 32], &[], &[]), "2^40 elements at most");
    refused(&one("Relu", &[0, 1 << 62, 1 << 62], &[], &[]), "2^40 elements at most");
    refused(&one("Relu", &[1; 65], &[], &[]), "64 dimensions");
    let negative = Model::new(17).initialiser(&floats("w", &[-1], &[])).output("w");
    refused(&negative, "sizes of 0 or more");
    // Inputs may be large; values computed from them can't grow for ever.
    let wide = one("Mul", &[1 << 20, 1], &[floats("", &[1], &[2.0])], &[]);
    planned(
        &wide.input("z", &[1, 1 << 30]).node("Mul", &["x", "z"], &["w"], &[]).output("w").bytes(),
        "an outer product",
    );
    planned(
        &Model::new(17)
            .input("x", &[1 << 39])
            .node("Expand", &["x", "s"], &["y"], &[])
            .initialiser(&list("s", &[1 << 39, 1]))
            .output("y")
            .bytes(),
        "an expansion",
    );
}

#[test]
fn constants_that_grow_are_refused() {
    let huge = list("", &[1 << 39]);
    let from_shape = |shape: &[i64], attributes: &[Message]| {
        let model = Model::new(17).initialiser(&list("s", shape));
        model.node("ConstantOfShape", &["s"], &["y"], attributes).output("y")
    };
    // A constant of one repeated number takes no work until an operation computes with it on the host.
    assert!(!planned(&from_shape(&[1 << 39], &[]).bytes(), "a float everywhere"), "no device holds it");
    for (op, attributes) in
        [("Neg", vec![]), ("ReduceSum", vec![]), ("Cast", vec![int("to", INT64)]), ("NonZero", vec![])]
    {
        let model = Model::new(17).initialiser(&list("s", &[1 << 39])).node("ConstantOfShape", &["s"], &["c"], &[]);
        refused(&model.node(op, &["c"], &["y"], &attributes).output("y"), "at most");
    }
    refused(&from_shape(&[1 << 39], &[tensor("value", &list("", &[7]))]), "elements");
    refused(&from_shape(&[1 << 39, 0, 1 << 39], &[]), "2^40 elements at most");
    refused(&from_shape(&[-5], &[]), "sizes of 0 or more");
    refused(&one("Expand", &[1], std::slice::from_ref(&huge), &[]), "sizes: wanted");
    refused(&one("Tile", &[1], std::slice::from_ref(&huge), &[]), "sizes: wanted");
    refused(&one("Pad", &[1], &[list("", &[0, i64::MAX])], &[]), "pad");
    refused(&one("Pad", &[1], &[list("", &[i64::MIN, 0])], &[]), "pads: wanted");
    refused(&one("Pad", &[1], &[list("", &[0, 1 << 50])], &[string("mode", "wrap")]), "at most");
    refused(&one("CenterCropPad", &[1], &[list("", &[i64::MIN])], &[]), "sizes of 0 or more");
    let scales = [floats("", &[0], &[]), floats("", &[4], &[1.0, 1.0, 1e9, 1e9])];
    refused(&one("Resize", &[1, 1, 4, 4], &scales, &[]), "2^40 elements at most");
    let sizes = [floats("", &[0], &[]), floats("", &[0], &[]), list("", &[1, 1, 1 << 30, 4])];
    refused(&one("Resize", &[1, 1, 4, 4], &sizes, &[]), "at most");
    let range = |parts: [i64; 3]| {
        let model =
            Model::new(17).initialiser(&longs("a", &[], &parts[..1])).initialiser(&longs("b", &[], &parts[1..2]));
        let model = model.initialiser(&longs("c", &[], &parts[2..]));
        model.node("Range", &["a", "b", "c"], &["y"], &[]).output("y")
    };
    refused(&range([0, 1 << 40, 1]), "at most");
    refused(&range([i64::MIN, i64::MAX, 1]), "at most");
    refused(&range([0, 5, 0]), "a step that reaches the limit");
    let classes = Model::new(17).typed("x", INT64, &[2]).initialiser(&longs("d", &[], &[900_000_000]));
    let classes = classes.initialiser(&floats("v", &[2], &[0.0, 1.0])).output("y");
    refused(&classes.node("OneHot", &["x", "d", "v"], &["y"], &[]), "at most");
    let parts = one("Split", &[4], &[], &[int("num_outputs", 1 << 62)]);
    refused(&parts, "num_outputs");
}

/// A chain that doubles its size in each step is refused, although no step is large.
#[test]
fn chains_that_double_are_refused() {
    let chain = |op: &str, attributes: &[Message], count: usize| {
        let model = Model::new(17).initialiser(&floats("y0", &[1], &[1.0])).output(&format!("y{count}"));
        (0..count).fold(model, |model, i| {
            let from = format!("y{i}");
            model.node(op, &[&from, &from], &[&format!("y{}", i + 1)], attributes)
        })
    };
    let sum = graph(&chain("Add", &[], 60)).expect("a number stays one");
    assert_eq!(sum.nodes().len(), 0, "it is known");
    refused(&chain("Concat", &[int("axis", 0)], 40), "at most");
    // This sum runs on the device: each node is one operation.
    let model = chain("Add", &[], 60).bytes();
    planned(&model, "sums");
    // Each of the many constants has an allowed size.
    let many = (0..100).fold(Model::new(17).initialiser(&list("s", &[1 << 22])), |model, i| {
        let name = format!("y{i}");
        model.node("ConstantOfShape", &["s"], &[&name], &[tensor("value", &list("", &[1]))]).output(&name)
    });
    refused(&many, "computed in all");
    let large = Model::new(17).initialiser(&list("s", &[1 << 22])).node("ConstantOfShape", &["s"], &["c"], &[]);
    let many = (0..1000).fold(large, |model, i| {
        let name = format!("y{i}");
        model.node("NonZero", &["c"], &[&name], &[]).output(&name)
    });
    refused(&many, "computed in all");
}

#[test]
fn nodes_by_the_hundred_thousand_are_refused_or_quick() {
    let count = 300_000;
    for (op, attributes) in [("Identity", vec![]), ("Relu", vec![]), ("Reshape", vec![ints("shape", &[1, 1])])] {
        let model = Model::new(4).opset("", 13).input("y0", &[1, 1]).output(&format!("y{count}"));
        let model = (0..count)
            .fold(model, |model, i| model.node(op, &[&format!("y{i}")], &[&format!("y{}", i + 1)], &attributes));
        planned(&model.bytes(), op);
    }
    let empty = (0..1_000_000).fold(Model::new(13), |model, _| model.with(1, &Message::default()));
    planned(&empty.bytes(), "empty nodes");
}

#[test]
fn graphs_that_are_none_are_refused() {
    let cycle = Model::new(13).node("Relu", &["b"], &["a"], &[]).node("Relu", &["a"], &["b"], &[]).output("b");
    refused(&cycle, "which is computed from this node's own outputs");
    let missing = Model::new(13).input("x", &[1]).node("Relu", &["a"], &["b"], &[]);
    refused(&missing.output("b"), "\"a\", which is no input, no initialiser and no output of a node");
    refused(&Model::new(13).input("x", &[1]).node("Relu", &["x"], &["y"], &[]).output("z"), "got \"z\"");
    let twice = Model::new(13).input("x", &[1]).node("Relu", &["x"], &["y"], &[]).node("Tanh", &["x"], &["y"], &[]);
    refused(&twice.output("y"), "a name that nothing has yet");
    let taken = Model::new(13).input("x", &[1]).node("Relu", &["x"], &["x"], &[]).output("x");
    refused(&taken, "a name that nothing has yet");
    refused(&Model::new(13).input("x", &[1]).input("x", &[1]).output("x"), "\"x\" twice");
    let weights = Model::new(13).initialiser(&floats("w", &[1], &[1.0])).initialiser(&floats("w", &[1], &[2.0]));
    refused(&weights.output("w"), "two initialisers \"w\"");
    assert!(Onnx::from_bytes(Vec::new()).is_err(), "an empty file has no graph");
    assert!(Onnx::from_bytes(b"not a model".to_vec()).is_err(), "text is no model");
}

#[test]
fn data_that_do_not_fit_their_shape_are_refused() {
    let tensor = |bytes: usize| Model::new(13).initialiser(&raw("w", FLOAT, &[3], &vec![0; bytes])).output("w");
    graph(&tensor(12)).expect("as many bytes as it says");
    for bytes in [4, 11, 13, 16] {
        refused(&tensor(bytes), "wanted 12 bytes of float for shape [3], got");
    }
    refused(&tensor(0), "wanted 12 bytes of float for shape [3], got 0");
    refused(
        &Model::new(13).initialiser(&raw("w", 99, &[1], &[0])).output("w"),
        "element type: wanted one of ONNX's, got 99",
    );
}

#[test]
fn windows_of_all_sizes_are_refused_or_fit() {
    let numbers = [0, 1, -1, (1 << 28) + 1, 1 << 31, 1 << 62, i64::MAX, i64::MIN];
    for number in numbers {
        for name in ["kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape"] {
            let count = if name == "pads" { 4 } else { 2 };
            for (op, constants) in [
                ("Conv", vec![floats("", &[1, 1, 2, 2], &[1.0; 4])]),
                ("ConvTranspose", vec![floats("", &[1, 1, 2, 2], &[1.0; 4])]),
                ("MaxPool", vec![]),
                ("AveragePool", vec![]),
                ("LpPool", vec![]),
                ("MaxUnpool", vec![longs("", &[1, 1, 2, 2], &[0, 1, 2, 3])]),
            ] {
                for (given, auto) in [(count, "NOTSET"), (count, "SAME_UPPER"), (1, "NOTSET"), (0, "SAME_LOWER")] {
                    let sizes = if op == "MaxUnpool" { [1, 1, 2, 2] } else { [1, 1, 5, 5] };
                    let mut attributes = vec![ints(name, &vec![number; given]), string("auto_pad", auto)];
                    if name != "kernel_shape" && !op.starts_with("Conv") {
                        attributes.push(ints("kernel_shape", &[2, 2]));
                    }
                    planned(&one(op, &sizes, &constants, &attributes).bytes(), &format!("{op} {name} {number}"));
                }
            }
        }
        for (op, name) in
            [("Conv", "group"), ("ConvTranspose", "group"), ("LRN", "size"), ("DepthToSpace", "blocksize")]
        {
            let constants = if op.starts_with("Conv") { vec![floats("", &[1, 1, 2, 2], &[1.0; 4])] } else { vec![] };
            let model = one(op, &[1, 1, 5, 5], &constants, &[int(name, number)]);
            planned(&model.bytes(), &format!("{op} {name} {number}"));
            // A norm over more channels than exist is a norm over all.
            let fits = number == 1 || (op == "LRN" && number % 2 == 1 && number > 0);
            assert_eq!(fits, graph(&model).is_ok(), "{op} {name} {number}");
        }
    }
}

/// These files once made the importer read beyond a tensor's end, or divide by zero.
#[test]
fn tensors_that_are_too_small_are_refused() {
    let classes = Model::new(17).typed("x", INT64, &[2]).initialiser(&longs("d", &[], &[3])).output("y");
    let classes = |values: &Message| classes.clone().initialiser(values).node("OneHot", &["x", "d", "v"], &["y"], &[]);
    refused(&classes(&floats("v", &[1], &[1.0])), "a part of the 1 elements of axis 0");
    refused(&classes(&floats("v", &[], &[1.0])), "axis: wanted one of the input's");
    for mode in ["reflect", "edge", "wrap"] {
        let nothing = Model::new(17).initialiser(&floats("x", &[0], &[])).initialiser(&list("p", &[1, 1])).output("y");
        refused(&nothing.node("Pad", &["x", "p"], &["y"], &[string("mode", mode)]), "an element to repeat");
    }
    let weights = [floats("", &[1], &[1.0]), floats("", &[1], &[1.0])];
    refused(&one("GroupNormalization", &[4], &weights, &[int("num_groups", 1)]), "2 dimensions or more");
    refused(&one("ArgMax", &[0], &[], &[int("select_last_index", 1), int("axis", 0)]), "an axis of 1 element or more");
    refused(&one("Gather", &[], &[list("", &[0])], &[]), "axis: wanted one of 0 dimensions");
    refused(&one("GlobalMaxPool", &[2, 3], &[], &[]), "3 dimensions or more");
}

/// Nested messages reach the decoder's limit, or ours.
#[test]
fn graphs_in_attributes_of_graphs_are_refused() {
    for depth in [1, 40, 200, 2000] {
        let mut inner = Message::default();
        for _ in 0..depth {
            let node = crate::model::node_of("", "If", &["x"], &["y"], &[subgraph("then_branch", &inner)]);
            inner = Message::default().message(1, &node);
        }
        let mut model = Model::new(13).input("x", &[1]).output("y");
        model.graph.0.extend(inner.0);
        planned(&model.bytes(), "nested graphs");
        refusal(&model);
    }
}

/// A test's folder; dropping it removes it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("shadernet-strict-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("model/inside")).expect("a folder for temporary files");
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).expect("it can be written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

fn opened(folder: &Folder, entries: &[(&str, &str)]) -> Result<Vec<f32>, String> {
    let model = Model::new(13).initialiser(&external("w", &[2], entries)).output("w");
    folder.write("model/network.onnx", &model.bytes());
    let graph = Onnx::open(folder.0.join("model/network.onnx")).and_then(|onnx| onnx.graph(&Bindings::new()));
    let graph = graph.map_err(|error| error.to_string())?;
    let model = shadernet::Model::new(crate::honoured::context(), &graph).and_then(|model| model.session(1));
    let outputs = model.and_then(|session| session.run_blocking::<Vec<f32>>(&[])).map_err(|error| error.to_string())?;
    Ok(outputs[0].to_f32())
}

#[test]
fn external_data_stay_in_the_folder_of_the_model() {
    let folder = Folder::new("external");
    let values: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    folder.write("secret.bin", &values);
    folder.write("model/weights.bin", &values);
    folder.write("model/inside/weights.bin", &values[8..]);
    folder.write("model/empty.bin", &[]);
    let at = |entries: &[(&str, &str)]| opened(&folder, entries);
    assert_eq!(at(&[("location", "weights.bin"), ("offset", "4"), ("length", "8")]), Ok(vec![2.0, 3.0]));
    assert_eq!(at(&[("location", "weights.bin"), ("offset", "8")]), Ok(vec![3.0, 4.0]));
    assert_eq!(at(&[("location", "inside/weights.bin")]), Ok(vec![3.0, 4.0]));
    assert_eq!(at(&[("location", "./weights.bin"), ("length", "8"), ("checksum", "?")]), Ok(vec![1.0, 2.0]));
    let refused = |entries: &[(&str, &str)], words: &str| {
        let error = at(entries).expect_err(words);
        assert!(error.contains(words) && error.contains("\"w\""), "wanted \"{words}\" in: {error}");
    };
    let secret = folder.0.join("secret.bin");
    let secret = secret.to_str().expect("a name in ASCII");
    for location in ["../secret.bin", "inside/../../secret.bin", secret, "..\\secret.bin", "", "/dev/zero", ".."] {
        refused(&[("location", location), ("length", "8")], "wanted a file in the model's folder");
    }
    refused(&[("location", "inside"), ("length", "8")], "which is none");
    refused(&[("location", "."), ("length", "8")], "which is none");
    refused(&[("location", "nowhere.bin")], "nowhere.bin");
    refused(&[], "wanted a file in the model's folder");
    for (offset, length) in
        [("12", "8"), ("17", "0"), ("0", "17"), ("18446744073709551615", "8"), ("9", "18446744073709551615")]
    {
        refused(&[("location", "weights.bin"), ("offset", offset), ("length", length)], "a part of \"weights.bin\"");
    }
    refused(&[("location", "weights.bin"), ("length", "4")], "wanted 8 bytes of float");
    refused(&[("location", "empty.bin")], "wanted 8 bytes of float");
    for number in ["-1", "four", "1e3", "", "99999999999999999999"] {
        refused(&[("location", "weights.bin"), ("offset", number)], "external data's offset: wanted a number");
    }
    let in_memory = Model::new(13).initialiser(&external("w", &[2], &[("location", "weights.bin")])).output("w");
    assert!(refusal(&in_memory).contains("a model that isn't a file"));
    #[cfg(unix)]
    {
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.0.join(name)).expect("a link");
        link(&folder.0.join("secret.bin"), "model/link.bin");
        link(&folder.0, "model/out");
        link(Path::new("weights.bin"), "model/alias.bin");
        refused(&[("location", "link.bin"), ("length", "8")], "leads out of it");
        refused(&[("location", "out/secret.bin"), ("length", "8")], "leads out of it");
        assert_eq!(at(&[("location", "alias.bin"), ("length", "8")]), Ok(vec![1.0, 2.0]));
    }
}

#[test]
fn wrong_values_of_bound_inputs_are_refused() {
    let model =
        Model::new(13).port("x", FLOAT, &[Size::Named("n"), Size::Of(2)]).node("Relu", &["x"], &["y"], &[]).output("y");
    let onnx = Onnx::from_bytes(model.bytes()).expect("it is whole");
    let refused = |bindings: Bindings, words: &str| {
        let error = onnx.graph(&bindings).map(|graph| graph.nodes().len()).expect_err(words).to_string();
        assert!(error.contains(words), "wanted \"{words}\" in: {error}");
    };
    refused(Bindings::new().values("x", Tensor::new([2, 2], vec![1; 4]).unwrap()), "wanted f32 [2, 2], got i32 [2, 2]");
    refused(Bindings::new().shape("x", [2, 3]), "wanted [n, 2], whose numbers the file fixes, got [2, 3]");
    refused(Bindings::new().size("n", usize::MAX), "sizes of 0 or more");
    refused(Bindings::new().shape("x", [1 << 62, 2]), "2^40 elements at most");
}
