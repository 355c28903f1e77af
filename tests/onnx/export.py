"""Networks as PyTorch's two exporters write them, and what ONNX Runtime computes with them.

    pip install torch torchvision onnx onnxscript onnxruntime onnx-ir safetensors numpy
    python tests/onnx/export.py [NAME ..]

Each network is written to `exports/NETWORK-EXPORTER-OPSET.onnx`; the exporter is `script` (TorchScript's) or `dynamo`, or
what ONNX Runtime quantises of the former: `qdq` (8 bits, weights by channel, calibrated with the input), `dynamic`
(activations as they come) and `nbits` (matrices of 4 bits in blocks).

No weights are committed but for quantised ones. Floats of MANY elements or more are external data in `weights.bin`, a file that isn't there:
whoever runs the network makes it, tensor after tensor, from the names of the initialisers (`../goldens/seeded.py`, seed
0). What is smaller stays in the file, and so do masks, tensors of one or two values.

Inputs of floats are seeded by the name `input`; inputs of integers are (31 i + 7) mod BOUND[name].

Outputs go to `expected.safetensors`, as `EXPORT/OUTPUT`: all elements, or every n-th with the least n that leaves
SAMPLES.
"""

import math
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
import torchvision.models as tv
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from safetensors.numpy import load_file, save_file
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "goldens"))
import seeded  # noqa: E402

SAMPLES = 4096
# Of matrices and more; vectors are smaller.
MANY, MANY_IN_A_VECTOR = 1024, 64
BOUND = {"tokens": 64, "mask": 2}


class Block(nn.Module):
    """A transformer's block: post-norm as in BERT, or pre-norm and causal as in GPT-2."""

    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def attention(self, x, bias):
        batch, tokens, width = x.shape

        def split(y):
            return y.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        if self.causal:
            later = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        else:
            scores = scores + bias
        y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(batch, tokens, width))

    def forward(self, x, bias=None):
        if self.causal:
            x = x + self.attention(self.norm1(x), bias)
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        x = self.norm1(x + self.attention(x, bias))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Fused(Block):
    """The same with one product for queries, keys and values, and PyTorch's own attention."""

    def __init__(self, width, heads, causal):
        super().__init__(width, heads, causal)
        self.query, self.key, self.value = (None,) * 3
        self.qkv = nn.Linear(width, 3 * width)

    def attention(self, x, bias):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        # ONNX Runtime's Attention doesn't broadcast a mask over the queries.
        bias = None if bias is None else bias.expand(-1, -1, tokens, -1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(batch, tokens, width))


class Bert(nn.Module):
    def __init__(self, block=Block, width=64, layers=2, places=32):
        super().__init__()
        self.token, self.place, self.kind = (nn.Embedding(n, width) for n in (BOUND["tokens"], places, 2))
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(block(width, 4, False) for _ in range(layers))
        self.pooler, self.head = nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, tokens, mask):
        places = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        x = self.norm(self.token(tokens) + self.place(places) + self.kind(torch.zeros_like(tokens)))
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for block in self.blocks:
            x = block(x, bias)
        return x, self.head(torch.tanh(self.pooler(x[:, 0])))


class Gpt(nn.Module):
    def __init__(self, block=Block, width=64, layers=2, places=32):
        super().__init__()
        self.token, self.place = nn.Embedding(BOUND["tokens"], width), nn.Embedding(places, width)
        self.blocks = nn.ModuleList(block(width, 4, True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.token.weight)


class UNet(nn.Module):
    """Two levels, one of which goes up with a transposed convolution, the other with bilinear interpolation."""

    def __init__(self, width=8):
        super().__init__()

        def double(inputs, outputs):
            layers = []
            for channels in (inputs, outputs):
                layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
            return nn.Sequential(*layers)

        self.down1, self.down2, self.bottom = double(3, width), double(width, 2 * width), double(2 * width, 4 * width)
        self.up = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.up2, self.up1 = double(4 * width, 2 * width), double(3 * width, width)
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        y = self.up(self.bottom(F.max_pool2d(b, 2)))
        y = self.up2(torch.cat([b, y], 1))
        y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
        return self.head(self.up1(torch.cat([a, y], 1)))


class SuperResolution(nn.Module):
    """Shi et al., 2016: what is missing from an enlarged image, by shuffling pixels."""

    def __init__(self, factor=3, width=16):
        super().__init__()
        self.factor = factor
        self.conv1, self.conv2 = nn.Conv2d(1, width, 5, padding=2), nn.Conv2d(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, factor**2, 3, padding=1)

    def forward(self, x):
        y = F.leaky_relu(self.conv2(F.relu(self.conv1(x))), 0.2)
        base = F.interpolate(x, scale_factor=self.factor, mode="nearest")
        return F.pixel_shuffle(self.conv3(y), self.factor) + base


class Only(nn.Module):
    """One of several outputs: a segmentation network's classes, without its auxiliary ones."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)["out"]


def narrow_vgg11():
    """The network with narrow linear layers, which would have 120 M of its weights."""
    model = tv.vgg11(num_classes=100)
    model.classifier = nn.Sequential(nn.Linear(512 * 7 * 7, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 100))
    return model


def narrow_alexnet():
    model = tv.alexnet(num_classes=100)
    model.classifier = nn.Sequential(nn.Dropout(), nn.Linear(256 * 6 * 6, 64), nn.ReLU(), nn.Linear(64, 100))
    return model


def narrow_mobilenet():
    stages = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 1]]
    return tv.MobileNetV2(num_classes=40, width_mult=0.25, inverted_residual_setting=stages)


def vit():
    return tv.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=64, mlp_dim=128)


def swin():
    return tv.SwinTransformer([4, 4], 24, [1, 2], [2, 4], [4, 4], num_classes=100, stochastic_depth_prob=0.0)


def maxvit():
    sizes = dict(input_size=(64, 64), stem_channels=16, partition_size=4, block_channels=[16, 32], block_layers=[1, 1])
    return tv.MaxVit(**sizes, head_dim=8, stochastic_depth_prob=0.0, num_classes=100)


def convnext():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    sizes = [(24, 48, 2), (48, 96, 2), (96, None, 2)]
    return ConvNeXt([CNBlockConfig(*size) for size in sizes], layer_scale=0.1, num_classes=100)


def densenet():
    return tv.DenseNet(16, (3, 4, 6, 3), 32, num_classes=100)


@dataclass
class Network:
    build: Callable
    # The exporters and their operator sets.
    exports: list
    inputs: dict = field(default_factory=lambda: {"input": (1, 3, 64, 64)})
    # Axes that stay open, by input.
    dynamic: dict = field(default_factory=dict)
    outputs: tuple = ("output",)
    # Its structure alone is wanted: what it gives isn't computed.
    structure: bool = False


def script(*opsets):
    return [("script", opset) for opset in opsets]


def dynamo(*opsets):
    return [("dynamo", opset) for opset in opsets]


def quantised(kind, opset):
    return [(kind, opset)]


IMAGE32 = {"input": (1, 3, 32, 32)}
IMAGE64 = {"input": (1, 3, 64, 64)}
IMAGE224 = {"input": (1, 3, 224, 224)}
BATCH = {"input": {0: "batch"}}
OPEN = {"input": {0: "batch", 2: "height", 3: "width"}}
TOKENS = {"tokens": {0: "batch", 1: "sequence"}}
MASKED = {**TOKENS, "mask": TOKENS["tokens"]}
BERT = dict(inputs={"tokens": (2, 10), "mask": (2, 10)}, outputs=("hidden", "classes"))
GPT = dict(inputs={"tokens": (2, 10)}, outputs=("logits",))

NETWORKS = {
    "alexnet": Network(tv.alexnet, script(12) + dynamo(18), IMAGE224, structure=True),
    "alexnet_narrow": Network(narrow_alexnet, script(12) + dynamo(18), IMAGE224),
    "vgg11": Network(tv.vgg11, script(11) + dynamo(20), IMAGE224, structure=True),
    "vgg11_narrow": Network(narrow_vgg11, dynamo(20), IMAGE64),
    "resnet18": Network(tv.resnet18, script(9, 17) + dynamo(18), {"input": (2, 3, 64, 64)}, BATCH),
    "resnet50": Network(tv.resnet50, script(12) + dynamo(21), IMAGE64),
    "resnext50": Network(tv.resnext50_32x4d, script(13) + dynamo(18), IMAGE64),
    "mobilenet_v2": Network(tv.mobilenet_v2, script(7, 12) + dynamo(18), IMAGE64, BATCH),
    "mobilenet_v2_narrow": Network(narrow_mobilenet, quantised("qdq", 17), IMAGE32, BATCH),
    "mobilenet_v3_small": Network(tv.mobilenet_v3_small, script(9, 11, 17) + dynamo(18), IMAGE64),
    "squeezenet": Network(tv.squeezenet1_1, script(9) + dynamo(18), IMAGE64),
    "shufflenet": Network(tv.shufflenet_v2_x0_5, script(9, 12) + dynamo(18), {"input": (2, 3, 64, 64)}, BATCH),
    "densenet": Network(densenet, script(12) + dynamo(18), IMAGE64),
    "googlenet": Network(
        lambda: tv.googlenet(num_classes=100, init_weights=False, aux_logits=False, transform_input=True),
        script(11) + dynamo(18),
        IMAGE64,
    ),
    "inception": Network(
        lambda: tv.inception_v3(num_classes=100, init_weights=False, aux_logits=False),
        script(12) + dynamo(18),
        {"input": (1, 3, 75, 75)},
    ),
    "mnasnet": Network(tv.mnasnet0_5, script(11) + dynamo(18), IMAGE64),
    "efficientnet": Network(tv.efficientnet_b0, script(9) + dynamo(22), IMAGE64),
    "regnet": Network(tv.regnet_x_400mf, script(12) + dynamo(18), IMAGE64),
    "convnext": Network(convnext, script(11, 17) + dynamo(18), IMAGE32),
    "swin": Network(swin, script(17) + dynamo(18), IMAGE64),
    "vit": Network(vit, script(14, 17) + dynamo(18, 23), {"input": (2, 3, 32, 32)}, BATCH),
    "maxvit": Network(maxvit, script(17) + dynamo(18), IMAGE64),
    "fcn": Network(
        lambda: Only(tv.segmentation.fcn_resnet50(num_classes=5, weights_backbone=None)),
        script(11) + dynamo(18),
        IMAGE32,
    ),
    "deeplab": Network(
        lambda: Only(tv.segmentation.deeplabv3_mobilenet_v3_large(num_classes=5, weights_backbone=None)),
        script(11) + dynamo(18),
        IMAGE64,
    ),
    "unet": Network(UNet, script(11, 17) + dynamo(18, 25) + quantised("qdq", 17), {"input": (1, 3, 32, 48)}, OPEN),
    "super_resolution": Network(SuperResolution, script(9, 10, 11, 17) + dynamo(18), {"input": (1, 1, 24, 20)}, OPEN),
    "bert": Network(Bert, script(11, 14, 17) + dynamo(18) + quantised("dynamic", 14), dynamic=MASKED, **BERT),
    "bert_sdpa": Network(lambda: Bert(Fused), script(14) + dynamo(18, 23), dynamic=MASKED, **BERT),
    "gpt": Network(Gpt, script(14, 17) + dynamo(18, 20) + quantised("nbits", 21), dynamic=TOKENS, **GPT),
    "gpt_sdpa": Network(lambda: Gpt(Fused), script(14) + dynamo(18, 24), dynamic=TOKENS, **GPT),
}


def traced(network, name, shape):
    """The shape that a network is exported with: open sizes are others than it is run with."""
    return tuple(size * 2 if axis in network.dynamic.get(name, {}) else size for axis, size in enumerate(shape))


def made(name, shape):
    """An input."""
    if name in BOUND:
        return ((np.arange(math.prod(shape)) * 31 + 7) % BOUND[name]).reshape(shape)
    return seeded.tensor("input", shape)


def exported(network, exporter, opset, path):
    # What stays in the file is seeded too.
    model = network.build().eval()
    parts = model.state_dict()
    for name, part in parts.items():
        if part.is_floating_point():
            part.copy_(torch.from_numpy(seeded.tensor(name, tuple(part.shape))))
    shapes = {name: traced(network, name, shape) for name, shape in network.inputs.items()}
    args = tuple(torch.from_numpy(made(*each)) for each in shapes.items())
    options = dict(input_names=list(network.inputs), output_names=list(network.outputs), opset_version=opset)
    if exporter != "dynamo":
        torch.onnx.export(model, args, path, dynamo=False, dynamic_axes=network.dynamic or None, **options)
    else:
        axes = tuple(network.dynamic.get(name, {}) for name in network.inputs) if network.dynamic else None
        options.update(dynamic_shapes=axes, external_data=False, verbose=False)
        torch.onnx.export(model, args, path, dynamo=True, **options)
    if exporter not in ("script", "dynamo"):
        quantise(network, exporter, path)
    return onnx.load(path)


class Once(CalibrationDataReader):
    def __init__(self, inputs):
        self.inputs = iter([inputs])

    def get_next(self):
        return next(self.inputs, None)


def quantise(network, kind, path):
    if kind == "qdq":
        inputs = Once({name: made(name, shape) for name, shape in network.inputs.items()})
        types = dict(activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
        quantize_static(path, path, inputs, quant_format=QuantFormat.QDQ, **types)
    elif kind == "dynamic":
        quantize_dynamic(path, path, weight_type=QuantType.QInt8)
    else:
        quantizer = MatMulNBitsQuantizer(onnx.load(path), bits=4, block_size=32, is_symmetric=False)
        quantizer.process()
        quantizer.model.save_model_to_file(str(path), False)


def strip(model):
    """Leaves out what only documents."""
    model.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for message in [model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]:
        message.ClearField("doc_string")
        message.ClearField("metadata_props")


def without_weights(model):
    """Moves the weights to a file that isn't there, and returns what would be in it."""
    weights, offset = [], 0
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        shape = tuple(tensor.dims)
        large = math.prod(shape) >= (MANY if len(shape) > 1 else MANY_IN_A_VECTOR)
        if not large or np.unique(onnx.numpy_helper.to_array(tensor)).size <= 2:
            continue
        values = seeded.tensor(tensor.name, shape)
        for data in ("raw_data", "float_data"):
            tensor.ClearField(data)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in [("location", "weights.bin"), ("offset", offset), ("length", values.nbytes)]:
            tensor.external_data.add(key=key, value=str(value))
        weights.append(values)
        offset += values.nbytes
    return weights


def sampled(values):
    step = -(-values.size // SAMPLES)
    return np.ascontiguousarray(values.ravel()[::step])


def run(model, weights, network, folder):
    with open(folder / "weights.bin", "wb") as file:
        for values in weights:
            file.write(values.tobytes())
    onnx.save(model, folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, ["CPUExecutionProvider"])
    inputs = {name: made(name, shape) for name, shape in network.inputs.items()}
    return dict(zip(network.outputs, session.run(None, inputs), strict=True))


def main():
    wanted = sys.argv[1:]
    store = HERE / "expected.safetensors"
    expected = load_file(store) if store.exists() and wanted else {}
    failed = []
    for name, network in NETWORKS.items():
        for exporter, opset in network.exports:
            export = f"{name}-{exporter}-{opset}"
            if wanted and name not in wanted and export not in wanted:
                continue
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                try:
                    model = exported(network, exporter, opset, folder / "raw.onnx")
                    got = {entry.domain: entry.version for entry in model.opset_import}[""]
                    assert got == opset, f"operator set {got}"
                    strip(model)
                    weights = without_weights(model) if exporter in ("script", "dynamo") else []
                    outputs = {} if network.structure else run(model, weights, network, folder)
                except Exception as error:
                    failed.append(f"{export}: {type(error).__name__} {' '.join(str(error).split())[:300]}")
                    print("FAILED", failed[-1], flush=True)
                    continue
            path = HERE / "exports" / f"{export}.onnx"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(model.SerializeToString())
            print(export, path.stat().st_size, "bytes,", sum(map(np.size, weights)), "weights", end="", flush=True)
            expected = {key: value for key, value in expected.items() if not key.startswith(f"{export}/")}
            for output, values in outputs.items():
                print(f", {output} {values.shape} {values.min():.3g}..{values.max():.3g} ±{values.std():.3g}", end="")
                assert np.isfinite(values).all() and values.std() > 1e-3 * abs(values).max(), "a bad test"
                expected[f"{export}/{output}"] = sampled(values)
            print(flush=True)
    save_file(expected, store)
    sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
