"""The peers that are used from Python, one figure a process, which prints what peer.rs says: `peers.py PEER NETWORK BATCH SECONDS`.

`peers.py PEER` times single layers instead: a JSON object a line on standard input, as benches/kernels.rs writes them, and
milliseconds a line on standard output. They stay on the device.
"""

import importlib
import json
import statistics
import sys
import time
from pathlib import Path

from networks import FOLDER, load, ready, taken


# The exit status of a peer that lacks something here, whatever the request.
MISSING = 3


class Missing(Exception):
    """What it lacks."""


class Torch:
    """PyTorch. f16 goes with channels last, which its kernels for f16 want."""

    module = "torch"

    def __init__(self, device, tf32=False, f16=False, channels_last=False, graph=False, compiled=False):
        self.device, self.tf32, self.f16, self.graph, self.compiled = device, tf32, f16, graph, compiled
        self.channels_last = channels_last or f16

    def options(self):
        import torch

        if not (self.device == "cpu" or torch.cuda.is_available()):
            raise Missing("PyTorch sees no CUDA device")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.tf32
        torch.backends.cudnn.benchmark = True
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return torch.float16 if self.f16 else torch.float32, layout

    def make(self, name, x):
        import torch

        dtype, layout = self.options()
        x = torch.from_numpy(x)

        def to_device(x):
            if not x.is_floating_point():
                return x.to(self.device)
            return x.to(self.device, dtype, memory_format=layout)

        model = load(name).to(self.device, dtype, memory_format=layout)
        model = ready(name, model, to_device(x))
        x = taken(name, x)
        if self.compiled:
            model = torch.compile(model, mode="max-autotune")
        if self.graph:
            return captured(model, x, to_device)

        def run():
            with torch.inference_mode():
                return model(to_device(x)).float().cpu().numpy()

        return run

    def layer(self, layer):
        """A layer's milliseconds: the median of seven submissions at least, for half a second."""
        import torch

        dtype, layout = self.options()

        def tensor(*shape):
            x = torch.randn(shape).to(self.device, dtype)
            return x.contiguous(memory_format=layout) if len(shape) == 4 else x

        if n := layer.get("matmul"):
            a, b = tensor(n, n), tensor(n, n)

            def compute():
                return a @ b

        else:
            conv = layer["conv2d"]
            (inputs, outputs), kernel, groups = conv["channels"], conv["kernel"], conv["groups"]
            x, weight = tensor(1, inputs, conv["size"], conv["size"]), tensor(outputs, inputs // groups, kernel, kernel)

            def compute():
                return torch.nn.functional.conv2d(x, weight, None, conv["stride"], kernel // 2, 1, groups)

        def submit(frames):
            start = time.perf_counter()
            for _ in range(frames):
                compute()
            if self.device == "cuda":
                torch.cuda.synchronize()
            return 1e3 * (time.perf_counter() - start) / frames

        with torch.inference_mode():
            submit(3)
            frames = int(min(max(10 / submit(1), 1), 100))
            times, end = [], time.perf_counter() + 0.5
            while len(times) < 7 or time.perf_counter() < end:
                times.append(submit(frames))
        return statistics.median(times)


def captured(model, x, to_device):
    """The model as a CUDA graph: one submission for all its kernels."""
    import torch

    with torch.inference_mode():
        given = to_device(x)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                model(given)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = model(given).float()

    def run():
        with torch.inference_mode():
            given.copy_(x)
            graph.replay()
            return y.cpu().numpy()

    return run


class Onnx:
    """ONNX Runtime with one of its execution providers, and no other."""

    module = "onnxruntime"

    def __init__(self, provider):
        self.provider = provider

    def make(self, name, x):
        import onnxruntime

        session = onnxruntime.InferenceSession(FOLDER / f"{name}.{len(x)}.onnx", providers=[self.provider])
        if session.get_providers()[0] != self.provider:
            raise Missing(f"ONNX Runtime can't use its {self.provider} here")
        x = taken(name, x).copy()
        return lambda: session.run(None, {"x": x})[0]


class Ncnn:
    """ncnn in f32, one image at a time: a batch is a loop."""

    module = "ncnn"

    def __init__(self, vulkan):
        self.vulkan = vulkan

    def make(self, name, x):
        import ncnn
        import numpy

        if name == "decoder_decode" and len(x) > 1:
            raise ValueError("the cache is a constant of the network here: one text")
        net = ncnn.Net()
        if self.vulkan and ncnn.get_gpu_count() == 0:
            raise Missing("ncnn sees no Vulkan device")
        net.opt.use_vulkan_compute = self.vulkan
        for option in dir(net.opt):
            if option.startswith(("use_fp16_", "use_bf16_", "use_int8_")):
                setattr(net.opt, option, False)
        if net.load_param(str(FOLDER / f"{name}.ncnn.param")) or net.load_model(str(FOLDER / f"{name}.ncnn.bin")):
            raise Missing("pnnx made no ncnn network")
        images = [image.copy() for image in taken(name, x)]

        def one(image):
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(image).clone())
            return numpy.array(extractor.extract("out0")[1])

        return lambda: numpy.stack([one(image) for image in images])


PEERS = {
    "torch-cpu": Torch("cpu"),
    "torch-cpu-channels-last": Torch("cpu", channels_last=True),
    "torch-cuda": Torch("cuda"),
    "torch-cuda-tf32": Torch("cuda", tf32=True),
    "torch-cuda-channels-last": Torch("cuda", channels_last=True),
    "torch-cuda-graph": Torch("cuda", graph=True),
    "torch-cuda-compile": Torch("cuda", compiled=True),
    "torch-cuda-f16": Torch("cuda", f16=True),
    "torch-cuda-f16-graph": Torch("cuda", f16=True, graph=True),
    "ort-cpu": Onnx("CPUExecutionProvider"),
    "ort-cuda": Onnx("CUDAExecutionProvider"),
    "ort-webgpu": Onnx("WebGpuExecutionProvider"),
    "ncnn-cpu": Ncnn(False),
    "ncnn-vulkan": Ncnn(True),
}


def measure(peer, name, batch, seconds):
    """What peer.rs measures, the same way."""
    from safetensors.numpy import load_file, save_file

    importlib.import_module(peer.module)
    x = load_file(FOLDER / f"{name}.x{batch}.safetensors")["x"]
    start = time.perf_counter()
    run = peer.make(name, x)
    y = run()
    first = time.perf_counter() - start
    save_file({"y": y}, FOLDER / "out.safetensors")
    end = time.perf_counter() + 0.2
    while first < 0.2 and time.perf_counter() < end:
        run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return {"first_ms": 1e3 * first, "ms": times, "peak_mib": peak_mib()}


def peak_mib():
    """The most memory that this process had so far, where the system says it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


def main():
    peer = PEERS[sys.argv[1]]
    try:
        if sys.argv[2:]:
            name, batch, seconds = sys.argv[2:]
            print(json.dumps(measure(peer, name, int(batch), float(seconds))))
        else:
            for line in sys.stdin:
                print(peer.layer(json.loads(line)), flush=True)
    except (ImportError, Missing) as missing:
        print(missing, file=sys.stderr)
        sys.exit(MISSING)


if __name__ == "__main__":
    main()
