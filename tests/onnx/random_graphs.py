"""Random ONNX graphs through the `shadernet` command, beside NumPy in f64.

    pip install numpy onnx onnxruntime
    python tests/onnx/random_graphs.py target/release/shadernet --count 2000 --seed 1 --jobs 2

Graph number I of a seed is always the same: `--only I` runs it alone. Each runs with the default and with the portable kernels. What is
wrong is kept in a folder (`--out`), with the command that runs it, and is a line here:

    SEED:I KIND PROFILE OPERATORS: what came, what was wanted, and which of the two ONNX Runtime gives

`made_up/kinds.py` makes the graphs, and lists what isn't asked of them. `made_up/reference.py` computes them in f64, each node's output
rounded to f32, once exactly and a few times with as much noise as a device may add: a number is right if it is no farther from the
exact one than such noise makes it, and infinities and NaN must be where they are, unless noise moves them. `--reference` compares that
with ONNX Runtime instead of a device. Exit code 1 if anything is wrong or refused.
"""

import argparse
import collections
import os
import shlex
import subprocess
import sys
import tempfile
from multiprocessing import Pool
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from made_up import kinds  # noqa: E402
from made_up.reference import TINY, ULP, evaluate  # noqa: E402

PROFILES = {"default": [], "portable": ["--portable"]}
TRIALS = 6


class Noise:
    """Numbers between two, and whether numbers too small for a normal f32 are 0."""

    def __init__(self, seed, flushes):
        self.uniform, self.flushes = np.random.default_rng(seed).uniform, flushes


def model_of(g):
    def port(name, x):
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)

    def node(op, inputs, outputs, attributes):
        return helper.make_node(op, inputs, outputs, **attributes)

    def single(x):
        return x.astype(np.float32) if x.dtype == np.float64 else x

    graph = helper.make_graph(
        [node(*each) for each in g.nodes],
        "random",
        [port(name, x) for name, x in g.inputs.items()],
        [port(name, single(g.values[name])) for name in g.outputs],
        [numpy_helper.from_array(x, name) for name, x in g.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", g.opset)])
    model.ir_version = 10
    return model


def wanted(g):
    """Of each output the exact values, how far off they may be, and where nobody can say what they are."""
    given = g.inputs | g.constants
    trials = [evaluate(g.nodes, given, Noise(i, i % 2 == 1)) for i in range(TRIALS)]
    result = {}
    for name in g.outputs:
        exact, moved = g.values[name].astype(np.float64), [trial[name].astype(np.float64) for trial in trials]
        same = np.ones(exact.shape, bool)
        off = np.zeros(exact.shape)
        with np.errstate(all="ignore"):
            for y in moved:
                odd = ~(np.isfinite(exact) & np.isfinite(y))
                same &= ~odd | (exact == y) | (np.isnan(exact) & np.isnan(y))
                off = np.fmax(off, np.where(odd, 0, np.abs(y - exact)))
            allowed = 4 * off + 4 * ULP * np.abs(exact) + 2 * TINY
        if g.values[name].dtype != np.float64:
            allowed, same = np.zeros(exact.shape), same & (off == 0)
        result[name] = exact, allowed, same
    return result


def difference(got, exact, allowed, same):
    """The first element that is wrong, in words."""
    if got.shape != exact.shape:
        return f"shape {got.shape}, wanted {exact.shape}"
    got = got.astype(np.float64)
    with np.errstate(all="ignore"):
        near = (got == exact) | (np.isnan(got) & np.isnan(exact)) | (np.abs(got - exact) <= allowed)
    wrong = ~near & same
    if not wrong.any():
        return None
    at = tuple(np.argwhere(wrong)[0])
    place = list(map(int, at))
    return f"{wrong.sum()} of {wrong.size} wrong, at {place} {got[at]:.9g}, wanted {exact[at]:.9g} within {allowed[at]:.1e}"


def runtime(g, model):
    """What ONNX Runtime gives; none where it can't."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(g.outputs, session.run(g.outputs, g.inputs)))
    except Exception as error:
        return str(error).splitlines()[0]


def device(binary, profile, folder, g):
    """What the command gives, or why it gives nothing."""
    command = [binary, "run", "model.onnx"]
    command += [part for name in g.inputs for part in ("--input", f"{name}={name}.npy")]
    with tempfile.TemporaryDirectory() as out:
        command += [*PROFILES[profile], "--output", out]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            return "slow: more than 180 s", command
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.startswith("error") or "panicked" in line]
            return "refused: " + (said or done.stderr.splitlines() or [f"exit code {done.returncode}"])[0], command
        return {name: np.load(Path(out) / f"{name}.npy") for name in g.outputs}, command


def compare(g, expected, got):
    """What is wrong with these outputs, in words."""
    for name, (exact, allowed, same) in expected.items():
        if said := difference(np.asarray(got[name]), exact, allowed, same):
            return f"{name}: {said}"
    return None


def run(task):
    """Runs one graph. Returns its number, its kind, and a line for each profile that is wrong."""
    options, number = task
    g, kind = kinds.make(options.seed, number, options.kind)
    model, expected = model_of(g), wanted(g)
    chain = " > ".join(node[0] for node in g.nodes[:8])
    title = f"{options.seed}:{number} {kind}"
    if options.reference:
        got = runtime(g, model)
        if isinstance(got, str):
            return number, kind, {"onnxruntime": "refused"}, [f"{title} {chain}: {got}"] if options.verbose else []
        said = compare(g, expected, got)
        return number, kind, {"onnxruntime": "wrong" if said else "right"}, [f"{title} {chain}: {said}"] if said else []
    with tempfile.TemporaryDirectory() as folder:
        files = {f"{name}.npy": x for name, x in g.inputs.items()}
        onnx.save(model, Path(folder) / "model.onnx")
        for name, x in files.items():
            np.save(Path(folder) / name, np.ascontiguousarray(x))
        outcomes, lines = {}, []
        for profile in PROFILES:
            got, command = device(options.binary, profile, folder, g)
            said = got if isinstance(got, str) else compare(g, expected, got)
            outcomes[profile] = "right" if said is None else got.split(":")[0] if isinstance(got, str) else "wrong"
            if said is None:
                continue
            if not isinstance(got, str):
                theirs = runtime(g, model)
                agrees = None if isinstance(theirs, str) else compare(g, expected, theirs)
                said += "; ONNX Runtime " + ("can't" if isinstance(theirs, str) else "gives " + (agrees or "what is wanted"))
            lines.append(f"{title} {profile} {chain}: {said}")
            kept = options.out / f"{options.seed}-{number}"
            kept.mkdir(parents=True, exist_ok=True)
            onnx.save(model, kept / "model.onnx")
            for name, x in files.items():
                np.save(kept / name, np.ascontiguousarray(x))
            for name in g.outputs:
                np.save(kept / f"want.{name}.npy", expected[name][0])
            (kept / f"{profile}.txt").write_text(f"{lines[-1]}\n{shlex.join(command)}\n")
    return number, kind, outcomes, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", nargs="?", type=os.path.abspath, help="the shadernet command")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, nargs="+", help="these numbers")
    parser.add_argument("--kind", nargs="+", choices=[kind.__name__ for kind in kinds.KINDS], help="these kinds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("target/random_graphs"), help="where what is wrong is kept")
    parser.add_argument("--reference", action="store_true", help="ONNX Runtime in the place of the command")
    parser.add_argument("--verbose", action="store_true", help="with --reference: what ONNX Runtime refuses, too")
    options = parser.parse_args()
    if not options.binary and not options.reference:
        parser.error("the shadernet command is missing")
    counts = collections.defaultdict(collections.Counter)
    with Pool(options.jobs) as pool:
        tasks = ((options, number) for number in options.only or range(options.count))
        for number, kind, outcomes, lines in pool.imap_unordered(run, tasks):
            for line in lines:
                print(line, flush=True)
            for profile, outcome in outcomes.items():
                counts[kind][outcome] += 1
                counts["all"][outcome] += 1
    for kind, outcomes in sorted(counts.items(), key=lambda pair: (pair[0] == "all", pair[0])):
        print(f"{kind:24} " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    sys.exit(any(outcome != "right" for outcome in counts["all"]))


if __name__ == "__main__":
    main()
