"""Draw time against size, and peak memory against images, from the results of ``benchmarks/growth.py``.

python -m benchmarks.growth_plot          # draws docs/figures/growth.svg anew from results/growth-cpu.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 12.0, 2.8  # inches


def draw(found: Mapping[str, Any], file: Path) -> None:
    """Write the plot: one panel a quantity on logarithmic axes, with the line of exponent 1, and one for memory.

    Args:
        found: the content of the results' file, whose keys are texts.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "growth"  # the same results give the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(found["growth"]) + 1, figsize=(WIDTH, HEIGHT), layout="constrained")
    for axis, (what, fit) in zip(axes, found["growth"].items(), strict=False):
        sizes = [int(size) for size in fit["seconds"]]
        medians = [times["median"] for times in fit["seconds"].values()]
        spread = [
            [abs(m - t["quartiles"][i]) for m, t in zip(medians, fit["seconds"].values(), strict=True)] for i in (0, 1)
        ]
        axis.errorbar(sizes, medians, yerr=spread, fmt="o", markersize=4, capsize=2)
        centre = len(sizes) // 2
        axis.plot(sizes, [medians[centre] * size / sizes[centre] for size in sizes], linewidth=0.8, color="grey")
        low, high = fit["interval95"]
        axis.set_title(f"exponent {fit['exponent']:.3f} [{low:.3f}, {high:.3f}]", fontsize=8)
        axis.set(xscale="log", yscale="log", xlabel=what)
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False, fontsize=7)
        axis.minorticks_off()
    axes[0].set_ylabel(f"{found['growth']['images']['clock']} seconds")
    memory = found["memory_bytes"]
    images = [int(count) for count in memory]
    axes[-1].plot(images, [peaks["median"] / 1e6 for peaks in memory.values()], "o-", markersize=4, linewidth=0.8)
    axes[-1].set(
        xscale="log",
        ylim=(0, 1.3 * max(peaks["median"] for peaks in memory.values()) / 1e6),
        xlabel="images",
        ylabel="peak memory, MB",
    )
    axes[-1].set_xticks(images, [f"{count:,}" for count in images], minor=False, fontsize=7)
    axes[-1].minorticks_off()
    axes[-1].set_title("beyond model and images", fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    ROOT = Path(__file__).parent
    draw(json.loads((ROOT / "results/growth-cpu.json").read_text()), ROOT.parent / "docs/figures/growth.svg")
