"""The comparison as a plot: a panel a network, a row a peer, a mark a batch. `plot.py RESULTS.json PLOT.svg` draws it again."""

import json
import sys
from pathlib import Path

# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]


def plot(figures, path):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    own = {(f["network"], f["batch"]): f["ms"] for f in figures if f["peer"] == "shadernet"}
    figures = [f | {"ratio": f["ms"] / own[f["network"], f["batch"]]} for f in figures if (f["network"], f["batch"]) in own]
    if not figures:
        return
    networks = list(dict.fromkeys(f["network"] for f in figures))
    peers = list(dict.fromkeys(f["peer"] for f in figures))
    batches = sorted({f["batch"] for f in figures})
    columns = min(3, len(networks))
    rows = -(-len(networks) // columns)
    size = (2 + 3.2 * columns, 1.1 + rows * (0.9 + 0.22 * len(peers)))
    canvas, grid = pyplot.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(networks) :]:
        axes.set_visible(False)
    for axes, network in zip(grid.flat, networks):
        axes.axvline(1, color="black", linewidth=0.8)
        for i, batch in enumerate(batches):
            here = {f["peer"]: f["ratio"] for f in figures if (f["network"], f["batch"]) == (network, batch)}
            places = [peers.index(peer) + 0.5 * (i - (len(batches) - 1) / 2) / len(batches) for peer in here]
            axes.hlines(places, 1, list(here.values()), color=COLOURS[i % 6], linewidth=2.5, alpha=0.6)
            axes.plot(list(here.values()), places, "o", color=COLOURS[i % 6], markersize=4.5, label=f"batch {batch}")
        axes.set_title(network, fontsize=10, loc="left")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_yticks(range(len(peers)), peers)
        axes.tick_params(labelsize=8, labelbottom=True)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    grid[0, 0].invert_yaxis()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="lower right", ncols=len(batches), fontsize=8, frameon=False)
    canvas.supxlabel("time as a multiple of shadernet's: to the right is slower", fontsize=9)
    canvas.tight_layout()
    canvas.savefig(path, dpi=110)
    pyplot.close(canvas)


if __name__ == "__main__":
    plot(json.loads(Path(sys.argv[1]).read_text())["figures"], sys.argv[2])
