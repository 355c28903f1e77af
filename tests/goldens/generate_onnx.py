"""Golden cases of operations that ONNX defines and PyTorch lacks or has otherwise, for the tests' reference loops.

    pip install torch torchvision onnx ml_dtypes safetensors numpy
    python tests/goldens/generate_onnx.py

Writes onnx.safetensors and onnx.json, in the form of generate_ops.py. What
PyTorch lacks is computed by onnx's reference implementation.
"""

import ml_dtypes
import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from generate_ops import case, save
from onnx.helper import make_node
from onnx.reference import ReferenceEvaluator

FORMATS = {
    "F16": np.float16,
    "Bf16": ml_dtypes.bfloat16,
    "Float8E4M3Fn": ml_dtypes.float8_e4m3fn,
    "Float8E4M3Fnuz": ml_dtypes.float8_e4m3fnuz,
    "Float8E5M2": ml_dtypes.float8_e5m2,
    "Float8E5M2Fnuz": ml_dtypes.float8_e5m2fnuz,
    "Float4E2M1": ml_dtypes.float4_e2m1fn,
}


def reduce_precision(x, *, format, saturate):
    dtype = FORMATS[format]
    x = x.float().numpy()
    if saturate:
        largest = ml_dtypes.finfo(dtype).max
        x = np.clip(x, -np.float32(largest), np.float32(largest))
    with np.errstate(over="ignore"):
        return torch.from_numpy(x.astype(dtype).astype(np.float32))


def power_of_two(x, *, format, saturate):
    # E8M0 rounds up, which ml_dtypes doesn't; its NaN is what is no power of two.
    mantissa, exponent = np.frexp(x.numpy())
    return torch.from_numpy(np.exp2(np.where(mantissa == 0.5, exponent - 1, exponent)))


def roundings():
    x = torch.cat((torch.randn(12), 100 * torch.randn(8), 1e-2 * torch.randn(8), 1e-6 * torch.randn(4)))
    # Ties, what overflows, subnormal numbers of the smaller formats.
    x = torch.cat((x, torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 17.0, 19.0, 1.0625, 1.1875])))
    x = torch.cat((x, torch.tensor([448.0, 463.9, 464.0, 464.1, 480.0, 247.9, 248.0, 61439.0, 61440.0, 65519.0, 65520.0, 1e30])))
    x = torch.cat((x, torch.tensor([torch.inf, -torch.inf, 2.0**-9, 2.0**-10, 3 * 2.0**-11, 2.0**-17, 3 * 2.0**-18])))
    for format in FORMATS:
        for saturate in (False, True):
            case(f"reduce_precision_{format}_{saturate}", "reduce_precision", reduce_precision, {"format": format, "saturate": saturate}, input=x)
    x = torch.tensor([1.0, 1.01, 2.0, 3.0, 0.5, 0.1, 1e-30, 1e30])
    case("reduce_precision_Float8E8M0", "reduce_precision", power_of_two, {"format": "Float8E8M0", "saturate": True}, input=x)


def reference(op, *inputs, output=0, **attributes):
    """What onnx's reference implementation makes of arrays."""
    names = [f"x{i}" for i in range(len(inputs))]
    node = make_node(op, names, [f"y{i}" for i in range(output + 1)], **attributes)
    given = {name: x.numpy() for name, x in zip(names, inputs)}
    return torch.from_numpy(np.ascontiguousarray(ReferenceEvaluator(node).run(None, given)[output]))


REDUCTIONS = ("none", "add", "mul", "max", "min")


def scatter(x, index, updates, *, axis, reduction):
    return reference("ScatterElements", x, index.long(), updates, axis=axis, reduction=reduction)


def scatter_nd(x, index, updates, *, reduction):
    return reference("ScatterND", x, index.long(), updates, reduction=reduction)


def gather_nd(x, index, *, batch_dims):
    # onnx's doesn't take indices from the end.
    sizes = torch.tensor(x.shape[batch_dims:][: index.shape[-1]])
    return reference("GatherND", x, index.long() % sizes, batch_dims=batch_dims)


def scatterings():
    x, index, updates = torch.randn(3, 5), torch.randint(-5, 5, (2, 4)).float(), torch.randn(2, 4)
    for reduction in REDUCTIONS:
        attributes = {"axis": 1, "reduction": reduction}
        case(f"scatter_{reduction}", "scatter", scatter, attributes, data=x, indices=index, updates=updates)
    index, updates = torch.randint(0, 3, (7, 5)).float(), torch.randn(7, 5)
    case("scatter_0", "scatter", scatter, {"axis": 0, "reduction": "add"}, data=x, indices=index, updates=updates)
    x, index, updates = torch.randn(3, 3, 2), torch.randint(-3, 3, (4, 2)).float(), torch.randn(4, 2)
    for reduction in REDUCTIONS:
        case(f"scatter_nd_{reduction}", "scatter_nd", scatter_nd, {"reduction": reduction}, data=x, indices=index, updates=updates)
    case("gather_nd", "gather_nd", gather_nd, {"batch_dims": 0}, data=x, indices=index)
    case("gather_nd_batch", "gather_nd", gather_nd, {"batch_dims": 1}, data=x, indices=torch.randint(-2, 2, (3, 4, 2)).float())


def pool(x, *, kind, kernel_shape, strides, dilations, pads, ceil_mode, count_include_pad, p=None):
    windows = {"kernel_shape": kernel_shape, "strides": strides, "dilations": dilations, "pads": pads}
    if kind == "max":
        return reference("MaxPool", x, ceil_mode=ceil_mode, **windows)
    if kind == "p_norm":
        return reference("LpPool", x, p=int(p), **windows)
    return reference("AveragePool", x, ceil_mode=ceil_mode, count_include_pad=count_include_pad, **windows)


def torch_pool3d(x, *, kind, kernel_shape, strides, dilations, pads, ceil_mode, count_include_pad, p=None, output=0):
    windows = {"kernel_size": kernel_shape, "stride": strides, "ceil_mode": bool(ceil_mode)}
    if kind == "max":
        return F.max_pool3d(x, dilation=dilations, padding=pads[:3], return_indices=True, **windows)[output]
    if kind == "lp":
        return F.lp_pool3d(x, p, **windows)
    return F.avg_pool3d(x, padding=pads[:3], count_include_pad=bool(count_include_pad), **windows)


def places(x, **attributes):
    return torch_pool3d(x, output=1, **attributes)


def poolings():
    def add(name, compute, x, kind, size, strides, pads, op, dilations=None, ceil=0, include=0, **p):
        rank = x.dim() - 2
        windows = {"kernel_shape": size, "strides": strides, "dilations": dilations or [1] * rank, "pads": pads}
        attributes = {"kind": kind, **windows, "ceil_mode": ceil, "count_include_pad": include, **p}
        case(f"{op}_{name}", op, compute, attributes, input=x)

    x = torch.randn(2, 2, 7, 8) - 0.5
    for include in (0, 1):
        for ceil in (0, 1):
            name = f"average_{include}_{ceil}"
            add(name, pool, x, "average", [3, 2], [2, 3], [1, 0, 2, 1], "pool_by_side", ceil=ceil, include=include)
        add(f"average_dilated_{include}", pool, x, "average", [3, 2], [1, 2], [0, 1, 2, 0], "pool_by_side", [2, 3], include=include)
    add("max", pool, x, "max", [3, 3], [2, 2], [0, 1, 2, 0], "pool_by_side")
    add("max_ceil", pool, x, "max", [3, 3], [2, 3], [0, 0, 1, 2], "pool_by_side", ceil=1)
    for p in (1, 2, 3):
        add(f"norm_{p}", pool, x, "p_norm", [3, 2], [2, 1], [1, 0, 2, 1], "pool_by_side", p=p)
    add("line", pool, torch.randn(1, 2, 9), "average", [4], [3], [1, 3], "pool_by_side", include=1)
    x = torch.randn(2, 2, 5, 6, 7)
    for op, compute in (("pool3d", torch_pool3d), ("pool3d_places", places)):
        add("max", compute, x, "max", [3, 2, 3], [2, 1, 2], [1, 1, 0] * 2, op)
        add("max_dilated", compute, x, "max", [2, 2, 3], [2, 3, 1], [0, 1, 1] * 2, op, [2, 1, 2], ceil=1)
    for include in (0, 1):
        add(f"average_{include}", torch_pool3d, x, "average", [3, 2, 3], [2, 2, 2], [1, 0, 1] * 2, "pool3d", ceil=1, include=include)
    add("lp", torch_pool3d, x.abs(), "lp", [2, 2, 3], [2, 1, 2], [0] * 6, "pool3d", ceil=1, p=3)
    add("onnx", pool, x, "average", [2, 2, 3], [2, 1, 2], [1, 0, 0, 0, 1, 2], "pool3d", include=1)
    for kind, compute in (("max", F.adaptive_max_pool3d), ("average", F.adaptive_avg_pool3d)):
        adaptive = lambda x, kind, output_size, compute=compute: compute(x, output_size)
        case(f"adaptive_pool3d_{kind}", "adaptive_pool3d", adaptive, {"kind": kind, "output_size": [2, 4, 3]}, input=x)


def conv_transpose3d(x, weight, bias=None, **attributes):
    return F.conv_transpose3d(x, weight, bias, **attributes)


def transposed():
    def add(name, channels, out, kernel, stride=[1] * 3, padding=[0] * 3, output_padding=[0] * 3, dilation=[1] * 3, groups=1):
        attributes = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation, "groups": groups}
        weight = torch.randn(channels, out // groups, *kernel)
        inputs = {"input": torch.randn(1, channels, 2, 3, 3), "weight": weight, "bias": torch.randn(out)}
        case(f"conv_transpose3d_{name}", "conv_transpose3d", conv_transpose3d, attributes, **inputs)

    add("double", 3, 2, [2, 2, 2], stride=[2, 2, 2])
    add("uneven", 2, 4, [3, 2, 3], [2, 1, 3], [1, 0, 1], [1, 0, 2], [1, 2, 1], 2)


def roi_align(x, rois, batch, *, output_size, spatial_scale, sampling_ratio, aligned, max):
    if not max:
        boxes = torch.cat((batch[:, None], rois), 1)
        return torchvision.ops.roi_align(x, boxes, output_size, spatial_scale, sampling_ratio, aligned)
    mode = "half_pixel" if aligned else "output_half_pixel"
    attributes = {"output_height": output_size[0], "output_width": output_size[1], "spatial_scale": spatial_scale}
    attributes |= {"sampling_ratio": sampling_ratio, "coordinate_transformation_mode": mode}
    return reference("RoiAlign", x, rois, batch.long(), mode="max", **attributes)


def regions():
    rois = torch.tensor([[0.9, 1.1, 5.3, 6.7], [-2.3, -3.1, 4.4, 5.6], [4.2, 3.7, 13.3, 11.9], [3.3, 2.2, 3.3, 2.2]])
    inputs = {"input": torch.randn(2, 2, 7, 6), "rois": rois, "batch": torch.tensor([0.0, 1.0, 1.0, 0.0])}
    for max in (False, True):
        for aligned in (False, True):
            for ratio in (0, 2):
                size = {"output_size": [3, 2], "spatial_scale": 0.5 if ratio else 1.0}
                attributes = {**size, "sampling_ratio": ratio, "aligned": aligned, "max": max}
                case(f"roi_align_{max}_{aligned}_{ratio}", "roi_align", roi_align, attributes, **inputs)


def volumes():
    x, grid = torch.randn(2, 2, 3, 4, 5), torch.randn(2, 2, 3, 2, 3)
    grid[0, 0, 0] = torch.tensor([[-1.0, 1.0, -1.0], [3.0, 0.5, -4.0]])
    for mode in ("bilinear", "nearest"):
        for padding_mode in ("zeros", "border", "reflection"):
            for align_corners in (False, True):
                attributes = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
                name = f"grid_sample_volumes_{mode}_{padding_mode}_{align_corners}"
                case(name, "grid_sample", F.grid_sample, attributes, input=x, grid=grid)


def deformed():
    def deform_conv2d(x, offset, weight, *rest, stride, pads, dilation, groups):
        assert pads[::2] == pads[1::2]
        mask, bias = rest if rest else (None, None)
        return torchvision.ops.deform_conv2d(x, offset, weight, bias, stride, pads[::2], dilation, mask)

    def add(name, groups, offset_groups, stride, padding, dilation, masked):
        weight = torch.randn(6, 4 // groups, 3, 2)
        size = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip((7, 6), padding, dilation, (3, 2), stride)]
        inputs = {"input": torch.randn(2, 4, 7, 6), "offset": 2 * torch.randn(2, 12 * offset_groups, *size), "weight": weight}
        if masked:
            inputs |= {"mask": torch.rand(2, 6 * offset_groups, *size), "bias": torch.randn(6)}
        pads = [p for p in padding for _ in range(2)]
        attributes = {"stride": stride, "pads": pads, "dilation": dilation, "groups": groups}
        case(f"deform_conv2d_{name}", "deform_conv2d", deform_conv2d, attributes, **inputs)

    add("plain", 1, 1, [1, 1], [0, 0], [1, 1], False)
    add("masked", 1, 2, [2, 1], [1, 2], [1, 2], True)
    add("grouped", 2, 4, [1, 2], [2, 1], [2, 1], True)
    add("mixed", 2, 1, [1, 1], [1, 1], [1, 1], False)


def main():
    torch.manual_seed(0)
    for cases in (roundings, scatterings, poolings, transposed, regions, volumes, deformed):
        cases()
    save("onnx")


if __name__ == "__main__":
    main()
