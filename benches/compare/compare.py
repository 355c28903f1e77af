#!/usr/bin/env python3
"""The same networks on shadernet and on its peers, side by side: see README.md."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target" / "compare"


def network(name):
    """torchvision's network with seeded weights and batch norm statistics that do something."""
    import torch
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def load(name):
    from safetensors.torch import load_file

    model = network(name)
    model.load_state_dict(load_file(FOLDER / f"{name}.safetensors"))
    return model


def prepare(name, batches, peers):
    """Weights, inputs, PyTorch's outputs, and the forms that peers want, once."""
    import warnings

    import numpy
    import torch
    from safetensors.torch import save_file

    # The forms that peers read come from exporters that PyTorch is about to give up.
    warnings.simplefilter("ignore")
    model = network(name)
    save_file(model.state_dict(), FOLDER / f"{name}.safetensors")
    for batch in batches:
        torch.manual_seed(batch)
        x = torch.randn(batch, 3, 224, 224)
        numpy.save(FOLDER / f"x{batch}.npy", x.numpy())
        with torch.inference_mode():
            numpy.save(FOLDER / f"{name}.y{batch}.npy", model(x).numpy())
    example = torch.zeros(1, 3, 224, 224)
    if any(peer.startswith("ort") for peer in peers):
        axes = {"x": {0: "n"}, "y": {0: "n"}}
        path = str(FOLDER / f"{name}.onnx")
        torch.onnx.export(model, (example,), path, input_names=["x"], output_names=["y"], dynamic_axes=axes, dynamo=False)
    if any(peer.startswith("ncnn") for peer in peers):
        torch.jit.trace(model, example).save(FOLDER / f"{name}.pt")
        # It says much, and writes where it stands.
        shape = 'input_shapes=[[1, 3, 224, 224]], input_types=["f32"]'
        convert = f"import sys, pnnx; pnnx.convert(sys.argv[1], {shape}, fp16=False)"
        subprocess.run([sys.executable, "-c", convert, f"{name}.pt"], cwd=FOLDER, capture_output=True)


def torch_peer(device, tf32=False, half=False, compiled=False):
    def make(name, _batch):
        import torch

        if not (device == "cpu" or torch.cuda.is_available()):
            raise ImportError("PyTorch sees no CUDA device")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        dtype = torch.float16 if half else torch.float32
        layout = torch.channels_last if half else torch.contiguous_format
        model = load(name).to(device, dtype, memory_format=layout)
        if compiled:
            model = torch.compile(model, mode="max-autotune")

        def run(x):
            with torch.inference_mode():
                x = torch.from_numpy(x).to(device, dtype, memory_format=layout)
                return model(x).float().cpu().numpy()

        return run

    return make


def ort_peer(provider):
    def make(name, _batch):
        import onnxruntime

        if provider not in onnxruntime.get_available_providers():
            raise ImportError(f"ONNX Runtime here has no {provider}")
        session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", providers=[provider])
        return lambda x: session.run(None, {"x": x})[0]

    return make


def ncnn_peer(vulkan):
    def make(name, _batch):
        import ncnn
        import numpy

        net = ncnn.Net()
        if vulkan and ncnn.get_gpu_count() == 0:
            raise ImportError("ncnn sees no Vulkan device")
        net.opt.use_vulkan_compute = vulkan
        for option in ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"]:
            setattr(net.opt, option, False)
        if net.load_param(str(FOLDER / f"{name}.ncnn.param")) or net.load_model(str(FOLDER / f"{name}.ncnn.bin")):
            raise ImportError("pnnx made no ncnn network (is it installed?)")

        def one(image):
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(image).clone())
            return numpy.array(extractor.extract("out0")[1])

        return lambda x: numpy.stack([one(image) for image in x])

    return make


PEERS = {
    "torch-cpu": torch_peer("cpu"),
    "torch-cuda": torch_peer("cuda"),
    "torch-cuda-tf32": torch_peer("cuda", tf32=True),
    "torch-cuda-f16": torch_peer("cuda", half=True),
    "torch-cuda-compile": torch_peer("cuda", compiled=True),
    "ort-cpu": ort_peer("CPUExecutionProvider"),
    "ort-cuda": ort_peer("CUDAExecutionProvider"),
    "ort-webgpu": ort_peer("WebGpuExecutionProvider"),
    "ncnn-cpu": ncnn_peer(False),
    "ncnn-vulkan": ncnn_peer(True),
}


def cell(peer, name, batch, seconds):
    """One figure of one peer, in this process: its error and its times in milliseconds."""
    import numpy

    x = numpy.load(FOLDER / f"x{batch}.npy")
    run = PEERS[peer](name, batch)
    found = error(name, batch, run(x))
    times, end = [], time.perf_counter() + 0.2
    while time.perf_counter() < end:
        run(x)
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        run(x)
        times.append(1e3 * (time.perf_counter() - start))
    return {"error": found, "ms": statistics.median(times), "min_ms": min(times), "frames": len(times)}


def error(name, batch, y):
    """The largest difference from PyTorch's output, as a part of its largest value."""
    import numpy

    wanted = numpy.load(FOLDER / f"{name}.y{batch}.npy")
    return float(numpy.abs(y.reshape(wanted.shape) - wanted).max() / numpy.abs(wanted).max())


def shadernet(name, batch, seconds, options):
    """The same of shadernet, by its command."""
    import numpy

    command = [options.shadernet] + (["--adapter", options.adapter] if options.adapter else [])
    weights = ["--weights", str(FOLDER / f"{name}.safetensors")]
    out = FOLDER / "out"

    def call(*arguments):
        if subprocess.run([*command, *arguments], stdout=subprocess.DEVNULL).returncode != 0:
            raise SystemExit("shadernet failed: there is nothing to compare with")

    call("run", name, *weights, "--input", str(FOLDER / f"x{batch}.npy"), "--output", str(out))
    [output] = out.glob("*.npy")
    found = error(name, batch, numpy.load(output))
    report = FOLDER / "report.json"
    call("bench", name, *weights, "--batch", str(batch), "--in-flight", "1", "--time", str(seconds), "--json", str(report))
    report = json.loads(report.read_text())
    latency = report["bench"]["batches"][0]["in_flight"][0]["latency_ms"]
    cell = {"error": found, "ms": latency["p50"], "min_ms": latency["min"], "frames": latency["count"]}
    return cell, report["environment"]


def measure(peer, name, batch, options):
    """A cell in a process of its own."""
    arguments = [sys.executable, __file__, "--cell", peer, name, str(batch), str(options.seconds)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or ["no message"])[-1]
    return json.loads(done.stdout.splitlines()[-1]), None


def table(results):
    """Rows of cells, aligned, peers beside shadernet."""
    rows = [["network", "batch", "peer", "ms", "min", "images/s", "peer / shadernet", "error"]]
    for result in results:
        own = next((r["ms"] for r in results if r["peer"] == "shadernet" and r["at"] == result["at"]), None)
        ratio = f"{result['ms'] / own:.2f}" if own else ""
        rate = 1e3 * result["at"][1] / result["ms"]
        ms, least = f"{result['ms']:.2f}", f"{result['min_ms']:.2f}"
        rows.append([result["at"][0], str(result["at"][1]), result["peer"], ms, least, f"{rate:.1f}", ratio, f"{result['error']:.0e}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for i, row in enumerate(rows):
        print("  ".join(text.ljust(w) if k in (0, 2) else text.rjust(w) for k, (text, w) in enumerate(zip(row, widths))))
        if i == 0:
            print("  ".join("-" * w for w in widths))


def plot(results, path):
    """Bars: how many times as long a peer takes."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    own = {tuple(r["at"]): r["ms"] for r in results if r["peer"] == "shadernet"}
    bars = [(r["at"], r["peer"], r["ms"] / own[tuple(r["at"])]) for r in results if tuple(r["at"]) in own]
    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.28 * len(bars)))
    labels = [f"{name}, batch {batch}: {peer}" for (name, batch), peer, _ in bars]
    colours = ["#0072B2" if peer == "shadernet" else "#999999" for _, peer, _ in bars]
    axes.barh(labels, [ratio for *_, ratio in bars], color=colours)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("time as a multiple of shadernet's (longer is slower)")
    figure.tight_layout()
    figure.savefig(path)


def main():
    if sys.argv[1:2] == ["--cell"]:
        peer, name, batch, seconds = sys.argv[2:]
        print(json.dumps(cell(peer, name, int(batch), float(seconds))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="resnet18,resnet50,mobilenet_v2")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--adapter", help="for shadernet: a part of the adapter's name")
    parser.add_argument("--shadernet", default=str(ROOT / "target" / "release" / "shadernet"), help="the command")
    options = parser.parse_args()
    peers = options.peers.split(",")
    if unknown := [peer for peer in peers if peer not in PEERS]:
        parser.error(f"there is no peer {unknown[0]}; there is {', '.join(PEERS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    batches = [int(batch) for batch in options.batch.split(",")]
    results, left_out, environment = [], {}, None
    for name in options.networks.split(","):
        prepare(name, batches, peers)
        for batch in batches:
            own, environment = shadernet(name, batch, options.seconds, options)
            results.append({"at": [name, batch], "peer": "shadernet", **own})
            for peer in peers:
                found, why = measure(peer, name, batch, options) if peer not in left_out else (None, left_out[peer])
                if found is None:
                    left_out[peer] = why
                else:
                    results.append({"at": [name, batch], "peer": peer, **found})
    table(results)
    for peer, why in left_out.items():
        print(f"left out: {peer}: {why}")
    for result in results:
        if result["error"] > 1e-2:
            print(f"WRONG: {result['peer']} on {result['at']}: off by {result['error']:.2g} of the largest value")
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    document = {"date": date, "environment": environment, "results": results, "left_out": left_out}
    (FOLDER / "results.json").write_text(json.dumps(document, indent=2) + "\n")
    try:
        plot(results, FOLDER / "results.svg")
    except ImportError:
        print("no plot: matplotlib isn't installed")


if __name__ == "__main__":
    main()
