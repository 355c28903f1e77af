//! Files of float16 and bfloat16: their precision, their weights bit for bit, and what stays in f32.

use crate::honoured::{context, run};
use crate::model::{
    BOOL, FLOAT, Message, Model, body_of, float, float_list, floats, int, ints, longs, node_of, raw, string,
    string_list, subgraph,
};
use half::{bf16, f16};
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::kernel::{Caps, Prepacked, Scalar};
use shadernet::plan::{Choices, Plan, Resource};
use shadernet::{Graph, Precision};

const FLOAT16: i64 = 10;
const BFLOAT16: i64 = 16;

fn halves(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let bytes: Vec<u8> = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
    raw(name, FLOAT16, dims, &bytes)
}

fn brains(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let bytes: Vec<u8> = values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect();
    raw(name, BFLOAT16, dims, &bytes)
}

fn graph(model: &Model) -> Graph {
    let graph = Onnx::from_bytes(model.bytes()).and_then(|onnx| onnx.graph(&Bindings::new()));
    graph.unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the weights that a plan uploads.
fn uploaded(plan: &Plan) -> Vec<Prepacked> {
    let resources = plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources.clone());
    let weight = |resource| if let Resource::Weight(packed) = resource { Some(packed) } else { None };
    resources.filter_map(weight).collect()
}

/// Makes a layer of 8 inputs whose weights are 4 equal rows of 8.
fn layer(element: i64, weights: &Message) -> Model {
    let model = Model::new(17).typed("x", element, &[2, 8]).initialiser(weights);
    model.node("MatMul", &["x", "w"], &["y"], &[])
}

#[test]
fn most_bytes_of_weights_decide() {
    let precision = |tensors: &[Message]| {
        let model = tensors.iter().fold(Model::new(17), |model, tensor| model.initialiser(tensor));
        Onnx::from_bytes(model.bytes()).expect("it is whole").precision()
    };
    let ones = [1.0; 16];
    let of_f16 = |count: usize| halves("h", &[count as i64], &ones[..count]);
    let of_bf16 = |values: &[f32]| brains("b", &[1, values.len() as i64], values);
    assert_eq!(precision(&[]), Precision::F32);
    assert_eq!(precision(&[floats("w", &[4], &ones[..4])]), Precision::F32);
    assert_eq!(precision(&[of_f16(4)]), Precision::F16);
    // 8 bytes of float32 beside 8, and beside 10, of float16; integers don't count.
    let (some, many) = (floats("w", &[2], &ones[..2]), raw("i", 2, &[32], &[0; 32]));
    assert_eq!(precision(&[some.clone(), of_f16(4), many.clone()]), Precision::F32);
    assert_eq!(precision(&[some, of_f16(5), many]), Precision::F16);

    // The greatest bfloat16 in the range of f16, and the next one; the least normal f16, and the one below.
    let [greatest, least] = [65_280.0, 2f32.powi(-14)];
    let [beyond, below] = [bf16::from_bits(0x4780), bf16::from_bits(0x387F)].map(f32::from);
    assert_eq!((beyond, below < least), (65_536.0, true));
    for (values, wanted) in [
        (&[1.0, -greatest][..], Precision::Mixed),
        (&[1.0, -beyond], Precision::F32),
        (&[least, 0.0], Precision::Mixed),
        (&[-below, 0.0], Precision::F32),
        (&[1.0, below], Precision::Mixed),
        (&[0.0, 0.0], Precision::Mixed),
        (&[f32::INFINITY, 1.0], Precision::Mixed),
        (&[f32::NAN, 1.0], Precision::Mixed),
    ] {
        assert_eq!(precision(&[of_bf16(values)]), wanted, "{values:?}");
    }
    // Vectors and scalars are f32s in every precision.
    assert_eq!(precision(&[brains("bias", &[2], &[1e30, 1e-30])]), Precision::Mixed);
    // The numbers as integers of the typed field.
    let typed = |bits: u16| Message::default().int(1, 1).int(1, 1).int(2, BFLOAT16).bytes(8, "b").int(5, bits.into());
    assert_eq!(precision(&[typed(0x477F)]), Precision::Mixed);
    assert_eq!(precision(&[typed(0x4780)]), Precision::F32);
}

/// Every f16 but NaNs.
#[test]
fn weights_of_float16_are_uploaded_bit_for_bit() {
    let all: Vec<u16> = (0..=u16::MAX).filter(|&bits| !f16::from_bits(bits).is_nan()).collect();
    // Without zeros these fill a matrix.
    let all: Vec<u16> = all.into_iter().filter(|bits| bits & 0x7FFF != 0).collect();
    let (rows, columns) = (256, all.len() / 256);
    assert_eq!((all.len(), rows * columns), (63_488, 63_488));
    let bytes: Vec<u8> = all.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let weights = raw("w", FLOAT16, &[rows as i64, columns as i64], &bytes);
    let model = Model::new(17).typed("x", FLOAT16, &[64, rows as i64]).initialiser(&weights);
    let model = model.node("MatMul", &["x", "w"], &["y"], &[]).output("y");
    let graph = graph(&model).fused();
    for caps in [Caps::portable(), Caps::llvmpipe(), Caps::phone()] {
        let plan = Plan::new(&graph, 1, &caps).unwrap_or_else(|error| panic!("{error}"));
        let mut got = Vec::new();
        // The bias, of zeros, is an `f32`.
        for packed in uploaded(&plan).iter().filter(|packed| packed.scalar == Scalar::F16) {
            got.extend((packed.values)().into_iter().map(|value| f16::from_f32(value).to_bits()));
        }
        // What pads texels and tiles is 0.
        got.retain(|bits| *bits != 0);
        let mut wanted = all.clone();
        got.sort_unstable();
        wanted.sort_unstable();
        assert!(got == wanted, "{}: the weights have changed", caps.profile());
    }
}

#[test]
fn a_model_has_the_files_precision_unless_told_otherwise() {
    let weights: Vec<f32> = (0..8 * 12).map(|i| i as f32 / 64.0 - 0.7).collect();
    let file = layer(FLOAT16, &halves("w", &[8, 12], &weights)).output("y");
    let graph = graph(&file);
    assert_eq!((graph.precision(), graph.fused().precision(), graph.clone().precision()), [Precision::F16; 3].into());
    let model = shadernet::Model::new(context(), &graph).expect("it has an output");
    let onnx = Onnx::from_bytes(file.bytes()).expect("it is whole");
    let open = shadernet::Model::for_batches(context(), move |_| onnx.graph(&Bindings::new()));
    let other = shadernet::Model::new(context(), &Graph::clone(&graph)).and_then(|model| model.with_graph(&graph));
    let is_f16 = |model: &shadernet::Model| {
        let session = model.session(1).unwrap_or_else(|error| panic!("{error}"));
        uploaded(session.plan()).iter().any(|packed| packed.scalar == Scalar::F16)
    };
    for model in [&model, &open, &other.expect("it has an output"), &model.on(context())] {
        assert_eq!(is_f16(model), context().caps().packs_f16);
        assert!(!is_f16(&model.precision(Precision::F32)));
        assert!(!is_f16(&model.precision(Precision::F32).on(context())));
    }
    // A device that can't convert runs such files in f32, but refuses what it was asked for.
    let caps = Caps { packs_f16: false, ..Caps::portable() };
    let plan = Plan::new(&graph.fused(), 1, &caps).expect("f32 serves");
    assert!(uploaded(&plan).iter().all(|packed| packed.scalar == Scalar::F32));
    assert!(Plan::with_precision(&graph.fused(), 1, &caps, &Choices::new(), Precision::F16).is_err());
}

/// What a file of float16 computes in float32, it computes so for its range: squares, small constants, large weights.
#[test]
fn float32_in_a_file_of_float16_stays() {
    let [to_f32, to_f16] = [FLOAT, FLOAT16].map(|to| [int("to", to)]);
    let eye: Vec<f32> = (0..64).map(|i| if i % 9 == 0 { 1000.0 } else { 0.0 }).collect();
    let start = layer(FLOAT16, &halves("w", &[8, 8], &eye)).node("Cast", &["y"], &["f"], &to_f32);
    let x: Vec<f32> = (0..16).map(|i| i as f32 / 4.0 + 1.0).collect();
    let scaled: Vec<f32> = x.iter().map(|x| x * 1000.0).collect();
    let near = |model: &Model, wanted: &[f32]| {
        let model = model.clone().output("z").initialiser(&halves("most weights", &[64], &[1.0; 64]));
        assert_eq!(graph(&model).precision(), Precision::F16);
        let got = run(&model, &Bindings::new(), &[x.clone().into()]);
        let wrong =
            got.iter().zip(wanted).find(|(got, wanted)| got.is_nan() || (*got - *wanted).abs() > 1e-3 * wanted.abs());
        assert!(got.len() == wanted.len() && wrong.is_none(), "{wrong:?} in {got:?}, wanted {wanted:?}");
    };
    // Squares.
    let squares = start.clone().node("Mul", &["f", "f"], &["squares"], &[]).node("Softplus", &["squares"], &["s"], &[]);
    let squares = squares.node("Sqrt", &["s"], &["root"], &[]).node("Cast", &["root"], &["z"], &to_f16);
    near(&squares, &scaled);
    // The same in the iterations of a loop, whose results are joined.
    let body = [node_of("", "Identity", &["c"], &["d"], &[]), node_of("", "Mul", &["f", "f"], &["s"], &[])];
    let body = subgraph("body", &body_of([&["i", "c"], &["d", "s"]], &body));
    let joined = start.clone().initialiser(&longs("trips", &[], &[2])).initialiser(&raw("true", BOOL, &[], &[1]));
    let joined = joined.node("Loop", &["trips", "true"], &["all"], &[body]).node("Sin", &["all"], &["sin"], &[]);
    let joined =
        joined.node("Max", &["all", "sin"], &["a"], &[]).node("ReduceMax", &["a"], &["most"], &[ints("axes", &[0])]);
    let joined = joined.node("Sqrt", &["most"], &["root"], &[]).node("Cast", &["root"], &["z"], &to_f16);
    near(&joined, &scaled);
    // A constant that an f16 would round to 0, and one that is infinite then.
    let constant = |name: &str, f: fn(f32) -> f32| floats(name, &[2, 8], &x.iter().map(|&x| f(x)).collect::<Vec<_>>());
    let small = start.clone().initialiser(&constant("c", |x| 1e-9 / x)).initialiser(&constant("d", |x| 1e9 * x));
    let small = small.node("Mul", &["f", "c"], &["m"], &[]).node("Sin", &["m"], &["n"], &[]);
    let small = small.node("Mul", &["n", "d"], &["o"], &[]);
    near(&small.node("Cast", &["o"], &["z"], &to_f16), &scaled);
    // Weights beyond the range of f16.
    let large: Vec<f32> = (0..8).map(|i| if i == 3 { 1e5 } else { 0.0 }).collect();
    let large = start.initialiser(&floats("v", &[8, 1], &large)).node("MatMul", &["f", "v"], &["m"], &[]);
    let large = large.initialiser(&floats("k", &[1], &[1e-5])).node("Mul", &["m", "k"], &["o"], &[]);
    near(&large.node("Cast", &["o"], &["z"], &to_f16), &[scaled[3], scaled[11]]);
}

/// Operators whose results are in the range of f16, but not the squares, sums and powers inside of them.
#[test]
fn the_inside_of_an_operator_has_the_range_of_f32() {
    let x: Vec<f32> = (0..2 * 4 * 36).map(|i| ((i * 37 + 11) % 101) as f32 * 37.0 - 1700.0).collect();
    let (scale, bias) = (floats("s", &[4], &[1.0, 0.5, 2.0, 1.5]), floats("b", &[4], &[0.0, 1.0, -1.0, 0.5]));
    let row = [floats("s", &[6], &[1.0, 0.5, 2.0, 1.5, 1.0, 0.7]), floats("b", &[6], &[0.1; 6])];
    let every = [scale.clone(), bias.clone()];
    let axes = [ints("axes", &[2, 3])];
    let mut wrong = Vec::new();
    for (op, opset, constants, attributes) in [
        ("MeanVarianceNormalization", 13, &[][..], &[][..]),
        ("InstanceNormalization", 17, &every, &[]),
        ("GroupNormalization", 21, &every, &[int("num_groups", 2)]),
        ("LayerNormalization", 17, &row, &[]),
        ("RMSNormalization", 23, &row[..1], &[]),
        ("LpNormalization", 17, &[], &[int("axis", 3)]),
        ("LRN", 17, &[], &[int("size", 3)]),
        ("LpPool", 17, &[], &[ints("kernel_shape", &[2, 2])]),
        ("GlobalLpPool", 17, &[], &[]),
        ("AveragePool", 17, &[], &[ints("kernel_shape", &[6, 6])]),
        ("GlobalAveragePool", 17, &[], &[]),
        ("ReduceL2", 17, &[], &axes),
        ("ReduceMean", 17, &[], &axes),
        ("ReduceLogSum", 17, &[], &[ints("axes", &[0, 1, 2, 3])]),
        ("ReduceLogSumExp", 17, &[], &axes),
        ("ReduceMax", 17, &[], &axes),
        ("Softmax", 17, &[], &[]),
        ("LogSoftmax", 17, &[], &[]),
        ("Hardmax", 17, &[], &[]),
        ("Gelu", 20, &[], &[string("approximate", "tanh")]),
        ("Gelu", 20, &[], &[]),
        ("Mish", 18, &[], &[]),
        ("Softplus", 17, &[], &[]),
        ("Softsign", 17, &[], &[]),
        ("HardSwish", 17, &[], &[]),
        ("Celu", 17, &[], &[]),
        ("Selu", 17, &[], &[]),
        ("Swish", 24, &[], &[]),
    ] {
        let inputs = ["x", "s", "b"];
        let model = constants.iter().fold(Model::new(opset).input("x", &[2, 4, 6, 6]), Model::initialiser);
        let model = model.node(op, &inputs[..=constants.len()], &["y"], attributes).output("y");
        let at = |precision| {
            let model =
                shadernet::Model::new(context(), &graph(&model)).expect("it has an output").precision(precision);
            let outputs = model.session(1).and_then(|session| session.run_blocking(&[&x]));
            outputs.unwrap_or_else(|error| panic!("{op}, {precision}: {error}"))[0].to_f32()
        };
        let wanted = at(Precision::F32);
        let largest = wanted.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(largest.is_finite() && largest > 0.0 && largest < 65e3, "{op}: {largest}");
        for precision in [Precision::F16, Precision::Mixed] {
            let off = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
            let error = at(precision).iter().zip(&wanted).map(off).fold(0f32, f32::max);
            if error > 2e-3 * largest {
                wrong.push(format!("{op}, {precision}: off by {:e}", error / largest));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns what a model computes, and fails if it is off by more than `most` of the largest wanted number.
fn check(name: &str, model: &Model, x: &[f32], wanted: &[f64], most: f64) {
    let graph = graph(&model.clone().output("y"));
    let largest = wanted.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    for precision in Precision::ALL {
        let model = shadernet::Model::new(context(), &graph).expect("it has an output").precision(precision);
        let got = model.session(1).and_then(|session| session.run_blocking(&[x]));
        let got = got.unwrap_or_else(|error| panic!("{name}, {precision}: {error}"))[0].to_f32();
        assert_eq!(got.len(), wanted.len(), "{name}");
        let most = if precision == Precision::F32 { 1e-5 } else { most } * largest;
        let near = |(&got, &wanted): (&f32, &f64)| (f64::from(got) - wanted).abs() <= most;
        assert!(got.iter().zip(wanted).all(near), "{name}, {precision}: {got:?}, wanted {wanted:?}");
    }
}

/// The same for sums and products of numbers that are the greatest themselves, in operators that become several operations.
#[test]
fn an_operator_of_several_operations_has_the_range_of_f32_inside() {
    let x: [f32; 8] = [6e4, -6e4, 3e4, 6e4, -6e4, 6e4, 6e4, 3e4];
    let wide = x.map(f64::from);
    let open = || Model::new(17).input("x", &[2, 4]);
    let case = |op: &str, inputs: &[&str], constants: &[Message], attributes: &[Message], wanted: &[f64]| {
        let model = constants.iter().fold(open(), Model::initialiser);
        check(op, &model.node(op, inputs, &["y"], attributes), &x, wanted, 2e-3);
    };
    let scalar = |name: &str, value: f32| floats(name, &[1], &[value]);
    case("LpNormalization", &["x"], &[], &[int("p", 1)], &wide.map(|x| x / 21e4));
    let three = [scalar("a", 6e4), floats("b", &[2, 1], &[3e4; 2])];
    case("Mean", &["x", "a", "b"], &three, &[], &wide.map(|x| (x + 9e4) / 3.0));
    let three = [scalar("a", 6e4), floats("b", &[2, 1], &[-6e4; 2])];
    case("Sum", &["x", "a", "b"], &three, &[], &wide);
    let steep = [float("alpha", 4.0), float("beta", -239_999.5)];
    case("HardSigmoid", &["x"], &[], &steep, &wide.map(|x| (4.0 * x - 239_999.5).clamp(0.0, 1.0)));
    // Two values, and a value and weights.
    let squares = [117e8, -36e8, -36e8, 117e8];
    let scaled = [float("alpha", 1e-6), int("transB", 1)];
    case("Gemm", &["x", "x"], &[], &scaled, &squares.map(|square| 1e-6 * square));
    let fours = [floats("w", &[4, 1], &[4.0; 4]), floats("c", &[2, 1], &[100.0, -100.0])];
    let sums = [9e4 * 4.0 * 0.125 + 100.0, 9e4 * 4.0 * 0.125 - 100.0];
    case("Gemm", &["x", "w", "c"], &fours, &[float("alpha", 0.125)], &sums);
    let small = [floats("w", &[4, 3], &[4.0; 12]), floats("v", &[3], &[1e-2; 3])];
    case("Einsum", &["x", "w", "v"], &small, &[string("equation", "ij,jk,k->i")], &[10_800.0; 2]);
    // A product of some of the factors may be beyond what it is of all.
    let factors: [f32; 4] = [1e-3, 6e4, 4.0, 2e-3];
    let model = Model::new(26).input("x", &[4]).initialiser(&longs("axis", &[], &[0]));
    check("CumProd", &model.node("CumProd", &["x", "axis"], &["y"], &[]), &factors, &[1e-3, 60.0, 240.0, 0.48], 2e-3);
    let matrix: [f32; 4] = [6e4, 59_008.0, 2.0, 2.0];
    check("Det", &Model::new(17).input("x", &[2, 2]).node("Det", &["x"], &["y"], &[]), &matrix, &[1984.0], 2e-3);
    // A layer whose function makes its sums small.
    let weights = [floats("w", &[1, 1, 4], &[4.0; 4]), floats("r", &[1, 1, 1], &[0.5])];
    let function = [
        int("hidden_size", 1),
        string_list("activations", &["Affine"]),
        float_list("activation_alpha", &[0.01]),
        float_list("activation_beta", &[0.0]),
    ];
    let model = weights.iter().fold(Model::new(17).input("x", &[1, 2, 4]), Model::initialiser);
    check("RNN", &model.node("RNN", &["x", "w", "r"], &["y"], &function), &x, &[3600.0; 2], 2e-3);
}

/// Weights that no f16 holds stay f32s: those that a scale was folded into, of all kinds of convolutions.
#[test]
fn weights_beyond_the_range_of_f16_stay() {
    for (groups, scale, size) in [(1, 1e6, 1e-6), (1, 1e-6, 100.0), (8, 1e6, 1e-6), (2, 1e6, 1e-6)] {
        let each = 8 / groups;
        let x: Vec<f32> = (0..8 * 9).map(|i| ((i % 13) as f32 * 30.0 - 100.0) * size).collect();
        let weights: Vec<f32> = (0..8 * each).map(|i| (i % 5) as f32 / 4.0 - 0.5).collect();
        let model = Model::new(17)
            .input("x", &[1, 8, 3, 3])
            .initialiser(&floats("w", &[8, each as i64, 1, 1], &weights))
            .initialiser(&floats("s", &[8], &[scale; 8]))
            .initialiser(&floats("b", &[8], &[0.0; 8]))
            .initialiser(&floats("mean", &[8], &[0.0; 8]))
            .initialiser(&floats("var", &[8], &[1.0; 8]));
        let model = model.node("Conv", &["x", "w"], &["c"], &[int("group", groups as i64)]);
        let model = model.node("BatchNormalization", &["c", "s", "b", "mean", "var"], &["y"], &[float("epsilon", 0.0)]);
        let mut wanted = Vec::new();
        for (o, pixel) in (0..8).flat_map(|o| (0..9).map(move |pixel| (o, pixel))) {
            let first = o / each * each;
            let terms = (0..each).map(|c| f64::from(x[(first + c) * 9 + pixel]) * f64::from(weights[o * each + c]));
            wanted.push(terms.sum::<f64>() * f64::from(scale));
        }
        check(&format!("{groups} groups, {scale}"), &model, &x, &wanted, 2e-3);
    }
}

/// Values of bfloat16 have the range of f32.
#[test]
fn values_of_bfloat16_may_exceed_f16() {
    let eye: Vec<f32> = (0..64).map(|i| if i % 9 == 0 { 60_928.0 } else { 0.0 }).collect();
    let model = layer(BFLOAT16, &brains("w", &[8, 8], &eye)).initialiser(&brains("v", &[8, 8], &eye));
    let model = model.node("MatMul", &["y", "v"], &["z"], &[]).output("z");
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let wanted: Vec<f32> = x.iter().map(|x| x * 60_928.0 * 60_928.0).collect();
    assert_eq!(graph(&model).precision(), Precision::Mixed);
    let got = run(&model, &Bindings::new(), &[x.into()]);
    assert!(got.iter().zip(&wanted).all(|(got, wanted)| (got - wanted).abs() <= 1e-6 * wanted), "{got:?}");
}
