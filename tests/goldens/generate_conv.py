"""Golden cases of 1-D, 3-D and transposed convolution, for the tests' reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_conv.py

Writes conv.safetensors and conv.json, in the form of generate_ops.py; conv1d's padding is [left, right].
"""

import torch
import torch.nn.functional as F
from generate_ops import case, normal, save


def conv1d(x, weight, bias=None, *, stride, padding, dilation, groups, padding_mode):
    x = F.pad(x, padding, mode="constant" if padding_mode == "zeros" else padding_mode)
    return F.conv1d(x, weight, bias, stride=stride, dilation=dilation, groups=groups)


def lines():
    def add(name, filters, kernel, bias=True, **attributes):
        attributes = {"stride": 1, "padding": [0, 0], "dilation": 1, "groups": 1, "padding_mode": "zeros"} | attributes
        inputs = {"input": normal(2, 4, 9), "weight": normal(filters, 4 // attributes["groups"], kernel)}
        if bias:
            inputs["bias"] = normal(filters)
        case(f"conv1d_{name}", "conv1d", conv1d, attributes, **inputs)

    add("plain", 5, 3, bias=False)
    add("stride", 5, 4, stride=3, padding=[2, 2])
    add("causal", 5, 3, dilation=2, padding=[4, 0])
    add("groups", 6, 3, groups=2, padding=[1, 1])
    add("depthwise", 8, 3, groups=4, stride=2)
    for mode in ("reflect", "replicate", "circular"):
        add(mode, 3, 5, padding=[2, 3], padding_mode=mode)


def volumes():
    def add(name, filters, kernel, bias=True, **attributes):
        defaults = {"stride": [1, 1, 1], "padding": [0, 0, 0], "dilation": [1, 1, 1], "groups": 1}
        attributes = defaults | attributes
        inputs = {"input": normal(2, 4, 4, 5, 6), "weight": normal(filters, 4 // attributes["groups"], *kernel)}
        if bias:
            inputs["bias"] = normal(filters)
        case(f"conv3d_{name}", "conv3d", F.conv3d, attributes, **inputs)

    add("plain", 3, (3, 3, 3), bias=False)
    add("stride", 3, (2, 3, 1), stride=[1, 2, 3], padding=[1, 0, 0])
    add("dilation", 2, (2, 3, 2), dilation=[2, 1, 3], padding=[0, 1, 2])
    add("groups", 4, (1, 3, 3), groups=2)
    add("depthwise", 8, (3, 1, 2), groups=4)


def transposed():
    def add(name, size, filters, kernel, bias=True, **attributes):
        n = len(size)
        defaults = {"stride": [1] * n, "padding": [0] * n, "output_padding": [0] * n, "groups": 1, "dilation": [1] * n}
        attributes = defaults | attributes
        inputs = {"input": normal(2, 4, *size), "weight": normal(4, filters // attributes["groups"], *kernel)}
        if bias:
            inputs["bias"] = normal(filters)
        op = f"conv_transpose{n}d"
        case(f"{op}_{name}", op, getattr(F, op), attributes, **inputs)

    image, line = (4, 3), (5,)
    add("plain", image, 3, (3, 3), bias=False)
    add("double", image, 5, (4, 4), stride=[2, 2], padding=[1, 1])
    add("output_padding", image, 3, (3, 2), stride=[2, 3], padding=[1, 0], output_padding=[1, 2])
    add("dilation", image, 3, (2, 3), stride=[2, 4], dilation=[3, 2], padding=[2, 1], output_padding=[2, 1])
    add("groups", image, 6, (3, 3), stride=[2, 2], groups=2)
    add("depthwise", image, 8, (4, 4), stride=[2, 2], padding=[1, 1], groups=4)
    add("plain", line, 3, (3,), bias=False)
    add("output_padding", line, 5, (4,), stride=[3], padding=[2], output_padding=[2])
    add("dilation", line, 3, (3,), stride=[2], dilation=[3], groups=1)
    add("groups", line, 6, (4,), stride=[2], padding=[1], groups=2)


def main():
    torch.manual_seed(0)
    lines()
    volumes()
    transposed()
    save("conv")


if __name__ == "__main__":
    main()
