"""Golden cases of attention and rotary embedding, for the tests' reference loops.

    pip install torch safetensors numpy
    python tests/goldens/generate_attention.py

Writes attention.safetensors and attention.json, in the form of generate_ops.py.
What PyTorch has no function for is written from its definition: windows and
caches as masks, rotary embeddings as rotations of complex numbers.
"""

import math

import torch
import torch.nn.functional as F
from generate_ops import case, normal, save

INF = math.inf


def attention(q, k, v, mask=None, *, is_causal, scale, enable_gqa):
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa)


def windowed(q, k, v, *, window, start):
    at = start + torch.arange(q.shape[2])[:, None]
    key = torch.arange(k.shape[2])[None, :]
    return F.scaled_dot_product_attention(q, k, v, (key <= at) & (key > at - window), enable_gqa=True)


def rotary(x, *, theta, dimension, interleaved, start):
    pairs = dimension // 2
    frequency = theta ** (-2 * torch.arange(pairs, dtype=torch.float64) / dimension)
    angle = torch.outer(start + torch.arange(x.shape[2], dtype=torch.float64), frequency)
    turning = x[..., :dimension].unflatten(-1, (pairs, 2) if interleaved else (2, pairs))
    if not interleaved:
        turning = turning.transpose(-1, -2)
    turned = torch.view_as_real(torch.view_as_complex(turning.contiguous()) * torch.polar(torch.ones(1).double(), angle))
    if not interleaved:
        turned = turned.transpose(-1, -2)
    return torch.cat([turned.flatten(-2), x[..., dimension:]], -1)


def attentions():
    def add(name, q, k, dv=None, mask=None, is_causal=False, scale=None, enable_gqa=False):
        inputs = {"query": normal(*q), "key": normal(*k), "value": normal(*k[:3], dv or k[3])}
        if mask is not None:
            inputs["attn_mask"] = mask
        attributes = {"is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
        case(f"attention_{name}", "scaled_dot_product_attention", attention, attributes, **inputs)

    add("plain", (2, 2, 5, 4), (2, 2, 7, 4))
    add("values", (1, 2, 3, 5), (1, 2, 4, 5), dv=3)
    add("scale", (1, 1, 3, 4), (1, 1, 6, 4), scale=2.0)
    add("grouped", (2, 6, 3, 4), (2, 2, 5, 4), enable_gqa=True)
    add("multi_query", (1, 4, 3, 4), (1, 1, 5, 4), enable_gqa=True)
    add("causal", (1, 2, 6, 4), (1, 2, 6, 4), is_causal=True)
    add("causal_more_queries", (1, 1, 6, 4), (1, 1, 4, 4), is_causal=True)
    add("causal_more_keys", (1, 1, 3, 4), (1, 1, 7, 4), is_causal=True)
    add("mask", (2, 2, 3, 4), (2, 2, 5, 4), mask=normal(2, 2, 3, 5))
    add("mask_of_keys", (2, 2, 3, 4), (2, 2, 5, 4), mask=normal(2, 1, 1, 5))
    excluding = normal(3, 5)
    excluding[0, 1:4] = -INF
    add("mask_excludes", (2, 2, 3, 4), (2, 2, 5, 4), mask=excluding)
    excluding = torch.zeros(3, 5)
    excluding[1] = -INF
    excluding[2] = torch.finfo(torch.float32).min
    add("mask_excludes_all", (1, 1, 3, 4), (1, 1, 5, 4), mask=excluding)
    for window, start in [(1, 0), (3, 0), (2, 4)]:
        inputs = {"query": normal(1, 4, 5, 4), "key": normal(1, 2, 9, 4), "value": normal(1, 2, 9, 4)}
        attributes = {"window": window, "start": start}
        case(f"windowed_{window}_{start}", "windowed_attention", windowed, attributes, **inputs)


def rotaries():
    for interleaved in (False, True):
        for name, theta, dimension, start in [("all", 1e4, 8, 0), ("part", 500.0, 6, 0), ("later", 1e4, 8, 5000)]:
            attributes = {"theta": theta, "dimension": dimension, "interleaved": interleaved, "start": start}
            name = f"rotary_{name}{'_interleaved' if interleaved else ''}"
            case(name, "rotary_embedding", rotary, attributes, input=normal(2, 2, 3, 8))


def main():
    torch.manual_seed(0)
    attentions()
    rotaries()
    save("attention")


if __name__ == "__main__":
    main()
