"""Golden cases of reductions, cumulative sums and resampling, for the tests' reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_reduce.py

Writes reduce.safetensors and reduce.json, in the form of generate_ops.py. Indices are stored as float32, too.
"""

import torch
import torch.nn.functional as F
from generate_ops import case, normal, save


def reductions():
    def norm(x, *, p, dim, keepdim):
        return torch.norm(x, p, dim or None, keepdim)

    # torch.prod takes one axis at a time.
    def prod(x, *, dim, keepdim):
        for axis in sorted(dim or range(x.ndim), reverse=True):
            x = torch.prod(x, axis, keepdim)
        return x

    kinds = (
        ("sum", torch.sum, {}),
        ("mean", torch.mean, {}),
        ("amax", torch.amax, {}),
        ("amin", torch.amin, {}),
        ("prod", prod, {}),
        ("norm", norm, {"p": 1}),
        ("norm", norm, {"p": 2}),
        ("logsumexp", torch.logsumexp, {}),
    )
    x = normal(2, 3, 4, 5)
    for op, compute, attributes in kinds:
        for dim, keepdim in (([1], False), ([0, 2], True), ([2, 3], False), ([0, 1, 2, 3], False)):
            name = "_".join(map(str, [op, *attributes.values(), *dim]))
            case(name, op, compute, attributes | {"dim": dim, "keepdim": keepdim}, input=x)
    for op, compute in (("sum", torch.sum), ("mean", torch.mean), ("amax", torch.amax)):
        case(f"{op}_all", op, compute, {"dim": [], "keepdim": False}, input=x)
    # Overflows unless the largest is taken out.
    case("logsumexp_large", "logsumexp", torch.logsumexp, {"dim": [3], "keepdim": False}, input=500 * x)


def places():
    x = normal(2, 5, 7).round(decimals=0)  # many are equal
    for op, compute in (("argmax", torch.argmax), ("argmin", torch.argmin)):
        for dim, keepdim in ((0, False), (1, True), (2, False), (None, False), (None, True)):
            case(f"{op}_{dim}_{keepdim}", op, compute, {"dim": dim, "keepdim": keepdim}, input=x)

    def topk(x, *, k, dim, largest, output):
        return torch.topk(x, k, dim, largest)[output]

    x = normal(2, 5, 7)
    for k, dim, largest in ((3, 2, True), (7, 2, False), (1, 0, True), (4, 1, False)):
        for output in (0, 1):
            attributes = {"k": k, "dim": dim, "largest": largest, "output": output}
            case(f"topk_{k}_{dim}_{output}", "topk", topk, attributes, input=x)


def cumulative():
    # PyTorch has neither of ONNX's attributes.
    def cumsum(x, *, dim, exclusive, reverse):
        x = x.flip(dim) if reverse else x
        y = torch.cumsum(x, dim) - (x if exclusive else 0)
        return y.flip(dim) if reverse else y

    x = normal(2, 3, 5)
    for dim in (0, 1, 2):
        case(f"cumsum_{dim}", "cumsum", cumsum, {"dim": dim, "exclusive": False, "reverse": False}, input=x)
    for exclusive, reverse in ((True, False), (False, True), (True, True)):
        attributes = {"dim": 1, "exclusive": exclusive, "reverse": reverse}
        case(f"cumsum_{exclusive}_{reverse}", "cumsum", cumsum, attributes, input=x)


def resampling():
    def interpolate(x, *, mode, size, scale_factor, recompute_scale_factor, align_corners):
        # Which pixel is nearest, PyTorch decides in float32.
        x = x.float() if mode.startswith("nearest") else x
        return F.interpolate(x, size, scale_factor, mode, align_corners, recompute_scale_factor)

    def add(name, x, mode, **attributes):
        defaults = {"size": None, "scale_factor": None, "recompute_scale_factor": None, "align_corners": None}
        name = f"interpolate_{mode}_{name}"
        case(name, "interpolate", interpolate, {"mode": mode} | defaults | attributes, input=x)

    images = {f"{h}x{w}": normal(1, 2, h, w) for h, w in ((3, 7), (7, 3), (5, 10), (10, 5), (1, 2))}
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        for h, w in ((3, 7), (7, 3), (5, 10), (10, 5)):
            add(f"{h}x{w}", images[f"{h}x{w}"], mode, size=[w, h])
        # The products that decide are almost whole.
        add("1x2", images["1x2"], mode, size=[1, 41])
        for recompute in (None, True):
            add(f"factor_{recompute}", images["5x10"], mode, scale_factor=[1.7, 0.77], recompute_scale_factor=recompute)
        # No size changes: some modes copy.
        add("same", images["10x5"], mode, scale_factor=[1.05, 1.15])
    for mode in ("bilinear", "bicubic"):
        for h, w in ((3, 7), (10, 5)):
            add(f"{h}x{w}_corners", images[f"{h}x{w}"], mode, size=[w, h], align_corners=True)
        add("1_corners", images["7x3"], mode, size=[1, 1], align_corners=True)
    for mode in ("nearest", "nearest-exact", "linear"):
        add("length", normal(2, 3, 7), mode, size=[10])


def shuffles():
    def depth_to_space(x, *, blocksize):
        n, c, h, w = x.shape
        b = blocksize
        return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)

    def space_to_depth(x, *, blocksize):
        n, c, h, w = x.shape
        b = blocksize
        return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)

    for r in (2, 3):
        case(f"pixel_unshuffle_{r}", "pixel_unshuffle", F.pixel_unshuffle, {"downscale_factor": r}, input=normal(2, 2, 2 * r, 3 * r))
        # By their definitions in ONNX.
        case(f"depth_to_space_{r}", "depth_to_space", depth_to_space, {"blocksize": r}, input=normal(2, 2 * r**2, 2, 3))
        case(f"space_to_depth_{r}", "space_to_depth", space_to_depth, {"blocksize": r}, input=normal(2, 2, 2 * r, 3 * r))


def grids():
    x = normal(2, 2, 4, 5)
    grid = normal(2, 4, 5, 2)
    grid[0, 0] = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [0.0, 0.5], [3.0, -4.0]])  # corners, and far away
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding_mode in ("zeros", "border", "reflection"):
            for align_corners in (False, True):
                attributes = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
                name = f"grid_sample_{mode}_{padding_mode}_{align_corners}"
                case(name, "grid_sample", F.grid_sample, attributes, input=x, grid=grid)


def main():
    torch.manual_seed(0)
    for cases in (reductions, places, cumulative, resampling, shuffles, grids):
        cases()
    save("reduce")


if __name__ == "__main__":
    main()
