//! Functions, control flow and sequences: constructs resolved when a graph is built, refused ones, and hostile ones.

mod control_flow;
mod functions;
mod sequences;

use crate::honoured::{run, same};
use crate::model::{BOOL, FLOAT, Message, Model, body_of, function_of, int, list, longs, node_of, raw, subgraph};
use crate::mutation::planned;
use crate::refusal;
use shadernet::import::onnx::Bindings;

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    node_of("", op, inputs, outputs, attributes)
}

fn call(name: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    node_of("local", name, inputs, outputs, attributes)
}

fn local() -> Model {
    Model::new(17).opset("local", 1)
}

/// Builds a model from x, 4 floats, to y.
fn chain(model: Model, nodes: &[Message]) -> Model {
    nodes.iter().fold(model.input("x", &[4]).output("y"), |model, node| model.with(1, node))
}

const X: [f32; 4] = [-3.0, -0.5, 0.25, 2.0];

#[track_caller]
fn gives(model: &Model, wanted: &[f32]) {
    same(&run(model, &Bindings::new(), &[X.to_vec().into()]), wanted);
}

/// Expects a refusal whose message has all these words.
#[track_caller]
fn refused(model: &Model, words: &[&str]) {
    let message = refusal(model);
    for word in words {
        assert!(message.contains(word), "wanted \"{word}\" in: {message}");
    }
}

/// Expects a refusal with these words, soon and in bounded memory.
#[track_caller]
fn hostile(model: &Model, words: &str) {
    assert!(!planned(&model.bytes(), words), "wanted a refusal: {words}");
    refused(model, &[words]);
}

fn truth(name: &str, value: bool) -> Message {
    raw(name, BOOL, &[], &[value.into()])
}

/// Builds a loop from x: the carried value is s, the turn's number is i, the condition is c.
fn turns(most: &str, cond: &str, outputs: &[&str], nodes: &[Message], given: &[&str]) -> Model {
    let body = body_of([&["i", "c", "s"], given], nodes);
    let model = chain(Model::new(17), &[node("Loop", &[most, cond, "x"], outputs, &[subgraph("body", &body)])]);
    let model = model.initialiser(&longs("three", &[], &[3])).initialiser(&longs("none", &[], &[0]));
    model.initialiser(&truth("true", true)).initialiser(&truth("false", false)).initialiser(&longs("one", &[], &[1]))
}

#[test]
fn bodies_without_end_are_refused() {
    let itself = function_of("F", [&["a"], &["b"]], &[], &[], &[call("F", &["a"], &["b"], &[])]);
    hostile(&chain(local(), &[call("F", &["x"], &["y"], &[])]).function(&itself), "the function F, which calls itself");
    let other = |name: &str, of: &str| function_of(name, [&["a"], &["b"]], &[], &[], &[call(of, &["a"], &["b"], &[])]);
    let two = chain(local(), &[call("F", &["x"], &["y"], &[])]).function(&other("F", "G")).function(&other("G", "F"));
    hostile(&two, "the function F, which calls itself");
    refused(&two, &["F \"y/b/b\""]);
    // Each function calls the one before twice.
    let double = |depth: usize| {
        (0..depth).fold(chain(local(), &[call(&format!("F{depth}"), &["x"], &["y"], &[])]), |model, i| {
            let of = format!("F{i}");
            let body = [call(&of, &["a"], &["t"], &[]), call(&of, &["t"], &["b"], &[])];
            model.function(&function_of(&format!("F{}", i + 1), [&["a"], &["b"]], &[], &[], &body))
        })
    };
    let first = function_of("F0", [&["a"], &["b"]], &[], &[], &[node("Identity", &["a"], &["b"], &[])]);
    assert!(planned(&double(4).function(&first).bytes(), "16 functions"));
    hostile(&double(28).function(&first), "bodies and sequences: wanted");
    hostile(&double(60).function(&first), "bodies: wanted 32 at most, one in the other");
    // The loops run for ever, or nearly so.
    let long = |most: &str, cond: &str, nodes: &[Message], outputs: &[&str]| {
        turns(most, cond, &["y"], nodes, outputs).initialiser(&longs("huge", &[], &[1 << 60]))
    };
    hostile(&long("huge", "", &[], &["c", "s"]), "bodies and sequences: wanted");
    hostile(&long("", "true", &[], &["c", "s"]), "bodies and sequences: wanted");
    hostile(&long("huge", "", &[node("Relu", &["s"], &["t"], &[])], &["c", "t"]), "bodies and sequences: wanted");
    let inner = subgraph("body", &body_of([&["j", "d", "r"], &["d", "r"]], &[]));
    let nested = [node("Loop", &["huge", "", "s"], &["t"], &[inner])];
    hostile(&long("huge", "", &nested, &["c", "t"]), "bodies and sequences: wanted");
    let grown = [node("Concat", &["s", "s"], &["t"], &[int("axis", 0)])];
    planned(&long("huge", "", &grown, &["c", "t"]).bytes(), "a tensor that doubles");
    // A sequence grows by one element in each turn.
    let body = body_of([&["i", "c", "s"], &["c", "t"]], &[node("SequenceInsert", &["s", "x"], &["t"], &[])]);
    let grown = [
        node("SequenceEmpty", &[], &["q"], &[]),
        node("Loop", &["huge", "", "q"], &["r"], &[subgraph("body", &body)]),
        node("ConcatFromSequence", &["r"], &["y"], &[int("axis", 0)]),
    ];
    hostile(
        &chain(Model::new(17), &grown).initialiser(&longs("huge", &[], &[1 << 60])),
        "bodies and sequences: wanted",
    );
    // Each turn reads a constant that is copied when it is read.
    let constant =
        (0..1 << 18).fold(Message::default().int(1, 1 << 18).int(2, FLOAT), |tensor, _| tensor.float(4, 1.0));
    let value = crate::model::tensor("value", &constant);
    let body = [node("Constant", &[], &["k"], &[value]), node("Reshape", &["k", "flat"], &["t"], &[])];
    let constants = long("huge", "", &body, &["c", "t"]).initialiser(&list("flat", &[-1]));
    hostile(&constants, "at most");
    // Each element of the sequence is a tensor.
    let split = [node("SplitToSequence", &["v"], &["q"], &[]), node("SequenceAt", &["q", "zero"], &["y"], &[])];
    let wide = split.iter().fold(Model::new(17).input("v", &[1 << 30]).output("y"), |model, node| model.with(1, node));
    hostile(&wide.initialiser(&longs("zero", &[], &[0])), "bodies and sequences: wanted");
    let many: Vec<String> = (0..100_000).map(|i| format!("a{i}")).collect();
    let names: Vec<&str> = many.iter().map(|name| &name[..]).collect();
    let given: Vec<Message> = many.iter().map(|name| int(name, 1)).collect();
    let wide = function_of("F", [&["a"], &["b"]], &names, &[], &[node("Relu", &["a"], &["b"], &[])]);
    planned(&chain(local(), &[call("F", &["x"], &["y"], &given)]).function(&wide).bytes(), "many attributes");
}
