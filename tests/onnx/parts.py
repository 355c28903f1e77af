"""Networks with sizes that values decide, and what ONNX Runtime computes.

    pip install numpy onnx onnxruntime safetensors
    python tests/onnx/parts.py

Writes `parts.safetensors`. For each case it holds `CASE/model`, and for each frame `CASE/in/FRAME/NAME` and `CASE/out/FRAME/NAME`.
Integers and booleans are stored as int32. `parts.rs` runs the models.

The frames of most cases lead to several sizes: this script checks it. Values that decide are no near ties, so that rounding decides nothing.
"""

import itertools
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

HERE = Path(__file__).parent
F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
onnxruntime.set_default_logger_severity(4)
tensors = {}
rng = np.random.default_rng(7)
numbers = itertools.count()


def f32(*shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


class Net:
    """A network: `net.Op(inputs, attributes)` adds a node and returns its first output's name."""

    def __init__(self, **inputs):
        self.nodes, self.held = [], []
        self.inputs = [helper.make_tensor_value_info(name, *of) for name, of in inputs.items()]

    def const(self, value, dtype=None):
        array = np.asarray(value, dtype or (np.float32 if isinstance(value, float) else None))
        self.held.append(numpy_helper.from_array(array, f"c{next(numbers)}"))
        return self.held[-1].name

    def named(self, x):
        return x if isinstance(x, str) else self.const(x)

    def add(self, op, *inputs, outputs=1, **attributes):
        name, inputs = f"{op.lower()}{next(numbers)}", [self.named(x) for x in inputs]
        names = [name + ("" if outputs == 1 else f"_{i}") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def __getattr__(self, op):
        return lambda *inputs, **attributes: self.add(op, *inputs, **attributes)


def ints(*values):
    return np.array(values, np.int64)


def case(name, net, outputs, *frames, equal=False):
    """`outputs`: names by the values' names, with their types. The frames have several sizes unless `equal`."""
    graph = helper.make_graph(
        net.nodes + [helper.make_node("Identity", [of], [out]) for out, (of, _) in outputs.items()],
        name, net.inputs, [helper.make_tensor_value_info(out, of[1], None) for out, of in outputs.items()], net.held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    stored = lambda x: np.ascontiguousarray(x if x.dtype == np.float32 else x.astype(np.int32))
    shapes = []
    for i, feeds in enumerate(frames):
        results = session.run(list(outputs), feeds)
        shapes.append([x.shape for x in results])
        tensors.update({f"{name}/in/{i}/{key}": stored(x) for key, x in feeds.items()})
        tensors.update({f"{name}/out/{i}/{key}": stored(x) for key, x in zip(outputs, results)})
    tensors[f"{name}/model"] = np.frombuffer(model.SerializeToString(), np.uint8)
    del model.graph.output[:]
    for (out, of), shape in zip(outputs.items(), shapes[0]):
        model.graph.output.append(helper.make_tensor_value_info(out, of[1], [None] * len(shape)))
    onnx.checker.check_model(model)
    print(f"{name:28}", *shapes)
    assert equal or len({str(of) for of in shapes}) > 1, f"{name}: frames of one size"


# Single operators, of a value behind a product.

net = Net(x=(F, [1, 4]))
total = net.ReduceSum(net.MatMul("x", np.eye(4, dtype=np.float32)), keepdims=0)
case("range", net, {"y": (net.Range(0.5, net.Ceil(total), 1.0), F)}, *[{"x": np.full((1, 4), v, np.float32)} for v in (1.1, 2.2, -1.0)])

net = Net(x=(F, [1, 4]))
y = net.MatMul("x", np.eye(4, dtype=np.float32))
limit = net.Cast(net.ReduceMax(y, keepdims=0), to=I)
start = net.Cast(net.ReduceMin(y, keepdims=0), to=I)
case("range_of_two_ends", net, {"y": (net.Range(start, limit, ints(2)[0]), I)},
     {"x": np.array([[-3.2, 0, 1, 7.5]], np.float32)}, {"x": np.array([[2.5, 3, 4, 5]], np.float32)})

w = f32(8, 6)
net = Net(x=(F, [5, 8]))
y = net.MatMul("x", w)
places = net.Transpose(net.NonZero(net.Greater(y, 0.2)), perm=[1, 0])
case("nonzero_gather_nd", net, {"values": (net.GatherND(y, places), F), "places": (places, I)},
     {"x": f32(5, 8)}, {"x": f32(5, 8)}, {"x": np.zeros((5, 8), np.float32)})

net = Net(x=(F, [2, 8]))
y = net.MatMul("x", w)
k = net.ReduceSum(net.Cast(net.Greater(net.ReduceMax(y, axes=[0], keepdims=0), 0.1), to=I), ints(0), keepdims=1)
values, places = net.TopK(y, k, outputs=2, axis=1)
case("topk", net, {"values": (values, F), "places": (places, I)}, {"x": f32(2, 8)}, {"x": np.ones((2, 1), np.float32) * w[:, 0]}, {"x": np.zeros((2, 8), np.float32)})

net = Net(x=(F, [3, 8]))
y = net.MatMul("x", w)
marks = net.Greater(net.ReduceSum(y, ints(0), keepdims=0), 0.0)
case("compress", net, {"y": (net.Compress(y, marks, axis=1), F)}, {"x": f32(3, 8)}, {"x": np.zeros((3, 8), np.float32)})

net = Net(x=(F, [12, 8]))
y = net.Round(net.MatMul("x", w))
distinct, first, inverse, counts = net.Unique(y, outputs=4)
outputs = {"y": (net.Mul(distinct, 2.0), F), "first": (first, I), "inverse": (inverse, I), "counts": (counts, I)}
case("unique", net, outputs, {"x": f32(12, 8)}, {"x": 4 * f32(12, 8)})

# Arguments that decide a size: of a number n that the device computes.
net = Net(x=(F, [1, 3]))
n = net.Cast(net.Round(net.ReduceSum(net.MatMul("x", np.eye(3, dtype=np.float32)), ints(1), keepdims=0)), to=I)
row = net.Add("x", 1.0)
two_n = net.Concat(ints(2), n, axis=0)
grown = net.Expand(net.Unsqueeze(row, ints(0)), net.Concat(n, ints(1, 1), axis=0))
outputs = {
    "tile": (net.Tile(row, net.Concat(ints(1), n, axis=0)), F),
    "zeros": (net.ConstantOfShape(two_n), F),
    "expand": (grown, F),
    "reshape": (net.Reshape(grown, net.Concat(ints(1, 3), n, axis=0)), F),
    "pad": (net.Pad(row, net.Concat(ints(0), n, ints(0, 0), axis=0)), F),
    "slice": (net.Slice(net.Tile(row, ints(1, 4)), ints(0), n, ints(1)), F),
    "one_hot": (net.OneHot(ints(0, 2), n, np.array([0, 1], np.float32)), F),
    "resize": (net.Resize(net.Reshape(row, ints(1, 1, 1, 3)), "", "", net.Concat(ints(1, 1, 1), n, axis=0), mode="nearest"), F),
}
case("arguments", net, outputs, *[{"x": np.array([x], np.float32)} for x in ([1, 2, 1], [2, 2, 2.2], [1, 1, 0])])

# Control flow.

def body(net, name, inputs, outputs):
    return helper.make_graph(net.nodes, name, inputs, outputs, net.held)


then, other = Net(), Net()
then.add("Concat", "y", "y", axis=0), other.add("Mul", "y", 3.0)
branches = {
    "then_branch": body(then, "then", [], [helper.make_tensor_value_info(then.nodes[-1].output[0], F, [None, None])]),
    "else_branch": body(other, "else", [], [helper.make_tensor_value_info(other.nodes[-1].output[0], F, [None, None])]),
}
net = Net(x=(F, [2, 8]))
net.nodes.append(helper.make_node("MatMul", ["x", net.const(w)], ["y"], name="y"))
chosen = net.If(net.Greater(net.ReduceSum("y", keepdims=0), 0.0), **branches)
case("if", net, {"z": (net.Add(chosen, 1.0), F)}, {"x": np.abs(f32(2, 8)) @ np.diag(np.sign(w.sum(1)))}, {"x": -np.abs(f32(2, 8)) @ np.diag(np.sign(w.sum(1)))})

turn = Net()
turn.nodes = [
    helper.make_node("MatMul", ["v", "half"], ["u"]),
    helper.make_node("ReduceMax", ["u"], ["most"], keepdims=0),
    helper.make_node("Greater", ["most", "least"], ["on"]),
    helper.make_node("Identity", ["u"], ["kept"]),
]
scalar = lambda name, of: helper.make_tensor_value_info(name, of, [])
turn = body(turn, "turn", [scalar("i", I), scalar("c", B), helper.make_tensor_value_info("v", F, [2, 4])],
            [scalar("on", B), helper.make_tensor_value_info("u", F, [2, 4]), helper.make_tensor_value_info("kept", F, [2, 4])])
net = Net(x=(F, [2, 4]))
net.held += [numpy_helper.from_array(np.eye(4, dtype=np.float32) / 2, "half"), numpy_helper.from_array(np.float32(1), "least")]
last, all_turns = net.Loop(ints(20)[0], np.array(True), "x", outputs=2, body=turn)
case("loop", net, {"last": (last, F), "all": (all_turns, F)}, {"x": np.full((2, 4), 9, np.float32)}, {"x": np.full((2, 4), 3, np.float32)})

# The condition of this loop stays true for some inputs. ONNX Runtime would run for ever.
net = Net(x=(F, [2, 4]))
net.held += [numpy_helper.from_array(np.eye(4, dtype=np.float32), "half"), numpy_helper.from_array(np.float32(1), "least")]
last, all_turns = net.Loop("", np.array(True), "x", outputs=2, body=turn)
net.nodes.append(helper.make_node("Identity", [last], ["y"]))
graph = helper.make_graph(net.nodes, "endless", net.inputs, [helper.make_tensor_value_info("y", F, [2, 4])], net.held)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
tensors["endless"] = np.frombuffer(model.SerializeToString(), np.uint8)

# Detectors.

def head(net, image, classes, size):
    """A small head: boxes [1, N, 4] as corners around cells, and scores [1, C, N]."""
    features = net.Relu(net.Conv(image, f32(8, 3, 3, 3), f32(8), pads=[1] * 4, strides=[2, 2]))
    count = (size // 2) ** 2
    cells = np.stack(np.meshgrid(np.arange(size // 2), np.arange(size // 2), indexing="ij"), -1).reshape(1, -1, 2).astype(np.float32)
    near = net.Transpose(net.Reshape(net.Conv(features, f32(4, 8, 1, 1)), ints(1, 4, count)), perm=[0, 2, 1])
    boxes = net.Add(near, np.concatenate([cells - 1.5, cells + 1.5], -1))
    scores = net.Sigmoid(net.Reshape(net.Conv(features, f32(classes, 8, 1, 1)), ints(1, classes, count)))
    return features, boxes, scores


def images(count, size=12):
    return [{"image": (rng.uniform(0, 1, (1, 3, size, size)) * s).astype(np.float32)} for s in np.linspace(0.3, 1.5, count)]


for name, limits, attributes in [
    ("nms_thresholds", (ints(40), 0.1, 0.7), {}), ("nms_plain", (ints(3),), {}), ("nms_centres", (ints(50), 0.2, 0.6), {"center_point_box": 1}),
    ("nms_nothing", (ints(4), 0.3, 2.0), {}),
]:
    net = Net(image=(F, [1, 3, 12, 12]))
    _, boxes, scores = head(net, "image", 2, 12)
    chosen = net.NonMaxSuppression(boxes, scores, *[np.array([x], np.float32) if isinstance(x, float) else x for x in limits], **attributes)
    at = net.Squeeze(net.Slice(chosen, ints(2), ints(3), ints(1)), ints(1))
    kind = net.Squeeze(net.Slice(chosen, ints(1), ints(2), ints(1)), ints(1))
    found = net.Gather(net.Squeeze(boxes, ints(0)), at, axis=0)
    best = net.GatherND(net.Squeeze(scores, ints(0)), net.Concat(net.Unsqueeze(kind, ints(1)), net.Unsqueeze(at, ints(1)), axis=1))
    case(name, net, {"boxes": (found, F), "classes": (kind, I), "scores": (best, F)}, *images(3), equal=name in ("nms_plain", "nms_nothing"))

# Scores of NaN are above no threshold.
net = Net(boxes=(F, [1, 6, 4]), scores=(F, [1, 1, 6]))
scores = net.Mul("scores", 1.0)
chosen = net.NonMaxSuppression(net.Mul("boxes", 1.0), net.Reshape(net.MatMul(scores, np.eye(6, dtype=np.float32)), ints(1, 1, 6)), ints(6), np.array([0.5], np.float32), np.array([0.1], np.float32))
corners = np.array([[[0, 0, 1, 1], [0, 0, 1, 1.1], [5, 5, 6, 6], [5, 5, 6, 6.1], [9, 9, 10, 10], [2, 2, 3, 3]]], np.float32)
of = lambda *scores: {"boxes": corners, "scores": np.array([[scores]], np.float32)}
case("nms_few", net, {"chosen": (chosen, I)}, of(0.9, 0.8, 0.7, 0.6, 0.05, 0.3), of(0.9, 0.8, 0.01, 0, 0.05, 0.04), of(0, 0, 0, 0, 0, 0), of(*[np.nan] * 6))

# A detector of two stages: proposals, their features, scores and boxes of these, and a second suppression.
net = Net(image=(F, [1, 3, 16, 16]))
features, boxes, scores = head(net, "image", 1, 16)
proposed = net.NonMaxSuppression(boxes, scores, ints(12), np.array([0.4], np.float32), np.array([0.5], np.float32))
at = net.Squeeze(net.Slice(proposed, ints(2), ints(3), ints(1)), ints(1))
rois = net.Gather(net.Squeeze(boxes, ints(0)), at, axis=0)
turned = net.Gather(rois, ints(1, 0, 3, 2), axis=1)
images_of = net.Squeeze(net.Slice(proposed, ints(0), ints(1), ints(1)), ints(1))
pooled = net.RoiAlign(features, turned, images_of, output_height=3, output_width=3, sampling_ratio=2, spatial_scale=1.0)
flat = net.Flatten(pooled, axis=1)
hidden = net.Relu(net.Gemm(flat, f32(72, 16), f32(16)))
classes = net.Softmax(net.Gemm(hidden, f32(16, 3) * 2, f32(3)), axis=-1)
moved = net.Add(rois, net.Mul(net.Tanh(net.Gemm(hidden, f32(16, 4), f32(4))), 0.3))
kept = net.NonMaxSuppression(net.Unsqueeze(moved, ints(0)), net.Unsqueeze(net.Transpose(classes, perm=[1, 0]), ints(0)), ints(5), np.array([0.3], np.float32), np.array([0.4], np.float32))
last = net.Squeeze(net.Slice(kept, ints(2), ints(3), ints(1)), ints(1))
case("two_stages", net, {"boxes": (net.Gather(moved, last, axis=0), F), "kept": (kept, I)}, *images(3, 16), {"image": np.full((1, 3, 16, 16), -9, np.float32)}, equal=True)

# Speech.

def durations(net, text, width):
    """Embeds a text and predicts the frames of each letter, as VITS does."""
    embedded = net.Transpose(net.Gather(f32(20, width) * 2, text, axis=0), perm=[0, 2, 1])
    encoded = net.Relu(net.Conv(embedded, f32(width, width, 3), f32(width), pads=[1, 1]))
    frames = net.Ceil(net.Exp(net.Add(net.Mul(net.Conv(encoded, f32(1, width, 1)), 0.6), 1.0)))
    return encoded, frames


net = Net(text=(I, [1, "letters"]))
encoded, frames = durations(net, "text", 8)
ends = net.CumSum(frames, ints(2)[0])
length = net.Cast(net.ReduceSum(frames, keepdims=0), to=I)
steps = net.Cast(net.Range(ints(0)[0], length, ints(1)[0]), to=F)
before = net.Less(net.Reshape(steps, ints(1, -1, 1)), net.Reshape(ends, ints(1, 1, -1)))
after = net.GreaterOrEqual(net.Reshape(steps, ints(1, -1, 1)), net.Sub(net.Reshape(ends, ints(1, 1, -1)), net.Reshape(frames, ints(1, 1, -1))))
path = net.Cast(net.And(before, after), to=F)
spread = net.MatMul(path, net.Transpose(encoded, perm=[0, 2, 1]))
spoken = net.Transpose(spread, perm=[0, 2, 1])
wave = net.Tanh(net.ConvTranspose(net.LeakyRelu(spoken, alpha=0.1), f32(8, 1, 8), strides=[4], pads=[2, 2]))
texts = [ints(*t)[None] for t in ([3, 7, 1, 4], [5, 2, 9, 9, 1, 0, 12], [3, 7, 1, 5])]
case("speech", net, {"wave": (wave, F), "frames": (frames, F)}, *[{"text": t} for t in texts], equal=True)

# The same with a loop over letters that repeats each, and a sequence that is joined.
net = Net(text=(I, [1, "letters"]))
encoded, frames = durations(net, "text", 6)
net.nodes.append(helper.make_node("Squeeze", [net.Cast(frames, to=I), net.const(ints(0, 1))], ["counts"], name="counts"))
net.nodes.append(helper.make_node("Squeeze", [encoded, net.const(ints(0))], ["letters"], name="letters"))
turn = Net()
one = turn.Gather("letters", "i", axis=1)
count = turn.Gather("counts", "i", axis=0)
many = turn.Expand(turn.Unsqueeze(one, ints(1)), turn.Concat(ints(1), turn.Unsqueeze(count, ints(0)), axis=0))
grown = turn.SequenceInsert("so_far", many)
turn.nodes.append(helper.make_node("Identity", ["c"], ["on"]))
sequence = lambda name: helper.make_tensor_sequence_value_info(name, F, [None, None])
turn = body(turn, "letter", [scalar("i", I), scalar("c", B), sequence("so_far")], [scalar("on", B), sequence(grown)])
net.nodes.append(helper.make_node("SequenceEmpty", [], ["nothing"], dtype=F))
joined = net.ConcatFromSequence(net.Loop(net.Squeeze(net.Shape("text", start=1), ints(0)), "", "nothing", body=turn), axis=1)
wave = net.Conv(net.Unsqueeze(joined, ints(0)), f32(1, 6, 5), pads=[2, 2])
case("speech_loop", net, {"wave": (wave, F)}, *[{"text": t} for t in texts], equal=True)

save_file(tensors, HERE / "parts.safetensors")
print(f"{sum(x.nbytes for x in tensors.values()) / 1024:.0f} KiB")
