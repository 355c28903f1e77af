"""Golden logits of classic networks with seeded weights (see seeded.py).

    pip install torch torchvision safetensors numpy
    python tests/goldens/generate.py

PyTorch runs each network in float64 on the float32 weights and input, so that
the golden logits, stored as float32, carry next to no error of their own.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torchvision.models import VisionTransformer, get_model

import seeded

NETWORKS = {
    "alexnet": (2, 3, 64, 64),
    "alexnet_original": (1, 3, 224, 224),
    **{f"vgg{depth}{bn}": (2, 3, 32, 32) for depth in (11, 13, 16, 19) for bn in ("", "_bn")},
    **{f"resnet{depth}": (2, 3, 64, 64) for depth in (18, 34, 50, 101, 152)},
    "resnext50_32x4d": (2, 3, 64, 64),
    **{f"mobilenet_{version}": (2, 3, 64, 64) for version in ("v1", "v2", "v3_small", "v3_large")},
    "vit_b_16": (2, 3, 64, 64),
    "vit_ti_16": (2, 3, 64, 64),
    "vit_tiny": (2, 3, 32, 32),
    "m5": (2, 1, 8000),
    "m5_small": (2, 1, 8000),
}


class AlexNetOriginal(nn.Module):
    """The network of the paper: wider than torchvision's, normalised, in two groups."""

    def __init__(self):
        super().__init__()

        def normalise():
            # The paper's alpha is 1e-4 for each element; PyTorch divides its alpha by the size.
            return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)

        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4, padding=2),
            nn.ReLU(),
            normalise(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(),
            normalise(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(9216, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 1000),
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class MobileNetV1(nn.Module):
    """The network of table 1 of the paper, with names in the manner of torchvision's MobileNetV2."""

    def __init__(self):
        super().__init__()

        def convolution(inputs, outputs, kernel, **options):
            convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options)
            return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

        layers = [convolution(3, 32, 3, stride=2)]
        inputs = 32
        blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
        for outputs, stride in blocks:
            depthwise = convolution(inputs, inputs, 3, stride=stride, groups=inputs)
            layers.append(nn.Sequential(depthwise, convolution(inputs, outputs, 1)))
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(1024, 1000))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class M5(nn.Module):
    """PyTorch's tutorial on speech commands, without the log-softmax; with the paper's channels or the tutorial's."""

    def __init__(self, channels, stride):
        super().__init__()
        kernels, strides = (80, 3, 3, 3), (stride, 1, 1, 1)
        for i, sizes in enumerate(zip((1, *channels), channels, kernels, strides), start=1):
            setattr(self, f"conv{i}", nn.Conv1d(*sizes))
            setattr(self, f"bn{i}", nn.BatchNorm1d(sizes[1]))
        self.fc1 = nn.Linear(channels[-1], 35)

    def forward(self, x):
        for i in range(1, 5):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = F.max_pool1d(F.relu(x), 4)
        return self.fc1(x.mean(2))


def vit_tiny():
    return VisionTransformer(32, 8, num_layers=3, num_heads=4, hidden_dim=48, mlp_dim=96, num_classes=10)


OWN = {
    "alexnet_original": AlexNetOriginal,
    "mobilenet_v1": MobileNetV1,
    "vit_b_16": lambda: get_model("vit_b_16", weights=None, image_size=64),
    "vit_ti_16": lambda: VisionTransformer(64, 16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768),
    "vit_tiny": vit_tiny,
    "m5": lambda: M5((128, 128, 256, 512), stride=4),
    "m5_small": lambda: M5((32, 32, 64, 64), stride=16),
}


def build(name):
    """The network with seeded weights, in float64 and eval mode."""
    with torch.device("meta"):  # neither allocates nor initialises what is replaced anyway
        model = OWN[name]() if name in OWN else get_model(name, weights=None)
    state = {
        key: torch.from_numpy(seeded.tensor(key, tuple(value.shape))).double()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    # Not strict: eval mode has no use for num_batches_tracked, which stays a meta tensor.
    missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    assert not unexpected and all(key.endswith("num_batches_tracked") for key in missing)
    return model.eval()


def main():
    torch.set_num_threads(1)
    goldens = {}
    for name, shape in NETWORKS.items():
        image = torch.from_numpy(seeded.tensor("input", shape)).double()
        with torch.no_grad():
            logits = build(name)(image)
        assert logits.isfinite().all()
        goldens[name] = logits.float()
        print(f"{name:17} largest |logit| {logits.abs().max():.6g}", flush=True)
    save_file(goldens, Path(__file__).with_name("networks.safetensors"))


if __name__ == "__main__":
    main()
