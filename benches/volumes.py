#!/usr/bin/env python3
"""volumes.py FOLDER: writes four small networks over volumes as ONNX files. Needs numpy and onnx. docs/benchmarks.md has their times.

r3d: the beginning of a 3-D ResNet over 8 frames. unet3d: a level of a 3-D U-Net over 32x32x32. r21d: convolutions factored into 1x3x3 and
3x1x1. x3d: inverted residuals with depthwise 3x3x3 kernels. All weights are random.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)


def weights(*shape):
    return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def conv(inputs, outputs, size=(3, 3, 3), stride=(1, 1, 1), groups=1):
    attributes = {"strides": stride, "pads": [k // 2 for k in size] * 2, "group": groups}
    return "Conv", attributes, [weights(outputs, inputs // groups, *size), np.zeros(outputs, np.float32)]


def write(name, x, layers):
    nodes, constants, value = [], [], "x"
    for i, (kind, attributes, arrays) in enumerate(layers):
        names = [f"w{i}_{j}" for j in range(len(arrays))]
        constants += [numpy_helper.from_array(array, name) for array, name in zip(arrays, names)]
        nodes.append(helper.make_node(kind, [value, *names], [f"v{i}"], **attributes))
        value = f"v{i}"
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, name, [info("x", x)], [info(value, None)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), f"{sys.argv[1]}/{name}.onnx")


relu = ("Relu", {}, [])
halved = ("MaxPool", {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]}, [])
doubled = ("ConvTranspose", {"strides": [2, 2, 2]}, [weights(32, 16, 2, 2, 2)])
plane, depth, point = (1, 3, 3), (3, 1, 1), (1, 1, 1)
write("r3d", [1, 3, 8, 56, 56], [
    conv(3, 64, (3, 7, 7), (1, 2, 2)), relu, conv(64, 64), relu, conv(64, 64), relu, conv(64, 128, stride=(2, 2, 2)), relu,
    conv(128, 128), relu, ("GlobalAveragePool", {}, []),
])
write("unet3d", [1, 1, 32, 32, 32], [
    conv(1, 16), relu, conv(16, 32), relu, halved, conv(32, 32), relu, doubled, conv(16, 16), relu,
])
write("r21d", [1, 16, 8, 28, 28], [
    conv(16, 64, plane), relu, conv(64, 64, depth), relu, conv(64, 64, plane), relu, conv(64, 64, depth), relu,
])
write("x3d", [1, 3, 8, 80, 80], [
    conv(3, 24, plane, (1, 2, 2)), conv(24, 54, point), relu, conv(54, 54, groups=54), relu, conv(54, 24, point),
    conv(24, 54, point), relu, conv(54, 54, stride=(1, 2, 2), groups=54), relu, conv(54, 48, point),
])
