"""Small golden cases of single operations, for the tests' reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_ops.py

Writes ops.safetensors, and ops.json with one line for each case: its name, op,
attributes, input keys in PyTorch's order of arguments, and output key.

Attributes have PyTorch's names. Spatial ones are lists [height, width], except
conv2d's padding, which is [top, bottom, left, right]. PyTorch computes in
float64 on float32 inputs; the outputs are stored as float32.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

CASES, TENSORS = [], {}


def case(name, op, compute, attributes, **inputs):
    keys = [f"{name}.{key}" for key in inputs]
    TENSORS.update(zip(keys, inputs.values()))
    TENSORS[f"{name}.output"] = compute(*(value.double() for value in inputs.values()), **attributes).float().contiguous()
    CASES.append({"name": name, "op": op, "attributes": attributes, "inputs": keys, "output": f"{name}.output"})


def normal(*shape):
    return torch.randn(shape)


def conv2d(x, weight, bias=None, *, stride, padding, dilation, groups, padding_mode):
    top, bottom, left, right = padding
    mode = "constant" if padding_mode == "zeros" else padding_mode
    x = F.pad(x, (left, right, top, bottom), mode=mode)
    return F.conv2d(x, weight, bias, stride=stride, dilation=dilation, groups=groups)


def convolutions():
    def add(name, shape, filters, kernel, bias=True, **attributes):
        defaults = {"stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1], "groups": 1, "padding_mode": "zeros"}
        attributes = defaults | attributes
        inputs = {"input": normal(*shape), "weight": normal(filters, shape[1] // attributes["groups"], *kernel)}
        if bias:
            inputs["bias"] = normal(filters)
        case(f"conv2d_{name}", "conv2d", conv2d, attributes, **inputs)

    shape = (2, 4, 9, 8)
    add("plain", shape, 5, (3, 3), bias=False)
    add("pointwise", shape, 6, (1, 1))
    add("kernel_2x5", shape, 3, (2, 5), padding=[1, 1, 2, 2])
    add("stride", shape, 6, (3, 3), stride=[2, 2], padding=[1, 1, 1, 1])
    add("stride_1x3", shape, 2, (3, 3), stride=[1, 3])
    add("dilation", shape, 3, (3, 3), dilation=[2, 2], padding=[2, 2, 2, 2])
    add("groups", shape, 6, (3, 3), groups=2, padding=[1, 1, 1, 1])
    add("depthwise", shape, 4, (3, 3), groups=4, padding=[1, 1, 1, 1])
    add("depthwise_multiplier", shape, 8, (3, 3), groups=4, stride=[2, 2], bias=False)
    add("asymmetric", shape, 3, (3, 3), padding=[0, 1, 2, 1])
    for mode in ("reflect", "replicate", "circular"):
        add(mode, shape, 3, (3, 3), padding=[1, 1, 1, 1], padding_mode=mode)
        add(f"{mode}_asymmetric", shape, 3, (5, 5), padding=[2, 1, 3, 2], padding_mode=mode)


def products():
    case("linear", "linear", F.linear, {}, input=normal(3, 7), weight=normal(5, 7), bias=normal(5))
    case("linear_rank3", "linear", F.linear, {}, input=normal(2, 3, 7), weight=normal(5, 7))
    case("matmul", "matmul", torch.matmul, {}, input=normal(3, 4), other=normal(4, 5))
    case("matmul_broadcast", "matmul", torch.matmul, {}, input=normal(2, 1, 3, 4), other=normal(5, 4, 6))


def poolings():
    # All inputs are negative, so that a padding of zero, where it should not count, would show.
    def negative(*shape):
        return -0.1 - torch.rand(shape)

    def add_max(name, height, width, **attributes):
        defaults = {"kernel_size": [3, 3], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil_mode": False}
        case(f"max_pool2d_{name}", "max_pool2d", F.max_pool2d, defaults | attributes, input=negative(2, 3, height, width))

    add_max("plain", 9, 8)
    add_max("padding", 9, 8, padding=[1, 1])
    add_max("dilation", 9, 8, dilation=[2, 2])
    add_max("ceil", 9, 8, ceil_mode=True)
    add_max("all", 9, 8, padding=[1, 1], dilation=[2, 2], ceil_mode=True)
    # ceil_mode drops a last window that would begin in the padding.
    add_max("ceil_drops", 7, 5, kernel_size=[2, 2], padding=[1, 1], stride=[3, 2], ceil_mode=True)

    def add_average(name, height, width, **attributes):
        defaults = {"kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 1], "ceil_mode": False, "count_include_pad": True}
        case(f"avg_pool2d_{name}", "avg_pool2d", F.avg_pool2d, defaults | attributes, input=negative(2, 3, height, width))

    add_average("plain", 9, 8, padding=[0, 0])
    for include in (True, False):
        suffix = "include_pad" if include else "exclude_pad"
        add_average(suffix, 9, 8, count_include_pad=include)
        # The last column of windows leaves even the padding; what lies beyond never counts.
        add_average(f"ceil_{suffix}", 9, 8, count_include_pad=include, ceil_mode=True)

    for op, compute in (
        ("adaptive_avg_pool2d", F.adaptive_avg_pool2d),
        ("adaptive_max_pool2d", F.adaptive_max_pool2d),
    ):
        for output_size in ([7, 7], [3, 2], [1, 1]):
            name = f"{op}_{output_size[0]}x{output_size[1]}"
            case(name, op, compute, {"output_size": output_size}, input=negative(2, 3, 5, 9))


def batch_norm(x, running_mean, running_var, weight=None, bias=None, *, eps):
    return F.batch_norm(x, running_mean, running_var, weight, bias, eps=eps)


def normalisations():
    x = normal(2, 7, 3, 4)
    statistics = {"running_mean": normal(7), "running_var": 0.5 + torch.rand(7)}
    affine = {"weight": normal(7), "bias": normal(7)}
    case("batch_norm", "batch_norm", batch_norm, {"eps": 1e-5}, input=x, **statistics, **affine)
    case("batch_norm_eps", "batch_norm", batch_norm, {"eps": 0.1}, input=x, **statistics)

    lrn = F.local_response_norm
    defaults = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}
    case("local_response_norm", "local_response_norm", lrn, defaults, input=x)
    case("local_response_norm_strong", "local_response_norm", lrn, defaults | {"alpha": 0.3, "k": 2.0}, input=x)
    case("local_response_norm_even", "local_response_norm", lrn, defaults | {"size": 4, "alpha": 0.3}, input=x)

    for op, compute in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
        case(op, op, compute, {"dim": 1}, input=3 * x)
        case(f"{op}_last", op, compute, {"dim": -1}, input=3 * x)
        case(f"{op}_large", op, compute, {"dim": 1}, input=500 * x)  # overflows unless shifted by the maximum


def activations():
    x = 4 * normal(2, 3, 4, 5)
    x[0, 0, 0] = torch.tensor([0.0, -3.0, 3.0, 6.0, -100.0])  # the corners, and a far tail
    for name, op, compute, attributes in (
        ("relu", "relu", F.relu, {}),
        ("relu6", "relu6", F.relu6, {}),
        ("leaky_relu", "leaky_relu", F.leaky_relu, {"negative_slope": 0.1}),
        ("sigmoid", "sigmoid", torch.sigmoid, {}),
        ("tanh", "tanh", torch.tanh, {}),
        ("silu", "silu", F.silu, {}),
        ("hardswish", "hardswish", F.hardswish, {}),
        ("gelu", "gelu", F.gelu, {"approximate": "none"}),
        ("gelu_tanh", "gelu", F.gelu, {"approximate": "tanh"}),
        ("elu", "elu", F.elu, {"alpha": 1.0}),
        ("elu_alpha", "elu", F.elu, {"alpha": 1.5}),
        ("selu", "selu", F.selu, {}),
        ("celu", "celu", F.celu, {"alpha": 1.0}),
        ("celu_alpha", "celu", F.celu, {"alpha": 1.5}),
        ("hardsigmoid", "hardsigmoid", F.hardsigmoid, {}),
        ("mish", "mish", F.mish, {}),
        ("softplus", "softplus", F.softplus, {"beta": 1.0, "threshold": 20.0}),
        ("softplus_beta", "softplus", F.softplus, {"beta": 0.5, "threshold": 20.0}),
        ("softsign", "softsign", F.softsign, {}),
    ):
        case(name, op, compute, attributes, input=x.clone())


def shuffles():
    for factor in (2, 3):
        x = normal(2, 2 * factor**2, 3, 4)
        case(f"pixel_shuffle_{factor}", "pixel_shuffle", F.pixel_shuffle, {"upscale_factor": factor}, input=x)


def save(name):
    here = Path(__file__).parent
    save_file({key: tensor.clone() for key, tensor in TENSORS.items()}, here / f"{name}.safetensors")
    (here / f"{name}.json").write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in CASES) + "\n]\n")
    print(f"{len(CASES)} cases")


def main():
    torch.manual_seed(0)
    for cases in (convolutions, products, poolings, normalisations, activations, shuffles):
        cases()
    save("ops")


if __name__ == "__main__":
    main()
