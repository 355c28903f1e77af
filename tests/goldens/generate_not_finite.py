"""Golden cases with NaN and infinities, for the self-test's reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_not_finite.py

Writes not_finite.safetensors and not_finite.json, in the form of generate_ops.py.
"""

import torch
import torch.nn.functional as F
from generate_ops import case, normal, save

NAN, INF = float("nan"), float("inf")
NUMBERS = torch.tensor([NAN, -NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 1e30, -1e30])


def planted(*shape):
    """Random numbers in rows, one of which has a NaN, one an infinity, one both infinities."""
    x = normal(*shape)
    rows = x.view(-1, shape[-1])
    rows[0, 1], rows[1, 2], rows[2, 0], rows[2, 2] = NAN, INF, INF, -INF
    return x


def functions():
    for name in ("relu", "relu6", "silu", "hardswish", "selu", "hardsigmoid", "mish", "softsign"):
        case(name, name, getattr(F, name), {}, input=NUMBERS)
    # The infinities of gelu are left out: of +inf PyTorch 2.15 gives NaN on a CPU, the definition inf.
    case("gelu", "gelu", F.gelu, {"approximate": "none"}, input=NUMBERS[torch.isfinite(NUMBERS) | NUMBERS.isnan()])
    case("gelu_tanh", "gelu", F.gelu, {"approximate": "tanh"}, input=NUMBERS)
    case("leaky_relu", "leaky_relu", F.leaky_relu, {"negative_slope": 0.1}, input=NUMBERS)
    for name in ("elu", "celu"):
        case(name, name, getattr(F, name), {"alpha": 1.5}, input=NUMBERS)
    case("softplus", "softplus", F.softplus, {"beta": 0.5, "threshold": 20.0}, input=NUMBERS)
    for name in ("sigmoid", "tanh", "abs", "neg", "floor", "ceil", "round", "sqrt", "rsqrt", "reciprocal", "exp", "log", "erf",
                 "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh"):
        case(name, name, getattr(torch, name), {}, input=NUMBERS)
    for name in ("sin", "cos", "tan"):
        case(name, name, getattr(torch, name), {}, input=torch.tensor([NAN, INF, -INF, 1e5, -1e7, 3e10, 1e30]))


def pairs():
    a = NUMBERS[:, None]
    for name in ("add", "sub", "mul", "div", "maximum", "minimum", "pow", "remainder", "fmod"):
        case(name, name, getattr(torch, name), {}, input=a, other=NUMBERS)
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        case(name, name, getattr(torch, name), {}, input=a, other=NUMBERS)
    case("prelu", "prelu", F.prelu, {}, input=NUMBERS, weight=torch.tensor([0.25]))


def lines():
    x = torch.cat([planted(4, 5), torch.full((1, 5), -INF), torch.full((1, 5), INF)])
    for name in ("softmax", "log_softmax"):
        case(name, name, getattr(F, name), {"dim": 1}, input=x)
    for name in ("sum", "mean", "amax", "amin", "logsumexp"):
        case(name, name, getattr(torch, name), {"dim": [1], "keepdim": False}, input=x)
    case("prod", "prod", lambda x, dim, keepdim: torch.prod(x, dim[0], keepdim), {"dim": [1], "keepdim": False}, input=x)
    for p in (1, 2):
        norm = lambda x, p, dim, keepdim: torch.norm(x, p, dim, keepdim)
        case(f"norm_{p}", "norm", norm, {"p": p, "dim": [1], "keepdim": False}, input=x)
    for name in ("argmax", "argmin"):
        case(name, name, getattr(torch, name), {"dim": 1, "keepdim": False}, input=x)
    for largest in (True, False):
        for output in (0, 1):
            attributes = {"k": 3, "dim": 1, "largest": largest, "output": output}
            compute = lambda x, k, dim, largest, output: torch.topk(x, k, dim, largest)[output]
            case(f"topk_{largest}_{output}", "topk", compute, attributes, input=planted(4, 5))


def norms():
    x = planted(4, 5)
    layer_norm = lambda x, normalized_shape, eps: F.layer_norm(x, normalized_shape, eps=eps)
    case("layer_norm", "layer_norm", layer_norm, {"normalized_shape": [5], "eps": 1e-5}, input=x)
    case("layer_norm_great", "layer_norm", layer_norm, {"normalized_shape": [64], "eps": 1e-5}, input=3e18 * normal(2, 64))
    rms_norm = lambda x, normalized_shape, eps: F.rms_norm(x, normalized_shape, eps=eps)
    case("rms_norm", "rms_norm", rms_norm, {"normalized_shape": [5], "eps": 1e-5}, input=x)
    group_norm = lambda x, num_groups, eps: F.group_norm(x, num_groups, eps=eps)
    case("group_norm", "group_norm", group_norm, {"num_groups": 2, "eps": 1e-5}, input=planted(2, 4, 3))
    lrn = lambda x, size, alpha, beta, k: F.local_response_norm(x, size, alpha, beta, k)
    case("local_response_norm", "local_response_norm", lrn, {"size": 3, "alpha": 1e-4, "beta": 0.75, "k": 1.0}, input=planted(1, 4, 2, 3))


def images():
    x = planted(1, 2, 6, 5)
    pad = {"kernel_size": [2, 3], "stride": [1, 2], "padding": [1, 1], "ceil_mode": False}
    case("max_pool2d", "max_pool2d", F.max_pool2d, pad | {"dilation": [1, 1]}, input=x)
    case("avg_pool2d", "avg_pool2d", F.avg_pool2d, pad | {"count_include_pad": True}, input=x)
    for output in (0, 1):
        compute = lambda x, output, **attributes: F.max_pool2d(x, return_indices=True, **attributes)[output]
        case(f"max_pool2d_{output}", "max_pool2d_with_indices", compute, pad | {"dilation": [1, 1], "output": output}, input=x)
    lp = {"norm_type": 2.0, "kernel_size": [2, 2], "stride": [2, 1], "ceil_mode": False}
    case("lp_pool2d", "lp_pool2d", F.lp_pool2d, lp, input=x)
    conv = {"stride": [1, 1], "padding": [1, 1, 1, 1], "dilation": [1, 1], "groups": 1, "padding_mode": "zeros"}

    def conv2d(x, weight, stride, padding, dilation, groups, padding_mode):
        # In f32 and f64 alike a pixel that no tap sees is no part of a sum: by hand, as libraries may differ.
        out = torch.zeros(1, 3, 6, 5, dtype=x.dtype)
        for oy in range(6):
            for ox in range(5):
                for ky in range(3):
                    for kx in range(3):
                        y, z = oy + ky - 1, ox + kx - 1
                        if 0 <= y < 6 and 0 <= z < 5:
                            out[:, :, oy, ox] += (x[:, None, :, y, z] * weight[None, :, :, ky, kx]).sum(2)
        return out

    case("conv2d", "conv2d", conv2d, conv, input=x, weight=normal(3, 2, 3, 3))
    case("linear", "linear", F.linear, {}, input=planted(4, 5), weight=normal(3, 5))
    for mode, align in (("nearest", None), ("bilinear", True), ("bilinear", False), ("bicubic", False)):
        attributes = {"size": [7, 9], "scale_factor": None, "mode": mode, "align_corners": align, "recompute_scale_factor": None}
        case(f"interpolate_{mode}_{align}", "interpolate", F.interpolate, attributes, input=x)


def attention():
    def compute(q, k, v, mask=None, *, scale, is_causal, enable_gqa):
        # PyTorch 2.15's fused kernel for CPUs gives 0 for a row of NaN; its other kernels follow the definition.
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return F.scaled_dot_product_attention(
                q, k, v, mask, scale=scale, is_causal=is_causal, enable_gqa=enable_gqa)

    attributes = {"scale": None, "is_causal": False, "enable_gqa": False}
    for name in ("q", "k", "v"):
        for value in (NAN, INF, -INF):
            inputs = {key: normal(1, 2, 5, 4) for key in ("q", "k", "v")}
            inputs[name][0, 1, 2, 3] = value
            case(f"attention_{name}_{value}", "scaled_dot_product_attention", compute, attributes, **inputs)
    mask = normal(5, 5)
    mask[0], mask[1, 1], mask[2, 2], mask[3, 0] = -INF, NAN, INF, -INF
    inputs = {key: normal(1, 2, 5, 4) for key in ("q", "k", "v")}
    case("attention_mask", "scaled_dot_product_attention", compute, attributes, **inputs, mask=mask)


def main():
    torch.manual_seed(0)
    functions()
    pairs()
    lines()
    norms()
    images()
    attention()
    save("not_finite")


if __name__ == "__main__":
    main()
