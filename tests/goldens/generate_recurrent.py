"""Golden cases of recurrent layers, computed by ONNX Runtime, for the tests' reference loops and for the import.

    pip install onnx onnxruntime safetensors numpy
    python tests/goldens/generate_recurrent.py

Writes recurrent.safetensors and recurrent.json, in the form of generate_ops.py. Attributes have ONNX's names, and inputs
ONNX's order; what is missing between two is one 0. An output is all outputs of the node, one after the other.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from safetensors.numpy import save_file

CASES, TENSORS = [], {}
RANDOM = np.random.default_rng(0)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4, "DynamicQuantizeLSTM": 4}
NUMBERS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
NUMBERS |= {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.int8): TensorProto.INT8}


def uniform(*shape):
    return RANDOM.uniform(-1, 1, shape).astype(np.float32)


def case(name, op, inputs, **attributes):
    while inputs[-1] is None:
        inputs.pop()
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    initializers = [
        helper.make_tensor(f"x{i}", NUMBERS[x.dtype], x.shape, x.flatten().tolist()) for i, x in enumerate(inputs) if x is not None
    ]
    outputs = ["Y", "H", "C"][: 3 if "LSTM" in op else 2]
    domain = "com.microsoft" if op.startswith("Dynamic") else ""
    node = helper.make_node(op, names, outputs, domain=domain, **attributes)
    values = [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs]
    graph = helper.make_graph([node], "case", [], values, initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    results = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {})
    keys = [f"{name}.{i}" for i in range(len(inputs))]
    TENSORS.update({key: np.float32(0 if x is None else x).reshape(() if x is None else x.shape) for key, x in zip(keys, inputs)})
    TENSORS[f"{name}.output"] = np.concatenate([y.flatten() for y in results])
    of = {"u8": np.uint8, "i8": np.int8}
    kind = next((name for name, dtype in of.items() if inputs[1].dtype == dtype), "f32")
    CASES.append({"name": name, "op": op, "attributes": {**attributes, "type": kind}, "inputs": keys, "output": f"{name}.output"})


def layer(name, op, steps, batch, features, hidden, bias=True, lengths=None, initial=False, peepholes=False, **attributes):
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = GATES[op] * hidden
    size = hidden**-0.5
    inputs = [uniform(steps, batch, features), size * uniform(directions, rows, features), size * uniform(directions, rows, hidden)]
    inputs.append(uniform(directions, 2 * rows) if bias else None)
    inputs.append(None if lengths is None else np.array(lengths, np.int32))
    inputs.append(uniform(directions, batch, hidden) if initial else None)
    if op == "LSTM":
        inputs.append(uniform(directions, batch, hidden) if initial else None)
        inputs.append(uniform(directions, 3 * hidden) if peepholes else None)
    case(name, op, inputs, hidden_size=hidden, **attributes)


def quantised(name, steps, batch, features, hidden, of, channels, zeros=True, lengths=None, initial=False, **attributes):
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    least, greatest = np.iinfo(of).min, np.iinfo(of).max
    inputs = [uniform(steps, batch, features)]
    scales = []
    for columns in (features, hidden):
        inputs.append(RANDOM.integers(least, greatest, (directions, columns, 4 * hidden), endpoint=True).astype(of))
        shape = (directions, 4 * hidden) if channels else (directions,)
        scales.append((0.5 + RANDOM.uniform(0, 1, shape)).astype(np.float32) / (128 * columns**0.5))
        middle = (least + greatest + 1) // 2
        scales.append(RANDOM.integers(middle - 9, middle + 9, shape).astype(of) if zeros else np.full(shape, 0, of))
    inputs += [uniform(directions, 8 * hidden), None if lengths is None else np.array(lengths, np.int32)]
    inputs += [uniform(directions, batch, hidden) if initial else None for _ in range(2)]
    inputs += [None, *scales]
    case(name, "DynamicQuantizeLSTM", inputs, hidden_size=hidden, **attributes)


def main():
    for op in ("RNN", "GRU", "LSTM"):
        layer(f"{op}_forward", op, 5, 2, 6, 4)
        layer(f"{op}_reverse", op, 4, 1, 3, 17, bias=False, direction="reverse")
        layer(f"{op}_both", op, 6, 3, 5, 7, lengths=[6, 2, 4], initial=True, direction="bidirectional")
        layer(f"{op}_clip", op, 3, 1, 4, 5, initial=True, clip=0.3)
    layer("GRU_after", "GRU", 5, 2, 6, 4, linear_before_reset=1, initial=True)
    layer("GRU_after_both", "GRU", 4, 2, 3, 18, linear_before_reset=1, lengths=[3, 4], direction="bidirectional")
    layer("LSTM_peepholes", "LSTM", 4, 2, 3, 6, peepholes=True, initial=True, direction="bidirectional")
    layer("LSTM_coupled", "LSTM", 4, 2, 3, 6, input_forget=1)
    functions = ["Relu", "Softsign", "Softplus"]
    layer("LSTM_functions", "LSTM", 3, 2, 3, 5, activations=["HardSigmoid", "Softsign", "Tanh"], activation_alpha=[0.3], activation_beta=[0.4])
    layer("LSTM_functions_apart", "LSTM", 3, 2, 3, 5, direction="bidirectional", activations=["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Softsign", "Relu"])
    for name, numbers in {"Affine": (0.8, 0.1), "LeakyRelu": (0.3, None), "ThresholdedRelu": (0.2, None), "ScaledTanh": (0.9, 0.7), "Elu": (0.6, None)}.items():
        given = {key: [number] for key, number in zip(("activation_alpha", "activation_beta"), numbers) if number is not None}
        layer(f"RNN_{name}", "RNN", 3, 2, 4, 5, activations=[name], **given)
    for name in functions:
        layer(f"RNN_{name}", "RNN", 3, 2, 4, 5, activations=[name])
    quantised("quantised_u8", 5, 1, 6, 4, np.uint8, channels=False)
    quantised("quantised_i8", 4, 1, 6, 20, np.int8, channels=True, zeros=False, initial=True)
    quantised("quantised_both", 5, 1, 3, 9, np.uint8, channels=False, direction="bidirectional")
    quantised("quantised_both_channels", 5, 1, 3, 9, np.int8, channels=True, zeros=False, direction="bidirectional")
    quantised("quantised_reverse", 4, 1, 3, 16, np.int8, channels=False, zeros=False, initial=True, direction="reverse")
    here = Path(__file__).parent
    save_file({key: np.asarray(tensor, order="C") for key, tensor in TENSORS.items()}, here / "recurrent.safetensors")
    (here / "recurrent.json").write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in CASES) + "\n]\n")
    print(f"{len(CASES)} cases")


if __name__ == "__main__":
    main()
