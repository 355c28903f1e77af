//! Quantised networks with operations between `DequantizeLinear` and `QuantizeLinear`. An operation that becomes an
//! integer one gives the same numbers as in floats; the others stay floats.

use crate::honoured::{Window, convolution, run, same};
use crate::model::{FLOAT, INT8, INT32, INT64, Model, UINT8, floats, int, ints, raw};
use crate::{graph, plan};
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::measure::Summary;

const IMAGE: [usize; 2] = [7, 6];
/// The output channels, in 2 groups of 4 input channels each.
const OUT: usize = 6;
const X_SCALE: f32 = 0.0517;
const X_ZERO: u8 = 117;
const Y_ZERO: u8 = 9;
const Y_SCALE: f32 = 0.043_91;

fn window() -> Window {
    Window { size: [3, 2], stride: [2, 1], dilation: [1, 2], pads: [1, 0, 0, 2] }
}

fn w_scale(o: usize) -> f32 {
    0.01 + 0.0031 * o as f32
}

/// Returns the zero point of an output's weights.
fn w_zero(o: usize) -> i32 {
    if o == 4 { 0 } else { o as i32 - 2 }
}

fn weights() -> Vec<i8> {
    (0..OUT * 2 * 6).map(|i| ((i * 37 + 11) % 127) as i8 - 60).collect()
}

fn biases() -> Vec<i32> {
    (0..OUT as i32).map(|o| 301 * o - 700).collect()
}

fn bias_scale(o: usize) -> f32 {
    X_SCALE * w_scale(o)
}

fn each<T>(f: impl Fn(usize) -> T) -> Vec<T> {
    (0..OUT).map(f).collect()
}

/// Begins such a network: "dx" of quantised "x", and the parameters of its end.
fn model() -> Model {
    let scales = |name: &str, f: fn(usize) -> f32| floats(name, &[OUT as i64], &each(f));
    let zeros: Vec<u8> = each(w_zero).iter().map(|&zero| zero as i8 as u8).collect();
    Model::new(21)
        .input("x", &[1, 4, IMAGE[0] as i64, IMAGE[1] as i64])
        .initialiser(&floats("xs", &[], &[X_SCALE]))
        .initialiser(&raw("xz", UINT8, &[], &[X_ZERO]))
        .initialiser(&floats("ys", &[], &[Y_SCALE]))
        .initialiser(&raw("yz", UINT8, &[], &[Y_ZERO]))
        .initialiser(&scales("ws", w_scale))
        .initialiser(&raw("wz", INT8, &[OUT as i64], &zeros))
        .initialiser(&scales("bs", bias_scale))
        .node("QuantizeLinear", &["x", "xs", "xz"], &["qx"], &[])
        .node("DequantizeLinear", &["qx", "xs", "xz"], &["dx"], &[])
        .output("y")
}

/// Appends the convolution of "dx" with "dw" and "db", an activation, the end.
fn convolved(model: Model, activation: &str) -> Model {
    let window = window();
    let attributes = [
        int("group", 2),
        ints("strides", &window.stride.map(|stride| stride as i64)),
        ints("dilations", &window.dilation.map(|dilation| dilation as i64)),
        ints("pads", &window.pads.map(|pad| pad as i64)),
    ];
    model
        .initialiser(&floats("lo", &[], &[0.21]))
        .initialiser(&floats("hi", &[], &[4.3]))
        .node("Conv", &["dx", "dw", "db"], &["c"], &attributes)
        .node(activation, if activation == "Clip" { &["c", "lo", "hi"] } else { &["c"] }, &["a"], &[])
        .node("QuantizeLinear", &["a", "ys", "yz"], &["qy"], &[])
        .node("DequantizeLinear", &["qy", "ys", "yz"], &["y"], &[])
}

fn with_weights(model: Model) -> Model {
    let weights: Vec<u8> = weights().iter().map(|&w| w as u8).collect();
    let model = model.initialiser(&raw("w", INT8, &[OUT as i64, 2, 3, 2], &weights));
    model.node("DequantizeLinear", &["w", "ws", "wz"], &["dw"], &[int("axis", 0)])
}

fn with_bias(model: Model) -> Model {
    let bytes: Vec<u8> = biases().into_iter().flat_map(i32::to_le_bytes).collect();
    let model = model.initialiser(&raw("b", INT32, &[OUT as i64], &bytes));
    model.node("DequantizeLinear", &["b", "bs"], &["db"], &[int("axis", 0)])
}

fn image() -> Vec<f32> {
    (0..4 * IMAGE[0] * IMAGE[1]).map(|i| ((i * 53 + 7) % 251) as f32 / 20.0 - 5.8).collect()
}

/// Computes the result by the definition, in floats. No sum is halfway between two numbers.
fn expected(bias: impl Fn(usize) -> f32, [lo, hi]: [f32; 2]) -> Vec<f32> {
    let quantised = |v: f32, scale: f32, zero: u8| (v / scale).round_ties_even() + f32::from(zero);
    let back = |q: f32, scale: f32, zero: u8| (q.clamp(0.0, 255.0) - f32::from(zero)) * scale;
    let x: Vec<f32> = image().iter().map(|&x| back(quantised(x, X_SCALE, X_ZERO), X_SCALE, X_ZERO)).collect();
    let weight = |(i, w): (usize, i8)| (i32::from(w) - w_zero(i / 12)) as f32 * w_scale(i / 12);
    let w: Vec<f32> = weights().into_iter().enumerate().map(weight).collect();
    let sums = convolution(&x, IMAGE, &w, [OUT, 2, 2], window());
    let area = sums.len() / OUT;
    let y = sums.iter().enumerate().map(|(i, sum)| {
        let value = (sum + bias(i / area)).clamp(lo, hi);
        let quotient = value / Y_SCALE;
        assert!(value == lo || value == hi || (quotient - quotient.floor() - 0.5).abs() > 1e-4, "a tie: {quotient}");
        back(quantised(value, Y_SCALE, Y_ZERO), Y_SCALE, Y_ZERO)
    });
    y.collect()
}

/// Returns the output, and true if an integer convolution computed it.
fn computed(model: &Model) -> (Vec<f32>, bool) {
    let plan = plan(&Onnx::from_bytes(model.bytes()).unwrap_or_else(|error| panic!("{error}")));
    let plan = plan.unwrap_or_else(|error| panic!("{error}"));
    let count = |op: &str| plan.steps.iter().filter(|step| step.op == op).count();
    assert_eq!(count("conv2d") + count("integer_conv2d"), 1, "{plan}");
    (run(model, &Bindings::new(), &[image().into()]), count("conv2d") == 0)
}

#[test]
fn a_convolution_between_integers_is_one_of_integers() {
    let bias = |o: usize| biases()[o] as f32 * bias_scale(o);
    for (activation, range) in
        [("Identity", [f32::NEG_INFINITY, f32::INFINITY]), ("Relu", [0.0, f32::INFINITY]), ("Clip", [0.21, 4.3])]
    {
        let wanted = expected(bias, range);
        assert!(wanted.iter().any(|&y| y != wanted[0]));
        let (got, integers) = computed(&convolved(with_bias(with_weights(model())), activation));
        same(&got, &wanted);
        assert!(integers, "{activation}");
    }
}

#[test]
fn weights_may_be_floats_that_the_file_quantises() {
    let weight = |(i, w): (usize, i8)| (i32::from(w) - w_zero(i / 12)) as f32 * w_scale(i / 12) * 1.001;
    let floats =
        floats("w", &[OUT as i64, 2, 3, 2], &weights().into_iter().enumerate().map(weight).collect::<Vec<_>>());
    let model = model()
        .initialiser(&floats)
        .node("QuantizeLinear", &["w", "ws", "wz"], &["qw"], &[int("axis", 0)])
        .node("DequantizeLinear", &["qw", "ws", "wz"], &["dw"], &[int("axis", 0)]);
    let (got, integers) = computed(&convolved(with_bias(model), "Relu"));
    same(&got, &expected(|o| biases()[o] as f32 * bias_scale(o), [0.0, f32::INFINITY]));
    assert!(integers);
}

#[test]
fn a_bias_between_two_integers_isnt_rounded() {
    let bias = |o: usize| (biases()[o] as f32 + 0.4) * bias_scale(o);
    let model = with_weights(model()).initialiser(&floats("db", &[OUT as i64], &each(bias)));
    let (got, integers) = computed(&convolved(model, "Relu"));
    same(&got, &expected(bias, [0.0, f32::INFINITY]));
    assert!(!integers);
}

/// Returns the operations that compute a model with one 1x1 convolution of this number of channels.
fn steps(channels: usize, end: bool, second: bool) -> Vec<&'static str> {
    let weights = vec![1u8; channels];
    let mut model = Model::new(21)
        .typed("x", UINT8, &[1, channels as i64, 1, 1])
        .initialiser(&floats("s", &[], &[0.5]))
        .initialiser(&raw("w", INT8, &[1, channels as i64, 1, 1], &weights))
        .node("DequantizeLinear", &["x", "s"], &["dx"], &[])
        .node("DequantizeLinear", &["w", "s"], &["dw"], &[])
        .node("Conv", &["dx", "dw"], &["c"], &[]);
    if end {
        model = model.node("QuantizeLinear", &["c", "s"], &["q"], &[]).with(12, &crate::model::port("q", UINT8, &[]));
    }
    if second || !end {
        model = model.with(12, &crate::model::port("c", FLOAT, &[]));
    }
    let plan =
        graph(&model).and_then(|graph| shadernet::plan::Plan::new(&graph, 1, &shadernet::kernel::Caps::portable()));
    plan.unwrap_or_else(|error| panic!("{error}")).steps.iter().map(|step| step.op).collect()
}

#[test]
fn floats_are_left_where_somebody_wants_them() {
    assert_eq!(steps(8, true, false), ["integer_conv2d"]);
    // Sums of so many products may exceed 32 bits.
    assert_eq!(steps(40_000, true, false), ["dequantize", "conv2d", "quantize"]);
    assert_eq!(steps(8, false, false), ["dequantize", "conv2d"]);
    let both = steps(8, true, true);
    assert!(both.contains(&"integer_conv2d") && both.contains(&"conv2d"), "{both:?}");
}

/// Rows are gathered from a table of bytes and dequantised then, as ONNX Runtime's dynamic quantisation leaves an embedding.
/// The table's transpose may be a weight too.
#[test]
fn a_table_of_bytes_counts_once_in_its_own_bytes() {
    let table: Vec<u8> = (0..800).map(|i| (i % 251) as u8).collect();
    let embedding = Model::new(17)
        .typed("ids", INT64, &[1, 4])
        .initialiser(&raw("table", UINT8, &[100, 8], &table))
        .initialiser(&floats("scale", &[], &[0.1]))
        .initialiser(&raw("zero", UINT8, &[], &[3]))
        .initialiser(&floats("w", &[8, 4], &[0.5; 32]))
        .node("Gather", &["table", "ids"], &["q"], &[])
        .node("DequantizeLinear", &["q", "scale", "zero"], &["rows"], &[])
        .node("MatMul", &["rows", "w"], &["y"], &[])
        .output("y");
    let tied = embedding
        .clone()
        .node("DequantizeLinear", &["table", "scale", "zero"], &["all"], &[])
        .node("Transpose", &["all"], &["turned"], &[])
        .node("MatMul", &["rows", "turned"], &["scores"], &[])
        .output("scores");
    for model in [embedding, tied] {
        let summary = Summary::new(&graph(&model).expect("it is supported"), 1).expect("a batch of 1");
        assert_eq!(summary.parameters, 800 + 1 + 1 + 32);
        assert_eq!(summary.parameter_bytes, 800 + 4 + 1 + 4 * 32);
        assert!(summary.to_string().contains(" 933 bytes at precision f32: packed integers as packed"), "{summary}");
    }

    // Files that spell the dequantisation out: the table is computed when the graph is built.
    let spelled = Model::new(17)
        .typed("ids", INT64, &[1, 4])
        .initialiser(&raw("table", UINT8, &[100, 8], &table))
        .initialiser(&floats("scale", &[100, 1], &[0.1; 100]))
        .node("Cast", &["table"], &["numbers"], &[int("to", FLOAT)])
        .node("Mul", &["numbers", "scale"], &["all"], &[])
        .node("Gather", &["all", "ids"], &["y"], &[])
        .output("y");
    let summary = Summary::new(&graph(&spelled).expect("it is supported"), 1).expect("a batch of 1");
    assert_eq!((summary.parameters, summary.parameter_bytes), (800 + 100, 4 * 900));
}
