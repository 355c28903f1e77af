"""Single operators that ONNX Runtime adds or that come from ai.onnx.ml, and what ONNX Runtime computes.

    pip install numpy onnx onnxruntime safetensors
    python tests/onnx/operators.py

Writes `operators.safetensors`. For each case it holds `CASE/model`, the bytes of a model of one node, `CASE/in/NAME` for each input
and `CASE/out/NAME` for each output. Integers and booleans are stored as int32. `operators.rs` runs the models.

Each attribute of a case makes a difference: without it, ONNX Runtime refuses the model or computes something else. This script
checks it, except for the attributes in IDLE.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

HERE = Path(__file__).parent
MICROSOFT, ML = "com.microsoft", "ai.onnx.ml"
# Attributes that only say what is there anyway.
IDLE = {"kernel_shape", "mask_index_type", "multi_class", "group", "qkv_hidden_sizes", "opset", "kv_num_heads"}

onnxruntime.set_default_logger_severity(4)
tensors = {}


class Weight(np.ndarray):
    """An array that the model holds."""


def weight(x):
    return np.asarray(x).view(Weight)


# An output that the node has but the model has not: parts of it are unspecified.
INNER = "inner"


def model_of(op, domain, inputs, outputs, attributes):
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    ports = [(name, x) for name, x in zip(names, inputs) if x is not None]
    given = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in ports if not isinstance(x, Weight)]
    held = [numpy_helper.from_array(np.asarray(x), n) for n, x in ports if isinstance(x, Weight)]
    results = [f"y{i}" if there else "" for i, there in enumerate(outputs)]
    shown = [name for name, there in zip(results, outputs) if there is True]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    graph = helper.make_graph([node], "case", given, [helper.make_empty_tensor_value_info(n) for n in shown], held)
    sets = [helper.make_opsetid(*of) for of in (("", 17), (MICROSOFT, 1), (ML, 3))]
    return helper.make_model(graph, opset_imports=sets, ir_version=8), dict(p for p in ports if not isinstance(p[1], Weight)), shown


def computed(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds), [output.type for output in session.get_outputs()]


def case(name, op, inputs, outputs=(True,), domain=MICROSOFT, **attributes):
    model, feeds, names = model_of(op, domain, inputs, outputs, attributes)
    results, types = computed(model, feeds)
    for attribute in attributes.keys() - IDLE:
        other, *_ = model_of(op, domain, inputs, outputs, {k: v for k, v in attributes.items() if k != attribute})
        try:
            same = all(a.shape == b.shape and np.array_equal(a, b) for a, b in zip(computed(other, feeds)[0], results))
        except Exception:
            same = False
        assert not same, f"{name}: {attribute} makes no difference"
    # Outputs need a type, which ONNX Runtime infers.
    elements = {"float": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "int32": TensorProto.INT32, "int64": TensorProto.INT64}
    del model.graph.output[:]
    for output, kind, result in zip(names, types, results):
        model.graph.output.append(helper.make_tensor_value_info(output, elements[kind[7:-1]], result.shape))
    onnx.checker.check_model(model) if domain == ML else None
    stored = lambda x: np.ascontiguousarray(x if x.dtype == np.float32 else x.astype(np.int32))
    name = f"{op}_{name}" if name else op
    assert f"{name}/model" not in tensors, name
    tensors[f"{name}/model"] = np.frombuffer(model.SerializeToString(), np.uint8)
    tensors.update({f"{name}/in/{n}": stored(x) for n, x in feeds.items()})
    tensors.update({f"{name}/out/{n}": stored(x) for n, x in zip(names, results)})


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def integers(low, high, *shape, dtype=np.int32):
    return RANDOM.integers(low, high, shape, endpoint=True).astype(dtype)


def fused():
    x, w, b = normal(2, 4, 6, 5), weight(normal(6, 2, 3, 2)), weight(normal(6))
    window = {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2], "kernel_shape": [3, 2]}
    activations = {"Relu": [], "Tanh": [], "Sigmoid": [], "HardSwish": [], "LeakyRelu": [0.3], "Clip": [-0.5, 0.75], "HardSigmoid": [0.3, 0.4]}
    for activation, numbers in activations.items():
        parameters = {"activation_params": numbers} if numbers else {}
        case(activation, "FusedConv", [x, w, b], activation=activation, **parameters, **window)
    case("sum", "FusedConv", [x, w, b, normal(2, 6, 4, 4)], activation="Relu", **window)
    case("sum_without_bias", "FusedConv", [x, w, None, normal(2, 6, 4, 4)], activation="LeakyRelu", activation_params=[0.2], **window)
    case("plain", "FusedConv", [x, w], auto_pad="SAME_UPPER", group=2, strides=[2, 2])
    case("line", "FusedConv", [normal(1, 3, 9), weight(normal(2, 3, 4)), None, normal(1, 2, 6)], activation="Tanh")

    a, c = normal(3, 5), weight(normal(4))
    for activation, numbers in {"Relu": [], "Sigmoid": [], "Tanh": [], "Softplus": [], "Softsign": [], "LeakyRelu": [0.3], "Elu": [0.6], "ThresholdedRelu": [0.7], "HardSigmoid": [0.3, 0.4]}.items():
        parameters = dict(zip(("activation_alpha", "activation_beta"), numbers))
        case(activation, "FusedGemm", [a, weight(normal(5, 4)), c], activation=activation, **parameters)
    case("transposed", "FusedGemm", [normal(5, 3), weight(normal(4, 5)), weight(normal(3, 1))], activation="Relu", transA=1, transB=1, alpha=0.5, beta=2.0)
    case("inputs", "FusedGemm", [a, normal(4, 5), normal(3, 4)], activation="LeakyRelu", activation_alpha=0.1, transB=1, alpha=0.25)

    case("scaled", "FusedMatMul", [normal(2, 3, 4, 5), normal(2, 3, 5, 6)], alpha=0.125)
    case("transposed", "FusedMatMul", [normal(2, 3, 5, 4), normal(2, 3, 6, 5)], alpha=-1.5, transA=1, transB=1)
    case("batch_a", "FusedMatMul", [normal(4, 2, 3, 5), normal(2, 3, 5, 6)], transBatchA=1)
    case("batch_b", "FusedMatMul", [normal(2, 3, 4, 5), normal(5, 2, 3, 6)], transBatchB=1)
    case("batch_all", "FusedMatMul", [normal(5, 2, 3, 4), normal(6, 2, 3, 5)], transBatchA=1, transBatchB=1, transA=1, transB=1, alpha=0.3)
    case("weight", "FusedMatMul", [normal(2, 3, 5), weight(normal(6, 5))], transB=1, alpha=2.0)
    case("weight_transposed", "FusedMatMul", [normal(2, 5, 3), weight(normal(5, 6))], transA=1)
    case("vector", "FusedMatMul", [normal(5), normal(2, 5, 6)], alpha=0.5)

    x = 2 * normal(2, 3, 8)
    case("", "BiasGelu", [x, weight(normal(8))])
    case("of_two_inputs", "BiasGelu", [x, normal(8)])
    case("", "FastGelu", [x])
    case("bias", "FastGelu", [x, weight(normal(8))])
    case("", "QuickGelu", [x])
    case("alpha", "QuickGelu", [x], alpha=0.7)
    case("one", "QuickGelu", [x], alpha=1.0)
    case("", "Gelu", [x])


def norms():
    x, gamma, beta, bias = normal(2, 3, 8), weight(normal(8)), weight(normal(8)), weight(normal(8))
    outputs = (True, False, False, True)
    case("", "SkipLayerNormalization", [x, normal(2, 3, 8), gamma])
    case("beta", "SkipLayerNormalization", [x, normal(2, 3, 8), gamma, beta], outputs, epsilon=0.1)
    case("bias", "SkipLayerNormalization", [x, normal(2, 3, 8), gamma, beta, bias], outputs, epsilon=0.01)
    case("bias_only", "SkipLayerNormalization", [x, normal(2, 3, 8), gamma, None, bias], outputs)
    case("one_batch", "SkipLayerNormalization", [x, normal(1, 3, 8), gamma, beta], outputs)
    case("no_batch", "SkipLayerNormalization", [x, weight(normal(3, 8)), gamma, beta], outputs)
    case("of_inputs", "SkipLayerNormalization", [x, normal(2, 3, 8), normal(8), normal(8)])
    case("", "SkipSimplifiedLayerNormalization", [x, normal(2, 3, 8), gamma], epsilon=0.1)
    case("bias", "SkipSimplifiedLayerNormalization", [x, normal(2, 3, 8), gamma, bias], outputs, epsilon=0.01)
    case("of_inputs", "SkipSimplifiedLayerNormalization", [x, normal(2, 3, 8), normal(8)], outputs)
    case("", "SimplifiedLayerNormalization", [x, gamma], domain="", epsilon=0.1)
    case("axis", "SimplifiedLayerNormalization", [x, weight(normal(3, 8))], domain="", axis=1)

    words, places, segments = weight(normal(11, 8)), weight(normal(6, 8)), weight(normal(2, 8))
    ids, kinds = integers(0, 10, 2, 5), integers(0, 1, 2, 5)
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0]], np.int32)
    case("", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta], (True, True), epsilon=0.1)
    case("mask", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta, mask], (True, True))
    case("sum", "EmbedLayerNormalization", [ids, None, words, places, None, gamma, beta], (True, True, True), epsilon=0.01)
    positions = integers(0, 5, 2, 5)
    case("positions", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta, mask, positions], (True, True, True), mask_index_type=1)
    case("one_row_of_positions", "EmbedLayerNormalization", [ids, None, words, places, None, gamma, beta, None, positions[:1]], (True, True, True))


def attention():
    b, s, h, heads, d = 2, 4, 12, 3, 4
    x, w, bias = normal(b, s, h), weight(normal(h, 3 * h) / 3), weight(normal(3 * h))
    rows = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.int32)
    three = integers(0, 1, b, s, s)
    case("", "Attention", [x, w, bias], num_heads=heads)
    case("two_heads", "Attention", [x, w, bias], num_heads=2)
    case("without_bias", "Attention", [x, w], num_heads=heads, scale=0.3)
    case("causal", "Attention", [x, w, bias], num_heads=heads, unidirectional=1)
    case("present", "Attention", [x, w, bias], (True, True), num_heads=heads)
    case("mask", "Attention", [x, w, bias, rows], num_heads=heads)
    case("mask_filter", "Attention", [x, w, bias, rows], num_heads=heads, mask_filter_value=-1.5)
    case("mask_causal", "Attention", [x, w, bias, rows], num_heads=heads, unidirectional=1)
    case("mask_hides_all", "Attention", [x, w, bias, 0 * rows], num_heads=heads)
    case("mask_of_queries", "Attention", [x, w, bias, three], num_heads=heads, mask_filter_value=-3.0)
    case("mask_of_ends", "Attention", [x, w, bias, np.array([3, 2], np.int32)], num_heads=heads)
    case("mask_of_ends_and_starts", "Attention", [x, w, bias, np.array([4, 3, 1, 0], np.int32)], num_heads=heads, mask_filter_value=-2.0)
    case("bias_of_scores", "Attention", [x, w, bias, None, None, normal(1, heads, s, s)], num_heads=heads)
    case("bias_of_scores_and_mask", "Attention", [x, w, bias, rows, None, normal(b, 1, s, s)], num_heads=heads)
    past = normal(2, b, heads, 5, d)
    whole = integers(0, 1, b, 5 + s)
    case("past", "Attention", [x, w, bias, None, past], (True, True), num_heads=heads)
    case("past_causal", "Attention", [x, w, bias, whole, past], (True, True), num_heads=heads, unidirectional=1)
    case("past_mask_filter", "Attention", [x, w, bias, whole, past], (True, True), num_heads=heads, mask_filter_value=-1.0)
    case("value_size", "Attention", [x, weight(normal(h, 12 + 12 + 6)), weight(normal(30))], num_heads=heads, qkv_hidden_sizes=[12, 12, 6])
    case("of_inputs", "Attention", [x, normal(h, 3 * h) / 3, normal(3 * h)], num_heads=heads, unidirectional=1)

    q, k, v = normal(b, s, h), normal(b, 6, h), normal(b, 6, h)
    op = "MultiHeadAttention"
    case("", op, [q, k, v], num_heads=heads)
    case("scale", op, [q, k, v], num_heads=heads, scale=0.2)
    case("bias", op, [q, k, v, bias], num_heads=heads)
    case("value_size", op, [q, k, normal(b, 6, 6), weight(normal(30))], num_heads=heads)
    case("mask_of_lengths", op, [q, k, v, None, np.array([5, 2], np.int32)], num_heads=heads)
    case("mask", op, [q, k, v, bias, integers(0, 1, b, 6)], num_heads=heads, mask_filter_value=-2.5)
    case("mask_of_queries", op, [q, k, v, None, integers(0, 1, b, s, 6)], num_heads=heads)
    case("bias_of_scores", op, [q, k, v, None, None, normal(b, heads, s, 6)], num_heads=heads)
    case("bias_of_scores_and_mask", op, [q, k, v, None, integers(0, 1, b, 6), normal(1, 1, s, 6)], num_heads=heads)
    case("causal", op, [q, normal(b, s, h), normal(b, s, h)], num_heads=heads, unidirectional=1)
    case("heads_in_front", op, [q, normal(b, heads, 6, d), normal(b, heads, 6, d)], num_heads=heads)
    case("heads_in_front_bias", op, [q, normal(b, heads, 6, d), normal(b, heads, 6, d), bias], num_heads=heads)
    k, v, past = normal(b, s, h), normal(b, s, h), [normal(b, heads, 5, d), normal(b, heads, 5, d)]
    case("past", op, [q, k, v, bias, None, None, *past], (True, True, True), num_heads=heads)
    case("past_causal", op, [q, k, v, None, None, None, *past], (True, True, True), num_heads=heads, unidirectional=1)
    case("past_mask", op, [q, k, v, bias, integers(0, 1, b, 5 + s), normal(1, heads, s, 5 + s), *past], (True, True, True), num_heads=heads)
    case("present", op, [q, k, v, bias], (True, True, True), num_heads=heads)


def grouped():
    op, heads, few, d, s = "GroupQueryAttention", 4, 2, 16, 4
    counts = {"num_heads": heads, "kv_num_heads": few}

    def new(b, length):
        return [normal(b, length, heads * d), normal(b, length, few * d), normal(b, length, few * d)]

    def lengths(*ends, total):
        return [np.array(ends, np.int32) - 1, weight(np.array([total], np.int32))]

    all, only = (True, True, True), (True, INNER, INNER)
    tables = [weight(normal(24, d // 2)), weight(normal(24, d // 2))]
    prompt = [*new(2, s), None, None, *lengths(s, s, total=s)]
    case("prompt", op, prompt, all, **counts)
    case("prompt_scale", op, prompt, all, scale=0.1, **counts)
    case("prompt_softcap", op, prompt, all, softcap=0.7, **counts)
    case("prompt_window", op, prompt, all, local_window_size=2, **counts)
    case("prompt_rotary", op, [*prompt, *tables], all, do_rotary=1, **counts)
    case("prompt_interleaved", op, [*prompt, *tables], all, do_rotary=1, rotary_interleaved=1, **counts)
    wide = [normal(1, 3, 4 * 32), normal(1, 3, 2 * 32), normal(1, 3, 2 * 32)]
    case("prompt_part", op, [*wide, None, None, *lengths(3, total=3), *tables], all, do_rotary=1, **counts)
    case("prompt_bias", op, [*prompt, None, None, None, normal(1, heads, s, s)], all, **counts)
    packed = normal(2, s, (heads + 2 * few) * d)
    case("prompt_packed", op, [packed, None, None, None, None, *lengths(s, s, total=s), *tables], all, do_rotary=1, **counts)

    def past(b, length):
        return [normal(b, few, length, d), normal(b, few, length, d)]

    step = [*new(2, 1), *past(2, 6), *lengths(7, 7, total=7)]
    case("step", op, step, all, **counts)
    case("step_rotary", op, [*step, *tables], all, do_rotary=1, **counts)
    case("step_window", op, step, all, local_window_size=3, **counts)
    case("step_softcap", op, step, all, softcap=0.5, **counts)
    case("step_bias", op, [*step, None, None, None, normal(2, 1, 1, 7)], all, **counts)
    # Sequences of several lengths: later places of the cache hold what nobody reads.
    case("ragged", op, [*new(2, 1), *past(2, 6), *lengths(7, 4, total=7), *tables], only, do_rotary=1, **counts)
    chunk = [*new(1, 3), *past(1, 5), *lengths(8, total=8)]
    case("chunk", op, [*chunk, *tables], all, do_rotary=1, **counts)
    case("chunk_window", op, chunk, all, local_window_size=4, **counts)
    # A cache that is longer than the sequence.
    case("long_cache", op, [*new(2, 1), *past(2, 10), *lengths(7, 7, total=7), *tables], only, do_rotary=1, **counts)
    case("prompt_in_cache", op, [*new(2, s), *past(2, 10), *lengths(s, s, total=s)], only, **counts)

    op = "RotaryEmbedding"
    cos, sin = weight(normal(9, 4)), weight(normal(9, 4))
    x, positions = normal(2, 3, 4 * 8), integers(0, 8, 2, 3, dtype=np.int64)
    case("", op, [x, positions, cos, sin])
    case("interleaved", op, [x, positions, cos, sin], interleaved=1)
    case("offset", op, [x, np.array([4], np.int64), cos, sin])
    case("heads_in_front", op, [normal(2, 4, 3, 8), positions, cos, sin])
    narrow = [weight(normal(9, 2)), weight(normal(9, 2))]
    case("part", op, [x, positions, *narrow], num_heads=4, rotary_embedding_dim=4)
    case("part_interleaved", op, [x, positions, *narrow], num_heads=4, rotary_embedding_dim=4, interleaved=1)


def quantised():
    def scale(x):
        return weight(np.float32(x))

    for dtype, zeros in ((np.uint8, (118, 131, 97)), (np.int8, (-7, 12, 3))):
        ends, name = np.iinfo(dtype), np.dtype(dtype).name
        zero = [weight(np.array(z, dtype)) for z in zeros]
        codes = lambda *shape: integers(ends.min, ends.max, *shape, dtype=dtype)
        for op, y in (("QLinearAdd", 0.0613), ("QLinearMul", 0.0391)):
            pair = [codes(2, 3, 5), scale(0.0217), zero[0], codes(2, 3, 5), scale(0.0343), zero[1], scale(y), zero[2]]
            case(name, op, pair)
            case(f"{name}_broadcast", op, [*pair[:3], codes(3, 1), *pair[4:]])
            case(f"{name}_weight", op, [*pair[:3], weight(codes(5)), *pair[4:]])
            case(f"{name}_saturates", op, [*pair[:6], scale(0.0041), zero[2]])
        x = [codes(2, 3, 5), scale(0.0217), zero[0]]
        case(name, "QLinearConcat", [scale(0.0391), zero[2], *x, codes(2, 4, 5), scale(0.0343), zero[1]], axis=1)
        case(f"{name}_three", "QLinearConcat", [scale(0.0231), zero[2], *x, *x, codes(2, 3, 2), scale(0.0343), zero[1]], axis=-1)
        image = [codes(2, 5, 7, 6), scale(0.0217), zero[0], scale(0.015713), zero[2]]
        case(name, "QLinearGlobalAveragePool", image)
        case(f"{name}_channels_last", "QLinearGlobalAveragePool", image, channels_last=1)
        windows = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
        case(name, "QLinearAveragePool", image, **windows)
        case(f"{name}_include", "QLinearAveragePool", image, count_include_pad=1, **windows)
        case(f"{name}_ceil", "QLinearAveragePool", image, kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1)
        logits = [codes(3, 4, 6), scale(0.0317), zero[0], scale(1 / 256), weight(np.array(ends.min, dtype))]
        case(name, "QLinearSoftmax", logits, opset=13)
        case(f"{name}_axis", "QLinearSoftmax", logits, opset=13, axis=1)
        case(f"{name}_flat", "QLinearSoftmax", logits, opset=11, axis=1)
        case(name, "QLinearSigmoid", [*x, scale(1 / 250), weight(np.array(ends.min, dtype))])
        case(name, "QLinearLeakyRelu", [*x, scale(0.0191), zero[2]])
        case(f"{name}_alpha", "QLinearLeakyRelu", [*x, scale(0.0191), zero[2]], alpha=0.37)

        w, by_column = weight(integers(-90, 90, 6, 4, dtype=np.int8)), weight(np.array([0.011, 0.017, 0.013, 0.007], np.float32))
        nothing, c = weight(np.zeros(4, np.int8)), weight(integers(-900, 900, 4))
        gemm = [codes(3, 6), scale(0.0217), zero[0]]
        end = [scale(0.091), zero[2]]
        one = [w, scale(0.0133), weight(np.int8(5))]
        case(name, "QGemm", [*gemm, *one, c, *end])
        case(f"{name}_columns", "QGemm", [*gemm, w, by_column, nothing, c, *end])
        case(f"{name}_alpha", "QGemm", [*gemm, *one, c, *end], alpha=0.6)
        case(f"{name}_float", "QGemm", [*gemm, w, by_column, nothing, c])
        case(f"{name}_float_alone", "QGemm", [*gemm, *one], alpha=1.5)
        turned = [codes(6, 3), *gemm[1:], weight(np.ascontiguousarray(np.asarray(w).T)), *one[1:], weight(integers(-900, 900, 3, 4)), *end]
        case(f"{name}_transposed", "QGemm", turned, transA=1, transB=1)


def classical():
    x = normal(5, 4)
    case("", "Scaler", [x], domain=ML, offset=[0.5, -1.0, 2.0, 0.0], scale=[2.0, 0.25, -1.0, 3.0])
    case("one", "Scaler", [x], domain=ML, offset=[0.5], scale=[3.0])
    case("integers", "Scaler", [integers(-9, 9, 3, 4, dtype=np.int64)], domain=ML, offset=[0.5], scale=[0.3])
    rows = np.concatenate([x, np.zeros((1, 4), np.float32), -np.abs(x[:1])])
    rows[-1, 2] = 0
    for norm in ("MAX", "L1", "L2"):
        case(norm, "Normalizer", [rows], domain=ML, **({"norm": norm} if norm != "MAX" else {}))
    case("vector", "Normalizer", [x[0]], domain=ML, norm="L2")
    case("", "Binarizer", [x], domain=ML)
    case("threshold", "Binarizer", [x], domain=ML, threshold=0.6)
    case("", "ArrayFeatureExtractor", [x, weight(np.array([2, 0], np.int64))], domain=ML)
    case("vector", "ArrayFeatureExtractor", [x[0], weight(np.array([3], np.int64))], domain=ML)
    w, b = normal(12).tolist(), normal(3).tolist()
    case("one", "LinearRegressor", [x], domain=ML, coefficients=w[:4], intercepts=b[:1])
    case("no_intercept", "LinearRegressor", [x], domain=ML, coefficients=w[:4])
    for after in ("NONE", "SOFTMAX", "LOGISTIC"):
        transform = {"post_transform": after} if after != "NONE" else {}
        case(after, "LinearRegressor", [x], domain=ML, coefficients=w, intercepts=b, targets=3, **transform)
        both = (True, True)
        labels = {"coefficients": w, "intercepts": b, "classlabels_ints": [7, -2, 40], "multi_class": 1}
        case(after, "LinearClassifier", [x], both, domain=ML, **labels, **transform)
        if after != "SOFTMAX":
            labels = {"coefficients": w[:4], "intercepts": b[:1], "classlabels_ints": [3, 8]}
            case(f"two_by_one_{after}", "LinearClassifier", [x], both, domain=ML, **labels, **transform)
    case("integers", "LinearClassifier", [integers(-9, 9, 3, 4, dtype=np.int64)], (True, True), domain=ML, coefficients=w, intercepts=b, classlabels_ints=[0, 1, 2])


def main():
    for cases in (fused, norms, attention, grouped, quantised, classical):
        cases()
    save_file(tensors, HERE / "operators.safetensors")
    print(f"{sum(name.endswith('/model') for name in tensors)} cases, {(HERE / 'operators.safetensors').stat().st_size} bytes", file=sys.stderr)


RANDOM = np.random.default_rng(0)
if __name__ == "__main__":
    main()
