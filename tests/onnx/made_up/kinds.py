"""Random graphs, a kind each: sizes beyond what loops and workgroups hold, numbers that are none, attributes at their edges."""

import math

import numpy as np

from .reference import UNARY, compute, f32

# Operators that take what is no number as something else than the reference does, each with the reason. Nothing odd is given to them.
NO_ODD = {
    "ArgMax": "runtimes disagree on which element a NaN makes the largest",
    "ArgMin": "as ArgMax",
    "TopK": "runtimes disagree on where a NaN is sorted",
    "ReduceLogSumExp": "an infinity is one, or NaN where the largest is subtracted first",
    "ScatterElements": "min and max of NaN in no order",
    "ScatterND": "as ScatterElements",
}
# Workgroups, tiles and loops end at such sizes.
EDGES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 257]
OPSET = 21


class Graph:
    """A graph that computes as it grows, so that a generator knows shapes and values."""

    def __init__(self, rng):
        self.rng, self.opset = rng, OPSET
        self.nodes, self.inputs, self.constants, self.values = [], {}, {}, {}
        self.outputs, self.odd = [], rng.random() < 0.4

    def name(self, letter):
        return f"{letter}{len(self.values)}"

    def given(self, x, constant=False):
        """A value that is an input of the graph, or an initialiser."""
        x = np.asarray(x)
        x = x.astype(np.float32) if x.dtype == np.float64 else x
        name = self.name("w" if constant else "x")
        (self.constants if constant else self.inputs)[name] = x
        self.values[name] = x.astype(np.float64) if x.dtype == np.float32 else x
        return name

    def node(self, op, *inputs, outputs=1, **attributes):
        """Adds a node; returns the name of its output, or the names."""
        if op == "RMSNormalization":
            self.opset = 23
        inputs = [self.given(x, constant=True) if x is not None and not isinstance(x, str) else x or "" for x in inputs]
        made = compute(op, attributes, [self.values[name] if name else None for name in inputs], outputs)
        names = []
        for y, _ in made[:outputs]:
            names.append(self.name("y"))
            self.values[names[-1]] = f32(y) if y.dtype == np.float64 else y
        names += [self.name(f"unused{i}") for i in range(outputs - len(names))]
        self.nodes.append((op, inputs, names, attributes))
        return names[0] if outputs == 1 else names

    def shape(self, name):
        return self.values[name].shape

    def ends(self, *names):
        """These are outputs, and now and then something between."""
        self.outputs = list(names)
        between = [name for node in self.nodes for name in node[2] if name in self.values and name not in names]
        if between and self.rng.random() < 0.25:
            self.outputs.append(str(self.rng.choice(between)))
        if self.rng.random() < 0.3:
            self.rng.shuffle(self.nodes)

    # Numbers.

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def size(self, most=40):
        return int(self.rng.choice([edge for edge in EDGES if edge <= most]))

    def shape_of(self, rank, most=40, elements=40_000):
        while True:
            shape = [self.size(most) for _ in range(rank)]
            if math.prod(shape) <= elements:
                return shape

    def floats(self, shape, odd=None):
        """Numbers of some kind, among them such as are none."""
        rng = self.rng
        x = rng.standard_normal(shape)
        style = rng.random()
        if style < 0.1:
            x = np.abs(x)
        elif style < 0.2:
            x = np.round(4 * x) / 4
        elif style < 0.3:
            x = x * 10.0 ** rng.integers(-3, 4)
        return self.planted(x) if (self.odd if odd is None else odd) else x

    def planted(self, x):
        x = x.copy()
        for _ in range(self.rng.integers(1, 4)):
            x.reshape(-1)[self.rng.integers(x.size)] = self.one_of(np.nan, np.nan, np.inf, -np.inf)
        return x

    def weights(self, *shape):
        return self.rng.standard_normal(shape) / math.sqrt(max(1, math.prod(shape[1:])))


# Steps of chains: from a value to the next one.


def activation(g, x):
    op = g.one_of(
        "Relu", "Sigmoid", "Tanh", "Elu", "Selu", "Celu", "LeakyRelu", "HardSigmoid", "HardSwish", "Softplus", "Softsign",
        "ThresholdedRelu", "Mish", "Gelu", "Clip", "PRelu", "Abs", "Neg", "Erf",
    )
    if op == "Clip":
        return g.node(op, x, *g.one_of((np.float32(-0.5), np.float32(0.75)), (np.float32(0),), (None, np.float32(1))))
    if op == "PRelu":
        return g.node(op, x, g.rng.uniform(-1, 1, g.one_of((1,), g.shape(x)[-1:])))
    attributes = {"Gelu": {"approximate": g.one_of("none", "tanh")}, "LeakyRelu": {"alpha": 0.25}, "Elu": {"alpha": 1.5}}
    return g.node(op, x, **attributes.get(op, {}))


def function(g, x):
    return g.node(g.one_of("Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Atan", "Floor", "Ceil", "Round", "Sign", "Abs"), x)


def with_another(g, x):
    """Arithmetic with a value that broadcasts to it."""
    shape = list(g.shape(x))
    for axis in range(len(shape)):
        if g.rng.random() < 0.3:
            shape[axis] = 1
    other = g.given(g.floats(shape[g.rng.integers(len(shape)) :]), constant=g.rng.random() < 0.5)
    pair = (x, other) if g.rng.random() < 0.7 else (other, x)
    return g.node(g.one_of("Add", "Sub", "Mul", "Div", "Max", "Min"), *pair)


def reduction(g, x, keepdims=1):
    rank = len(g.shape(x))
    axes = sorted(g.rng.choice(rank, g.rng.integers(1, rank + 1), replace=False).tolist())
    ops = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"]
    if np.isfinite(g.values[x]).all():
        ops += ["ReduceLogSumExp"]
    return g.node(g.one_of(*ops), x, np.array(axes), keepdims=keepdims)


def norm(g, x, of_magnitude=False):
    shape = g.shape(x)
    if len(shape) > 2 and g.rng.random() < 0.5:
        channels = shape[1]
        scale, bias = g.floats([channels], False), g.floats([channels], False)
        ops = ["InstanceNormalization", "GroupNormalization", "BatchNormalization"]
        # Sums of squares are its formula: of large numbers they overflow.
        ops += ["LRN"] if len(shape) == 4 and not of_magnitude else []
        op = g.one_of(*ops)
        if op == "LRN":
            return g.node(op, x, size=g.one_of(1, 3, 5), alpha=0.01)
        if op == "BatchNormalization":
            return g.node(op, x, scale, bias, g.floats([channels], False), np.abs(g.floats([channels], False)) + 0.1)
        if op == "GroupNormalization":
            groups = g.one_of(*[n for n in range(1, channels + 1) if channels % n == 0])
            return g.node(op, x, scale, bias, num_groups=groups)
        return g.node(op, x, scale, bias)
    op = g.one_of("LayerNormalization", "RMSNormalization", "LpNormalization", "Softmax", "LogSoftmax")
    if op in {"LpNormalization", "Softmax", "LogSoftmax"}:
        return g.node(op, x, axis=int(g.rng.integers(-len(shape), len(shape))))
    parts = [g.floats(shape[-1:], False) for _ in range(2 if op == "LayerNormalization" else 1)]
    return g.node(op, x, *parts)


def movement(g, x):
    shape, rng = g.shape(x), g.rng
    rank = len(shape)
    axis = int(rng.integers(rank))
    kind = g.one_of("Transpose", "Pad", "Split", "Slice", "Concat", "Gather", "Tile")
    if kind == "Transpose":
        return g.node(kind, x, perm=rng.permutation(rank).tolist())
    if kind == "Pad":
        return padded(g, x)
    if kind == "Split" and shape[axis] > 1:
        cuts = np.sort(rng.choice(np.arange(1, shape[axis]), min(shape[axis] - 1, int(rng.integers(1, 12))), replace=False))
        sizes = np.diff([0, *cuts, shape[axis]])
        parts = g.node(kind, x, np.array(sizes), outputs=len(sizes), axis=axis)
        kept = [part for part in parts if rng.random() < 0.8] or parts[:1]
        rng.shuffle(kept)
        return g.node("Concat", *kept, axis=axis)
    if kind == "Slice":
        start, end = sorted(int(i) for i in rng.integers(0, shape[axis] + 1, 2))
        if g.one_of(True, False) or start == end:
            return g.node(kind, x, np.array([-1]), np.array([-(2**31)]), np.array([axis]), np.array([-1]))
        return g.node(kind, x, np.array([start]), np.array([end]), np.array([axis]), np.array([int(rng.integers(1, 4))]))
    if kind == "Concat":
        return g.node(kind, x, x, axis=axis)
    if kind == "Gather":
        return g.node(kind, x, rng.integers(-shape[axis], shape[axis], [g.size(8)]), axis=axis)
    if kind == "Tile" and math.prod(shape) < 20_000:
        return g.node(kind, x, np.array([int(rng.integers(1, 3)) for _ in shape]))
    return g.node("Identity", x)


def padded(g, x):
    shape, rng = g.shape(x), g.rng
    mode = g.one_of("constant", "edge", "reflect", "wrap")
    amounts = []
    for size in shape * 2:
        most = min(size - 1, 5) if mode in {"reflect", "wrap"} else 5
        amounts.append(int(rng.integers(0, most + 1)) if rng.random() < 0.5 else 0)
    # Negative sides cut; two that cut leave something.
    for i, size in enumerate(shape):
        if rng.random() < 0.3 and size > 6:
            amounts[i + g.one_of(0, len(shape))] = -int(rng.integers(1, 3))
            # After a cut there is less to mirror.
            amounts[i], amounts[i + len(shape)] = (min(amounts[j], size - 4) for j in (i, i + len(shape)))
    value = [np.float32(rng.standard_normal())] if mode == "constant" and rng.random() < 0.5 else []
    return g.node("Pad", x, np.array(amounts), *value, mode=mode)


def convolution(g, x):
    """Of [N, C, places..], with all that a convolution may have."""
    shape, rng = g.shape(x), g.rng
    rank, channels = len(shape) - 2, shape[1]
    groups = g.one_of(1, 1, channels, *[n for n in range(2, channels) if channels % n == 0][:1])
    kernel = [int(rng.integers(1, min(5, size) + 1)) for size in shape[2:]]
    if rank == 2 and rng.random() < 0.5 and min(shape[2:]) >= 3:
        kernel = [3, 3]
    out = groups * int(rng.integers(1, 1 + max(1, g.size(33) // groups)))
    attributes = {"group": groups, "strides": [int(rng.integers(1, 3)) for _ in kernel], "kernel_shape": kernel}
    if rng.random() < 0.5:
        attributes["pads"] = [int(rng.integers(0, k)) for k in kernel * 2]
    elif rng.random() < 0.4:
        attributes["auto_pad"] = g.one_of("SAME_UPPER", "SAME_LOWER")
    if rng.random() < 0.2 and all((k - 1) * 2 + 1 <= size for k, size in zip(kernel, shape[2:])):
        attributes["dilations"] = [2] * rank
    bias = [g.floats([out], False)] if rng.random() < 0.6 else []
    return g.node("Conv", x, g.weights(out, channels // groups, *kernel), *bias, **attributes)


def pooling(g, x):
    shape, rng = g.shape(x), g.rng
    op = g.one_of("AveragePool", "AveragePool", "MaxPool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
    if op.startswith("Global"):
        return g.node(op, x)
    kernel = [int(rng.integers(1, min(4, size) + 1)) for size in shape[2:]]
    attributes = {"kernel_shape": kernel, "strides": [int(rng.integers(1, 4)) for _ in kernel]}
    if rng.random() < 0.25 and all((k - 1) * 2 + 1 <= size for k, size in zip(kernel, shape[2:])):
        attributes["dilations"] = [2] * len(kernel)
    if rng.random() < 0.25:
        attributes["auto_pad"] = g.one_of("SAME_UPPER", "SAME_LOWER")
    elif rng.random() < 0.5:
        attributes["pads"] = [int(rng.integers(0, (k + 1) // 2)) for k in kernel * 2]
    if "auto_pad" not in attributes and rng.random() < 0.3:
        attributes["ceil_mode"] = 1
    if op == "AveragePool" and rng.random() < 0.5:
        attributes["count_include_pad"] = 1
    return g.node(op, x, **attributes)


def product(g, x):
    shape = g.shape(x)
    width = g.size(65)
    bias = g.given(g.floats([width], False), constant=True)
    y = g.node("MatMul", x, g.given(g.weights(width, shape[-1]).T, constant=g.rng.random() < 0.7))
    return g.node("Add", y, bias) if g.rng.random() < 0.6 else y


# Kinds.


def elementwise(g):
    """Functions of numbers of every magnitude."""
    x = g.rng.standard_normal(g.shape_of(2))
    if g.rng.random() < 0.6:
        x = x * 10.0 ** g.rng.uniform(-30, 30, x.shape)
    x = g.given(g.planted(x) if g.odd else x)
    for _ in range(g.rng.integers(1, 4)):
        x = g.one_of(activation, function, with_another)(g, x)
    g.ends(x)


def trigonometry(g):
    x = g.rng.standard_normal(g.shape_of(2)) * 10.0 ** g.rng.uniform(-2, g.one_of(2, 6, 30), ())
    g.ends(g.node(g.one_of("Sin", "Cos", "Tan"), g.given(g.planted(x) if g.odd else x)))


def all_functions(g):
    """Every function of one number once in a while, where it is defined and where not."""
    x = g.given(g.floats(g.shape_of(2)) * g.one_of(1, 4, 30))
    g.ends(g.node(str(g.rng.choice(sorted(UNARY))), x))


def powers(g):
    odd = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 7, 1e30, -1e30, 1e-30, np.inf, -np.inf, np.nan, 10.5])
    base = g.one_of(g.rng.choice(odd, g.size(33)), g.floats([g.size(33)]))
    exponent = g.one_of(g.rng.choice(odd, (g.size(17), 1)), g.floats([g.size(17), 1]), g.rng.choice(odd, 1))
    g.ends(g.node("Pow", g.given(base), g.given(exponent, constant=g.rng.random() < 0.5)))


def extremes(g):
    shape = g.shape_of(2)
    inputs = [g.given(g.floats(g.one_of(shape, shape[1:]), g.rng.random() < 0.6)) for _ in range(g.rng.integers(2, 4))]
    y = g.node(g.one_of("Max", "Min", "Sum", "Mean"), *inputs)
    c = g.node(g.one_of("Greater", "Less", "Equal"), y, inputs[0])
    g.ends(g.node("Where", c, y, inputs[-1]))


def rows(g):
    """A chain on [.., rows, columns]."""
    x = g.given(g.floats(g.shape_of(g.one_of(2, 3), 65)))
    for _ in range(g.rng.integers(1, 7)):
        x = g.one_of(activation, with_another, norm, movement, product, product, reduction)(g, x)
        if len(g.shape(x)) == 0 or g.values[x].size > 100_000:
            break
    g.ends(x)


def images(g):
    """A chain on [N, C, places..]."""
    rank = g.one_of(1, 2, 2, 2, 2, 3)
    x = g.given(g.floats([g.one_of(1, 1, 2), g.size(17), *g.shape_of(rank, {1: 129, 2: 33, 3: 9}[rank])]))
    for _ in range(g.rng.integers(1, 7)):
        x = g.one_of(activation, convolution, convolution, pooling, norm, with_another, padded)(g, x)
        if g.values[x].size > 100_000:
            break
    g.ends(x)


def transposed_convolution(g):
    rank = g.one_of(1, 2, 3)
    shape = [g.one_of(1, 2), g.one_of(1, 2, 4, 8), *[int(g.rng.integers(1, 9)) for _ in range(rank)]]
    x, groups = g.given(g.floats(shape)), g.one_of(1, shape[1])
    kernel = [int(g.rng.integers(1, 5)) for _ in range(rank)]
    strides = [int(g.rng.integers(1, 4)) for _ in range(rank)]
    attributes = {"kernel_shape": kernel, "strides": strides, "group": groups}
    attributes["pads"] = [int(g.rng.integers(0, max(1, k // 2))) for k in kernel * 2]
    attributes["output_padding"] = [int(g.rng.integers(0, s)) for s in strides]
    y = g.node("ConvTranspose", x, g.weights(shape[1], g.size(9), *kernel), **attributes)
    g.ends(activation(g, y) if g.rng.random() < 0.5 else y)


def attention(g):
    """Scores, a mask, a softmax, a sum of values."""
    heads, queries, keys, width = g.one_of(1, 2, 4), g.size(33), g.size(65), g.one_of(4, 8, 16, 20, 32, 64)
    q, k, v = (g.given(g.floats([1, heads, n, width], g.odd and g.rng.random() < 0.5)) for n in (queries, keys, keys))
    scores = g.node("MatMul", q, g.node("Transpose", k, perm=[0, 1, 3, 2]))
    scores = g.node("Mul", scores, np.float32(1 / math.sqrt(width)))
    if g.rng.random() < 0.6:
        mask = np.where(g.rng.random((queries, keys)) < 0.3, g.one_of(-np.inf, -1e9), 0.0)
        scores = g.node("Add", scores, g.given(mask, constant=g.rng.random() < 0.5))
    y = g.node("MatMul", g.node("Softmax", scores, axis=-1), v)
    g.ends(g.node("Reshape", g.node("Transpose", y, perm=[0, 2, 1, 3]), np.array([1, queries, heads * width])))


def reductions(g):
    """Of odd numbers along all kinds of axes."""
    x = g.given(g.floats(g.shape_of(g.one_of(1, 2, 3, 4), 65)))
    y = reduction(g, x, keepdims=g.one_of(0, 1))
    g.ends(activation(g, y) if g.shape(y) and g.rng.random() < 0.3 else y)


def normalisations(g):
    """Of every magnitude: what is large or small all along is as good as any other."""
    x = g.given(g.floats(g.shape_of(g.one_of(2, 3, 4), 65)) * 10.0 ** g.one_of(0, 0, -18, -6, 6, 17, 18))
    g.ends(norm(g, x, of_magnitude=True))


def scatters(g):
    shape = g.shape_of(g.one_of(1, 2, 3), 33)
    x, how = g.given(g.floats(shape, False)), g.one_of("add", "mul", "max", "min", "none")
    if g.rng.random() < 0.5:
        axis = int(g.rng.integers(len(shape)))
        wanted = [int(g.rng.integers(1, size + 1)) for size in shape]
        # Without a reduction no place is met twice: which of two counts isn't said.
        places = np.argsort(g.rng.random(shape), axis=axis)[tuple(slice(0, n) for n in wanted)]
        if how != "none":
            places = g.rng.integers(-shape[axis], shape[axis], wanted)
        g.ends(g.node("ScatterElements", x, places, g.given(g.floats(wanted, False)), axis=axis, reduction=how))
        return
    depth = int(g.rng.integers(1, len(shape) + 1))
    every = math.prod(shape[:depth])
    count = int(g.rng.integers(1, every + 1 if how == "none" else 200))
    flat = g.rng.permutation(every)[:count] if how == "none" else g.rng.integers(0, every, count)
    places = np.stack(np.unravel_index(flat, shape[:depth]), -1)
    g.ends(g.node("ScatterND", x, places, g.given(g.floats([count, *shape[depth:]], False)), reduction=how))


def order(g):
    """What sorts and sums along an axis."""
    shape = g.shape_of(g.one_of(1, 2, 3), 257)
    axis = int(g.rng.integers(len(shape)))
    op = g.one_of("TopK", "ArgMax", "ArgMin", "CumSum")
    if op == "CumSum":
        x = g.given(g.floats(shape))
        g.ends(g.node(op, x, np.array(axis), exclusive=g.one_of(0, 1), reverse=g.one_of(0, 1)))
    elif op == "TopK":
        # Ties are in the order of their places.
        x = g.given(g.floats(shape, False))
        k = np.array([int(g.rng.integers(1, shape[axis] + 1))])
        g.ends(*g.node(op, x, k, outputs=2, axis=axis, largest=g.one_of(0, 1)))
    else:
        g.ends(g.node(op, g.given(g.floats(shape, False)), axis=axis, keepdims=g.one_of(0, 1)))


def unused_outputs(g):
    """BatchNormalization-9 with four outputs that nobody reads, which say that the statistics are the batch's."""
    g.opset = 9
    channels = g.size(17)
    x = g.given(g.floats([1, channels, *g.shape_of(2, 9)]))
    parts = [g.floats([channels], False) for _ in range(3)] + [np.abs(g.floats([channels], False)) + 0.1]
    y = g.node("BatchNormalization", x, *parts, outputs=g.one_of(1, 5))
    g.outputs = [g.node("Relu", y if isinstance(y, str) else y[0])]


# Large ones: one loop of more than 65,535 turns each, if a kernel has but one.


def far(g):
    """A number of elements beyond that."""
    return int(g.rng.integers(65_536, 90_000))


def large_image(g):
    return g.one_of([1, far(g)], [257, 256], [int(g.rng.integers(257, 300)), int(g.rng.integers(257, 300))])


def large_pool(g):
    x = g.given(g.floats([1, g.size(5), *large_image(g)]))
    op = g.one_of("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "ReduceMean", "AveragePool", "MaxPool")
    if op == "ReduceMean":
        g.ends(g.node(op, x, np.array([2, 3]), keepdims=g.one_of(0, 1)))
    elif op in {"AveragePool", "MaxPool"}:
        y = g.node(op, x, outputs=1 + (op == "MaxPool"), kernel_shape=list(g.shape(x)[2:]))
        g.ends(*([y] if isinstance(y, str) else y))
    else:
        g.ends(g.node(op, x))


def large_volume(g):
    x = g.given(g.floats([1, g.one_of(1, 2), *[int(g.rng.integers(41, 48)) for _ in range(3)]]))
    g.ends(g.node(g.one_of("AveragePool", "MaxPool", "LpPool"), x, kernel_shape=list(g.shape(x)[2:])))


def large_rows(g):
    shape = [g.one_of(1, 2, 3), far(g)]
    x = g.given(g.floats(shape))
    op = g.one_of("Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "LpNormalization", "CumSum", "TopK", "ArgMax")
    ops = ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceMean", "ReduceLogSumExp"]
    if g.rng.random() < 0.4:
        op = g.one_of(*ops)
    if op in NO_ODD and g.odd:
        x = g.given(g.floats(shape, False))
    if op in ops:
        g.ends(g.node(op, x, np.array([1]), keepdims=g.one_of(0, 1)))
    elif op == "TopK":
        g.ends(*g.node(op, x, np.array([g.size(33)]), outputs=2))
    elif op == "CumSum":
        g.ends(g.node(op, x, np.array(1)))
    elif op == "ArgMax":
        g.ends(g.node(op, x, axis=1))
    elif op.endswith("Normalization") and op != "LpNormalization":
        g.ends(g.node(op, x, *[g.floats(shape[1:], False) for _ in range(1 + op.startswith("Layer"))]))
    else:
        g.ends(g.node(op, x, axis=-1))


def large_groups(g):
    channels = g.one_of(1, 2, 4)
    x = g.given(g.floats([1, channels, *large_image(g)]))
    parts = [g.floats([channels], False) for _ in range(2)]
    if g.rng.random() < 0.5:
        g.ends(g.node("GroupNormalization", x, *parts, num_groups=g.one_of(1, channels)))
    else:
        g.ends(g.node("InstanceNormalization", x, *parts))


def large_product(g):
    m, n, k = g.one_of(1, 2, 5, 17), g.one_of(1, 3, 8, 33), far(g)
    a, b = g.floats([m, k]), g.floats([k, n])
    if g.rng.random() < 0.5:
        g.ends(g.node("MatMul", g.node("Abs", g.given(a)), g.node("Neg", g.given(b))))
    else:
        g.ends(g.node("Gemm", g.given(a), g.floats([n, k], False), g.floats([n], False), transB=1))


def large_convolution(g):
    which = g.one_of("channels", "image", "depthwise", "line", "volume", "integers")
    if which == "integers":
        side = int(g.rng.integers(92, 100))
        x = g.given(g.rng.integers(0, 256, [1, 8, side + 1, side], dtype=np.uint8))
        w = g.rng.integers(0, 256, [4, 8, side, side], dtype=np.uint8)
        g.ends(g.node("ConvInteger", x, w, np.array(128, np.uint8), np.array(g.one_of(0, 120), np.uint8)))
        return
    shapes = {
        "channels": ([1, 2048, 7, 8], [2, 2048, 7, 7]),
        "image": ([1, 1, 300, 303], [2, 1, 300, 300]),
        "depthwise": ([1, 2, 300, 302], [2, 1, 300, 300]),
        "line": ([1, 1, 70_010], [g.one_of(1, 2), 1, 69_998]),
        "volume": ([1, 1, 45, 44, 46], [2, 1, 44, 44, 44]),
    }
    x, w = shapes[which]
    groups = 2 if which == "depthwise" else 1
    g.ends(g.node("Conv", g.given(g.floats(x)), g.weights(*w), group=groups, kernel_shape=w[2:]))


def large_scatter(g):
    count, size = g.one_of(25_000, 50_000, 70_000), g.one_of(3, 7, 100)
    # Few different ones, so that sums are exact in whatever order.
    updates = g.given(g.rng.integers(-2, 4, count).astype(np.float64))
    x, places = g.given(np.zeros(size)), g.rng.integers(0, size, count)
    if g.rng.random() < 0.5:
        g.ends(g.node("ScatterElements", x, places, updates, reduction="add"))
    else:
        g.ends(g.node("ScatterND", x, places[:, None], updates, reduction="add"))


def many_parts(g):
    """A split into more parts than a shader has bindings."""
    parts, each = int(g.rng.integers(9, 70)), g.size(5)
    x = g.given(g.floats([g.size(5), parts * each]))
    names = g.node("Split", x, outputs=parts, axis=1, num_outputs=parts)
    g.rng.shuffle(names)
    y = g.node("Concat", *names, axis=g.one_of(0, 1))
    g.ends(g.node("Sum", *names[:5]), y)


# How often each is made.
KINDS = {
    elementwise: 8, trigonometry: 4, all_functions: 6, powers: 4, extremes: 4, rows: 14, images: 18, transposed_convolution: 4,
    attention: 5, reductions: 6, normalisations: 6, scatters: 5, order: 5, unused_outputs: 1, many_parts: 2,
    large_pool: 2, large_volume: 1, large_rows: 2, large_groups: 1, large_product: 1, large_convolution: 2, large_scatter: 1,
}


def make(seed, number, kinds=None):
    """The graph of this number, and its kind."""
    rng = np.random.default_rng([seed, number])
    chosen = {kind: weight for kind, weight in KINDS.items() if not kinds or kind.__name__ in kinds}
    weights = np.array(list(chosen.values()), float)
    kind = list(chosen)[rng.choice(len(chosen), p=weights / weights.sum())]
    g = Graph(rng)
    kind(g)
    return g, kind.__name__
