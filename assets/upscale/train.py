"""Trains a small network that doubles the width and height of a photograph.

    pip install torch safetensors numpy scikit-learn scikit-image pillow
    python assets/upscale/train.py

The photographs to learn from come inside the scikit-learn and scikit-image
packages. Writes the weights, a held-out photograph with its half-size version,
and a golden pair of tensors, next to this script.
"""

from pathlib import Path

import numpy as np
import skimage
import sklearn.datasets
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
SKLEARN = Path(sklearn.datasets.__file__).parent / "images"
SKIMAGE = Path(skimage.__file__).parent / "data"

HELD_OUT = SKIMAGE / "chelsea.png"
CROP = (40, 22, 424, 278)  # 384x256
PHOTOGRAPHS = [
    *(SKLEARN / name for name in ("china.jpg", "flower.jpg")),
    *(SKIMAGE / name for name in ("astronaut.png", "coffee.png", "rocket.jpg", "camera.png")),
    *(SKIMAGE / name for name in ("brick.png", "grass.png", "gravel.png")),
]
STEPS, BATCH, PATCH, SEED = 16000, 16, 24, 0


def bicubic_phases():
    """Bicubic x2 as a 5x5 convolution to four phases: a weight of shape [12, 3, 5, 5].

    With half-pixel centres, the output pixels 2i and 2i+1 lie a quarter of an
    input pixel before and after input pixel i.
    """

    def cubic(x, a=-0.5):
        x = abs(x)
        if x < 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    rows = [[cubic(tap - centre) for tap in range(-2, 3)] for centre in (-0.25, 0.25)]
    weight = torch.zeros(3, 2, 2, 3, 5, 5)
    for channel in range(3):
        for y in range(2):
            for x in range(2):
                weight[channel, y, x, channel] = torch.outer(torch.tensor(rows[y]), torch.tensor(rows[x]))
    return weight.reshape(12, 3, 5, 5)  # the order of channels that PixelShuffle(2) reads


class Network(nn.Module):
    """Bicubic interpolation (`skip`, trained further) plus a learned correction."""

    def __init__(self, width=32):
        super().__init__()
        replicate = {"padding_mode": "replicate"}
        self.skip = nn.Conv2d(3, 12, 5, padding=2, bias=False, **replicate)
        self.conv1 = nn.Conv2d(3, width, 5, padding=2, **replicate)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, **replicate)
        self.conv3 = nn.Conv2d(width, width, 3, padding=1, **replicate)
        self.conv4 = nn.Conv2d(width, 12, 3, padding=1, **replicate)
        with torch.no_grad():
            self.skip.weight.copy_(bicubic_phases())
            self.conv4.weight.mul_(0.01)
            self.conv4.bias.zero_()

    def forward(self, image):
        x = image
        for convolution in (self.conv1, self.conv2, self.conv3):
            x = F.relu(convolution(x))
        return F.pixel_shuffle(self.conv4(x) + self.skip(image), 2)


def even(image):
    return image.crop((0, 0, image.width & ~1, image.height & ~1))


def halve(image):
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def as_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def as_image(tensor):
    pixels = (tensor.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def psnr(image, reference):
    error = np.asarray(image, np.float64) - np.asarray(reference, np.float64)
    return 10 * np.log10(255**2 / np.mean(error**2))


def upscale(model, image):
    with torch.no_grad():
        return as_image(model(as_tensor(image).unsqueeze(0))[0])


def training_pairs():
    """(half, full) pairs. Each photograph also comes reduced, which makes its detail finer."""
    pairs = []
    for path in PHOTOGRAPHS:
        photograph = Image.open(path).convert("RGB")
        for scale in (1, 0.8, 0.6):
            size = (int(photograph.width * scale), int(photograph.height * scale))
            full = even(photograph.resize(size, Image.Resampling.LANCZOS))
            pairs.append((as_tensor(halve(full)), as_tensor(full)))
    return pairs


def random_batch(pairs, rng):
    """Patches from photographs chosen by their area, flipped and rotated."""
    area = np.array([half[0].numel() for half, _ in pairs])
    halves, fulls = [], []
    for index in rng.choice(len(pairs), BATCH, p=area / area.sum()):
        half, full = pairs[index]
        y, x = (int(rng.integers(size - PATCH + 1)) for size in half.shape[1:])
        half = half[:, y : y + PATCH, x : x + PATCH]
        full = full[:, 2 * y : 2 * (y + PATCH), 2 * x : 2 * (x + PATCH)]
        turns, flip = int(rng.integers(4)), rng.integers(2)
        half, full = (torch.rot90(patch, turns, (1, 2)) for patch in (half, full))
        halves.append(half.flip(2) if flip else half)
        fulls.append(full.flip(2) if flip else full)
    return torch.stack(halves), torch.stack(fulls)


def train():
    pairs, rng = training_pairs(), np.random.default_rng(SEED)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.002, total_steps=STEPS, pct_start=0.05)
    for step in range(STEPS):
        half, full = random_batch(pairs, rng)
        error = model(half) - full
        # The absolute error learns faster; the squared error is what PSNR counts.
        # The factor keeps the gradients at a similar size, to which Adam's state is adapted.
        loss = error.abs().mean() if step < 0.8 * STEPS else 30 * error.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # a fixed order of summation: the same weights on every run

    photo = Image.open(HELD_OUT).convert("RGB").crop(CROP)
    half = halve(photo)
    model = train()
    print(f"bicubic {psnr(half.resize(photo.size, Image.Resampling.BICUBIC), photo):.2f} dB")
    print(f"network {psnr(upscale(model, half), photo):.2f} dB")

    photo.save(HERE / "photo.png", optimize=True)
    half.save(HERE / "photo_half.png", optimize=True)
    save_file(model.state_dict(), HERE / "upscale.safetensors")

    # In double precision, so that the reference itself adds no error worth mentioning.
    crop = as_tensor(half)[None, :, 34:58, 50:82].contiguous()
    with torch.no_grad():
        output = model.double()(crop.double()).float()
    save_file({"input": crop, "output": output}, HERE / "golden.safetensors")


if __name__ == "__main__":
    main()
