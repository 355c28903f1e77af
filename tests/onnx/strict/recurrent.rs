//! Recurrent layers against ONNX Runtime, by the cases of `tests/goldens/generate_recurrent.py`; and what they refuse.

use crate::honoured::{context, numbers};
use crate::model::{
    FLOAT, INT8, INT32, Message, Model, UINT8, float, float_list, floats, int, node_of, raw, string, string_list,
};
use crate::{graph, refusal};
use safetensors::SafeTensors;
use serde_json::Value;
use shadernet::Data;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::kernel::Caps;
use shadernet::plan::Plan;

const CASES: &str = include_str!("../../goldens/recurrent.json");
const TENSORS: &[u8] = include_bytes!("../../goldens/recurrent.safetensors");

fn attribute(name: &str, value: &Value) -> Message {
    match value {
        Value::String(text) => string(name, text),
        Value::Array(list) if list[0].is_string() => {
            string_list(name, &list.iter().map(|text| text.as_str().expect("a string")).collect::<Vec<_>>())
        }
        Value::Array(list) => {
            float_list(name, &list.iter().map(|number| number.as_f64().expect("a number") as f32).collect::<Vec<_>>())
        }
        number => match number.as_i64() {
            Some(whole) => int(name, whole),
            None => float(name, number.as_f64().expect("a number") as f32),
        },
    }
}

/// Returns the shape and the numbers of a tensor.
fn tensor(file: &SafeTensors, key: &str) -> (Vec<i64>, Vec<f32>) {
    let view = file.tensor(key).unwrap_or_else(|error| panic!("{key}: {error}"));
    let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (view.shape().iter().map(|&size| size as i64).collect(), numbers)
}

/// Checks all outputs of a case. Inputs of floats, and of lengths, are known or `given` with the frame.
fn check(file: &SafeTensors, case: &Value, given: bool) {
    let (name, op) = (&case["name"], case["op"].as_str().expect("a name"));
    let (domain, states) =
        (if op.starts_with("Dynamic") { "com.microsoft" } else { "" }, if op.contains("LSTM") { 2 } else { 1 });
    let (mut model, mut names, mut inputs) = (Model::new(21).opset("com.microsoft", 1), Vec::new(), Vec::new());
    for (i, key) in case["inputs"].as_array().expect("a list").iter().enumerate() {
        let (shape, numbers) = tensor(file, key.as_str().expect("a key"));
        let input = if shape.is_empty() { String::new() } else { format!("x{i}") };
        let element = match (i, case["attributes"]["type"].as_str()) {
            (4, _) => INT32,
            (1 | 2 | 9 | 11, Some("u8")) => UINT8,
            (1 | 2 | 9 | 11, Some("i8")) => INT8,
            _ => FLOAT,
        };
        let whole: Vec<i32> = numbers.iter().map(|&number| number as i32).collect();
        model = match element {
            _ if shape.is_empty() => model,
            FLOAT if i == 0 || (given && i < 8) => {
                inputs.push(Data::F32(numbers));
                model.input(&input, &shape)
            }
            INT32 if given => {
                inputs.push(Data::I32(whole));
                model.typed(&input, INT32, &shape)
            }
            FLOAT => model.initialiser(&floats(&input, &shape, &numbers)),
            INT32 => {
                let bytes: Vec<u8> = whole.iter().flat_map(|number| number.to_le_bytes()).collect();
                model.initialiser(&raw(&input, INT32, &shape, &bytes))
            }
            small => {
                let bytes: Vec<u8> = whole.iter().map(|&number| number as u8).collect();
                model.initialiser(&raw(&input, small, &shape, &bytes))
            }
        };
        names.push(input);
    }
    let attributes = case["attributes"].as_object().expect("attributes").iter().filter(|(name, _)| *name != "type");
    let attributes: Vec<Message> = attributes.map(|(name, value)| attribute(name, value)).collect();
    let outputs = &["Y", "H", "C"][..1 + states];
    let model = model.with(1, &node_of(domain, op, &names, outputs, &attributes));
    let model = outputs.iter().fold(model, |model, output| model.output(output));
    let graph = Onnx::from_bytes(model.bytes()).and_then(|onnx| onnx.graph(&Bindings::new()));
    let graph = graph.unwrap_or_else(|error| panic!("{name}: {error}"));
    let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1));
    let session = session.unwrap_or_else(|error| panic!("{name}: {error}"));
    let results = session.run_blocking(&inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
    let got: Vec<f32> = results.iter().flat_map(|result| result.to_f32()).collect();
    let (_, wanted) = tensor(file, case["output"].as_str().expect("a key"));
    assert_eq!(got.len(), wanted.len(), "{name}");
    for (i, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
        assert!((got - wanted).abs() <= 1e-5, "{name}, given: {given}, element {i}: {got}, wanted {wanted}");
    }
}

#[test]
fn layers_agree_with_onnx_runtime() {
    let file = SafeTensors::deserialize(TENSORS).expect("the tensors are whole");
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("it is JSON");
    assert_eq!(cases.len(), 31);
    for case in &cases {
        check(&file, case, false);
    }
    // Of weights that are computed, each cell and all of its inputs.
    for name in ["RNN_both", "GRU_both", "GRU_after_both", "LSTM_both", "LSTM_peepholes", "LSTM_functions_apart"] {
        check(&file, cases.iter().find(|case| case["name"] == name).expect("a case"), true);
    }
}

/// Returns an LSTM of 2 units over sequences of 3 numbers.
fn lstm(steps: i64, attributes: &[Message]) -> Model {
    let model = Model::new(17).input("x", &[steps, 1, 3]).output("y");
    let model = model.initialiser(&floats("w", &[1, 8, 3], &numbers(24)));
    let model = model.initialiser(&floats("r", &[1, 8, 2], &numbers(16)));
    model.node("LSTM", &["x", "w", "r"], &["y"], attributes)
}

#[test]
fn any_number_of_steps_is_one_operation() {
    let planned = |steps: i64, caps: &Caps| {
        let graph = graph(&lstm(steps, &[int("hidden_size", 2)])).expect("it can be imported");
        Plan::new(&graph.fused(), 1, caps).expect("it can be planned")
    };
    // The dispatches of the steps, and their pipelines.
    let counts = |plan: &Plan| {
        let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches).map(|(dispatch, _)| &dispatch.shader);
        let mut shaders: Vec<_> =
            dispatches.filter(|shader| shader.name() == "recurrent").map(|s| s.to_string()).collect();
        let all = shaders.len();
        shaders.dedup();
        (plan.steps.len(), all, shaders.len())
    };
    for steps in [50, 5000] {
        assert_eq!(counts(&planned(steps, &Caps::portable())), (2, 1, 1), "{steps} steps");
        assert_eq!(counts(&planned(steps, &Caps::llvmpipe())), (2, 1, 1), "{steps} steps");
    }
    // llvmpipe's loops end: a few more dispatches of the same pipeline.
    let (steps, dispatches, pipelines) = counts(&planned(50_000, &Caps::llvmpipe()));
    assert!((steps, pipelines) == (2, 1) && (2..10).contains(&dispatches), "{dispatches}");
}

#[track_caller]
fn refused(model: &Model, words: &str) {
    let text = refusal(model);
    assert!(text.contains(words), "{text}");
}

#[test]
fn what_is_wrong_is_refused() {
    refused(&lstm(2, &[int("hidden_size", 3)]), "attribute hidden_size: wanted 2, as R says, got 3");
    refused(&lstm(2, &[float("clip", 0.0)]), "attribute clip: wanted more than 0, got 0");
    refused(&lstm(2, &[string("direction", "bidirectional")]), "W: wanted [2, 8, 3], got [1, 8, 3]");
    refused(&lstm(2, &[string_list("activations", &["Tanh"])]), "attribute activations: wanted 3 functions, got 1");
    let quantised = |scale: &[f32], zero: &Message| {
        let model = Model::new(17).opset("com.microsoft", 1).input("x", &[2, 1, 3]).output("y");
        let model =
            model.initialiser(&raw("w", INT8, &[1, 3, 8], &[1; 24])).initialiser(&raw("r", INT8, &[1, 2, 8], &[1; 16]));
        let model = model.initialiser(&floats("s", &[scale.len() as i64], scale)).initialiser(zero);
        let names = ["x", "w", "r", "", "", "", "", "", "s", "z", "s", "z"];
        model.with(1, &node_of("com.microsoft", "DynamicQuantizeLSTM", &names, &["y"], &[]))
    };
    refused(&quantised(&[0.1; 2], &raw("z", INT8, &[1], &[0])), "W_scale: wanted 1 or 8 numbers, got 2");
    refused(&quantised(&[0.1], &raw("z", UINT8, &[1], &[0])), "W_zero_point: wanted int8, got uint8");
    assert!(graph(&quantised(&[0.1; 8], &raw("z", INT8, &[8], &[0; 8]))).is_ok());
}

/// An LSTM that keeps its states on the device gives for chunks what it gives for the whole.
#[test]
fn chunks_continue_where_the_last_one_ended() {
    let steps_of = |steps: i64| {
        let model = Model::new(17).input("x", &[steps, 1, 3]).input("h", &[1, 1, 2]).input("c", &[1, 1, 2]);
        let model = model.initialiser(&floats("w", &[1, 8, 3], &numbers(24)));
        let model = model.initialiser(&floats("r", &[1, 8, 2], &numbers(16)));
        let inputs = ["x", "w", "r", "", "", "h", "c"];
        let model = model.node("LSTM", &inputs, &["y", "hn", "cn"], &[int("hidden_size", 2)]);
        let onnx = Onnx::from_bytes(model.output("y").output("hn").output("cn").bytes()).expect("it is whole");
        let bindings = Bindings::new().state("h", "hn").state("c", "cn");
        let graph = onnx.graph(&bindings).expect("it can be built");
        shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it can run")
    };
    let x = numbers(18);
    let whole = steps_of(6).run_blocking(&[&x[..]]).expect("it runs")[0].to_f32();
    let piece = steps_of(2);
    let chunks = x.chunks(6).map(|x| piece.run_blocking(&[x]).expect("it runs")[0].to_f32());
    crate::honoured::same(&chunks.collect::<Vec<_>>().concat(), &whole);
}
