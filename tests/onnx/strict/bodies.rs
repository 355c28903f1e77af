//! Functions, control flow and sequences: constructs resolved when a graph is built, refused ones, and hostile ones.

use crate::honoured::{context, numbers, run, same};
use crate::model::{
    BOOL, FLOAT, INT64, Message, Model, Size, body_of, float, float_list, floats, function_of, int, ints, list, longs,
    node_of, port, raw, reference, subgraph,
};
use crate::mutation::planned;
use crate::{graph, parameters, refusal};
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::{Data, Tensor};

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

/// Builds a loop from x: the carried value is s, the turn's number is i, the condition is c.
fn turns(most: &str, cond: &str, outputs: &[&str], nodes: &[Message], given: &[&str]) -> Model {
    let body = body_of([&["i", "c", "s"], given], nodes);
    let model = chain(Model::new(17), &[node("Loop", &[most, cond, "x"], outputs, &[subgraph("body", &body)])]);
    let model = model.initialiser(&longs("three", &[], &[3])).initialiser(&longs("none", &[], &[0]));
    model.initialiser(&truth("true", true)).initialiser(&truth("false", false)).initialiser(&longs("one", &[], &[1]))
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
