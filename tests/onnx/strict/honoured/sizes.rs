//! Open sizes, shared weights, and tensors without elements.

use super::{context, numbers, run, same};
use crate::model::{
    BOOL, FLOAT, INT8, INT32, INT64, Model, Size, UINT8, UINT64, floats, int, ints, list, longs, port, raw, string,
};
use crate::{graph, parameters, refusal};
use pollster::block_on;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::{Context, ContextOptions, DType, Data, Shape, Value};

#[test]
fn a_weight_that_two_nodes_read_is_one_constant() {
    let model = Model::new(13).input("x", &[2, 4]).initialiser(&floats("w", &[4, 4], &numbers(16))).output("y");
    let model = model.node("Gemm", &["x", "w"], &["a"], &[int("transB", 1)]);
    let model = model.node("Gemm", &["a", "w"], &["y"], &[int("transB", 1)]);
    let graph = graph(&model).expect("two layers");
    let ids = parameters(&graph);
    assert_eq!(ids.len(), 2, "{graph:?}");
    assert_eq!(ids[0], ids[1]);
}

/// Builds a network with an open batch and an open length.
fn open_network() -> Onnx {
    let model = Model::new(13).port("x", FLOAT, &[Size::Named("batch"), Size::Named("sequence"), Size::Of(3)]);
    let model = model.initialiser(&floats("w", &[3, 2], &numbers(6))).initialiser(&list("minus", &[-1]));
    let model = model.node("Shape", &["x"], &["s"], &[]).node("MatMul", &["x", "w"], &["a"], &[]);
    let model = model.node("Gather", &["s", "zero"], &["n"], &[]).initialiser(&list("zero", &[0]));
    let model = model.node("Concat", &["n", "minus"], &["shape"], &[int("axis", 0)]);
    let model = model.node("Reshape", &["a", "shape"], &["y"], &[]).output("y");
    Onnx::from_bytes(model.bytes()).expect("it is whole")
}

#[test]
fn open_sizes_are_bound_by_name() {
    let onnx = open_network();
    let missing = onnx.graph(&Bindings::new()).map(|_| ()).expect_err("the sequence is open").to_string();
    assert!(missing.contains("a size for \"sequence\""), "{missing}");
    for [batch, sequence] in [[1, 1], [2, 5], [3, 4]] {
        let graph = onnx.graph(&Bindings::new().batch(batch).size("sequence", sequence)).expect("all is said");
        let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
        assert_eq!(session.outputs()[0].shape[..], [batch, sequence * 2]);
        let (x, w) = (numbers(batch * sequence * 3), numbers(6));
        let got = session.run_blocking(&[&x]).expect("it runs")[0].to_f32();
        let wanted: Vec<f32> =
            (0..batch * sequence * 2).map(|i| (0..3).map(|k| x[i / 2 * 3 + k] * w[k * 2 + i % 2]).sum()).collect();
        same(&got, &wanted);
    }
    let named = onnx.graph(&Bindings::new().size("batch", 4).size("sequence", 2)).expect("by name too");
    assert_eq!(named.inputs()[0].shape[..], [4, 2, 3]);
}

#[test]
fn graphs_for_two_batches_share_their_weights() {
    // The test has a context of its own, so that it counts only its own objects.
    let context = block_on(Context::with(&ContextOptions::from_env())).expect("there is one");
    let onnx = open_network();
    let build = move |batch: usize| onnx.graph(&Bindings::new().batch(batch).size("sequence", 5));
    let objects = |model: &shadernet::Model, batch: usize| {
        let start = context.created();
        let session = model.session(batch).expect("it fits");
        let outputs = session.run_blocking(&[vec![1.0; batch * 15]]).expect("it runs");
        assert_eq!(outputs[0].to_f32().len(), batch * 10);
        context.created() - start
    };
    let model = shadernet::Model::for_batches(&context, build.clone());
    objects(&model, 2);
    objects(&model, 3);
    let again = objects(&model, 3);
    let other = shadernet::Model::for_batches(&context, build);
    let (first, second) = (objects(&other, 2), objects(&other, 3));
    assert!(second < first, "the weights are uploaded once: {first} objects, then {second}");
    assert_eq!(second, again, "another batch shares them like the same one");
}

/// A decoder's cache before the first token is empty: nothing of it reaches the device.
#[test]
fn tensors_without_elements_are_known() {
    let model = Model::new(18)
        .port("past", FLOAT, &[Size::Of(1), Size::Named("past"), Size::Of(2)])
        .input("x", &[1, 2, 2])
        .node("Tanh", &["past"], &["before"], &[])
        .node("Concat", &["before", "x"], &["all"], &[int("axis", 1)])
        .node("Shape", &["past"], &["shape"], &[])
        .node("ReduceSum", &["shape"], &["sizes"], &[int("keepdims", 0)])
        .node("Cast", &["sizes"], &["number"], &[int("to", FLOAT)])
        .node("Add", &["all", "number"], &["y"], &[])
        .node("Less", &["before", "number"], &["less"], &[])
        .output("y")
        .output("before")
        .with(12, &port("less", BOOL, &[]));
    let onnx = Onnx::from_bytes(model.bytes()).expect("it is whole");
    let x = [0.5, -1.0, 2.0, 3.0];
    for (past, wanted) in [(0, &[3.5, 2.0, 5.0, 6.0][..]), (1, &[4.0, 4.0, 4.5, 3.0, 6.0, 7.0])] {
        let graph = onnx.graph(&Bindings::new().size("past", past)).unwrap_or_else(|error| panic!("{error}"));
        let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
        let inputs = [Data::from(vec![0.0; 2 * past]), x.to_vec().into()];
        // An input without elements isn't an input any more.
        assert_eq!(graph.inputs().len(), 1 + past);
        let outputs = session.run_blocking(&inputs[1 - past..]).unwrap_or_else(|error| panic!("{error}"));
        same(&outputs[0].to_f32(), wanted);
        assert_eq!((&session.outputs()[1].shape[..], outputs[1].to_f32().len()), (&[1, past, 2][..], 2 * past));
        assert_eq!((session.outputs()[2].dtype, outputs[2].to_f32().len()), (shadernet::DType::Bool, 2 * past));
    }
    let wrong = Model::new(18).input("x", &[1, 2, 2]).input("past", &[1, 0, 3]).output("y");
    let wrong = wrong.node("Concat", &["x", "past"], &["y"], &[int("axis", 1)]);
    assert!(refusal(&wrong).contains("[1, 0, 3]"), "{}", refusal(&wrong));
}

/// A reduction of no elements is the operation's neutral element.
#[test]
fn reductions_of_nothing_are_neutral() {
    let of = |op: &str, element: i64, cast: i64| {
        let model = Model::new(20)
            .typed("x", element, &[2, 0])
            .input("z", &[2])
            .output("y")
            .initialiser(&list("axes", &[1]))
            .node(op, &["x", "axes"], &["r"], &[int("keepdims", 0)])
            .node("Cast", &["r"], &["f"], &[int("to", cast)])
            .node("Cast", &["f"], &["g"], &[int("to", FLOAT)])
            .node("Add", &["g", "z"], &["y"], &[]);
        run(&model, &Bindings::new(), &[vec![0.0, 1.0].into()])
    };
    assert_eq!(of("ReduceProd", INT64, INT64), [1.0, 2.0]);
    assert_eq!(of("ReduceSum", FLOAT, FLOAT), [0.0, 1.0]);
    assert_eq!(of("ReduceMax", FLOAT, FLOAT), [f32::NEG_INFINITY; 2]);
    assert_eq!(of("ReduceMin", FLOAT, FLOAT), [f32::INFINITY; 2]);
    assert_eq!(of("ReduceMax", INT8, INT8), [-128.0, -127.0]);
    assert_eq!(of("ReduceMin", INT8, INT8), [127.0, 128.0]);
    assert_eq!(of("ReduceMax", UINT64, FLOAT), [0.0, 1.0]);
    assert_eq!(of("ReduceMax", INT32, INT32), [i32::MIN as f32; 2]);
}

/// Returns the element type and the shape of each output of a model, which needs no device.
fn outputs(model: &Model) -> Vec<(DType, Shape)> {
    let graph = graph(model).unwrap_or_else(|error| panic!("{error}"));
    let of =
        |&(_, value): &(String, Value)| (graph.dtype(value).expect("its own"), graph.shape(value, 1).expect("its own"));
    graph.outputs().iter().map(of).collect()
}

/// An operator on no elements gives no elements, of the shape and the type that it gives otherwise.
#[test]
fn operators_on_nothing_give_nothing() {
    let empty = |sizes: &[i64]| Model::new(18).input("x", sizes).output("y");
    let tiled = |repeats: &[i64]| {
        let model = Model::new(18).input("x", &[2, 3, 4]).output("y").initialiser(&list("r", repeats));
        outputs(&model.node("Tile", &["x", "r"], &["y"], &[]))
    };
    assert_eq!(tiled(&[0, 2, 1]), [(DType::F32, [0, 6, 4].into())]);
    assert_eq!(tiled(&[3, 0, 0]), [(DType::F32, [6, 0, 0].into())]);
    for (keepdims, shape) in [(0, Shape::from([0])), (1, [0, 1].into())] {
        let model = empty(&[0, 3]).node("ArgMax", &["x"], &["y"], &[int("axis", 1), int("keepdims", keepdims)]);
        assert_eq!(outputs(&model), [(DType::I32, shape)]);
    }
    let none = empty(&[0, 3]).node("ArgMax", &["x"], &["y"], &[int("axis", 0)]);
    assert!(refusal(&none).contains("an axis of 1 element or more, got [0, 3]"), "{}", refusal(&none));
    let resized = empty(&[0, 1, 2, 2]).initialiser(&floats("s", &[4], &[1.0, 1.0, 2.0, 2.0]));
    let resized = resized.node("Resize", &["x", "", "s"], &["y"], &[]);
    assert_eq!(outputs(&resized), [(DType::F32, [0, 1, 4, 4].into())]);
    let sized = |height| {
        let model = empty(&[0, 1, 0, 2]).initialiser(&list("s", &[0, 1, height, 4]));
        model.node("Resize", &["x", "", "", "s"], &["y"], &[])
    };
    assert_eq!(outputs(&sized(0)), [(DType::F32, [0, 1, 0, 4].into())]);
    assert!(refusal(&sized(2)).contains("1 element or more along the axes that grow"), "{}", refusal(&sized(2)));
    let pooled = empty(&[0, 2, 5]).node("MaxPool", &["x"], &["y", "i"], &[ints("kernel_shape", &[2])]).output("i");
    assert_eq!(outputs(&pooled), [(DType::F32, [0, 2, 4].into()), (DType::I32, [0, 2, 4].into())]);
    let none = empty(&[0, 0]).node("ArgMax", &["x"], &["y"], &[int("axis", 0)]);
    assert_eq!(outputs(&none), [(DType::I32, [1, 0].into())]);
    let weights = raw("w", INT8, &[4, 2, 1], &[1; 8]);
    let convolved = Model::new(18).typed("x", UINT8, &[0, 2, 5]).output("y").initialiser(&weights);
    let convolved = convolved.node("ConvInteger", &["x", "w"], &["y"], &[]);
    assert_eq!(outputs(&convolved), [(DType::I32, [0, 4, 5].into())]);
}

#[test]
fn the_range_of_nothing_has_a_scale_of_1() {
    let model = Model::new(18).input("x", &[0, 2]).input("z", &[2]).output("y").output("q");
    let model = model.node("DynamicQuantizeLinear", &["x"], &["q", "s", "o"], &[]);
    let model = model.node("Cast", &["o"], &["f"], &[int("to", FLOAT)]).node("Add", &["s", "f"], &["t"], &[]);
    let model = model.node("Add", &["t", "z"], &["y"], &[]);
    assert_eq!(run(&model, &Bindings::new(), &[vec![1.5, -1.0].into()]), [2.5, 0.0]);
    assert_eq!(outputs(&model)[1], (DType::I32, [0, 2].into()));
}

/// A tuple without an index is the place of the whole tensor; without tuples there are no updates.
#[test]
fn scatters_of_tuples_without_an_index() {
    let of = |reduction: &str, outer: &[i64], updates: usize| {
        let (index, sizes) = ([outer, &[0]].concat(), [outer, &[2]].concat());
        let model = Model::new(18).input("x", &[2]).output("y").initialiser(&longs("i", &index, &[]));
        let model = model.initialiser(&floats("u", &sizes, &numbers(updates)));
        let model = model.node("ScatterND", &["x", "i", "u"], &["y"], &[string("reduction", reduction)]);
        run(&model, &Bindings::new(), &[vec![1.0, 2.0].into()])
    };
    let n = numbers(6);
    assert_eq!(of("none", &[3], 6), n[4..]);
    assert_eq!(of("add", &[3], 6), [1.0 + n[0] + n[2] + n[4], 2.0 + n[1] + n[3] + n[5]]);
    assert_eq!(of("none", &[], 2), n[..2]);
    assert_eq!(of("none", &[0], 0), [1.0, 2.0]);
}

/// A sum of no products is 0.
#[test]
fn products_of_no_columns_are_zero() {
    let model = |op: &str, inputs: &[&str]| {
        let model = Model::new(18).input("x", &[2, 0]).input("z", &[2, 3]).output("y");
        let model = model.initialiser(&floats("w", &[0, 3], &[])).initialiser(&floats("c", &[3], &[1.0, 2.0, 3.0]));
        let model = model.node(op, inputs, &["p"], &[]).node("Add", &["p", "z"], &["y"], &[]);
        run(&model, &Bindings::new(), &[vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0].into()])
    };
    assert_eq!(model("MatMul", &["x", "w"]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(model("Gemm", &["x", "w", "c"]), [1.0, 3.0, 5.0, 4.0, 6.0, 8.0]);
    assert_eq!(model("Gemm", &["x", "w"]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn a_pool_takes_floating_point_numbers_only() {
    for sizes in [&[1, 2, 3][..], &[1, 2, 3, 3]] {
        let model = Model::new(18).typed("x", BOOL, sizes).output("y").node("GlobalAveragePool", &["x"], &["y"], &[]);
        let refusal = refusal(&model);
        assert!(
            refusal.contains("GlobalAveragePool \"y\": input: wanted floating-point numbers, got bool"),
            "{refusal}"
        );
    }
}
