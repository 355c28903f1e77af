//! Functions: attributes, names, values and constants of their calls.

use super::{X, call, chain, gives, local, node, refused};
use crate::graph;
use crate::model::{Message, body_of, float, float_list, floats, function_of, int, longs, reference, subgraph};

#[test]
fn functions_have_the_attributes_of_their_callers() {
    let leaky = |slope: f32| X.map(|x| if x < 0.0 { slope * x } else { x });
    let body = [node("LeakyRelu", &["a"], &["b"], &[reference("alpha", 1, "slope")])];
    let leak = function_of("Leak", [&["a"], &["b"]], &["slope"], &[], &body);
    let calls = |attributes: &[Message]| chain(local(), &[call("Leak", &["x"], &["y"], attributes)]).function(&leak);
    gives(&calls(&[float("slope", 0.5)]), &leaky(0.5));
    // A missing attribute leaves the node's default.
    gives(&calls(&[]), &leaky(0.01));
    refused(&calls(&[float("alpha", 0.5)]), &["Leak \"y\": attributes: wanted only", "slope", "got \"alpha\""]);
    refused(&calls(&[float("slope", 0.5), float("slope", 0.5)]), &["\"slope\" twice"]);
    refused(&calls(&[int("slope", 1)]), &["LeakyRelu \"y/b\": attribute alpha: wanted a value of type Float, got Int"]);
    let sloped = function_of("Leak", [&["a"], &["b"]], &[], &[float("slope", 0.25)], &body);
    let calls = |attributes: &[Message]| chain(local(), &[call("Leak", &["x"], &["y"], attributes)]).function(&sloped);
    gives(&calls(&[]), &leaky(0.25));
    gives(&calls(&[float("slope", 0.5)]), &leaky(0.5));
    // The attribute passes through another function, under another name.
    let body = [call("Leak", &["c"], &["d"], &[reference("slope", 1, "steep")])];
    let outer = function_of("Outer", [&["c"], &["d"]], &["steep"], &[], &body);
    let model = chain(local(), &[call("Outer", &["x"], &["y"], &[float("steep", 0.75)])]);
    gives(&model.function(&outer).function(&leak), &leaky(0.75));
}

#[test]
fn functions_have_names_inputs_and_operators_of_their_own() {
    let body = [node("Clip", &["a", "lo", "hi"], &["t"], &[]), node("Neg", &["t"], &["b"], &[])];
    let clip = function_of("Bound", [&["a", "lo", "hi"], &["b"]], &[], &[], &body);
    let calls = |inputs: &[&str]| {
        let nodes = [call("Bound", inputs, &["t"], &[]), call("Bound", &["t"], &["y"], &[])];
        chain(local(), &nodes).function(&clip).initialiser(&floats("c", &[], &[1.0]))
    };
    gives(&calls(&["x", "", "c"]), &[-3.0, -0.5, 0.25, 1.0]);
    gives(&calls(&["x", "c"]), &[1.0, 1.0, 1.0, 2.0]);
    gives(&calls(&["x"]), &X);
    refused(&calls(&["x", "", "c", "c"]), &["Bound \"t\": inputs: wanted 3 at most, got 4"]);
    // A function sees its own values, and so do its bodies, but no outer values.
    let blind = function_of("Blind", [&["a"], &["b"]], &[], &[], &[node("Add", &["a", "c"], &["b"], &[])]);
    let model = chain(local(), &[call("Blind", &["x"], &["y"], &[])]).initialiser(&floats("c", &[], &[1.0]));
    refused(&model.function(&blind), &["Add \"y/b\": inputs: wanted what exists, got \"c\""]);
    // Softmax of opset 12 is over all later axes too.
    let old = Message::default().bytes(1, "Old").strings(4, &["a"]).strings(5, &["b"]).bytes(10, "local");
    let old = old.message(7, &node("Softmax", &["a"], &["b"], &[int("axis", 0)]));
    let old = old.message(9, &Message::default().bytes(1, "").int(2, 12));
    let model = local().input("x", &[2, 2]).with(1, &call("Old", &["x"], &["y"], &[])).output("y").function(&old);
    let sum: f32 = X.iter().map(|x| x.exp()).sum();
    gives(&model, &X.map(|x| x.exp() / sum));
    // A function's unread output isn't checked.
    let two = [node("Neg", &["a"], &["b"], &[]), node("Frobnicate", &["a"], &["c"], &[])];
    let two = function_of("Two", [&["a"], &["b", "c"]], &[], &[], &two);
    gives(&chain(local(), &[call("Two", &["x"], &["y"], &[])]).function(&two), &X.map(|x| -x));
    let both = chain(local(), &[call("Two", &["x"], &["y", "z"], &[])]).function(&two).output("z");
    refused(&both, &["Frobnicate \"y/c\": not supported"]);
    refused(&both.clone().function(&two), &["two functions \"Two\""]);
    let given = chain(local(), &[call("Pass", &["x"], &["y"], &[subgraph("body", &body_of([&[], &["b"]], &[]))])]);
    let pass = [node("If", &["a"], &["b"], &[reference("then_branch", 5, "body")])];
    refused(
        &given.function(&function_of("Pass", [&["a"], &["b"]], &["body"], &[], &pass)),
        &["\"body\", a graph that"],
    );
}

/// Constants of one call or branch aren't those of another of the same name.
#[test]
fn calls_of_one_name_have_their_own_constants() {
    let body = [
        node("Constant", &[], &["c"], &[reference("value_floats", 6, "by")]),
        node("Mul", &["c", "c"], &["d"], &[]),
        node("Add", &["a", "d"], &["b"], &[]),
    ];
    let more = function_of("More", [&["a"], &["b"]], &["by"], &[], &body);
    let more_by =
        |from: &str, to: &str, by| call("More", &[from], &[to], &[float_list("by", &[by; 4])]).bytes(3, "one name");
    gives(&chain(local(), &[more_by("x", "z", 2.0), more_by("z", "y", 3.0)]).function(&more), &X.map(|x| x + 13.0));
}

/// A node's name follows the names of the enclosing nodes.
#[test]
fn nodes_of_bodies_are_called_after_what_they_are_in() {
    let layer = function_of("Layer", [&["a"], &["b"]], &[], &[], &[node("Exp", &["a"], &["b"], &[]).bytes(3, "exp")]);
    let body = body_of([&["i", "c", "s"], &["c", "t"]], &[call("Layer", &["s"], &["t"], &[]).bytes(3, "layer")]);
    let turns = node("Loop", &["two", "", "x"], &["y"], &[subgraph("body", &body)]).bytes(3, "block");
    let model = chain(local(), &[turns]).function(&layer).initialiser(&longs("two", &[], &[2]));
    let graph = graph(&model).expect("two turns");
    let names: Vec<&str> = graph.nodes().iter().map(|node| &node.name[..]).collect();
    assert_eq!(names, ["block/0/layer/exp", "block/1/layer/exp"]);
}
