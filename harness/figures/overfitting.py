"""Robust overfitting: the accuracy of the same networks at the checkpoints early and last, and the change."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from harness.errors import HarnessError, SettingError, legible, listed
from harness.figures.accuracies import (
    COLLAPSED,
    TEST_IMAGES,
    TRAINING_SEEDS,
    about,
    accuracy_of,
    collapsed,
    measured_on,
    over_text,
    row_names,
)
from harness.figures.axes import accuracy_label, folded, percent_ticks, window, write_caption
from harness.figures.marks import Marks, Value, number
from harness.figures.material import Material
from harness.figures.plot import Canvas, Plot
from harness.figures.recorded_epochs import RECORDED, draw_recorded, recorded_accuracies, recorded_attack
from harness.figures.style import COLUMN, INK, QUIET, SMALL, TEXT, look_of
from harness.identity import canonical_json
from harness.leaderboard.board import Board, Row
from harness.leaderboard.columns import Column, Shared, title_of
from harness.leaderboard.contestants import Contestant, Trained
from harness.leaderboard.over_seeds import network_pairs
from harness.leaderboard.ranking import read_verdicts
from harness.statistics.paired import paired_t
from harness.statistics.resampled import bootstrap_change
from harness.store.verdicts import VerdictsById

EARLY, LAST, CHANGE = "early", "last", "change"
RECORD = (
    "`harness run METHOD --set evaluation.checkpoints=early,last` attacks both checkpoints, and `harness evaluate"
    " RUN:early` the first of a stored run"
)


def _data(material: Material) -> Marks:
    return Marks.of(_rows(material))


def _rows(material: Material) -> Iterator[Mapping[str, Value]]:
    if material.selection.checkpoint is not None:
        raise SettingError(
            "--checkpoint is refused for overfitting, which compares the checkpoints early and last; leave it out"
        )
    board = material.board()
    pairs = _pairs(board)
    verdicts = read_verdicts(material.store, [n for pair in pairs for both in pair.networks for n in both])
    column = board.column(board.ranked_by)
    networks = [last for pair in pairs for _, last in pair.networks]
    recorded = recorded_attack(material.store, board.attacks, column.name, networks)
    for pair in pairs:
        shared = [column.in_common(*both) for both in pair.networks]
        sides = [[column.figure([e[side] for e in of_both], verdicts) for of_both in shared] for side in (0, 1)]
        own: dict[str, Value] = {**about(board), **pair.name, "attack": title_of(column.name)}
        for mark, percents, network in zip((EARLY, LAST), sides, pair.networks[0], strict=True):
            epoch = {"mark": mark, "part": "test", "epoch": network.checkpoint.epoch}
            yield {**own, **epoch, **accuracy_of(percents, column.examples, network.dataset.classes).columns()}
        yield {**own, "mark": CHANGE, "part": "test", "epoch": None, **_change(pair, sides, shared, column, verdicts)}
        if recorded is not None:
            own |= {"mark": RECORDED, "part": None, "epoch": None, "attack": recorded}
            for point in recorded_accuracies(material.store, board.attacks, recorded, [n for _, n in pair.networks]):
                yield {**own, "value": None, "low": None, "high": None, "over": None, "n": None} | point


@dataclass(frozen=True)
class _Pair:
    """One method on one network: the same networks early and last."""

    name: Mapping[str, Value]
    networks: tuple[tuple[Contestant, Contestant], ...]


def _pairs(board: Board) -> list[_Pair]:
    """The rows of the checkpoint last in their order, each with the row early, and the networks that both have.

    A network counts where both checkpoints were attacked with an attack seed in common; only such seeds count, since
    the worst case falls with each seed more.

    Raises:
        HarnessError: a row has no partner with a figure; says how to make it.
    """
    column = board.column(board.ranked_by)
    early = {_key(row): row for row in board.rows if row.checkpoint == EARLY}
    last = {_key(row): row for row in board.rows if row.checkpoint == LAST}
    found, lacking = [], []
    for key in dict.fromkeys([*last, *early]):
        both = [
            [n for n in rows[key].networks if all(column.evaluations(n).values())]
            for rows in (early, last)
            if key in rows
        ]
        pairs = network_pairs(*both) if len(both) == 2 else []
        networks = [pair for pair in pairs if column.in_common(*pair)]
        row = last.get(key) or early[key]
        if networks:
            found.append(_Pair({**row_names(board, row), "row": _without_checkpoint(board, row)}, tuple(networks)))
        else:
            lacking.append(row.label)
    if not found and not lacking:
        raise HarnessError(f"no row has a checkpoint early or last; {RECORD}")
    if lacking:
        rest = "; or name the other rows with --method" if found else ""
        raise HarnessError(
            f"{listed(lacking)}: no network attacked by {board.ranked_by} both early and last, with an attack seed in"
            f" common; {RECORD}{rest}"
        )
    return found


def _key(row: Row) -> str:
    return canonical_json({field.name: getattr(row, field.name) for field in fields(Trained)})


def _without_checkpoint(board: Board, row: Row) -> str:
    networks = {other.arch_label for other in board.rows}
    return legible(row.label) + (f" ({legible(row.arch_label)})" if len(networks) > 1 else "")


def _change(
    pair: _Pair, sides: list[list[float]], shared: Sequence[Shared], column: Column, verdicts: VerdictsById
) -> dict[str, Value]:
    """Last minus early, in points: Student's interval, paired by network; of one network bootstrapped over images.

    Where a network collapsed: the median of the changes, the least, and the greatest.
    """
    early, last = sides
    if any(collapsed(side, column.examples, pair.networks[0][0].dataset.classes) for side in sides):
        changes = [after - before for before, after in zip(early, last, strict=True)]
        ends = {"value": statistics.median(changes), "low": min(changes), "high": max(changes)}
        return {**ends, "over": COLLAPSED, "n": len(changes)}
    if len(early) > 1:
        t = paired_t(last, early)
        return {"value": t.difference, "low": t.interval.low, "high": t.interval.high, "over": TRAINING_SEEDS, "n": t.n}
    before, after = (column.right([e[side] for e in shared[0]], verdicts) for side in (0, 1))
    interval = bootstrap_change(before, after, str(pair.name["row"]), column.name)
    change = {"value": last[0] - early[0], "low": interval.low, "high": interval.high}
    return {**change, "over": TEST_IMAGES, "n": column.examples}


def _draw(marks: Marks, canvas: Canvas) -> None:
    rows = marks.distinct("row")
    names = [folded(str(row), 18) for row in rows]
    lines = max(name.count("\n") + 1 for name in names)
    recorded = marks.where(mark=RECORDED)
    height, below = 0.85 + 0.2 * lines * len(rows), 1.9 if recorded else 0.0
    canvas.set_size_inches(COLUMN, height + below)
    heights = (height, below) if recorded else (height,)
    grid = canvas.add_gridspec(len(heights), 2, width_ratios=(3, 2), height_ratios=heights)
    left = canvas.add_subplot(grid[0, 0])
    right = canvas.add_subplot(grid[0, 1], sharey=left)
    right.tick_params(axis="y", labelleft=False)
    if recorded:
        early = sorted({int(number(mark, "epoch")) for mark in marks.where(mark=EARLY)})
        draw_recorded(canvas.add_subplot(grid[1, :]), recorded, early)
    marks = Marks.of(mark for mark in marks.rows if mark["mark"] != RECORDED)
    _draw_checkpoints(left, marks, rows)
    _draw_changes(right, marks, rows)
    for axes in (left, right):
        axes.set_yticks(range(len(rows)), names, fontsize=TEXT)
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines.left.set_visible(False)
        axes.grid(axis="x")
    write_caption(canvas, f"{measured_on(marks)}; {over_text(marks)}")


def _draw_checkpoints(axes: Any, marks: Marks, rows: list[Value]) -> None:
    """A hollow marker early, a full one last, each with its interval."""
    held = [row for row in marks.rows if row["mark"] in (EARLY, LAST)]
    shown = window([number(row, "value") for row in held], [(number(row, "low"), number(row, "high")) for row in held])
    axes.set_xlim(shown.low, shown.high)
    outside: dict[int, dict[str, float]] = {}
    for mark in held:
        look, value, early = look_of(str(mark["method"])), number(mark, "value"), mark["mark"] == EARLY
        place_of_row = rows.index(mark["row"])
        place = place_of_row + (-0.14 if early else 0.14)
        if not shown.shows(value):
            outside.setdefault(place_of_row, {})[f"{mark['mark']}"] = value
            continue
        low, high = shown.clipped(number(mark, "low"), number(mark, "high"))
        axes.plot([low, high], [place, place], color=look.colour, linewidth=0.9, zorder=2)
        face = "white" if early else look.colour
        axes.plot([value], [place], marker=look.marker, color=look.colour, markerfacecolor=face, ls="none", zorder=3)
    for place, values in outside.items():
        said = "◂ " + ", ".join(f"{name} {value:.1f}" for name, value in values.items())
        axes.text(0.02, place, said, transform=axes.get_yaxis_transform(), va="center", color=QUIET, fontsize=SMALL)
    percent_ticks(axes.xaxis)
    axes.set_xlabel(accuracy_label(marks.only("attack"), "\n"))
    axes.set_title("hollow: early; full: last", fontsize=SMALL, color=INK)


def _draw_changes(axes: Any, marks: Marks, rows: list[Value]) -> None:
    axes.axvline(0, color=QUIET, linewidth=0.6, zorder=1)
    for mark in marks.where(mark=CHANGE):
        look, place = look_of(str(mark["method"])), rows.index(mark["row"])
        axes.plot([number(mark, "low"), number(mark, "high")], [place, place], color=look.colour, linewidth=1.4)
        axes.plot(
            [number(mark, "value")], [place], marker=look.marker, color=look.colour, markeredgecolor="white", ls="none"
        )
    percent_ticks(axes.xaxis)
    axes.set_xlabel("last minus early,\npoints")


OVERFITTING = Plot(
    name="overfitting",
    title="Robust accuracy at the checkpoints early and last, and the change, with 95 % intervals",
    needs="both checkpoints attacked: harness run sat trades --set evaluation.checkpoints=early,last",
    data=_data,
    draw=_draw,
)
