#!/usr/bin/env python3
"""oidn-speed.py BINARY [ROUNDS]: Open Image Denoise's CPU device and `shadernet denoise`, in turns on the same images.

It needs what `make test-oidn` puts into target/oidn, and that package on PYTHONPATH. Both denoise HDR images with albedo and
normals, with the base network. Times are those of a frame in host memory, without compilation: OIDN's second execution of
a filter, and what the command prints in its second run, when the driver's cache has the shaders. It prints the shortest.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyoidn as oidn

REFERENCES = "target/oidn/references"


def write_pfm(path, image):
    """Writes an image of three channels, the last row first."""
    with open(path, "wb") as file:
        file.write(f"PF\n{image.shape[1]} {image.shape[0]}\n-1.0\n".encode())
        file.write(image[::-1].astype("<f4").tobytes())


def of_oidn(images):
    """Returns the seconds of a filter's second execution."""
    output = np.zeros_like(images["color"])
    with oidn.Device(oidn.OIDN_DEVICE_TYPE_CPU) as device:
        device.commit()
        with oidn.Filter(device, "RT") as of:
            for name, image in [*images.items(), ("output", output)]:
                of.set_image(name, image, oidn.OIDN_FORMAT_FLOAT3)
            of.set_bool("hdr", True)
            of.set_int("quality", 5)
            of.commit()
            for _ in range(2):
                start = time.perf_counter()
                of.execute()
                took = time.perf_counter() - start
    return took


def of_command(binary, folder, precision):
    """Returns the seconds that the command prints."""
    guides = ["--albedo", f"{folder}/albedo.pfm", "--normal", f"{folder}/normal.pfm"]
    weights = ["--weights", f"{REFERENCES}/weights/rt_hdr_alb_nrm.tza", "--precision", precision, "--clamp-guides"]
    command = [binary, "denoise", f"{folder}/color.pfm", *guides, *weights, "--output", f"{folder}/out.pfm"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(r"([\d,]+) ms", done.stdout)[1].replace(",", "")) / 1e3


def main(binary, rounds=3):
    for size in ["540x960", "1080x1920"]:
        sides = {"color": "hdr", "albedo": "albedo", "normal": "normal"}
        images = {name: np.load(f"{REFERENCES}/{size}_{file}.npy") for name, file in sides.items()}
        with tempfile.TemporaryDirectory() as folder:
            for name, image in images.items():
                write_pfm(os.path.join(folder, f"{name}.pfm"), image)
            best = {}
            for turn in range(1 + int(rounds)):
                for name, of in [
                    ("OIDN's CPU device", lambda: of_oidn(images)),
                    ("shadernet, f32", lambda: of_command(binary, folder, "f32")),
                    ("shadernet, f16", lambda: of_command(binary, folder, "f16")),
                ]:
                    took = of()
                    # The first turn fills the caches.
                    if turn:
                        best[name] = min(took, best.get(name, took))
        first = best["OIDN's CPU device"]
        for name, took in best.items():
            print(f"{size} {name}: {took:.3f} s, {took / first:.2f} times OIDN", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
