//! Sequences and optional values.

use super::{X, chain, gives, node, refused};
use crate::graph;
use crate::model::{FLOAT, INT64, Message, Model, body_of, int, list, longs, subgraph};

#[test]
fn sequences_are_lists() {
    let numbers = |name: &str, value: i64| longs(name, &[], &[value]);
    let model = |nodes: &[Message]| {
        let model = chain(Model::new(17), nodes).initialiser(&numbers("zero", 0)).initialiser(&numbers("last", -1));
        model.initialiser(&numbers("two", 2)).initialiser(&list("uneven", &[1, 3])).initialiser(&numbers("five", 5))
    };
    let split = |inputs: &[&str], attributes: &[Message]| node("SplitToSequence", inputs, &["q"], attributes);
    let at = |place: &str| node("SequenceAt", &["q", place], &["y"], &[]);
    gives(&model(&[split(&["x"], &[]), at("last")]), &X[3..]);
    gives(&model(&[split(&["x", "two"], &[]), at("last")]), &X[2..]);
    gives(&model(&[split(&["x", "uneven"], &[int("axis", -1)]), at("last")]), &X[1..]);
    let sizes = |model: &Model| {
        let graph = graph(model).unwrap_or_else(|error| panic!("{error}"));
        graph.shape(graph.outputs()[0].1, 1).expect("it is the graph's").to_vec()
    };
    assert!(sizes(&model(&[split(&["x"], &[int("keepdims", 0)]), at("zero")])).is_empty());
    // PyTorch exports `unbind` like this: the specification keeps the axis, but the runtimes drop it.
    let one = |name: &str| [split(&["x", name], &[int("keepdims", 0)]), at("zero")];
    assert!(sizes(&model(&one("one")).initialiser(&numbers("one", 1))).is_empty());
    assert_eq!(sizes(&model(&one("uneven"))), [1]);
    refused(&model(&one("two")), &["keepdims: wanted 1, where parts are larger than 1"]);
    let concat = |new: i64| node("ConcatFromSequence", &["r"], &["y"], &[int("axis", 0), int("new_axis", new)]);
    let pieces = [split(&["x"], &[]), node("SequenceAt", &["q", "zero"], &["first"], &[])];
    let through = |nodes: &[Message]| model(&[&pieces[..], nodes, &[concat(0)]].concat());
    let insert = |inputs: &[&str]| node("SequenceInsert", inputs, &["r"], &[]);
    gives(&through(&[insert(&["q", "first"])]), &[-3.0, -0.5, 0.25, 2.0, -3.0]);
    gives(&through(&[insert(&["q", "first", "last"])]), &[-3.0, -0.5, 0.25, -3.0, 2.0]);
    gives(&through(&[insert(&["q", "first", "two"])]), &[-3.0, -0.5, -3.0, 0.25, 2.0]);
    refused(&through(&[insert(&["q", "first", "five"])]), &["position: wanted one of 4 places, got 5"]);
    gives(&through(&[node("SequenceErase", &["q"], &["r"], &[])]), &X[..3]);
    gives(&through(&[node("SequenceErase", &["q", "zero"], &["r"], &[])]), &X[1..]);
    let made = node("SequenceConstruct", &["x", "x"], &["r"], &[]);
    gives(&model(&[made.clone(), concat(1)]), &[X, X].concat());
    assert_eq!(sizes(&model(&[made.clone(), concat(1)])), [2, 4]);
    let length = [node("SequenceLength", &["r"], &["n"], &[]), node("Cast", &["n"], &["f"], &[int("to", FLOAT)])];
    let sum = node("Add", &["x", "f"], &["y"], &[]);
    gives(&model(&[std::slice::from_ref(&made), &length, &[sum]].concat()), &X.map(|x| x + 2.0));
    // Each element plus a common tensor, and minus the element of another sequence.
    let body = [node("Add", &["a", "x"], &["t"], &[]), node("Sub", &["t", "b"], &["u"], &[])];
    let map = subgraph("body", &body_of([&["a", "b"], &["u"]], &body));
    let map = node("SequenceMap", &["r", "s"], &["m"], &[map]);
    let lists = [
        node("Neg", &["x"], &["n"], &[]),
        node("SequenceConstruct", &["x", "n"], &["r"], &[]),
        node("SequenceConstruct", &["n", "x"], &["s"], &[]),
    ];
    let joined = node("ConcatFromSequence", &["m"], &["y"], &[int("axis", 0)]);
    gives(&model(&[&lists[..], &[map, joined]].concat()), &[X.map(|x| 3.0 * x), X.map(|x| -x)].concat());
    // Errors of sequences.
    let late = model(&[split(&["x"], &[]), at("k")]).typed("k", INT64, &[]);
    refused(&late, &["SequenceAt \"y\": position: wanted what is known", "the input \"k\""]);
    refused(&model(&[split(&["x"], &[]), at("five")]), &["SequenceAt \"y\": position: wanted one of 4 places, got 5"]);
    refused(
        &model(&[split(&["x", "five"], &[]), node("Relu", &["q"], &["y"], &[])]),
        &["Relu \"y\": input 0: wanted a tensor, got a sequence of 1 tensors of float"],
    );
    refused(&model(&[node("SequenceAt", &["x", "zero"], &["y"], &[])]), &["wanted a sequence, got a tensor of float"]);
    refused(
        &model(&[node("SequenceConstruct", &["x", "x"], &["y"], &[])]),
        &["output \"y\": wanted a tensor, got a sequence"],
    );
    refused(
        &model(&[node("SequenceConstruct", &["x", "two"], &["y"], &[])]),
        &["elements of a sequence: wanted float, got int64"],
    );
    refused(&model(&[node("SequenceEmpty", &[], &["r"], &[]), concat(0)]), &["an element or more, got none"]);
    refused(
        &model(&[node("SequenceEmpty", &[], &["r"], &[int("dtype", INT64)]), insert(&["r", "x"])]).output("r"),
        &["wanted"],
    );
    refused(
        &model(&[made, node("ConcatFromSequence", &["r"], &["y"], &[])]),
        &["attribute axis: wanted a number, got none"],
    );
    refused(&model(&[split(&["x", "uneven"], &[int("axis", 1)]), at("zero")]), &["axis: wanted one of 1 dimensions"]);
    refused(
        &model(&[split(&["x", "zero"], &[]), at("zero")]),
        &["SplitToSequence \"q\": split: wanted sizes that add up to 4"],
    );
}

/// An optional value is the value that it holds.
#[test]
fn optional_values_are_there_or_not() {
    let has = |inputs: &[&str]| {
        let nodes = [
            node("Optional", inputs, &["o"], &[]),
            node("OptionalHasElement", &["o"], &["b"], &[]),
            node("Cast", &["b"], &["f"], &[int("to", FLOAT)]),
            node("Add", &["x", "f"], &["y"], &[]),
        ];
        chain(Model::new(18), &nodes)
    };
    gives(&has(&["x"]), &X.map(|x| x + 1.0));
    gives(&has(&[]), &X);
    let get = |inputs: &[&str]| {
        let nodes = [node("Optional", inputs, &["o"], &[]), node("OptionalGetElement", &["o"], &["y"], &[])];
        chain(Model::new(18), &nodes)
    };
    gives(&get(&["x"]), &X);
    refused(&get(&[]), &["OptionalGetElement \"y\": input 0: wanted what is there, got nothing"]);
}
