#!/usr/bin/env python3
"""The same networks on shadernet and on its peers, side by side: see README.md."""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import peers
from networks import FOLDER, NETWORKS, unit, weights

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUST = FOLDER / "cargo" / "release"
PEERS = [*peers.PEERS, "burn", "wonnx"]
# Settings that turn off the caches of compiled code in drivers and libraries.
COLD = {
    "MESA_SHADER_CACHE_DISABLE": "1",
    "__GL_SHADER_DISK_CACHE": "0",
    "CUDA_CACHE_DISABLE": "1",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
}


class Failed(Exception):
    """Why there is no figure."""


class Missing(Failed):
    """Why a peer gives none at all here."""


def shadernet(name):
    """The executable of a bench target, built if need be."""
    command = ["cargo", "bench", "--no-run", "--locked", "--bench", name, "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        raise SystemExit(f"shadernet's bench {name} can't be built")
    built = [message for message in map(json.loads, built.stdout.splitlines()) if message.get("executable")]
    return next(message["executable"] for message in built if message["target"]["name"] == name)


def form(peer):
    """The form in which a peer takes networks."""
    return {"ort": "onnx", "wonnx": "wonnx", "ncnn": "ncnn"}.get(peer.split("-")[0])


def ask(command, options, stdin=None):
    """What a process says."""
    environment = {**os.environ, **(COLD if options.cold else {})}
    if options.adapter:
        environment["WGPU_ADAPTER_NAME"] = options.adapter
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, input=stdin, env=environment, timeout=options.timeout
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {options.timeout:g} s") from None
    except FileNotFoundError as error:
        raise Missing(f"not built: {error.filename}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = [line for line in lines if "rror" in line or "panicked" in line] or lines
        why = said[-1].strip() if said else f"exit status {done.returncode}"
        raise Missing(why) if done.returncode == peers.MISSING else Failed(why)
    return done.stdout.splitlines()


def python(peer, options):
    """The Python that runs a peer."""
    return shlex.split(options.launch.get(peer, "")) or [sys.executable]


def measure(peer, name, batch, options):
    """One figure in a process of its own."""
    output = FOLDER / "out.safetensors"
    output.unlink(missing_ok=True)
    if peer in peers.PEERS:
        command = [*python(peer, options), str(HERE / "peers.py"), peer, name, str(batch), str(options.seconds)]
    else:
        file = FOLDER / f"{name}.{batch}.wonnx.onnx" if peer == "wonnx" else weights(name)
        program = options.shadernet if peer == "shadernet" else str(RUST / f"{peer}-peer")
        command = [*shlex.split(options.launch.get(peer, "")), program, name, str(file)]
        command += [str(FOLDER / f"{name}.x{batch}.safetensors"), str(output), str(options.seconds)]
    measured = json.loads(ask(command, options)[-1])
    times = sorted(measured.pop("ms"))
    figure = {"network": name, "batch": batch, "peer": peer, "error": error(name, batch, output)}
    figure |= {"ms": statistics.median(times), "min_ms": times[0], "p90_ms": times[9 * len(times) // 10]}
    return figure | {"frames": len(times), "per_s": 1e3 * batch / figure["ms"]} | measured


def error(name, batch, output):
    """The largest difference from PyTorch's output, as a part of its largest value."""
    import numpy
    from safetensors.numpy import load_file

    wanted, got = (load_file(path)["y"].ravel() for path in (FOLDER / f"{name}.y{batch}.safetensors", output))
    if got.shape != wanted.shape:
        raise Failed(f"wanted {wanted.size} numbers, got {got.size}")
    return float(numpy.abs(got - wanted).max() / numpy.abs(wanted).max())


def is_right(figure):
    """Whether a figure counts. NaN is no less than anything."""
    coarse = "f16" in figure["peer"] or "tf32" in figure["peer"]
    return figure["error"] < (5e-2 if coarse else 1e-3)


def compare(options):
    """The figures of networks, and why others aren't there."""
    figures, failed, missing, environment = [], [], {}, None
    for name in options.networks:
        for batch in options.batch:
            forms = {form(peer) for peer in options.peers} - {None}
            prepare = [sys.executable, str(HERE / "networks.py"), name, ",".join(sorted(forms)), str(batch)]
            subprocess.run(prepare, stdout=subprocess.DEVNULL, check=True)
            for peer in ["shadernet", *options.peers]:
                if peer in missing:
                    continue
                print(f"{name}, batch {batch}: {peer}", file=sys.stderr)
                try:
                    figure = measure(peer, name, batch, options)
                except Missing as why:
                    missing[peer] = str(why)
                    continue
                except Failed as why:
                    failed.append({"network": name, "batch": batch, "peer": peer, "why": str(why)})
                    continue
                environment = figure.pop("environment", environment)
                if not is_right(figure):
                    why = f"wrong: off by {figure['error']:.2g} of the largest value"
                    failed.append({"network": name, "batch": batch, "peer": peer, "why": why})
                else:
                    figures.append(figure)
    return {"environment": environment, "figures": figures, "failed": failed, "missing": missing}


def layers(options):
    """Matrix products and convolutions, on the device alone."""
    sizes = ",".join(map(str, options.sizes))
    command = [options.kernels, "--products", "--json", "--sizes", sizes]
    own = [json.loads(line) for line in ask([*shlex.split(options.launch.get("shadernet", "")), *command], options)]
    figures = [{"case": layer["case"], "ms": {"shadernet": layer["ms"]}} for layer in own if "ms" in layer]
    failed = [{"case": layer["case"], "peer": "shadernet", "why": layer["error"]} for layer in own if "error" in layer]
    asked = "".join(json.dumps(layer["layer"]) + "\n" for layer in own if "ms" in layer)
    flops = {layer["case"]: layer["gflop_s"] * layer["ms"] for layer in own if "ms" in layer}
    for figure in figures:
        figure["mflop"] = flops[figure["case"]]
    for peer in options.peers:
        if hasattr(peers.PEERS.get(peer), "layer") and "graph" not in peer and "compile" not in peer:
            print(f"layers: {peer}", file=sys.stderr)
            try:
                times = ask([*python(peer, options), str(HERE / "peers.py"), peer], options, asked)
                for figure, ms in zip(figures, times):
                    figure["ms"][peer] = float(ms)
            except Failed as why:
                failed.append({"case": "all", "peer": peer, "why": str(why)})
    return {"figures": figures, "failed": failed}


def table(header, rows, left):
    """A table in Markdown, aligned; after the first columns numbers."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row):
        cells = (text.ljust(width) if i < left else text.rjust(width) for i, (text, width) in enumerate(zip(row, widths)))
        return f"| {' | '.join(cells)} |"

    rule = "|".join("-" * (width + 2) if i < left else "-" * (width + 1) + ":" for i, width in enumerate(widths))
    print("\n".join(["", line(header), f"|{rule}|", *map(line, rows)]))


def digits(number, digits=3):
    return "" if number is None else f"{number:.{digits}g}" if number < 10**digits else f"{number:.0f}"


def print_networks(document):
    figures = document["figures"]
    places = list(dict.fromkeys((figure["network"], figure["batch"]) for figure in figures))
    by_place = {(figure["peer"], figure["network"], figure["batch"]): figure for figure in figures}
    rows = []
    for peer in dict.fromkeys(figure["peer"] for figure in figures):
        row = [peer]
        for place in places:
            own, found = by_place.get(("shadernet", *place)), by_place.get((peer, *place))
            row.append(digits(found["ms"] / own["ms"]) if own and found else "")
        rows.append(row)
    print("\nHow many times as long as shadernet:")
    table(["peer", *(f"{name}, {batch}" for name, batch in places)], rows, 1)
    rows = []
    for figure in figures:
        numbers = (figure[key] for key in ("ms", "min_ms", "p90_ms", "per_s", "first_ms", "peak_mib"))
        head = [figure["network"], figure["peer"], str(figure["batch"])]
        rows.append([*head, *map(digits, numbers), unit(figure["network"]), f"{figure['error']:.0e}"])
    header = ["network", "peer", "batch", "ms", "min", "p90", "per s", "first ms", "peak MiB", "of", "error"]
    table(header, rows, 2)
    for failure in document["failed"]:
        print(f"no figure: {failure['peer']}, {failure['network']}, batch {failure['batch']}: {failure['why']}")
    for peer, why in document["missing"].items():
        print(f"missing: {peer}: {why}")


def print_layers(document):
    names = list(dict.fromkeys(peer for figure in document["figures"] for peer in figure["ms"]))
    rows = []
    for figure in document["figures"]:
        rates = (figure["mflop"] / figure["ms"][peer] if peer in figure["ms"] else None for peer in names)
        rows.append([figure["case"], *map(digits, rates)])
    print("\nGFLOP/s of layers, on the device alone:")
    table(["layer", *names], rows, 1)
    for failure in document["failed"]:
        print(f"no figure: {failure['peer']}, {failure['case']}: {failure['why']}")


def numbers(text):
    return [int(number) for number in text.split(",")]


def names(known):
    def parse(text):
        chosen = [name for name in text.split(",") if name]
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]}; there is {', '.join(known)}")
        return chosen

    return parse


def launcher(text):
    peer, equals, command = text.partition("=")
    if not equals or peer not in ["shadernet", *PEERS]:
        raise argparse.ArgumentTypeError("wanted PEER=COMMAND")
    return peer, command


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=names(NETWORKS), default=NETWORKS, help=", ".join(NETWORKS))
    parser.add_argument("--peers", type=names(PEERS), default=PEERS, help=", ".join(PEERS))
    parser.add_argument("--batch", type=numbers, default=[1, 8], metavar="N,...")
    parser.add_argument("--sizes", type=numbers, metavar="N,...", help="square matrix products, and convolutions")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds after which a process is given up")
    parser.add_argument("--cold", action="store_true", help="without the caches of drivers: for the first inference")
    parser.add_argument("--adapter", help="for shadernet: a part of the adapter's name")
    parser.add_argument("--programs", type=Path, metavar="FOLDER", help="of the benches compare and kernels, built before")
    parser.add_argument(
        "--launch", type=launcher, action="append", default=[], metavar="PEER=COMMAND",
        help="the Python of a peer, or what comes before its program",
    )  # fmt: skip
    options = parser.parse_args()
    options.launch = dict(options.launch)
    options.shadernet, options.kernels = (
        str(options.programs.resolve() / name) if options.programs else shadernet(name) for name in ("compare", "kernels")
    )
    FOLDER.mkdir(parents=True, exist_ok=True)

    document = {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "cold": options.cold}
    if options.networks:
        document |= compare(options)
        print_networks(document)
    if options.sizes:
        document["layers"] = layers(options)
        print_layers(document["layers"])
    (FOLDER / "results.json").write_text(json.dumps(document, indent=2) + "\n")
    try:
        from plot import plot

        if document.get("figures"):
            plot(document["figures"], FOLDER / "results.svg")
    except ImportError:
        print("no plot: matplotlib isn't installed")
    if "shadernet" in [*(failure["peer"] for failure in document.get("failed", [])), *document.get("missing", {})]:
        raise SystemExit("figures of shadernet are missing: see above")


if __name__ == "__main__":
    main()
