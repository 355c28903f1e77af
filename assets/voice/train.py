"""Trains a small recurrent network that tells speech from noise, on sound that this script makes up.

    pip install numpy onnx onnxruntime
    python assets/voice/train.py

Writes the network, a held-out recording, and for each of its chunks the truth
and what ONNX Runtime makes of it, next to this script.
"""

import wave
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RATE, CHUNK, TAPS, HOP = 16000, 512, 256, 128
BANDS, HIDDEN, SEED = 24, 32, 0
SECONDS, CLIPS, EPOCHS, BATCH = 6, 900, 40, 30
F32 = np.float32


# ---- sound ----


def smooth(rng, n, step, low, high):
    """Random values between low and high, a new one each `step` samples, joined by lines."""
    knots = rng.uniform(low, high, n // step + 2)
    return np.interp(np.arange(n) / step, np.arange(len(knots)), knots)


def coloured(rng, n, power):
    """Noise whose amplitude falls with frequency to this power, with a deviation of 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.maximum(np.fft.rfftfreq(n, 1 / RATE), 30) ** power
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def band(rng, n, low, high):
    """Noise between two frequencies, with a deviation of 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    spectrum *= (frequency > low) & (frequency < high)
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def edges(n, rise, fall):
    """1 in the middle, with soft edges of so many samples."""
    up = np.minimum(1, np.arange(n) / max(rise, 1))
    down = np.minimum(1, np.arange(n)[::-1] / max(fall, 1))
    return np.sin(np.pi / 2 * np.minimum(up, down)) ** 2


def voiced(rng, n, pitch, tract):
    """A syllable: harmonics of a pitch that moves, under three formants that glide."""
    f0 = pitch * smooth(rng, n, n // 2 + 1, 0.85, 1.18) * (1 + 0.01 * smooth(rng, n, 160, -1, 1))
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    centres = [(300, 850), (850, 2300), (2300, 3100)]
    formants = [tract * smooth(rng, n, n // 2 + 1, low, high) for low, high in centres]
    widths = [rng.uniform(60, 130), rng.uniform(80, 180), rng.uniform(120, 260)]
    tilt = rng.uniform(0.6, 1.4)
    sound = np.zeros(n)
    for k in range(1, int(7000 / f0.min())):
        frequency = k * f0
        gain = sum(
            level / (1 + ((frequency - formant) / width) ** 2)
            for formant, width, level in zip(formants, widths, (1, 0.6, 0.35))
        )
        sound += (0.02 + gain) * k**-tilt * np.sin(k * phase + rng.uniform(0, 0.5)) * (frequency < 7500)
    shimmer = 1 + 0.1 * smooth(rng, n, 200, -1, 1)
    sound = sound * shimmer + 0.02 * sound.std() * rng.standard_normal(n)
    return sound / sound.std() * edges(n, rng.integers(200, 700), rng.integers(400, 1500))


def phrase(rng, n):
    """Syllables of one voice, some with a consonant of noise before them; short gaps between."""
    sound, at = np.zeros(n), 0
    pitch, tract = np.exp(rng.uniform(np.log(80), np.log(290))), rng.uniform(0.85, 1.2)
    while at < n:
        if rng.random() < 0.4:
            long = int(RATE * rng.uniform(0.03, 0.12))
            low = rng.uniform(1500, 4000)
            noise = rng.uniform(0.1, 0.5) * band(rng, long, low, low + rng.uniform(1500, 3800)) * edges(long, 150, 150)
            long = min(long, n - at)
            sound[at : at + long] += noise[:long]
            at += long
        long = int(RATE * rng.uniform(0.09, 0.32))
        syllable = rng.uniform(0.5, 1.2) * voiced(rng, long, pitch * rng.uniform(0.9, 1.12), tract)
        long = min(long, n - at)
        sound[at : at + long] += syllable[:long]
        at += long + int(RATE * rng.uniform(0.0, 0.09))
    return sound * edges(n, 100, 400)


def speech(rng, n):
    """Phrases with pauses, and where they are."""
    sound, truth, at = np.zeros(n), np.zeros(n, bool), int(RATE * rng.uniform(0.0, 1.5))
    while at < n:
        long = min(int(RATE * rng.uniform(0.35, 2.2)), n - at)
        if long > RATE // 5:
            sound[at : at + long] = rng.uniform(0.6, 1.2) * phrase(rng, long)
            truth[at : at + long] = True
        at += long + int(RATE * rng.uniform(0.35, 1.8))
    return sound, truth


def noises(rng, n):
    """What is no speech: one to three of hiss, rumble, hum, a fan, clicks, beeps, gusts."""
    time = np.arange(n) / RATE
    sound = coloured(rng, n, rng.uniform(0, 1.2))
    for kind in rng.choice(6, rng.integers(0, 3), replace=False):
        if kind == 0:  # hum of mains and its harmonics
            base = rng.choice([50, 60, 100, 120])
            added = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6)) for k in range(1, 12))
        elif kind == 1:  # a fan: a band that swells slowly
            low = rng.uniform(100, 2000)
            added = band(rng, n, low, low * rng.uniform(1.5, 4)) * (1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 12) * time))
        elif kind == 2:  # clicks and knocks
            added = np.zeros(n)
            for start in rng.integers(0, n, rng.integers(2, 25)):
                long = min(int(RATE * rng.uniform(0.002, 0.06)), n - start)
                fall = np.exp(-np.arange(long) / (long / 5 + 1))
                ring = np.sin(2 * np.pi * rng.uniform(200, 5000) * np.arange(long) / RATE)
                added[start : start + long] += rng.uniform(1, 12) * fall * (ring if rng.random() < 0.5 else rng.standard_normal(long))
        elif kind == 3:  # beeps of one or two tones
            added = np.zeros(n)
            for start in rng.integers(0, n, rng.integers(1, 8)):
                long = min(int(RATE * rng.uniform(0.05, 0.6)), n - start)
                tone = np.sin(2 * np.pi * rng.uniform(300, 3500) * np.arange(long) / RATE)
                added[start : start + long] += rng.uniform(1, 4) * tone * edges(long, 80, 80)
        elif kind == 4:  # gusts and rustles
            added = coloured(rng, n, rng.uniform(0, 1)) * smooth(rng, n, int(RATE * rng.uniform(0.1, 0.8)), 0, 3) ** 2
        else:  # an engine: a low buzz that drifts
            phase = 2 * np.pi * np.cumsum(rng.uniform(25, 75) * smooth(rng, n, RATE, 0.9, 1.1)) / RATE
            added = sum(np.sin(k * phase) / k**0.7 for k in range(1, 40))
        sound = sound + rng.uniform(0.3, 2) * added / max(added.std(), 1e-3)
    return sound / sound.std()


def clip(rng, n, snr=None):
    """A recording in -1 to 1, and for each chunk whether most of it is speech."""
    said, truth = speech(rng, n)
    noise = noises(rng, n)
    snr = rng.uniform(2, 30) if snr is None else snr
    if truth.any() and rng.random() < 0.9:
        sound = said / said[truth].std() + noise * 10 ** (-snr / 20)
    else:  # noise alone
        sound, truth = noise, np.zeros(n, bool)
    sound *= 10 ** rng.uniform(-2.2, -0.4) / np.abs(sound).max()
    return np.round(sound * 32767).astype(np.int16), truth.reshape(-1, CHUNK).mean(1) > 0.5


# ---- network ----


def filters():
    """Pairs of cosine and sine under a window, at frequencies spaced as hearing spaces them: [2 * BANDS, 1, TAPS]."""
    mel = np.linspace(2595 * np.log10(1 + 120 / 700), 2595 * np.log10(1 + 7000 / 700), BANDS + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    time = (np.arange(TAPS) - (TAPS - 1) / 2) / RATE
    rows = []
    for low, centre, high in zip(hertz, hertz[1:], hertz[2:]):
        width = 0.42 / (high - low)
        window = np.exp(-0.5 * (time / width) ** 2) * np.hanning(TAPS)
        window /= window.sum()
        rows += [window * np.cos(2 * np.pi * centre * time), window * np.sin(2 * np.pi * centre * time)]
    return np.array(rows, F32)[:, None]


FILTERS = filters()
FLOOR = F32(1e-9)


def energies(samples):
    """The logarithm of each band's mean energy in each chunk: [chunks, BANDS]."""
    chunks = (samples.astype(F32) / 32768).reshape(-1, CHUNK)
    starts = range(0, CHUNK - TAPS + 1, HOP)
    parts = np.stack([chunks[:, start : start + TAPS] for start in starts], 1)
    response = (parts @ FILTERS[:, 0].T) ** 2
    return np.log(response.reshape(len(chunks), len(starts), BANDS, 2).sum(3).mean(1) + FLOOR)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(p, x):
    """x: [steps, clips, BANDS]. Returns the logits [steps, clips] and what the way back needs."""
    h, tape, logits = np.zeros((x.shape[1], HIDDEN), F32), [], []
    given = x @ p["w"] + p["b"]
    for step in given:
        said = h @ p["r"] + p["rb"]
        z = sigmoid(step[:, :HIDDEN] + said[:, :HIDDEN])
        r = sigmoid(step[:, HIDDEN : 2 * HIDDEN] + said[:, HIDDEN : 2 * HIDDEN])
        n = np.tanh(step[:, 2 * HIDDEN :] + r * said[:, 2 * HIDDEN :])
        tape.append((h, z, r, n, said[:, 2 * HIDDEN :]))
        h = (1 - z) * n + z * h
        logits.append(h @ p["o"] + p["ob"])
    return np.array(logits), tape, h


def backward(p, x, tape, last, wrong):
    """The gradients of all parameters, given those of the logits: back through time."""
    g = {name: np.zeros_like(value) for name, value in p.items()}
    later = np.zeros_like(last)
    given = np.zeros((*wrong.shape, 3 * HIDDEN), F32)
    hs = [step[0] for step in tape[1:]] + [last]
    for t in range(len(tape) - 1, -1, -1):
        before, z, r, n, said = tape[t]
        g["o"] += wrong[t] @ hs[t]
        g["ob"] += wrong[t].sum()
        dh = later + wrong[t][:, None] * p["o"]
        dn = dh * (1 - z) * (1 - n * n)
        dz = dh * (before - n) * z * (1 - z)
        dr = dn * said * r * (1 - r)
        given[t] = np.concatenate([dz, dr, dn], 1)
        back = np.concatenate([dz, dr, dn * r], 1)
        g["r"] += before.T @ back
        g["rb"] += back.sum(0)
        later = dh * z + back @ p["r"].T
    g["w"] = np.tensordot(x, given, ([0, 1], [0, 1]))
    g["b"] = given.sum((0, 1))
    return g


def train(x, truth, rng):
    """Adam on the cross-entropy, with a rate that falls like a cosine."""
    scale = 1 / np.sqrt(HIDDEN)
    shapes = {"w": (BANDS, 3 * HIDDEN), "b": 3 * HIDDEN, "r": (HIDDEN, 3 * HIDDEN), "rb": 3 * HIDDEN, "o": HIDDEN, "ob": ()}
    p = {name: np.asarray(rng.uniform(-scale, scale, shape), F32) for name, shape in shapes.items()}
    first, second = ({name: np.zeros_like(value) for name, value in p.items()} for _ in range(2))
    steps, done = EPOCHS * (CLIPS // BATCH), 0
    for epoch in range(EPOCHS):
        total = 0.0
        for picked in rng.permutation(CLIPS).reshape(-1, BATCH):
            xs, ys = x[:, picked], truth[:, picked]
            # Other loudness each time.
            xs = xs + rng.normal(0, 0.15, (1, BATCH, 1)).astype(F32)
            logits, tape, last = forward(p, xs)
            total += np.mean(np.logaddexp(0, logits) - ys * logits)
            g = backward(p, xs, tape, last, ((sigmoid(logits) - ys) / ys.size).astype(F32))
            size = np.sqrt(sum(np.sum(value**2) for value in g.values()))
            done += 1
            rate = 0.006 * 0.5 * (1 + np.cos(np.pi * done / steps))
            for name, value in g.items():
                value = value * min(1, 1 / size)
                first[name] = 0.9 * first[name] + 0.1 * value
                second[name] = 0.99 * second[name] + 0.01 * value**2
                change = first[name] / (1 - 0.9**done) / (np.sqrt(second[name] / (1 - 0.99**done)) + 1e-8)
                p[name] = (p[name] - rate * change).astype(F32)
        print(f"epoch {epoch + 1}: loss {total / (CLIPS // BATCH):.4f}")
    return p


def export(p, mean, deviation):
    """Writes the network: a chunk `x` and the state `h` to the probability of `speech` and the next state `hn`."""
    w = (p["w"] / deviation[:, None]).T
    wb = p["b"] - p["w"].T @ (mean / deviation)
    weights = {
        "filters": FILTERS,
        "w": w[None],
        "r": p["r"].T[None],
        "b": np.concatenate([wb, p["rb"]])[None],
        "out_w": p["o"][None],
        "out_b": p["ob"].reshape(1),
        "floor": np.array(FLOOR),
        "line": np.array([1, 1, CHUNK]),
        "pairs": np.array([1, BANDS, 2 * ((CHUNK - TAPS) // HOP + 1)]),
        "step": np.array([1, 1, BANDS]),
        "row": np.array([1, HIDDEN]),
        "last": np.array([2]),
        "frames": np.array((CHUNK - TAPS) // HOP + 1, F32),
    }
    whole = ("line", "pairs", "step", "row", "last")
    weights = {name: np.asarray(value, np.int64 if name in whole else F32) for name, value in weights.items()}
    nodes = [
        helper.make_node("Reshape", ["x", "line"], ["samples"]),
        helper.make_node("Conv", ["samples", "filters"], ["response"], strides=[HOP]),
        helper.make_node("Mul", ["response", "response"], ["squares"]),
        helper.make_node("Reshape", ["squares", "pairs"], ["paired"]),
        helper.make_node("ReduceSum", ["paired", "last"], ["sums"], keepdims=0),
        helper.make_node("Div", ["sums", "frames"], ["energy"]),
        helper.make_node("Add", ["energy", "floor"], ["above"]),
        helper.make_node("Log", ["above"], ["logs"]),
        helper.make_node("Reshape", ["logs", "step"], ["features"]),
        helper.make_node("GRU", ["features", "w", "r", "b", "", "h"], ["", "hn"], hidden_size=HIDDEN, linear_before_reset=1),
        helper.make_node("Reshape", ["hn", "row"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "out_w", "out_b"], ["logit"], transB=1),
        helper.make_node("Sigmoid", ["logit"], ["speech"]),
    ]
    port = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "voice",
        [port("x", [1, CHUNK]), port("h", [1, 1, HIDDEN])],
        [port("speech", [1, 1]), port("hn", [1, 1, HIDDEN])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="train.py")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, HERE / "voice.onnx")


def runtime(samples):
    """ONNX Runtime's probability for each chunk of a recording."""
    session = onnxruntime.InferenceSession(HERE / "voice.onnx")
    h, probabilities = np.zeros((1, 1, HIDDEN), F32), []
    for chunk in (samples.astype(F32) / 32768).reshape(-1, 1, CHUNK):
        speech, h = session.run(None, {"x": chunk, "h": h})
        probabilities.append(speech.item())
    return np.array(probabilities)


def main():
    n = SECONDS * RATE // CHUNK * CHUNK
    sounds = [clip(np.random.default_rng([SEED, i]), n) for i in range(CLIPS)]
    x = np.stack([energies(sound) for sound, _ in sounds], 1)
    truth = np.stack([truth for _, truth in sounds], 1).astype(F32)
    mean, deviation = x.mean((0, 1)), x.std((0, 1))
    p = train((x - mean) / deviation, truth, np.random.default_rng([SEED, CLIPS]))
    export(p, mean, deviation)

    # Clips of other numbers are held out.
    right = []
    for i in range(100):
        sound, truth = clip(np.random.default_rng([SEED + 1, i]), n)
        logits, *_ = forward(p, (energies(sound)[:, None] - mean) / deviation)
        right.append(np.mean((logits[:, 0] > 0) == truth))
    print(f"held-out clips: {100 * np.mean(right):.2f} % of the chunks right, {100 * min(right):.1f} % in the worst clip")
    for snr in (20, 10, 5, 0):
        right = []
        for i in range(40):
            sound, truth = clip(np.random.default_rng([SEED + 2, i]), n, snr)
            logits, *_ = forward(p, (energies(sound)[:, None] - mean) / deviation)
            right.append(np.mean((logits[:, 0] > 0) == truth))
        print(f"  {snr} dB: {100 * np.mean(right):.2f} %")

    rng = np.random.default_rng([SEED + 3, 0])
    sound, truth = clip(rng, 8 * RATE // CHUNK * CHUNK, 12)
    probabilities = runtime(sound)
    logits, *_ = forward(p, (energies(sound)[:, None] - mean) / deviation)
    print(f"numpy and ONNX Runtime differ by {np.abs(sigmoid(logits[:, 0]) - probabilities).max():.1e}")
    print(f"held_out.wav: {100 * np.mean((probabilities > 0.5) == truth):.2f} % right, {truth.sum()} of {len(truth)} chunks are speech")
    with wave.open(str(HERE / "held_out.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())
    rows = [f"{int(speech)} {probability:.7g}" for speech, probability in zip(truth, probabilities)]
    (HERE / "held_out.txt").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
