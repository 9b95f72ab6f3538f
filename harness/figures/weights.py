"""Figure 1(a): how often GAIRAT gives an instance a weight, and how many weights are below 0.2."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, SettingError, listed
from harness.figures.axes import write_caption
from harness.figures.marks import Marks, Value, number
from harness.figures.material import Material
from harness.figures.plot import Canvas, Plot
from harness.figures.style import COLUMN, QUIET, SMALL, look_of
from harness.figures.trainings import Siblings, command_of, trainings

if TYPE_CHECKING:
    from harness.events import Histogram
    from harness.store.records import RunRecord

LOW = 0.2  # below it the paper calls a weight very low
BAR, SHARE, NETWORK = "bar", "share below", "share below in one network"
KINDS = {"weight": "weight (Eq. 6)", "normalised_weight": "weight in the loss"}


def _data(material: Material) -> Marks:
    if material.selection.checkpoint not in (None, "last"):
        raise SettingError(
            f"--checkpoint {material.selection.checkpoint} is refused: weights shows the last epoch; leave it out"
        )
    shown = trainings(material, ("gairat",))
    last = {
        (training.label, name): [_last(material, run, name, training.runs) for run in training.runs]
        for training in shown
        for name in KINDS
    }
    for name in KINDS:
        if len({_bins(last[training.label, name][0][1]) for training in shown}) > 1:
            labels = listed([training.label for training in shown])
            raise HarnessError(
                f"{labels} count {name} in different bins, which are no one axis; choose one by --method"
            )
    return Marks.of(
        row for training in shown for name in KINDS for row in _rows(training, name, last[training.label, name])
    )


def _bins(histogram: Histogram) -> tuple[float, float, int]:
    return histogram.low, histogram.high, len(histogram.counts)


def _last(material: Material, run: RunRecord, name: str, among: Sequence[RunRecord]) -> tuple[int, Histogram]:
    """The histogram of a run's last epoch.

    Raises:
        HarnessError: there is none.
    """
    kept = [(each.epoch, each.histogram) for each in material.store.histograms(run.id) if each.histogram.name == name]
    last = int(run.training["epochs"])
    if not kept:
        raise HarnessError(
            f"run {run.id} ({run.spec.label}) has no histograms of its weights before and after they are scaled to mean"
            f" 1; gairat and gair-trades record both after their burn-in: `{command_of(run, among, '--fresh')}`"
        )
    epoch, histogram = max(kept, key=lambda pair: pair[0])
    if epoch != last:
        raise HarnessError(f"run {run.id} ({run.spec.label}) recorded no weights in its last epoch, {last}")
    return epoch, histogram


def _rows(training: Siblings, name: str, last: Sequence[tuple[int, Histogram]]) -> Iterator[dict[str, Value]]:
    """One row a bar: the share of the instances, of all networks together; and one row for the share below ``LOW``."""
    epoch, first = last[0]
    if any(_bins(h) != _bins(first) for _, h in last):
        raise HarnessError(
            f"the weights of {training.label} were counted in different bins by versions of harness;"
            f" record them alike with the command `{command_of(training.first, training.runs, '--fresh')}`"
        )
    counts = [sum(column) for column in zip(*(h.counts for _, h in last), strict=True)]
    total, width = sum(counts), (first.high - first.low) / len(counts)
    own = {**training.columns(), "weight": name, "epoch": epoch, "networks": len(last), "train_seed": None}
    for place, count in enumerate(counts):
        ends = {"low": first.low + place * width, "high": first.low + (place + 1) * width}
        yield {**own, "mark": BAR, **ends, "count": count, "percent": 100 * count / total}
    lowest = bins_below(first, LOW)
    ends = {"low": first.low, "high": LOW}
    below = sum(counts[:lowest])
    yield {**own, "mark": SHARE, **ends, "count": below, "percent": 100 * below / total}
    for run, (_, histogram) in zip(training.runs, last, strict=True):
        below = sum(histogram.counts[:lowest])
        of_one = {"mark": NETWORK, **ends, "count": below, "percent": 100 * below / sum(histogram.counts)}
        yield {**own, "train_seed": run.train_seed, **of_one}


def bins_below(histogram: Histogram, value: float) -> int:
    """How many bins lie below a value, which is the edge of a bin.

    Raises:
        HarnessError: it is not, in the histogram of a method that counts otherwise than GAIRAT.
    """
    place = (value - histogram.low) / (histogram.high - histogram.low) * len(histogram.counts)
    if not math.isclose(place, round(place), abs_tol=1e-6):
        raise HarnessError(
            f"how many values of {histogram.name} are below {value} cannot be told: {value} is inside a bin, of"
            f" {len(histogram.counts)} from {histogram.low} to {histogram.high}; count in bins that have it as an edge"
        )
    return round(place)


def _draw(marks: Marks, canvas: Canvas) -> None:
    rows, names = marks.distinct("row"), marks.distinct("weight")
    canvas.set_size_inches(COLUMN, 0.75 + 1.5 * len(rows))
    panels = canvas.subplots(len(rows), len(names), sharex="col", sharey=True, squeeze=False)
    for across, row in zip(panels, rows, strict=True):
        for axes, name in zip(across, names, strict=True):
            _draw_panel(axes, marks, row, name)
        across[0].set_ylabel(f"{row}\n% of instances")
    for axes, name in zip(panels[-1], names, strict=True):
        axes.set_xlabel(KINDS[str(name)])
    epoch, networks = marks.only("epoch"), marks.distinct("networks")
    of_networks = "" if networks == [1] else f", {' or '.join(map(str, networks))} networks"
    write_caption(canvas, f"training images of epoch {epoch}{of_networks}; the last bar holds all greater weights")


def _draw_panel(axes: Any, marks: Marks, row: Value, name: Value) -> None:
    from matplotlib.ticker import MaxNLocator

    bars = marks.where(row=row, weight=name, mark=BAR)
    look = look_of(str(bars[0]["method"]))
    low, high, percent = ([number(bar, column) for bar in bars] for column in ("low", "high", "percent"))
    widths = [end - start for start, end in zip(low, high, strict=True)]
    axes.bar(low, percent, widths, align="edge", color=look.colour, linewidth=0)
    (share,) = marks.where(row=row, weight=name, mark=SHARE)
    axes.axvline(number(share, "high"), color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)))
    each = [number(mark, "percent") for mark in marks.where(row=row, weight=name, mark=NETWORK)]
    spread = f"\n({min(each):.1f} to {max(each):.1f})" if len(each) > 1 else ""
    text = f"{number(share, 'percent'):.1f} % are\nbelow {number(share, 'high'):g}{spread}"
    axes.text(0.96, 0.95, text, transform=axes.transAxes, ha="right", va="top", fontsize=SMALL)
    axes.set_xlim(low[0], high[-1])
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


WEIGHTS = Plot(
    name="weights",
    title="How often GAIRAT gives an instance a weight, in its last epoch",
    needs="histograms of a run: harness run gairat --dataset digits --arch smallcnn",
    data=_data,
    draw=_draw,
    paper="Figure 1(a)",
)
