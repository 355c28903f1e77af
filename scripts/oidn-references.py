#!/usr/bin/env python3
"""oidn-references.py PACKAGE OUT: weights of Open Image Denoise, and what its CPU device makes of small images.

PACKAGE is the unpacked Python package pyoidn, on PYTHONPATH, whose library has the weights as archives one after the other. OUT gets
weights/NAME.tza under their names in that project, images and results as .npy, and index.json, the list of the results.
"""
import json
import os
import struct
import sys

import numpy as np

# The order in the library.
NAMES = """rt_alb rt_alb_large rt_hdr rt_hdr_small rt_hdr_alb rt_hdr_alb_small rt_hdr_alb_nrm rt_hdr_alb_nrm_small
    rt_hdr_calb_cnrm rt_hdr_calb_cnrm_small rt_hdr_calb_cnrm_large rt_ldr rt_ldr_small rt_ldr_alb rt_ldr_alb_small
    rt_ldr_alb_nrm rt_ldr_alb_nrm_small rt_ldr_calb_cnrm rt_ldr_calb_cnrm_small rt_nrm rt_nrm_large rtlightmap_hdr
    rtlightmap_dir""".split()


def archives(data):
    """Yields the archives in a library: from their magic number to the end of their table."""
    at = 0
    while (at := data.find(b"\xd7\x41\x02\x00", at)) >= 0:
        try:
            (table,) = struct.unpack_from("<Q", data, at + 4)
            p = at + table
            (count,) = struct.unpack_from("<I", data, p)
            if not 0 < count < 200:
                raise ValueError
            p += 4
            for _ in range(count):
                (length,) = struct.unpack_from("<H", data, p)
                data[p + 2 : p + 2 + length].decode("ascii")
                p += 2 + length
                p += 1 + 5 * data[p] + 1 + 8
            yield data[at:p]
            at = p
        except (ValueError, struct.error, IndexError):
            at += 2


def images(h, w, seed):
    """Returns a noisy image, its albedo and its normals."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    checks = 0.15 + 0.7 * ((x // 19 + y // 11) % 2)
    albedo = np.stack([checks, 0.5 + 0.4 * np.cos(x / 8), 0.4 + 0.3 * np.sin(y / 6)], -1)
    normal = np.stack([np.sin(y / 21), np.cos(x / 17), np.ones_like(x)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = 0.2 + 5 * np.exp(-((x - w / 4) ** 2 + (y - h / 3) ** 2) / (0.08 * h * w))
    noisy = albedo * light[..., None] * rng.gamma(0.6, 1 / 0.6, (h, w, 3))
    noisy[h // 3, w // 2] = 700
    return [np.ascontiguousarray(image, np.float32) for image in (noisy, albedo, normal)]


def denoise(oidn, given, output, kind="RT", quality="high", **flags):
    qualities = {"fast": 4, "balanced": 5, "high": 6}
    with oidn.Device(oidn.OIDN_DEVICE_TYPE_CPU) as device:
        device.commit()
        with oidn.Filter(device, kind) as of:
            for name, image in [*given.items(), ("output", output)]:
                of.set_image(name, image, oidn.OIDN_FORMAT_FLOAT3)
            for name, flag in flags.items():
                of.set_bool(name, flag)
            of.set_int("quality", qualities[quality])
            of.commit()
            of.execute()
        error = device.get_error()
        if error is not None and error[0] != 0:
            raise SystemExit(f"{given.keys()} {kind} {flags}: {error}")
    return output


def main(package, out):
    import pyoidn as oidn

    os.makedirs(f"{out}/weights", exist_ok=True)
    folder = f"{package}/pyoidn/oidn/lib"
    (core,) = (name for name in os.listdir(folder) if name.startswith("libOpenImageDenoise_core.so."))
    with open(f"{folder}/{core}", "rb") as file:
        found = list(archives(file.read()))
    assert len(found) == len(NAMES), f"{len(found)} archives"
    for name, archive in zip(NAMES, found):
        with open(f"{out}/weights/{name}.tza", "wb") as file:
            file.write(archive)

    index = []

    def add(size, content, guides, quality, given, **options):
        output = denoise(oidn, given, np.zeros_like(next(iter(given.values()))), quality=quality, **options)
        name = f"{size}_{content}_{guides}_{quality}"
        np.save(f"{out}/{name}.npy", output)
        index.append({"size": size, "content": content, "guides": guides, "quality": quality, "want": f"{name}.npy"})

    for h, w in [(64, 96), (135, 241), (17, 500), (540, 960), (1080, 1920)]:
        size = f"{h}x{w}"
        noisy, albedo, normal = images(h, w, 22)
        if h == 17:
            noisy[3, 40], noisy[8, 200:202], albedo[2, 9], normal[5, 100] = np.nan, -1, np.nan, np.nan
        ldr = np.clip(noisy, 0, 1)
        # Vectors with noise, and coefficients of directions.
        rough = np.clip(normal + np.random.default_rng(7).normal(0, 0.2, normal.shape), -1, 1).astype(np.float32)
        of = {"hdr": noisy, "ldr": ldr, "albedo": albedo, "normal": normal, "rough": rough}
        for name, image in of.items():
            np.save(f"{out}/{size}_{name}.npy", image)
        sets = {"none": {}, "albedo": {"albedo": albedo}, "albedo_normal": {"albedo": albedo, "normal": normal}}
        if h not in (64, 135):
            add(size, "hdr", "albedo_normal", "balanced", {"color": noisy, **sets["albedo_normal"]}, hdr=True)
            continue
        for quality in ("high", "balanced", "fast"):
            for content, color in [("hdr", noisy), ("ldr", ldr)]:
                for guides, images_of in sets.items():
                    add(size, content, guides, quality, {"color": color, **images_of}, hdr=content == "hdr")
                clean = {"color": color, **sets["albedo_normal"]}
                add(size, content, "clean", quality, clean, hdr=content == "hdr", cleanAux=True)
            add(size, "srgb", "albedo_normal", quality, {"color": ldr, **sets["albedo_normal"]}, srgb=True)
            add(size, "albedo", "none", quality, {"albedo": ldr})
            add(size, "normal", "none", quality, {"normal": rough})
        add(size, "lightmap", "none", "high", {"color": noisy}, kind="RTLightmap")
        add(size, "directional", "none", "high", {"color": rough}, kind="RTLightmap", directional=True)
    with open(f"{out}/index.json", "w") as file:
        json.dump(index, file, indent=1)
    print(f"{len(found)} archives, {len(index)} results")


if __name__ == "__main__":
    main(*sys.argv[1:])
