//! Nodes in any order, and outputs without readers.

use crate::honoured::{numbers, run, same};
use crate::model::{
    BOOL, Message, Model, body_of, float, floats, function_of, int, ints, list, longs, node_of, raw, subgraph,
};
use crate::{graph, refusal};
use shadernet::import::onnx::Bindings;

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    node_of("", op, inputs, outputs, attributes)
}

/// Builds a model from x, 4 floats, to y.
fn model(nodes: &[Message]) -> Model {
    let model = Model::new(17).opset("local", 1).input("x", &[4]).output("y");
    let model = model.initialiser(&longs("three", &[], &[3])).initialiser(&raw("true", BOOL, &[], &[1]));
    nodes.iter().fold(model, |model, node| model.with(1, node))
}

const X: [f32; 4] = [-3.0, -0.5, 0.25, 2.0];

#[track_caller]
fn gives(model: &Model, wanted: &[f32]) {
    same(&run(model, &Bindings::new(), &[X.to_vec().into()]), wanted);
}

#[track_caller]
fn refused(model: &Model, words: &[&str]) {
    let message = refusal(model);
    for word in words {
        assert!(message.contains(word), "wanted \"{word}\" in: {message}");
    }
}

/// Returns `-exp(|x|) + x`, one node per operation.
fn chain() -> [Message; 4] {
    [
        node("Abs", &["x"], &["a"], &[]),
        node("Exp", &["a"], &["b"], &[]),
        node("Neg", &["b"], &["c"], &[]),
        node("Add", &["c", "x"], &["y"], &[]),
    ]
}

fn chained(x: f32) -> f32 {
    x - x.abs().exp()
}

/// Returns the names of a graph's nodes.
fn names(model: &Model) -> Vec<String> {
    graph(model).expect("it is whole").nodes().iter().map(|node| node.name.clone()).collect()
}

#[test]
fn nodes_come_in_any_order() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [0, 2, 3, 1], [3, 0, 1, 2]] {
        let model = model(&order.map(|i| chain()[i].clone()));
        gives(&model, &X.map(chained));
        assert_eq!(names(&model), ["a", "b", "c", "y"]);
    }
}

/// Nodes in order keep the file's order; a node that comes too late moves right before its first reader.
#[test]
fn an_order_that_serves_is_kept() {
    let [abs, exp, neg, add] = [
        node("Abs", &["x"], &["a"], &[]),
        node("Exp", &["x"], &["b"], &[]),
        node("Neg", &["x"], &["c"], &[]),
        node("Sum", &["c", "a", "b"], &["y"], &[]),
    ];
    let of = |nodes: [&Message; 4]| names(&model(&nodes.map(Message::clone)))[..3].to_vec();
    assert_eq!(of([&abs, &exp, &neg, &add]), ["a", "b", "c"]);
    assert_eq!(of([&neg, &exp, &abs, &add]), ["c", "b", "a"]);
    assert_eq!(of([&exp, &add, &abs, &neg]), ["b", "c", "a"]);
}

#[test]
fn nodes_of_bodies_and_functions_come_in_any_order() {
    let backwards = || chain().into_iter().rev().collect::<Vec<_>>();
    // A function has names of its own.
    let function = function_of("Chain", [&["x"], &["y"]], &[], &[], &backwards());
    let called = model(&[node_of("local", "Chain", &["x"], &["y"], &[])]).function(&function);
    gives(&called, &X.map(chained));
    // A branch reads a value of the outer graph; the value's node comes later.
    let branch = subgraph(
        "then_branch",
        &body_of([&[], &["z"]], &[node("Neg", &["w"], &["z"], &[]), node("Exp", &["v"], &["w"], &[])]),
    );
    let other = subgraph("else_branch", &body_of([&[], &["z"]], &[node("Identity", &["x"], &["z"], &[])]));
    let taken = node("If", &["true"], &["y"], &[branch, other]);
    gives(&model(&[taken, node("Abs", &["x"], &["v"], &[])]), &X.map(|x| -x.abs().exp()));
    // A loop's body reads a later value, and has names of its own that the outer graph uses too.
    let steps = [node("Add", &["t", "b"], &["next"], &[]), node("Abs", &["s"], &["t"], &[])];
    let body = subgraph("body", &body_of([&["i", "c", "s"], &["c", "next"]], &steps));
    let turns = node("Loop", &["three", "", "x"], &["y"], &[body]);
    let model = model(&[turns, node("Neg", &["one"], &["b"], &[])]).initialiser(&floats("one", &[], &[1.0]));
    gives(&model, &X.map(|x| (0..3).fold(x, |s, _| s.abs() - 1.0)));
}

/// A name that a body and a later outer node share is the body's: no cycle.
#[test]
fn names_of_bodies_are_their_own() {
    let branch = |op| body_of([&[], &["z"]], &[node(op, &["x"], &["t"], &[]), node("Neg", &["t"], &["z"], &[])]);
    let branches = [subgraph("then_branch", &branch("Abs")), subgraph("else_branch", &branch("Exp"))];
    let nodes =
        [node("Exp", &["t"], &["y"], &[]), node("Neg", &["u"], &["t"], &[]), node("If", &["true"], &["u"], &branches)];
    gives(&model(&nodes), &X.map(|x| x.abs().exp()));
}

#[test]
fn circles_name_a_node_and_what_it_reads() {
    let circle = model(&[
        node("Add", &["x", "b"], &["a"], &[]),
        node("Exp", &["a"], &["b"], &[]),
        node("Neg", &["b"], &["y"], &[]),
    ]);
    refused(
        &circle,
        &["Exp \"b\": inputs: wanted what doesn't depend on it, got \"a\"", "from this node's own outputs"],
    );
    refused(&model(&[node("Add", &["x", "y"], &["y"], &[])]), &["Add \"y\"", "got \"y\", which is computed from"]);
    // The cycle runs through a body, within a body, and within a function.
    let body = |name: &str| body_of([&[], &["z"]], &[node("Neg", &[name], &["z"], &[])]);
    let branches = |name: &str| [subgraph("then_branch", &body(name)), subgraph("else_branch", &body(name))];
    refused(&model(&[node("If", &["true"], &["y"], &branches("y"))]), &["If \"y\"", "got \"y\", which is computed"]);
    refused(&model(&[node("If", &["true"], &["y"], &branches("z"))]), &["Neg \"y/then_branch/z\"", "got \"z\", which"]);
    let steps = [node("Neg", &["b"], &["a"], &[]), node("Neg", &["a"], &["b"], &[])];
    let function = function_of("Circle", [&["x"], &["b"]], &[], &[], &steps);
    let called = model(&[node_of("local", "Circle", &["x"], &["y"], &[])]).function(&function);
    refused(&called, &["Neg \"y/", "which is computed from this node's own outputs"]);
    // A cycle without readers is allowed.
    let aside = [node("Neg", &["b"], &["a"], &[]), node("Neg", &["a"], &["b"], &[]), node("Neg", &["x"], &["y"], &[])];
    gives(&model(&aside), &X.map(|x| -x));
    refused(
        &model(&[node("Add", &["x", "nothing"], &["y"], &[])]),
        &["Add \"y\": inputs: wanted what exists, got \"nothing\""],
    );
}

/// A chain of nodes from the last to the first takes as many steps as nodes, and no stack.
#[test]
fn long_files_are_sorted_too() {
    let count = 60_000;
    let name = |i: usize| {
        if i == 0 {
            "x".to_owned()
        } else if i == count {
            "y".to_owned()
        } else {
            format!("v{i}")
        }
    };
    let nodes: Vec<Message> = (0..count)
        .rev()
        .map(|i| node_of("", if i + 1 == count { "Neg" } else { "Identity" }, &[name(i)], &[name(i + 1)], &[]))
        .collect();
    gives(&model(&nodes), &X.map(|x| -x));
}

/// In training (told by the outputs before opset 14), the batch's statistics count, and the first output is computed.
#[test]
fn batch_norm_in_training() {
    const X: [f32; 12] = [1.0, 5.0, 0.5, 0.5, -2.0, 4.0, 3.0, -1.0, 1.5, 3.5, 2.0, -6.0];
    let (scale, bias, mean, var) = ([2.0, 0.5], [1.0, -1.0], [0.5, -0.5], [4.0, 0.25]);
    let part = |name: &str, values: [f32; 2]| floats(name, &[2], &values);
    let of = |opset: i64, outputs: &[&str], read: &str, attributes: &[Message]| {
        let inputs = ["x", "scale", "bias", "mean", "var"];
        let model = Model::new(opset).input("x", &[3, 2, 2]).output(read);
        let parts = [("scale", scale), ("bias", bias), ("mean", mean), ("var", var)];
        let model = parts.into_iter().fold(model, |model, (name, values)| model.initialiser(&part(name, values)));
        model.node("BatchNormalization", &inputs, outputs, &[&[float("epsilon", 0.25)], attributes].concat())
    };
    let wanted = |training: bool| -> Vec<f32> {
        let statistics = [0, 1].map(|c| {
            if !training {
                return (mean[c], var[c]);
            }
            let values: Vec<f32> = (0..12).filter(|i| i / 2 % 2 == c).map(|i| X[i]).collect();
            let mean = values.iter().sum::<f32>() / 6.0;
            (mean, values.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 6.0)
        });
        let normal = |(i, x): (usize, &f32)| {
            let c = i / 2 % 2;
            (x - statistics[c].0) / (statistics[c].1 + 0.25).sqrt() * scale[c] + bias[c]
        };
        X.iter().enumerate().map(normal).collect()
    };
    let given = |model: &Model, training: bool| {
        same(&run(model, &Bindings::new(), &[X.to_vec().into()]), &wanted(training));
    };
    let all = ["y", "running_mean", "running_var", "saved_mean", "saved_var"];
    for opset in [6, 7, 9, 13] {
        given(&of(opset, &all, "y", &[]), true);
        given(&of(opset, &all[..1], "y", &[]), false);
    }
    given(&of(6, &all, "y", &[int("is_test", 1)]), false);
    given(&of(14, &all[..3], "y", &[]), false);
    given(&of(15, &all[..3], "y", &[int("training_mode", 1)]), true);
    refused(
        &of(9, &all, "saved_var", &[]),
        &["BatchNormalization \"y\": outputs: wanted 1 at most, got 5: \"saved_var\" is read"],
    );
    refused(&of(15, &all[..3], "running_mean", &[]), &["got 3: \"running_mean\" is read"]);
}

/// An output without readers needs no support, wherever it stands.
#[test]
fn outputs_that_nobody_reads() {
    // Indices in four spatial dimensions aren't supported; the largest values are.
    let pool = |outputs: &[&str], read: &str| {
        let size = [ints("kernel_shape", &[1; 4])];
        Model::new(17).input("x", &[1, 1, 1, 1, 2, 2]).node("MaxPool", &["x"], outputs, &size).output(read)
    };
    refused(&pool(&["y", "places"], "places"), &["MaxPool \"y\": input: wanted 1 to 3 spatial dimensions"]);
    let alone = refusal(&pool(&["y"], "y"));
    assert_eq!(refusal(&pool(&["y", "places"], "y")), alone, "the places are nobody's");
    let pool = |outputs: &[&str]| {
        let size = [ints("kernel_shape", &[2, 2])];
        Model::new(17).input("x", &[1, 1, 2, 2]).node("MaxPool", &["x"], outputs, &size).output("y")
    };
    assert_eq!(names(&pool(&["y", "places"])), names(&pool(&["y"])));
    gives(&pool(&["y", "places"]), &[2.0]);
    let norm = |outputs: &[&str]| {
        let model = Model::new(17).input("x", &[1, 4]).initialiser(&floats("one", &[4], &[1.0; 4])).output("y");
        model.node("LayerNormalization", &["x", "one"], outputs, &[])
    };
    assert_eq!(names(&norm(&["y", "mean", "inv_std"])), names(&norm(&["y"])));
    let dropout = |outputs: &[&str]| model(&[node("Dropout", &["x"], outputs, &[])]);
    gives(&dropout(&["y", "mask"]), &X);
    // Split divides by the number of its outputs, read or not.
    let split = model(&[node("Split", &["x"], &["rest", "y"], &[])]);
    gives(&split, &X[2..]);
    let state = |outputs: &[&str], read: &str| {
        let model = Model::new(17).input("x", &[1, 1, 4]).output(read);
        let model = model.initialiser(&floats("w", &[1, 8, 4], &numbers(32)));
        let model = model.initialiser(&floats("r", &[1, 8, 2], &numbers(16)));
        model.node("LSTM", &["x", "w", "r"], outputs, &[int("hidden_size", 2)])
    };
    let first = run(&state(&["y"], "y"), &Bindings::new(), &[X.to_vec().into()]);
    for (outputs, read) in [(&["y", "h", "c"][..], "y"), (&["y", "h", "c"], "h"), (&["", "h"], "h")] {
        gives(&state(outputs, read), &first);
    }
    // The same holds in bodies: a branch, turns of a loop, a scan, a function.
    let steps = [node("Neg", &["x"], &["z"], &[]), node("Frobnicate", &["x"], &["f"], &[])];
    let branches = ["then_branch", "else_branch"].map(|name| subgraph(name, &body_of([&[], &["z", "f"]], &steps)));
    let taken = |outputs: &[&str], read: &str| {
        model(&[node("If", &["true"], outputs, &branches), node("Identity", &[read], &["y"], &[])])
    };
    gives(&taken(&["a", "b"], "a"), &X.map(|x| -x));
    refused(&taken(&["a", "b"], "b"), &["Frobnicate \"a/then_branch/f\""]);
    let steps =
        [node("Neg", &["s"], &["t"], &[]), node("Frobnicate", &["s"], &["f"], &[]), node("Exp", &["s"], &["e"], &[])];
    let body = subgraph("body", &body_of([&["i", "c", "s"], &["c", "t", "f", "e"]], &steps));
    let turns = |read: &str| {
        let turns = node("Loop", &["three", "", "x"], &["last", "f", "all"], std::slice::from_ref(&body));
        model(&[turns, node("Identity", &[read], &["y"], &[])])
    };
    gives(&turns("last"), &X.map(|x| -x));
    gives(&turns("all"), &[X, X.map(|x| -x), X].concat().iter().map(|x| x.exp()).collect::<Vec<_>>());
    refused(&turns("f"), &["Frobnicate \"last/0/f\""]);
    let steps = [
        node("Add", &["s", "v"], &["t"], &[]),
        node("Frobnicate", &["v"], &["f"], &[]),
        node("Neg", &["v"], &["n"], &[]),
    ];
    let body = subgraph("body", &body_of([&["s", "v"], &["t", "f", "n"]], &steps));
    for opset in [8, 17] {
        let scan = |read: &str| {
            let (zero, x): (&[i64], &[i64]) = if opset == 8 { (&[1], &[1, 4]) } else { (&[], &[4]) };
            let inputs: &[&str] = if opset == 8 { &["", "zero", "x"] } else { &["zero", "x"] };
            let attributes = [body.clone(), int("num_scan_inputs", 1)];
            let model = Model::new(opset).input("x", x).initialiser(&floats("zero", zero, &[0.0])).output("y");
            let model = model.node("Scan", inputs, &["sum", "f", "all"], &attributes);
            model.node("Identity", &[read], &["y"], &[])
        };
        gives(&scan("sum"), &[X.iter().sum()]);
        gives(&scan("all"), &X.map(|x| -x));
        refused(&scan("f"), &["Frobnicate"]);
    }
    let steps = [node("Neg", &["v"], &["n"], &[]), node("Frobnicate", &["v"], &["f"], &[])];
    let body = subgraph("body", &body_of([&["v"], &["n", "f"]], &steps));
    let map = |read: &str| {
        let nodes = [
            node("SplitToSequence", &["x"], &["parts"], &[]),
            node("SequenceMap", &["parts"], &["negative", "f"], std::slice::from_ref(&body)),
            node("ConcatFromSequence", &[read], &["y"], &[int("axis", 0)]),
        ];
        model(&nodes)
    };
    gives(&map("negative"), &X.map(|x| -x));
    refused(&map("f"), &["Frobnicate"]);
}

/// The sizes of parts are a list: their product isn't that of a tensor.
#[test]
fn lists_of_numbers_are_no_shapes() {
    let x: Vec<f32> = (0..448).map(|i| i as f32).collect();
    let of = |sizes: &[i64], op: &str, read: usize| {
        let names: Vec<String> = (0..sizes.len()).map(|i| format!("p{i}")).collect();
        let total: i64 = sizes.iter().sum();
        let model = Model::new(17).input("x", &[total]).initialiser(&list("sizes", sizes)).output("y");
        match op {
            "Split" => {
                let model = model.with(1, &node_of("", op, &["x", "sizes"], &names, &[]));
                model.node("Neg", &[&names[read]], &["y"], &[])
            }
            _ => {
                let model = model.node(op, &["x", "sizes"], &["parts"], &[]);
                let model = model.initialiser(&longs("at", &[], &[read as i64]));
                model.node("SequenceAt", &["parts", "at"], &["p"], &[]).node("Neg", &["p"], &["y"], &[])
            }
        }
    };
    for op in ["Split", "SplitToSequence"] {
        // 56^8 is more than any tensor has elements; 70 is more than any tensor has dimensions.
        for (sizes, read) in [(vec![56; 8], 7), (vec![2; 70], 69)] {
            let [from, to] = [read, read + 1].map(|i| i * sizes[0] as usize);
            let wanted: Vec<f32> = x[from..to].iter().map(|x| -x).collect();
            let input = x[..sizes.iter().sum::<i64>() as usize].to_vec();
            same(&run(&of(&sizes, op, read), &Bindings::new(), &[input.into()]), &wanted);
        }
        refused(&of(&[3, -1], op, 0), &[op, "split: wanted sizes that add up to 2, got [3, -1]"]);
    }
    let old = Model::new(11).input("x", &[448]).output("p7");
    let names: Vec<String> = (0..8).map(|i| format!("p{i}")).collect();
    let old = old.with(1, &node_of("", "Split", &["x"], &names, &[ints("split", &[56; 8])]));
    same(&run(&old, &Bindings::new(), &[x.clone().into()]), &x[392..]);
    // Resize's sizes are bounds for its policy, and only one of them counts.
    let resize = Model::new(18).input("x", &[1, 1, 2, 2]).initialiser(&list("sizes", &[4, 1 << 40])).output("y");
    let policy = crate::model::string("keep_aspect_ratio_policy", "not_larger");
    let attributes = [policy, ints("axes", &[2, 3])];
    let resize = resize.node("Resize", &["x", "", "", "sizes"], &["y"], &attributes);
    let (a, b, c, d) = (X[0], X[1], X[2], X[3]);
    gives(&resize, &[a, a, b, b, a, a, b, b, c, c, d, d, c, c, d, d]);
}
