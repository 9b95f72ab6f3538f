"""Methods side by side: under each attack the mean over training seeds with its interval, and every network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.figures.accuracies import (
    about,
    accuracy,
    covered,
    measured_on,
    of_each_network,
    over_text,
    row_names,
    uneven_text,
)
from harness.figures.axes import folded, percent_ticks, window, write_caption
from harness.figures.marks import Marks, Value, number
from harness.figures.material import Material
from harness.figures.plot import Canvas, Plot
from harness.figures.style import QUIET, TEXT, WIDE, look_of
from harness.leaderboard.cells import titles
from harness.leaderboard.ranking import read_verdicts

MEAN, NETWORK = "mean", "network"
PANELS = 5  # side by side
TINY = 5.0  # points: of networks that lie below the axis


def _data(material: Material) -> Marks:
    return Marks.of(_rows(material))


def _rows(material: Material) -> Iterator[Mapping[str, Value]]:
    board = material.board()
    verdicts = read_verdicts(material.store, [network for row in board.rows for network in row.networks])
    for row in board.rows:
        for column, title in zip(board.filled, titles(board), strict=True):
            found = accuracy(board, row, column)
            if found is None:
                continue
            own = {**about(board), **row_names(board, row), "attack": title}
            yield {**own, "mark": MEAN, "train_seed": None, **found.columns(), **covered(board, row, column)}
            networks = list(of_each_network(board, row, column, verdicts))
            for seed, percent in networks if len(networks) > 1 else []:
                alone = {"value": percent, "low": None, "high": None, "over": None, "n": None}
                alone |= {"evaluations": None, "evaluations_most": None}
                yield {**own, "mark": NETWORK, "train_seed": seed, **alone}


def _draw(marks: Marks, canvas: Canvas) -> None:
    attacks, rows = marks.distinct("attack"), marks.distinct("row")
    names = [folded(str(row)) for row in rows]
    lines = max(name.count("\n") + 1 for name in names)
    across = min(len(attacks), PANELS)
    down = math.ceil(len(attacks) / across)
    canvas.set_size_inches(WIDE, down * (0.45 + 0.19 * lines * len(rows)) + 0.3)
    panels = list(canvas.subplots(down, across, sharey=True, squeeze=False).flat)
    for axes, attack in zip(panels, attacks, strict=False):
        _draw_panel(axes, marks, attack, rows)
        axes.set_yticks(range(len(rows)), names, fontsize=TEXT)
        axes.set_ylim(len(rows) - 0.4, -0.6)
    for axes in panels[len(attacks) :]:
        axes.set_axis_off()
    write_caption(canvas, _caption(marks))


def _draw_panel(axes: Any, marks: Marks, attack: Value, rows: Sequence[Value]) -> None:
    means = marks.where(attack=attack, mark=MEAN)
    ends = [(number(mark, "low"), number(mark, "high")) for mark in means]
    seeds = marks.where(attack=attack, mark=NETWORK)
    shown = window([number(mark, "value") for mark in means], ends, others=[number(mark, "value") for mark in seeds])
    axes.set_xlim(shown.low, shown.high)
    for mark in means:
        place, value, look = rows.index(mark["row"]), number(mark, "value"), look_of(str(mark["method"]))
        if not shown.shows(value):
            axes.text(0.03, place, f"◂ {value:.1f}", transform=axes.get_yaxis_transform(), va="center", **look.text)
            continue
        low, high = shown.clipped(number(mark, "low"), number(mark, "high"))
        axes.plot([low, high], [place, place], color=look.colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
        axes.plot([value], [place], color=look.colour, marker=look.marker, markeredgecolor="white", ls="none", zorder=3)
    for row in rows:
        if not any(mark["row"] == row for mark in means):
            axes.text(0.03, rows.index(row), "-", transform=axes.get_yaxis_transform(), va="center", color=QUIET)
    means_of, below = {mark["row"]: mark for mark in means}, dict[int, list[str]]()
    for mark in seeds:
        value, place, look = number(mark, "value"), rows.index(mark["row"]), look_of(str(mark["method"]))
        if shown.shows(value):
            axes.plot([value], [place + 0.3], ".", color=look.colour, markersize=3, markeredgewidth=0, alpha=0.7)
        elif shown.shows(number(means_of[mark["row"]], "value")):  # else the mean is written there
            below.setdefault(place, []).append(f"{value:.1f}")
    for place, values in below.items():
        drawn = {"transform": axes.get_yaxis_transform(), "va": "center", "color": QUIET, "fontsize": TINY}
        axes.text(0.03, place + 0.3, f"◂ {', '.join(values)}", **drawn)
    axes.set_title(str(attack))
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines.left.set_visible(False)
    percent_ticks(axes.xaxis)


def _means(marks: Marks) -> Marks:
    return Marks.of(marks.where(mark=MEAN))


def _caption(marks: Marks) -> str:
    dots = "; dots: the networks" if NETWORK in marks.distinct("mark") else ""
    return f"{measured_on(marks)}; accuracy in %; bars: {over_text(marks)}{dots}{uneven_text(_means(marks))}"


METHODS = Plot(
    name="methods",
    title="Accuracy of each method under each attack, with 95 % intervals",
    needs="attacked runs of one board: harness run sat trades --dataset digits --arch smallcnn --train-seeds 5",
    data=_data,
    draw=_draw,
)
