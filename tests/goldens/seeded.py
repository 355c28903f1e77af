"""Deterministic tensors from a name, a shape and a seed.

The Rust tests generate the same values bit for bit, so that the golden
networks need no weights on disk. A value depends on nothing but the seed, the
tensor's name and its flat row-major index:

    key   = mix(fnv1a(name) ^ mix(seed + GOLDEN))
    u     = float32(mix(key + (index + 1) * GOLDEN) >> 40) / float32(2**24)
    value = low + (high - low) * u            (float32, each operation rounded)

where mix is the finaliser of splitmix64, and all integers are unsigned 64-bit
and wrap around. The bounds low and high are computed in float64 and rounded
to float32.

The first values for seed 0, also in seeded.json (written by `python seeded.py`):

    conv1.weight [64, 3, 7, 7]  -0.0510783195  0.0446227044  -0.122580089  0.119085133
    input        [2, 3, 64, 64]  0.776967049   0.1622473     -0.750700474  0.367899776
"""

import json
import math
from pathlib import Path

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MASK = 2**64 - 1
CHUNK = 1 << 20  # bounds the memory taken by 64-bit intermediates


def mix(z):
    """Mixes an array of uint64 in place."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def mix_one(z):
    return int(mix(np.array([z & MASK], np.uint64))[0])


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def bounds(name, shape):
    """The range of a tensor's values: it keeps activations of the same size from layer to layer."""
    if name == "input":
        return -1.0, 1.0
    if len(shape) >= 2:
        bound = math.sqrt(6 / math.prod(shape[1:]))
        return -bound, bound
    if name.endswith("running_mean"):
        return -0.2, 0.2
    if name.endswith("running_var"):
        return 1.0, 2.0
    if name.endswith("weight"):
        return 0.5, 1.5
    return -0.1, 0.1


def tensor(name, shape, seed=0):
    key = mix_one(fnv1a(name) ^ mix_one(seed + GOLDEN))
    low, high = (np.float32(bound) for bound in bounds(name, shape))
    values = np.empty(math.prod(shape), np.float32)
    for start in range(0, values.size, CHUNK):
        part = values[start : start + CHUNK]
        index = np.arange(start + 1, start + 1 + part.size, dtype=np.uint64)
        bits = mix(np.uint64(key) + index * np.uint64(GOLDEN)) >> np.uint64(40)
        part[:] = low + (high - low) * (bits.astype(np.float32) / np.float32(2**24))
    return values.reshape(shape)


def main():
    checks = []
    for name, shape in [("conv1.weight", (64, 3, 7, 7)), ("input", (2, 3, 64, 64))]:
        # float32 written with enough digits to be read back exactly.
        first = [float(f"{value:.9g}") for value in tensor(name, shape).ravel()[:4]]
        checks.append({"name": name, "shape": shape, "seed": 0, "first": first})
        print(name, list(shape), first)
    text = ",\n".join("  " + json.dumps(check) for check in checks)
    Path(__file__).with_suffix(".json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
