"""Exports in float16: what `export.py` wrote, with every float32 as float16, and how far ONNX Runtime is from itself.

    pip install onnx onnxruntime safetensors numpy
    python tests/onnx/half.py

`exports/NETWORK-script-OPSET.onnx` becomes `exports/NETWORK-half-OPSET.onnx`. Its weights are external data too: the same
seeded numbers, rounded. Inputs and outputs are float16, or stay float32 with a `Cast` behind and before them, as ONNX
Runtime's converter does by default. The expected outputs are those of the export in float32.
"""

import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "goldens"))
import seeded  # noqa: E402

SAMPLES = 4096
# The exports, the sizes of their inputs, and true if inputs and outputs stay float32.
EXPORTS = [
    ("resnet18", 17, {"input": (2, 3, 64, 64)}, False),
    ("unet", 17, {"input": (1, 3, 32, 48)}, True),
    ("gpt", 17, {"tokens": (2, 10)}, False),
]


def rounded(tensor):
    """The tensor in float16; external data only changes its type and length."""
    if tensor.data_location == TensorProto.EXTERNAL:
        tensor.data_type = TensorProto.FLOAT16
        return
    values = numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def halved(model, keep_io):
    graph = model.graph
    # Resize has its scales in float32, whatever it resizes.
    scales = {node.input[2] for node in graph.node if node.op_type == "Resize" and len(node.input) > 2}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in scales:
            rounded(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.t.data_type == TensorProto.FLOAT and node.output[0] not in scales:
                rounded(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    for port in [*graph.input, *graph.output]:
        kind = port.type.tensor_type
        if kind.elem_type == TensorProto.FLOAT and not keep_io:
            kind.elem_type = TensorProto.FLOAT16
    if keep_io:
        cast(graph)
    offset = 0
    for tensor in graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            bytes_ = 2 * math.prod(tensor.dims)
            del tensor.external_data[:]
            for key, value in [("location", "weights.bin"), ("offset", offset), ("length", bytes_)]:
                tensor.external_data.add(key=key, value=str(value))
            offset += bytes_


def cast(graph):
    """Renames what the nodes read and give, and adds casts between these names and the inputs' and outputs'."""
    names = {port.name: f"{port.name}_half" for port in [*graph.input, *graph.output]}
    for node in graph.node:
        for names_of in (node.input, node.output):
            for i, name in enumerate(names_of):
                names_of[i] = names.get(name, name)
    before = [helper.make_node("Cast", [p.name], [names[p.name]], to=TensorProto.FLOAT16) for p in graph.input]
    after = [helper.make_node("Cast", [names[p.name]], [p.name], to=TensorProto.FLOAT) for p in graph.output]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        with open(Path(folder) / "weights.bin", "wb") as file:
            for tensor in model.graph.initializer:
                if tensor.data_location == TensorProto.EXTERNAL:
                    values = seeded.tensor(tensor.name, tuple(tensor.dims))
                    file.write(values.astype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).tobytes())
        onnx.save(model, Path(folder) / "model.onnx")
        session = onnxruntime.InferenceSession(Path(folder) / "model.onnx", options, ["CPUExecutionProvider"])
        return session.run(None, inputs)


def main():
    expected = load_file(HERE / "expected.safetensors")
    for network, opset, shapes, keep_io in EXPORTS:
        model = onnx.load(HERE / f"exports/{network}-script-{opset}.onnx", load_external_data=False)
        halved(model, keep_io)
        path = HERE / f"exports/{network}-half-{opset}.onnx"
        path.write_bytes(model.SerializeToString())
        inputs = {}
        for name, shape in shapes.items():
            if name == "tokens":
                inputs[name] = ((np.arange(math.prod(shape)) * 31 + 7) % 64).reshape(shape)
            else:
                inputs[name] = seeded.tensor("input", shape).astype(np.float32 if keep_io else np.float16)
        for port, got in zip(model.graph.output, run(model, inputs), strict=True):
            want = expected[f"{network}-script-{opset}/{port.name}"]
            got = got.astype(np.float32).ravel()[:: -(-got.size // SAMPLES)]
            error = abs(got - want).max() / abs(want).max()
            print(f"{path.name}: {path.stat().st_size} bytes; {port.name} of ONNX Runtime off by {error:.1e}")


if __name__ == "__main__":
    main()
