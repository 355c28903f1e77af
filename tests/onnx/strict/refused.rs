//! Refusals of unsupported features: each names the node, the operator, the attribute, and the supported values.

use crate::model::{
    DOUBLE, FLOAT, INT8, INT32, INT64, Message, Model, STRING, Size, UINT8, UINT32, float, float_list, floats, int,
    ints, list, node_of, port, raw, string, string_list, tensor,
};
use crate::refusal;
use shadernet::Tensor;
use shadernet::import::onnx::{Bindings, Onnx};

/// Builds a model of one node from x to y, with the name "the node".
fn node(opset: i64, op: &str, inputs: &[&str], attributes: &[Message]) -> Model {
    let node = node_of("", op, inputs, &["y"], attributes).bytes(3, "the node");
    Model::new(opset).input("x", &[1, 2, 4, 4]).with(1, &node).output("y")
}

/// Expects a refusal whose message has all these words.
#[track_caller]
fn refused(model: &Model, words: &[&str]) {
    let message = refusal(model);
    for word in words {
        assert!(message.contains(word), "wanted \"{word}\" in: {message}");
    }
}

#[test]
fn attributes_that_are_unknown_or_of_another_type_are_named() {
    refused(
        &node(13, "LeakyRelu", &["x"], &[float("alpha", 0.1), int("slope", 1)]),
        &["LeakyRelu \"the node\": attributes: wanted only what is supported in opset 13: alpha", "got \"slope\""],
    );
    refused(&node(13, "Softmax", &["x"], &[int("axes", 1)]), &["Softmax \"the node\"", "opset 13: axis", "\"axes\""]);
    refused(&node(13, "Relu", &["x"], &[string("why", "not")]), &["got \"why\""]);
    let typed = |attribute| node(13, "LeakyRelu", &["x"], &[attribute]);
    refused(
        &typed(int("alpha", 1)),
        &["LeakyRelu \"the node\": attribute alpha: wanted a value of type Float, got Int"],
    );
    refused(&typed(string("alpha", "1")), &["wanted a value of type Float, got String"]);
    refused(&typed(string_list("alpha", &["1"])), &["wanted a value of type Float, got Strings"]);
    let unknown = Message::default().bytes(1, "alpha").float(2, 0.5).int(20, 77);
    refused(&typed(unknown), &["wanted a value of type Float, got type 77"]);
    // Old files don't give the type: the value determines it.
    let untyped = |value: Message| typed(Message([Message::default().bytes(1, "alpha").0, value.0].concat()));
    refused(&untyped(Message::default().int(3, 7)), &["wanted a value of type Float, got Int"]);
    crate::graph(&untyped(Message::default().float(2, 0.5))).expect("a float without a type");
    refused(
        &node(13, "LeakyRelu", &["x"], &[float("alpha", 0.1), float("alpha", 0.2)]),
        &["each once", "\"alpha\" twice"],
    );
    let of_a_call = float("alpha", 0.0).bytes(21, "slope");
    refused(&typed(of_a_call), &["attribute alpha: wanted a value of its own", "\"slope\""]);
}

#[test]
fn operators_and_domains_that_are_unknown_are_named() {
    refused(&node(13, "Frobnicate", &["x"], &[]), &["Frobnicate \"the node\": not supported: the operator Frobnicate"]);
    let of = |domain: &str| {
        Model::new(13).input("x", &[1]).with(1, &node_of(domain, "Relu", &["x"], &["y"], &[])).output("y")
    };
    refused(&of("org.example").opset("org.example", 1), &["Relu \"y\"", "the operator Relu of org.example"]);
    refused(&of("org.example"), &["operator set: wanted a version of \"org.example\", got none"]);
    refused(&of("ai.onnx.ml").opset("ai.onnx.ml", 3), &["the operator Relu of ai.onnx.ml"]);
    refused(
        &of("").opset("ai.onnx", 14),
        &["operator sets: wanted one version of each domain", "13 and 14 of \"ai.onnx\""],
    );
    crate::graph(&of("ai.onnx")).expect("another name of the same");
    refused(&node(13, "RandomNormalLike", &["x"], &[]), &["RandomNormalLike \"the node\"", "give them as an input"]);
    // Nodes that no output needs aren't checked.
    let aside = node(13, "Relu", &["x"], &[]).node("Frobnicate", &["x"], &["z"], &[]);
    crate::graph(&aside).expect("nobody reads it");
}

#[test]
fn operator_sets_that_are_missing_or_too_new_are_named() {
    let none = Model::default().input("x", &[1]).node("Relu", &["x"], &["y"], &[]).output("y");
    refused(&none, &["Relu \"y\": operator set: wanted a version of \"\", got none"]);
    for version in [28, 1000, 0, -1, i64::MAX] {
        refused(&node(version, "Relu", &["x"], &[]), &["operator set: wanted 1 to 27", &format!("got {version}")]);
    }
}

#[test]
fn inputs_that_are_too_many_or_too_few_are_counted() {
    refused(&node(13, "Relu", &["x", "x"], &[]), &["Relu \"the node\": inputs: wanted 1 at most, got 2"]);
    refused(&node(13, "Add", &["x"], &[]), &["Add \"the node\": inputs: wanted 2 or more, got 1"]);
    refused(&node(13, "Add", &["x", ""], &[]), &["Add \"the node\": input 1: wanted a tensor, got nothing"]);
    refused(&node(13, "Relu", &[], &[]), &["Relu \"the node\": inputs: wanted 1 or more, got 0"]);
    let many = Model::new(13).input("x", &[1]).node("Relu", &["x"], &["y", "z"], &[]).output("z");
    refused(&many, &["Relu \"y\": outputs: wanted 1 at most, got 2: \"z\" is read"]);
    refused(&node(6, "Clip", &["x", "x"], &[]), &["Clip \"the node\": inputs: wanted 1 at most"]);
}

#[test]
fn parts_batches_and_tokens_that_differ_are_refused() {
    let parts = Model::new(18).input("x", &[6]).node("Split", &["x"], &["y", "z"], &[int("num_outputs", 3)]);
    refused(&parts.output("y").output("z"), &["Split \"y\": outputs: wanted 3, one for each part, got 2"]);
    let batches = Model::new(23).input("q", &[1, 2, 8]).input("k", &[2, 3, 8]).input("v", &[1, 3, 8]);
    let heads = [int("q_num_heads", 2), int("kv_num_heads", 2), float("softcap", 2.0)];
    let batches = batches.node("Attention", &["q", "k", "v"], &["y"], &heads).output("y");
    refused(&batches, &["Attention \"y\": K: wanted the batch of Q, 1, got [2, 3, 8]"]);
    for beta in [[1, 5, 2], [1, 2, 2], [2, 3, 2]] {
        let tokens = ["q", "k", "v"].into_iter().fold(Model::new(27), |model, name| model.input(name, &[1, 3, 8]));
        let attributes = [string("update_rule", "delta"), int("q_num_heads", 2), int("kv_num_heads", 2)];
        let node = node_of("", "LinearAttention", &["q", "k", "v", "", "", "beta"], &["y", "state"], &attributes);
        let tokens = tokens.input("beta", &beta).with(1, &node).output("y");
        refused(&tokens, &["LinearAttention \"y\": beta: wanted [1, 3, ..], as the query, got"]);
    }
}

#[test]
fn strings_sequences_and_sparse_tensors_are_refused() {
    let text = raw("w", STRING, &[1], b"").bytes(6, "text");
    refused(&Model::new(13).initialiser(&text).output("w"), &["initialiser \"w\": not supported: tensors of strings"]);
    let input = Model::new(13).port("x", STRING, &[Size::Of(1)]).output("x");
    refused(&input, &["input or output \"x\": not supported: tensors of strings"]);
    refused(&node(13, "Cast", &["x"], &[int("to", STRING)]), &["Cast \"the node\": not supported", "string"]);
    // The types are a sequence (4), a map (5), a sparse tensor (8), an optional value (9).
    for kind in [4, 5, 8, 9] {
        let kind = Message::default().message(kind, &Message::default());
        let port = Message::default().bytes(1, "x").message(2, &kind);
        refused(
            &Model::new(13).with(11, &port).output("x"),
            &["input or output \"x\"", "sequences, maps, optional and sparse"],
        );
    }
    let untyped = Model::new(13).with(11, &Message::default().bytes(1, "x")).output("x");
    refused(&untyped, &["input or output \"x\": type: wanted a tensor's, got none"]);
    let sparse = Message::default().message(1, &floats("w", &[1], &[1.0]));
    refused(&Model::new(13).with(15, &sparse).output("w"), &["sparse initialisers, \"w\""]);
    let constant = |attribute| Model::new(13).node("Constant", &[], &["y"], &[attribute]).output("y");
    refused(&constant(string("value_string", "text")), &["Constant \"y\"", "\"value_string\""]);
    let sparse = Message::default().bytes(1, "sparse_value").int(20, 11);
    refused(&constant(sparse), &["Constant \"y\"", "\"sparse_value\""]);
    refused(
        &Model::new(13).node("Constant", &[], &["y"], &[]).output("y"),
        &["Constant \"y\": attributes: wanted a value"],
    );
}

/// Attribute values that ONNX allows but the importer doesn't support, and values that ONNX doesn't allow.
#[test]
fn values_of_attributes_are_named_with_what_is_supported() {
    let w = floats("w", &[1, 2, 3, 3], &[0.5; 18]);
    let conv = |attribute| node(13, "Conv", &["x", "w"], &[attribute]).initialiser(&w);
    refused(
        &conv(string("auto_pad", "SAME")),
        &["Conv \"the node\": attribute auto_pad", "SAME_UPPER, SAME_LOWER", "got SAME"],
    );
    refused(&conv(ints("strides", &[0, 1])), &["Conv \"the node\"", "strides", "1 to 2^28", "got 0"]);
    refused(&conv(ints("pads", &[1, 1])), &["attribute pads: wanted 4 numbers of 0 or more, got [1, 1]"]);
    refused(&conv(ints("pads", &[1, 1, -1, 1])), &["attribute pads: wanted 4 numbers of 0 or more"]);
    refused(&conv(int("group", 2)), &["Conv \"the node\"", "2 groups"]);
    refused(&conv(int("group", -1)), &["attribute group: wanted 1 or more, got -1"]);
    refused(&node(13, "Softmax", &["x"], &[int("axis", 4)]), &["Softmax \"the node\": axis", "4 dimensions, got 4"]);
    refused(&node(13, "ReduceMax", &["x"], &[int("keepdims", 2)]), &["attribute keepdims: wanted 0 or 1, got 2"]);
    refused(
        &node(13, "Pad", &["x"], &[string("mode", "mirror")]),
        &["attribute mode: wanted constant, reflect, edge, wrap"],
    );
    refused(
        &node(13, "LRN", &["x"], &[int("size", 4)]),
        &["LRN \"the node\": attribute size: wanted an odd number, got 4"],
    );
    refused(&node(13, "LpNormalization", &["x"], &[int("p", 3)]), &["attribute p: wanted 1 or 2, got 3"]);
    refused(&node(13, "Cast", &["x"], &[int("to", 99)]), &["attribute to: wanted an element type, got 99"]);
    refused(&node(13, "Cast", &["x"], &[]), &["Cast \"the node\": attribute to: wanted an element type, got none"]);
    refused(&node(13, "Transpose", &["x"], &[ints("perm", &[0, 1])]), &["attribute perm: wanted 4 axes, got 2"]);
    refused(&node(13, "Transpose", &["x"], &[ints("perm", &[0, 1, 1, 2])]), &["axes: wanted each axis once"]);
    refused(
        &node(13, "MaxPool", &["x"], &[]),
        &["MaxPool \"the node\": attribute kernel_shape: wanted sizes, got none"],
    );
    refused(
        &node(13, "DepthToSpace", &["x"], &[int("blocksize", 0)]),
        &["attribute blocksize: wanted 1 or more, got 0"],
    );
    refused(&node(13, "Split", &["x"], &[int("axis", 9)]), &["Split \"the node\": axis"]);
    refused(&node(13, "GlobalAveragePool", &["v"], &[]).input("v", &[2, 3]), &["input: wanted 3 dimensions or more"]);
    let norm = node(8, "BatchNormalization", &["x", "s", "s", "s", "s"], &[int("spatial", 0)]);
    refused(&norm.initialiser(&floats("s", &[2], &[1.0; 2])), &["attribute spatial: wanted 1, got 0"]);
    refused(&node(13, "Constant", &[], &[tensor("value", &list("", &[1])), int("value_int", 1)]), &["got 2"]);
}

/// If a graph depends on an input's values, the error names that input.
#[test]
fn shapes_that_are_computed_from_inputs_name_them() {
    let model = Model::new(13).input("x", &[4]).typed("shape", crate::model::INT64, &[2]).output("y");
    let model = model.node("Abs", &["shape"], &["positive"], &[]).node("Reshape", &["x", "positive"], &["y"], &[]);
    refused(&model, &["Reshape \"y\": shape: wanted what is known", "the input \"shape\": give its values"]);
    let onnx = Onnx::from_bytes(model.bytes()).expect("it is whole");
    let graph =
        onnx.graph(&Bindings::new().values("shape", Tensor::new([2], vec![2, 2]).unwrap())).expect("now it is known");
    assert_eq!(graph.inputs().len(), 1);
    let open = Model::new(13).with(11, &port("x", FLOAT, &[Size::Open, Size::Open])).node("Relu", &["x"], &["y"], &[]);
    refused(
        &open.output("y"),
        &["input \"x\": wanted a size for \"x:1\" (Bindings::size, --dim x:1=SIZE), got [x:0, x:1]"],
    );
}

#[test]
fn bits_that_the_device_has_not_are_refused() {
    let of = |element: i64, to: i64| {
        let model = Model::new(26).typed("x", element, &[2]).output("y");
        model.node("BitCast", &["x"], &["y"], &[int("to", to)])
    };
    refused(&of(FLOAT, INT64), &["BitCast \"y\": attribute to: wanted a type of 32 bits, as float has, got int64"]);
    refused(
        &of(INT64, DOUBLE),
        &["attribute to: wanted float of int32, int32 of float, or an integer of one, got double"],
    );
    // A negative number would become one that int32 doesn't hold.
    refused(&of(INT32, UINT32), &["integers that int32 holds", "uint32"]);
}

#[test]
fn means_of_integers_whose_sum_may_not_fit_are_refused() {
    let model = Model::new(13).typed("x", INT64, &[4]).node("ReduceMean", &["x"], &["y"], &[]);
    refused(&model.with(12, &port("y", INT64, &[])), &["ReduceMean \"y\"", "the mean of int64 on the device"]);
}

/// Builds a model of one node of a domain, whose inputs are these initialisers, but for the first.
fn added(domain: &str, op: &str, x: (&str, i64, &[i64]), constants: &[Message], attributes: &[Message]) -> Model {
    let names: Vec<String> =
        (0..=constants.len()).map(|i| if i == 0 { x.0.to_owned() } else { format!("c{i}") }).collect();
    let model = Model::new(17).opset(domain, 1).typed(x.0, x.1, x.2).output("y");
    let named = |(i, constant): (usize, &Message)| {
        Message([&constant.0[..], &Message::default().bytes(8, &names[i + 1]).0].concat())
    };
    let model = constants.iter().enumerate().fold(model, |model, each| model.initialiser(&named(each)));
    model.with(1, &node_of(domain, op, &names, &["y"], attributes).bytes(3, "the node"))
}

/// What ONNX Runtime adds is refused by its own names.
#[test]
fn added_operators_name_what_they_lack() {
    let (ms, ml) = ("com.microsoft", "ai.onnx.ml");
    let image = ("x", FLOAT, &[1, 2, 4, 4][..]);
    let w = floats("", &[1, 2, 3, 3], &[0.5; 18]);
    let conv = |attributes: &[Message]| added(ms, "FusedConv", image, std::slice::from_ref(&w), attributes);
    refused(
        &conv(&[string("activation", "Gelu")]),
        &["FusedConv \"the node\": attribute activation", "got Gelu with 0"],
    );
    let clip = conv(&[string("activation", "Clip"), float_list("activation_params", &[1.0])]);
    refused(&clip, &["HardSigmoid or Clip with 2, got Clip with 1"]);
    let numbers = conv(&[float_list("activation_params", &[1.0])]);
    refused(&numbers, &["attribute activation_params: wanted none without an activation, got 1"]);
    refused(&conv(&[int("beta", 1)]), &["FusedConv \"the node\": attributes", "got \"beta\""]);

    let rows = ("x", FLOAT, &[2, 3, 8][..]);
    let bias = added(ms, "BiasGelu", rows, &[floats("", &[3, 8], &[0.0; 24])], &[]);
    refused(&bias, &["BiasGelu \"the node\": bias: wanted [8]", "got [3, 8]"]);
    let skip = added(ms, "SkipLayerNormalization", rows, &[floats("", &[4, 8], &[0.0; 32])], &[]);
    refused(&skip, &["SkipLayerNormalization \"the node\": skip: wanted a shape that broadcasts to [2, 3, 8]"]);

    let qkv = [floats("", &[8, 24], &[0.1; 192])];
    let attention = |attributes: &[Message]| added(ms, "Attention", rows, &qkv, attributes);
    refused(&attention(&[]), &["Attention \"the node\": attribute num_heads: wanted 1 or more, got 0"]);
    refused(&attention(&[int("num_heads", 2), int("do_rotary", 1)]), &["attribute do_rotary: wanted 0, got 1"]);
    refused(
        &attention(&[int("num_heads", 2), int("past_present_share_buffer", 1)]),
        &["Attention \"the node\": attribute past_present_share_buffer: wanted 0, got 1"],
    );
    refused(&attention(&[int("num_heads", 3)]), &["Attention \"the node\": weights: wanted [N, L, 3 D]"]);
    let sizes = [int("num_heads", 2), ints("qkv_hidden_sizes", &[8, 4, 12])];
    refused(&attention(&sizes), &["attribute qkv_hidden_sizes: wanted three numbers, equal for queries and keys"]);
    let masks = [qkv[0].clone(), floats("", &[24], &[0.0; 24]), raw("", INT32, &[5], &[0; 20])];
    let mask = added(ms, "Attention", rows, &masks, &[int("num_heads", 2)]);
    refused(&mask, &["mask_index: wanted [2], [4], [2, 3] or [2, 3, 3], got [5]"]);

    let grouped = |total: &Message, attributes: &[Message]| {
        let heads = [&[int("num_heads", 2), int("kv_num_heads", 1)][..], attributes].concat();
        let names = ["x", "", "", "", "", "lengths", "total"];
        let model = Model::new(17).opset(ms, 1).input("x", &[1, 3, 16]).typed("lengths", INT32, &[1]).output("y");
        let model = model.with(1, &node_of(ms, "GroupQueryAttention", &names, &["y"], &heads).bytes(3, "the node"));
        model.with(
            if total.0.is_empty() { 11 } else { 5 },
            &match total.0.is_empty() {
                true => port("total", INT32, &[Size::Of(1)]),
                false => total.clone(),
            },
        )
    };
    let three = raw("total", INT32, &[1], &[3, 0, 0, 0]);
    crate::graph(&grouped(&three, &[])).expect("a prompt");
    refused(
        &grouped(&Message::default(), &[]),
        &["GroupQueryAttention \"the node\": total_sequence_length: wanted what is known", "the input \"total\""],
    );
    refused(
        &grouped(&raw("total", INT32, &[1], &[5, 0, 0, 0]), &[]),
        &["total_sequence_length: wanted 3 without a past, got 5"],
    );
    refused(&grouped(&three, &[int("smooth_softmax", 1)]), &["attribute smooth_softmax: wanted 0, got 1"]);
    refused(&grouped(&three, &[string("k_quant_type", "PER_TENSOR")]), &["attribute k_quant_type: wanted NONE"]);
    refused(&grouped(&three, &[int("causal", 0)]), &["attribute causal: wanted 1, got 0"]);

    let scale = floats("", &[], &[0.1]);
    let two = floats("", &[2], &[0.1; 2]);
    let zero = raw("", UINT8, &[], &[3]);
    let codes = ("x", UINT8, &[1, 2, 4, 4][..]);
    let pool = |scale: &Message, attributes: &[Message]| {
        added(ms, "QLinearAveragePool", codes, &[scale.clone(), zero.clone(), scale.clone(), zero.clone()], attributes)
    };
    refused(
        &pool(&two, &[ints("kernel_shape", &[2, 2])]),
        &["QLinearAveragePool \"the node\": inputs 1, 2: wanted a scale and a zero point, got [2]"],
    );
    refused(&pool(&scale, &[]), &["QLinearAveragePool \"the node\": attribute kernel_shape: wanted sizes, got none"]);
    refused(
        &pool(&scale, &[ints("kernel_shape", &[2, 2]), int("channels_last", 1)]),
        &["attribute channels_last: wanted 0, got 1"],
    );
    let other = raw("", INT8, &[], &[3]);
    let sigmoid = added(ms, "QLinearSigmoid", codes, &[scale.clone(), other, scale.clone(), zero.clone()], &[]);
    refused(&sigmoid, &["QLinearSigmoid \"the node\": input 2: wanted uint8, got int8"]);
    refused(&added(ms, "QLinearConcat", codes, &[zero], &[]), &["inputs: wanted 2, and 3 for each part, got 2"]);

    let features = ("x", FLOAT, &[3, 4][..]);
    let scaler = added(ml, "Scaler", features, &[], &[float_list("offset", &[0.5; 3]), float_list("scale", &[1.0])]);
    refused(&scaler, &["Scaler \"the node\": attribute offset: wanted 1 number, or 4, got 3"]);
    let norm = added(ml, "Normalizer", features, &[], &[string("norm", "L3")]);
    refused(&norm, &["Normalizer \"the node\": attribute norm: wanted MAX, L1, L2, got L3"]);
    let classes = |more: &[Message]| {
        let sums = [float_list("coefficients", &[0.5; 12]), float_list("intercepts", &[0.0; 3])];
        added(ml, "LinearClassifier", features, &[], &[&sums[..], more].concat())
    };
    let texts = classes(&[string_list("classlabels_strings", &["a", "b", "c"])]);
    refused(
        &texts,
        &["LinearClassifier \"the node\": attribute classlabels_strings: wanted none, but classlabels_ints"],
    );
    refused(&classes(&[ints("classlabels_ints", &[1, 2])]), &["attribute classlabels_ints: wanted 3 numbers"]);
    refused(
        &classes(&[ints("classlabels_ints", &[1, 2, 3]), string("post_transform", "PROBIT")]),
        &["attribute post_transform: wanted NONE, SOFTMAX, LOGISTIC, got PROBIT"],
    );
    let trees = added(ml, "TreeEnsembleClassifier", features, &[], &[]);
    refused(&trees, &["not supported: the operator TreeEnsembleClassifier of ai.onnx.ml"]);
    refused(
        &added("com.microsoft.nchwc", "Conv", image, std::slice::from_ref(&w), &[]),
        &["the operator Conv of com.microsoft.nchwc"],
    );
}
