//! Branches, loops and scans.

use super::{X, chain, gives, node, refused, truth, turns};
use crate::honoured::{context, numbers, run, same};
use crate::model::{
    BOOL, FLOAT, INT64, Message, Model, Size, body_of, floats, int, ints, list, longs, port, raw, subgraph,
};
use crate::{graph, parameters};
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::{Data, Tensor};

#[test]
fn branches_are_taken_where_the_condition_is_known() {
    let branches = [
        subgraph("then_branch", &body_of([&[], &["t"]], &[node("Neg", &["x"], &["t"], &[])])),
        // The branch has the same name, and sees the outer values.
        subgraph("else_branch", &body_of([&[], &["t"]], &[node("Add", &["x", "z"], &["t"], &[])])),
    ];
    let nodes = |cond: &str| [node("Exp", &["x"], &["z"], &[]), node("If", &[cond], &["y"], &branches)];
    let known = |value| chain(Model::new(17), &nodes("c")).initialiser(&truth("c", value));
    gives(&known(true), &X.map(|x| -x));
    gives(&known(false), &X.map(|x| x + x.exp()));
    let late = chain(Model::new(17).typed("c", BOOL, &[]), &nodes("c"));
    refused(&late, &["If \"y\": cond: wanted what is known", "the input \"c\": give its values"]);
    let onnx = Onnx::from_bytes(late.bytes()).expect("it is whole");
    let said =
        onnx.graph(&Bindings::new().values("c", Tensor::new([], vec![false]).unwrap())).expect("now it is known");
    assert_eq!(said.nodes().len(), 2);
    let number = chain(Model::new(17), &nodes("c")).initialiser(&floats("c", &[], &[1.0]));
    refused(&number, &["If \"y\": cond: wanted one truth value, got float []"]);
    let many = chain(Model::new(17), &nodes("c")).initialiser(&raw("c", BOOL, &[2], &[1, 1]));
    refused(&many, &["cond: wanted one truth value, got bool [2]"]);
    let one = chain(Model::new(17), &[node("If", &["c"], &["y"], &branches[..1])]).initialiser(&truth("c", true));
    refused(&one, &["If \"y\": attribute else_branch: wanted a graph, got none"]);
    let more = [&branches[..], &[int("more", 1)]].concat();
    let more = chain(Model::new(17), &[node("If", &["c"], &["y"], &more)]).initialiser(&truth("c", true));
    refused(&more, &["If \"y\": attributes: wanted only", "got \"more\""]);
    let takes = [branches[0].clone(), subgraph("else_branch", &body_of([&["a"], &["a"]], &[]))];
    let takes = chain(Model::new(17), &[node("If", &["c"], &["y"], &takes)]).initialiser(&truth("c", false));
    refused(&takes, &["If \"y\": a body's inputs: wanted 0, got 1"]);
    let wrong = subgraph("then_branch", &body_of([&[], &["t"]], &[node("Relu", &["nowhere"], &["t"], &[])]));
    let wrong = [node("If", &["c"], &["y"], &[wrong, branches[1].clone()]).bytes(3, "either")];
    let wrong = chain(Model::new(17), &wrong).initialiser(&truth("c", true));
    refused(&wrong, &["Relu \"either/then_branch/t\": inputs: wanted what exists, got \"nowhere\""]);
}

/// A condition that the device computes selects between the outputs of both branches.
#[test]
fn branches_are_selected_where_the_condition_is_computed() {
    let branch = |name: &str, nodes: &[Message]| subgraph(name, &body_of([&[], &["t", "u"]], nodes));
    let either = |op: &str, shape: &[Message]| {
        let nodes = [&[node(op, &["x"], &["t"], &[])][..], shape].concat();
        [
            branch("then_branch", &nodes),
            branch("else_branch", &[node("Exp", &["x"], &["t"], &[]), node("Neg", &["x"], &["u"], &[])]),
        ]
    };
    let model = |branches: &[Message], sign: f32, output: &str| {
        let model = Model::new(13).input("x", &[4]).initialiser(&floats("limit", &[], &[sign])).output(output);
        let model = model.node("ReduceSum", &["x"], &["sum"], &[]).node("Greater", &["sum", "limit"], &["c"], &[]);
        model.node("If", &["c"], &["y", "z"], branches)
    };
    let alike = either("Abs", &[node("Sin", &["x"], &["u"], &[])]);
    // The sum is -1.25, as a tensor of one element.
    gives(&model(&alike, -2.0, "y"), &X.map(f32::abs));
    gives(&model(&alike, -1.0, "y"), &X.map(f32::exp));
    gives(&model(&alike, -2.0, "z"), &X.map(f32::sin));
    gives(&model(&alike, -1.0, "z"), &X.map(|x| -x));
    // Outputs that nobody reads may differ.
    let one = either("Abs", &[node("Unsqueeze", &["x", "axis"], &["u"], &[])]);
    let one = |output| model(&one, -2.0, output).initialiser(&list("axis", &[0]));
    gives(&one("y"), &X.map(f32::abs));
    // The input decides, so the caller may give it; known, its sum is a number.
    refused(&one("z"), &["If \"y\": cond: wanted what is known", "the input \"x\": give its values"]);
    // The host computes no products, so that a value given doesn't help: what differs is named.
    let product = Model::new(13).initialiser(&floats("w", &[4, 1], &[1.0; 4])).initialiser(&list("axis", &[0]));
    let product = product.initialiser(&floats("limit", &[1], &[0.0])).initialiser(&floats("x", &[4], &X)).output("z");
    let product = product.node("MatMul", &["x", "w"], &["p"], &[]).node("Greater", &["p", "limit"], &["c"], &[]);
    let different = either("Abs", &[node("Unsqueeze", &["x", "axis"], &["u"], &[])]);
    refused(
        &product.node("If", &["c"], &["y", "z"], &different),
        &["If \"y\": output 1: wanted tensors of one type and shape in both", "got float [1, 4] and float [4]"],
    );
}

/// A branch chosen by a file's sizes isn't kept for other sizes.
#[test]
fn branches_that_depend_on_sizes_are_chosen_for_each_graph() {
    let constant = |value: f32| {
        let value = crate::model::tensor("value", &floats("", &[2], &[value; 2]));
        body_of([&[], &["t"]], &[node("Constant", &[], &["t"], &[value])])
    };
    let branches = [subgraph("then_branch", &constant(10.0)), subgraph("else_branch", &constant(20.0))];
    let model = Model::new(17).port("x", FLOAT, &[Size::Named("batch"), Size::Of(2)]).output("y");
    let model = model.initialiser(&longs("zero", &[], &[0])).initialiser(&longs("one", &[], &[1]));
    let model = model.node("Shape", &["x"], &["s"], &[]).node("Gather", &["s", "zero"], &["n"], &[]);
    let model = model.node("Equal", &["n", "one"], &["c"], &[]).node("If", &["c"], &["z"], &branches);
    chosen(&model);
    // A size determines a scan's number of turns.
    let step = [node("Add", &["s", "ten"], &["t"], &[]), node("Identity", &["t"], &["u"], &[])];
    let body = subgraph("body", &body_of([&["s", "v"], &["t", "u"]], &step));
    let model = Model::new(17).port("x", FLOAT, &[Size::Named("batch"), Size::Of(2)]).output("y");
    let model = model.initialiser(&floats("ten", &[2], &[10.0; 2])).initialiser(&floats("none", &[2], &[0.0; 2]));
    chosen(&model.node("Scan", &["none", "x"], &["z", "all"], &[body, int("num_scan_inputs", 1)]));
    // Sizes determine slices and elements of sequences too.
    let model = Model::new(17).port("x", FLOAT, &[Size::Named("batch"), Size::Of(2)]).output("y");
    let model =
        model.initialiser(&longs("zero", &[], &[0])).initialiser(&list("none", &[0])).initialiser(&list("one", &[1]));
    let model = model.initialiser(&floats("all", &[3, 2], &[0.0, 0.0, 10.0, 10.0, 20.0, 20.0]));
    let model = model.node("Shape", &["x"], &["s"], &[]).node("Gather", &["s", "none"], &["n"], &[]);
    let slice = model.clone().node("Add", &["n", "one"], &["end"], &[]);
    chosen(&slice.node("Slice", &["all", "n", "end", "none"], &["z"], &[]));
    let model = model.node("SplitToSequence", &["all"], &["q"], &[]).node("SequenceAt", &["q", "n"], &["e"], &[]);
    chosen(&model.node("Neg", &["e"], &["m"], &[]).node("Neg", &["m"], &["z"], &[]));
}

/// Expects that z, which is added to x, is 10 for a batch of 1 and 20 for a batch of 2.
#[track_caller]
fn chosen(model: &Model) {
    let onnx = Onnx::from_bytes(model.clone().node("Add", &["x", "z"], &["y"], &[]).bytes()).expect("it is whole");
    for (batch, wanted) in [(1, 10.0), (2, 20.0), (1, 10.0)] {
        let graph = onnx.graph(&Bindings::new().batch(batch)).unwrap_or_else(|error| panic!("{error}"));
        let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
        let outputs = session.run_blocking(&[vec![0.0; batch * 2]]).expect("it runs");
        same(&outputs[0].to_f32(), &vec![wanted; batch * 2]);
    }
}

#[test]
fn loops_are_unrolled() {
    // s + i * 2^i: the product is computed on the host, and must differ in each turn.
    let float = node("Cast", &["i"], &["f"], &[int("to", FLOAT)]);
    let double = [float, node("Pow", &["two", "f"], &["p"], &[]), node("Mul", &["p", "f"], &["m"], &[])];
    let step = [&double[..], &[node("Add", &["s", "m"], &["t"], &[])]].concat();
    let two = floats("two", &[], &[2.0]);
    let model = turns("three", "", &["y"], &step, &["c", "t"]).initialiser(&two);
    gives(&model, &X.map(|x| x + 2.0 + 8.0));
    let onnx = Onnx::from_bytes(model.bytes()).expect("it is whole");
    for _ in 0..2 {
        // The second graph reuses the constants of the first.
        let graph = onnx.graph(&Bindings::new()).expect("three turns");
        let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
        same(&session.run_blocking(&[X.to_vec()]).expect("it runs")[0].to_f32(), &X.map(|x| x + 10.0));
    }
    // The output is all turns' results, one after the other.
    let model = turns("three", "", &["", "y"], &step, &["c", "t", "t"]).initialiser(&two);
    gives(&model, &[0.0, 2.0, 10.0].map(|more| X.map(|x| x + more)).concat());
    let both = turns("three", "", &["", "first", "y"], &step, &["c", "t", "s", "t"]).initialiser(&two);
    gives(&both, &[0.0, 2.0, 10.0].map(|more| X.map(|x| x + more)).concat());
    gives(
        &turns("three", "", &["", "y", "last"], &step, &["c", "t", "s", "t"]).initialiser(&two),
        &[0.0, 0.0, 2.0].map(|more| X.map(|x| x + more)).concat(),
    );
    // While i < 1: two turns, and the second one's condition ends the loop.
    let less = [&step[..], &[node("Less", &["i", "one"], &["more"], &[])]].concat();
    for most in ["three", ""] {
        let model = turns(most, "true", &["y"], &less, &["more", "t"]).initialiser(&two);
        gives(&model, &X.map(|x| x + 2.0));
    }
    gives(&turns("three", "false", &["y"], &less, &["more", "t"]).initialiser(&two), &X);
    gives(&turns("none", "true", &["y"], &less, &["more", "t"]).initialiser(&two), &X);
    // The condition after the last turn isn't needed.
    let late =
        [&step[..], &[node("ReduceSum", &["s"], &["sum"], &[]), node("Cast", &["sum"], &["more"], &[int("to", BOOL)])]];
    gives(&turns("one", "true", &["y"], &late.concat(), &["more", "t"]).initialiser(&two), &X);
    refused(
        &turns("three", "true", &["y"], &late.concat(), &["more", "t"]).initialiser(&two),
        &["Loop \"y\": condition: wanted what is known", "give its values"],
    );
    refused(
        &turns("", "", &["y"], &step, &["c", "t"]).initialiser(&two),
        &["a trip count or a condition, got neither"],
    );
    refused(
        &turns("three", "", &["y"], &less, &["more", "t"]).initialiser(&two),
        &["condition: wanted one that stays true"],
    );
    refused(&turns("x", "", &["y"], &step, &["c", "t"]), &["Loop \"y\": trip count: wanted what is known", "\"x\""]);
    refused(&turns("three", "", &["y"], &step, &["c"]), &["outputs of the body: wanted 2 or more, got 1"]);
    refused(&turns("three", "", &["y"], &[], &["c", "nowhere"]), &["Loop \"y\": outputs", "\"nowhere\""]);
    let sizes = turns("none", "", &["", "y"], &step, &["c", "t", "t"]);
    refused(&sizes, &["Loop \"y\": turns: wanted 1 or more"]);
}

/// A weight that all turns read is uploaded once.
#[test]
fn turns_share_their_weights() {
    let w = floats("w", &[4, 4], &numbers(16));
    let step = [node("MatMul", &["s", "w"], &["t"], &[])];
    let body = body_of([&["i", "c", "s"], &["c", "t"]], &step).message(5, &w);
    let inside = node("Loop", &["three", "", "x"], &["y"], &[subgraph("body", &body)]);
    let model = Model::new(17).input("x", &[1, 4]).output("y").initialiser(&longs("three", &[], &[3]));
    let inside = model.clone().with(1, &inside);
    let body = body_of([&["i", "c", "s"], &["c", "t"]], &step);
    let outside = model.with(1, &node("Loop", &["three", "", "x"], &["y"], &[subgraph("body", &body)])).initialiser(&w);
    for model in [inside, outside] {
        let graph = graph(&model).expect("three layers");
        let ids = parameters(&graph);
        assert_eq!(ids, [ids[0]; 3]);
        let w = numbers(16);
        let step = |x: Vec<f32>| (0..4).map(|j| (0..4).map(|k| x[k] * w[k * 4 + j]).sum()).collect::<Vec<f32>>();
        gives(&model, &step(step(step(X.to_vec()))));
    }
}

#[test]
fn scans_have_axes_and_directions() {
    // The scan reads columns backwards: running sums and single sums, written as columns, the last one first.
    let step = [node("Add", &["s", "v"], &["t"], &[]), node("Identity", &["t"], &["u"], &[])];
    let body = subgraph("body", &body_of([&["s", "v"], &["t", "u"]], &step));
    let x = numbers(6);
    let scan = |opset, attributes: &[Message], sizes: &[i64]| {
        let model = Model::new(opset).input("x", sizes).initialiser(&floats("zeros", &[2], &[0.0; 2]));
        let attributes = [&[body.clone(), int("num_scan_inputs", 1)], attributes].concat();
        model.with(1, &node("Scan", &["zeros", "x"], &["sum", "y"], &attributes)).output("y")
    };
    let got = |attributes: &[Message], sizes: &[i64]| {
        run(&scan(17, attributes, sizes), &Bindings::new(), &[x.clone().into()])
    };
    let at = |i: usize, j: usize| x[i * 3 + j];
    let backwards = [0, 1].map(|i| [at(i, 2), at(i, 2) + at(i, 1), at(i, 2) + at(i, 1) + at(i, 0)]);
    let axis = ints("scan_input_axes", &[-1]);
    let way = ints("scan_input_directions", &[1]);
    let rows: Vec<f32> = (0..3).flat_map(|turn| [backwards[0][turn], backwards[1][turn]]).collect();
    same(&got(&[axis.clone(), way.clone()], &[2, 3]), &rows);
    let to = ints("scan_output_axes", &[1]);
    same(&got(&[axis.clone(), way.clone(), to.clone()], &[2, 3]), &backwards.concat());
    let turned = backwards.map(|mut row| {
        row.reverse();
        row
    });
    let back = ints("scan_output_directions", &[1]);
    same(&got(&[axis.clone(), way.clone(), to, back], &[2, 3]), &turned.concat());
    let words = |attributes: &[Message], words: &[&str]| refused(&scan(17, attributes, &[2, 3]), words);
    words(&[ints("scan_input_axes", &[2])], &["Scan \"sum\": axis: wanted one of 2 dimensions, got 2"]);
    words(&[ints("scan_input_axes", &[0, 0])], &["attribute scan_input_axes: wanted 1 numbers, got 2"]);
    words(&[ints("scan_input_directions", &[2])], &["attribute scan_input_directions: wanted 0 or 1"]);
    words(&[ints("directions", &[0])], &["attributes: wanted only", "got \"directions\""]);
    words(&[int("num_scan_inputs", 1)], &["\"num_scan_inputs\" twice"]);
    // Opset 8 scans each element of a batch separately.
    let model = |lengths: &str, attributes: &[Message]| {
        let attributes = [&[body.clone(), int("num_scan_inputs", 1)], attributes].concat();
        let model = Model::new(8).input("x", &[2, 3, 1]).initialiser(&floats("zeros", &[2, 1], &[0.0; 2]));
        let model = model.initialiser(&list("all", &[3, 3])).initialiser(&list("fewer", &[3, 2]));
        model.with(1, &node("Scan", &[lengths, "zeros", "x"], &["sum", "y"], &attributes)).output("y").output("sum")
    };
    let way = ints("directions", &[1]);
    for lengths in ["", "all"] {
        let got = run(&model(lengths, std::slice::from_ref(&way)), &Bindings::new(), &[x.clone().into()]);
        same(&got, &backwards.concat());
    }
    refused(&model("fewer", &[]), &["Scan \"sum\": sequence_lens: wanted 3 for all, got [3, 2]"]);
}

/// Results of a loop without turns have the sizes that the body declares.
#[test]
fn loops_of_no_turns_have_results_of_no_rows() {
    let body = node("Identity", &["s"], &["t"], &[]);
    let body =
        Message::default().message(1, &body).message(11, &port("i", INT64, &[])).message(11, &port("c", BOOL, &[]));
    let body = body.message(11, &port("s", FLOAT, &[Size::Of(4)])).message(12, &port("c", BOOL, &[]));
    let body = body.message(12, &port("t", FLOAT, &[Size::Of(4)])).message(12, &port("t", FLOAT, &[Size::Of(4)]));
    let nodes = [
        node("Loop", &["none", "", "x"], &["", "rows"], &[subgraph("body", &body)]),
        node("Shape", &["rows"], &["sizes"], &[]),
        node("Cast", &["sizes"], &["f"], &[int("to", FLOAT)]),
        node("ReduceSum", &["f"], &["n"], &[]),
        node("Add", &["x", "n"], &["y"], &[]),
    ];
    let model = chain(Model::new(17), &nodes).initialiser(&longs("none", &[], &[0]));
    let data: Data = X.to_vec().into();
    same(&run(&model, &Bindings::new(), &[data]), &X.map(|x| x + 4.0));
}
