"""Golden cases of padding, pooling, PReLU, gated linear units and matrix products of any rank, for the tests' reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_pool.py

Writes pool.safetensors and pool.json, in the form of generate_ops.py. `pad` is in PyTorch's order, the last dimension first.
"""

import torch
import torch.nn.functional as F
from generate_ops import case, normal, save


def pads():
    def add(name, shape, pad, mode, value=None):
        attributes = {"pad": pad, "mode": mode} | ({} if value is None else {"value": value})
        case(f"pad_{mode}_{name}", "pad", F.pad, attributes, input=normal(*shape))

    add("any_rank", (2, 3, 2, 4, 2), [1, 0, -1, 2, 0, 0, 0, 1], "constant", 0.5)
    add("cropped", (2, 3, 5), [-1, -2, 2, -1], "constant", -1.5)
    add("nothing_left", (2, 5), [-5, 2], "constant", 2.0)
    for mode in ("reflect", "replicate", "circular"):
        add("1d", (2, 3, 5), [3, 2], mode)
        add("2d", (1, 2, 5, 4), [1, 3, 2, 0], mode)
        add("cropped_1d", (2, 3, 5), [-2, 3], mode)
        add("cropped_2d", (1, 2, 5, 4), [2, -1, -2, 3], mode)
    # Part of what it shows is what was cropped.
    add("shows_cropped", (2, 3, 5), [-2, 4], "reflect")


def max_pool1d(x, *, kernel_size, stride, padding, dilation, ceil_mode):
    return F.max_pool1d(x, kernel_size, stride, padding, dilation, ceil_mode)


def poolings():
    attributes = {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1, "ceil_mode": True}
    case("max_pool1d", "max_pool1d", max_pool1d, attributes, input=normal(2, 3, 9))
    # Its first window lies on the padding, and on pixel 1.
    attributes = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": False}
    case("max_pool1d_dilated", "max_pool1d", max_pool1d, attributes, input=normal(2, 3, 9))
    attributes = {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}
    case("avg_pool1d", "avg_pool1d", F.avg_pool1d, attributes, input=normal(2, 3, 10))
    for op, compute in (("adaptive_avg_pool1d", F.adaptive_avg_pool1d), ("adaptive_max_pool1d", F.adaptive_max_pool1d)):
        case(op, op, compute, {"output_size": 4}, input=normal(2, 3, 10))

    for name, p, ceil_mode in (("1", 1.0, False), ("2", 2.0, False), ("2_ceil", 2.0, True), ("broken", 2.5, True)):
        x = normal(2, 3, 6, 7) if p in (1.0, 2.0) else normal(2, 3, 6, 7).abs()
        attributes = {"norm_type": p, "kernel_size": [2, 3], "stride": [2, 2], "ceil_mode": ceil_mode}
        case(f"lp_pool2d_{name}", "lp_pool2d", F.lp_pool2d, attributes, input=x)
    # An odd power of a negative number takes away.
    x = normal(2, 3, 7)
    x[..., ::2] = x[..., ::2].abs() + 2
    attributes = {"norm_type": 3.0, "kernel_size": 2, "stride": 2, "ceil_mode": True}
    case("lp_pool1d_odd", "lp_pool1d", F.lp_pool1d, attributes, input=x)


def swiglu(gate, up):
    return F.silu(gate) * up


def gates():
    x = normal(2, 4, 3)
    case("prelu_one", "prelu", F.prelu, {}, input=x, weight=normal(1))
    case("prelu_channels", "prelu", F.prelu, {}, input=x, weight=normal(4))
    case("prelu_rank1", "prelu", F.prelu, {}, input=normal(5), weight=normal(1))
    case("glu_middle", "glu", F.glu, {"dim": 1}, input=3 * x)
    case("glu_last", "glu", F.glu, {"dim": -1}, input=3 * normal(2, 3, 6))
    case("swiglu", "swiglu", swiglu, {}, gate=3 * x, up=3 * normal(2, 4, 3))


def matmul(a, b, *, transpose_a=False, transpose_b=False):
    return torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b)


def products():
    def add(name, a, b, transpose_a=False, transpose_b=False):
        attributes = {"transpose_a": transpose_a, "transpose_b": transpose_b}
        case(f"product_{name}", "product", matmul, attributes, a=normal(*a), b=normal(*b))

    add("of_vectors", (5,), (5,))
    add("of_vector_and_matrix", (5,), (5, 3))
    add("of_vector_and_matrices", (5,), (2, 5, 3))
    add("of_matrix_and_vector", (3, 5), (5,))
    add("of_matrices_and_vector", (2, 4, 3, 5), (5,))
    add("transposed_a", (2, 1, 5, 3), (4, 5, 2), transpose_a=True)
    add("transposed_b", (2, 3, 5), (4, 5), transpose_b=True)
    add("transposed", (5, 3), (2, 4, 5), transpose_a=True, transpose_b=True)


def indices():
    """Output 0 is the values, output 1 their places."""

    def pooling(function):
        return lambda x, *, output, **attributes: function(x, **attributes, return_indices=True)[output]

    def add(op, name, x, outputs=(0, 1), **attributes):
        function = pooling(getattr(F, op.removesuffix("_with_indices")))
        for output in outputs:
            case(f"{op}_{name}_{output}", op, function, attributes | {"output": output}, input=x)

    def add2d(name, x, size=(3, 3), stride=(2, 2), padding=(0, 0), dilation=(1, 1), ceil_mode=False, outputs=(0, 1)):
        sizes = {"kernel_size": list(size), "stride": list(stride), "padding": list(padding), "dilation": list(dilation)}
        add("max_pool2d_with_indices", name, x, outputs, **sizes, ceil_mode=ceil_mode)

    x = -0.1 - torch.rand(2, 2, 7, 6)
    add2d("plain", x)
    add2d("padded", x, padding=(1, 1))
    add2d("by_axis", x, size=(2, 5), stride=(3, 1), padding=(1, 2))
    add2d("dilated", x, padding=(1, 1), dilation=(2, 1))
    add2d("ceil", x, size=(2, 3), stride=(2, 3), padding=(1, 1), ceil_mode=True)
    add2d("ties", torch.randint(-2, 2, (1, 2, 6, 7)).float(), padding=(1, 1))
    x = normal(1, 1, 6, 7)
    x[torch.rand(x.shape) < 0.2] = torch.nan
    add2d("nan", x, outputs=(1,))
    add2d("lowest", torch.full((1, 1, 5, 5), -torch.inf), padding=(1, 1), outputs=(1,))

    attributes = {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}
    add("max_pool1d_with_indices", "dilated", normal(2, 3, 10), **attributes)
    add("adaptive_max_pool2d_with_indices", "up_and_down", normal(2, 2, 5, 7), output_size=[7, 3])
    add("adaptive_max_pool2d_with_indices", "nan", x, (1,), output_size=[2, 3])
    add("adaptive_max_pool1d_with_indices", "ties", torch.randint(-2, 2, (2, 3, 10)).float(), output_size=4)


def main():
    torch.manual_seed(0)
    for cases in (pads, poolings, gates, products, indices):
        cases()
    save("pool")


if __name__ == "__main__":
    main()
