#!/usr/bin/env python3
"""train-denoiser.py DATA OUT.tza [--minutes 40] [--threads 1] [--rate 2e-3] [--from OLD.tza]: trains the denoiser's small network.

    pip install numpy torch
    cargo run --release --features image --example path_tracer -- --dataset target/denoise-data/train --scene 100 --scenes 200 --size 96x96
    python3 scripts/train-denoiser.py target/denoise-data/train assets/denoise/small_hdr_alb_nrm.tza

DATA is what the example path_tracer writes: a file for each scene, with 16 images of one sample a pixel. A mean of 1 to
8 of them is a noisy image with its guides; the target is the clean image. Every 25th scene only validates. The file of
weights is written anew every three minutes, so that it may be used at any time; DATA may grow meanwhile.
"""
import argparse
import math
import os
import struct
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

NOISY, CROP, BATCH = 16, 64, 16
# Channels after each layer of Open Image Denoise's U-Net.
LAYERS = {
    "enc_conv0": 16, "enc_conv1": 16, "enc_conv2": 24, "enc_conv3": 32, "enc_conv4": 48, "enc_conv5a": 48, "enc_conv5b": 48,
    "dec_conv4a": 48, "dec_conv4b": 48, "dec_conv3a": 40, "dec_conv3b": 40, "dec_conv2a": 32, "dec_conv2b": 32,
    "dec_conv1a": 24, "dec_conv1b": 16, "dec_conv0": 3,
}  # fmt: skip


def encode(y):
    """PU2, 1 for the largest f16, as shaders/lib/transfer.wgsl has it."""

    def curve(y):
        bright = 0.192653254 * np.log(y + 0.00626026094) + 0.998620152
        dark = 1.64593172 * np.power(y, 0.431384981) - 0.00294139609
        return np.where(y <= 1.5794576e-6, 1412.83765 * y, np.where(y <= 0.0322087631, dark, bright))

    return curve(y) / curve(np.float64(65504.0))


def decode(x):
    x = x * (0.192653254 * math.log(65504.0 + 0.00626026094) + 0.998620152)
    dark = np.power(np.maximum(x + 0.00294139609, 0) / 1.64593172, 1 / 0.431384981)
    bright = np.exp((x - 0.998620152) / 0.192653254) - 0.00626026094
    return np.where(x <= 0.00223151711, x / 1412.83765, np.where(x <= 0.370974749, dark, bright))


def luminance(image):
    return np.tensordot(np.array([0.212671, 0.71516, 0.072169]), image, 1)


def exposure(image):
    """The factor that brings the geometric mean of bins of 16x16 pixels to 0.18."""
    h, w = image.shape[1:]
    bins = luminance(image)[: h // 16 * 16, : w // 16 * 16].reshape(h // 16, 16, w // 16, 16).mean((1, 3))
    bins = bins[bins > 1e-8]
    return 0.18 / np.exp(np.log(bins).mean()) if bins.size else 1.0


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        inputs, c = {"enc_conv0": 9}, LAYERS
        names = list(LAYERS)
        for before, name in zip(names, names[1:]):
            inputs[name] = c[before]
        for stage, skip in [(4, c["enc_conv3"]), (3, c["enc_conv2"]), (2, c["enc_conv1"]), (1, 9)]:
            inputs[f"dec_conv{stage}a"] += skip
        self.convs = nn.ModuleDict({name: nn.Conv2d(inputs[name], c[name], 3, padding=1) for name in names})
        for conv in self.convs.values():
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        # It begins with grey.
        nn.init.constant_(self.convs["dec_conv0"].bias, 0.2)
        self.convs["dec_conv0"].weight.data *= 0.1

    def forward(self, x):
        def conv(name, x):
            return F.relu(self.convs[name](x))

        skips = [x]
        y = conv("enc_conv0", x)
        for stage in range(1, 5):
            y = F.max_pool2d(conv(f"enc_conv{stage}", y), 2)
            skips.append(y)
        y = conv("enc_conv5b", conv("enc_conv5a", y))
        skips.pop()
        for stage in range(4, 0, -1):
            y = torch.cat([F.interpolate(y, scale_factor=2, mode="nearest"), skips.pop()], 1)
            y = conv(f"dec_conv{stage}b", conv(f"dec_conv{stage}a", y))
        # Numbers below 0 become 0 where the network is used; here they have a gradient.
        return self.convs["dec_conv0"](y)


def save(state, path):
    """Writes an archive: header, tensors of f16, table."""
    data, table = bytearray(b"\xd7\x41\x02\x00" + bytes(8)), bytearray(struct.pack("<I", len(state)))
    for name, tensor in state.items():
        name = name.removeprefix("convs.").encode()
        data += bytes(-len(data) % 64)
        order = b"oihw" if tensor.dim() == 4 else b"x"
        table += struct.pack("<H", len(name)) + name + struct.pack("<B", tensor.dim())
        table += struct.pack(f"<{tensor.dim()}I", *tensor.shape) + order + b"h" + struct.pack("<Q", len(data))
        data += tensor.contiguous().numpy().astype("<f2").tobytes()
    data += bytes(-len(data) % 64)
    struct.pack_into("<Q", data, 4, len(data))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(f"{path}.part").write_bytes(data + table)
    os.replace(f"{path}.part", path)


def load(path):
    """Reads what `save` wrote."""
    data = Path(path).read_bytes()
    (at,) = struct.unpack_from("<Q", data, 4)
    (count,) = struct.unpack_from("<I", data, at)
    at, state = at + 4, {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name, rank = data[at + 2 : at + 2 + length].decode(), data[at + 2 + length]
        at += 3 + length
        sizes = struct.unpack_from(f"<{rank}I", data, at)
        (offset,) = struct.unpack_from("<Q", data, at + 5 * rank + 1)
        at += 5 * rank + 9
        values = np.frombuffer(data, "<f2", math.prod(sizes), offset).reshape(sizes)
        state[f"convs.{name}"] = torch.from_numpy(values.astype(np.float32))
    return state


class Scenes:
    """The files of a folder, which may become more."""

    def __init__(self, folder):
        self.folder, self.seen, self.training, self.validating = Path(folder), set(), [], []

    def look(self):
        for path in sorted(self.folder.glob("*.npy")):
            if path not in self.seen:
                self.seen.add(path)
                images = np.load(path)
                scene = images[:-1].reshape(NOISY, 9, *images.shape[2:]), images[-1].astype(np.float32)
                (self.validating if int(path.stem) % 25 == 0 else self.training).append((*scene, exposure(scene[1])))


def whole(noisy, clean, samples):
    """A noisy image with its guides as the network's input, its factor, and the clean image."""
    image = noisy[:samples].astype(np.float32).mean(0)
    factor = exposure(image[:3])
    return inputs(image, factor), factor, clean


def inputs(image, factor):
    color = encode(np.maximum(image[:3] * factor, 0))
    return np.concatenate([color, np.clip(image[3:6], 0, 1), np.clip(image[6:], -1, 1) * 0.5 + 0.5]).astype(np.float32)


def example(rng, scenes):
    """A crop of a random scene: the network's input and the encoded target."""
    noisy, clean, factor = scenes[rng.integers(len(scenes))]
    h, w = clean.shape[1:]
    y, x = rng.integers(h - CROP + 1), rng.integers(w - CROP + 1)
    samples = rng.choice([1, 2, 3, 4, 6, 8], p=[0.2, 0.2, 0.1, 0.25, 0.1, 0.15])
    of = np.sort(rng.choice(NOISY, samples, replace=False))
    image = noisy[of, :, y : y + CROP, x : x + CROP].astype(np.float32).mean(0)
    clean = clean[:, y : y + CROP, x : x + CROP]
    # Other colors of lights and surfaces, other axes of the world, other views.
    channels, axes = rng.permutation(3), rng.permutation(3)
    tint = rng.uniform(0.7, 1.4, (3, 1, 1)).astype(np.float32)
    signs = rng.choice([-1.0, 1.0], (3, 1, 1)).astype(np.float32)
    image = np.concatenate([image[channels] * tint, image[3 + channels], image[6 + axes] * signs])
    clean = clean[channels] * tint
    turns, mirrored = rng.integers(4), rng.integers(2)
    image, clean = (np.rot90(of, turns, (1, 2))[:, :, :: 1 - 2 * mirrored] for of in (image, clean))
    factor *= 2.0 ** rng.normal(0, 0.8)
    return inputs(image, factor), encode(clean * factor).astype(np.float32)


def batch(rng, scenes):
    pairs = [example(rng, scenes) for _ in range(BATCH)]
    return (torch.from_numpy(np.stack(of)).contiguous(memory_format=torch.channels_last) for of in zip(*pairs))


def shown(image):
    """sRGB of a bounded image."""
    x = np.clip(image, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def psnr(a, b):
    return -10 * math.log10(np.mean((a - b) ** 2))


def validate(net, scenes, samples=4):
    """The mean PSNR of noisy and of denoised images, after exposure, bounds and sRGB."""
    sums = np.zeros(2)
    for noisy, clean, _ in scenes:
        x, factor, clean = whole(noisy, clean, samples)
        with torch.no_grad():
            y = net(torch.from_numpy(x)[None])[0].clamp(min=0).numpy()
        of = shown(clean * exposure(clean))
        scale = exposure(clean) / factor
        color = noisy[:samples, :3].astype(np.float32).mean(0) * exposure(clean)
        sums += psnr(shown(color), of), psnr(shown(decode(y) * scale), of)
    return sums / max(len(scenes), 1)


def distance(y, want):
    """L1, of the numbers and of their differences to neighbours."""
    slopes = [(y - want).diff(dim=axis).abs().mean() for axis in (2, 3)]
    return (y - want).abs().mean() + 0.5 * (slopes[0] + slopes[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--from", dest="begin", help="weights to begin with")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    scenes, net = Scenes(args.data), UNet().to(memory_format=torch.channels_last)
    if args.begin:
        net.load_state_dict(load(args.begin))
    averaged = torch.optim.swa_utils.AveragedModel(net, avg_fn=lambda old, new, n: old + (new - old) * max(0.002, 8 / (n + 8)))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    print(f"{sum(of.numel() for of in net.parameters())} numbers")
    start, saved, step, losses = time.time(), 0.0, 0, []
    while (part := (time.time() - start) / (60 * args.minutes)) < 1:
        if step % 100 == 0:
            scenes.look()
        optimizer.param_groups[0]["lr"] = args.rate * min(1, (step + 1) / 100) * math.cos(math.pi / 2 * part) ** 2 + 1e-6
        x, want = batch(rng, scenes.training)
        loss = distance(net(x), want)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        averaged.update_parameters(net)
        losses.append(loss.item())
        step += 1
        if time.time() - saved > 180:
            report(averaged, scenes, args.out, step, start, losses)
            saved, losses = time.time(), []
    report(averaged, scenes, args.out, step, start, losses)


def report(averaged, scenes, out, step, start, losses):
    save(averaged.module.state_dict(), out)
    noisy, denoised = validate(averaged.module, scenes.validating)
    print(
        f"{(time.time() - start) / 60:.1f} min, step {step}, {len(scenes.training)} scenes: loss {np.mean(losses):.5f}, "
        f"{len(scenes.validating)} other scenes at 4 samples: noisy {noisy:.2f} dB, denoised {denoised:.2f} dB",
        flush=True,
    )


if __name__ == "__main__":
    main()
