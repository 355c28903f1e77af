//! Seeded mutations of files, and random nodes: the importer refuses each or plans it, soon and in bounded memory.

use crate::memory::bounded;
use crate::model::{self, BOOL, FLOAT, INT8, INT32, INT64, Message, Model, Size, UINT8};
use crate::model::{float, floats, int, ints, list, longs, port, raw, tensor};
use crate::plan;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::kernel::Caps;
use shadernet::plan::Plan;
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

/// Numbers that divide, overflow, or are mistaken for others.
const NASTY: [i64; 20] = [
    0,
    1,
    2,
    3,
    4,
    7,
    -1,
    -2,
    64,
    255,
    1 << 20,
    (1 << 28) + 1,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

/// The time limit of one import.
const MOST_TIME: Duration = Duration::from_secs(5);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// Returns true if an arbitrary file gets a plan. The importer must decide soon; a busy machine gets a second attempt.
pub fn planned(bytes: &[u8], what: &str) -> bool {
    let attempt = || {
        let start = Instant::now();
        let planned = bounded(|| catch_unwind(|| Onnx::from_bytes(bytes).and_then(|onnx| plan(&onnx)).is_ok()));
        (planned.unwrap_or_else(|_| panic!("{what}: it panicked")), start.elapsed())
    };
    let (mut planned, mut time) = attempt();
    if time > MOST_TIME {
        (planned, time) = attempt();
    }
    assert!(time <= MOST_TIME, "{what}: it took {time:?}");
    planned
}

/// A field of a message in its wire format.
#[derive(Clone)]
struct Field {
    number: u64,
    value: Wire,
}

#[derive(Clone)]
enum Wire {
    Varint(u64),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for i in 0..10 {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * i).min(63);
        if first < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Returns the fields of a possible message.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let mut take = |count: usize| {
            let (taken, rest) = bytes.split_at_checked(count)?;
            bytes = rest;
            Some(taken.to_vec())
        };
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => Wire::Fixed(take(8)?),
            5 => Wire::Fixed(take(4)?),
            2 => {
                let length = varint(&mut bytes)?;
                let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
                bytes = rest;
                Wire::Bytes(taken.to_vec())
            }
            _ => return None,
        };
        fields.push(Field { number: key >> 3, value });
    }
    Some(fields)
}

fn written(fields: &[Field]) -> Vec<u8> {
    let write = |message: Message, field: &Field| match &field.value {
        Wire::Varint(value) => message.int(field.number, *value as i64),
        Wire::Bytes(bytes) => message.bytes(field.number, bytes),
        Wire::Fixed(bytes) if bytes.len() == 4 => {
            message.float(field.number, f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        }
        // The tested files have no fields of 8 bytes.
        Wire::Fixed(_) => message,
    };
    fields.iter().fold(Message::default(), write).0
}

/// Returns the message with one field changed, here or in a nested message.
fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let Some(mut all) = fields(bytes).filter(|all| !all.is_empty()) else { return scrambled(bytes, random) };
    let at = random.below(all.len());
    match random.below(12) {
        0 => {
            all.remove(at);
        }
        1 => all.insert(at, all[at].clone()),
        2 => {
            let other = random.below(all.len());
            let value = all[other].value.clone();
            all[at].value = value;
        }
        3 => {
            let other = random.below(all.len());
            all.swap(at, other);
        }
        _ => match &mut all[at].value {
            Wire::Varint(value) => *value = random.of(&NASTY) as u64,
            Wire::Fixed(bytes) => {
                let number = random.of(&[0.0, -1.0, f32::NAN, f32::INFINITY, 1e30, 1e-30, -0.5]);
                bytes.splice(..4, number.to_le_bytes());
            }
            Wire::Bytes(bytes) => *bytes = changed(bytes, random),
        },
    }
    written(&all)
}

/// Changes bytes that are no message: text, numbers.
fn scrambled(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 if bytes.len() >= 8 => {
            let at = random.below(bytes.len() / 8) * 8;
            bytes[at..at + 8].copy_from_slice(&random.of(&NASTY).to_le_bytes());
        }
        _ => {
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
        }
    }
    bytes
}

fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    if random.below(5) == 0 {
        return scrambled(bytes, random);
    }
    (0..=random.below(2)).fold(bytes.to_vec(), |bytes, _| changed(&bytes, random))
}

const OPERATORS: &str = "Relu Sigmoid Tanh Softplus Softsign HardSwish Mish LeakyRelu Elu Celu Gelu Selu HardSigmoid Swish \
    ThresholdedRelu Shrink Clip PRelu Add Sub Mul Div Pow Mod Tan Sinh Cosh Asin Acos Atan Asinh Acosh Atanh IsNaN IsInf \
    BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift Max Min Sum Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor Not \
    Where Abs Neg Sign Floor Ceil Round Sqrt Reciprocal Exp Log Sin Cos Erf Attention RotaryEmbedding TensorScatter \
    CausalConvWithState LinearAttention Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool MaxUnpool LpPool \
    GlobalLpPool RoiAlign GridSample LRN Einsum AffineGrid Col2Im NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss MatMul Gemm \
    Transpose Concat Slice Split Gather GatherElements GatherND Scatter ScatterElements ScatterND Tile Pad CenterCropPad \
    DepthToSpace SpaceToDepth Trilu OneHot BatchNormalization InstanceNormalization LayerNormalization GroupNormalization \
    RMSNormalization OptionalGetElement OptionalHasElement Det CumProd QuantizeLinear DequantizeLinear DynamicQuantizeLinear \
    MatMulInteger QLinearMatMul ConvInteger QLinearConv MatMulNBits RNN GRU LSTM ReduceSum ReduceMean ReduceMax ReduceMin \
    ReduceProd ReduceL1 ReduceL2 ReduceLogSumExp ReduceLogSum ReduceSumSquare Mean ArgMax ArgMin TopK CumSum Softmax LogSoftmax \
    Hardmax LpNormalization MeanVarianceNormalization Resize Upsample ReverseSequence Compress NonZero Unique Identity Dropout \
    Constant ConstantOfShape EyeLike Range Cast CastLike Shape Size Reshape Flatten Squeeze Unsqueeze Expand DFT STFT HannWindow \
    HammingWindow BlackmanWindow MelWeightMatrix SequenceEmpty SequenceConstruct SequenceInsert SequenceErase SequenceAt SequenceLength \
    SplitToSequence ConcatFromSequence Optional";

const INTS: &str = "axis keepdims group batch_dims blocksize num_outputs k largest size p ceil_mode count_include_pad \
    storage_order sampling_ratio output_height output_width align_corners to saturate start end allowzero noop_with_empty_axes \
    select_last_index exclusive reverse hidden_size layout transA transB block_size q_num_heads kv_num_heads is_causal \
    qk_matmul_output_mode interleaved rotary_embedding_dim num_heads num_groups stash_type upper dtype onesided inverse periodic \
    output_datatype time_axis batch_axis sorted antialias exclude_outside K N bits fmod training_mode ignore_index value_int \
    linear_before_reset broadcast new_axis";

const LISTS: &str =
    "axes pads strides dilations kernel_shape output_shape output_padding perm split starts ends shape value_ints";

const STRINGS: [(&str, &[&str]); 9] = [
    ("auto_pad", &["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]),
    ("mode", &["nearest", "linear", "cubic", "reflect", "edge", "wrap", "constant", "CRD", "max", "circular"]),
    ("coordinate_transformation_mode", &["align_corners", "asymmetric", "tf_crop_and_resize", "half_pixel_symmetric"]),
    ("direction", &["bidirectional", "reverse", "LEFT"]),
    ("equation", &["ij,jk->ik", "ii->i", "...i,...i->...", "bij,bjk", "i->", "ii,jj->ij", "->", "iij,jk"]),
    ("reduction", &["sum", "none", "add", "mul", "max"]),
    ("keep_aspect_ratio_policy", &["not_larger", "not_smaller"]),
    ("update_rule", &["linear", "gated", "delta", "gated_delta"]),
    ("approximate", &["tanh"]),
];

/// A graph's field that declares a name: an input or an initializer.
struct Given {
    name: String,
    field: u64,
    message: Message,
}

/// Returns inputs for random nodes: some of each rank and type, and some too large for any machine.
fn pool() -> Vec<Given> {
    let sizes: [&[i64]; 14] = [
        &[],
        &[1],
        &[3],
        &[2, 3],
        &[3, 3],
        &[4, 4],
        &[1, 2, 4],
        &[2, 3, 4],
        &[1, 4, 4, 4],
        &[4, 1, 2, 2],
        &[1, 2, 3, 4, 4],
        &[0],
        &[2, 0, 3],
        &[1 << 20, 1 << 19],
    ];
    let mut pool: Vec<Given> = Vec::new();
    let mut add = |field: u64, make: &dyn Fn(&str) -> Message| {
        let name = format!("v{}", pool.len());
        pool.push(Given { message: make(&name), name, field });
    };
    for of in sizes {
        let count = of.iter().product::<i64>() as usize;
        // Most operators take these types.
        for element in [FLOAT, FLOAT, FLOAT, FLOAT, INT64, BOOL, UINT8, INT32] {
            let dims: Vec<Size> = of.iter().map(|&size| Size::Of(size)).collect();
            add(11, &|name| port(name, element, &dims));
        }
        if count <= 1 << 10 {
            let values: Vec<f32> = (0..count).map(|i| i as f32 * 0.5 + 0.5).collect();
            add(5, &|name| floats(name, of, &values));
            add(5, &|name| longs(name, of, &(0..count as i64).collect::<Vec<_>>()));
            add(5, &|name| raw(name, INT8, of, &vec![1; count]));
            add(5, &|name| raw(name, UINT8, of, &vec![2; count]));
        }
    }
    let lists: [&[i64]; 13] = [
        &[-1],
        &[0, 0],
        &[2, 2],
        &[1, 1, 2, 2],
        &[1, 4, 8, 8],
        &[0, 0, 1, 1, 0, 0, 1, 1],
        &[1 << 40],
        &[0, 1 << 40],
        &[1 << 24],
        &[1 << 13, 1 << 12],
        &[i64::MAX, i64::MIN],
        &[-(1 << 40), 1 << 40],
        &[1 << 62, 1 << 62, 4],
    ];
    lists.iter().for_each(|values| add(5, &|name| list(name, values)));
    NASTY.iter().for_each(|&value| add(5, &|name| longs(name, &[], &[value])));
    for value in [f32::NAN, f32::INFINITY, -1.0, 1e-30, 1e30, 1e8] {
        add(5, &|name| floats(name, &[], &[value]));
        add(5, &|name| floats(name, &[4], &[1.0, 1.0, 1.0, value]));
    }
    add(5, &|name| floats(name, &[1 << 40, 0], &[]));
    pool
}

fn attribute(random: &mut Random) -> Message {
    let word = |words: &str, random: &mut Random| {
        let words: Vec<&str> = words.split_whitespace().collect();
        random.of(&words).to_owned()
    };
    let small = [0, 1, 1, 1, 2, 2, 3, 4];
    let number = |random: &mut Random| if random.below(3) == 0 { random.of(&NASTY) } else { random.of(&small) };
    match random.below(8) {
        0..3 => int(&word(INTS, random), number(random)),
        3..6 => {
            let values: Vec<i64> = (0..random.below(7)).map(|_| number(random)).collect();
            ints(&word(LISTS, random), &values)
        }
        6 => {
            let (name, values) = random.of(&STRINGS);
            model::string(name, random.of(values))
        }
        _ => {
            let name = random.of(&[
                "alpha",
                "beta",
                "epsilon",
                "scale",
                "softcap",
                "value",
                "spatial_scale",
                "clip",
                "cubic_coeff_a",
            ]);
            float(name, random.of(&[0.0, 1.0, -1.0, 0.5, f32::NAN, f32::INFINITY, 1e30]))
        }
    }
}

/// Returns a model of a few nodes that read given values and each other's outputs.
fn at_random(pool: &[Given], random: &mut Random) -> Vec<u8> {
    let operators: Vec<&str> = OPERATORS.split_whitespace().collect();
    let (mut model, mut given, mut made) = (Model::default(), BTreeSet::new(), Vec::<String>::new());
    for i in 0..random.of(&[1, 1, 2, 3]) {
        let op = random.of(&operators);
        let mut inputs = Vec::new();
        for _ in 0..random.of(&[1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8]) {
            inputs.push(match random.below(12) {
                0 => String::new(),
                1..5 if !made.is_empty() => random.of(&made),
                _ => {
                    let at = random.below(pool.len());
                    given.insert(at);
                    pool[at].name.clone()
                }
            });
        }
        let attributes: Vec<Message> = (0..random.of(&[0, 0, 0, 1, 1, 3])).map(|_| attribute(random)).collect();
        let outputs: Vec<String> = (0..random.of(&[1, 1, 1, 1, 2, 3])).map(|j| format!("n{i}.{j}")).collect();
        let domain = if op == "MatMulNBits" { "com.microsoft" } else { "" };
        model = model.with(1, &model::node_of(domain, op, &inputs, &outputs, &attributes));
        made.extend(outputs);
    }
    model = given.iter().fold(model, |model, &at| model.with(pool[at].field, &pool[at].message));
    model = made.iter().fold(model, |model, name| model.output(name));
    model.opset("", random.of(&[6, 9, 10, 11, 13, 17, 21, 24])).opset("com.microsoft", 1).bytes()
}

/// Most random inputs don't fit their operator, so few models get far: many are made.
#[test]
fn nodes_at_random_are_refused_or_planned() {
    let (pool, mut random) = (pool(), Random(1));
    let count = 6000;
    let plans = (0..count).filter(|i| planned(&at_random(&pool, &mut random), &format!("model {i}"))).count();
    assert!(plans > count / 100, "{plans} of {count} are plans");
}

/// Collects the models of a folder and its subfolders.
fn files(folder: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("it can be listed").path()) {
        // PyTorch's exports keep their weights in other files: see `exports`.
        if path.is_dir() && !path.ends_with("exports") {
            files(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            all.push((path.display().to_string(), std::fs::read(&path).expect("it can be read")));
        }
    }
    all.sort();
}

/// Returns networks that together contain most of the exporters' features.
fn models() -> Vec<(String, Vec<u8>)> {
    let value = |i: usize| (i % 7) as f32 * 0.1 - 0.3;
    let weight = |name: &str, dims: &[i64]| {
        floats(name, dims, &(0..dims.iter().product::<i64>() as usize).map(value).collect::<Vec<_>>())
    };
    let convolutional = Model::new(13)
        .input("x", &[1, 4, 8, 8])
        .initialiser(&weight("w", &[8, 2, 3, 3]))
        .initialiser(&weight("b", &[8]))
        .node(
            "Conv",
            &["x", "w", "b"],
            &["a"],
            &[int("group", 2), ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])],
        )
        .node("BatchNormalization", &["a", "b", "b", "b", "b"], &["c"], &[float("epsilon", 1e-3)])
        .node("Relu", &["c"], &["d"], &[])
        .node(
            "MaxPool",
            &["d"],
            &["e"],
            &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2]), int("ceil_mode", 1)],
        )
        .node("AveragePool", &["d"], &["f"], &[ints("kernel_shape", &[2, 2]), model::string("auto_pad", "SAME_UPPER")])
        .node("GlobalAveragePool", &["e"], &["g"], &[])
        .node("Flatten", &["g"], &["h"], &[int("axis", 1)])
        .initialiser(&weight("v", &[5, 8]))
        .node("Gemm", &["h", "v"], &["y"], &[int("transB", 1), float("alpha", 0.5)])
        .initialiser(&weight("t", &[8, 2, 2, 2]))
        .node("ConvTranspose", &["f", "t"], &["z"], &[ints("strides", &[2, 2]), ints("output_padding", &[1, 1])])
        .output("y")
        .output("z");
    let attention = Model::new(17)
        .input("x", &[2, 6, 8])
        .initialiser(&weight("w", &[8, 8]))
        .initialiser(&weight("s", &[8]))
        .node("LayerNormalization", &["x", "s", "s"], &["n"], &[int("axis", -1)])
        .node("MatMul", &["n", "w"], &["q"], &[])
        .initialiser(&list("heads", &[0, 0, 2, 4]))
        .node("Reshape", &["q", "heads"], &["r"], &[])
        .node("Transpose", &["r"], &["qh"], &[ints("perm", &[0, 2, 1, 3])])
        .node("Transpose", &["r"], &["kt"], &[ints("perm", &[0, 2, 3, 1])])
        .node("MatMul", &["qh", "kt"], &["scores"], &[])
        .initialiser(&floats("root", &[], &[2.0]))
        .node("Div", &["scores", "root"], &["scaled"], &[])
        .node("Softmax", &["scaled"], &["p"], &[int("axis", -1)])
        .node("MatMul", &["p", "qh"], &["o"], &[])
        .node("Transpose", &["o"], &["ot"], &[ints("perm", &[0, 2, 1, 3])])
        .node("Shape", &["x"], &["shape"], &[])
        .node("Reshape", &["ot", "shape"], &["y"], &[])
        .node("Einsum", &["x", "w"], &["e"], &[model::string("equation", "bij,jk->bik")])
        .output("y")
        .output("e");
    let shapes = Model::new(13)
        .port("x", FLOAT, &[Size::Named("n"), Size::Of(3), Size::Of(4)])
        .node("Shape", &["x"], &["s"], &[])
        .initialiser(&list("one", &[1]))
        .initialiser(&list("two", &[2]))
        .node("Gather", &["s", "one"], &["g"], &[int("axis", 0)])
        .node("Mul", &["g", "two"], &["d"], &[])
        .node("Concat", &["d", "two"], &["c"], &[int("axis", 0)])
        .node("Reshape", &["x", "c"], &["r"], &[])
        .node("ConstantOfShape", &["c"], &["k"], &[tensor("value", &floats("", &[1], &[3.0]))])
        .node("Add", &["r", "k"], &["a"], &[])
        .node("Unsqueeze", &["a", "one"], &["u"], &[])
        .node("Squeeze", &["u", "one"], &["q"], &[])
        .node("Slice", &["q", "one", "two", "one"], &["l"], &[])
        .initialiser(&list("pads", &[1, 0, 1, 2]))
        .node("Pad", &["q", "pads"], &["p"], &[model::string("mode", "reflect")])
        .node("Tile", &["q", "c"], &["t"], &[])
        .node("Expand", &["q", "s"], &["never"], &[])
        .initialiser(&longs("zero", &[], &[0]))
        .initialiser(&longs("unit", &[], &[1]))
        .initialiser(&longs("ten", &[], &[10]))
        .node("Range", &["zero", "ten", "unit"], &["range"], &[])
        .node("Cast", &["range"], &["numbers"], &[int("to", FLOAT)])
        .node("Split", &["numbers"], &["first", "second"], &[int("axis", 0)])
        .node("ReduceSum", &["first", "one_axis"], &["sum"], &[int("keepdims", 0)])
        .initialiser(&list("one_axis", &[0]));
    let shapes = ["l", "p", "t", "second", "sum"].into_iter().fold(shapes, Model::output);
    let pictures = Model::new(13)
        .input("x", &[1, 4, 4, 4])
        .node("DepthToSpace", &["x"], &["d"], &[int("blocksize", 2), model::string("mode", "CRD")])
        .node("SpaceToDepth", &["d"], &["s"], &[int("blocksize", 4)])
        .initialiser(&floats("scales", &[4], &[1.0, 1.0, 1.5, 2.0]))
        .node("Resize", &["x", "", "scales"], &["r"], &[model::string("mode", "linear")])
        .initialiser(&list("sizes", &[1, 4, 7, 3]))
        .node(
            "Resize",
            &["x", "", "", "sizes"],
            &["c"],
            &[model::string("mode", "cubic"), float("cubic_coeff_a", -0.5)],
        )
        .node("LRN", &["r"], &["l"], &[int("size", 3)])
        .node("InstanceNormalization", &["l", "w", "w"], &["i"], &[])
        .initialiser(&weight("w", &[4]))
        .node("PRelu", &["i", "slope"], &["p"], &[])
        .initialiser(&weight("slope", &[4, 1, 1]))
        .initialiser(&list("k", &[3]))
        .node("TopK", &["p", "k"], &["values", "places"], &[int("axis", 2)])
        .node("ArgMax", &["p"], &["most"], &[int("axis", 1)]);
    let pictures = ["s", "c", "values", "places", "most"].into_iter().fold(pictures, Model::output);
    let recurrent = Model::new(14)
        .input("x", &[3, 2, 4])
        .initialiser(&weight("w", &[2, 12, 4]))
        .initialiser(&weight("r", &[2, 12, 3]))
        .initialiser(&weight("b", &[2, 24]))
        .node(
            "LSTM",
            &["x", "w", "r", "b"],
            &["y", "h"],
            &[int("hidden_size", 3), model::string("direction", "bidirectional")],
        )
        .initialiser(&weight("gw", &[1, 9, 4]))
        .initialiser(&weight("gr", &[1, 9, 3]))
        .node("GRU", &["x", "gw", "gr"], &["z"], &[int("hidden_size", 3), int("linear_before_reset", 1)])
        .output("y")
        .output("h")
        .output("z");
    let quantised = Model::new(21)
        .input("x", &[2, 8])
        .initialiser(&floats("s", &[], &[0.1]))
        .initialiser(&raw("z", UINT8, &[], &[3]))
        .node("QuantizeLinear", &["x", "s", "z"], &["q"], &[])
        .node("DequantizeLinear", &["q", "s", "z"], &["d"], &[])
        .initialiser(&raw("w", INT8, &[8, 4], &[7; 32]))
        .initialiser(&floats("ws", &[4], &[0.1, 0.2, 0.3, 0.4]))
        .node("DequantizeLinear", &["w", "ws"], &["dw"], &[int("axis", 1)])
        .node("MatMul", &["d", "dw"], &["y"], &[])
        .node("MatMulInteger", &["q", "w", "z"], &["m"], &[])
        .initialiser(&floats("bs", &[2, 4], &[0.1; 8]))
        .node("DequantizeLinear", &["w", "bs"], &["bw"], &[int("axis", 0), int("block_size", 4)])
        .node("MatMul", &["d", "bw"], &["v"], &[])
        .output("y")
        .output("m")
        .output("v");
    let selected = Model::new(18)
        .input("x", &[3, 5])
        .typed("i", INT64, &[3, 1])
        .node("GatherElements", &["x", "i"], &["g"], &[int("axis", 1)])
        .node("ScatterElements", &["x", "i", "g"], &["s"], &[int("axis", 1), model::string("reduction", "add")])
        .node("Trilu", &["s"], &["t"], &[int("upper", 0)])
        .node("CumSum", &["t", "axis"], &["c"], &[int("reverse", 1)])
        .initialiser(&longs("axis", &[], &[1]))
        .node("Clip", &["c", "lo"], &["l"], &[])
        .initialiser(&floats("lo", &[], &[-0.5]))
        .node("Greater", &["l", "lo"], &["more"], &[])
        .node("Where", &["more", "l", "lo"], &["y"], &[])
        .node("OneHot", &["i", "depth", "onoff"], &["h"], &[int("axis", 1)])
        .initialiser(&longs("depth", &[], &[4]))
        .initialiser(&floats("onoff", &[2], &[0.0, 1.0]))
        .output("y")
        .output("h");
    let old = Model::new(6)
        .input("x", &[1, 3, 4, 4])
        .initialiser(&weight("b", &[3]))
        .node("Add", &["x", "b"], &["a"], &[int("broadcast", 1), int("axis", 1)])
        .node("Clip", &["a"], &["c"], &[float("min", 0.0), float("max", 6.0)])
        .node("Pad", &["c"], &["p"], &[ints("pads", &[0, 0, 1, 1, 0, 0, 2, 2]), model::string("mode", "edge")])
        .node("Reshape", &["p", "s"], &["r"], &[])
        .initialiser(&list("s", &[1, -1]))
        .node("Softmax", &["r"], &["y"], &[int("axis", 1)])
        .output("y");
    let signal = Model::new(17)
        .input("x", &[1, 32, 1])
        .initialiser(&longs("step", &[], &[8]))
        .initialiser(&longs("length", &[], &[16]))
        .node("HannWindow", &["length"], &["w"], &[])
        .node("STFT", &["x", "step", "w", "length"], &["y"], &[int("onesided", 1)])
        .node("DFT", &["x"], &["z"], &[int("axis", 1)])
        .output("y")
        .output("z");
    let add = [model::node_of("local", "Scaled", &["s"], &["t"], &[float("by", 0.5)])];
    let add = model::subgraph("body", &model::body_of([&["i", "c", "s"], &["c", "t", "t"]], &add));
    let scaled = [
        model::node_of("", "LeakyRelu", &["a"], &["b"], &[model::reference("alpha", 1, "by")]),
        model::node_of("", "Add", &["b", "b"], &["d"], &[]),
    ];
    let double = model::node_of("", "Add", &["a", "a"], &["b"], &[]);
    let double = model::subgraph("body", &model::body_of([&["a"], &["b"]], std::slice::from_ref(&double)));
    let scan = model::node_of("", "Add", &["a", "b"], &["d"], &[]);
    let scan = model::subgraph("body", &model::body_of([&["a", "b"], &["d", "d"]], std::slice::from_ref(&scan)));
    let branch = |name: &str, of: &str| model::subgraph(name, &model::body_of([&[], &[of]], &[]));
    let bodies = Model::new(17)
        .opset("local", 1)
        .function(&model::function_of("Scaled", [&["a"], &["d"]], &["by"], &[], &scaled))
        .input("x", &[2, 4])
        .initialiser(&longs("three", &[], &[3]))
        .initialiser(&longs("zero", &[], &[0]))
        .initialiser(&raw("no", BOOL, &[], &[0]))
        .node("Loop", &["three", "", "x"], &["l", "all"], &[add])
        .node("If", &["no"], &["i"], &[branch("then_branch", "x"), branch("else_branch", "l")])
        .node("SplitToSequence", &["i"], &["q"], &[int("axis", 1)])
        .node("SequenceInsert", &["q", "i", "zero"], &["r"], &[])
        .node("SequenceErase", &["r", "zero"], &["e"], &[])
        .node("SequenceMap", &["e"], &["m"], &[double])
        .node("SequenceAt", &["m", "zero"], &["at"], &[])
        .node("ConcatFromSequence", &["m"], &["y"], &[int("axis", 1)])
        .node("Scan", &["at", "y"], &["s", "z"], &[scan, int("num_scan_inputs", 1), ints("scan_input_axes", &[1])])
        .output("all")
        .output("y");
    let named = [
        ("bodies", bodies),
        ("convolutional", convolutional),
        ("attention", attention),
        ("shapes", shapes),
        ("pictures", pictures),
        ("recurrent", recurrent),
        ("quantised", quantised),
        ("selected", selected),
        ("old", old),
        ("signal", signal),
    ];
    let mut all: Vec<_> = named.into_iter().map(|(name, model)| (name.to_owned(), model.bytes())).collect();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx"), &mut all);
    all
}

#[test]
fn mutated_files_are_refused_or_planned() {
    let mut random = Random(2);
    let (mut plans, mut count) = (0, 0);
    for (name, bytes) in models() {
        assert!(planned(&bytes, &name), "{name} is whole");
        let mutants = (0..300).map(|_| mutated(&bytes, &mut random));
        let cuts = (0..60).map(|i| bytes[..bytes.len() * i / 60].to_vec());
        for (i, mutant) in mutants.chain(cuts).enumerate() {
            plans += usize::from(planned(&mutant, &format!("{name}, mutant {i}")));
            count += 1;
        }
    }
    // If all files got plans, nothing would be tested; if none did, no file would get far.
    assert!((count / 20..count / 10 * 9).contains(&plans), "{plans} of {count} are plans");
}

/// Plans a network with these sizes, which the exports leave open.
fn sized(onnx: &Onnx, sizes: &[(&str, usize)]) -> shadernet::Result<Plan> {
    let bindings = sizes.iter().fold(Bindings::new(), |bindings, &(name, size)| bindings.size(name, size));
    Plan::new(&onnx.graph(&bindings)?.fused(), 1, &Caps::portable())
}

/// PyTorch's exports, with files of zeros as weights.
#[test]
fn mutated_exports_are_refused_or_planned() {
    let folder = std::env::temp_dir().join(format!("shadernet-mutation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let weights = std::fs::File::create(folder.join("weights.bin")).expect("it can be made");
    weights.set_len(1 << 30).expect("zeros take no room");
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/exports");
    let mut random = Random(3);
    let mut plans = 0;
    let (sequence, image) = (&[("sequence", 10)][..], &[("height", 24), ("width", 20)][..]);
    for (name, sizes) in [
        ("bert-script-11", sequence),
        ("gpt-dynamo-18", sequence),
        ("super_resolution-script-9", image),
        ("vit-dynamo-18", &[]),
        ("vit-script-14", &[]),
    ] {
        let bytes = std::fs::read(exports.join(format!("{name}.onnx"))).expect("it is there");
        for i in 0..60 {
            let mutant = if i == 0 { bytes.clone() } else { mutated(&bytes, &mut random) };
            let path = folder.join("mutant.onnx");
            std::fs::write(&path, mutant).expect("it can be written");
            let planned = bounded(|| catch_unwind(|| Onnx::open(&path).and_then(|onnx| sized(&onnx, sizes)).is_ok()));
            let planned = planned.unwrap_or_else(|_| panic!("{name}, mutant {i}: it panicked"));
            assert!(planned || i > 0, "{name} is whole");
            plans += usize::from(planned);
        }
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
    assert!((20..290).contains(&plans), "{plans} mutants were planned");
}
