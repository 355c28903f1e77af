//! Bindings of a network's open sizes: the sizes that follow from them, and names that the network doesn't have.

use crate::honoured::context;
use crate::model::{FLOAT, Model, Size};
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::{BATCH, Graph, Tensor};

fn onnx(model: &Model) -> Onnx {
    Onnx::from_bytes(model.bytes()).expect("it is whole")
}

/// Builds a network with the inputs `[batch, length, 4]` and `[length, 4]`.
fn named() -> Onnx {
    let model = Model::new(17).port("x", FLOAT, &[Size::Named("batch"), Size::Named("length"), Size::Of(4)]);
    let model = model.port("z", FLOAT, &[Size::Named("length"), Size::Of(4)]);
    onnx(&model.node("Add", &["x", "z"], &["y"], &[]).output("y"))
}

fn fixed() -> Onnx {
    onnx(&Model::new(17).input("x", &[1, 3]).input("z", &[3]).node("Add", &["x", "z"], &["y"], &[]).output("y"))
}

#[track_caller]
fn refused(onnx: &Onnx, bindings: Bindings, wanted: &str) {
    assert_eq!(onnx.graph(&bindings).expect_err("it should be refused").to_string(), wanted);
    // A caller that asks only for a shape gets the same error.
    assert_eq!(onnx.shape("x", &bindings).expect_err("it should be refused").to_string(), wanted);
}

#[test]
fn names_that_a_network_has_not() {
    let (named, fixed) = (named(), fixed());
    let length = || Bindings::new().size("length", 5);
    assert_eq!(named.shape("x", &length().batch(2)).expect("all is said")[..], [2, 5, 4]);
    refused(&named, length().size("hh", 4), "size: wanted one of \"batch\", \"length\", got \"hh\"");
    refused(&fixed, Bindings::new().size("x", 4), "size: wanted none: the file names none, got \"x\"");
    refused(&named, length().shape("w", [1]), "input: wanted one of \"x\", \"z\", got \"w\"");
    refused(
        &named,
        length().values("y", Tensor::new([1], vec![1.0f32]).unwrap()),
        "input: wanted one of \"x\", \"z\", got \"y\"",
    );
    let error = named.shape("w", &length()).expect_err("no such input").to_string();
    assert_eq!(error, "input: wanted one of \"x\", \"z\", got \"w\"");
    // An initializer with an input's name is no input.
    let model = Model::new(17).input("x", &[1]).input("w", &[1]).initialiser(&crate::model::floats("w", &[1], &[2.0]));
    let model = onnx(&model.node("Mul", &["x", "w"], &["y"], &[]).output("y"));
    refused(
        &model,
        Bindings::new().values("w", Tensor::new([1], vec![3.0f32]).unwrap()),
        "input: wanted one of \"x\", got \"w\"",
    );
}

#[test]
fn sizes_that_contradict_each_other() {
    let named = named();
    let shape = |rows: usize| Bindings::new().shape("x", [rows, 5, 4]);
    // A shape binds its named sizes for other inputs too.
    assert_eq!(named.shape("z", &shape(3)).expect("5 is said")[..], [5, 4]);
    refused(
        &named,
        shape(3).size("length", 6),
        "size \"length\": wanted 5, as the shape of input \"x\" is [3, 5, 4], got 6",
    );
    refused(&named, shape(3).batch(2), "batch: wanted 3, the first size of input \"x\", got 2");
    let batch = "batch: wanted 1: no input leaves its first size to it (x [batch, length, 4], z [length, 4])";
    assert!(named.graph(&shape(3).batch(3).size("length", 5)).is_ok());
    refused(&named, Bindings::new().size("length", 5).size("batch", 4).batch(8), &format!("{batch}, got 8"));
}

/// A batch by name may be any size of another input.
#[test]
fn a_batch_has_one_name() {
    let model = Model::new(17).port("x", FLOAT, &[Size::Named("batch"), Size::Of(4)]);
    let model = model.port("z", FLOAT, &[Size::Of(1), Size::Named("batch")]);
    let onnx = onnx(&model.node("MatMul", &["z", "x"], &["y"], &[]).output("y"));
    for batch in [1, 3] {
        assert_eq!(onnx.shape("z", &Bindings::new().batch(batch)).expect("it follows")[..], [1, batch]);
        assert!(onnx.graph(&Bindings::new().batch(batch)).is_ok());
    }
}

#[test]
fn a_batch_where_none_is_open() {
    let wanted = "batch: wanted 1: no input leaves its first size to it (x [1, 3], z [3]), got 8";
    refused(&fixed(), Bindings::new().batch(8), wanted);
    assert!(fixed().graph(&Bindings::new().batch(1)).is_ok());
    let eight = onnx(&Model::new(17).input("x", &[8, 3]).node("Neg", &["x"], &["y"], &[]).output("y"));
    assert!(eight.graph(&Bindings::new().batch(8)).is_ok());
    let scalar = onnx(&Model::new(17).input("x", &[]).node("Neg", &["x"], &["y"], &[]).output("y"));
    refused(&scalar, Bindings::new().batch(2), "batch: wanted 1: no input leaves its first size to it (x []), got 2");
}

/// A graph of fixed sizes serves no other batch.
#[test]
fn sessions_for_a_batch_that_a_graph_has_not() {
    let model = |graph: &Graph| shadernet::Model::new(context(), graph).expect("it has an output");
    let graph = named().graph(&Bindings::new().size("length", 4)).expect("all is said");
    assert!(model(&graph).session(1).is_ok());
    let error = model(&graph).session(8).expect_err("it is for 1").to_string();
    assert_eq!(error, "batch: wanted 1: the sizes of this graph are fixed (x [1, 4, 4], z [4, 4]), got 8");
    // This model builds a graph for each batch.
    let onnx = named();
    let build = move |batch| onnx.graph(&Bindings::new().batch(batch).size("length", 4));
    let session = shadernet::Model::for_batches(context(), build).session(8).expect("it fits");
    assert_eq!(session.outputs()[0].shape[..], [8, 4, 4]);

    let build = |first: usize| {
        let mut graph = Graph::new();
        let x = graph.input("x", [first, 4]);
        let y = graph.relu(x).expect("any shape serves");
        graph.output("y", y);
        graph
    };
    assert!(model(&build(3)).session(1).is_ok() && model(&build(BATCH)).session(8).is_ok());
    for batch in [0, 3, 8] {
        assert!(model(&build(3)).session(batch).is_err());
    }
}

/// The state stays on the device: a frame begins with what the frame before left.
#[test]
fn an_input_becomes_a_state() {
    let model = Model::new(17).input("x", &[2]).input("before", &[2]).node("Add", &["x", "before"], &["sum"], &[]);
    let onnx = onnx(&model.output("sum"));
    let graph = onnx.graph(&Bindings::new().state("before", "sum")).expect("it can be built");
    assert_eq!(graph.inputs().iter().map(|input| &input.name[..]).collect::<Vec<_>>(), ["x"]);
    let session = shadernet::Model::new(context(), &graph).unwrap().session(1).unwrap();
    for expected in [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]] {
        assert_eq!(session.run_blocking(&[[1.0f32, 2.0]]).unwrap()[0], expected);
    }
    let refused = |bindings: Bindings| onnx.graph(&bindings).expect_err("it should be refused").to_string();
    let nothing = refused(Bindings::new().state("before", "nothing"));
    assert_eq!(nothing, "output: wanted one of \"sum\", got \"nothing\"");
    assert_eq!(refused(Bindings::new().state("y", "sum")), "input: wanted one of \"before\", \"x\", got \"y\"");
}
