"""Golden cases of arithmetic, and of operations that only move elements, for the self-test's reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_basic.py

Writes basic.safetensors and basic.json, in the form of generate_ops.py.
"""

import torch
from generate_ops import case, normal, save


def arithmetic():
    a, b = normal(2, 1, 3), normal(4, 1)
    for name in ("add", "sub", "mul", "div"):
        case(name, name, lambda a, b, name=name: getattr(torch, name)(a, b), {}, a=a, b=b)


def movement():
    x, y = normal(2, 3, 4), normal(2, 1, 4)
    case("cat", "cat", lambda *xs, dim: torch.cat(xs, dim), {"dim": 1}, a=x, b=y, c=x)
    case("permute", "permute", lambda x, dims: x.permute(dims), {"dims": [2, 0, 1]}, input=x)
    case("reshape", "reshape", lambda x, shape: x.reshape(shape), {"shape": [4, 6]}, input=x)
    case("flatten", "flatten", lambda x: x.flatten(1), {}, input=x)


def append(cache, rows, *, positions):
    """Rows join a cache [N, capacity, width], those of sequence n from its position on."""
    cache = cache.clone()
    for n, position in enumerate(positions):
        cache[n, position : position + rows.shape[1]] = rows[n]
    return cache


def main():
    torch.manual_seed(0)
    arithmetic()
    movement()
    case("append", "append", append, {"positions": [3, 0]}, cache=normal(2, 5, 3), rows=normal(2, 2, 3))
    save("basic")


if __name__ == "__main__":
    main()
