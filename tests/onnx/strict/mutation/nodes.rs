//! Models of random nodes, which read inputs of every rank and type.

use super::{NASTY, Random, planned};
use crate::model::{
    self, BOOL, FLOAT, INT8, INT32, INT64, Message, Model, Size, UINT8, float, floats, int, ints, list, longs, port,
    raw,
};
use std::collections::BTreeSet;

const OPERATORS: &str = "Relu Sigmoid Tanh Softplus Softsign HardSwish Mish LeakyRelu Elu Celu Gelu Selu HardSigmoid Swish \
    ThresholdedRelu Shrink Clip PRelu Add Sub Mul Div Pow Mod Tan Sinh Cosh Asin Acos Atan Asinh Acosh Atanh IsNaN IsInf \
    BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift Max Min Sum Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor Not \
    Where Abs Neg Sign Floor Ceil Round Sqrt Reciprocal Exp Log Sin Cos Erf Attention RotaryEmbedding TensorScatter \
    CausalConvWithState LinearAttention Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool MaxUnpool LpPool \
    GlobalLpPool RoiAlign GridSample LRN Einsum AffineGrid Col2Im NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss MatMul Gemm \
    Transpose Concat Slice Split Gather GatherElements GatherND Scatter ScatterElements ScatterND Tile Pad CenterCropPad \
    DepthToSpace SpaceToDepth Trilu OneHot BatchNormalization InstanceNormalization LayerNormalization GroupNormalization \
    RMSNormalization OptionalGetElement OptionalHasElement Det CumProd QuantizeLinear DequantizeLinear DynamicQuantizeLinear \
    MatMulInteger QLinearMatMul ConvInteger QLinearConv SimplifiedLayerNormalization RNN GRU LSTM ReduceSum ReduceMean ReduceMax ReduceMin \
    ReduceProd ReduceL1 ReduceL2 ReduceLogSumExp ReduceLogSum ReduceSumSquare Mean ArgMax ArgMin TopK CumSum Softmax LogSoftmax \
    Hardmax LpNormalization MeanVarianceNormalization Resize Upsample ReverseSequence Compress NonZero Unique Identity Dropout \
    Constant ConstantOfShape EyeLike Range Cast CastLike Shape Size Reshape Flatten Squeeze Unsqueeze Expand DFT STFT HannWindow \
    HammingWindow BlackmanWindow MelWeightMatrix SequenceEmpty SequenceConstruct SequenceInsert SequenceErase SequenceAt SequenceLength \
    SplitToSequence ConcatFromSequence Optional NonMaxSuppression TfIdfVectorizer";

/// Operators of other domains.
const ADDED: [(&str, &str); 3] = [
    ("ai.onnx.preview.training", "Adagrad Adam Momentum"),
    (
        "com.microsoft",
        "MatMulNBits DynamicQuantizeLSTM FusedConv FusedGemm FusedMatMul BiasGelu FastGelu Gelu QuickGelu SkipLayerNormalization \
        SkipSimplifiedLayerNormalization EmbedLayerNormalization Attention MultiHeadAttention GroupQueryAttention \
        RotaryEmbedding QLinearAdd QLinearMul QLinearConcat QLinearGlobalAveragePool QLinearAveragePool QLinearSoftmax \
        QLinearSigmoid QLinearLeakyRelu QGemm",
    ),
    ("ai.onnx.ml", "Scaler Normalizer Binarizer ArrayFeatureExtractor LinearRegressor LinearClassifier"),
];

const INTS: &str = "axis keepdims group batch_dims blocksize num_outputs k largest size p ceil_mode count_include_pad \
    storage_order sampling_ratio output_height output_width align_corners to saturate start end allowzero noop_with_empty_axes \
    select_last_index exclusive reverse hidden_size layout transA transB block_size q_num_heads kv_num_heads is_causal \
    qk_matmul_output_mode interleaved rotary_embedding_dim num_heads num_groups stash_type upper dtype onesided inverse periodic \
    output_datatype time_axis batch_axis sorted antialias exclude_outside K N bits fmod training_mode ignore_index value_int \
    linear_before_reset input_forget broadcast new_axis unidirectional kv_num_heads local_window_size do_rotary transBatchA transBatchB \
    channels_last opset targets min_gram_length max_gram_length max_skip_count center_point_box";

const LISTS: &str = "axes pads strides dilations kernel_shape output_shape output_padding perm split starts ends shape value_ints \
    qkv_hidden_sizes classlabels_ints pool_int64s ngram_counts ngram_indexes";

const FLOATS: &str = "activation_params coefficients intercepts offset scale";

const STRINGS: [(&str, &[&str]); 12] = [
    ("auto_pad", &["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]),
    ("mode", &["nearest", "linear", "cubic", "reflect", "edge", "wrap", "constant", "CRD", "max", "circular"]),
    ("coordinate_transformation_mode", &["align_corners", "asymmetric", "tf_crop_and_resize", "half_pixel_symmetric"]),
    ("direction", &["bidirectional", "reverse", "LEFT"]),
    ("equation", &["ij,jk->ik", "ii->i", "...i,...i->...", "bij,bjk", "i->", "ii,jj->ij", "->", "iij,jk"]),
    ("reduction", &["sum", "none", "add", "mul", "max"]),
    ("keep_aspect_ratio_policy", &["not_larger", "not_smaller"]),
    ("update_rule", &["linear", "gated", "delta", "gated_delta"]),
    ("approximate", &["tanh"]),
    ("activation", &["Relu", "Tanh", "LeakyRelu", "Clip", "HardSigmoid"]),
    ("norm", &["MAX", "L1", "L2"]),
    ("post_transform", &["NONE", "SOFTMAX", "LOGISTIC"]),
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
    match random.below(9) {
        0..3 => int(&word(INTS, random), number(random)),
        3..6 => {
            let values: Vec<i64> = (0..random.below(7)).map(|_| number(random)).collect();
            ints(&word(LISTS, random), &values)
        }
        6 => {
            let (name, values) = random.of(&STRINGS);
            model::string(name, random.of(values))
        }
        7 => {
            let values: Vec<f32> = (0..random.below(5)).map(|_| random.of(&[0.0, 1.0, -0.5, f32::NAN, 1e30])).collect();
            model::float_list(&word(FLOATS, random), &values)
        }
        _ => {
            let name = random.of(&[
                "activation_alpha",
                "mask_filter_value",
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
    let added = ADDED.iter().flat_map(|(domain, operators)| operators.split_whitespace().map(move |op| (*domain, op)));
    let operators: Vec<(&str, &str)> = OPERATORS.split_whitespace().map(|op| ("", op)).chain(added).collect();
    let (mut model, mut given, mut made) = (Model::default(), BTreeSet::new(), Vec::<String>::new());
    for i in 0..random.of(&[1, 1, 2, 3]) {
        let (domain, op) = random.of(&operators);
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
        model = model.with(1, &model::node_of(domain, op, &inputs, &outputs, &attributes));
        made.extend(outputs);
    }
    model = given.iter().fold(model, |model, &at| model.with(pool[at].field, &pool[at].message));
    model = made.iter().fold(model, |model, name| model.output(name));
    model
        .opset("", random.of(&[6, 9, 10, 11, 13, 17, 21, 24]))
        .opset("com.microsoft", 1)
        .opset("ai.onnx.ml", 3)
        .opset("ai.onnx.preview.training", 1)
        .bytes()
}

/// Most random inputs don't fit their operator, so few models get far: many are made.
#[test]
fn nodes_at_random_are_refused_or_planned() {
    let (pool, mut random) = (pool(), Random(1));
    let count = 7000;
    let plans = (0..count).filter(|i| planned(&at_random(&pool, &mut random), &format!("model {i}"))).count();
    assert!(plans > count / 100, "{plans} of {count} are plans");
}
