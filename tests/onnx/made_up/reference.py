"""ONNX operators in f64, with an estimate of how far a computation in f32 may be off.

`evaluate` runs a graph. The outputs of each node are rounded to f32, so that they overflow where a device's do. With a generator of
noise each output is moved by as much as a device may be off: what several such runs differ in is what nobody can know exactly, whatever
follows on it. An operator is a function of its attributes and inputs that returns its outputs and, for each, by how many units in the
last place of 1 (`ULP`) it may be off: an array that broadcasts to it.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

ULP = 2.0**-23
TINY = 2.0**-126


def f32(x):
    """Rounded to f32, in f64."""
    with np.errstate(all="ignore"):
        return x.astype(np.float32).astype(np.float64)


def compute(op, attributes, inputs, outputs):
    """What a node with so many outputs gives."""
    if op == "BatchNormalization" and outputs == 5:
        # Before opset 14 these outputs said that the statistics are the batch's.
        op = "BatchNormalizationOfBatch"
    with np.errstate(all="ignore"):
        return OPS[op](attributes, *inputs)


def evaluate(nodes, values, noise=None):
    """The values of all names. `nodes` are `(op, inputs, outputs, attributes)` in any order, `values` those that are known."""
    values = {name: x.astype(np.float64) if x.dtype == np.float32 else x for name, x in values.items()}
    waiting = list(nodes)
    while waiting:
        ready = [node for node in waiting if all(not name or name in values for name in node[1])]
        assert ready, "a circle, or a name that nobody computes"
        for op, inputs, outputs, attributes in ready:
            result = compute(op, attributes, [values[name] if name else None for name in inputs], len(outputs))
            for name, (y, off) in zip(outputs, result):
                if noise is not None and y.dtype == np.float64:
                    moved = y + noise.uniform(-1, 1, y.shape) * ULP * off
                    y = f32(np.where(np.isfinite(y), moved, y))
                    y = np.where((np.abs(y) < TINY) & noise.flushes, 0.0, y)
                values[name] = f32(y) if y.dtype == np.float64 else y
        waiting = [node for node in waiting if node not in ready]
    return values


def one(y, off=None):
    """One output, off by so many units of its own last place unless said."""
    y = np.asarray(y)
    return [(y, np.abs(np.where(np.isfinite(y), y, 0)) * 2 if off is None else off)]


def exact(*ys):
    return [(np.asarray(y), 0.0) for y in ys]


def spread(count):
    """What the order of so many additions makes."""
    return 2 + math.sqrt(count) / 2


def finite(x):
    return np.where(np.isfinite(x), x, 0.0)


# Functions of one number.


def erf(x):
    # Abramowitz and Stegun aren't exact enough: the standard library's, one by one.
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def softplus(x):
    return np.where(np.isnan(x), x, np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Of x and the attributes; how many units of its own last place it may be off, or of 1 too.
UNARY = {
    "Abs": lambda x, a: np.abs(x),
    "Neg": lambda x, a: -x,
    "Relu": lambda x, a: np.maximum(x, 0),
    "Sigmoid": lambda x, a: sigmoid(x),
    "Tanh": lambda x, a: np.tanh(x),
    "Exp": lambda x, a: np.exp(x),
    "Log": lambda x, a: np.log(x),
    "Sqrt": lambda x, a: np.sqrt(x),
    "Reciprocal": lambda x, a: 1 / x,
    "Sin": lambda x, a: np.sin(x),
    "Cos": lambda x, a: np.cos(x),
    "Tan": lambda x, a: np.tan(x),
    "Asin": lambda x, a: np.arcsin(x),
    "Acos": lambda x, a: np.arccos(x),
    "Atan": lambda x, a: np.arctan(x),
    "Sinh": lambda x, a: np.sinh(x),
    "Cosh": lambda x, a: np.cosh(x),
    "Asinh": lambda x, a: np.arcsinh(x),
    "Acosh": lambda x, a: np.arccosh(x),
    "Atanh": lambda x, a: np.arctanh(x),
    "Erf": lambda x, a: erf(x),
    "Floor": lambda x, a: np.floor(x),
    "Ceil": lambda x, a: np.ceil(x),
    "Round": lambda x, a: np.rint(x),
    "Sign": lambda x, a: np.sign(x),
    "Elu": lambda x, a: np.where(x < 0, a.get("alpha", 1.0) * np.expm1(x), x),
    "Selu": lambda x, a: 1.0507009873554805 * np.where(x <= 0, 1.6732632423543772 * np.expm1(x), x),
    "Celu": lambda x, a: np.maximum(x, 0) + np.minimum(0, a.get("alpha", 1.0) * np.expm1(x / a.get("alpha", 1.0))),
    "LeakyRelu": lambda x, a: np.where(x < 0, a.get("alpha", 0.01) * x, x),
    "HardSigmoid": lambda x, a: np.clip(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "HardSwish": lambda x, a: x * np.clip(x / 6 + 0.5, 0, 1),
    "Softplus": lambda x, a: softplus(x),
    "Softsign": lambda x, a: x / (1 + np.abs(x)),
    "ThresholdedRelu": lambda x, a: np.where(x > a.get("alpha", 1.0), x, 0),
    "Mish": lambda x, a: x * np.tanh(softplus(x)),
    "Gelu": lambda x, a: gelu(x, a.get("approximate", "none")),
    "Identity": lambda x, a: x,
}
# Off by units of 1: they are differences of such, or periodic.
ROUGH = {"Sin", "Cos", "Tan", "Tanh", "Asin", "Acos", "Atan", "Sinh", "Asinh", "Acosh", "Atanh", "Erf", "Log", "Elu", "Selu"}
ROUGH |= {"Celu", "Softplus", "Mish", "Gelu", "HardSwish", "HardSigmoid", "Sigmoid"}
EXACT = {"Abs", "Neg", "Relu", "Floor", "Ceil", "Round", "Sign", "Identity"}


def unary(name):
    def op(attributes, x):
        y = UNARY[name](x, attributes)
        if name in EXACT:
            return exact(y)
        off = np.abs(finite(y)) * (8 + (np.abs(finite(x)) if name in {"Exp", "Sinh", "Cosh"} else 0))
        if name in ROUGH:
            off = off + 16
        if name == "Tan":
            off = off * (1 + np.abs(finite(y)))
        return one(y, off)

    return op


# Of two numbers and more.


def power(attributes, x, y):
    z = np.power(x, y)
    # A logarithm, a product, an exponential.
    steep = np.abs(finite(y * np.log2(np.abs(x))))
    return one(z, np.abs(finite(z)) * (8 + 2 * steep))


def arithmetic(function):
    def op(attributes, *inputs):
        y = inputs[0]
        for x in inputs[1:]:
            y = function(y, x)
        return one(y)

    return op


def summed(attributes, *inputs):
    return one(sum(inputs), sum(np.abs(finite(x)) for x in inputs))


def mean(attributes, *inputs):
    return one(sum(inputs) / len(inputs), sum(np.abs(finite(x)) for x in inputs))


def clip(attributes, x, low=None, high=None):
    y = x if low is None else np.maximum(x, low)
    return exact(y if high is None else np.minimum(y, high))


def compare(function):
    return lambda attributes, a, b: exact(function(a, b))


# Along axes.


def over(attributes, x, given):
    axes = attributes.get("axes") if given is None else [int(axis) for axis in given]
    return tuple(axis % x.ndim for axis in axes) if axes else tuple(range(x.ndim))


def log_sum_exp(x, **along):
    top = np.max(x, keepdims=True, axis=along["axis"])
    top = np.where(np.isfinite(top), top, 0)
    return np.log(np.sum(np.exp(x - top), **along)) + (top if along["keepdims"] else np.squeeze(top, along["axis"]))


REDUCED = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceL1": lambda x, **a: np.sum(np.abs(x), **a),
    "ReduceL2": lambda x, **a: np.sqrt(np.sum(x * x, **a)),
    "ReduceSumSquare": lambda x, **a: np.sum(x * x, **a),
    "ReduceLogSum": lambda x, **a: np.log(np.sum(x, **a)),
    "ReduceLogSumExp": log_sum_exp,
}


def reduced(name):
    def op(attributes, x, given=None):
        along = {"axis": over(attributes, x, given), "keepdims": bool(attributes.get("keepdims", 1))}
        y = REDUCED[name](x, **along)
        if name in {"ReduceMax", "ReduceMin"}:
            return exact(y)
        count = math.prod(x.shape[axis] for axis in along["axis"])
        scale = np.abs(finite(y))
        if name in {"ReduceSum", "ReduceMean"}:
            scale = REDUCED[name](np.abs(finite(x)), **along)
        if name in {"ReduceLogSum", "ReduceLogSumExp"}:
            scale = scale + 16
        return one(y, scale * (spread(count) + (count if name == "ReduceProd" else 0)))

    return op


def picked(function):
    def op(attributes, x):
        axis = attributes.get("axis", 0)
        y = function(x, axis=axis)
        return exact(np.expand_dims(y, axis) if attributes.get("keepdims", 1) else y)

    return op


def top_k(attributes, x, k):
    axis, largest, k = attributes.get("axis", -1), attributes.get("largest", 1), int(k[0])
    order = np.take(np.argsort(-x if largest else x, axis=axis, kind="stable"), np.arange(k), axis=axis)
    return exact(np.take_along_axis(x, order, axis), order)


def cum_sum(attributes, x, axis):
    axis = int(axis)
    flip = (lambda v: np.flip(v, axis)) if attributes.get("reverse") else (lambda v: v)

    def sums(v):
        y = np.cumsum(flip(v), axis)
        if attributes.get("exclusive"):
            y = np.insert(np.delete(y, -1, axis), 0, 0, axis)
        return flip(y)

    return one(sums(x), sums(np.abs(finite(x))) * spread(x.shape[axis]))


def softmax(log):
    def op(attributes, x):
        axis = attributes.get("axis", -1)
        shifted = x - np.max(x, axis=axis, keepdims=True)
        total = np.sum(np.exp(shifted), axis=axis, keepdims=True)
        y = shifted - np.log(total) if log else np.exp(shifted) / total
        near = 16 + np.abs(finite(shifted)) * 4
        return one(y, (near if log else np.abs(finite(y)) * near) + spread(x.shape[axis]) * (1 if log else np.abs(finite(y))))

    return op


# Normalisations.


def standardised(x, axes, epsilon, centred=True):
    """What has a mean of 0 and a variance of 1 along the axes, and how far it may be off."""
    middle = np.mean(x, axis=axes, keepdims=True) if centred else 0.0
    deviation = np.sqrt(np.mean((x - middle) ** 2, axis=axes, keepdims=True) + epsilon)
    largest = np.max(np.abs(finite(x)), axis=axes, keepdims=True)
    count = math.prod(x.shape[axis] for axis in axes)
    y = (x - middle) / deviation
    # The mean is off by units of the largest, which a small deviation makes large.
    return y, spread(count) * (np.abs(finite(y)) + finite(largest / deviation))


def affine(y, off, scale, bias):
    return one(y * scale + (0 if bias is None else bias), off * np.abs(scale) + np.abs(0 if bias is None else bias))


def layer_norm(attributes, x, scale, bias=None):
    axis = attributes.get("axis", -1) % x.ndim
    y, off = standardised(x, tuple(range(axis, x.ndim)), attributes.get("epsilon", 1e-5))
    return affine(y, off, scale, bias)


def rms_norm(attributes, x, scale):
    axis = attributes.get("axis", -1) % x.ndim
    y, off = standardised(x, tuple(range(axis, x.ndim)), attributes.get("epsilon", 1e-5), centred=False)
    return affine(y, off, scale, None)


def by_channel(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def instance_norm(attributes, x, scale, bias):
    y, off = standardised(x, tuple(range(2, x.ndim)), attributes.get("epsilon", 1e-5))
    return affine(y, off, by_channel(scale, x), by_channel(bias, x))


def group_norm(attributes, x, scale, bias):
    groups = x.reshape(x.shape[0], attributes["num_groups"], -1)
    y, off = standardised(groups, (2,), attributes.get("epsilon", 1e-5))
    off = np.broadcast_to(off, y.shape).reshape(x.shape)
    return affine(y.reshape(x.shape), off, by_channel(scale, x), by_channel(bias, x))


def batch_norm(attributes, x, scale, bias, middle, variance):
    factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    wide = [by_channel(v, x) for v in (factor, bias - middle * factor)]
    return one(x * wide[0] + wide[1], 4 * np.abs(finite(x * wide[0])) + 4 * np.abs(wide[1]) + 4 * np.abs(by_channel(bias, x)))


def batch_norm_of_batch(attributes, x, scale, bias, middle, variance):
    y, off = standardised(x, (0, *range(2, x.ndim)), attributes.get("epsilon", 1e-5))
    return affine(y, off, by_channel(scale, x), by_channel(bias, x))


def lp_norm(attributes, x):
    axis, p = attributes.get("axis", -1), attributes.get("p", 2)
    norm = np.sum(np.abs(x) ** p, axis=axis, keepdims=True) ** (1 / p)
    return one(np.where(norm == 0, 0, x / norm), np.abs(finite(x / norm)) * 2 * spread(x.shape[axis]))


def local_response_norm(attributes, x):
    size, channels = attributes["size"], x.shape[1]
    total = np.zeros_like(x)
    for c in range(channels):
        low, high = max(0, c - (size - 1) // 2), min(channels, c + size // 2 + 1)
        total[:, c] = np.sum(x[:, low:high] ** 2, axis=1)
    bottom = attributes.get("bias", 1.0) + attributes.get("alpha", 1e-4) / size * total
    y = x / bottom ** attributes.get("beta", 0.75)
    return one(y, 16 * np.abs(finite(y)))


# Windows.


def pads(attributes, size, kernel, strides, dilations):
    """What is added before and after each axis, and beyond that for the last window of ceil_mode."""
    rank, auto = len(kernel), attributes.get("auto_pad", "NOTSET")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    given = list(attributes.get("pads", [0] * 2 * rank))
    before, after = given[:rank], given[rank:]
    if auto.startswith("SAME"):
        total = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(size, strides, reach)]
        small = [t // 2 for t in total]
        before, after = ([t - s for t, s in zip(total, small)], small) if auto == "SAME_LOWER" else (small, [t - s for t, s in zip(total, small)])
    beyond = [0] * rank
    if attributes.get("ceil_mode"):
        for i in range(rank):
            room = size[i] + before[i] + after[i] - reach[i]
            count = -(-room // strides[i]) + 1
            # A window that begins beyond the image and what is before it isn't one.
            if (count - 1) * strides[i] >= size[i] + before[i]:
                count -= 1
            beyond[i] = max(0, (count - 1) * strides[i] - room)
    return before, after, beyond


def windows(x, attributes, kernel, fill):
    """[N, C, places.., kernel..], and the same of ones where a window has what counts: the image, or its padding too."""
    rank = len(kernel)
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    before, after, beyond = pads(attributes, x.shape[2:], kernel, strides, dilations)
    inner = list(zip(before, after))
    outer = list(zip([0] * rank, beyond))
    fixed = [(0, 0)] * 2
    padded = np.pad(np.pad(x, fixed + inner, constant_values=fill), fixed + outer, constant_values=fill)
    ones = np.pad(np.ones((1, 1, *x.shape[2:])), fixed + inner, constant_values=float(attributes.get("count_include_pad", 0)))
    ones = np.pad(ones, fixed + outer)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    axes = tuple(range(2, 2 + rank))
    step = (slice(None),) * 2 + tuple(slice(None, None, s) for s in strides) + tuple(slice(None, None, d) for d in dilations)
    return [sliding_window_view(v, reach, axes)[step] for v in (padded, ones)]


def pool(kind):
    def op(attributes, x):
        kernel = attributes.get("kernel_shape", x.shape[2:])
        axes = tuple(range(-len(kernel), 0))
        if kind == "average":
            seen, ones = windows(x, attributes, kernel, 0.0)
            count = np.sum(ones, axis=axes)
            return one(np.sum(seen, axis=axes) / count, spread(math.prod(kernel)) * np.sum(np.abs(finite(seen)), axis=axes) / count)
        if kind == "lp":
            p = attributes.get("p", 2)
            seen, _ = windows(x, attributes, kernel, 0.0)
            y = np.sum(np.abs(seen) ** p, axis=axes) ** (1 / p)
            return one(y, np.abs(finite(y)) * (8 + spread(math.prod(kernel))))
        seen, _ = windows(x, attributes, kernel, -np.inf)
        y = np.max(seen, axis=axes)
        places = np.arange(x.size).reshape(x.shape)
        at, _ = windows(places, attributes, kernel, -1)
        flat = seen.reshape(*seen.shape[: -len(kernel)], -1)
        # Each NaN takes the place of the one before, as in PyTorch.
        nan = np.isnan(flat)
        last = flat.shape[-1] - 1 - np.argmax(nan[..., ::-1], axis=-1)
        best = np.where(nan.any(axis=-1), last, np.argmax(flat, axis=-1))[..., None]
        return exact(y, np.take_along_axis(at.reshape(flat.shape), best, -1)[..., 0])

    return op


def conv(attributes, x, w, bias=None):
    groups, rank = attributes.get("group", 1), w.ndim - 2
    seen, _ = windows(x, attributes, w.shape[2:], 0)
    n, places = x.shape[0], seen.shape[2 : 2 + rank]

    def product(seen, w):
        # [N, g, C/g, places, kernel] by [g, O/g, C/g, kernel].
        seen = seen.reshape(n, groups, x.shape[1] // groups, math.prod(places), -1)
        w = w.reshape(groups, w.shape[0] // groups, x.shape[1] // groups, -1)
        parts = [np.tensordot(seen[:, g], w[g], axes=([1, 3], [1, 2])) for g in range(groups)]
        return np.concatenate([np.moveaxis(part, 1, 2) for part in parts], 1).reshape(n, -1, *places)

    y = product(seen, w)
    if y.dtype != np.float64:
        return exact(y)
    off = product(np.abs(finite(seen)), np.abs(w))
    if bias is not None:
        y = y + by_channel(bias, y)
    # A transform of the image (Winograd's) makes a pixel's error its neighbours'.
    return one(y, spread(math.prod(w.shape[1:])) * np.max(off, initial=0.0) + np.abs(finite(y)))


def conv_integer(attributes, x, w, x_zero=None, w_zero=None):
    whole = [v.astype(np.int64) - (0 if zero is None else int(zero)) for v, zero in ((x, x_zero), (w, w_zero))]
    return exact(conv(attributes, *whole)[0][0].astype(np.int32))


def conv_transpose(attributes, x, w, bias=None):
    rank = w.ndim - 2
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    given = attributes.get("pads", [0] * 2 * rank)
    extra = attributes.get("output_padding", [0] * rank)
    groups, (n, c) = attributes.get("group", 1), x.shape[:2]
    full = [(x.shape[2 + i] - 1) * strides[i] + (w.shape[2 + i] - 1) * dilations[i] + 1 + extra[i] for i in range(rank)]

    def scattered(x, w):
        y = np.zeros((n, w.shape[1] * groups, *full))
        for at in np.ndindex(*w.shape[2:]):
            place = tuple(slice(a * d, a * d + (size - 1) * s + 1, s) for a, d, s, size in zip(at, dilations, strides, x.shape[2:]))
            for g in range(groups):
                some = slice(g * c // groups, (g + 1) * c // groups)
                part = np.einsum("nc...,co->no...", x[:, some], w[(some, slice(None), *at)])
                y[(slice(None), slice(g * w.shape[1], (g + 1) * w.shape[1]), *place)] += part
        return y[(slice(None),) * 2 + tuple(slice(given[i], full[i] - given[rank + i]) for i in range(rank))]

    y, off = scattered(x, w), scattered(np.abs(finite(x)), np.abs(w))
    if bias is not None:
        y = y + by_channel(bias, y)
    return one(y, spread(w.size // w.shape[1]) * np.max(off, initial=0.0) + np.abs(finite(y)))


# Matrices.


def matmul(attributes, a, b):
    return one(np.matmul(a, b), spread(a.shape[-1]) * np.matmul(np.abs(finite(a)), np.abs(finite(b))))


def gemm(attributes, a, b, c=None):
    a = a.T if attributes.get("transA") else a
    b = b.T if attributes.get("transB") else b
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    y, off = alpha * np.matmul(a, b), abs(alpha) * np.matmul(np.abs(finite(a)), np.abs(finite(b)))
    return one(y if c is None else y + beta * c, spread(a.shape[-1]) * off + (0 if c is None else np.abs(beta * finite(c))))


# What moves numbers.


def pad(attributes, x, given, value=None, axes=None):
    axes = list(range(x.ndim)) if axes is None else [int(axis) % x.ndim for axis in axes]
    amounts = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        amounts[axis] = (int(given[i]), int(given[i + len(axes)]))
    cut = tuple(slice(max(0, -before), x.shape[i] - max(0, -after)) for i, (before, after) in enumerate(amounts))
    grown = [(max(0, before), max(0, after)) for before, after in amounts]
    mode = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}[attributes.get("mode", "constant")]
    more = {"constant_values": 0 if value is None else float(value)} if mode == "constant" else {}
    return exact(np.pad(x[cut], grown, mode, **more))


def sliced(attributes, x, starts, ends, axes=None, steps=None):
    axes = range(x.ndim) if axes is None else axes
    cut = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps if steps is not None else [1] * len(starts)):
        backwards = step < 0 and end < -x.shape[axis]
        cut[axis] = slice(int(start), None if backwards else int(end), int(step))
    return exact(x[tuple(cut)])


def split(attributes, x, sizes=None):
    axis = attributes.get("axis", 0)
    if sizes is not None:
        return exact(*np.split(x, np.cumsum(sizes)[:-1], axis))
    each = -(-x.shape[axis] // attributes["num_outputs"])
    return exact(*np.split(x, range(each, x.shape[axis], each), axis))


def reshape(attributes, x, shape):
    return exact(x.reshape([x.shape[i] if size == 0 else int(size) for i, size in enumerate(shape)]))


ADDED = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def scattered(y, places, updates, how):
    if how == "none":
        y[places] = updates
        return exact(y)
    scale = np.abs(finite(y))
    ADDED[how].at(y, places, updates)
    if how in {"max", "min"}:
        return exact(y)
    counts = np.zeros(y.shape)
    np.add.at(counts, places, 1)
    if how == "add":
        np.add.at(scale, places, np.abs(finite(updates)))
        return one(y, (2 + np.sqrt(counts)) * scale)
    return one(y, np.abs(finite(y)) * (2 + counts))


def scatter_elements(attributes, x, places, updates):
    axis = attributes.get("axis", 0) % x.ndim
    at = list(np.indices(places.shape))
    at[axis] = places % x.shape[axis]
    return scattered(x.copy(), tuple(at), updates, attributes.get("reduction", "none"))


def scatter_nd(attributes, x, places, updates):
    return scattered(x.copy(), tuple(np.moveaxis(places, -1, 0)), updates, attributes.get("reduction", "none"))


OPS = {name: unary(name) for name in UNARY} | {name: reduced(name) for name in REDUCED} | {
    "Add": summed, "Sum": summed, "Mean": mean, "Pow": power, "Clip": clip,
    "Sub": lambda a, x, y: one(x - y, np.abs(finite(x)) + np.abs(finite(y))),
    "Mul": arithmetic(np.multiply), "Div": lambda a, x, y: one(x / y, 4 * np.abs(finite(x / y))),
    "Max": lambda a, *x: exact(np.maximum.reduce(np.broadcast_arrays(*x))),
    "Min": lambda a, *x: exact(np.minimum.reduce(np.broadcast_arrays(*x))),
    "PRelu": lambda a, x, slope: one(np.where(x < 0, slope * x, x)),
    "Greater": compare(np.greater), "Less": compare(np.less), "Equal": compare(np.equal),
    "Where": lambda a, c, x, y: exact(np.where(c, x, y)),
    "IsNaN": lambda a, x: exact(np.isnan(x)), "IsInf": lambda a, x: exact(np.isinf(x)),
    "ArgMax": picked(np.argmax), "ArgMin": picked(np.argmin), "TopK": top_k, "CumSum": cum_sum,
    "Softmax": softmax(False), "LogSoftmax": softmax(True),
    "LayerNormalization": layer_norm, "RMSNormalization": rms_norm, "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm, "BatchNormalization": batch_norm,
    "BatchNormalizationOfBatch": batch_norm_of_batch, "LpNormalization": lp_norm,
    "LRN": local_response_norm,
    "AveragePool": pool("average"), "MaxPool": pool("max"), "LpPool": pool("lp"),
    "GlobalAveragePool": pool("average"), "GlobalMaxPool": pool("max"), "GlobalLpPool": pool("lp"),
    "Conv": conv, "ConvInteger": conv_integer, "ConvTranspose": conv_transpose, "MatMul": matmul, "Gemm": gemm,
    "Transpose": lambda a, x: exact(np.transpose(x, a.get("perm"))),
    "Reshape": reshape, "Flatten": lambda a, x: exact(x.reshape(math.prod(x.shape[: a.get("axis", 1)]), -1)),
    "Concat": lambda a, *x: exact(np.concatenate(x, a["axis"])), "Split": split, "Slice": sliced, "Pad": pad,
    "Tile": lambda a, x, repeats: exact(np.tile(x, repeats)), "Expand": lambda a, x, shape: exact(x * np.ones(shape)),
    "Gather": lambda a, x, places: exact(np.take(x, places % x.shape[a.get("axis", 0)], a.get("axis", 0))),
    "ScatterElements": scatter_elements, "ScatterND": scatter_nd,
}
