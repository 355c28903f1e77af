"""Golden cases of quantised operations, computed by ONNX Runtime, for the tests' reference loops.

    pip install onnx onnxruntime safetensors numpy
    python tests/goldens/generate_quant.py

Writes quant.safetensors and quant.json, in the form of generate_ops.py. Attributes have ONNX's names, and inputs
ONNX's order; what is missing between two is one 0. All tensors are stored as float32, whatever their elements are:
a case's "type" says what the quantised ones are. Where sums are of floats, these are chosen so that they are exact.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from safetensors.numpy import save_file

CASES, TENSORS = [], {}
RANDOM = np.random.default_rng(0)
TYPES = {
    "u4": (TensorProto.UINT4, 0, 15), "i4": (TensorProto.INT4, -8, 7), "u8": (TensorProto.UINT8, 0, 255),
    "i8": (TensorProto.INT8, -128, 127), "u16": (TensorProto.UINT16, 0, 65535), "i16": (TensorProto.INT16, -32768, 32767),
    "i32": (TensorProto.INT32, -10000, 10000), "f32": (TensorProto.FLOAT, -1, 1),
}


def whole(of, *shape):
    _, least, greatest = TYPES[of]
    return RANDOM.integers(least, greatest, shape, endpoint=True).astype(np.float32)


def uniform(*shape):
    return RANDOM.uniform(-1, 1, shape).astype(np.float32)


def run(node, inputs, output=0, domain=""):
    """An output of a node whose inputs are constants, (values, type) or None."""
    names, initializers = [], []
    for i, given in enumerate(inputs):
        names.append(f"x{i}" if given else "")
        if given:
            values, of = given
            of = TYPES[of][0]
            numbers = values if of == TensorProto.FLOAT else values.astype(np.int64)
            initializers.append(helper.make_tensor(f"x{i}", of, values.shape, numbers.flatten().tolist()))
    op, attributes = node
    outputs = [f"y{i}" for i in range(output + 1)] + [f"z{i}" for i in range({"DynamicQuantizeLinear": 2}.get(op, 0) - output)]
    nodes = [
        helper.make_node(op, names, outputs, domain=domain, **attributes),
        helper.make_node("Cast", [f"y{output}"], ["y"], to=TensorProto.FLOAT),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "case", [], [y], initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {})[0]


def case(name, op, attributes, output, **inputs):
    inputs = {key: values for key, values in inputs.items() if values is not None}
    keys = [f"{name}.{key}" for key in inputs]
    TENSORS.update(zip(keys, (np.array(values, order="C") for values in inputs.values())))
    TENSORS[f"{name}.output"] = np.array(output, order="C")
    CASES.append({"name": name, "op": op, "attributes": attributes, "inputs": keys, "output": f"{name}.output"})


def quantisation():
    granularities = {
        "tensor": ((3, 7), (), 1, 0), "rows": ((3, 7), (3,), 0, 0), "channels": ((2, 5, 3), (5,), 1, 0),
        "blocks": ((4, 32), (4, 2), 1, 16), "blocks_along_rows": ((6, 5), (2, 5), 0, 3),
    }
    for number, of in enumerate(("u8", "i8", "u4", "i4", "u16", "i16")):
        for name, (shape, scales, axis, block) in granularities.items():
            x = 4 * uniform(*shape)
            scale = np.abs(uniform(*scales)) / 16 + 0.01
            scale = scale.astype(np.float32)
            zero = None if number == 1 and name == "tensor" else whole("u4" if of[0] == "u" else "i4", *scales)
            attributes = {"axis": axis, "block_size": block}
            given = (zero if zero is not None else np.zeros(scales, np.float32), of)
            y = run(("QuantizeLinear", attributes), [(x, "f32"), (scale, "f32"), given])
            attributes = attributes | {"type": of}
            case(f"quantize_{of}_{name}", "quantize", attributes, y, x=x, scale=scale, zero=zero)
            q = whole(of, *shape)
            x = run(("DequantizeLinear", {"axis": axis, "block_size": block}), [(q, of), (scale, "f32"), given])
            attributes = {"axis": axis, "block_size": block}
            case(f"dequantize_{of}_{name}", "dequantize", attributes, x, x=q, scale=scale, zero=zero)
    # What lies between two integers, and what is beyond the range.
    x = np.concatenate([np.arange(-24, 24) / 4, [1000, -1000, 70000, -70000]]).astype(np.float32)
    half = np.array(0.5, np.float32)
    for of in list(TYPES)[:6]:
        zero = np.array(5, np.float32)
        y = run(("QuantizeLinear", {}), [(x, "f32"), (half, "f32"), (zero, of)])
        attributes = {"axis": 1, "block_size": 0, "type": of}
        case(f"quantize_{of}_ties", "quantize", attributes, y, x=x, scale=half, zero=zero)
    for name, x in {"plain": 3 * uniform(4, 9), "positive": np.abs(uniform(5)), "negative": -np.abs(uniform(7)), "zeros": np.zeros(3, np.float32)}.items():
        for part in range(3):
            y = run(("DynamicQuantizeLinear", {}), [(x, "f32")], output=part)
            case(f"dynamic_quantize_{name}_{part}", "dynamic_quantize", {"part": part}, y, x=x)


def products():
    shapes = {"matrices": ((3, 9), (9, 5)), "batches": ((2, 1, 3, 4), (5, 4, 6)), "row": ((7,), (7, 4))}
    for name, (a, b) in shapes.items():
        for of in ("u8", "i8"):
            x, w = whole("u8", *a), whole(of, *b)
            x_zero, w_zero = whole("u8"), whole(of)
            y = run(("MatMulInteger", {}), [(x, "u8"), (w, of), (x_zero, "u8"), (w_zero, of)])
            case(f"integer_matmul_{name}_{of}", "integer_matmul", {}, y, a=x, b=w, a_zero=x_zero, b_zero=w_zero)
    x, w, x_zero, w_zero = whole("u8", 4, 6), whole("i8", 6, 5), whole("u8"), whole("i8", 5)
    y = run(("MatMulInteger", {}), [(x, "u8"), (w, "i8"), (x_zero, "u8"), (w_zero, "i8")])
    case("integer_matmul_zeros", "integer_matmul", {}, y, a=x, b=w, a_zero=x_zero, b_zero=w_zero)
    for name, scales in {"one": (), "columns": (5,)}.items():
        x, w = whole("u8", 3, 12), whole("i8", 12, 5)
        x_scale, y_scale = np.float32(0.02), np.float32(0.7)
        w_scale = (np.abs(uniform(*scales)) / 50 + 0.01).astype(np.float32)
        x_zero, w_zero, y_zero = whole("u8"), np.zeros(scales, np.float32), whole("u8")
        given = [(x, "u8"), (np.array(x_scale), "f32"), (x_zero, "u8"), (w, "i8"), (w_scale, "f32"), (w_zero, "i8"), (np.array(y_scale), "f32"), (y_zero, "u8")]
        y = run(("QLinearMatMul", {}), given)
        attributes = {"x_scale": float(x_scale), "y_scale": float(y_scale), "zero": int(y_zero), "type": "u8"}
        case(f"qlinear_matmul_{name}", "qlinear_matmul", attributes, y, a=x, b=w, a_zero=x_zero, b_zero=w_zero, w_scale=w_scale)


def convolutions():
    def geometry(strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1):
        return {"strides": list(strides), "pads": list(pads), "dilations": list(dilations), "group": group}

    shapes = {
        "plain": ((2, 3, 6, 5), (4, 3, 3, 3), geometry()),
        "padded": ((1, 3, 6, 5), (4, 3, 3, 2), geometry(pads=(1, 0, 2, 1))),
        "strided": ((1, 2, 9, 8), (3, 2, 3, 3), geometry(strides=(2, 3), dilations=(2, 1), pads=(1, 1, 1, 1))),
        "groups": ((1, 4, 5, 5), (6, 2, 3, 3), geometry(group=2, pads=(1, 1, 1, 1))),
        "depthwise": ((2, 4, 5, 5), (4, 1, 3, 3), geometry(group=4, pads=(1, 1, 1, 1))),
    }
    for name, (x, w, attributes) in shapes.items():
        x, w, x_zero = whole("u8", *x), whole("u8", *w), whole("u8")
        w_zero = whole("u8")
        y = run(("ConvInteger", attributes), [(x, "u8"), (w, "u8"), (x_zero, "u8"), (w_zero, "u8")])
        case(f"integer_conv2d_{name}", "integer_conv2d", attributes, y, x=x, w=w, x_zero=x_zero, w_zero=w_zero)
        w, bias, w_scale = whole("i8", *w.shape), whole("i32", w.shape[0]), (np.abs(uniform(w.shape[0])) / 50 + 0.01).astype(np.float32)
        w_zero, x_scale, y_scale, y_zero = np.zeros(w.shape[0], np.float32), np.float32(0.03), np.float32(0.9), whole("u8")
        given = [(x, "u8"), (np.array(x_scale), "f32"), (x_zero, "u8"), (w, "i8"), (w_scale, "f32"), (w_zero, "i8"), (np.array(y_scale), "f32"), (y_zero, "u8"), (bias, "i32")]
        y = run(("QLinearConv", attributes), given)
        attributes = attributes | {"x_scale": float(x_scale), "y_scale": float(y_scale), "zero": int(y_zero), "type": "u8"}
        case(f"qlinear_conv2d_{name}", "qlinear_conv2d", attributes, y, x=x, w=w, x_zero=x_zero, w_zero=w_zero, bias=bias, w_scale=w_scale)


def weights():
    for bits in (4, 8):
        for block, features in ((16, 32), (32, 96), (32, 40)):
            out, blocks = 5, -(-features // block)
            x = (RANDOM.integers(-16, 17, (2, 3, features)) / 8).astype(np.float32)
            q = RANDOM.integers(0, 1 << bits, (out, blocks * block))
            scale = np.exp2(RANDOM.integers(-4, 2, (out, blocks))).astype(np.float32)
            per_byte = 8 // bits
            packed = sum(q[:, i::per_byte] << (bits * i) for i in range(per_byte)).astype(np.uint8)
            packed = packed.reshape(out, blocks, block // per_byte)
            for zeros in (False, True):
                zero = RANDOM.integers(0, 1 << bits, (out, blocks)) if zeros else np.full((out, blocks), 1 << (bits - 1))
                padded = np.pad(zero, ((0, 0), (0, -blocks % per_byte)))
                zero_bytes = sum(padded[:, i::per_byte] << (bits * i) for i in range(per_byte)).astype(np.float32)
                given = [(x, "f32"), (packed.astype(np.float32), "u8"), (scale.reshape(-1), "f32"), (zero_bytes.reshape(-1), "u8") if zeros else None]
                attributes = {"K": features, "N": out, "bits": bits, "block_size": block}
                y = run(("MatMulNBits", attributes), given, domain="com.microsoft")
                name = f"matmul_nbits_{bits}_{block}_{features}_{'zeros' if zeros else 'half'}"
                floats = {"x": x, "q": q.astype(np.float32), "scale": scale, "zero": zero.astype(np.float32)}
                case(name, "matmul_nbits", {"block_size": block}, y, **floats)


def main():
    for cases in (quantisation, products, convolutions, weights):
        cases()
    here = Path(__file__).parent
    save_file(TENSORS, here / "quant.safetensors")
    (here / "quant.json").write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in CASES) + "\n]\n")
    print(f"{len(CASES)} cases")


if __name__ == "__main__":
    main()
