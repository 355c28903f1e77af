#!/usr/bin/env python3
"""detector_stage.py FILE.onnx: writes three C2f blocks of a YOLOv8 backbone as exporters spell them. Needs numpy and onnx.

Each block splits channels after a 1x1 convolution, adds a residual block to one half, and concatenates all for a 1x1 convolution: 64
channels, 80x80 pixels, random weights. docs/benchmarks.md says how fast it is with and without copies of the channels.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.RandomState(0)
weights, nodes = [numpy_helper.from_array(np.array([32, 32]), "halves")], []


def node(kind, inputs, outputs, **attributes):
    nodes.append(helper.make_node(kind, inputs, outputs, **attributes))


def conv(x, inputs, outputs, size):
    """A convolution and SiLU."""
    name = str(len(weights))
    values = random.randn(outputs, inputs, size, size) / np.sqrt(inputs * size * size)
    weights.append(numpy_helper.from_array(values.astype(np.float32), "w" + name))
    node("Conv", [x, "w" + name], ["c" + name], pads=[size // 2] * 4)
    node("Sigmoid", ["c" + name], ["g" + name])
    node("Mul", ["c" + name, "g" + name], ["s" + name])
    return "s" + name


x = conv("x", 16, 64, 1)
for block in ["first", "second", "third"]:
    left, right, total, joined = (block + str(i) for i in range(4))
    node("Split", [conv(x, 64, 64, 1), "halves"], [left, right], axis=1)
    node("Add", [right, conv(conv(right, 32, 32, 3), 32, 32, 3)], [total])
    node("Concat", [left, right, total], [joined], axis=1)
    x = conv(joined, 96, 64, 1)
node("Identity", [x], ["y"])
image = lambda name, channels: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 80, 80])
graph = helper.make_graph(nodes, "detector_stage", [image("x", 16)], [image("y", 64)], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
