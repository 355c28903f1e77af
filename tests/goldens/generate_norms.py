"""Golden cases of layer, RMS, group and instance norm, for the tests' reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_norms.py

Writes norms.safetensors and norms.json, in the form of generate_ops.py.
"""

import torch
import torch.nn.functional as F
from generate_ops import case, normal, save

# What RMSNorm's default, None, means for float32; the cases are computed in float64.
FLOAT32_EPS = torch.finfo(torch.float32).eps


def layer_norm(x, weight=None, bias=None, *, normalized_shape, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def rms_norm(x, weight=None, *, normalized_shape, eps):
    return F.rms_norm(x, normalized_shape, weight, eps)


def group_norm(x, weight=None, bias=None, *, num_groups, eps):
    return F.group_norm(x, num_groups, weight, bias, eps)


def instance_norm(x, weight=None, bias=None, *, eps):
    return F.instance_norm(x, weight=weight, bias=bias, eps=eps)


def over_last_dimensions():
    x = normal(2, 6, 3, 5)
    for shape in ([5], [3, 5]):
        attributes = {"normalized_shape": shape, "eps": 1e-5}
        affine = {"weight": normal(*shape), "bias": normal(*shape)}
        case(f"layer_norm_{len(shape)}", "layer_norm", layer_norm, attributes, input=x, **affine)
        attributes = {"normalized_shape": shape, "eps": FLOAT32_EPS}
        case(f"rms_norm_{len(shape)}", "rms_norm", rms_norm, attributes, input=x, weight=affine["weight"])
    attributes = {"normalized_shape": [6, 3, 5], "eps": 0.1}
    case("layer_norm_plain", "layer_norm", layer_norm, attributes, input=10 + x)
    case("rms_norm_plain", "rms_norm", rms_norm, attributes, input=10 + x)


def over_channels():
    x = normal(2, 6, 3, 5)
    affine = {"weight": normal(6), "bias": normal(6)}
    for groups in (1, 2, 6):
        attributes = {"num_groups": groups, "eps": 1e-5}
        case(f"group_norm_{groups}", "group_norm", group_norm, attributes, input=x, **affine)
    case("group_norm_plain", "group_norm", group_norm, {"num_groups": 3, "eps": 0.1}, input=10 + normal(2, 6, 5))
    case("instance_norm", "instance_norm", instance_norm, {"eps": 1e-5}, input=x, **affine)
    case("instance_norm_plain", "instance_norm", instance_norm, {"eps": 0.1}, input=10 + x)


def main():
    torch.manual_seed(0)
    over_last_dimensions()
    over_channels()
    save("norms")


if __name__ == "__main__":
    main()
