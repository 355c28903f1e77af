"""Trains a small residual network on scikit-learn's 8x8 handwritten digits.

    pip install torch safetensors numpy scikit-learn pillow
    python assets/digits/train.py

Writes the weights, the held-out images with what PyTorch makes of them, and
one held-out seven as a PNG, next to this script.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
EPOCHS, BATCH, SEED = 80, 64, 0


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + identity)


class Network(nn.Module):
    """A ResNet with torchvision's names, for images too small for its max pool."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layer1 = nn.Sequential(BasicBlock(32, 32))
        self.layer2 = nn.Sequential(BasicBlock(32, 64, stride=2))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        return self.fc(x.mean((2, 3)))


def augment(images):
    """Shifts each image by at most one pixel and adds a little noise."""
    padded = F.pad(images, (1, 1, 1, 1))
    shifts = torch.randint(0, 3, (len(images), 2)).tolist()
    shifted = torch.stack([p[:, y : y + 8, x : x + 8] for p, (y, x) in zip(padded, shifts)])
    return shifted + 0.05 * torch.randn_like(shifted)


def train(images, labels):
    model = Network().train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    for _ in range(EPOCHS):
        # A last, smaller batch would only give noisier batch statistics: it is left out.
        for batch in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
            loss = F.cross_entropy(model(augment(images[batch])), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # a fixed order of summation: the same weights on every run

    digits = load_digits()  # values 0..16
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        digits.images, digits.target, test_size=360, stratify=digits.target, random_state=SEED
    )
    as_input = lambda pixels: torch.tensor(pixels / 16, dtype=torch.float32).unsqueeze(1)
    images, labels = as_input(test_pixels), torch.tensor(test_labels)

    model = train(as_input(train_pixels), torch.tensor(train_labels))
    state = {k: v.clone() for k, v in model.state_dict().items() if "num_batches" not in k}

    # In double precision, so that the reference itself adds no error worth mentioning.
    with torch.no_grad():
        logits = model.double()(images.double())
    predicted = logits.argmax(1)
    right = predicted == labels
    print(f"held-out accuracy: {right.sum()}/{len(right)} = {right.double().mean():.2%}")

    save_file(state, HERE / "digits.safetensors")
    save_file(
        {
            "images": images,
            "labels": labels.to(torch.uint8),
            "predicted": predicted.to(torch.uint8),
            "logits": logits.float(),
        },
        HERE / "test.safetensors",
    )
    seven = int(torch.nonzero((labels == 7) & right)[0])
    pixels = np.round(test_pixels[seven] / 16 * 255).astype(np.uint8)
    Image.fromarray(pixels).save(HERE / "seven.png")


if __name__ == "__main__":
    main()
