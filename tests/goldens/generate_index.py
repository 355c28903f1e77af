"""Golden cases of what moves, chooses, compares and converts elements, for the tests' reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_index.py

Writes index.safetensors and index.json, in the form of generate_ops.py. All
tensors are stored as float32, whatever their elements are: indices and truth
values are small whole numbers, and the functions here convert them. "dtype" says
what a tensor's elements are, float32 where nothing does; of several outputs, a
case has the one that "part" says.
"""

import numpy as np
import torch
import torch.nn.functional as F
from generate_ops import case, normal, save

DTYPES = {"float32": torch.float64, "int32": torch.int32, "bool": torch.bool}


def whole(*shape, size=5):
    return torch.randint(-size, size + 1, shape).float()


def indices(*shape, size):
    return torch.randint(0, size, shape).float()


def truth(*shape):
    return torch.randint(0, 2, shape).float()


def slices(x, *, axis, start, end, step):
    # NumPy has negative steps, which PyTorch lacks.
    at = (slice(None),) * axis + (slice(start, end, step),)
    return torch.from_numpy(np.ascontiguousarray(x.numpy()[at]))


def movements():
    x = normal(3, 7, 2)
    ranges = ((0, 7, 1), (2, None, 1), (None, -1, 2), (-3, None, 1), (-100, 100, 3), (None, None, -1), (5, 1, -2), (-1, -6, -3))
    for number, (start, end, step) in enumerate(ranges):
        attributes = {"axis": 1, "start": start, "end": end, "step": step}
        case(f"slice_{number}", "slice", slices, attributes, input=x)
    for part in range(3):
        case(f"split_{part}", "split", split, {"sizes": [1, 4, 2], "dim": 1, "part": part}, input=x)
    case("expand", "expand", torch.Tensor.expand, {"size": [4, 3, 5, 2]}, input=normal(3, 1, 2))
    case("expand_keep", "expand", torch.Tensor.expand, {"size": [4, 3, 2]}, input=normal(4, 1, 1))


def split(x, *, sizes, dim, part):
    return torch.split(x, sizes, dim)[part]


def embedding(index, weight):
    return F.embedding(index.long(), weight)


def index_select(x, index, *, dim):
    return torch.index_select(x, dim, index.long())


def indexed(x, index):
    return x[:, index.long()]


def gather(x, index, *, dim):
    return torch.gather(x, dim, index.long())


def indexing():
    case("embedding", "embedding", embedding, {}, index=indices(2, 3, size=7), weight=normal(7, 5))
    case("embedding_scalar", "embedding", embedding, {}, index=indices(size=7), weight=normal(7, 4))
    x = normal(3, 5, 4)
    for dim in range(3):
        index = indices(6, size=x.shape[dim])
        case(f"index_select_{dim}", "index_select", index_select, {"dim": dim}, input=x, index=index)
    # Indices of two dimensions, which ONNX's Gather takes, in the place of dimension 1.
    case("index_select_rank2", "indexed", indexed, {}, input=x, index=indices(2, 3, size=5))
    for dim, shape in ((0, (7, 5, 4)), (1, (3, 2, 4)), (2, (2, 3, 6))):
        case(f"gather_{dim}", "gather", gather, {"dim": dim}, input=x, index=indices(*shape, size=x.shape[dim]))


def logic():
    a, b = whole(4, 1, 5, size=2), whole(3, 1, size=2)
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        case(op, op, getattr(torch, op), {}, input=a, other=b)
    p, q = truth(3, 1, 4), truth(5, 1)
    for op in ("logical_and", "logical_or", "logical_xor"):
        case(op, op, getattr(torch, op), {}, input=p, other=q)
    case("logical_not", "logical_not", torch.logical_not, {}, input=p)
    case("where", "where", where, {}, condition=p, input=normal(5, 4), other=normal(3, 5, 1))


def where(condition, a, b):
    return torch.where(condition.bool(), a, b)


def cast(x, *, source, target):
    return x.to(DTYPES[source]).to(DTYPES[target])


def casts():
    x = torch.tensor([0.0, -0.0, 0.3, -0.9, 1.5, -1.5, 2.5, 7.99, -65536.5, 1e-30])
    for source in DTYPES:
        for target in DTYPES:
            case(f"cast_{source}_{target}", "cast", cast, {"source": source, "target": target}, input=x)


def arithmetic():
    a, b = normal(4, 1, 5), normal(3, 1)
    case("maximum", "maximum", torch.maximum, {}, input=a, other=b)
    case("minimum", "minimum", torch.minimum, {}, input=a, other=b)
    case("pow", "pow", torch.pow, {}, input=a.abs(), other=3 * b)
    case("pow_whole", "pow", torch.pow, {}, input=whole(4, 1, 5, size=3) - 0.5, other=whole(3, 1, size=3))
    divisor = whole(6, 1) + 0.5
    case("div_trunc", "div_trunc", div_trunc, {}, input=whole(5, size=40), other=divisor.sign() * divisor.abs().ceil())
    case("clamp", "clamp", torch.clamp, {"min": -0.5, "max": 1.0}, input=a)
    case("clamp_crossed", "clamp", torch.clamp, {"min": 1.0, "max": -0.5}, input=a)


def div_trunc(a, b):
    return torch.div(a.int(), b.int(), rounding_mode="trunc")


def functions():
    x = torch.cat((4 * normal(20), torch.tensor([0.0, 0.5, 1.5, -0.5, -2.5, 100.0, -1000.5])))
    for op in ("abs", "neg", "sign", "floor", "ceil", "round", "sin", "cos", "erf"):
        case(op, op, getattr(torch, op), {}, input=x.clone())
    case("exp", "exp", torch.exp, {}, input=x.clamp(-80, 80))
    for op in ("sqrt", "rsqrt", "reciprocal", "log"):
        case(op, op, getattr(torch, op), {}, input=x.abs() + 0.001)
    for op in ("asinh", "atan"):
        case(op, op, getattr(torch, op), {}, input=x.clone())
    for op in ("sinh", "cosh"):
        case(op, op, getattr(torch, op), {}, input=x.clamp(-80, 80))
    for op in ("asin", "acos", "atanh"):
        case(op, op, getattr(torch, op), {}, input=torch.linspace(-0.99, 0.99, 12))
    case("tan", "tan", torch.tan, {}, input=torch.linspace(-1.5, 1.5, 12))
    case("acosh", "acosh", torch.acosh, {}, input=x.abs() + 1)
    case("bitwise_not", "bitwise_not", lambda x: torch.bitwise_not(x.int()), {}, input=whole(9))


def remainders():
    a, b = 10 * normal(7, 1), normal(5)
    case("remainder", "remainder", torch.remainder, {}, input=a, other=b)
    case("fmod", "fmod", torch.fmod, {}, input=a, other=b)
    a, b = whole(7, 1, size=100), whole(5, size=100)
    for op in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        case(op, op, lambda a, b, op=op: getattr(torch, op)(a.int(), b.int()), {}, input=a, other=b)
    left = lambda a, b: torch.bitwise_left_shift(a.int(), b.int())
    case("bitwise_left_shift", "bitwise_left_shift", left, {}, input=a, other=b.abs() % 20)


def kinds():
    x = torch.tensor([0.0, -1.0, torch.inf, -torch.inf, torch.nan, 3e38, 1e-40])
    case("isnan", "isnan", torch.isnan, {}, input=x)
    case("isinf", "isinf", is_inf, {"positive": True, "negative": True}, input=x)
    case("isposinf", "isinf", is_inf, {"positive": True, "negative": False}, input=x)
    case("isneginf", "isinf", is_inf, {"positive": False, "negative": True}, input=x)


def is_inf(x, *, positive, negative):
    return positive & torch.isposinf(x) | negative & torch.isneginf(x)


def main():
    torch.manual_seed(0)
    for cases in (movements, indexing, logic, casts, arithmetic, functions, remainders, kinds):
        cases()
    save("index")


if __name__ == "__main__":
    main()
